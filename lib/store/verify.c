#include "store/verify.h"

#include "base/clock.h"
#include "base/stop.h"
#include "core/cursor.h"
#include "core/row.h"
#include "text/hlc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One run. */
struct run {
    struct verify *v;
    struct store *st;
    struct event_parser parser;
    struct arena arena;
    struct buf line;
    struct hlc clock, newest; /* the store's; of the events it should know */
    int64_t believable;       /* ms up to which an event moves the clock */
};

static __attribute__((format(printf, 3, 4))) void problem(struct run *r, const char *where,
                                                          const char *fmt, ...)
{
    char why[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    r->v->problem(r->v->ctx, where, why);
}

/* "KIND ID", for ids that may be anything by now. */
static const char *name(char room[static 256], const char *kind, struct span id)
{
    snprintf(room, 256, "%s %.*s", kind, (int)(id.n < 200 ? id.n : 200), id.p ? id.p : "");
    return room;
}

/* --- SQLite's own checks ------------------------------------------------ */

/* An answer of several lines, perhaps with a heading, is several problems. */
static void tell_lines(struct run *r, struct span text)
{
    static const char heading[] = "*** in database";

    while (text.n) {
        const char *lf = memchr(text.p, '\n', text.n);
        size_t n = lf ? (size_t)(lf - text.p) : text.n, passed = lf ? n + 1 : n;
        bool heads = n >= sizeof heading - 1 && !memcmp(text.p, heading, sizeof heading - 1);

        if (n && !heads && !span_eq(text, SPAN("ok")))
            problem(r, "database", "%.*s", (int)n, text.p);
        text = (struct span){text.p + passed, text.n - passed};
    }
}

/* What the disk refuses to give, or memory has no room for, is reported like damage:
 * it only cannot be seen. */
static int check_pragma(struct run *r, const char *sql, struct err *e)
{
    struct stmt s = {.sql = sql};
    int rc;

    if (stmt_ready(&s, &r->st->db, e))
        return -1;
    errno = 0;
    while ((rc = stmt_step(&s, e)) == 1) {
        if (errno == EIO || errno == ENOMEM) {
            rc = err_sys(e, EX_IOERR, "%s: unable to read", r->st->path);
            break;
        }
        tell_lines(r, stmt_span(&s, 0));
    }
    stmt_free(&s);
    return rc;
}

/* --- events ------------------------------------------------------------- */

/* Its line, as an export writes it, must be read as the same event. */
static int check_line(struct run *r, const char *where, const struct event *ev, struct err *e)
{
    struct event_fault fault;
    struct event again;

    r->line.len = 0;
    arena_reset(&r->arena);
    if (event_write(ev, true, &r->line))
        return err_memory(e);
    if (event_parse(&r->parser, (struct span){r->line.data, r->line.len - 1}, &r->arena, &again,
                    &fault)) {
        if (fault.no_memory)
            return err_memory(e);
        problem(r, where, "its line would be refused: byte %zu: %s", fault.offset, fault.why);
        return 0;
    }
    event_digest(&again);
    if (!digest_eq(again.digest, ev->digest) || !span_eq(again.payload, ev->payload) ||
        again.extra.n != ev->extra.n || (ev->extra.n && !span_eq(again.extra, ev->extra)))
        problem(r, where, "not in canonical form: its line is read as another event");
    return 0;
}

static void observe_clock(struct run *r, const char *where, const struct event *ev)
{
    struct hlc h;

    if (hlc_parse(ev->text[EVENT_HLC], &h))
        problem(r, where, "hlc: not an HLC");
    else if (h.ms <= r->believable)
        hlc_merge(&r->newest, h);
}

static int check_event(struct run *r, struct event *ev, struct err *e)
{
    char room[256], here[DIGEST_TEXT], there[DIGEST_TEXT];
    const char *where = name(room, "event", ev->text[EVENT_ID]);
    struct digest stored = ev->digest;
    int rc = 0;

    observe_clock(r, where, ev);
    if (!event_id_ok(ev->text[EVENT_ID]))
        problem(r, where, "event_id: wants 1 to 128 of A-Z a-z 0-9 . _ : -");
    if (event_redigest(&r->parser, ev)) {
        problem(r, where, "its payload or its unknown members are not JSON");
        ev->digest = stored;
    } else if (!digest_eq(stored, ev->digest)) {
        digest_text(stored, here);
        digest_text(ev->digest, there);
        problem(r, where, "its digest is %s, that of its content %s", here, there);
    } else {
        rc = check_line(r, where, ev, e);
    }
    r->v->events++;
    r->v->event(r->v->ctx, ev);
    return rc;
}

static int check_events(struct run *r, struct err *e)
{
    struct stmt s = {.sql = "SELECT " ROW_COLUMNS " FROM events ORDER BY seq"};
    struct event ev;
    int rc;

    if (stmt_ready(&s, &r->st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1 && !stop_signal()) {
        char room[256];

        if (row_read(&s, &ev)) {
            r->v->events++;
            problem(r, name(room, "event", stmt_span(&s, 1)), "its digest has not 16 bytes");
        } else if (check_event(r, &ev, e)) {
            rc = -1;
            break;
        }
        if (r->v->events % 1024 == 0)
            r->v->step(r->v->ctx, r->v->events);
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* --- conflicts ---------------------------------------------------------- */

static int check_variant(struct run *r, struct stmt *s, struct err *e)
{
    struct span id = stmt_span(s, 0), digest = stmt_span(s, 1), stored = stmt_span(s, 3);
    struct event_fault fault;
    struct event ev;
    char room[256];
    const char *where = name(room, "conflict", id);

    arena_reset(&r->arena);
    if (event_parse(&r->parser, stmt_span(s, 2), &r->arena, &ev, &fault)) {
        if (fault.no_memory)
            return err_memory(e);
        problem(r, where, "its line is no event: byte %zu: %s", fault.offset, fault.why);
        return 0;
    }
    event_digest(&ev);
    if (!ev.text[EVENT_ID].p || !span_eq(ev.text[EVENT_ID], id))
        problem(r, where, "its line is an event of another id");
    if (digest.n != DIGEST_BYTES ||
        !digest_eq(digest_of_bytes((const uint8_t *)digest.p), ev.digest))
        problem(r, where, "its digest is not that of its line");
    if (!stored.p)
        problem(r, where, "there is no event of this id");
    else if (span_eq(stored, digest))
        problem(r, where, "the same as the event of this id, so no conflict");
    return 0;
}

static int check_conflicts(struct run *r, struct err *e)
{
    struct stmt s = {.sql = "SELECT c.event_id, c.digest, c.event_json, v.digest FROM conflicts c "
                            "LEFT JOIN events v ON v.event_id = c.event_id "
                            "ORDER BY c.conflict_id"};
    int rc;

    if (stmt_ready(&s, &r->st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        r->v->conflicts++;
        if (check_variant(r, &s, e)) {
            rc = -1;
            break;
        }
    }
    stmt_free(&s);
    return rc;
}

/* --- the store's own words ---------------------------------------------- */

static int read_clock(struct run *r, struct err *e)
{
    int64_t now = clock_now_ms();
    char *text;

    if (store_meta_get(r->st, "hlc", &text, e))
        return -1;
    if (!text || hlc_parse(span_of(text), &r->clock))
        problem(r, "clock", "the one in the meta table is not an HLC");
    free(text);
    r->believable = (r->clock.ms > now ? r->clock.ms : now) + r->v->max_drift_ms;
    return 0;
}

static void compare_clock(struct run *r)
{
    char ours[18], theirs[18], why[200];

    if (hlc_cmp(r->clock, r->newest) >= 0)
        return;
    hlc_format(r->clock, ours);
    hlc_format(r->newest, theirs);
    snprintf(why, sizeof why,
             "it reads %s, the newest event %s; right only if that one came while it was far "
             "ahead",
             ours, theirs);
    r->v->oddity(r->v->ctx, "clock", why);
}

static int check_restores(struct run *r, struct err *e)
{
    struct stmt s = {.sql = "SELECT restore_session_id, attempt, events_received = events_inserted "
                            "+ events_already_present + events_rejected AND conflicts <= "
                            "events_rejected AND min(events_inserted, events_already_present, "
                            "events_rejected, conflicts) >= 0, status IN ('IN_PROGRESS', "
                            "'INTERRUPTED', 'COMPLETED', 'PARTIAL', 'FAILED') FROM restore_log"};
    int rc;

    if (stmt_ready(&s, &r->st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        char room[256];
        const char *where = name(room, "restore", stmt_span(&s, 0));

        if (!stmt_int(&s, 2))
            problem(r, where, "attempt %lld: its counters do not add up",
                    (long long)stmt_int(&s, 1));
        if (!stmt_int(&s, 3))
            problem(r, where, "attempt %lld: it has no status there is",
                    (long long)stmt_int(&s, 1));
    }
    stmt_free(&s);
    return rc;
}

static int check_sources(struct run *r, struct err *e)
{
    struct stmt s = {.sql = "SELECT name, cursor FROM sources"};
    struct span store, check;
    int64_t seq;
    int rc;

    if (stmt_ready(&s, &r->st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        struct span cursor = stmt_span(&s, 1);
        char room[256];

        if (!span_eq(cursor, SPAN("start")) && !cursor_wellformed(cursor, &store, &seq, &check))
            problem(r, name(room, "source", stmt_span(&s, 0)), "its cursor is not one");
    }
    stmt_free(&s);
    return rc;
}

/* --- all of it ---------------------------------------------------------- */

static int on_progress(void *ctx)
{
    (void)ctx;
    return stop_signal();
}

static int check_all(struct run *r, struct err *e)
{
    if (store_snapshot(r->st, e) || check_pragma(r, "PRAGMA integrity_check(20)", e) ||
        check_pragma(r, "PRAGMA foreign_key_check", e) || read_clock(r, e) || check_events(r, e) ||
        check_conflicts(r, e) || check_restores(r, e) || check_sources(r, e))
        return -1;
    compare_clock(r);
    return 0;
}

int verify_store(struct verify *v, struct store *st, struct err *e)
{
    struct run r = {.v = v, .st = st};
    int rc;

    sqlite3_progress_handler(st->db.handle, 100000, on_progress, NULL);
    rc = check_all(&r, e);
    sqlite3_progress_handler(st->db.handle, 0, NULL, NULL);
    store_snapshot_end(st);
    event_parser_free(&r.parser);
    arena_free(&r.arena);
    buf_free(&r.line);
    if (stop_signal())
        return err_set(e, EX_TEMPFAIL, "%s: stopped before its end", st->path);
    return rc;
}
