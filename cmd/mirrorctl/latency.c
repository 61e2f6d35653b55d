/* latency: how long both servers took, from the mirror log. */
#include "base/child.h"
#include "core/rotate.h"
#include "mirrorctl/mirrorctl.h"
#include "text/json.h"
#include "text/line.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUESTS_LOG "mirror_requests.log"

/* SLACK: lines stand in the order in which they were written, about. */
enum { BLOCK = 1 << 20, LINE_LIMIT = 1 << 20, SLACK_MS = 3600000, GZIP_LIMIT_MS = 60000 };

struct reading {
    struct latency *sum;
    int64_t since_ms;
    struct json json;
    struct buf scratch;
};

struct sample {
    int64_t at_ms, mirror_ms, primary_ms; /* -1: not there */
};

/* --- a line ------------------------------------------------------------------ */

static int take_member(struct reading *r, const struct json_value *name, const struct json_value *v,
                       struct sample *s)
{
    struct span what;
    int64_t *into;

    buf_clear(&r->scratch);
    what = json_text(name, &r->scratch);
    if (span_eq(what, SPAN("timestamp"))) {
        buf_clear(&r->scratch);
        return v->kind != JSON_STRING || rfc3339_parse(json_text(v, &r->scratch), &s->at_ms);
    }
    into = span_eq(what, SPAN("response_ms"))  ? &s->mirror_ms
           : span_eq(what, SPAN("primary_ms")) ? &s->primary_ms
                                               : NULL;
    return into && (json_int(v, into) || *into < 0 || *into > INT32_MAX);
}

/* 0, or 1: it is no line of the log. */
static int read_sample(struct reading *r, struct span line, struct sample *s)
{
    struct json_value name, v;
    bool first = true;
    int rc;

    *s = (struct sample){-1, -1, -1};
    json_start(&r->json, line);
    rc = json_open(&r->json) ? -1 : 1;
    while (rc == 1 && (rc = json_member(&r->json, &first, &name, &v)) == 1)
        if (take_member(r, &name, &v, s))
            return 1;
    return rc || json_finish(&r->json) || s->at_ms < 0 || s->mirror_ms < 0;
}

static void count(struct reading *r, struct span line)
{
    struct sample s;

    if (!line.n)
        return;
    if (read_sample(r, line, &s)) {
        r->sum->bad++;
        return;
    }
    if (s.at_ms < r->since_ms)
        return;
    r->sum->samples++;
    r->sum->mirror_ms += s.mirror_ms;
    if (s.primary_ms >= 0) {
        r->sum->primaries++;
        r->sum->primary_ms += s.primary_ms;
    }
}

/* --- files ------------------------------------------------------------------- */

/* Is the first whole line behind offset older than what is asked for? */
static bool older(struct reading *r, int fd, off_t offset, char *block)
{
    ssize_t n = TEMP_FAILURE_RETRY(pread(fd, block, BLOCK, offset));
    const char *from = n > 0 ? memchr(block, '\n', (size_t)n) : NULL, *to;
    struct sample s;

    if (!from)
        return false;
    from++;
    to = memchr(from, '\n', (size_t)(block + n - from));
    return to && !read_sample(r, (struct span){from, (size_t)(to - from)}, &s) &&
           s.at_ms < r->since_ms - SLACK_MS;
}

/* Goes to where reading has to begin: a log may be of weeks. 1: amid a line. */
static int skip_old(struct reading *r, int fd, struct err *e)
{
    char *block = malloc(BLOCK);
    struct stat st;
    off_t at;

    if (!block)
        return err_memory(e);
    at = fstat(fd, &st) ? 0 : st.st_size;
    do
        at = at > BLOCK ? at - BLOCK : 0;
    while (at && !older(r, fd, at, block));
    free(block);
    if (lseek(fd, at, SEEK_SET) < 0)
        return err_sys(e, EX_IOERR, "unable to read the mirror log");
    return at > 0;
}

static int read_lines(struct reading *r, int fd, const char *path, struct err *e)
{
    struct line_reader in;
    struct line line;
    enum line_result got;
    int skip = skip_old(r, fd, e);

    if (skip < 0)
        return -1;
    line_open(&in, fd, path, LINE_LIMIT);
    while ((got = line_next(&in, true, &line, e)) == LINE_OK || got == LINE_LONG) {
        if (skip)
            skip = !line.last;
        else if (got == LINE_OK)
            count(r, line.text);
        else if (line.last)
            r->sum->bad++;
        line_release(&in);
    }
    line_close(&in);
    return got == LINE_EOF ? 0 : -1;
}

static int read_plain(struct reading *r, const char *path, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC)), rc;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, EX_NOINPUT, "unable to open %s", path);
    rc = read_lines(r, fd, path, e);
    close(fd);
    return rc;
}

static int take_unpacked(void *ctx, struct span line, struct err *e)
{
    (void)e;
    count(ctx, line);
    return 0;
}

static int read_packed(struct reading *r, const char *path, struct err *e)
{
    char *argv[] = {"gzip", "-dc", "--", (char *)(uintptr_t)path, NULL};
    char *const env[] = {"GZIP=", NULL};
    struct child c = {
        .argv = argv, .env = env, .ctx = r, .line = take_unpacked, .limit_ms = GZIP_LIMIT_MS};

    return child_run(&c, e) ? -1 : 0;
}

/* A stamp is younger than all lines behind it. */
static int read_rotated(struct reading *r, struct err *e)
{
    struct rotated *list;
    size_t n;
    int rc = rotate_list(conf.logs_dir, REQUESTS_LOG, &list, &n, e);

    for (size_t i = 0; i < n && !rc; i++)
        if (list[i].stamp_ms >= r->since_ms)
            rc = list[i].packed ? read_packed(r, list[i].path, e) : read_plain(r, list[i].path, e);
    rotate_list_free(list, n);
    return rc;
}

int latency_read(int64_t since_ms, struct latency *out, struct err *e)
{
    struct reading r = {.sum = out, .since_ms = since_ms};
    char path[PATH_MAX];
    int rc;

    *out = (struct latency){0};
    snprintf(path, sizeof path, "%s/%s", conf.logs_dir, REQUESTS_LOG);
    rc = read_rotated(&r, e);
    if (!rc)
        rc = read_plain(&r, path, e);
    json_end(&r.json);
    buf_free(&r.scratch);
    return rc;
}
