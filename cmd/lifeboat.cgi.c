/* lifeboat.cgi: the HTTP front: routes to what the commands do. lifeboat-http(7) */
#include "lifeboat.cgi/front.h"

#include "base/clock.h"
#include "base/nameid.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "http/accesslog.h"
#include "http/jwt.h"
#include "text/uuid7.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: lifeboat.cgi\n"
    "\n"
    "Answers one HTTP request, as a web server asks it by RFC 3875: lighttpd, set\n"
    "up as in lighttpd.conf of the share folder. To try it, run scripts/serve.\n"
    "Which resources there are, and who may use them: lifeboat-http(7).\n"
    "\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

/* --- what there is ------------------------------------------------------ */

enum {
    ALL_ROLES = BY_USER | BY_DEVICE | BY_DR | BY_ADMIN,
    RECOVERY = BY_DR | BY_ADMIN,
    GET = HTTP_GET | HTTP_HEAD,
};

static const struct route routes[] = {
    {GET, "/api/health", BY_ANYBODY, 0, "", 0, health_brief},
    {GET, "/metrics", RECOVERY, 0, "", 0, metrics_show},

    {GET, "/api/dr/health", RECOVERY, 0, "", 0, health_full},
    {GET, "/api/dr/stats", RECOVERY, 0, "", 0, health_stats},
    {GET, "/api/dr/export", RECOVERY, STREAMS, "entity_type since_ts limit after format", 0,
     dr_export},
    {GET, "/api/dr/export/entity/{type*}/{id*}", RECOVERY, STREAMS, "since_ts limit after format",
     0, dr_export_entity},
    {HTTP_POST, "/api/dr/restore", RECOVERY, 0, "", BODY_ANY, dr_restore},
    {GET, "/api/dr/restore/{session}/status", RECOVERY, 0, "", 0, dr_status},
    {HTTP_POST, "/api/dr/pair", BY_ANYBODY, 0, "", BODY_SMALL, dr_pair},

    {GET, "/api/events", ALL_ROLES, 0,
     "entity_type entity_id event_type actor_id correlation_id since_ts until_ts limit after order",
     0, events_list},
    {HTTP_POST, "/api/events", BY_USER | BY_DEVICE | BY_ADMIN, LICENSED, "", BODY_ANY, events_add},
    {GET, "/api/events/stream", ALL_ROLES, STREAMS, "topics last_event_id", 0, events_stream},
    {HTTP_POST, "/api/v1/scans", BY_DEVICE | BY_ADMIN, LICENSED, "", BODY_SMALL, scans_add},

    {HTTP_POST, "/api/cloud/data_sync/settings/{user}", BY_USER | BY_ADMIN, LICENSED, "",
     BODY_SMALL, settings_put},
    {GET, "/api/cloud/data_sync/settings/{user}", BY_USER | BY_ADMIN, 0, "", 0, settings_get_one},
    {HTTP_POST, "/api/cloud/data_sync/history/{user}", BY_USER | BY_ADMIN, LICENSED, "", BODY_LARGE,
     history_add},
    {GET, "/api/cloud/data_sync/history/{user}", BY_USER | BY_ADMIN, 0, "limit offset", 0,
     history_list},
    {HTTP_POST, "/api/cloud/commands", BY_USER | BY_DEVICE | BY_ADMIN, LICENSED, "", BODY_SMALL,
     commands_add},
    {GET, "/api/cloud/commands", BY_USER | BY_DEVICE | BY_ADMIN, 0,
     "category min_rating limit offset", 0, commands_list},
    {GET, "/api/cloud/commands/{id}", BY_USER | BY_DEVICE | BY_ADMIN, 0, "", 0, commands_get},
    {HTTP_POST, "/api/cloud/commands/{id}/rating", BY_USER | BY_ADMIN, LICENSED, "", BODY_SMALL,
     commands_rate},

    {GET, "/api/trash", BY_USER | BY_ADMIN, 0, "limit offset", 0, trash_list},
    {HTTP_POST, "/api/nodes/{id*}/restore", BY_USER | BY_ADMIN, LICENSED, "entity_type", BODY_SMALL,
     node_restore},
    {HTTP_DELETE, "/api/nodes/{id*}/purge", BY_USER | BY_ADMIN, LICENSED, "entity_type", BODY_SMALL,
     node_purge},
};

enum { ROUTES = sizeof routes / sizeof *routes };

/* Of a request for what there is not. */
static const struct route nowhere = {.pattern = ""};

/* --- answers ------------------------------------------------------------ */

static int problem(struct exchange *x, int status, const char *type, const char *members,
                   struct err *e, const char *fmt, va_list ap)
{
    char detail[1200];

    vsnprintf(detail, sizeof detail, fmt, ap);
    return answer_problem(&x->answer, status, type, x->correlation, members, "%s", detail)
               ? err_memory(e)
               : 0;
}

int front_problem(struct exchange *x, int status, struct err *e, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = problem(x, status, NULL, "", e, fmt, ap);
    va_end(ap);
    return rc;
}

int front_problem_of(struct exchange *x, int status, const char *type, const char *members,
                     struct err *e, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = problem(x, status, type, members, e, fmt, ap);
    va_end(ap);
    return rc;
}

/* What failed here, by its exit status, as a client is to understand it. A store that is
 * damaged (EX_DATAERR) is not the client's fault, who will try again: 500. */
int front_fail(struct exchange *x, const struct err *why)
{
    static const struct {
        int exit, status;
    } kinds[] = {{EX_USAGE, 400},    {EX_NOINPUT, 503}, {EX_UNAVAILABLE, 503}, {EX_TEMPFAIL, 503},
                 {EX_PROTOCOL, 503}, {EX_IOERR, 507},   {EX_CANTCREAT, 507}};
    struct err e;
    int status = 500;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].exit == why->status)
            status = kinds[i].status;
    x->answer.retry_after_s = status == 503 ? 5 : 0;
    if (status >= 500)
        cli_warn("%s", why->msg);
    return front_problem(x, status, &e, "%s", why->msg);
}

int front_done(struct exchange *x, int status, int failed, struct err *e)
{
    x->answer.status = status;
    return failed ? err_memory(e) : 0;
}

bool front_number(struct exchange *x, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *e)
{
    const char *text = request_param(&x->rq, name);
    size_t n = text ? strlen(text) : 0;
    char *end;
    long long v;

    if (!text)
        return true;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (n && !errno && !*end && v >= min && v <= max && strspn(text, "-0123456789") == n) {
        *out = v;
        return true;
    }
    front_problem(x, 400, e, "%s: wants a whole number from %lld to %lld", name, (long long)min,
                  (long long)max);
    return false;
}

int front_refused(const struct exchange *x)
{
    return x->answer.status ? 0 : -1;
}

int front_store(struct exchange *x, enum store_mode mode, struct err *e)
{
    struct store_settings set = cli_store_settings(false);

    if (x->store_open)
        return 0;
    if (store_open(&x->store, cli.db, mode, &set, e))
        return -1;
    if (x->store.version < 2) { /* has no queue yet */
        store_close(&x->store);
        if (store_open(&x->store, cli.db, STORE_WRITE, &set, e))
            return -1;
    }
    x->store_open = true;
    return 0;
}

int front_conf(struct exchange *x, struct err *e)
{
    if (!x->has_conf && httpconf_open(&x->conf, e))
        return -1;
    x->has_conf = true;
    return 0;
}

/* --- who asks ----------------------------------------------------------- */

bool front_is(const struct exchange *x, enum role role)
{
    return x->is_known && x->who.role == role;
}

bool front_is_own(const struct exchange *x, const char *user_id)
{
    return front_is(x, ROLE_ADMIN) || (x->is_known && !strcmp(x->who.user_id, user_id));
}

/* Where there is no key file, who sits at this machine may do everything. */
static int know_local(struct exchange *x, struct err *e)
{
    if (!x->rq.loopback)
        return front_problem_of(x, 401, "/problems/no-key", "", e,
                                "this box has no token key yet and serves itself alone; on its "
                                "console, run lifeboat-token pair");
    x->who = (struct principal){.user_id = "local", .role = ROLE_ADMIN};
    x->is_known = true;
    return 0;
}

static int know_by_token(struct exchange *x, struct err *e)
{
    char why[JWT_WHY];
    int rc = jwt_check(&x->keys, span_of(x->rq.token), clock_now_ms(), &x->who, why, e);

    x->is_known = rc == 1;
    if (rc)
        return rc < 0 ? -1 : 0;
    return front_problem_of(x, 401, "/problems/token", "", e, "the token is not good: %s", why);
}

/* An answer stands there if he may not. */
static int know_who(struct exchange *x, struct err *e)
{
    int rc = keys_load(&x->keys, settings_get("KEY"), cli.db, e);

    if (rc < 0)
        return -1;
    x->has_keys = rc == 1;
    if (!x->has_keys)
        return know_local(x, e);
    if (x->route->who & BY_ANYBODY)
        return 0;
    if (!x->rq.token)
        return front_problem_of(x, 401, "/problems/token", "", e, "wants a bearer token");
    if (know_by_token(x, e) || x->answer.status)
        return x->answer.status ? 0 : -1;
    if (x->route->who & 1U << x->who.role)
        return 0;
    return front_problem(x, 403, e, "the role %s may not do this", role_name(x->who.role));
}

/* --- what is asked ------------------------------------------------------ */

static int find_route(struct exchange *x, struct err *e)
{
    static char allow[64];
    unsigned methods = 0;

    for (size_t i = 0; i < ROUTES; i++) {
        struct route_match at;

        if (!route_matches(routes[i].pattern, &x->rq, &at))
            continue;
        methods |= routes[i].method;
        if (!(routes[i].method & x->rq.method))
            continue;
        x->route = &routes[i];
        x->at = at;
        return 0;
    }
    if (!methods)
        return front_problem(x, 404, e, "no such resource");
    for (unsigned m = HTTP_GET; m < HTTP_OTHER; m <<= 1)
        if (methods & m)
            snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s",
                     *allow ? ", " : "", http_method_name((enum http_method)m));
    x->answer.allow = allow;
    return front_problem(x, 405, e, "this resource takes %s", allow);
}

static int check_licence(struct exchange *x, struct err *e)
{
    enum licence_state s;

    if (!(x->route->flags & LICENSED))
        return 0;
    if (front_conf(x, e))
        return -1;
    s = licence_now(&x->conf, clock_now_ms());
    if (!(x->conf.closed & 1U << s))
        return 0;
    return front_problem_of(x, 403, "/problems/licence", "", e,
                            "the licence is %s: nothing new is taken in; reading, export and "
                            "restore go on",
                            licence_name(s));
}

static int take_body(struct exchange *x, struct err *e)
{
    int64_t n = x->rq.content_length;
    int rc;

    if (n > x->route->body_max)
        return front_problem(x, 413, e, "this resource takes %lld bytes at most",
                             (long long)x->route->body_max);
    rc = body_open(&x->body, STDIN_FILENO, n, cli.db, e);
    if (rc)
        return rc < 0 ? -1 : 0;
    return front_problem(x, 400, e, "the body is not as long as its Content-Length");
}

static int check_request(struct exchange *x, struct err *e)
{
    const char *unknown;

    if (!route_params_ok(x->route->params, &x->rq, &unknown))
        return front_problem(x, 400, e, "%s: no such parameter", unknown);
    if (x->rq.content_length > 0 && x->route->body_max && x->rq.body == BODY_OTHER)
        return front_problem(x, 415, e, "wants application/json or application/jsonl");
    if (check_licence(x, e) || x->answer.status)
        return front_refused(x);
    return take_body(x, e);
}

/* --- under a key -------------------------------------------------------- */

static bool is_writing(const struct exchange *x)
{
    return x->rq.method & (HTTP_POST | HTTP_PUT | HTTP_PATCH | HTTP_DELETE);
}

/* What must be the same when a key comes again: the body, and the parameters. */
static int take_fingerprint(struct exchange *x, struct err *e)
{
    const char *texts[2 * REQUEST_PARAMS + 2], **t = texts;
    char body[SHA256_TEXT];

    if (body_sha256(&x->body, body, e))
        return -1;
    *t++ = body;
    for (int i = 0; i < x->rq.params; i++) {
        *t++ = x->rq.param[i].name.p;
        *t++ = x->rq.param[i].value.p;
    }
    *t = NULL;
    return nameid_hash(texts, x->replay.fingerprint) ? err_memory(e) : 0;
}

/* Scoped by who asks, method and address; an automatic key is the fingerprint. */
static int name_key(struct exchange *x, struct err *e)
{
    const char *key = x->rq.key, *principal = x->is_known ? x->who.user_id : "";
    char path[REQUEST_TARGET_MAX + 1] = "", automatic[80];

    for (int i = 0; i < x->rq.segments; i++) {
        size_t n = strlen(path);

        snprintf(path + n, sizeof path - n, "/%s", x->rq.segment[i].p);
    }
    if (take_fingerprint(x, e))
        return -1;
    if (!key && httpconf_automatic(&x->conf, path)) {
        snprintf(automatic, sizeof automatic, "auto:%.32s", x->replay.fingerprint);
        key = automatic;
    }
    x->keyed = key != NULL;
    return key ? replay_name(&x->replay, principal, http_method_name(x->rq.method), path, key, e)
               : 0;
}

static int run_once(struct exchange *x, struct err *e)
{
    switch (replay_begin(&x->replay, &x->store, &x->answer, e)) {
    case REPLAY_ERROR:
        return -1;
    case REPLAY_AGAIN:
        return 0;
    case REPLAY_BUSY:
        x->answer.retry_after_s = 1;
        return front_problem_of(x, 409, "/problems/in-flight", "", e,
                                "a request with this idempotency key is being answered");
    case REPLAY_OTHER:
        return front_problem_of(x, 422, "/problems/key-reused", "", e,
                                "this idempotency key was used for another request");
    case REPLAY_OURS:
        break;
    }
    if (x->route->run(x, e))
        return -1;
    return x->answer.status / 100 == 2 ? replay_record(&x->replay, &x->answer, e) : 0;
}

static int run(struct exchange *x, struct err *e)
{
    if (is_writing(x)) {
        /* Of recovery nothing hangs on those files: they may be damaged. */
        if ((x->route->flags & LICENSED) && front_conf(x, e))
            return -1;
        if ((x->rq.key || x->conf.automatic_count) && name_key(x, e))
            return -1;
        if (x->keyed)
            return front_store(x, STORE_CREATE, e) ? -1 : run_once(x, e);
    }
    return x->route->run(x, e);
}

/* --- one request -------------------------------------------------------- */

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

/* Tokens and whatever else a client sent are nothing for the commands that are run
 * here: their environment can be read by others. What was read of it stays. */
static void forget_headers(void)
{
    char **kept = environ;

    for (char **v = environ; *v; v++)
        if (strncmp(*v, "HTTP_", 5) != 0)
            *kept++ = *v;
    *kept = NULL;
}

/* Each step may have the answer already; what follows it is left out. */
static int answer_request(struct exchange *x, struct err *e)
{
    static int (*const steps[])(struct exchange *, struct err *) = {find_route, know_who,
                                                                    check_request, run};
    const char *why;
    int status = request_read(&x->rq, variable, NULL, &why);

    forget_headers();
    if (*x->rq.correlation)
        memcpy(x->correlation, x->rq.correlation, sizeof x->correlation);
    else if (uuid7_new(x->correlation, e))
        return -1;
    if (status)
        return front_problem(x, status, e, "%s", why);
    if (is_writing(x)) /* what was sent whole is finished, whoever hangs up */
        signal(SIGTERM, SIG_IGN);
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !x->answer.status; i++)
        if (steps[i](x, e))
            return -1;
    return 0;
}

static void log_request(const struct exchange *x, int64_t begun)
{
    struct access_line line = {
        .method = http_method_name(x->rq.method),
        .route = x->route->pattern,
        .status = x->answer.status,
        .ms = clock_boot_ms() - begun,
        .bytes = x->answer.bytes,
        .principal = x->is_known ? x->who.user_id : "",
        .role = x->is_known ? role_name(x->who.role) : "",
        .correlation = x->correlation,
        .replayed = x->answer.replayed,
    };
    struct err e = ERR_NONE;

    if (access_log(settings_get("HTTP_LOG"), &line, &e))
        cli_warn("%s", e.msg);
}

/* Commands of the toolkit that handlers run are beside this one where it was built, in
 * PREFIX/bin where it is installed in PREFIX/lib/cgi-bin; the rest is the system's. The
 * PATH of a web server is not asked. */
static void find_commands(void)
{
    char exe[PATH_MAX], path[2 * PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    const char *folder = ".";

    if (n > 0) {
        exe[n] = '\0';
        folder = dirname(exe);
    }
    snprintf(path, sizeof path, "%s:%s/../../bin:/usr/bin:/bin", folder, folder);
    setenv("PATH", path, 1);
}

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};

/* Run by hand it says what it is. A web server's words are the client's: none is taken
 * for an option (RFC 3875, 4.4). */
static void take_options(int argc, char **argv)
{
    int c;

    if (getenv("GATEWAY_INTERFACE"))
        return;
    while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1)
        cli_option(c, optarg);
    cli_usage_error("this is for a web server to run");
}

int main(int argc, char **argv)
{
    static struct exchange x = {.route = &nowhere, .body = BODY_NONE, .replay.lock.fd = -1};
    int64_t begun = clock_boot_ms();
    struct err e = ERR_NONE;

    secrets_guard();
    cli_start(argv[0], usage);
    take_options(argc, argv);
    find_commands();
    if (answer_request(&x, &e))
        front_fail(&x, &e);
    /* A client that has left changes nothing: what it asked for is done. */
    if (answer_send(&x.answer, STDOUT_FILENO, x.correlation, x.rq.method == HTTP_HEAD, &e))
        cli_warn("%s", e.msg);
    replay_end(&x.replay);
    log_request(&x, begun);
    keys_wipe(&x.keys);
    body_close(&x.body);
    if (x.store_open)
        store_close(&x.store);
    httpconf_close(&x.conf);
    answer_free(&x.answer);
    return 0;
}
