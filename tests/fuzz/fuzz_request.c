/* What a client asks: an address is taken exactly when RFC 3986 and our limits allow
 * it, what comes of it lies within its room, is text, and gives the same again when it
 * is written out and read back; a correlation id is of its alphabet; a route takes what
 * its pattern says.
 *
 * The input is variables, each ended by a NUL: a letter that names it, and its value. */
#include "http/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"REQUEST_URI",
                                    "REQUEST_METHOD",
                                    "CONTENT_LENGTH",
                                    "CONTENT_TYPE",
                                    "HTTP_ACCEPT",
                                    "HTTP_AUTHORIZATION",
                                    "HTTP_IDEMPOTENCY_KEY",
                                    "HTTP_X_IDEMPOTENCY_KEY",
                                    "HTTP_X_CORRELATION_ID",
                                    "HTTP_TRACEPARENT",
                                    "HTTP_LAST_EVENT_ID",
                                    "REMOTE_ADDR",
                                    "HTTP_HOST",
                                    "HTTP_ORIGIN",
                                    "HTTP_SEC_FETCH_SITE",
                                    "HTTP_X_FORWARDED_FOR",
                                    "HTTP_FORWARDED"};

enum {
    NAMES = sizeof names / sizeof *names,
    URI = 0,
    METHOD = 1,
    ADDRESS = 11,
    HOST = 12,
    FORWARDED_FOR = 15,
    FORWARDED = 16
};

/* The values; NULL: not set. */
struct variables {
    const char *value[NAMES];
};

static struct request got, again;

static void check(bool held)
{
    if (!held)
        abort();
}

static const char *variable(void *ctx, const char *name)
{
    const struct variables *v = ctx;

    for (size_t i = 0; i < NAMES; i++)
        if (!strcmp(name, names[i]))
            return v->value[i];
    return NULL;
}

/* --- what an address may be, told without the reader ---------------------------- */

static bool is_hex(char c)
{
    return c && strchr("0123456789abcdefABCDEF", c);
}

/* The bytes that raw means, terminated; false: a % is no escape. */
static bool unescape(const char *raw, size_t n, bool plus, char *out, size_t *length)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (raw[i] != '%') {
            out[k++] = (char)(plus && raw[i] == '+' ? ' ' : raw[i]);
            continue;
        }
        if (n - i < 3 || !is_hex(raw[i + 1]) || !is_hex(raw[i + 2]))
            return false;
        out[k++] = (char)strtol((char[]){raw[i + 1], raw[i + 2], '\0'}, NULL, 16);
        i += 2;
    }
    out[k] = '\0';
    *length = k;
    return true;
}

/* By the table of RFC 3629, and without control characters. */
static bool is_text(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;

    while (p < end) {
        unsigned char c = *p++, low = 0x80, high = 0xbf;
        int more = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xc2) || c > 0xf4)
            return false;
        low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : low;
        high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : high;
        for (int i = 0; i < more; i++, low = 0x80, high = 0xbf)
            if (p == end || *p < low || *p++ > high)
                return false;
    }
    return true;
}

static bool path_is_good(const char *path, size_t n)
{
    static char text[REQUEST_TARGET_MAX + 1];
    int segments = 0;
    size_t length;

    if (!n || *path != '/')
        return false;
    for (size_t at = 1, end; at <= n; at = end + 1) {
        for (end = at; end < n && path[end] != '/'; end++)
            ;
        if (++segments > REQUEST_SEGMENTS || !unescape(path + at, end - at, false, text, &length) ||
            !is_text(text, length) || (length == 1 && !strcmp(text, ".")) ||
            (length == 2 && !strcmp(text, "..")))
            return false;
    }
    return true;
}

static bool query_is_good(const char *query)
{
    static char name[REQUEST_PARAMS][REQUEST_TARGET_MAX + 1], value[REQUEST_TARGET_MAX + 1];
    size_t n = strlen(query), length, known[REQUEST_PARAMS];
    int params = 0;

    for (size_t at = 0, end; at <= n; at = end + 1) {
        size_t eq = at;

        end = at + strcspn(query + at, "&");
        if (end == at)
            continue;
        while (eq < end && query[eq] != '=')
            eq++;
        if (params == REQUEST_PARAMS ||
            !unescape(query + at, eq - at, true, name[params], &known[params]) ||
            !unescape(query + eq, end - eq, true, value, &length) ||
            !is_text(name[params], known[params]) || !is_text(value, length))
            return false;
        for (int i = 0; i < params; i++)
            if (known[i] == known[params] && !strcmp(name[i], name[params]))
                return false;
        params++;
    }
    return true;
}

static bool target_is_good(const char *uri)
{
    size_t path = strcspn(uri, "?");

    return strlen(uri) <= REQUEST_TARGET_MAX && path_is_good(uri, path) &&
           (!uri[path] || query_is_good(uri + path + 1));
}

/* --- what came of it ------------------------------------------------------------- */

static void check_span(const struct request *r, struct span s)
{
    check(s.p >= r->room && s.p + s.n < r->room + sizeof r->room && !s.p[s.n]);
    check(strlen(s.p) == s.n && is_text(s.p, s.n));
}

static void check_target(const struct request *r)
{
    check(r->segments > 0 && r->segments <= REQUEST_SEGMENTS && r->params <= REQUEST_PARAMS);
    for (int i = 0; i < r->segments; i++) {
        check_span(r, r->segment[i]);
        check(r->slash[i] == (strchr(r->segment[i].p, '/') != NULL));
    }
    for (int i = 0; i < r->params; i++) {
        check_span(r, r->param[i].name);
        check_span(r, r->param[i].value);
        check(request_param(r, r->param[i].name.p) == r->param[i].value.p);
    }
}

static void check_headers(const struct request *r)
{
    check(r->content_length >= -1 && r->content_length < INT64_C(1000000000000000000));
    check(!r->key ||
          (*r->key && strlen(r->key) <= REQUEST_KEY_MAX && is_text(r->key, strlen(r->key))));
    check(!r->token || (*r->token && !strpbrk(r->token, " \t\r\n,;\"\\")));
    check(!r->last_event_id || is_text(r->last_event_id, strlen(r->last_event_id)));
}

static void check_correlation(const struct request *r)
{
    size_t n = strlen(r->correlation);

    check(n <= REQUEST_ID_MAX);
    for (size_t i = 0; i < n; i++)
        check(strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-",
                     r->correlation[i]) != NULL);
}

/* Who is at this machine came from it, by its name, and through nobody. */
static void check_place(const struct request *r, const struct variables *v)
{
    if (!r->loopback)
        return;
    check(v->value[ADDRESS] &&
          (!strncmp(v->value[ADDRESS], "127.", 4) || strstr(v->value[ADDRESS], "::1") ||
           strstr(v->value[ADDRESS], "127.")));
    check(v->value[HOST] && strchr("lL1[", *v->value[HOST]) && !v->value[FORWARDED_FOR] &&
          !v->value[FORWARDED]);
}

static size_t escape(char *at, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        sprintf(at + 3 * i, "%%%02X", (unsigned char)s.p[i]);
    return 3 * s.n;
}

/* Every byte of it as an escape: the same request. */
static void write_out(const struct request *r, char *at)
{
    for (int i = 0; i < r->segments; i++) {
        *at++ = '/';
        at += escape(at, r->segment[i]);
    }
    for (int i = 0; i < r->params; i++) {
        *at++ = i ? '&' : '?';
        at += escape(at, r->param[i].name);
        *at++ = '=';
        at += escape(at, r->param[i].value);
    }
    *at = '\0';
}

static void check_again(const struct request *r)
{
    static char uri[3 * REQUEST_TARGET_MAX + 64];
    struct variables v = {{uri, "GET"}};
    const char *why;

    write_out(r, uri);
    if (strlen(uri) > REQUEST_TARGET_MAX)
        return;
    check(!request_read(&again, variable, &v, &why));
    check(again.segments == r->segments && again.params == r->params);
    for (int i = 0; i < r->segments; i++)
        check(span_eq(again.segment[i], r->segment[i]) && again.slash[i] == r->slash[i]);
    for (int i = 0; i < r->params; i++)
        check(span_eq(again.param[i].name, r->param[i].name) &&
              span_eq(again.param[i].value, r->param[i].value));
}

/* --- routes ---------------------------------------------------------------------- */

/* The i-th segment of the pattern: a name takes what is not empty and, without a star,
 * has no slash; a word itself. */
static bool takes(const char *word, struct span s)
{
    if (*word == '{')
        return s.n && (strchr(word, '*') || !memchr(s.p, '/', s.n));
    return span_eq(span_of(word), s);
}

static void check_route(const char *pattern, const struct request *r)
{
    struct route_match m;
    char words[128], *rest = words, *word;
    bool matches = true;
    int i = 0, values = 0;

    strcpy(words, pattern + 1);
    while ((word = strsep(&rest, "/")) && matches) {
        matches = i < r->segments && takes(word, r->segment[i]);
        i++;
    }
    check(route_matches(pattern, r, &m) == (matches && i == r->segments));
    if (!matches || i != r->segments)
        return;
    strcpy(words, pattern + 1);
    rest = words;
    for (i = 0; (word = strsep(&rest, "/")); i++)
        if (*word == '{')
            check(m.value[values++] == r->segment[i].p);
}

static void check_routes(const struct request *r)
{
    static const char *const patterns[] = {"/api/health",
                                           "/metrics",
                                           "/api/nodes/{id*}/restore",
                                           "/api/dr/export/entity/{type*}/{id*}",
                                           "/api/cloud/data_sync/settings/{user}",
                                           "/{a}",
                                           "/"};
    const char *unknown = NULL;
    bool known = true;

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        check_route(patterns[i], r);
    for (int i = 0; i < r->params; i++)
        known =
            known && (!strcmp(r->param[i].name.p, "limit") || !strcmp(r->param[i].name.p, "after"));
    check(route_params_ok("limit after", r, &unknown) == known && known == !unknown);
}

/* --- one input ------------------------------------------------------------------- */

static void take_apart(char *text, size_t n, struct variables *v)
{
    for (size_t at = 0; at < n; at += strlen(text + at) + 1)
        if (text[at] >= 'a' && text[at] < 'a' + (int)NAMES)
            v->value[text[at] - 'a'] = text + at + 1;
}

static bool is_status(int status)
{
    return !status || status == 400 || status == 401 || status == 404 || status == 414 ||
           status == 431;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    struct variables v = {{NULL}}, alone = {{NULL}};
    const char *why = NULL;
    int status;

    check(text != NULL);
    memcpy(text, data, size);
    take_apart(text, size, &v);
    status = request_read(&got, variable, &v, &why);
    check_correlation(&got);
    check(!status == !why && is_status(status));
    if (!status) {
        check_target(&got);
        check_headers(&got);
        check_place(&got, &v);
        check_again(&got);
        check_routes(&got);
    }
    /* With nothing else, it is the address that counts. */
    alone.value[URI] = v.value[URI];
    alone.value[METHOD] = "GET";
    status = request_read(&got, variable, &alone, &why);
    check(!status == (v.value[URI] && target_is_good(v.value[URI])));
    free(text);
    return 0;
}
