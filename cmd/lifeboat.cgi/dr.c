/* dr: export and restore over HTTP, by the commands that do it. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "http/relay.h"
#include "lifeboat.cgi/front.h"
#include "store/restorelog.h"
#include "text/json.h"
#include "text/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 32, LIMIT_DEFAULT = 10000, LIMIT_MAX = 1000000 };

/* --- export ------------------------------------------------------------- */

/* A run of evstore-export whose output is the answer. */
struct export
{
    struct exchange *x;
    const char *argv[WORDS];
    int words;
    bool lines;
    char limit[24], since[24], until[24], entity[2 * REQUEST_TARGET_MAX + 2];
};

static void word(struct export *r, const char *option, const char *value)
{
    r->argv[r->words++] = option;
    if (value)
        r->argv[r->words++] = value;
    r->argv[r->words] = NULL;
}

/* The head, once it is known that there is a body. */
static int begin(void *ctx, struct err *e)
{
    struct export *r = ctx;
    struct answer *a = &r->x->answer;

    a->status = 200;
    a->type = r->lines ? "application/jsonl" : "application/json";
    return answer_begin(a, STDOUT_FILENO, r->x->correlation, -1, e);
}

/* A box without a store has no events either. */
static int put_nothing(struct export *r, struct err *e)
{
    struct buf *out = &r->x->answer.body;
    char id[37];

    if (r->lines) {
        r->x->answer.type = "application/jsonl";
        return front_done(r->x, 200,
                          buf_adds(out, "{\"lifeboat_end\":{\"count\":0,\"sha256\":"
                                        "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca49"
                                        "5991b7852b855\",\"from\":\"start\",\"to\":\"start\"}}\n"),
                          e);
    }
    if (uuid7_new(id, e))
        return -1;
    return front_done(r->x, 200,
                      buf_printf(out, "{\"export_id\":\"%s\",\"exported_at\":%lld,\"site_id\":", id,
                                 (long long)clock_now_ms()) ||
                          json_quote(span_of(cli.site), out) ||
                          buf_adds(out, ",\"device_id\":null,\"events\":[\n],\"events_count\":0,"
                                        "\"has_more\":false,\"next_cursor\":\"start\"}\n"),
                      e);
}

/* It ended without a byte of output: why? */
static int refuse(struct export *r, const struct relay *run, struct err *e)
{
    switch (run->status) {
    case 0:
    case EX_NOINPUT:
        return put_nothing(r, e);
    case EX_PROTOCOL:
        return front_problem_of(r->x, 409, "/problems/cursor", "", e, "%s", run->complaint);
    case EX_USAGE:
        return front_problem(r->x, 400, e, "%s", run->complaint);
    default:
        return err_set(e, run->status > 128 ? EX_TEMPFAIL : run->status, "%s", run->complaint);
    }
}

static int run_export(struct export *r, struct err *e)
{
    struct relay run = {.argv = (char *const *)(uintptr_t)r->argv,
                        .in = -1,
                        .out = STDOUT_FILENO,
                        .ctx = r,
                        .begin = begin};
    int rc;

    if (r->x->rq.method == HTTP_HEAD)
        return begin(r, e);
    stop_catch();
    rc = relay_run(&run, e);
    r->x->answer.bytes = run.bytes;
    if (r->x->answer.begun) {
        /* The body is cut short, which its reader sees: nothing else can be said now. */
        if (rc || run.status)
            cli_warn("export: %s", rc ? e->msg : run.complaint);
        return 0;
    }
    rc = rc ? -1 : refuse(r, &run, e);
    relay_free(&run);
    return rc;
}

/* Which events, by the parameters that every export has. false: a problem is the answer. */
static bool add_filters(struct export *r, int64_t limit, struct err *e)
{
    struct exchange *x = r->x;
    const char *after = request_param(&x->rq, "after");
    int64_t since = -1, until = -1;

    if (!front_number(x, "limit", 0, LIMIT_MAX, &limit, e) ||
        !front_number(x, "since_ts", 0, INT64_C(1) << 48, &since, e) ||
        !front_number(x, "until_ts", 0, INT64_C(1) << 48, &until, e))
        return false;
    snprintf(r->limit, sizeof r->limit, "%lld", (long long)limit);
    word(r, "--limit", r->limit);
    if (since >= 0) {
        snprintf(r->since, sizeof r->since, "%lld", (long long)since);
        word(r, "--since-ts", r->since);
    }
    if (until >= 0) {
        snprintf(r->until, sizeof r->until, "%lld", (long long)until);
        word(r, "--until-ts", r->until);
    }
    if (after)
        word(r, "--after", after);
    return true;
}

/* A document, or lines and their seal. */
static bool add_form(struct export *r, struct err *e)
{
    const char *format = request_param(&r->x->rq, "format");

    r->lines = format ? !strcmp(format, "jsonl") : r->x->rq.wants_lines;
    if (format && !r->lines && strcmp(format, "json") != 0) {
        front_problem(r->x, 400, e, "format: wants json or jsonl");
        return false;
    }
    if (r->lines) {
        word(r, "--full", NULL);
        word(r, "--seal", NULL);
    } else {
        word(r, "--document", NULL);
    }
    return true;
}

static void start(struct export *r, struct exchange *x)
{
    *r = (struct export){.x = x};
    word(r, "evstore-export", NULL);
    word(r, "-q", NULL);
    word(r, "-d", cli.db);
}

int dr_export(struct exchange *x, struct err *e)
{
    const char *type = request_param(&x->rq, "entity_type");
    static struct export r;

    start(&r, x);
    if (!add_form(&r, e) || !add_filters(&r, LIMIT_DEFAULT, e))
        return front_refused(x);
    if (type && *type)
        word(&r, "--entity-type", type);
    return run_export(&r, e);
}

/* Is there anything of it? 1, 0 or -1. */
static int has_entity(struct exchange *x, const char *type, const char *id, struct err *e)
{
    struct stmt s = {.sql = "SELECT 1 FROM events WHERE entity_type = ?1 AND entity_id = ?2 "
                            "LIMIT 1"};
    int rc;

    if (front_store(x, STORE_READ, e))
        return e->status == EX_NOINPUT ? 0 : -1;
    if (stmt_ready(&s, &x->store.db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(type));
    stmt_bind_span(&s, 2, span_of(id));
    rc = stmt_step(&s, e);
    stmt_free(&s);
    return rc;
}

int dr_export_entity(struct exchange *x, struct err *e)
{
    const char *type = x->at.value[0], *id = x->at.value[1];
    static struct export r;
    int rc = strchr(type, '/') ? 0 : has_entity(x, type, id, e);

    if (rc <= 0)
        return rc ? -1 : front_problem(x, 404, e, "there are no events of this entity");
    start(&r, x);
    if (!add_form(&r, e) || !add_filters(&r, LIMIT_DEFAULT, e))
        return front_refused(x);
    snprintf(r.entity, sizeof r.entity, "%s/%s", type, id);
    word(&r, "--entity", r.entity);
    return run_export(&r, e);
}

/* A user or a device sees what is theirs. */
static const char *actor_filter(const struct exchange *x)
{
    return front_is(x, ROLE_USER) || front_is(x, ROLE_DEVICE) ? x->who.user_id
                                                              : request_param(&x->rq, "actor_id");
}

static bool add_event_filters(struct export *r, struct err *e)
{
    static const char *const texts[][2] = {{"entity_type", "--entity-type"},
                                           {"event_type", "--type"},
                                           {"correlation_id", "--correlation"}};
    const struct request *rq = &r->x->rq;
    const char *type = request_param(rq, "entity_type"), *id = request_param(rq, "entity_id");
    const char *actor = actor_filter(r->x);

    if (id && (!type || !*type || !*id || strchr(type, '/'))) {
        front_problem(r->x, 400, e, "entity_id: goes with entity_type");
        return false;
    }
    for (size_t i = id ? 1 : 0; i < sizeof texts / sizeof *texts; i++)
        if (request_param(rq, texts[i][0]))
            word(r, texts[i][1], request_param(rq, texts[i][0]));
    if (actor)
        word(r, "--actor", actor);
    if (id) {
        snprintf(r->entity, sizeof r->entity, "%s/%s", type, id);
        word(r, "--entity", r->entity);
    }
    return true;
}

int events_list(struct exchange *x, struct err *e)
{
    const char *order = request_param(&x->rq, "order"), *actor = request_param(&x->rq, "actor_id");
    static struct export r;

    if (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        return front_problem(x, 400, e, "order: wants asc or desc");
    if (actor && strcmp(actor, actor_filter(x)) != 0)
        return front_problem(x, 403, e, "a %s sees its own events", role_name(x->who.role));
    start(&r, x);
    word(&r, "--document", NULL);
    if (!add_filters(&r, 100, e) || !add_event_filters(&r, e))
        return front_refused(x);
    if (order && !strcmp(order, "desc")) {
        if (request_param(&x->rq, "after"))
            return front_problem(x, 400, e, "after: goes with order=asc");
        word(&r, "--order", "newest");
    }
    return run_export(&r, e);
}

/* --- restore ------------------------------------------------------------ */

/* Which session is at it, or between two parts? "" if that cannot be told. */
static bool other_session(struct exchange *x, char session[static RESTORE_SESSION_MAX + 1],
                          struct err *e)
{
    struct buf row = {0};
    struct json_value name, v;
    struct json j = {0};
    bool first = true, busy = false;

    *session = '\0';
    if (!front_store(x, STORE_READ, e) && restore_last(&x->store, &row, e) == 1) {
        json_start(&j, buf_span(&row));
        json_open(&j);
        while (json_member(&j, &first, &name, &v) == 1) {
            if (span_eq(name.raw, SPAN("\"restore_session_id\"")) &&
                v.raw.n - 2 <= RESTORE_SESSION_MAX)
                snprintf(session, RESTORE_SESSION_MAX + 1, "%.*s", (int)(v.raw.n - 2), v.raw.p + 1);
            busy = busy || (span_eq(name.raw, SPAN("\"status\"")) &&
                            span_eq(v.raw, SPAN("\"IN_PROGRESS\"")));
        }
    }
    json_end(&j);
    buf_free(&row);
    if (!busy)
        *session = '\0';
    return busy || lockfile_alive(cli.db, "restore");
}

/* A byte is named where it is no JSON; else it is a member of the document. Without its
 * input's name it is not the document's fault. */
static int refuse_document(struct exchange *x, const char *why, struct err *e)
{
    static const char input[] = "standard input: ";

    if (strncmp(why, input, sizeof input - 1) != 0)
        return err_set(e, EX_DATAERR, "%s", why);
    why += sizeof input - 1;
    return front_problem(x, strncmp(why, "byte ", 5) != 0 ? 422 : 400, e, "%s", why);
}

static int refuse_restore(struct exchange *x, const struct relay *run, struct err *e)
{
    char session[RESTORE_SESSION_MAX + 1], member[RESTORE_SESSION_MAX + 32] = "";
    int status = run->status > 128 ? EX_TEMPFAIL : run->status;
    struct err ignored;

    if (status == EX_DATAERR)
        return refuse_document(x, run->complaint, e);
    if (status != EX_TEMPFAIL || !other_session(x, session, &ignored))
        return err_set(e, status, "%s", run->complaint);
    if (*session)
        snprintf(member, sizeof member, ",\"restore_session_id\":\"%s\"", session);
    x->answer.retry_after_s = 5;
    return front_problem_of(x, 409, "/problems/restore-running", member, e, "%s", run->complaint);
}

int dr_restore(struct exchange *x, struct err *e)
{
    char *argv[] = {"evstore-restore", "--document", "--progress", "none", "-d", NULL, NULL};
    struct relay run = {.argv = argv, .in = x->body.fd, .out = -1, .to_the_end = true};
    int rc;

    if (!x->body.size)
        return front_problem(x, 400, e, "wants a restore document");
    argv[5] = (char *)(uintptr_t)cli.db;
    /* A front has little to spare: some 13 MB instead of 50 and more. */
    setenv("LIFEBOAT_MEMORY", settings_get("MEMORY") ? settings_get("MEMORY") : "small", 1);
    rc = relay_run(&run, e);
    if (!rc && (run.status == 0 || run.status == 1))
        rc = front_done(x, 200, buf_add(&x->answer.body, run.collected.data, run.collected.len), e);
    else if (!rc)
        rc = refuse_restore(x, &run, e);
    relay_free(&run);
    return rc;
}

int dr_status(struct exchange *x, struct err *e)
{
    const char *session = x->at.value[0];
    int rows = 0;

    if (restore_session_ok(session) &&
        (!front_store(x, STORE_READ, e) || e->status != EX_NOINPUT)) {
        if (!x->store_open)
            return -1;
        rows = restore_show(&x->store, session, &x->answer.body, e);
    }
    if (rows < 0)
        return -1;
    return rows ? front_done(x, 200, 0, e)
                : front_problem(x, 404, e, "there is no restore of this session");
}
