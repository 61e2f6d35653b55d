#include "http/jwt.h"

#include "base/clock.h"
#include "http/hmac.h"
#include "text/json.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <jwt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEEWAY_S = 60, MEMBERS_MAX = 32 };
#define LAST_S INT64_C(253402300799) /* the end of the year 9999 */

/* --- libjwt ------------------------------------------------------------- */

static struct {
    void *handle;
    __typeof__(jwt_new) *new;
    __typeof__(jwt_free) *free;
    __typeof__(jwt_decode) *decode;
    __typeof__(jwt_get_alg) *get_alg;
    __typeof__(jwt_get_grant) *get_grant;
    __typeof__(jwt_get_grants_json) *get_grants_json;
    __typeof__(jwt_add_grants_json) *add_grants_json;
    __typeof__(jwt_add_header) *add_header;
    __typeof__(jwt_set_alg) *set_alg;
    __typeof__(jwt_encode_str) *encode_str;
} lib;

static const struct {
    const char *name;
    void *at;
} symbols[] = {
    {"jwt_new", &lib.new},
    {"jwt_free", &lib.free},
    {"jwt_decode", &lib.decode},
    {"jwt_get_alg", &lib.get_alg},
    {"jwt_get_grant", &lib.get_grant},
    {"jwt_get_grants_json", &lib.get_grants_json},
    {"jwt_add_grants_json", &lib.add_grants_json},
    {"jwt_add_header", &lib.add_header},
    {"jwt_set_alg", &lib.set_alg},
    {"jwt_encode_str", &lib.encode_str},
};

int jwt_ready(struct err *e)
{
    void *handle;

    if (lib.handle)
        return 0;
    handle = dlopen("libjwt.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return err_set(e, EX_UNAVAILABLE, "unable to load libjwt: %s", dlerror());
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(handle, symbols[i].name);

        if (!symbol) {
            dlclose(handle);
            return err_set(e, EX_UNAVAILABLE, "libjwt.so.0 has no %s: wants version 1.10 or later",
                           symbols[i].name);
        }
        memcpy(symbols[i].at, &symbol, sizeof symbol);
    }
    lib.handle = handle;
    return 0;
}

/* --- base64url without padding (RFC 7515) ------------------------------- */

static int value_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

/* Into room for text.n / 4 * 3 + 2 bytes; how many; -1: it is none. Bits that are
 * left over have to be 0, or there would be several spellings of one token. */
static int64_t decode(struct span text, char *out)
{
    uint32_t bits = 0;
    int held = 0;
    char *at = out;

    for (size_t i = 0; i < text.n; i++) {
        int v = value_of(text.p[i]);

        if (v < 0)
            return -1;
        bits = (bits << 6 | (uint32_t)v) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *at++ = (char)(bits >> held);
        }
    }
    return held == 6 || bits & ((1u << held) - 1) ? -1 : at - out;
}

/* --- reading ------------------------------------------------------------ */

struct token {
    struct span whole, header, payload, signature;
    struct buf text;      /* the token, and a NUL */
    struct buf json_text; /* a part of it, decoded */
    struct buf name;      /* of a member, if there are escapes in it */
    struct json json;
    char kid[KEY_ID];
    bool has_kid, has_alg;
    char *why;
};

/* A refusal: 0. */
static int no(struct token *t, const char *why)
{
    snprintf(t->why, JWT_WHY, "%s", why);
    return 0;
}

/* Three parts, none of them empty: 1. */
static int split(struct token *t)
{
    struct span *parts[] = {&t->header, &t->payload, &t->signature};
    const char *at = t->whole.p, *end = at + t->whole.n;

    if (t->whole.n > JWT_MAX)
        return no(t, "longer than 4096 bytes");
    for (int i = 0; i < 3; i++) {
        const char *dot = i < 2 ? memchr(at, '.', (size_t)(end - at)) : end;

        if (!dot || dot == at)
            return no(t, "not a token");
        *parts[i] = (struct span){at, (size_t)(dot - at)};
        for (; at < dot; at++)
            if (value_of(*at) < 0)
                return no(t, "not a token");
        at += i < 2;
    }
    return 1;
}

/* The names of an object's members. */
struct seen {
    struct digest name[MEMBERS_MAX];
    size_t count;
};

/* 1, 0: refused, -1. */
static int note_name(struct token *t, struct seen *seen, const struct json_value *name,
                     struct err *e)
{
    struct digest digest;
    struct span text;

    buf_clear(&t->name);
    text = json_text(name, &t->name);
    if (!text.p)
        return err_memory(e);
    digest = hash_bytes(text.p, text.n);
    for (size_t i = 0; i < seen->count; i++)
        if (digest_eq(seen->name[i], digest))
            return no(t, "a member is there twice");
    if (seen->count == MEMBERS_MAX)
        return no(t, "too many members");
    seen->name[seen->count++] = digest;
    return 1;
}

static int decode_part(struct token *t, struct span part, struct err *e)
{
    int64_t n;

    buf_clear(&t->json_text);
    if (buf_reserve(&t->json_text, part.n))
        return err_memory(e);
    n = decode(part, t->json_text.data);
    if (n < 0)
        return no(t, "not base64url");
    t->json_text.len = (size_t)n;
    return 1;
}

/* Decodes a part, which has to be a JSON object without a member twice, and gives
 * each member to take, if there is one. 1, 0: refused, -1. */
static int walk(struct token *t, struct span part,
                int (*take)(struct token *t, const struct json_value *name,
                            const struct json_value *v),
                struct err *e)
{
    struct seen seen = {.count = 0};
    struct json_value name, v;
    bool first = true;
    int rc = decode_part(t, part, e), more;

    if (rc != 1)
        return rc;
    json_start(&t->json, buf_span(&t->json_text));
    more = json_open(&t->json) ? -1 : 1;
    while (rc == 1 && more == 1 && (more = json_member(&t->json, &first, &name, &v)) == 1) {
        rc = note_name(t, &seen, &name, e);
        if (rc == 1 && take)
            rc = take(t, &name, &v);
    }
    if (rc != 1 || (!more && !json_finish(&t->json)))
        return rc;
    return t->json.why == json_no_memory ? err_memory(e) : no(t, "not a JSON object");
}

static bool is(const struct json_value *v, struct span raw)
{
    return span_eq(v->raw, raw);
}

/* As it stands there: nobody needs another spelling of these. */
static int take_header(struct token *t, const struct json_value *name, const struct json_value *v)
{
    if (name->escaped)
        return no(t, "escapes in its header");
    if (is(name, SPAN("\"crit\"")))
        return no(t, "wants what is not understood here");
    if (is(name, SPAN("\"typ\"")) && !is(v, SPAN("\"JWT\"")))
        return no(t, "its type is not JWT");
    if (is(name, SPAN("\"alg\""))) {
        t->has_alg = true;
        return is(v, SPAN("\"HS256\"")) ? 1 : no(t, "not signed with HS256");
    }
    if (is(name, SPAN("\"kid\""))) {
        t->has_kid = true;
        if (v->kind != JSON_STRING || v->raw.n != KEY_ID + 1)
            return no(t, "unknown key");
        memcpy(t->kid, v->raw.p + 1, KEY_ID - 1);
    }
    return 1;
}

static bool is_signed_with(const struct token *t, const struct key *key)
{
    /* The dot between header and payload is part of what is signed. */
    const struct span text = {t->header.p, t->header.n + 1 + t->payload.n};
    uint8_t want[HMAC_BYTES];
    char got[JWT_MAX];
    bool same;

    hmac_of((struct span){(const char *)key->secret, KEY_BYTES}, &text, 1, want);
    same = decode(t->signature, got) == HMAC_BYTES && hmac_same(got, want, HMAC_BYTES);
    explicit_bzero(want, sizeof want);
    return same;
}

/* The key it is signed with, or NULL. Without a kid any of ours may be it. */
static const struct key *find_key(struct token *t, const struct keys *k)
{
    for (int i = 0; i < k->count; i++)
        if ((!t->has_kid || !strcmp(k->key[i].kid, t->kid)) && is_signed_with(t, &k->key[i]))
            return &k->key[i];
    no(t, t->has_kid && !keys_find(k, t->kid) ? "unknown key" : "wrong signature");
    return NULL;
}

/* --- claims ------------------------------------------------------------- */

/* A claim that is a whole number of seconds: 1; 0: it is not there; -1: it is
 * something else; -2: memory ran out. */
static int seconds(jwt_t *jwt, const char *claim, int64_t *out)
{
    char *text, *end;
    int rc = 1;

    errno = 0;
    text = lib.get_grants_json(jwt, claim);
    if (!text)
        return errno == ENOMEM ? -2 : 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno || *end || (*text != '-' && (*text < '0' || *text > '9')) || *out < 0 ||
        *out > LAST_S)
        rc = -1;
    free(text);
    return rc;
}

static int check_times(struct token *t, jwt_t *jwt, int64_t now_ms, struct principal *out,
                       struct err *e)
{
    static const struct {
        const char *claim, *wrong, *early;
    } starts[] = {{"nbf", "nbf: not a time in whole seconds", "not valid yet"},
                  {"iat", "iat: not a time in whole seconds", "issued in the future"}};
    int64_t at = 0;
    int rc = seconds(jwt, "exp", &at);

    if (rc == -2)
        return err_memory(e);
    if (rc != 1)
        return no(t, rc ? "exp: not a time in whole seconds" : "exp: missing");
    out->expires_at = at * 1000;
    if (out->expires_at <= keys_now(now_ms))
        return no(t, "expired");
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        rc = seconds(jwt, starts[i].claim, &at);
        if (rc == -2)
            return err_memory(e);
        if (rc == -1)
            return no(t, starts[i].wrong);
        if (rc && now_ms >= clock_build_ms() && (at - LEEWAY_S) * 1000 > now_ms)
            return no(t, starts[i].early);
    }
    return 1;
}

static int check_claims(struct token *t, jwt_t *jwt, int64_t now_ms, struct principal *out,
                        struct err *e)
{
    const char *id = lib.get_grant(jwt, "user_id"), *role = lib.get_grant(jwt, "role");
    int rc = check_times(t, jwt, now_ms, out, e);

    if (rc != 1)
        return rc;
    if (!id || !user_id_ok(span_of(id)))
        return no(t, "user_id: wants 1 to 64 of A-Z a-z 0-9 _ -");
    if (!role || role_parse(span_of(role), &out->role))
        return no(t, "role: wants user, device, dr or admin");
    memcpy(out->user_id, id, strlen(id) + 1);
    return 1;
}

static int ask_libjwt(struct token *t, const struct key *key, int64_t now_ms, struct principal *out,
                      struct err *e)
{
    jwt_t *jwt = NULL;
    int rc;

    if (jwt_ready(e))
        return -1;
    if (buf_add(&t->text, t->whole.p, t->whole.n) || buf_term(&t->text))
        return err_memory(e);
    rc = lib.decode(&jwt, t->text.data, key->secret, KEY_BYTES);
    if (rc == ENOMEM)
        return err_memory(e);
    if (rc || lib.get_alg(jwt) != JWT_ALG_HS256)
        rc = no(t, "not understood");
    else
        rc = check_claims(t, jwt, now_ms, out, e);
    lib.free(jwt);
    return rc;
}

static int check(struct token *t, const struct keys *k, int64_t now_ms, struct principal *out,
                 struct err *e)
{
    const struct key *key;
    int rc = split(t);

    if (rc == 1)
        rc = walk(t, t->header, take_header, e);
    if (rc == 1 && !t->has_alg)
        rc = no(t, "not signed with HS256");
    if (rc != 1)
        return rc;
    key = find_key(t, k);
    if (!key)
        return 0;
    if (key_is_retired(key, now_ms))
        return no(t, "its key is retired");
    rc = walk(t, t->payload, NULL, e);
    return rc == 1 ? ask_libjwt(t, key, now_ms, out, e) : rc;
}

int jwt_check(const struct keys *k, struct span token, int64_t now_ms, struct principal *out,
              char why[static JWT_WHY], struct err *e)
{
    struct token t = {.whole = token, .why = why};
    struct principal who = {"", ROLE_USER, 0};
    int rc = check(&t, k, now_ms, &who, e);

    *out = rc == 1 ? who : (struct principal){"", ROLE_USER, 0};
    buf_free(&t.text);
    buf_free(&t.json_text);
    buf_free(&t.name);
    json_end(&t.json);
    return rc;
}

int jwt_claims(struct span token, struct buf *out, struct err *e)
{
    char why[JWT_WHY];
    struct token t = {.whole = token, .why = why};
    int rc = split(&t);

    if (rc == 1)
        rc = walk(&t, t.payload, NULL, e);
    if (rc == 1)
        rc = json_compact(buf_span(&t.json_text), out) ? err_memory(e) : 0;
    else if (!rc)
        rc = err_set(e, EX_DATAERR, "token: %s", why);
    buf_free(&t.json_text);
    buf_free(&t.name);
    json_end(&t.json);
    return rc;
}

/* --- making ------------------------------------------------------------- */

/* Our JSON: an id and a role have nothing in them that needs quoting. While the clock is
 * wrong nothing is said of when it was made. */
static void write_claims(const struct principal *who, int64_t now_ms, char out[static 256])
{
    char iat[48] = "";

    if (now_ms >= clock_build_ms())
        snprintf(iat, sizeof iat, ",\"iat\":%" PRId64, now_ms / 1000);
    snprintf(out, 256, "{\"user_id\":\"%s\",\"role\":\"%s\",\"exp\":%" PRId64 "%s}", who->user_id,
             role_name(who->role), who->expires_at / 1000, iat);
}

static int encode(const struct key *key, const char *claims, struct buf *out, struct err *e)
{
    jwt_t *jwt = NULL;
    char *text = NULL;
    int rc = lib.new(&jwt);

    if (!rc)
        rc = lib.add_grants_json(jwt, claims);
    if (!rc)
        rc = lib.add_header(jwt, "kid", key->kid);
    if (!rc)
        rc = lib.set_alg(jwt, JWT_ALG_HS256, key->secret, KEY_BYTES);
    if (!rc)
        text = lib.encode_str(jwt);
    if (jwt)
        lib.free(jwt);
    if (rc == ENOMEM || (!rc && !text))
        return err_memory(e);
    if (rc)
        return err_set(e, EX_SOFTWARE, "libjwt makes no token: %s", strerror(rc));
    rc = buf_adds(out, text) ? err_memory(e) : 0;
    free(text);
    return rc;
}

int jwt_issue(const struct keys *k, const struct principal *who, int64_t now_ms, struct buf *out,
              struct err *e)
{
    size_t before = out->len;
    struct principal again;
    char claims[256], why[JWT_WHY];
    int rc;

    if (!k->count)
        return err_set(e, EX_NOINPUT, "no key to sign a token with");
    if (jwt_ready(e))
        return -1;
    if (!user_id_ok(span_of(who->user_id)))
        return err_set(e, EX_SOFTWARE, "a token for nobody");
    write_claims(who, now_ms, claims);
    if (encode(&k->key[0], claims, out, e))
        return -1;
    /* What would be refused is not given out. */
    rc = jwt_check(k, (struct span){out->data + before, out->len - before}, now_ms, &again, why, e);
    if (rc != 1)
        out->len = before;
    return rc == 1 ? 0 : rc ? -1 : err_set(e, EX_SOFTWARE, "a token that is no good: %s", why);
}
