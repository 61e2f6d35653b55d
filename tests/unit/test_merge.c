#include "text/merge.h"

#include "tap.h"

/* What merge_write gives, in room for one text. */
static const char *written(struct merge *m)
{
    static char room[4096];
    struct buf out = {0};

    if (merge_write(m, &out) || out.len >= sizeof room)
        return "merge_write failed";
    memcpy(room, out.data, out.len);
    room[out.len] = '\0';
    buf_free(&out);
    return room;
}

static const char *patched(const char *state, const char *patch)
{
    struct merge m = {0};
    const char *text = "failed";

    if (!merge_reset(&m, span_of(state)) && !merge_apply(&m, span_of(patch)))
        text = written(&m);
    merge_free(&m);
    return text;
}

/* --- RFC 7396, appendix A ------------------------------------------------ */

/* The cases whose target and patch are objects, as they stand there. Of the
 * others, a patch that is no object is a value here, and a state is an object
 * always: so these stand a level deeper, as the member "m". One is left out,
 * whose target has a null: no patch makes such a state. */
static const struct {
    const char *target, *patch, *result;
} rfc[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"m\":[\"a\",\"b\"]}", "{\"m\":[\"c\",\"d\"]}", "{\"m\":[\"c\",\"d\"]}"},
    {"{\"m\":{\"a\":\"b\"}}", "{\"m\":[\"c\"]}", "{\"m\":[\"c\"]}"},
    {"{\"m\":{\"a\":\"foo\"}}", "{\"m\":null}", "{}"},
    {"{\"m\":{\"a\":\"foo\"}}", "{\"m\":\"bar\"}", "{\"m\":\"bar\"}"},
    {"{\"m\":[1,2]}", "{\"m\":{\"a\":\"b\",\"c\":null}}", "{\"m\":{\"a\":\"b\"}}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
};

enum { RFC = sizeof rfc / sizeof *rfc };

/* --- ours ---------------------------------------------------------------- */

static const struct {
    const char *name, *state, *patch, *result;
} ours[] = {
    {"numbers keep their spelling", "{\"a\":1.50}", "{\"b\":1E+02,\"c\":-0,\"d\":0.10}",
     "{\"a\":1.50,\"b\":1E+02,\"c\":-0,\"d\":0.10}"},
    {"a number of forty digits stays whole", "{}",
     "{\"n\":1234567890123456789012345678901234567890}",
     "{\"n\":1234567890123456789012345678901234567890}"},
    {"members stand as they first came", "{\"z\":1,\"a\":2}", "{\"m\":3,\"a\":4,\"b\":5}",
     "{\"z\":1,\"a\":4,\"m\":3,\"b\":5}"},
    {"a member that was removed comes back at the end", "{\"a\":1,\"b\":2}", "{\"a\":null,\"a\":3}",
     "{\"b\":2,\"a\":3}"},
    {"of a name that comes twice the last one wins", "{}", "{\"a\":1,\"b\":2,\"a\":3}",
     "{\"a\":3,\"b\":2}"},
    {"twice, and null the second time: it is gone", "{}", "{\"a\":1,\"a\":null}", "{}"},
    {"of two objects under one name both are applied", "{}",
     "{\"a\":{\"x\":1,\"y\":1},\"a\":{\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}"},
    {"null within an array is a value", "{}", "{\"a\":[null,{\"b\":null}]}",
     "{\"a\":[null,{\"b\":null}]}"},
    {"null of a member that is not there does nothing", "{\"a\":1}", "{\"b\":null}", "{\"a\":1}"},
    {"an object takes the place of a scalar", "{\"a\":1}", "{\"a\":{\"b\":null,\"c\":{}}}",
     "{\"a\":{\"c\":{}}}"},
    {"an empty object changes nothing", "{\"a\":1}", "{}", "{\"a\":1}"},
    {"an empty object leaves an object as it is", "{\"a\":{\"b\":1}}", "{\"a\":{}}",
     "{\"a\":{\"b\":1}}"},
    {"a name is the same however it is escaped", "{\"\xc3\xa9\":1}", "{\"\\u00e9\":2}",
     "{\"\xc3\xa9\":2}"},
    {"an empty name is a name", "{}", "{\"\":{\"\":1}}", "{\"\":{\"\":1}}"},
    {"strings keep their escapes", "{}", "{\"a\":\"\\u00e9\\/\"}", "{\"a\":\"\\u00e9\\/\"}"},
    {"a name with a quote is written so that it can be read", "{}", "{\"a\\\"\\\\\\n\":1}",
     "{\"a\\\"\\\\\\n\":1}"},
    {"a string is a value", "{\"a\":1}", "\"x\"", "{\"a\":1,\"value\":\"x\"}"},
    {"a number is a value", "{}", "-1.0e2", "{\"value\":-1.0e2}"},
    {"an array is a value", "{\"value\":1}", "[1,{\"a\":null}]", "{\"value\":[1,{\"a\":null}]}"},
    {"false is a value", "{}", "false", "{\"value\":false}"},
    {"null is a value, and null removes", "{\"value\":1,\"a\":2}", "null", "{\"a\":2}"},
};

enum { OURS = sizeof ours / sizeof *ours };

/* --- many patches, at once and with the state written out in between ------ */

static uint32_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void random_object(struct buf *b, int depth)
{
    static const char *const values[] = {"null", "1", "2.50", "\"s\"", "[1,null]", "true"};
    uint32_t n = below(4);

    buf_addc(b, '{');
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(b, "%s\"%c\":", i ? "," : "", "abcdef"[below(6)]);
        if (depth < 4 && below(2))
            random_object(b, depth + 1);
        else
            buf_adds(b, values[below(6)]);
    }
    buf_addc(b, '}');
}

/* Writes the state out and starts from what was written. */
static int reread(struct merge *m)
{
    struct buf b = {0};
    int rc = merge_write(m, &b) || merge_reset(m, (struct span){b.data, b.len});

    buf_free(&b);
    return rc;
}

static void check_resumed(void)
{
    struct merge once = {0}, resumed = {0};
    struct buf patch = {0}, a = {0}, b = {0};
    int same = 1;

    seed = 7396;
    for (int i = 0; i < 20000 && same; i++) {
        patch.len = a.len = b.len = 0;
        random_object(&patch, 0);
        same = !merge_apply(&once, (struct span){patch.data, patch.len}) &&
               !merge_apply(&resumed, (struct span){patch.data, patch.len});
        if (same && below(3) == 0)
            same = !reread(&resumed);
        same = same && !merge_write(&once, &a) && !merge_write(&resumed, &b) &&
               span_eq((struct span){a.data, a.len}, (struct span){b.data, b.len});
        if (below(50) == 0)
            same = same && !merge_reset(&once, (struct span){NULL, 0}) &&
                   !merge_reset(&resumed, (struct span){NULL, 0});
    }
    ok(same, "patches give the same text whether the state is kept or written and read again");
    merge_free(&once);
    merge_free(&resumed);
    buf_free(&patch);
    buf_free(&a);
    buf_free(&b);
}

/* --- memory --------------------------------------------------------------- */

static void check_long_history(void)
{
    struct merge m = {0};
    char patch[2100];
    int failed = 0;

    memset(patch, 'x', sizeof patch);
    for (int i = 0; i < 50000 && !failed; i++) {
        int n = snprintf(patch, 40, "{\"n\":%d,\"text\":\"", i);

        patch[n] = 'x';
        memcpy(patch + 2000, "\"}", 3);
        failed = merge_apply(&m, span_of(patch));
    }
    ok(!failed && m.arena.used < (4 << 20),
       "100 MB of patches to two members stay within 4 MB (%zu)", m.arena.used);
    ok(!strncmp(written(&m), "{\"n\":49999,\"text\":\"xxx", 22), "and the last one is the state");
    merge_free(&m);
}

/* Long texts, and how many there are after each patch; T stands for one. */
static void check_long_texts(void)
{
    static const struct {
        const char *patch;
        size_t longs;
        const char *state;
    } steps[] = {{"{\"a\":{\"t\":T,\"u\":T}}", 2, "{\"a\":{\"t\":T,\"u\":T}}"},
                 {"{\"a\":{\"t\":1}}", 1, "{\"a\":{\"t\":1,\"u\":T}}"},
                 {"{\"a\":2,\"b\":T}", 1, "{\"a\":2,\"b\":T}"},
                 {"{\"a\":T}", 2, "{\"a\":T,\"b\":T}"},
                 {"{\"a\":T,\"b\":{\"t\":T}}", 2, "{\"a\":T,\"b\":{\"t\":T}}"},
                 {"{\"b\":null,\"a\":{}}", 0, "{\"a\":{}}"},
                 {"{\"c\":T}", 1, "{\"a\":{},\"c\":T}"}};
    static char text[100 * 1024];
    struct merge m = {0};
    struct buf patch = {0}, wanted = {0}, got = {0};

    memset(text, '7', sizeof text - 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        patch.len = wanted.len = got.len = 0;
        for (const char *p = steps[i].patch; *p; p++)
            *p == 'T' ? buf_adds(&patch, text) : buf_addc(&patch, *p);
        for (const char *p = steps[i].state; *p; p++)
            *p == 'T' ? buf_adds(&wanted, text) : buf_addc(&wanted, *p);
        ok(!merge_apply(&m, (struct span){patch.data, patch.len}) && !merge_write(&m, &got) &&
               span_eq((struct span){got.data, got.len}, (struct span){wanted.data, wanted.len}) &&
               m.longs == steps[i].longs,
           "long texts: %s", steps[i].patch);
    }
    ok(m.arena.used < sizeof text, "and none of them is in the arena (%zu)", m.arena.used);
    merge_free(&m);
    is_int((int64_t)m.longs, 0, "nor anywhere else in the end");
    buf_free(&patch);
    buf_free(&wanted);
    buf_free(&got);
}

static void check_many_names(void)
{
    struct merge m = {0};
    struct buf out = {0};
    char patch[64];
    int failed = 0;

    for (int i = 0; i < 2000 && !failed; i++) {
        snprintf(patch, sizeof patch, "{\"name-%d\":{\"n\":%d}}", i, i);
        failed = merge_apply(&m, span_of(patch));
    }
    for (int i = 0; i < 2000 && !failed; i += 2) {
        snprintf(patch, sizeof patch, "{\"name-%d\":null}", i);
        failed = merge_apply(&m, span_of(patch));
    }
    failed = failed || merge_write(&m, &out) || buf_term(&out);
    ok(!failed && strstr(out.data, "\"name-1999\":{\"n\":1999}") && !strstr(out.data, "name-1998"),
       "of two thousand members every second one is removed");
    buf_free(&out);
    merge_free(&m);
}

int main(void)
{
    struct merge blank = {0};

    plan(RFC + OURS + 15);
    for (int i = 0; i < RFC; i++)
        is_str(patched(rfc[i].target, rfc[i].patch), rfc[i].result, "RFC 7396: %s with %s",
               rfc[i].target, rfc[i].patch);
    for (int i = 0; i < OURS; i++)
        is_str(patched(ours[i].state, ours[i].patch), ours[i].result, "%s", ours[i].name);
    is_str(written(&blank), "{}", "all zeros is an empty object");
    ok(!merge_apply(&blank, SPAN("{\"a\":1}")) && !strcmp(written(&blank), "{\"a\":1}"),
       "and takes a patch as it is");
    merge_free(&blank);
    check_resumed();
    check_long_history();
    check_long_texts();
    check_many_names();
    return done();
}
