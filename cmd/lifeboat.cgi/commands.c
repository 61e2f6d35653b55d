/* commands: the library of commands that edges share.
 *
 * A command is an entity of type advanced_command whose id, a number, follows from its
 * author and its name there; what was shared last counts, and each user's last rating. */
#include "base/nameid.h"
#include "lifeboat.cgi/members.h"
#include "lifeboat.cgi/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has been shared last of each, with the mean of its ratings, or where nobody has
 * rated it the one it came with. The log takes events from elsewhere too: ids that are
 * none and ratings that are none do not count. */
#define SHARED                                                                                     \
    "WITH shared AS (SELECT entity_id, payload_json, actor_id, ts_device, hlc, row_number() "      \
    "OVER (PARTITION BY entity_id ORDER BY hlc DESC, event_id DESC) AS n FROM events "             \
    "WHERE entity_type = '" ENTITY_COMMAND "' AND event_type = 'COMMAND_SHARED' "                  \
    "AND entity_id GLOB '[1-9]*' AND entity_id NOT GLOB '*[^0-9]*'), "                             \
    "rated AS (SELECT entity_id, json_extract(payload_json, '$.rating') AS rating, row_number() "  \
    "OVER (PARTITION BY entity_id, actor_id ORDER BY hlc DESC, event_id DESC) AS n FROM events "   \
    "WHERE entity_type = '" ENTITY_COMMAND "' AND event_type = 'COMMAND_RATED' "                   \
    "AND json_extract(payload_json, '$.rating') BETWEEN 1 AND 5), "                                \
    "stars AS (SELECT entity_id, avg(rating) AS mean, count(*) AS ratings FROM rated "             \
    "WHERE n = 1 GROUP BY entity_id), "                                                            \
    "listed AS (SELECT shared.entity_id, payload_json, actor_id, ts_device, hlc, "                 \
    "ifnull(mean, CASE WHEN json_extract(payload_json, '$.rating') BETWEEN 1 AND 5 THEN "          \
    "json_extract(payload_json, '$.rating') END) AS rating, "                                      \
    "ifnull(ratings, 0) AS ratings, json_extract(payload_json, '$.category') AS category "         \
    "FROM shared LEFT JOIN stars USING(entity_id) WHERE n = 1) "                                   \
    "SELECT entity_id, payload_json, actor_id, ts_device, rating, ratings, count(*) OVER () "      \
    "FROM listed "

/* --- sharing ------------------------------------------------------------ */

static const char no_rating[] = "rating: wants a number from 1 to 5";

/* Absent, or from 1 to 5. */
static bool is_rating(struct span n)
{
    char text[16], *end;
    double v;

    if (!n.p)
        return true;
    if (n.n >= sizeof text)
        return false;
    memcpy(text, n.p, n.n);
    text[n.n] = '\0';
    v = strtod(text, &end);
    return !*end && v >= 1 && v <= 5;
}

/* 53 bits: as much as a JavaScript number takes. */
static int id_of(const char *author, const char *name, char out[static 24], struct err *e)
{
    const char *const texts[] = {ENTITY_COMMAND, author, name, NULL};
    char hash[SHA256_TEXT];

    if (nameid_hash(texts, hash))
        return err_memory(e);
    hash[14] = '\0';
    snprintf(out, 24, "%llu", strtoull(hash, NULL, 16) >> 3);
    return 0;
}

static int answer_shared(struct writing *w, const char *id, enum put_result how, struct err *e)
{
    struct exchange *x = w->x;
    char when[32];

    if (how == PUT_ERROR)
        return -1;
    if (how != PUT_INSERTED && how != PUT_PRESENT)
        return write_refused(x, w, e);
    if (write_time(w, when, e))
        return -1;
    return front_done(x, how == PUT_INSERTED ? 201 : 200,
                      buf_printf(&x->answer.body,
                                 "{\"success\":true,\"command_id\":%s,\"updated_at\":\"%s\"}\n", id,
                                 when),
                      e);
}

static struct event event_of(const struct exchange *x, const char *id, const char *type)
{
    struct event ev = {0};

    ev.text[EVENT_ENTITY_TYPE] = SPAN(ENTITY_COMMAND);
    ev.text[EVENT_ENTITY_ID] = span_of(id);
    ev.text[EVENT_TYPE] = span_of(type);
    ev.text[EVENT_ACTOR_ID] = span_of(x->who.user_id);
    return ev;
}

int commands_add(struct exchange *x, struct err *e)
{
    struct span name, local, category, description, content, rating, edge, whole;
    const struct member known[] = {{"name", MEMBER_TEXT, true, &name},
                                   {"local_id", MEMBER_NAME, false, &local},
                                   {"category", MEMBER_TEXT, false, &category},
                                   {"description", MEMBER_JSON, false, &description},
                                   {"content", MEMBER_JSON, true, &content},
                                   {"rating", MEMBER_NUMBER, false, &rating},
                                   {"edge_id", MEMBER_TEXT, false, &edge}};
    struct writing w;
    struct event ev;
    char id[24];
    int rc = -1;

    if (write_open(&w, x, e))
        return -1;
    if (!members_read(x, known, sizeof known / sizeof *known, &w.arena, &whole, e)) {
        rc = front_refused(x);
    } else if (!is_rating(rating)) {
        rc = front_problem(x, 422, e, "%s", no_rating);
    } else {
        struct span key = arena_span(&w.arena, local.p ? local : name);

        if (!key.p)
            err_memory(e);
        else if (!id_of(x->who.user_id, key.p, id, e)) {
            ev = event_of(x, id, "COMMAND_SHARED");
            if (edge.p)
                ev.text[EVENT_DEVICE] = edge;
            if (!write_payload(&w, &ev, whole, e))
                rc = answer_shared(&w, id, write_one(&w, &ev, e), e);
        }
    }
    write_close(&w);
    return rc;
}

/* --- looking ------------------------------------------------------------ */

/* The members of a command, without its braces; whole: with what is not for a list. 1: it
 * came from elsewhere, and is none. */
static int put_command(struct stmt *s, bool whole, struct buf *out, struct err *e)
{
    struct span name, category, description, content, edge, rating = stmt_span(s, 4);
    const struct member known[] = {{"name", MEMBER_JSON, true, &name},
                                   {"category", MEMBER_JSON, false, &category},
                                   {"description", MEMBER_JSON, false, &description},
                                   {"content", MEMBER_JSON, true, &content},
                                   {"edge_id", MEMBER_JSON, false, &edge}};
    const struct {
        const char *name;
        struct span *value;
        bool listed;
    } shown[] = {{"name", &name, true},
                 {"category", &category, true},
                 {"description", &description, true},
                 {"edge_id", &edge, false},
                 {"content", &content, false}};
    struct arena a = {0};
    char when[32], why[256];
    int failed;

    if (!members_of(stmt_span(s, 1), known, sizeof known / sizeof *known, &a, why)) {
        arena_free(&a);
        return 1;
    }
    write_time_text(stmt_int(s, 3), when);
    failed = buf_printf(out, "\"command_id\":%.*s", (int)stmt_span(s, 0).n, stmt_span(s, 0).p);
    for (size_t i = 0; i < sizeof shown / sizeof *shown && !failed; i++)
        if (shown[i].listed || whole)
            failed = buf_printf(out, ",\"%s\":", shown[i].name) ||
                     (shown[i].value->p ? buf_add(out, shown[i].value->p, shown[i].value->n)
                                        : buf_adds(out, "null"));
    failed = failed ||
             buf_printf(
                 out, ",\"rating\":%.*s,\"ratings\":%lld,\"author\":", rating.p ? (int)rating.n : 4,
                 rating.p ? rating.p : "null", (long long)stmt_int(s, 5)) ||
             json_quote(stmt_span(s, 2), out) || buf_printf(out, ",\"updated_at\":\"%s\"", when);
    arena_free(&a);
    return failed ? err_memory(e) : 0;
}

/* A parameter such as 4.5, or a problem. */
static bool read_rating(struct exchange *x, struct span *out, struct err *e)
{
    const char *text = request_param(&x->rq, "min_rating");
    size_t n = text ? strlen(text) : 0;

    *out = (struct span){NULL, 0};
    if (!text)
        return true;
    if (n && n < 16 && strspn(text, "0123456789.") == n &&
        strchr(text, '.') == strrchr(text, '.')) {
        *out = (struct span){text, n};
        return true;
    }
    front_problem(x, 400, e, "min_rating: wants a number such as 4.0");
    return false;
}

static int list(struct exchange *x, struct stmt *s, int64_t *total, struct err *e)
{
    struct buf *out = &x->answer.body;
    int rc, n = 0, none;

    while ((rc = stmt_step(s, e)) == 1 && out->len < BODY_LARGE) {
        size_t before = out->len;

        *total = stmt_int(s, 6);
        if (buf_adds(out, n ? ",{" : "{"))
            return err_memory(e);
        none = put_command(s, false, out, e);
        if (none < 0)
            return -1;
        if (none)
            out->len = before;
        else if (buf_addc(out, '}'))
            return err_memory(e);
        n += !none;
    }
    return rc < 0 ? -1 : 0;
}

int commands_list(struct exchange *x, struct err *e)
{
    struct stmt s = {.sql = SHARED "WHERE (?1 IS NULL OR category = ?1) AND "
                                   "(?2 IS NULL OR rating >= CAST(?2 AS REAL)) "
                                   "ORDER BY rating DESC NULLS LAST, hlc DESC LIMIT ?3 OFFSET ?4"};
    const char *category = request_param(&x->rq, "category");
    int64_t limit = 20, offset = 0, total = 0;
    struct span rating;
    int rc = 0;

    if (!read_rating(x, &rating, e) || !front_number(x, "limit", 0, 1000, &limit, e) ||
        !front_number(x, "offset", 0, INT64_MAX, &offset, e))
        return front_refused(x);
    if (buf_adds(&x->answer.body, "{\"success\":true,\"data\":{\"commands\":["))
        return err_memory(e);
    if (!front_store(x, STORE_READ, e)) {
        if (stmt_ready(&s, &x->store.db, e))
            return -1;
        stmt_bind_span(&s, 1, category ? span_of(category) : (struct span){NULL, 0});
        stmt_bind_span(&s, 2, rating);
        stmt_bind_int(&s, 3, limit);
        stmt_bind_int(&s, 4, offset);
        rc = list(x, &s, &total, e);
        stmt_free(&s);
    } else if (e->status != EX_NOINPUT) {
        rc = -1;
    }
    if (rc)
        return -1;
    return front_done(x, 200, buf_printf(&x->answer.body, "],\"total\":%lld}}\n", (long long)total),
                      e);
}

/* Makes s stand on the command of the path: 1, and then it is the caller's to free; 0 or -1. */
static int find(struct exchange *x, struct stmt *s, struct err *e)
{
    const char *id = x->at.value[0];
    int rc;

    if (strspn(id, "0123456789") != strlen(id))
        return 0;
    if (front_store(x, STORE_READ, e))
        return e->status == EX_NOINPUT ? 0 : -1;
    if (stmt_ready(s, &x->store.db, e))
        return -1;
    stmt_bind_span(s, 1, span_of(id));
    rc = stmt_step(s, e);
    if (rc != 1)
        stmt_free(s);
    return rc;
}

int commands_get(struct exchange *x, struct err *e)
{
    struct stmt s = {.sql = SHARED "WHERE entity_id = ?1"};
    struct buf *out = &x->answer.body;
    int rc = find(x, &s, e);

    if (rc == 1) {
        rc = buf_adds(out, "{\"success\":true,\"data\":{") ? err_memory(e)
                                                           : put_command(&s, true, out, e);
        if (!rc)
            rc = front_done(x, 200, buf_adds(out, "}}\n"), e) ? -1 : 1;
        else if (rc == 1)
            rc = 0;
    }
    stmt_free(&s);
    return rc ? (rc < 0 ? -1 : 0) : front_problem(x, 404, e, "there is no such command");
}

/* --- rating ------------------------------------------------------------- */

static int answer_rated(struct exchange *x, struct err *e)
{
    struct stmt s = {.sql = SHARED "WHERE entity_id = ?1"};
    int rc = find(x, &s, e);
    struct span rating;

    if (rc == 1) {
        rating = stmt_span(&s, 4);
        rc = front_done(x, 200,
                        buf_printf(&x->answer.body,
                                   "{\"success\":true,\"rating\":%.*s,\"ratings\":%lld}\n",
                                   (int)rating.n, rating.p, (long long)stmt_int(&s, 5)),
                        e);
    } else if (!rc) {
        rc = front_problem(x, 404, e, "there is no such command");
    }
    stmt_free(&s);
    return rc;
}

static int rate(struct writing *w, struct span rating, struct span whole, struct err *e)
{
    struct exchange *x = w->x;
    struct event ev = event_of(x, x->at.value[0], "COMMAND_RATED");
    enum put_result how;

    if (!is_rating(rating))
        return front_problem(x, 422, e, "%s", no_rating);
    if (write_payload(w, &ev, whole, e))
        return -1;
    how = write_one(w, &ev, e);
    if (how == PUT_ERROR)
        return -1;
    return how == PUT_INSERTED || how == PUT_PRESENT ? answer_rated(x, e) : write_refused(x, w, e);
}

int commands_rate(struct exchange *x, struct err *e)
{
    struct stmt s = {.sql = SHARED "WHERE entity_id = ?1"};
    struct span rating, whole;
    const struct member known[] = {{"rating", MEMBER_NUMBER, true, &rating}};
    struct writing w;
    int rc;

    if (write_open(&w, x, e))
        return -1;
    rc = find(x, &s, e);
    stmt_free(&s);
    if (!rc)
        rc = front_problem(x, 404, e, "there is no such command");
    else if (rc == 1)
        rc = members_read(x, known, 1, &w.arena, &whole, e) ? rate(&w, rating, whole, e)
                                                            : front_refused(x);
    write_close(&w);
    return rc;
}
