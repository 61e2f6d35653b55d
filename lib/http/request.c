#include "http/request.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    enum http_method method;
    const char *name;
} methods[] = {{HTTP_GET, "GET"}, {HTTP_HEAD, "HEAD"},   {HTTP_POST, "POST"},
               {HTTP_PUT, "PUT"}, {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}};

enum { METHODS = sizeof methods / sizeof *methods };

/* Reading, as far as it has come. */
struct reading {
    struct request *r;
    request_env *get;
    void *ctx;
    char *at; /* in r->room */
    int status;
    const char *why;
};

/* For the first of its faults. */
static int refuse(struct reading *in, int status, const char *why)
{
    if (!in->status) {
        in->status = status;
        in->why = why;
    }
    return -1;
}

/* --- the target --------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static bool is_utf8(struct span s)
{
    for (size_t i = 0, n; i < s.n; i += n) {
        n = (unsigned char)s.p[i] < 0x80 ? 1 : utf8_length(s.p + i, s.p + s.n);
        if (!n)
            return false;
    }
    return true;
}

/* One segment, name or value, into the room. plus: "+" is a space. */
static int decode(struct reading *in, struct span raw, bool plus, struct span *out)
{
    char *begin = in->at;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];

        if (c == '%') {
            int high = raw.n - i > 2 ? hex(raw.p[i + 1]) : -1;

            if (high < 0 || hex(raw.p[i + 2]) < 0)
                return refuse(in, 400, "a % in the address is no escape");
            c = (char)(high << 4 | hex(raw.p[i + 2]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        *in->at++ = c;
    }
    *out = (struct span){begin, (size_t)(in->at - begin)};
    *in->at++ = '\0';
    if (has_control(*out))
        return refuse(in, 400, "a control character in the address");
    if (!is_utf8(*out))
        return refuse(in, 400, "the address is not UTF-8");
    return 0;
}

static bool has_escaped_slash(struct span raw)
{
    for (size_t i = 0; i + 2 < raw.n; i++)
        if (raw.p[i] == '%' && raw.p[i + 1] == '2' && (raw.p[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

static int add_segment(struct reading *in, struct span raw)
{
    struct request *r = in->r;
    struct span *s;

    if (r->segments == REQUEST_SEGMENTS)
        return refuse(in, 404, "no such resource");
    s = &r->segment[r->segments];
    if (decode(in, raw, false, s))
        return -1;
    if (span_eq(*s, SPAN(".")) || span_eq(*s, SPAN("..")))
        return refuse(in, 400, "the address goes up and down");
    r->slash[r->segments++] = has_escaped_slash(raw);
    return 0;
}

static int read_path(struct reading *in, struct span path)
{
    size_t begin = 1;

    if (!path.n || path.p[0] != '/')
        return refuse(in, 400, "the address is no path");
    for (size_t i = 1; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/')
            continue;
        if (add_segment(in, (struct span){path.p + begin, i - begin}))
            return -1;
        begin = i + 1;
    }
    return 0;
}

static int add_param(struct reading *in, struct span raw)
{
    const char *eq = memchr(raw.p, '=', raw.n);
    struct request *r = in->r;
    struct param *p;
    size_t name = eq ? (size_t)(eq - raw.p) : raw.n;
    struct span value = eq ? (struct span){eq + 1, raw.n - name - 1} : SPAN("");

    if (!raw.n)
        return 0;
    if (r->params == REQUEST_PARAMS)
        return refuse(in, 400, "too many parameters");
    p = &r->param[r->params];
    if (decode(in, (struct span){raw.p, name}, true, &p->name) ||
        decode(in, value, true, &p->value))
        return -1;
    for (int i = 0; i < r->params; i++)
        if (span_eq(r->param[i].name, p->name))
            return refuse(in, 400, "a parameter is given twice");
    r->params++;
    return 0;
}

static int read_query(struct reading *in, struct span query)
{
    size_t begin = 0;

    for (size_t i = 0; i <= query.n; i++) {
        if (i < query.n && query.p[i] != '&')
            continue;
        if (add_param(in, (struct span){query.p + begin, i - begin}))
            return -1;
        begin = i + 1;
    }
    return 0;
}

static int read_target(struct reading *in)
{
    const char *uri = in->get(in->ctx, "REQUEST_URI"), *query;
    size_t n = uri ? strlen(uri) : 0, path;

    if (!n)
        return refuse(in, 400, "no address");
    if (n > REQUEST_TARGET_MAX)
        return refuse(in, 414, "the address is too long");
    query = memchr(uri, '?', n);
    path = query ? (size_t)(query - uri) : n;
    if (read_path(in, (struct span){uri, path}))
        return -1;
    return query ? read_query(in, (struct span){query + 1, n - path - 1}) : 0;
}

/* --- headers ------------------------------------------------------------ */

/* NULL: it is not there. Sets the status if it cannot be taken. */
static const char *header(struct reading *in, const char *name)
{
    const char *v = in->get(in->ctx, name);
    struct span s = span_of(v ? v : "");

    if (!v)
        return NULL;
    if (s.n > REQUEST_HEADER_MAX)
        refuse(in, 431, "a header is too long");
    else if (has_control(s) || !is_utf8(s))
        refuse(in, 400, "a header is not plain text");
    return v;
}

static bool of_alphabet(const char *text, const char *alphabet, size_t max)
{
    size_t n = strlen(text);

    return n && n <= max && strspn(text, alphabet) == n;
}

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static int read_length(struct reading *in)
{
    const char *v = header(in, "CONTENT_LENGTH");

    in->r->content_length = -1;
    if (!v || !*v)
        return 0;
    if (!of_alphabet(v, DIGITS, 18))
        return refuse(in, 400, "Content-Length is no number");
    in->r->content_length = strtoll(v, NULL, 10);
    return 0;
}

/* Is the media type, without its parameters, this one? */
static bool media_is(const char *v, const char *type)
{
    size_t n = strcspn(v, "; \t");

    return n == strlen(type) && !strncasecmp(v, type, n);
}

static bool is_lines(const char *v)
{
    return media_is(v, "application/jsonl") || media_is(v, "application/x-ndjson") ||
           media_is(v, "application/x-jsonlines") || media_is(v, "application/json-lines");
}

static void read_types(struct reading *in)
{
    const char *type = header(in, "CONTENT_TYPE"), *accept = header(in, "HTTP_ACCEPT");

    /* curl -d says form-urlencoded whatever it sends: the body is what counts. */
    in->r->body = !type || !*type || media_is(type, "application/json") ||
                          media_is(type, "application/x-www-form-urlencoded")
                      ? BODY_JSON
                  : is_lines(type) ? BODY_JSONL
                                   : BODY_OTHER;
    in->r->wants_lines = accept && is_lines(accept);
}

static int read_token(struct reading *in)
{
    const char *v = header(in, "HTTP_AUTHORIZATION");

    if (!v || !*v)
        return 0;
    if (strncasecmp(v, "Bearer ", 7) != 0)
        return refuse(in, 401, "wants a bearer token");
    v += 7 + strspn(v + 7, " ");
    if (!of_alphabet(v, LETTERS DIGITS "-._~+/=", REQUEST_HEADER_MAX))
        return refuse(in, 401, "the token is none");
    in->r->token = v;
    return 0;
}

static int read_key(struct reading *in)
{
    const char *a = header(in, "HTTP_IDEMPOTENCY_KEY"), *b = header(in, "HTTP_X_IDEMPOTENCY_KEY");

    if (a && b && strcmp(a, b) != 0)
        return refuse(in, 400, "two idempotency keys");
    in->r->key = a ? a : b;
    if (!in->r->key)
        return 0;
    if (!*in->r->key || strlen(in->r->key) > REQUEST_KEY_MAX)
        return refuse(in, 400, "an idempotency key has 1 to 255 bytes");
    return 0;
}

/* Version 00 of a W3C traceparent, whose trace-id it takes; what is not one is to be
 * passed over, says that standard. */
static bool take_trace(struct request *r, const char *v)
{
    static const char form[] = "00-################################-################-##";
    bool any = false;

    if (strlen(v) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '#' ? hex(v[i]) < 0 || (v[i] >= 'A' && v[i] <= 'F') : v[i] != form[i])
            return false;
    for (size_t i = 3; i < 35; i++)
        any = any || v[i] != '0';
    if (any)
        memcpy(r->correlation, v + 3, 32);
    return any;
}

static int read_correlation(struct reading *in)
{
    const char *v = header(in, "HTTP_X_CORRELATION_ID"), *trace;

    if (v && *v) {
        if (!of_alphabet(v, LETTERS DIGITS "._:-", REQUEST_ID_MAX))
            return refuse(in, 400, "X-Correlation-ID has 1 to 128 of A-Z a-z 0-9 . _ : -");
        memcpy(in->r->correlation, v, strlen(v) + 1);
        return 0;
    }
    trace = header(in, "HTTP_TRACEPARENT");
    if (trace)
        take_trace(in->r, trace);
    return 0;
}

/* A measurement, not worth a refusal: what is no number is passed over. */
static void read_primary(struct reading *in)
{
    const char *v = header(in, "HTTP_X_PRIMARY_RESPONSE_MS");

    in->r->primary_ms = v && of_alphabet(v, DIGITS, 9) ? atoll(v) : -1;
}

/* --- from where --------------------------------------------------------- */

static bool is_loopback_address(const char *v)
{
    return !strncmp(v, "127.", 4) || !strcmp(v, "::1") || !strncmp(v, "::ffff:127.", 11);
}

/* NAME or NAME:PORT, where the name can only mean this machine. */
static bool is_loopback_host(const char *v)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);

        if (!strncasecmp(v, names[i], n) &&
            (!v[n] || (v[n] == ':' && of_alphabet(v + n + 1, DIGITS, 5))))
            return true;
    }
    return false;
}

/* Was it passed on by another server, whose own client may be anywhere? */
static bool was_forwarded(struct reading *in)
{
    static const char *const names[] = {"HTTP_FORWARDED",
                                        "HTTP_FORWARDED_FOR",
                                        "HTTP_X_FORWARDED",
                                        "HTTP_X_FORWARDED_FOR",
                                        "HTTP_X_FORWARDED_HOST",
                                        "HTTP_X_FORWARDED_PROTO",
                                        "HTTP_X_FORWARDED_PORT",
                                        "HTTP_X_FORWARDED_SERVER",
                                        "HTTP_X_FORWARDED_SSL",
                                        "HTTP_X_ORIGINAL_FORWARDED_FOR",
                                        "HTTP_VIA",
                                        "HTTP_X_REAL_IP",
                                        "HTTP_CLIENT_IP",
                                        "HTTP_X_CLIENT_IP",
                                        "HTTP_TRUE_CLIENT_IP",
                                        "HTTP_X_CLUSTER_CLIENT_IP",
                                        "HTTP_CF_CONNECTING_IP",
                                        "HTTP_FASTLY_CLIENT_IP",
                                        "HTTP_X_PROXYUSER_IP",
                                        "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
                                        "HTTP_X_ORIGINAL_HOST",
                                        "HTTP_X_HOST"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (in->get(in->ctx, names[i]))
            return true;
    return false;
}

/* A page of another site may not use the user's browser to get in here. */
static bool is_foreign(struct reading *in, const char *host)
{
    const char *origin = header(in, "HTTP_ORIGIN"), *site = header(in, "HTTP_SEC_FETCH_SITE");
    const char *at;

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return true;
    if (!origin || !*origin)
        return false;
    at = strstr(origin, "://");
    return !at || strcasecmp(at + 3, host) != 0;
}

static void read_place(struct reading *in)
{
    const char *address = header(in, "REMOTE_ADDR"), *host = header(in, "HTTP_HOST");

    in->r->remote = address ? address : "";
    in->r->loopback = address && host && is_loopback_address(address) && is_loopback_host(host) &&
                      !was_forwarded(in) && !is_foreign(in, host);
}

/* --- all of it ---------------------------------------------------------- */

static int read_method(struct reading *in)
{
    const char *v = in->get(in->ctx, "REQUEST_METHOD");

    in->r->method = HTTP_OTHER;
    for (size_t i = 0; v && i < METHODS; i++)
        if (!strcmp(v, methods[i].name))
            in->r->method = methods[i].method;
    return v ? 0 : refuse(in, 400, "no method");
}

int request_read(struct request *r, request_env *get, void *ctx, const char **why)
{
    struct reading in = {.r = r, .get = get, .ctx = ctx};

    memset(r, 0, sizeof *r);
    in.at = r->room;
    r->content_length = r->primary_ms = -1;
    r->remote = "";
    /* The correlation id first: a refusal names it. */
    if (!read_correlation(&in) && !read_method(&in) && !read_target(&in) && !read_length(&in) &&
        !read_key(&in) && !read_token(&in)) {
        read_types(&in);
        read_place(&in);
        read_primary(&in);
        r->last_event_id = header(&in, "HTTP_LAST_EVENT_ID");
    }
    *why = in.why;
    return in.status;
}

const char *request_param(const struct request *r, const char *name)
{
    for (int i = 0; i < r->params; i++)
        if (span_eq(r->param[i].name, span_of(name)))
            return r->param[i].value.p;
    return NULL;
}

const char *http_method_name(enum http_method m)
{
    for (size_t i = 0; i < METHODS; i++)
        if (methods[i].method == m)
            return methods[i].name;
    return "OTHER";
}
