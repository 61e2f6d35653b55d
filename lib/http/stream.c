#include "http/stream.h"

#include "base/clock.h"
#include "base/stop.h"
#include "core/watch.h"
#include "store/cache.h"
#include "store/query.h"
#include "store/queueview.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of each topic at a time; what one large event made of the memory is given back. */
enum { WAVE = 250, WAVE_BYTES = 256 << 10, ROOM_KEPT = 2 << 20 };

/* A pipe that can be written to takes so much without waiting. */
enum { BLOCK = 4096 };

/* How often to look where the kernel has no inotify instance left for us. */
enum { LOOK_MS = 500 };

struct run {
    struct stream *s;
    struct store *st;
    struct query query;
    struct view view;
    struct cache cache;
    struct watch watch; /* fd -1: there is none */
    int64_t heartbeat_ms, patience_ms;
    struct stream_place place;
    char told[STREAM_ID_TEXT]; /* the last id in out */
    struct buf out;
    size_t from;      /* where the topic begins there */
    int64_t spoken;   /* ms of this boot: when something was written last */
    bool has_changed; /* the store is not the one any more that place is of */
};

/* --- ids ---------------------------------------------------------------- */

/* "~" LETTER NUMBER at *p, the number as it would be written. */
static bool take_change(const char **p, const char *end, char letter, int64_t *n)
{
    const char *at = *p;

    *n = 0;
    if (end - at < 3 || at[0] != '~' || at[1] != letter)
        return false;
    at += 2;
    if (*at == '0' && at + 1 < end && at[1] >= '0' && at[1] <= '9')
        return false;
    for (*p = at; at < end && *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(*n, 10, n) || __builtin_add_overflow(*n, *at - '0', n))
            return false;
    if (at == *p)
        return false;
    *p = at;
    return true;
}

int stream_place_parse(struct span text, struct stream_place *p)
{
    const char *at = text.n ? memchr(text.p, '~', text.n) : NULL, *end;
    struct span cursor, store, check;
    int64_t seq;

    *p = (struct stream_place){.job = 0};
    if (!at)
        return -1;
    end = text.p + text.n;
    cursor = (struct span){text.p, (size_t)(at - text.p)};
    if (!cursor_wellformed(cursor, &store, &seq, &check))
        return -1;
    memcpy(p->cursor, cursor.p, cursor.n);
    return take_change(&at, end, 'j', &p->job) && take_change(&at, end, 'c', &p->cache) && at == end
               ? 0
               : -1;
}

size_t stream_place_text(const struct stream_place *p, char out[STREAM_ID_TEXT])
{
    return (size_t)snprintf(out, STREAM_ID_TEXT, "%s~j%lld~c%lld", p->cursor, (long long)p->job,
                            (long long)p->cache);
}

/* --- messages ----------------------------------------------------------- */

static int add_id(struct run *r)
{
    stream_place_text(&r->place, r->told);
    return buf_adds(&r->out, "id: ") || buf_adds(&r->out, r->told) || buf_addc(&r->out, '\n');
}

static int begin_message(struct run *r, const char *event, size_t *data)
{
    if (add_id(r) || buf_adds(&r->out, "event: ") || buf_adds(&r->out, event) ||
        buf_adds(&r->out, "\ndata: "))
        return -1;
    *data = r->out.len;
    return 0;
}

/* Ends a line of JSON, its LF written or not. There is no other in what lifeboat has
 * written; in what another program put into the tables it would end the message. */
static int end_message(struct run *r, size_t data)
{
    char *p = r->out.data + data, *end;

    if (r->out.data[r->out.len - 1] == '\n')
        r->out.len--;
    end = r->out.data + r->out.len;
    for (char *at = p; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        *at = ' ';
    for (char *at = p; (at = memchr(at, '\r', (size_t)(end - at))); at++)
        *at = ' ';
    return buf_add(&r->out, "\n\n", 2);
}

/* --- places ------------------------------------------------------------- */

static int last_changes(struct run *r, int64_t *job, int64_t *cache, struct err *e)
{
    *job = 0;
    if (r->st->version >= 2 && view_last_change(&r->view, job, e))
        return -1;
    return cache_last_change(&r->cache, cache, e);
}

/* Is there, in this store, what the place names? 1, 0 or -1. */
static int fits(struct run *r, struct err *e)
{
    int64_t job, cache;

    if (last_changes(r, &job, &cache, e))
        return -1;
    if (r->place.job > job || r->place.cache > cache)
        return 0;
    if (cursor_resolve(r->st, r->place.cursor, &r->query.after, e))
        return e->status == EX_PROTOCOL ? 0 : -1;
    return 1;
}

static int go_to_end(struct run *r, struct err *e)
{
    int64_t newest;

    if (query_newest(r->st, &newest, e) || cursor_make(r->st, newest, r->place.cursor, e))
        return -1;
    return last_changes(r, &r->place.job, &r->place.cache, e);
}

/* --- a wave ------------------------------------------------------------- */
/* Each reader: 1 when there is more of its topic than it has read, 0 when there is
 * not, -1. */

static bool is_enough(const struct run *r)
{
    return r->out.len - r->from >= WAVE_BYTES;
}

static int add_event(struct run *r, const struct event *ev, struct err *e)
{
    char check[DIGEST_TEXT];
    size_t data;

    digest_text(ev->digest, check);
    snprintf(r->place.cursor, CURSOR_TEXT, "%s:%lld:%.8s", r->st->id, (long long)ev->seq, check);
    return begin_message(r, "event", &data) || event_write(ev, true, &r->out) ||
                   end_message(r, data)
               ? err_memory(e)
               : 0;
}

static int read_events(struct run *r, struct err *e)
{
    struct event ev;
    int64_t newest;
    int rc = 1, n = 0;

    if (query_newest(r->st, &newest, e) || query_open(&r->query, r->st, e))
        return -1;
    while (rc == 1 && !is_enough(r) && (rc = query_next(&r->query, &ev, e)) == 1) {
        if (add_event(r, &ev, e))
            rc = -1;
        n++;
    }
    stmt_reset(&r->query.stmt);
    if (rc)
        return rc;
    if (n == WAVE)
        return 1;
    /* What came last may be of another actor. */
    return cursor_make(r->st, newest, r->place.cursor, e);
}

static int add_job(void *ctx, struct view *v, struct err *e)
{
    struct run *r = ctx;
    size_t data;

    r->place.job = view_int(v, VIEW_CHANGE);
    if (begin_message(r, "job", &data) || view_json(v, &r->out) || end_message(r, data))
        return err_memory(e);
    return is_enough(r);
}

static int read_jobs(struct run *r, struct err *e)
{
    static const struct span all = {NULL, 0};

    return r->st->version < 2 ? 0 : view_changes(&r->view, all, r->place.job, add_job, r, e);
}

static int add_name(struct run *r, struct span name)
{
    return name.p ? json_quote(name, &r->out) : buf_adds(&r->out, "null");
}

static int add_invalid(void *ctx, const struct cache_change *x, struct err *e)
{
    struct run *r = ctx;
    size_t data;

    r->place.cache = x->change;
    if (begin_message(r, "cache", &data) || buf_adds(&r->out, "{\"namespace\":") ||
        add_name(r, x->ns) || buf_adds(&r->out, ",\"key\":") || add_name(r, x->key) ||
        buf_addc(&r->out, '}') || end_message(r, data))
        return err_memory(e);
    return is_enough(r);
}

static int read_cache(struct run *r, struct err *e)
{
    int rc = cache_reaches(&r->cache, r->place.cache, e);
    size_t data;

    if (rc == 1)
        return cache_changes(&r->cache, r->place.cache, add_invalid, r, e);
    if (rc < 0 || cache_last_change(&r->cache, &r->place.cache, e))
        return -1;
    return begin_message(r, "cache", &data) || buf_adds(&r->out, "{\"all\":true}") ||
                   end_message(r, data)
               ? err_memory(e)
               : 0;
}

static int read_topics(struct run *r, struct err *e)
{
    static int (*const readers[])(struct run *, struct err *) = {read_events, read_jobs,
                                                                 read_cache};
    int rc = fits(r, e), more = 0;

    r->has_changed = rc == 0;
    for (int i = 0; rc == 1 && i < 3; i++) {
        if (!(r->s->topics & 1U << i))
            continue;
        r->from = r->out.len;
        more |= readers[i](r, e);
        if (more < 0)
            return -1;
    }
    return rc < 0 ? -1 : more;
}

/* What is new, into memory. 1: that is not all. */
static int read_wave(struct run *r, struct err *e)
{
    int rc;

    if (r->out.cap > ROOM_KEPT)
        buf_free(&r->out);
    buf_clear(&r->out);
    r->has_changed = !store_in_place(r->st);
    if (r->has_changed)
        return 0;
    rc = store_look_again(r->st, e) || store_snapshot(r->st, e) ? -1 : read_topics(r, e);
    store_snapshot_end(r->st);
    return rc;
}

/* --- writing ------------------------------------------------------------ */

/* Writes out. 0; 1: there is nobody to write to any more, or a signal came. */
static int speak(struct run *r, struct err *e)
{
    struct pollfd p = {.fd = r->s->out_fd, .events = POLLOUT};
    size_t at = 0;

    while (at < r->out.len) {
        size_t rest = r->out.len - at;
        int rc = stop_poll(&p, 1, r->patience_ms);
        ssize_t n;

        if (rc < 0 && errno == EINTR && !stop_signal())
            continue;
        if (rc < 0 && errno != EINTR)
            return err_sys(e, EX_IOERR, "unable to wait for the stream's reader");
        if (rc <= 0 || p.revents & (POLLERR | POLLHUP | POLLNVAL))
            return 1;
        n = write(p.fd, r->out.data + at, rest < BLOCK ? rest : BLOCK);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 1;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_sys(e, EX_IOERR, "unable to write the stream");
        at += n > 0 ? (size_t)n : 0;
        r->s->bytes += n > 0 ? n : 0;
    }
    if (at)
        r->spoken = clock_boot_ms();
    return 0;
}

/* The place the reader came with, or the end: it is told which. */
static int greet(struct run *r, struct err *e)
{
    const char *last = r->s->last_id;
    bool comes_again = last && *last;
    size_t data;
    int rc = 0;

    if (store_look_again(r->st, e) || store_snapshot(r->st, e))
        return -1;
    if (comes_again && !stream_place_parse(span_of(last), &r->place))
        rc = fits(r, e);
    if (!rc && go_to_end(r, e))
        rc = -1;
    store_snapshot_end(r->st);
    if (rc < 0)
        return -1;
    if (buf_adds(&r->out, "retry: 3000\n\n"))
        return err_memory(e);
    if (rc || !comes_again)
        return add_id(r) || buf_addc(&r->out, '\n') ? err_memory(e) : speak(r, e);
    return begin_message(r, "reset", &data) ||
                   buf_printf(&r->out, "{\"store_id\":\"%s\"}", r->st->id) || end_message(r, data)
               ? err_memory(e)
               : speak(r, e);
}

/* The reader keeps the id it has: with it, it will be told the new store's. */
static int take_leave(struct run *r, struct err *e)
{
    buf_clear(&r->out);
    if (buf_adds(&r->out, "event: reset\ndata: {\"store_id\":null}\n\n"))
        return err_memory(e);
    return speak(r, e) < 0 ? -1 : 1;
}

/* All that is new. 1: that was the end. */
static int tell(struct run *r, struct err *e)
{
    int more, rc;

    do {
        more = read_wave(r, e);
        if (more < 0)
            return -1;
        if (r->has_changed)
            return take_leave(r, e);
        rc = speak(r, e);
    } while (!rc && more && !stop_signal());
    return rc;
}

/* Says that we are there, and where, if no message has. */
static int beat(struct run *r, struct err *e)
{
    char here[STREAM_ID_TEXT];

    stream_place_text(&r->place, here);
    buf_clear(&r->out);
    if (buf_adds(&r->out, ": \n") || (strcmp(here, r->told) && add_id(r)) ||
        buf_addc(&r->out, '\n'))
        return err_memory(e);
    return speak(r, e);
}

/* Until there may be something new. 1: that will not be. */
static int await(struct run *r, struct err *e)
{
    struct pollfd p[2] = {{.fd = r->watch.fd, .events = POLLIN}, {.fd = r->s->out_fd}};
    bool is_watching = p[0].fd >= 0;

    for (;;) {
        int64_t left = r->spoken + r->heartbeat_ms - clock_boot_ms();
        int rc;

        if (left <= 0)
            return beat(r, e);
        rc = stop_poll(p, 2, is_watching || left < LOOK_MS ? left : LOOK_MS);
        if (rc < 0 && errno != EINTR)
            return err_sys(e, EX_IOERR, "unable to wait for the store");
        if (stop_signal() || (rc > 0 && p[1].revents))
            return 1;
        if (rc > 0 && is_watching)
            watch_clear(&r->watch);
        if (rc > 0 || !is_watching)
            return 0;
    }
}

int stream_run(struct stream *s, struct err *e)
{
    struct run r = {.s = s, .st = s->st};
    int rc;

    r.heartbeat_ms = s->heartbeat_ms ? s->heartbeat_ms : STREAM_HEARTBEAT_MS;
    r.patience_ms = s->patience_ms ? s->patience_ms : STREAM_PATIENCE_MS;
    r.query = (struct query){.actor = s->actor, .limit = WAVE};
    watch_open(&r.watch, s->st, e);
    *e = (struct err)ERR_NONE;
    rc = view_open(&r.view, s->st, e) || cache_open(&r.cache, s->st, e) ? -1 : greet(&r, e);
    while (!rc && !stop_signal()) {
        rc = tell(&r, e);
        if (!rc && !stop_signal())
            rc = await(&r, e);
    }
    watch_close(&r.watch);
    query_close(&r.query);
    view_close(&r.view);
    cache_close(&r.cache);
    buf_free(&r.out);
    return rc < 0 ? -1 : 0;
}
