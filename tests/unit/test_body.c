#include "http/body.h"

#include "tap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct err e;
static char store[64] = "/tmp/test_body.XXXXXX", beside[128];

/* A file without a name with n bytes of 'a' in it, at its start. */
static int file_of(size_t n)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    char *text = malloc(n + 1);

    memset(text, 'a', n);
    if (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET))
        fd = -1;
    free(text);
    return fd;
}

/* The end of a pipe with n bytes in it and nothing behind them. */
static int pipe_of(size_t n)
{
    static char text[BODY_IN_MEMORY * 4];
    int fds[2];

    memset(text, 'a', sizeof text);
    if (pipe(fds))
        return -1;
    if (!fork()) {
        close(fds[0]);
        _exit(write(fds[1], text, n) != (ssize_t)n);
    }
    close(fds[1]);
    return fds[0];
}

/* Opens, looks, reads it all, and closes: what body_open said. */
static int open_it(int fd, int64_t length, bool *whole)
{
    struct buf text = {0};
    struct body b;
    int rc = body_open(&b, fd, length, beside, &e);

    *whole = rc == 1 && !body_text(&b, &text, &e) && text.len == (size_t)b.size &&
             b.size == (length < 0 ? 0 : length) && strspn(text.data, "a") == text.len;
    buf_free(&text);
    body_close(&b);
    close(fd);
    return rc;
}

static void lengths(void)
{
    static const struct {
        size_t there;
        int64_t length;
        int file, pipe;
        const char *name;
    } rows[] = {
        {0, -1, 1, 1, "no body"},
        {0, 0, 1, 1, "a body of nothing"},
        {10, 10, 1, 1, "all of it"},
        {9, 10, 0, 0, "a byte too few"},
        {0, 1, 0, 0, "nothing of one"},
        {BODY_IN_MEMORY, BODY_IN_MEMORY, 1, 1, "as much as goes into memory"},
        {BODY_IN_MEMORY + 1, BODY_IN_MEMORY + 1, 1, 1, "one more"},
        {BODY_IN_MEMORY + 1, BODY_IN_MEMORY + 2, 0, 0, "one more, and one is missing"},
        {3 * BODY_IN_MEMORY, 3 * BODY_IN_MEMORY, 1, 1, "more than a pipe holds"},
        {10, INT64_C(10) << 30, 0, 0, "ten bytes of 10 GB"},
        {11, 10, 0, 1, "a byte too many: a file is not that body, a pipe is read so far"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool whole;

        is_int(open_it(file_of(rows[i].there), rows[i].length, &whole), rows[i].file, "%s, a file",
               rows[i].name);
        is_int(whole, rows[i].file, "and it is read as it is");
        is_int(open_it(pipe_of(rows[i].there), rows[i].length, &whole), rows[i].pipe, "%s, a pipe",
               rows[i].name);
        is_int(whole, rows[i].pipe, "and it is read as it is");
    }
}

static void digests(void)
{
    char first[SHA256_TEXT], again[SHA256_TEXT];
    struct body b;

    body_open(&b, pipe_of(3), 3, beside, &e);
    ok(!body_sha256(&b, first, &e) && !body_sha256(&b, again, &e), "a digest is taken twice");
    is_str(first, "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
           "and is that of \"aaa\"");
    is_str(again, first, "both times");
    body_close(&b);
}

int main(void)
{
    plan(11 * 4 + 3);
    if (!mkdtemp(store))
        return 73;
    snprintf(beside, sizeof beside, "%s/store.db", store);
    lengths();
    digests();
    return rmdir(store) || done(); /* nothing was left there */
}
