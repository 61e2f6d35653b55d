#include "base/clock.h"
#include "base/expiry.h"
#include "cli/once.h"
#include "cli/policy.h"
#include "tap.h"
#include "text/base64.h"
#include "text/kvline.h"

#include <stdlib.h>

static struct json json;
static struct arena arena;
static struct kv_entry x;
static size_t offset;

static const char *parse(const char *line)
{
    return kv_parse(&json, span_of(line), &arena, &x, &offset);
}

static const char *parse_key(const char *line)
{
    return kv_parse_key(&json, span_of(line), &arena, &x, &offset);
}

static bool is(struct span s, const char *text)
{
    return s.p && span_eq(s, span_of(text));
}

static void lines(void)
{
    ok(!parse("{\"key\":\"a\",\"value\":{\"b\": [1, 2]}}"), "a JSON value");
    ok(is(x.key, "a") && is(x.value, "{\"b\": [1, 2]}") && x.is_json, "as it stands there");
    ok(!x.ns.p && !x.ttl_s, "no namespace, no time to live");
    ok(!parse(" { \"ttl\":6e1, \"namespace\":\"\",\"value\":\"\\u00e9\",\"is_json\":false,"
              "\"key\":\"\\u006b\"} "),
       "members in any order, escapes");
    ok(is(x.key, "k") && is(x.value, "\xc3\xa9") && !x.is_json, "a text");
    ok(x.ns.p && !x.ns.n, "the namespace without a name");
    is_int(x.ttl_s, 60, "the time to live");
    ok(!parse("{\"key\":\"a\",\"value_base64\":\"AAH/\"}"), "bytes");
    ok(x.value.n == 3 && !memcmp(x.value.p, "\0\1\377", 3) && !x.is_json, "as they were");
    ok(!parse("{\"key\":\"a\",\"value_base64\":\"\"}") && !x.value.n, "none of them");
    ok(!parse("{\"key\":\"a\",\"value\":null,\"is_json\":true}") && is(x.value, "null"), "null");
}

static void bad_lines(void)
{
    static const struct {
        const char *line, *why;
        size_t offset;
    } bad[] = {
        {"{\"value\":1}", "key: missing", 0},
        {"{\"key\":\"a\"}", "value: missing", 0},
        {"{\"key\":1,\"value\":1}", "key: wants a string", 1},
        {"{\"key\":\"a\",\"value\":1,\"value\":2}", "a member is there twice", 21},
        {"{\"key\":\"a\",\"value\":1,\"v\\u0061lue\":2}", "a member is there twice", 21},
        {"{\"key\":\"a\",\"value\":1,\"value_base64\":\"\"}", "value: there is value_base64 too",
         0},
        {"{\"key\":\"a\",\"value\":1,\"is_json\":false}",
         "value: wants a string, where is_json is false", 0},
        {"{\"key\":\"a\",\"value_base64\":\"\",\"is_json\":true}",
         "value_base64: bytes are no JSON", 0},
        {"{\"key\":\"a\",\"value_base64\":\"A\"}", "value_base64: not Base64 (RFC 4648)", 11},
        {"{\"key\":\"a\",\"value_base64\":7}", "value_base64: wants a string", 11},
        {"{\"key\":\"a\",\"value\":1,\"ttl\":0}", "ttl: wants whole seconds, 1 to 315360000", 21},
        {"{\"key\":\"a\",\"value\":1,\"ttl\":315360001}",
         "ttl: wants whole seconds, 1 to 315360000", 21},
        {"{\"key\":\"a\",\"value\":1,\"ttl\":\"5m\"}", "ttl: wants whole seconds, 1 to 315360000",
         21},
        {"{\"key\":\"a\",\"value\":1,\"is_json\":1}", "is_json: wants true or false", 21},
        {"{\"key\":\"a\",\"value\":1,\"namespace\":1}", "namespace: wants a string", 21},
        {"{\"key\":\"a\",\"value\":1,\"tll\":1}",
         "no such member: wants key, namespace, value, value_base64, is_json and ttl", 21},
        {"{\"key\":\"\",\"value\":1}",
         "not a key: wants 1 to 255 bytes of UTF-8 without control characters", 1},
        {"{\"key\":\"a\\nb\",\"value\":1}",
         "not a key: wants 1 to 255 bytes of UTF-8 without control characters", 1},
        {"{\"key\":\"\\ud800\",\"value\":1}",
         "not a key: wants 1 to 255 bytes of UTF-8 without control characters", 1},
        {"{\"key\":\"a\",\"value\":1,\"namespace\":\"\\u0085\"}",
         "not a namespace: wants up to 255 bytes of UTF-8 without control characters", 21},
        {"{\"key\":\"a\",\"value\":1", "the text ends inside an object", 20},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        is_str(parse(bad[i].line), bad[i].why, "%s", bad[i].line);
        is_int((int64_t)offset, (int64_t)bad[i].offset, "at its place");
    }
}

static void keys(void)
{
    char text[300];

    ok(!parse_key("a key") && is(x.key, "a key"), "a key as it is");
    ok(!parse_key("\"a\\u0020b\"") && is(x.key, "a b"), "a key as a JSON string");
    ok(!parse_key("{\"value\":1,\"key\":\"k\",\"namespace\":\"n\",\"any\":[]}") && is(x.key, "k"),
       "a key in an object");
    ok(is(x.ns, "n"), "and its namespace");
    ok(parse_key("{\"value\":1}") && parse_key("\"a") && parse_key("\"a\" b") && parse_key("a\tb"),
       "no keys");
    memset(text, 'k', sizeof text);
    ok(!kv_key_fault((struct span){text, 255}), "255 bytes are a key");
    ok(kv_key_fault((struct span){text, 256}) && kv_key_fault((struct span){text, 0}),
       "256 and none are not");
    ok(!kv_namespace_fault((struct span){text, 0}) && kv_namespace_fault((struct span){text, 256}),
       "no byte is a namespace, 256 are not");
    ok(kv_key_fault(SPAN("a\x7f")) && kv_key_fault(SPAN("\xff")) && kv_key_fault(SPAN("a\0b")),
       "control characters and bad UTF-8 are in no key");
    ok(!kv_key_fault(SPAN("\xc2\xa0\xe6\x89\x8b")), "other characters are");
}

/* What kv_write gives for the entry x. */
static const char *written(struct buf *b)
{
    buf_clear(b);
    return kv_write(&x, b) || buf_term(b) ? NULL : b->data;
}

static void writing(void)
{
    struct buf b = {0};

    x = (struct kv_entry){.key = SPAN("k\""), .value = SPAN("{ \"a\":\n1 }"), .is_json = true};
    x.ttl_s = 5;
    is_str(written(&b), "{\"key\":\"k\\\"\",\"value\":{\"a\":1},\"ttl\":5}\n", "JSON, on one line");
    x = (struct kv_entry){.ns = SPAN("n"), .key = SPAN("k"), .value = SPAN("a\n\0"), .ttl_s = 1};
    is_str(written(&b),
           "{\"key\":\"k\",\"namespace\":\"n\",\"value\":\"a\\n\\u0000\",\"is_json\":false,"
           "\"ttl\":1}\n",
           "a text");
    ok(!parse(b.data) && x.value.n == 3 && !x.is_json, "comes back as it was");
    x = (struct kv_entry){.key = SPAN("k"), .value = SPAN("\xff"), .ttl_s = 1};
    is_str(written(&b), "{\"key\":\"k\",\"value_base64\":\"/w==\",\"ttl\":1}\n", "bytes");
    buf_free(&b);
}

static void base64(void)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    static const char *const none[] = {
        "A", "AA", "AAA", "A===", "====", "AA=A", "AA\n=", "A*==", "AA==AAAA"};
    struct buf b = {0};
    char room[16];
    int good = 0, bad = 0;

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct span text = span_of(vectors[i][1]);
        int64_t n = base64_decode(text, room);

        buf_clear(&b);
        good += !base64_add(span_of(vectors[i][0]), &b) && span_eq(buf_span(&b), text) && n >= 0 &&
                span_eq((struct span){room, (size_t)n}, span_of(vectors[i][0]));
    }
    is_int(good, 7, "the examples of RFC 4648, both ways");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        bad += base64_decode(span_of(none[i]), room) < 0;
    is_int(bad, sizeof none / sizeof *none, "what is none is refused");
    buf_free(&b);
}

static void expiries(void)
{
    struct expiry e;

    clock_fix_ms(1000000);
    e = expiry_after(5000);
    ok(expiry_left(&e) > 4000 && expiry_left(&e) <= 5000, "what is left");
    clock_fix_ms(0);
    ok(expiry_left(&e) <= 5000, "the wall clock set back does not lengthen it");
    clock_fix_ms(9000000);
    ok(expiry_left(&e) > 4000, "the wall clock set forth does not shorten it");
    e.boot[0] = e.boot[0] == 'x' ? 'y' : 'x';
    ok(expiry_left(&e) < 0, "in another boot the wall clock counts");
    clock_fix_ms(1000000);
    is_int(expiry_left(&e), 5000, "and gives what is left");
    e.boot[0] = '\0';
    is_int(expiry_left(&e), 5000, "so it does for a boot that is not known");
    clock_fix_ms(-1);
}

static int kept(const bool keep[static ONCE_STATUSES])
{
    int n = 0;

    for (int i = 0; i < ONCE_STATUSES; i++)
        n += keep[i];
    return n;
}

static void options(void)
{
    static const char *const none[] = {"",    "x",   "0,",  ",0",   "3-", "-3",
                                       "5-3", "256", "0 1", "1,,2", "+1"};
    bool keep[ONCE_STATUSES];
    int bad = 0;
    int64_t n = 0;

    ok(!once_parse_keep("0", keep) && keep[0] && kept(keep) == 1, "keep 0");
    ok(!once_parse_keep("0,3-5,255", keep) && keep[3] && keep[5] && keep[255] && kept(keep) == 5,
       "keep 0,3-5,255");
    ok(!once_parse_keep("all", keep) && kept(keep) == ONCE_STATUSES, "keep all");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        bad += once_parse_keep(none[i], keep) != 0;
    is_int(bad, sizeof none / sizeof *none, "what is no list is refused");
    ok(!size_parse("512", &n) && n == 512 && !size_parse("64K", &n) && n == 65536, "sizes");
    ok(!size_parse("2G", &n) && n == INT64_C(2) << 30, "of 2 G");
    ok(size_parse("0", &n) && size_parse("-1", &n) && size_parse("1KB", &n) &&
           size_parse("9223372036854775807K", &n) && size_parse("K", &n) && size_parse("1k", &n),
       "what is none is refused");
}

int main(void)
{
    plan(11 + 42 + 10 + 4 + 2 + 6 + 7);
    lines();
    bad_lines();
    keys();
    writing();
    base64();
    expiries();
    options();
    json_end(&json);
    arena_free(&arena);
    return done();
}
