#include "store/events.h"

#include "base/clock.h"
#include "core/row.h"
#include "text/show.h"
#include "text/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- statements --------------------------------------------------------- */

struct intake_sql {
    struct stmt insert, find, newest, count, correlation, conflict, seen, see;
    struct stmt earlier, flags, clock, set_clock, any;
};

static const struct intake_sql texts = {
    .insert = {.sql = "INSERT INTO events(event_id, digest, site_id, entity_type, entity_id, "
                      "entity_version, actor_id, actor_name, actor_role, device_id, ts_device, "
                      "ts_server, hlc, event_type, schema_version, correlation_id, causation_id, "
                      "synced, acknowledged, payload_json, extra_json) "
                      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                      "?16, ?17, ?18, ?19, ?20, ?21) ON CONFLICT(event_id) DO NOTHING"},
    .find = {.sql = "SELECT " ROW_COLUMNS " FROM events WHERE event_id = ?1"},
    .newest = {.sql = "SELECT max(hlc) FROM events WHERE entity_type = ?1 AND entity_id = ?2"},
    .count = {.sql = "SELECT count(*) FROM events WHERE entity_type = ?1 AND entity_id = ?2"},
    .correlation = {.sql = "SELECT correlation_id FROM events WHERE event_id = ?1"},
    .conflict = {.sql = "INSERT INTO conflicts(event_id, digest, event_json, restore_session_id, "
                        "received_at) VALUES(?1, ?2, ?3, ?4, ?5) "
                        "ON CONFLICT(event_id, digest) DO NOTHING"},
    .seen = {.sql = "SELECT digest FROM temp.seen WHERE event_id = ?1"},
    .see = {.sql = "INSERT INTO temp.seen(event_id, digest) VALUES(?1, ?2)"},
    .earlier = {.sql = "UPDATE events SET ts_server = ?2 WHERE seq = ?1 AND "
                       "(ts_server IS NULL OR ts_server > ?2)"},
    .flags = {.sql = "UPDATE events SET synced = max(synced, ?2), "
                     "acknowledged = max(acknowledged, ?3) WHERE seq = ?1"},
    .clock = {.sql = "SELECT value FROM meta WHERE key = 'hlc'"},
    .set_clock = {.sql = "UPDATE meta SET value = ?1 WHERE key = 'hlc'"},
    .any = {.sql = "SELECT EXISTS(SELECT 1 FROM events)"},
};

int intake_open(struct intake *in, struct err *e)
{
    in->sql = malloc(sizeof *in->sql);
    if (!in->sql)
        return err_memory(e);
    *in->sql = texts;
    if (!in->dry)
        return 0;
    return db_exec(&in->st->db,
                   "CREATE TEMP TABLE seen(event_id TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID",
                   e);
}

void intake_close(struct intake *in)
{
    struct stmt *s = (struct stmt *)in->sql;

    for (size_t i = 0; s && i < sizeof *in->sql / sizeof *s; i++)
        stmt_free(&s[i]);
    free(in->sql);
    in->sql = NULL;
    known_free(&in->known);
    event_parser_free(&in->parser);
}

/* --- clock -------------------------------------------------------------- */

/* A blank box, or one whose clock is plainly wrong, believes its first
 * events: there is nothing better to go by. */
static int decide_adoption(struct intake *in, struct err *e)
{
    struct stmt *s = &in->sql->any;
    int rc;

    in->started = true;
    if (in->adopt_clock || clock_now_ms() < clock_build_ms()) {
        in->adopt_clock = true;
        return 0;
    }
    if (stmt_ready(s, &in->st->db, e))
        return -1;
    rc = stmt_step(s, e);
    in->adopt_clock = rc == 1 && !stmt_int(s, 0);
    stmt_reset(s);
    return rc < 0 ? -1 : 0;
}

int intake_begin(struct intake *in, struct err *e)
{
    struct stmt *s = &in->sql->clock;
    bool first = !in->started;
    int rc;

    if (first && decide_adoption(in, e))
        return -1;
    if (in->unfinished) /* what was read in a transaction that came to nothing */
        known_clear(&in->known);
    in->unfinished = true;
    if (in->dry && !first) /* its clock goes on in memory */
        return 0;
    if (stmt_ready(s, &in->st->db, e))
        return -1;
    rc = stmt_step(s, e);
    if (rc == 1)
        rc =
            hlc_parse(stmt_span(s, 0), &in->clock)
                ? err_set(e, EX_DATAERR, "%s: the clock in its meta table is not one", in->st->path)
                : 0;
    stmt_reset(s);
    in->clock_moved = false;
    return rc;
}

int intake_end(struct intake *in, struct err *e)
{
    struct stmt *s = &in->sql->set_clock;
    char text[18];

    in->unfinished = false;
    if (!in->clock_moved || in->dry)
        return 0;
    hlc_format(in->clock, text);
    if (stmt_ready(s, &in->st->db, e))
        return -1;
    stmt_bind_span(s, 1, span_of(text));
    return stmt_run(s, e);
}

/* An event from elsewhere moves our clock, unless its own is far ahead. */
static void observe_clock(struct intake *in, const struct event *ev)
{
    int64_t now = clock_now_ms();
    struct hlc theirs;

    if (hlc_parse(ev->text[EVENT_HLC], &theirs) || hlc_cmp(theirs, in->clock) <= 0)
        return;
    if (now < in->clock.ms)
        now = in->clock.ms;
    if (theirs.ms > now + in->max_drift_ms) {
        in->was_ahead = true;
        if (!in->adopt_clock)
            return;
    }
    hlc_merge(&in->clock, theirs);
    in->clock_moved = true;
}

/* --- an event that happens here and now --------------------------------- */

/* The newest clock of the event's entity; all zeros if it has none. */
static int newest_of_entity(struct intake *in, const struct event *ev, struct hlc *newest,
                            struct err *e)
{
    struct stmt *s = &in->sql->newest;
    int rc;

    *newest = (struct hlc){0};
    if (store_index_entities(in->st, e) || stmt_ready(s, &in->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ev->text[EVENT_ENTITY_TYPE]);
    stmt_bind_span(s, 2, ev->text[EVENT_ENTITY_ID]);
    rc = stmt_step(s, e);
    if (rc == 1)
        hlc_parse(stmt_span(s, 0), newest);
    stmt_reset(s);
    return rc < 0 ? -1 : 0;
}

static int refuse(struct intake *in, const char *why)
{
    snprintf(in->why, sizeof in->why, "%s", why);
    return PUT_REFUSED;
}

/* Ticks our clock; an entity that is ahead of it gets that one's successor,
 * for this event only, so that a late clock never hides a local edit. */
static int tick(struct intake *in, struct event *ev, struct arena *a, struct err *e)
{
    struct hlc newest, mine;
    char *text = arena_alloc(a, 18);

    if (!text)
        return err_memory(e);
    if (newest_of_entity(in, ev, &newest, e))
        return PUT_ERROR;
    if (hlc_send(&in->clock, ev->ts_device.v))
        return refuse(in, "the clock of this store has reached its end");
    in->clock_moved = true;
    mine = in->clock;
    if (hlc_cmp(newest, mine) >= 0) {
        in->overtook = true;
        mine = newest;
        if (hlc_next(&mine))
            return refuse(in, "the clock of this entity has reached its end");
    }
    hlc_format(mine, text);
    ev->text[EVENT_HLC] = (struct span){text, 17};
    return 0;
}

/* What this event's cause belongs to, it belongs to as well. */
static int inherit_correlation(struct intake *in, struct event *ev, struct arena *a, struct err *e)
{
    struct stmt *s = &in->sql->correlation;
    int rc;

    if (ev->text[EVENT_CORRELATION].p || !ev->text[EVENT_CAUSATION].p)
        return 0;
    if (stmt_ready(s, &in->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ev->text[EVENT_CAUSATION]);
    rc = stmt_step(s, e);
    if (rc == 1 && stmt_span(s, 0).p) {
        ev->text[EVENT_CORRELATION] = arena_span(a, stmt_span(s, 0));
        if (!ev->text[EVENT_CORRELATION].p)
            rc = err_memory(e);
    }
    stmt_reset(s);
    return rc < 0 ? -1 : 0;
}

static int check_version(struct intake *in, const struct event *ev, struct err *e)
{
    struct stmt *s = &in->sql->count;
    int64_t version = 0;
    int rc;

    if (in->expect < 0)
        return 0;
    if (store_index_entities(in->st, e) || stmt_ready(s, &in->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ev->text[EVENT_ENTITY_TYPE]);
    stmt_bind_span(s, 2, ev->text[EVENT_ENTITY_ID]);
    rc = stmt_step(s, e);
    if (rc == 1)
        version = stmt_int(s, 0);
    stmt_reset(s);
    if (rc < 0)
        return -1;
    if (version != in->expect) {
        struct buf name = {0};

        if (show_text(ev->text[EVENT_ENTITY_TYPE], true, &name) || buf_addc(&name, '/') ||
            show_text(ev->text[EVENT_ENTITY_ID], true, &name) || buf_term(&name)) {
            buf_free(&name);
            return err_memory(e);
        }
        snprintf(in->why, sizeof in->why, "expected version %lld of %.120s, but it has %lld",
                 (long long)in->expect, name.data, (long long)version);
        buf_free(&name);
        return PUT_REFUSED;
    }
    return 0;
}

static int complete(struct intake *in, struct event *ev, struct arena *a, struct err *e)
{
    char *id;
    int rc;

    if (!ev->text[EVENT_ID].p) {
        id = arena_alloc(a, 37);
        if (!id)
            return err_memory(e);
        if (uuid7_new(id, e))
            return PUT_ERROR;
        ev->text[EVENT_ID] = (struct span){id, 36};
    }
    ev->ts_device = (struct event_int){true, clock_now_ms()};
    rc = tick(in, ev, a, e);
    if (rc)
        return rc;
    if (!ev->text[EVENT_DEVICE].p)
        ev->text[EVENT_DEVICE] = span_of(in->st->device);
    return inherit_correlation(in, ev, a, e);
}

/* --- the same id -------------------------------------------------------- */

static int find(struct intake *in, struct span id, struct event *stored, struct err *e)
{
    struct stmt *s = &in->sql->find;
    int rc;

    if (stmt_ready(s, &in->st->db, e))
        return -1;
    stmt_bind_span(s, 1, id);
    rc = stmt_step(s, e);
    if (rc == 1 && row_read(s, stored))
        return err_set(e, EX_DATAERR, "%s: event %.*s has no digest", in->st->path, (int)id.n,
                       id.p);
    return rc;
}

static int keep_variant(struct intake *in, const struct event *ev, struct err *e)
{
    struct stmt *s = &in->sql->conflict;
    struct buf line = {0};
    uint8_t digest[DIGEST_BYTES];
    int rc = -1;

    if (event_write(ev, false, &line)) {
        buf_free(&line);
        return err_memory(e);
    }
    digest_bytes(ev->digest, digest);
    if (!stmt_ready(s, &in->st->db, e)) {
        stmt_bind_span(s, 1, ev->text[EVENT_ID]);
        stmt_bind_blob(s, 2, digest, sizeof digest);
        stmt_bind_span(s, 3, (struct span){line.data, line.len - 1});
        stmt_bind_span(s, 4, in->session ? span_of(in->session) : (struct span){NULL, 0});
        stmt_bind_int(s, 5, clock_now_ms());
        rc = stmt_run(s, e);
    }
    buf_free(&line);
    return rc;
}

static enum put_result conflict(struct intake *in, struct event *ev, struct digest stored,
                                struct err *e)
{
    char here[DIGEST_TEXT], there[DIGEST_TEXT];

    digest_text(stored, here);
    digest_text(ev->digest, there);
    snprintf(
        in->why, sizeof in->why,
        "event %.*s: its id is taken by other content (stored %s, this %s); kept as a conflict",
        (int)ev->text[EVENT_ID].n, ev->text[EVENT_ID].p, here, there);
    in->conflicts++;
    return in->dry || !keep_variant(in, ev, e) ? PUT_CONFLICT : PUT_ERROR;
}

static int run_on_row(struct stmt *s, struct store *st, int64_t seq, int64_t a, int64_t b, int n,
                      struct err *e)
{
    if (stmt_ready(s, &st->db, e))
        return -1;
    stmt_bind_int(s, 1, seq);
    stmt_bind_int(s, 2, a);
    if (n > 2)
        stmt_bind_int(s, 3, b);
    return stmt_run(s, e);
}

/* What an event that is already here may still bring: an earlier ts_server,
 * and its flags if these are kept. */
static int merge_own(struct intake *in, const struct event *ev, struct event *stored, struct err *e)
{
    if (in->dry)
        return 0;
    if (ev->ts_server.set && (!stored->ts_server.set || ev->ts_server.v < stored->ts_server.v)) {
        stored->ts_server = ev->ts_server;
        if (run_on_row(&in->sql->earlier, in->st, stored->seq, ev->ts_server.v, 0, 2, e))
            return -1;
    }
    if (in->keep_flags && (ev->synced > stored->synced || ev->acknowledged > stored->acknowledged))
        return run_on_row(&in->sql->flags, in->st, stored->seq, ev->synced, ev->acknowledged, 3, e);
    return 0;
}

static int echo(struct intake *in, const struct event *ev, struct err *e)
{
    return in->echo && event_write(ev, false, in->echo) ? err_memory(e) : 0;
}

static enum put_result meet(struct intake *in, struct event *ev, struct event *stored, bool same,
                            struct err *e)
{
    enum put_result rc = PUT_PRESENT;

    if (!same)
        rc = conflict(in, ev, stored->digest, e);
    else if (merge_own(in, ev, stored, e) || echo(in, stored, e))
        rc = PUT_ERROR;
    else
        in->present++;
    stmt_reset(&in->sql->find);
    return rc;
}

/* --- storing ------------------------------------------------------------ */

static void bind_event(struct stmt *s, const struct event *ev, const uint8_t *digest)
{
    static const struct {
        int at;
        enum event_text t;
    } texts_at[] = {{1, EVENT_ID},
                    {3, EVENT_SITE},
                    {4, EVENT_ENTITY_TYPE},
                    {5, EVENT_ENTITY_ID},
                    {7, EVENT_ACTOR_ID},
                    {8, EVENT_ACTOR_NAME},
                    {9, EVENT_ACTOR_ROLE},
                    {10, EVENT_DEVICE},
                    {13, EVENT_HLC},
                    {14, EVENT_TYPE},
                    {15, EVENT_SCHEMA_VERSION},
                    {16, EVENT_CORRELATION},
                    {17, EVENT_CAUSATION}};

    for (size_t i = 0; i < sizeof texts_at / sizeof *texts_at; i++)
        stmt_bind_span(s, texts_at[i].at, ev->text[texts_at[i].t]);
    stmt_bind_blob(s, 2, digest, DIGEST_BYTES);
    if (ev->entity_version.set)
        stmt_bind_int(s, 6, ev->entity_version.v);
    else
        stmt_bind_null(s, 6);
    stmt_bind_int(s, 11, ev->ts_device.v);
    stmt_bind_int(s, 12, ev->ts_server.v);
    stmt_bind_int(s, 18, ev->synced);
    stmt_bind_int(s, 19, ev->acknowledged);
    stmt_bind_span(s, 20, ev->payload);
    stmt_bind_span(s, 21, ev->extra);
}

static int insert(struct intake *in, const struct event *ev, struct err *e)
{
    struct stmt *s = &in->sql->insert;
    uint8_t digest[DIGEST_BYTES];

    digest_bytes(ev->digest, digest);
    if (stmt_ready(s, &in->st->db, e))
        return -1;
    bind_event(s, ev, digest);
    if (stmt_run(s, e))
        return -1;
    return sqlite3_changes(in->st->db.handle) == 1;
}

/* In a dry run nothing is inserted: what would have been is remembered. */
static enum put_result put_dry(struct intake *in, struct event *ev, struct err *e)
{
    struct stmt *seen = &in->sql->seen, *see = &in->sql->see;
    uint8_t digest[DIGEST_BYTES];
    struct span before;
    int rc;

    digest_bytes(ev->digest, digest);
    if (stmt_ready(seen, &in->st->db, e) || stmt_ready(see, &in->st->db, e))
        return PUT_ERROR;
    stmt_bind_span(seen, 1, ev->text[EVENT_ID]);
    rc = stmt_step(seen, e);
    if (rc < 0)
        return PUT_ERROR;
    if (rc == 1) {
        struct event stored = {0};

        before = stmt_span(seen, 0);
        stored.digest = digest_of_bytes((const uint8_t *)before.p);
        stmt_reset(seen);
        return meet(in, ev, &stored, digest_eq(stored.digest, ev->digest), e);
    }
    stmt_bind_span(see, 1, ev->text[EVENT_ID]);
    stmt_bind_blob(see, 2, digest, sizeof digest);
    if (stmt_run(see, e))
        return PUT_ERROR;
    in->inserted++;
    return PUT_INSERTED;
}

/* An event met a moment ago among the neighbours of another; of the stored
 * one only what the comparison and merge_own need. */
static bool recall(struct intake *in, const struct event *ev, struct event *stored)
{
    const struct known_row *k = in->echo ? NULL : known_find(&in->known, ev->text[EVENT_ID]);

    if (!k)
        return false;
    *stored = (struct event){.seq = k->seq,
                             .digest = k->digest,
                             .ts_server = k->ts_server,
                             .synced = k->synced,
                             .acknowledged = k->acknowledged};
    return true;
}

/* The event is complete: stores it, or finds it. */
static enum put_result store_it(struct intake *in, struct event *ev, struct err *e)
{
    struct event stored = {0};
    int rc;

    if (!ev->ts_server.set)
        ev->ts_server = (struct event_int){true, clock_now_ms()};
    if (!in->keep_flags)
        ev->synced = ev->acknowledged = false;
    if (recall(in, ev, &stored))
        return meet(in, ev, &stored, digest_eq(stored.digest, ev->digest), e);
    rc = in->dry ? 0 : insert(in, ev, e);
    if (rc < 0)
        return PUT_ERROR;
    if (rc == 1) {
        in->inserted++;
        return echo(in, ev, e) ? PUT_ERROR : PUT_INSERTED;
    }
    rc = find(in, ev->text[EVENT_ID], &stored, e);
    if (rc < 0)
        return PUT_ERROR;
    if (rc == 0 && in->dry)
        return put_dry(in, ev, e);
    if (!in->echo && known_near(&in->known, &in->st->db, stored.seq, e))
        return PUT_ERROR;
    return meet(in, ev, &stored, digest_eq(stored.digest, ev->digest), e);
}

static enum put_result put_elsewhere(struct intake *in, struct event *ev, struct arena *a,
                                     struct err *e)
{
    char *clock_text = arena_alloc(a, 18);
    struct event stored = {0};
    int rc = 0;

    if (!clock_text)
        return (enum put_result)err_memory(e);
    if (in->expect >= 0) {
        rc = find(in, ev->text[EVENT_ID], &stored, e);
        stmt_reset(&in->sql->find);
        rc = rc ? (rc < 0 ? rc : 0) : check_version(in, ev, e);
    }
    if (rc)
        return (enum put_result)rc;
    event_settle(ev, span_of(in->site), clock_text);
    event_digest(ev);
    observe_clock(in, ev);
    rc = store_it(in, ev, e);
    in->was_ahead = in->was_ahead && rc == PUT_INSERTED;
    in->ahead += in->was_ahead;
    return (enum put_result)rc;
}

static enum put_result put_here(struct intake *in, struct event *ev, struct arena *a, struct err *e)
{
    char room[18];
    struct event stored = {0};
    int rc = 0;

    if (ev->text[EVENT_ID].p)
        rc = find(in, ev->text[EVENT_ID], &stored, e);
    if (rc < 0)
        return PUT_ERROR;
    if (rc == 1) {
        event_digest(ev);
        return meet(in, ev, &stored, event_covered(&in->parser, ev, &stored), e);
    }
    rc = check_version(in, ev, e);
    if (!rc)
        rc = complete(in, ev, a, e);
    if (rc)
        return (enum put_result)rc;
    if (in->expect >= 0 && !ev->entity_version.set)
        ev->entity_version = (struct event_int){true, in->expect + 1};
    event_settle(ev, span_of(in->site), room);
    event_digest(ev);
    return store_it(in, ev, e);
}

enum put_result intake_put(struct intake *in, struct event *ev, struct arena *a, struct err *e)
{
    in->why[0] = '\0';
    in->was_ahead = in->overtook = false;
    return ev->ts_device.set ? put_elsewhere(in, ev, a, e) : put_here(in, ev, a, e);
}

/* --- marks and proof ---------------------------------------------------- */

int events_mark(struct store *st, struct span id, bool acknowledged, struct err *e)
{
    static struct stmt mark = {.sql = "UPDATE events SET synced = 1, "
                                      "acknowledged = max(acknowledged, ?2) WHERE event_id = ?1"};

    if (stmt_ready(&mark, &st->db, e))
        return -1;
    stmt_bind_span(&mark, 1, id);
    stmt_bind_int(&mark, 2, acknowledged);
    if (stmt_run(&mark, e))
        return -1;
    return sqlite3_changes(st->db.handle) > 0;
}

void events_digest_add(struct digest *sum, struct span event_id, struct digest d)
{
    uint8_t both[DIGEST_BYTES + EVENT_ID_MAX];

    digest_bytes(d, both);
    if (event_id.n > EVENT_ID_MAX)
        event_id.n = EVENT_ID_MAX;
    memcpy(both + DIGEST_BYTES, event_id.p, event_id.n);
    digest_add(sum, hash_bytes(both, DIGEST_BYTES + event_id.n));
}

void events_digest_text(uint64_t count, struct digest sum, char out[static 80])
{
    char text[DIGEST_TEXT];

    digest_text(sum, text);
    snprintf(out, 80, "lifeboat1 %llu %s", (unsigned long long)count, text);
}

int events_digest(struct store *st, char out[static 80], struct err *e)
{
    struct stmt all = {.sql = "SELECT event_id, digest FROM events ORDER BY seq"};
    struct digest sum = {0};
    uint64_t count = 0;
    int rc;

    if (stmt_ready(&all, &st->db, e))
        return -1;
    while ((rc = stmt_step(&all, e)) == 1) {
        struct span d = stmt_span(&all, 1);

        if (d.n != DIGEST_BYTES) {
            rc = err_set(e, EX_DATAERR, "%s: an event without digest", st->path);
            break;
        }
        events_digest_add(&sum, stmt_span(&all, 0), digest_of_bytes((const uint8_t *)d.p));
        count++;
    }
    stmt_free(&all);
    if (!rc)
        events_digest_text(count, sum, out);
    return rc;
}
