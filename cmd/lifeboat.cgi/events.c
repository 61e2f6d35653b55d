/* events: events that tablets and programs send, one or many; and the stream of new ones. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "core/batch.h"
#include "http/stream.h"
#include "lifeboat.cgi/members.h"
#include "lifeboat.cgi/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOLD_MAX = 100, IDS_MAX = 1000 };

/* lighttpd notices that a listener has left when it writes to him. */
enum { HEARTBEAT_MS = 5000 };

static bool is_one_of(struct span text, const char *const *names)
{
    while (*names && !span_eq(text, span_of(*names)))
        names++;
    return *names != NULL;
}

/* A user sends what he did himself; a device what was done at it. What has a resource of
 * its own, which says whose it is, comes in there. NULL, or why it may not be sent. */
static const char *why_not(const struct exchange *x, const struct event *ev)
{
    static const char *const types[] = {ENTITY_SETTINGS, ENTITY_HISTORY, ENTITY_COMMAND, NULL};
    static const char *const ends[] = {"NODE_RESTORED", "node.restored", "NODE_PERMANENTLY_DELETED",
                                       "node.purged", NULL};

    if (front_is(x, ROLE_ADMIN))
        return NULL;
    if (front_is(x, ROLE_USER) && !span_eq(ev->text[EVENT_ACTOR_ID], span_of(x->who.user_id)))
        return "actor_id: is not yours";
    if (is_one_of(ev->text[EVENT_ENTITY_TYPE], types))
        return "entity_type: these go to /api/cloud";
    if (front_is(x, ROLE_USER) && is_one_of(ev->text[EVENT_TYPE], ends))
        return "event_type: goes to /api/nodes";
    return NULL;
}

/* --- one ---------------------------------------------------------------- */

static int answer_one(struct exchange *x, struct writing *w, enum put_result how, struct err *e)
{
    switch (how) {
    case PUT_ERROR:
        return -1;
    case PUT_CONFLICT:
    case PUT_REFUSED:
        return write_refused(x, w, e);
    default:
        return front_done(x, how == PUT_INSERTED ? 201 : 200,
                          buf_add(&x->answer.body, w->stored.data, w->stored.len), e);
    }
}

static int add_one(struct exchange *x, struct writing *w, struct span text, struct err *e)
{
    struct event_fault f = {0};
    const char *why;
    struct event ev;

    if (event_parse(&w->intake.parser, text, &w->arena, &ev, &f))
        return f.no_memory ? err_memory(e)
                           : front_problem(x, 422, e, "byte %zu: %s", f.offset, f.why);
    why = why_not(x, &ev);
    if (why)
        return front_problem(x, 403, e, "%s", why);
    return answer_one(x, w, write_one(w, &ev, e), e);
}

/* --- many --------------------------------------------------------------- */

/* Lines, or the elements of an array, and what came of them. */
struct many {
    struct exchange *x;
    struct writing *w;
    struct batch batch;
    uint64_t received, rejected, conflicts, told, seen;
    struct buf errors, ids;
    struct err *e;
};

static int reject(struct many *m, uint64_t index, const char *why, struct err *e)
{
    m->rejected++;
    if (m->told++ >= TOLD_MAX)
        return 0;
    return (m->errors.len && buf_addc(&m->errors, ',')) ||
                   buf_printf(&m->errors,
                              "{\"index\":%llu,\"reason\":", (unsigned long long)index) ||
                   json_quote(span_of(why), &m->errors) || buf_addc(&m->errors, '}')
               ? err_memory(e)
               : 0;
}

static int note_id(struct many *m, struct span id, struct err *e)
{
    if (m->seen++ >= IDS_MAX)
        return 0;
    return (m->ids.len && buf_addc(&m->ids, ',')) || json_quote(id, &m->ids) ? err_memory(e) : 0;
}

/* An event, or what was none: the n-th of the body, from 0. */
static int put(struct many *m, struct event *ev, uint64_t index, struct err *e)
{
    const char *why = why_not(m->x, ev);

    if (why)
        return reject(m, index, why, e);
    m->w->made = index;
    switch (write_put(m->w, ev, e)) {
    case PUT_ERROR:
        return -1;
    case PUT_CONFLICT:
        m->conflicts++;
        return reject(m, index, m->w->intake.why, e);
    case PUT_REFUSED:
        return reject(m, index, m->w->intake.why, e);
    default:
        return note_id(m, ev->text[EVENT_ID], e);
    }
}

static int on_bad_line(void *ctx, const struct line *l, const struct event_fault *f, struct err *e)
{
    struct many *m = ctx;

    if (!l->first)
        return 0;
    m->received++;
    return reject(m, l->number - 1, f->why, e);
}

static int put_batch(struct many *m, struct err *e)
{
    if (write_begin(m->w, e))
        return -1;
    for (size_t i = 0; i < m->batch.count; i++) {
        m->received++;
        if (put(m, &m->batch.items[i].event, m->batch.items[i].line.number - 1, e) ||
            write_breathe(m->w, e))
            return -1;
    }
    arena_reset(&m->w->arena);
    return write_commit(m->w, e);
}

static int add_lines(struct many *m, struct err *e)
{
    const struct batch_hooks hooks = {.ctx = m, .reject = on_bad_line};
    struct line_reader r;
    int rc = 0;

    line_open(&r, m->x->body.fd, "body", cli.max_line);
    batch_open(&m->batch, &hooks);
    batch_input(&m->batch, &r);
    while (!rc && !m->batch.ended) {
        rc = batch_fill(&m->batch, e);
        if (!rc && m->batch.count)
            rc = put_batch(m, e);
    }
    batch_close(&m->batch);
    line_close(&r);
    return rc;
}

static int put_element(void *ctx, const struct json_value *v)
{
    struct many *m = ctx;
    struct event_fault f = {0};
    struct event ev;
    uint64_t index = m->received++;

    if (event_parse(&m->w->intake.parser, v->raw, &m->w->arena, &ev, &f))
        return f.no_memory ? err_memory(m->e) : reject(m, index, f.why, m->e);
    return put(m, &ev, index, m->e) || write_breathe(m->w, m->e) ? -1 : 0;
}

static int add_array(struct many *m, struct span array, struct err *e)
{
    m->e = e;
    return write_begin(m->w, e) || members_each(array, put_element, m) || write_commit(m->w, e) ? -1
                                                                                                : 0;
}

static int answer_many(struct many *m, struct err *e)
{
    const struct intake *in = &m->w->intake;
    struct buf *out = &m->x->answer.body;
    int failed = buf_printf(out,
                            "{\"received\":%llu,\"stored\":%llu,\"already_present\":%llu,"
                            "\"rejected\":%llu,\"conflicts\":%llu,\"errors\":[%.*s]",
                            (unsigned long long)m->received, (unsigned long long)in->inserted,
                            (unsigned long long)in->present, (unsigned long long)m->rejected,
                            (unsigned long long)m->conflicts, (int)m->errors.len,
                            m->errors.data ? m->errors.data : "");

    if (!failed && m->seen <= IDS_MAX)
        failed = buf_printf(out, ",\"event_ids\":[%.*s]", (int)m->ids.len,
                            m->ids.data ? m->ids.data : "");
    return front_done(m->x, 200, failed || buf_adds(out, "}\n"), e);
}

static int add_many(struct exchange *x, struct writing *w, struct span array, struct err *e)
{
    struct many m = {.x = x, .w = w};
    int rc;

    w->intake.echo = NULL;
    rc = array.p ? add_array(&m, array, e) : add_lines(&m, e);
    rc = rc || answer_many(&m, e) ? -1 : 0;
    buf_free(&m.errors);
    buf_free(&m.ids);
    return rc;
}

/* --- POST /api/events --------------------------------------------------- */

/* {"events":[...]}: an event has no such member but a payload. */
static struct span events_in(struct writing *w, const struct json_value *v)
{
    struct span events, payload, alias;
    const struct member known[] = {{"events", MEMBER_ARRAY, true, &events},
                                   {"payload", MEMBER_JSON, false, &payload},
                                   {"payload_json", MEMBER_JSON, false, &alias}};
    char why[256];

    return v->kind == JSON_OBJECT && members_of(v->raw, known, 3, &w->arena, why) && !payload.p &&
                   !alias.p
               ? events
               : (struct span){NULL, 0};
}

static int add_json(struct exchange *x, struct writing *w, const struct json_value *v,
                    struct err *e)
{
    struct span array = v->kind == JSON_ARRAY ? v->raw : events_in(w, v);

    return array.p ? add_many(x, w, array, e) : add_one(x, w, v->raw, e);
}

static int add_text(struct exchange *x, struct writing *w, struct err *e)
{
    struct buf text = {0};
    struct json_value v;
    struct json j = {0};
    int rc;

    if (x->body.size > BODY_LARGE)
        return front_problem(x, 413, e, "more than %d bytes go as application/jsonl", BODY_LARGE);
    if (body_text(&x->body, &text, e))
        rc = -1;
    else if (json_whole(&j, buf_span(&text), &v))
        rc = front_problem(x, 400, e, "byte %zu: %s", json_offset(&j), j.why);
    else
        rc = add_json(x, w, &v, e);
    json_end(&j);
    buf_free(&text);
    return rc;
}

int events_add(struct exchange *x, struct err *e)
{
    struct writing w;
    int rc = write_open(&w, x, e);

    if (!rc)
        rc = x->rq.body == BODY_JSONL ? add_many(x, &w, (struct span){NULL, 0}, e)
                                      : add_text(x, &w, e);
    if (x->store_open)
        write_close(&w);
    return rc;
}

/* --- the stream --------------------------------------------------------- */

/* "events,jobs": 0 where one is unknown. */
static unsigned topics_of(const char *text)
{
    static const struct {
        const char *name;
        unsigned topic;
    } all[] = {{"events", STREAM_EVENTS}, {"jobs", STREAM_JOBS}, {"cache", STREAM_CACHE}};
    unsigned topics = 0, found;

    while (*text) {
        size_t n = strcspn(text, ",");

        found = 0;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (span_eq((struct span){text, n}, span_of(all[i].name)))
                found = all[i].topic;
        if (!found)
            return 0;
        topics |= found;
        text += n + (text[n] == ',');
    }
    return topics;
}

int events_stream(struct exchange *x, struct err *e)
{
    const char *named = request_param(&x->rq, "topics"), *last = x->rq.last_event_id;
    bool own = front_is(x, ROLE_USER) || front_is(x, ROLE_DEVICE);
    struct stream s = {.out_fd = STDOUT_FILENO,
                       .topics = topics_of(named ? named : "events"),
                       .last_id = last ? last : request_param(&x->rq, "last_event_id"),
                       .actor = own ? x->who.user_id : NULL,
                       .heartbeat_ms = HEARTBEAT_MS};

    if (!s.topics)
        return front_problem(x, 400, e, "topics: wants some of events, jobs and cache");
    if (own && s.topics != STREAM_EVENTS)
        return front_problem(x, 403, e, "a %s sees its own events", role_name(x->who.role));
    if (front_store(x, STORE_READ, e))
        return -1;
    s.st = &x->store;
    x->answer.status = 200;
    x->answer.type = "text/event-stream";
    if (answer_begin(&x->answer, STDOUT_FILENO, x->correlation, -1, e))
        return 0; /* the client has left already */
    if (x->rq.method == HTTP_HEAD)
        return 0;
    stop_catch();
    if (stream_run(&s, e))
        cli_warn("stream: %s", e->msg);
    x->answer.bytes = s.bytes;
    return 0;
}
