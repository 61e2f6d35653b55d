#include "http/request.h"
#include "http/route.h"

#include "tap.h"

/* What the server would say; ended by a name that is NULL. */
struct variables {
    const char *name[8], *value[8];
};

static struct request rq;

static const char *variable(void *ctx, const char *name)
{
    const struct variables *v = ctx;

    for (int i = 0; i < 8 && v->name[i]; i++)
        if (!strcmp(v->name[i], name))
            return v->value[i];
    return NULL;
}

static int read_it(struct variables v)
{
    const char *why = NULL;
    int status = request_read(&rq, variable, &v, &why);

    return !status == !why ? status : -1;
}

static int read_target(const char *uri)
{
    return read_it((struct variables){{"REQUEST_METHOD", "REQUEST_URI"}, {"GET", uri}});
}

static int read_header(const char *name, const char *value)
{
    return read_it(
        (struct variables){{"REQUEST_METHOD", "REQUEST_URI", name}, {"POST", "/x", value}});
}

/* --- addresses ------------------------------------------------------------- */

static const struct {
    const char *uri;
    int status;
    const char *name;
} targets[] = {
    {"/api/health", 0, "a path"},
    {"/", 0, "the root, whose one segment is empty"},
    {"/a//b/", 0, "empty segments"},
    {"/%61%2D%7e", 0, "escapes in either case"},
    {"/a%2Fb", 0, "an escaped slash"},
    {"/%E6%89%8B?n=%E8%A1%93", 0, "UTF-8 in escapes"},
    {"/\xc3\xa9", 0, "UTF-8 as it is"},
    {"/...", 0, "three dots are a name"},
    {"/..a", 0, "dots before a name"},
    {"/x?", 0, "an empty query"},
    {"/x?&&", 0, "empty parameters"},
    {"/x?a", 0, "a name alone"},
    {"/x?a=b=c", 0, "an = in a value"},
    {"/x?a=?/", 0, "a ? and a / in a query"},
    {"/1/2/3/4/5/6/7/8", 0, "eight segments"},
    {"/1/2/3/4/5/6/7/8/9", 404, "nine segments"},
    {"/x?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16", 0, "16 parameters"},
    {"/x?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17", 400, "17 parameters"},
    {"", 400, "no address"},
    {"x", 400, "no slash before it"},
    {"*", 400, "a star"},
    {"http://h/x", 400, "an absolute address"},
    {"?a=b", 400, "no path before the query"},
    {"/..", 400, "two dots"},
    {"/.", 400, "a dot"},
    {"/a/../b", 400, "two dots between segments"},
    {"/%2e%2e/b", 400, "two dots in escapes"},
    {"/%2E./b", 400, "one of them in an escape"},
    {"/%00", 400, "a NUL"},
    {"/%0d%0aX:1", 400, "a line end"},
    {"/%7f", 400, "DEL"},
    {"/a\x01", 400, "a control character as it is"},
    {"/%ff", 400, "no UTF-8"},
    {"/%c0%ae%c0%ae/", 400, "two dots in overlong UTF-8"},
    {"/%ed%a0%80", 400, "a surrogate in UTF-8"},
    {"/%f4%90%80%80", 400, "more than U+10FFFF"},
    {"/%e6%89", 400, "a character that is cut"},
    {"/%e6/%89%8b", 400, "a character over two segments"},
    {"/%", 400, "a % at the end"},
    {"/%4", 400, "half an escape"},
    {"/%4g", 400, "an escape that is none"},
    {"/%-1", 400, "a sign in an escape"},
    {"/x?a=1&a=1", 400, "a parameter twice"},
    {"/x?a=1&%61=2", 400, "a parameter twice, once in an escape"},
    {"/x?+a=1&%20a=2", 400, "a blank in two spellings"},
    {"/x?a=%0a", 400, "a line end in a value"},
    {"/x?%00=a", 400, "a NUL in a name"},
    {"/x?a=%", 400, "a % in a value"},
    {"/x?a=\xff", 400, "a value that is not UTF-8"},
};

enum { TARGETS = sizeof targets / sizeof *targets, OF_TARGETS = 12 };

static void addresses(void)
{
    static char longest[REQUEST_TARGET_MAX + 2] = "/";

    for (size_t i = 0; i < TARGETS; i++)
        is_int(read_target(targets[i].uri), targets[i].status, "%s: %s", targets[i].name,
               targets[i].status ? "refused" : "taken");
    memset(longest + 1, 'a', REQUEST_TARGET_MAX - 1);
    is_int(read_target(longest), 0, "an address of %d bytes is taken", REQUEST_TARGET_MAX);
    ok(rq.segment[0].n == REQUEST_TARGET_MAX - 1 && strlen(rq.segment[0].p) == rq.segment[0].n,
       "whole");
    longest[REQUEST_TARGET_MAX] = 'a';
    is_int(read_target(longest), 414, "one more byte is too long");
    memset(longest + 1, '/', REQUEST_TARGET_MAX - 1);
    longest[REQUEST_TARGET_MAX] = '\0';
    is_int(read_target(longest), 404, "as many slashes are no resource");

    read_target("/a%2fb/%63?x=1+%2b&y&z=%26=");
    ok(rq.segments == 2 && rq.slash[0] && !rq.slash[1], "an escaped slash ends no segment");
    is_str(rq.segment[0].p, "a/b", "and is a slash in it");
    is_str(rq.segment[1].p, "c", "what follows stands by itself");
    is_int(rq.params, 3, "three parameters");
    is_str(request_param(&rq, "x"), "1 +", "a plus is a blank, an escaped one a plus");
    is_str(request_param(&rq, "y"), "", "a name alone has an empty value");
    is_str(request_param(&rq, "z"), "&=", "an escaped & ends no parameter");
    ok(!request_param(&rq, "X") && !request_param(&rq, ""), "others are not there");
}

/* --- headers --------------------------------------------------------------- */

#define X64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define X256 X64 X64 X64 X64

static const struct {
    const char *name, *value;
    int status;
    const char *what;
} headers[] = {
    {"CONTENT_LENGTH", "0", 0, "a length of nothing"},
    {"CONTENT_LENGTH", "", 0, "an empty length is none"},
    {"CONTENT_LENGTH", "999999999999999999", 0, "18 digits of length"},
    {"CONTENT_LENGTH", "1000000000000000000", 400, "19 digits"},
    {"CONTENT_LENGTH", "-1", 400, "a negative length"},
    {"CONTENT_LENGTH", "+1", 400, "a length with a sign"},
    {"CONTENT_LENGTH", " 1", 400, "a length with a blank"},
    {"CONTENT_LENGTH", "1, 1", 400, "two lengths"},
    {"CONTENT_LENGTH", "0x1", 400, "a length in hex"},
    {"HTTP_AUTHORIZATION", "Bearer a.b-c_d~+/=", 0, "a token"},
    {"HTTP_AUTHORIZATION", "bearer   a", 0, "the scheme in lower case, and blanks"},
    {"HTTP_AUTHORIZATION", "", 0, "an empty one is none"},
    {"HTTP_AUTHORIZATION", "Bearer", 401, "a scheme alone"},
    {"HTTP_AUTHORIZATION", "Bearer ", 401, "no token behind it"},
    {"HTTP_AUTHORIZATION", "Basic YTpi", 401, "another scheme"},
    {"HTTP_AUTHORIZATION", "Bearer a b", 401, "two words"},
    {"HTTP_AUTHORIZATION", "Bearer a, Bearer b", 401, "two tokens"},
    {"HTTP_AUTHORIZATION", "Bearer a\xff", 400, "a token that is no text"},
    {"HTTP_IDEMPOTENCY_KEY", "a", 0, "a key of a byte"},
    {"HTTP_IDEMPOTENCY_KEY", X64 X64 X64 X64, 400, "a key of 256"},
    {"HTTP_X_IDEMPOTENCY_KEY", "\xe6\x89\x8b", 0, "a key in UTF-8, by its other name"},
    {"HTTP_IDEMPOTENCY_KEY", "", 400, "an empty key"},
    {"HTTP_IDEMPOTENCY_KEY", "a\tb", 400, "a key with a tab"},
    {"HTTP_X_CORRELATION_ID", "a-Z_0.9:", 0, "a correlation id of its alphabet"},
    {"HTTP_X_CORRELATION_ID", X64 X64, 0, "one of 128"},
    {"HTTP_X_CORRELATION_ID", X64 X64 "a", 400, "one of 129"},
    {"HTTP_X_CORRELATION_ID", "a b", 400, "one with a blank"},
    {"HTTP_X_CORRELATION_ID", "a\r\nX-Evil: 1", 400, "one with a line end"},
    {"HTTP_X_CORRELATION_ID", "a\"", 400, "one with a quote"},
    {"HTTP_X_CORRELATION_ID", "a, b", 400, "two of them"},
    {"HTTP_TRACEPARENT", "nonsense", 0, "a traceparent that is none is passed over"},
    {"HTTP_X_PRIMARY_RESPONSE_MS", "soon", 0, "a measurement that is no number is passed over"},
    {"HTTP_X_PRIMARY_RESPONSE_MS", "1\n2", 400, "but not one with a line end"},
    {"HTTP_LAST_EVENT_ID", "a\x01", 400, "a control character in Last-Event-ID"},
    {"HTTP_ACCEPT", "\xff", 400, "Accept that is no text"},
    {"REMOTE_ADDR", "\xff", 400, "an address that is no text"},
};

enum { HEADERS = sizeof headers / sizeof *headers, OF_HEADERS = 18 };

static void header_fields(void)
{
    static char big[REQUEST_HEADER_MAX + 2];

    for (size_t i = 0; i < HEADERS; i++)
        is_int(read_header(headers[i].name, headers[i].value), headers[i].status, "%s: %s",
               headers[i].what, headers[i].status ? "refused" : "taken");
    memset(big, 'a', REQUEST_HEADER_MAX + 1);
    is_int(read_header("HTTP_ACCEPT", big), 431, "a header that is too long is refused");
    is_int(read_header("HTTP_X_CORRELATION_ID", big), 431, "an id before it is looked at");
    is_str(rq.correlation, "", "and of one that is refused nothing is kept");

    read_header("HTTP_TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    is_str(rq.correlation, "4bf92f3577b34da6a3ce929d0e0e4736", "a traceparent is its trace-id");
    read_header("HTTP_TRACEPARENT", "00-00000000000000000000000000000000-00f067aa0ba902b7-01");
    is_str(rq.correlation, "", "zeros are no trace-id");
    read_header("HTTP_TRACEPARENT", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01");
    is_str(rq.correlation, "", "nor are capitals");
    read_header("CONTENT_LENGTH", "17");
    is_int(rq.content_length, 17, "a length is a number");
    read_header("HTTP_ACCEPT", "application/jsonl");
    is_int(rq.content_length, -1, "none is no body");
    ok(rq.wants_lines, "lines are wanted");
    read_header("CONTENT_TYPE", "application/x-www-form-urlencoded");
    is_int(rq.body, BODY_JSON, "what curl -d sends is taken as JSON");
    read_header("CONTENT_TYPE", "Application/JSON ; charset=utf-8");
    is_int(rq.body, BODY_JSON, "JSON in capitals, with a charset");
    read_header("CONTENT_TYPE", "application/x-ndjson");
    is_int(rq.body, BODY_JSONL, "lines");
    read_header("CONTENT_TYPE", "application/jsonx");
    is_int(rq.body, BODY_OTHER, "something else that begins like it");
    read_header("CONTENT_TYPE", "text/plain, application/json");
    is_int(rq.body, BODY_OTHER, "two types");
    is_int(read_it((struct variables){
               {"REQUEST_METHOD", "REQUEST_URI", "HTTP_IDEMPOTENCY_KEY", "HTTP_X_IDEMPOTENCY_KEY"},
               {"POST", "/", "a", "b"}}),
           400, "two keys that differ are refused");
    is_int(read_it((struct variables){
               {"REQUEST_METHOD", "REQUEST_URI", "HTTP_IDEMPOTENCY_KEY", "HTTP_X_IDEMPOTENCY_KEY"},
               {"POST", "/", "a", "a"}}),
           0, "the same one twice is taken");
    is_str(rq.key, "a", "as that one");
    is_int(read_it((struct variables){{"REQUEST_URI", "HTTP_X_CORRELATION_ID"}, {"/..", "c"}}), 400,
           "what has no method is refused");
}

/* --- methods and places ---------------------------------------------------- */

static void methods(void)
{
    static const struct {
        const char *name;
        enum http_method method;
    } rows[] = {{"GET", HTTP_GET},    {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
                {"PUT", HTTP_PUT},    {"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH},
                {"get", HTTP_OTHER},  {"TRACE", HTTP_OTHER},   {"", HTTP_OTHER},
                {"GETX", HTTP_OTHER}, {"OPTIONS", HTTP_OTHER}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        read_it((struct variables){{"REQUEST_METHOD", "REQUEST_URI"}, {rows[i].name, "/"}});
        is_int(rq.method, rows[i].method, "method \"%s\"", rows[i].name);
    }
    is_str(http_method_name(HTTP_OTHER), "OTHER", "any other has no name of its own");
}

static const struct {
    const char *address, *host, *name, *value;
    bool local;
    const char *what;
} places[] = {
    {"127.0.0.1", "localhost", NULL, NULL, true, "from here by name"},
    {"127.0.0.1", "LocalHost:8080", NULL, NULL, true, "by name and port"},
    {"127.1.2.3", "127.0.0.1:1", NULL, NULL, true, "by address"},
    {"::1", "[::1]:8080", NULL, NULL, true, "by IPv6"},
    {"::ffff:127.0.0.1", "localhost", NULL, NULL, true, "by IPv4 in IPv6"},
    {"192.168.1.7", "localhost", NULL, NULL, false, "from elsewhere"},
    {"::ffff:10.0.0.1", "localhost", NULL, NULL, false, "from elsewhere in IPv6"},
    {"1270.0.0.1", "localhost", NULL, NULL, false, "an address that begins like it"},
    {"", "localhost", NULL, NULL, false, "no address"},
    {"127.0.0.1", "evil.example", NULL, NULL, false, "a name that was bound to here"},
    {"127.0.0.1", "localhost.evil.example", NULL, NULL, false, "a name that begins like ours"},
    {"127.0.0.1", "127.0.0.1.evil.example", NULL, NULL, false, "one that begins like an address"},
    {"127.0.0.1", "localhost:", NULL, NULL, false, "a port that is empty"},
    {"127.0.0.1", "localhost:80a", NULL, NULL, false, "a port that is none"},
    {"127.0.0.1", "localhost:123456", NULL, NULL, false, "a port of six digits"},
    {"127.0.0.1", "", NULL, NULL, false, "no host"},
    {"127.0.0.1", "localhost", "HTTP_X_FORWARDED_FOR", "127.0.0.1", false, "forwarded"},
    {"127.0.0.1", "localhost", "HTTP_FORWARDED", "", false, "forwarded, by an empty header"},
    {"127.0.0.1", "localhost", "HTTP_VIA", "1.1 x", false, "by a proxy"},
    {"127.0.0.1", "localhost", "HTTP_X_CLUSTER_CLIENT_IP", "::1", false, "by a load balancer"},
    {"127.0.0.1", "localhost:1", "HTTP_ORIGIN", "http://localhost:1", true, "from our own page"},
    {"127.0.0.1", "localhost:1", "HTTP_ORIGIN", "http://localhost:2", false, "another port's page"},
    {"127.0.0.1", "localhost", "HTTP_ORIGIN", "null", false, "from a page without an origin"},
    {"127.0.0.1", "localhost", "HTTP_ORIGIN", "https://evil.example", false, "from a foreign page"},
    {"127.0.0.1", "localhost", "HTTP_SEC_FETCH_SITE", "same-origin", true, "as the browser says"},
    {"127.0.0.1", "localhost", "HTTP_SEC_FETCH_SITE", "none", true, "typed by the user"},
    {"127.0.0.1", "localhost", "HTTP_SEC_FETCH_SITE", "cross-site", false, "from another site"},
    {"127.0.0.1", "localhost", "HTTP_SEC_FETCH_SITE", "same-site", false, "from another port"},
};

enum { PLACES = sizeof places / sizeof *places };

static void loopback(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        read_it((struct variables){
            {"REQUEST_METHOD", "REQUEST_URI", "REMOTE_ADDR", "HTTP_HOST", places[i].name},
            {"GET", "/", places[i].address, places[i].host, places[i].value}});
        is_int(rq.loopback, places[i].local, "%s: %s", places[i].what,
               places[i].local ? "at home" : "not at home");
    }
}

/* --- routes ---------------------------------------------------------------- */

static const struct {
    const char *pattern, *uri;
    const char *first; /* what its first name is; NULL: no match */
} routes[] = {
    {"/api/nodes/{id}/restore", "/api/nodes/E-1/restore", "E-1"},
    {"/api/nodes/{id}/restore", "/api/nodes/a%2Fb/restore", NULL},
    {"/api/nodes/{id*}/restore", "/api/nodes/a%2Fb/restore", "a/b"},
    {"/api/nodes/{id*}/restore", "/api/nodes/a/b/restore", NULL},
    {"/api/nodes/{id*}/restore", "/api/nodes//restore", NULL},
    {"/api/nodes/{id}/restore", "/api/nodes/1/restore/", NULL},
    {"/api/nodes/{id}/restore", "/api/nodes/1", NULL},
    {"/api/nodes/{id}/restore", "/api/nodes/1/Restore", NULL},
    {"/api/{a}/{b*}", "/api/%61/%2f", "a"},
    {"/api/health", "/api%2Fhealth", NULL},
};

enum { ROUTES = sizeof routes / sizeof *routes, OF_ROUTES = 3 };

static void matches(void)
{
    struct route_match m;
    const char *unknown = NULL;

    for (size_t i = 0; i < ROUTES; i++) {
        read_target(routes[i].uri);
        is_str(route_matches(routes[i].pattern, &rq, &m) ? m.value[0] : NULL, routes[i].first,
               "%s and %s", routes[i].pattern, routes[i].uri);
    }
    read_target("/x?limit=1&afte=2");
    ok(!route_params_ok("limit after", &rq, &unknown), "half a name is no parameter");
    is_str(unknown, "afte", "and is named");
    read_target("/x?after=1");
    ok(route_params_ok("limit after", &rq, &unknown), "the last of the list is one");
}

int main(void)
{
    plan(TARGETS + OF_TARGETS + HEADERS + OF_HEADERS + 12 + PLACES + ROUTES + OF_ROUTES);
    addresses();
    header_fields();
    methods();
    loopback();
    matches();
    return done();
}
