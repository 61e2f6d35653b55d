/* cloud: the backup of what edges keep for their users: settings, and command history. */
#include "base/nameid.h"
#include "cli/cli.h"
#include "lifeboat.cgi/members.h"
#include "lifeboat.cgi/write.h"
#include "text/rfc3339.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The user of the path, whose data the asker may touch; else a problem is the answer. */
static bool may_touch(struct exchange *x, struct err *e)
{
    const char *user = x->at.value[0];

    if (!user_id_ok(span_of(user)))
        front_problem(x, 400, e, "a user id is 1 to 64 of A-Z a-z 0-9 _ -");
    else if (!front_is_own(x, user))
        front_problem(x, 403, e, "these are another user's");
    else
        return true;
    return false;
}

static struct event event_of(const struct exchange *x, const char *entity, const char *type)
{
    struct event ev = {0};

    ev.text[EVENT_ENTITY_TYPE] = span_of(entity);
    ev.text[EVENT_ENTITY_ID] = span_of(x->at.value[0]);
    ev.text[EVENT_TYPE] = span_of(type);
    ev.text[EVENT_ACTOR_ID] = span_of(x->who.user_id);
    return ev;
}

/* --- settings ----------------------------------------------------------- */

static int store_settings_of(struct writing *w, struct span settings, struct span edge,
                             struct err *e)
{
    struct exchange *x = w->x;
    struct event ev = event_of(x, ENTITY_SETTINGS, "SETTINGS_SYNCED");
    struct buf payload = {0};
    enum put_result how = PUT_ERROR;
    char when[32];
    int failed = buf_adds(&payload, "{\"settings\":") ||
                 buf_add(&payload, settings.p, settings.n) ||
                 (edge.p && (buf_adds(&payload, ",\"edge_id\":") || json_quote(edge, &payload))) ||
                 buf_adds(&payload, "}");

    if (edge.p)
        ev.text[EVENT_DEVICE] = edge;
    if (failed)
        err_memory(e);
    else if (!write_payload(w, &ev, buf_span(&payload), e))
        how = write_one(w, &ev, e);
    buf_free(&payload);
    if (how == PUT_ERROR)
        return -1;
    if (how != PUT_INSERTED && how != PUT_PRESENT)
        return write_refused(x, w, e);
    if (write_time(w, when, e))
        return -1;
    return front_done(x, 200,
                      buf_printf(&x->answer.body,
                                 "{\"success\":true,\"message\":\"Settings synced\","
                                 "\"updated_at\":\"%s\"}\n",
                                 when),
                      e);
}

int settings_put(struct exchange *x, struct err *e)
{
    struct span settings, edge, whole;
    const struct member known[] = {{"settings", MEMBER_OBJECT, true, &settings},
                                   {"edge_id", MEMBER_TEXT, false, &edge}};
    struct writing w;
    int rc;

    if (!may_touch(x, e))
        return front_refused(x);
    if (write_open(&w, x, e))
        return -1;
    rc = members_read(x, known, 2, &w.arena, &whole, e) ? store_settings_of(&w, settings, edge, e)
                                                        : front_refused(x);
    write_close(&w);
    return rc;
}

static int show_settings(struct exchange *x, struct span payload, int64_t at, struct err *e)
{
    struct span settings, edge;
    const struct member known[] = {{"settings", MEMBER_JSON, true, &settings},
                                   {"edge_id", MEMBER_JSON, false, &edge}};
    struct buf *out = &x->answer.body;
    struct arena a = {0};
    char when[32], why[256];
    int failed;

    write_time_text(at, when);
    if (!members_of(payload, known, 2, &a, why))
        return err_set(e, EX_DATAERR, "the stored settings: %s", why);
    failed = buf_adds(out, "{\"success\":true,\"data\":{\"user_id\":") ||
             json_quote(span_of(x->at.value[0]), out) || buf_adds(out, ",\"settings\":") ||
             buf_add(out, settings.p, settings.n) || buf_adds(out, ",\"edge_id\":") ||
             (edge.p ? buf_add(out, edge.p, edge.n) : buf_adds(out, "null")) ||
             buf_printf(out, ",\"updated_at\":\"%s\"}}\n", when);
    arena_free(&a);
    return front_done(x, 200, failed, e);
}

int settings_get_one(struct exchange *x, struct err *e)
{
    struct stmt s = {.sql = "SELECT payload_json, ts_device FROM events WHERE entity_type = ?1 "
                            "AND entity_id = ?2 AND event_type = 'SETTINGS_SYNCED' "
                            "ORDER BY hlc DESC, event_id DESC LIMIT 1"};
    int rc = 0;

    if (!may_touch(x, e))
        return front_refused(x);
    if (!front_store(x, STORE_READ, e)) {
        if (stmt_ready(&s, &x->store.db, e))
            return -1;
        stmt_bind_span(&s, 1, SPAN(ENTITY_SETTINGS));
        stmt_bind_span(&s, 2, span_of(x->at.value[0]));
        rc = stmt_step(&s, e);
        if (rc == 1)
            rc = show_settings(x, stmt_span(&s, 0), stmt_int(&s, 1), e) ? -1 : 1;
        stmt_free(&s);
    } else if (e->status != EX_NOINPUT) {
        return -1;
    }
    return rc ? (rc < 0 ? -1 : 0)
              : front_problem(x, 404, e, "there is no backup of this user's settings");
}

/* --- history ------------------------------------------------------------ */

static int count_history(struct exchange *x, int64_t *total, struct err *e)
{
    struct stmt s = {.sql = "SELECT count(*) FROM events WHERE entity_type = ?1 AND "
                            "entity_id = ?2"};
    int rc;

    if (stmt_ready(&s, &x->store.db, e))
        return -1;
    stmt_bind_span(&s, 1, SPAN(ENTITY_HISTORY));
    stmt_bind_span(&s, 2, span_of(x->at.value[0]));
    rc = stmt_step(&s, e);
    *total = rc == 1 ? stmt_int(&s, 0) : 0;
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* Records that are being stored, or only looked at. */
struct upload {
    struct writing *w;
    struct span edge;
    bool storing;
    uint64_t seen, synced;
    char why[300];
    struct err *e;
};

/* What of a record the log wants to know. */
struct record {
    struct span command, created, trace, whole;
};

static bool read_record(struct upload *u, const struct json_value *v, struct record *r)
{
    const struct member known[] = {{"command_id", MEMBER_NAME, true, &r->command},
                                   {"created_at", MEMBER_NAME, false, &r->created},
                                   {"trace_id", MEMBER_TEXT, false, &r->trace}};
    char why[256] = "wants an object";

    if (v->kind == JSON_OBJECT && members_of(v->raw, known, 3, &u->w->arena, why)) {
        r->whole = json_compact_in(v, &u->w->arena);
        return r->whole.p;
    }
    snprintf(u->why, sizeof u->why, "records[%llu]: %s", (unsigned long long)u->seen, why);
    return false;
}

/* A command is one event however often, and to whichever box, it is sent: its id follows
 * from user and command. */
static int put_record(struct upload *u, const struct record *r, struct err *e)
{
    struct exchange *x = u->w->x;
    struct event ev = event_of(x, ENTITY_HISTORY, "COMMAND_EXECUTED");
    struct span command = arena_span(&u->w->arena, r->command);
    const char *const texts[] = {ENTITY_HISTORY, cli.site, x->at.value[0], command.p, NULL};
    char id[NAMEID_TEXT];
    enum put_result how;
    int known;

    if (!command.p || nameid_uuid(texts, id))
        return err_memory(e);
    known = write_known(u->w, span_of(id), e);
    if (known)
        return known < 0 ? -1 : 0;
    ev.text[EVENT_ID] = span_of(id);
    if (u->edge.p)
        ev.text[EVENT_DEVICE] = u->edge;
    if (r->trace.p && r->trace.n <= REQUEST_ID_MAX)
        ev.text[EVENT_CORRELATION] = r->trace;
    if (r->created.p && !rfc3339_parse(r->created, &ev.ts_device.v) && ev.ts_device.v >= 0)
        ev.ts_device.set = true;
    if (write_payload(u->w, &ev, r->whole, e))
        return -1;
    how = write_put(u->w, &ev, e);
    u->synced += how == PUT_INSERTED;
    return how == PUT_ERROR ? -1 : 0;
}

static int each_record(void *ctx, const struct json_value *v)
{
    struct upload *u = ctx;
    struct record r;

    if (!read_record(u, v, &r) ||
        (u->storing && (put_record(u, &r, u->e) || write_breathe(u->w, u->e))))
        return -1;
    u->seen++;
    return 0;
}

/* All of it is looked at before any is stored. What stops half-way is finished by being
 * sent again: each record has its id. */
static int store_records(struct upload *u, struct span records, struct err *e)
{
    struct exchange *x = u->w->x;
    int64_t total;

    if (members_each(records, each_record, u))
        return front_problem(x, 422, e, "%s", *u->why ? u->why : "out of memory");
    u->storing = true;
    u->seen = 0;
    u->e = e;
    if (write_begin(u->w, e))
        return -1;
    if (members_each(records, each_record, u)) {
        write_rollback(u->w);
        return -1;
    }
    if (write_commit(u->w, e) || count_history(x, &total, e))
        return -1;
    return front_done(x, 200,
                      buf_printf(&x->answer.body,
                                 "{\"success\":true,\"synced_count\":%llu,\"total\":%lld}\n",
                                 (unsigned long long)u->synced, (long long)total),
                      e);
}

int history_add(struct exchange *x, struct err *e)
{
    struct span records, edge, whole;
    const struct member known[] = {{"records", MEMBER_ARRAY, true, &records},
                                   {"edge_id", MEMBER_TEXT, false, &edge}};
    struct writing w;
    int rc;

    if (!may_touch(x, e))
        return front_refused(x);
    if (write_open(&w, x, e))
        return -1;
    w.intake.echo = NULL;
    if (members_read(x, known, 2, &w.arena, &whole, e)) {
        struct upload u = {.w = &w, .edge = edge};

        rc = store_records(&u, records, e);
    } else {
        rc = front_refused(x);
    }
    write_close(&w);
    return rc;
}

static int put_records(struct exchange *x, int64_t limit, int64_t offset, struct err *e)
{
    /* In the order in which they came, so that a page stays what it is while more come. */
    struct stmt s = {.sql = "SELECT payload_json FROM events WHERE entity_type = ?1 AND "
                            "entity_id = ?2 ORDER BY seq LIMIT ?3 OFFSET ?4"};
    struct buf *out = &x->answer.body;
    int rc, n = 0;

    if (stmt_ready(&s, &x->store.db, e))
        return -1;
    stmt_bind_span(&s, 1, SPAN(ENTITY_HISTORY));
    stmt_bind_span(&s, 2, span_of(x->at.value[0]));
    stmt_bind_int(&s, 3, limit);
    stmt_bind_int(&s, 4, offset);
    while ((rc = stmt_step(&s, e)) == 1 && out->len < BODY_LARGE) {
        struct span record = stmt_span(&s, 0);

        if ((n++ && buf_addc(out, ',')) || buf_add(out, record.p, record.n)) {
            rc = err_memory(e);
            break;
        }
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

int history_list(struct exchange *x, struct err *e)
{
    struct buf *out = &x->answer.body;
    int64_t limit = 100, offset = 0, total = 0;
    int failed;

    if (!may_touch(x, e) || !front_number(x, "limit", 0, 1000, &limit, e) ||
        !front_number(x, "offset", 0, INT64_MAX, &offset, e))
        return front_refused(x);
    failed = buf_adds(out, "{\"success\":true,\"data\":{\"records\":[");
    if (!failed && !front_store(x, STORE_READ, e)) {
        if (store_snapshot(&x->store, e) || put_records(x, limit, offset, e) ||
            count_history(x, &total, e))
            return -1;
    } else if (!failed && e->status != EX_NOINPUT) {
        return -1;
    }
    failed = failed || buf_printf(out, "],\"total\":%lld}}\n", (long long)total);
    return front_done(x, 200, failed, e);
}
