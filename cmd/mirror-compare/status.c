/* status: what came of it, in the status folder. */
#include "base/made.h"
#include "base/whole.h"
#include "mirror-compare/compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 };

static const char diff_name[] = "mirror_diff.log";

int status_lock(const struct plan *p, struct lockfile *l, struct err *e)
{
    return ledger_lock(l, p->status_dir, 0, e);
}

/* --- mirror_diff.log ----------------------------------------------------------- */

/* A line that a power cut left half written is ended. */
static int end_torn(int fd, off_t size)
{
    char last = '\n';

    if (size && TEMP_FAILURE_RETRY(pread(fd, &last, 1, size - 1)) != 1)
        return -1;
    return last == '\n' ? 0 : whole_write(fd, "\n", 1);
}

/* The first bytes of the file from to the end of to. */
static int copy(int from, uint64_t bytes, int to)
{
    char *block = malloc(BLOCK);
    uint64_t done = 0;
    int rc = block ? 0 : -1;

    while (!rc && done < bytes) {
        size_t most = bytes - done < BLOCK ? (size_t)(bytes - done) : BLOCK;
        ssize_t n = TEMP_FAILURE_RETRY(pread(from, block, most, (off_t)done));

        if (n == 0)
            errno = EIO;
        rc = n <= 0 || whole_write(to, block, (size_t)n) ? -1 : 0;
        done += n > 0 ? (uint64_t)n : 0;
    }
    free(block);
    return rc;
}

static int append(int fd, const char *path, int from, uint64_t bytes, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st))
        return err_sys(e, EX_IOERR, "unable to look at %s", path);
    if (!end_torn(fd, st.st_size) && !copy(from, bytes, fd) && !fsync(fd))
        return 0;
    err_sys(e, EX_IOERR, "unable to write to %s", path);
    if (ftruncate(fd, st.st_size)) {
        /* What cannot be taken back is half of a note, and reads as one. */
    }
    return -1;
}

static int log_differences(const struct plan *p, int from, uint64_t bytes, struct err *e)
{
    char *path;
    int fd, rc;

    if (!bytes)
        return 0;
    if (asprintf(&path, "%s/%s", p->status_dir, diff_name) < 0)
        return err_memory(e);
    fd = made_open(path, O_RDWR | O_APPEND, 0644);
    if (fd < 0) {
        rc = err_sys(e, EX_CANTCREAT, "unable to open %s", path);
    } else {
        rc = append(fd, path, from, bytes, e);
        if (close(fd) && !rc)
            rc = err_sys(e, EX_IOERR, "unable to write to %s", path);
    }
    free(path);
    return rc;
}

/* --- the ledger ------------------------------------------------------------------- */

static int append_line(const struct plan *p, enum ledger_result result, int64_t now_ms,
                       struct span rest, struct err *e)
{
    const struct ledger_entry en = {.result = result,
                                    .ts_ms = now_ms,
                                    .zone = p->zone,
                                    .config = p->digest,
                                    .hold = p->hold,
                                    .rest = rest};

    return ledger_append(p->status_dir, &en, e);
}

int status_note(struct compare *c, enum ledger_result result, int fd, uint64_t wrong_bytes,
                struct span rest, bool *noted, struct err *e)
{
    const struct plan *p = c->plan;

    if (log_differences(p, fd, wrong_bytes, e) || pending_keep(c, e) ||
        append_line(p, result, c->now_ms, rest, e))
        return -1;
    *noted = true;
    return 0;
}

int status_count(const struct plan *p, int64_t now_ms, int *streak, struct err *e)
{
    struct ledger l;

    if (ledger_read(p->status_dir, &l, e) || ledger_count(p->status_dir, &l, now_ms, e))
        return -1;
    *streak = ledger_streak(&l, now_ms);
    return 0;
}

int status_error(const struct plan *p, int64_t now_ms, struct span rest, struct err *e)
{
    int streak;

    return append_line(p, LEDGER_ERROR, now_ms, rest, e) || status_count(p, now_ms, &streak, e) ? -1
                                                                                                : 0;
}
