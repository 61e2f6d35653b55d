#include "http/body.h"

#include "base/spool.h"
#include "base/whole.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 65536 };

/* 1: length bytes are copied; 0: there were not so many. */
static int copy(int from, int to, int64_t length, struct err *e)
{
    char *block = malloc(BLOCK);
    int rc = 1;

    if (!block)
        return err_memory(e);
    while (length && rc == 1) {
        ssize_t n =
            TEMP_FAILURE_RETRY(read(from, block, (size_t)(length < BLOCK ? length : BLOCK)));

        if (n <= 0)
            rc = n ? err_sys(e, EX_IOERR, "unable to read the body") : 0;
        else if (whole_write(to, block, (size_t)n))
            rc = err_sys(e, EX_IOERR, "unable to keep the body");
        else
            length -= n;
    }
    free(block);
    return rc;
}

static int take_copy(struct body *b, int fd, int64_t length, const char *beside, struct err *e)
{
    int rc;

    b->ours = length <= BODY_IN_MEMORY ? memfd_create("body", MFD_CLOEXEC) : -1;
    if (b->ours < 0)
        b->ours = spool_beside(beside, e);
    if (b->ours < 0)
        return -1;
    b->fd = b->ours;
    rc = copy(fd, b->ours, length, e);
    if (rc == 1 && lseek(b->ours, 0, SEEK_SET) < 0)
        return err_sys(e, EX_IOERR, "unable to read the body again");
    return rc;
}

int body_open(struct body *b, int fd, int64_t length, const char *beside, struct err *e)
{
    struct stat st;

    *b = (struct body){.fd = fd, .size = length, .ours = -1};
    if (length < 0)
        b->size = 0;
    if (length <= 0)
        return 1;
    if (fstat(fd, &st))
        return err_sys(e, EX_IOERR, "unable to read the body");
    /* A file that is shared with another reader has its place in common with it, and
     * is one that the server made for this request alone. */
    if (S_ISREG(st.st_mode) && !lseek(fd, 0, SEEK_CUR))
        return st.st_size == length;
    return take_copy(b, fd, length, beside, e);
}

void body_close(struct body *b)
{
    if (b->ours >= 0)
        close(b->ours);
    *b = (struct body)BODY_NONE;
}

int body_text(const struct body *b, struct buf *out, struct err *e)
{
    size_t size = (size_t)b->size, at = 0;

    if (buf_reserve(out, size + 1))
        return err_memory(e);
    while (at < size) {
        ssize_t n = TEMP_FAILURE_RETRY(pread(b->fd, out->data + out->len, size - at, (off_t)at));

        if (n <= 0)
            return err_sys(e, EX_IOERR, "unable to read the body");
        out->len += (size_t)n;
        at += (size_t)n;
    }
    return buf_term(out) ? err_memory(e) : 0;
}

int body_sha256(const struct body *b, char out[SHA256_TEXT], struct err *e)
{
    struct sha256 hash = {0};
    char *block = malloc(BLOCK);
    ssize_t n = 1;
    int rc = 0;

    if (!block)
        return err_memory(e);
    for (off_t at = 0; !rc && at < b->size && n > 0; at += n) {
        n = TEMP_FAILURE_RETRY(pread(b->fd, block, BLOCK, at));
        rc = n > 0 ? sha256_add(&hash, block, (size_t)n) : 0;
    }
    free(block);
    if (sha256_text(&hash, out) || rc)
        return err_memory(e);
    return n > 0 ? 0 : err_sys(e, EX_IOERR, "unable to read the body");
}
