/* pending: what was in flight in the run before, a line each of the file pending:
 *
 *     KEY SINCE RUN
 *
 * KEY is 24 hex digits of the key's digest; SINCE the time stamp, in microseconds, of the
 * version that had not arrived on both sides; RUN when that was seen first, in ms. The
 * file is replaced before the run is noted in the ledger: what stands there of a run that
 * was not noted, for it was killed in between, does not count as seen. */
#include "base/grow.h"
#include "base/made.h"
#include "base/stop.h"
#include "mirror-compare/compare.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_ROOM_HERE = 256 };

struct flight {
    uint64_t key;
    uint32_t more_key;
    int64_t since_us, run_ms;
};

struct pending {
    char *path, *aside;
    struct flight *before;
    size_t n, room;
    struct out now;  /* the file in the making; fd is -1 until there is something */
    int64_t last_ms; /* of the last comparison that was noted; errors are none */
};

static int by_key(const void *a, const void *b)
{
    const struct flight *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->more_key > y->more_key) - (x->more_key < y->more_key);
}

/* --- the file of the run before --------------------------------------------------- */

static int parse(struct span line, struct flight *f)
{
    char text[LINE_ROOM_HERE], end;

    if (line.n >= sizeof text)
        return -1;
    memcpy(text, line.p, line.n);
    text[line.n] = '\0';
    return sscanf(text, "%8" SCNx32 "%16" SCNx64 " %" SCNd64 " %" SCNd64 "%c", &f->more_key,
                  &f->key, &f->since_us, &f->run_ms, &end) == 4
               ? 0
               : -1;
}

static int keep(struct pending *p, const struct flight *f)
{
    struct flight *more = grow(p->before, p->n, &p->room, sizeof *more);

    if (!more)
        return -1;
    p->before = more;
    p->before[p->n++] = *f;
    return 0;
}

static int read_before(struct pending *p, int fd, struct err *e)
{
    struct line_reader in;
    enum line_result got;
    struct line l;
    int rc = 0;

    line_open(&in, fd, p->path, LINE_ROOM_HERE);
    while (!rc && (got = line_next(&in, true, &l, e)) != LINE_EOF) {
        struct flight f;

        if (got == LINE_ERROR)
            rc = -1;
        else if (got == LINE_NONE)
            rc = stop_signal() ? err_set(e, EX_TEMPFAIL, "stopped while %s was read", p->path) : 0;
        else if (got == LINE_LONG || parse(l.text, &f))
            rc = err_set(e, EX_DATAERR, "%s:%llu: not what mirror-compare wrote there", p->path,
                         (unsigned long long)l.number);
        else if (keep(p, &f))
            rc = err_memory(e);
        line_release(&in);
    }
    line_close(&in);
    if (p->n)
        qsort(p->before, p->n, sizeof *p->before, by_key);
    return rc;
}

static int load(struct pending *p, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(p->path, O_RDONLY | O_CLOEXEC)), rc;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, EX_NOINPUT, "unable to open %s", p->path);
    rc = read_before(p, fd, e);
    close(fd);
    return rc;
}

int pending_open(struct compare *c, struct err *e)
{
    struct pending *p = calloc(1, sizeof *p);
    struct ledger l;

    c->pending = p;
    if (!p)
        return err_memory(e);
    p->now.fd = -1;
    if (asprintf(&p->path, "%s/pending", c->plan->status_dir) < 0)
        p->path = NULL;
    if (asprintf(&p->aside, "%s/pending.new", c->plan->status_dir) < 0)
        p->aside = NULL;
    if (!p->path || !p->aside)
        return err_memory(e);
    if (ledger_read(c->plan->status_dir, &l, e))
        return -1;
    p->last_ms = l.last_ok_ms > l.last_ng_ms ? l.last_ok_ms : l.last_ng_ms;
    return load(p, e);
}

void pending_close(struct compare *c)
{
    struct pending *p = c->pending;

    if (!p)
        return;
    if (p->now.fd >= 0) {
        out_close(&p->now);
        close(p->now.fd);
        unlink(p->aside);
    }
    free(p->path);
    free(p->aside);
    free(p->before);
    free(p);
    c->pending = NULL;
}

/* --- that of this run --------------------------------------------------------------- */

static const struct flight *seen_before(const struct compare *c, const struct flight *f)
{
    const struct pending *p = c->pending;
    const struct flight *was = p->n ? bsearch(f, p->before, p->n, sizeof *f, by_key) : NULL;

    /* One from the future: the clock was put back, and it may well have been noted. */
    return was && (was->run_ms <= p->last_ms || was->run_ms > c->now_ms) ? was : NULL;
}

static int write_flight(struct pending *p, const struct flight *f, struct err *e)
{
    struct buf b = {0};
    int rc = 0;

    if (p->now.fd < 0)
        p->now.fd = made_open(p->aside, O_WRONLY | O_TRUNC, 0644);
    if (p->now.fd < 0)
        return err_sys(e, EX_CANTCREAT, "unable to make %s", p->aside);
    if (buf_printf(&b, "%08" PRIx32 "%016" PRIx64 " %" PRId64 " %" PRId64 "\n", f->more_key, f->key,
                   f->since_us, f->run_ms))
        rc = err_memory(e);
    else if (out_add(&p->now, b.data, b.len))
        rc = err_sys(e, EX_IOERR, "unable to write %s", p->aside);
    buf_free(&b);
    return rc;
}

int pending_note(struct compare *c, const struct join_entry *key, int64_t since_us,
                 const int64_t *lagging_us, bool *stuck, struct err *e)
{
    struct flight f = {key->key, key->more_key, since_us, c->now_ms};
    const struct flight *was = seen_before(c, &f);

    *stuck = was && !(lagging_us && since_us > was->since_us &&
                      *lagging_us + c->plan->rules.ts_tolerance_us >= was->since_us);
    if (*stuck)
        f.run_ms = was->run_ms;
    return write_flight(c->pending, &f, e);
}

int pending_overdue(struct compare *c, const struct join_entry *key, int64_t has_us, bool *overdue,
                    struct err *e)
{
    const struct flight f = {.key = key->key, .more_key = key->more_key};
    const struct flight *was = c->pending ? seen_before(c, &f) : NULL;

    *overdue = was && has_us + c->plan->rules.ts_tolerance_us < was->since_us;
    return *overdue ? write_flight(c->pending, was, e) : 0;
}

int pending_keep(struct compare *c, struct err *e)
{
    struct pending *p = c->pending;
    int fd = p->now.fd, rc = 0;

    if (fd < 0)
        return unlink(p->path) && errno != ENOENT
                   ? err_sys(e, EX_IOERR, "unable to remove %s", p->path)
                   : 0;
    if (out_close(&p->now) || fsync(fd))
        rc = err_sys(e, EX_IOERR, "unable to write %s", p->aside);
    if (close(fd) && !rc)
        rc = err_sys(e, EX_IOERR, "unable to write %s", p->aside);
    p->now.fd = -1;
    if (!rc && rename(p->aside, p->path))
        rc = err_sys(e, EX_CANTCREAT, "unable to put %s in place", p->path);
    if (rc)
        unlink(p->aside);
    return rc;
}
