#include "text/record.h"

#include "tap.h"

#include <stdlib.h>

static struct span key[] = {{"k", 1}, {"l", 1}}, fields[] = {{"v", 1}, {"w", 1}},
                   ignored[] = {{"i", 1}};
static const struct record_tolerance tolerances[] = {{{"n", 1}, {"0.5", 3}, false},
                                                     {{"p", 1}, {"0.1", 3}, true}};
static struct record_rules rules = {.key = {key, 2}, .ts = {"t", 1}};

/* Read the short way and the long way, which must agree. */
static enum record_result read_line(const char *line, struct record *out)
{
    struct record_reader quick, slow;
    struct record other;
    enum record_result rc, again;

    if (record_open(&quick, &rules) || record_open(&slow, &rules))
        exit(1);
    /* A name that is known already is another way once more. */
    record_read(&quick, span_of(line), out);
    rc = record_read(&quick, span_of(line), out);
    again = record_read_slowly(&slow, span_of(line), &other);
    if (rc != again || (!rc && (out->value != other.value || !digest_eq(out->key, other.key) ||
                                out->timed != other.timed || out->ts_us != other.ts_us)))
        rc = RECORD_NO_MEMORY;
    record_close(&quick);
    record_close(&slow);
    return rc;
}

enum { SAME = 1, OTHER_VALUE, OTHER_KEY };

static int relation(const char *a, const char *b)
{
    struct record x, y;

    if (read_line(a, &x) || read_line(b, &y))
        return 0;
    if (!digest_eq(x.key, y.key))
        return OTHER_KEY;
    return x.value == y.value ? SAME : OTHER_VALUE;
}

static const struct {
    const char *a, *b;
    int relation;
    const char *name;
} pairs[] = {
    {"{\"k\":1,\"v\":2}", " { \"v\" : 2.0 ,\t\"k\" : 10e-1 } ", SAME, "spelling, space, order"},
    {"{\"k\":\"a\"}", "{\"\\u006b\":\"\\u0061\"}", SAME, "escapes in names and values"},
    {"{\"k\":\"\xc3\xa9\"}", "{\"k\":\"\\u00e9\"}", SAME, "beyond ASCII"},
    {"{\"k\":1}", "{\"k\":\"1\"}", OTHER_KEY, "1 is not \"1\""},
    {"{\"k\":1}", "{\"l\":1}", OTHER_KEY, "k is not l"},
    {"{\"k\":1,\"l\":null}", "{\"k\":1}", OTHER_KEY, "null is not absent in a key"},
    {"{\"k\":1,\"l\":\"\"}", "{\"k\":1,\"l\":null}", OTHER_KEY, "null is not empty in a key"},
    {"{\"k\":1,\"v\":null}", "{\"k\":1}", OTHER_VALUE, "nor among the values"},
    {"{\"k\":1,\"v\":false}", "{\"k\":1,\"v\":null}", OTHER_VALUE, "false is not null"},
    {"{\"k\":1,\"v\":0}", "{\"k\":1,\"v\":-0.00e9}", SAME, "a zero is a zero"},
    {"{\"k\":1,\"v\":1,\"w\":2}", "{\"k\":1,\"v\":2,\"w\":1}", OTHER_VALUE, "values change places"},
    {"{\"k\":1,\"v\":1234567890123456789}", "{\"k\":1,\"v\":1234567890123456788}", OTHER_VALUE,
     "the nineteenth digit"},
    {"{\"k\":1,\"v\":12345678901234567890}", "{\"k\":1,\"v\":1.234567890123456789e19}", SAME,
     "twenty digits, the last a zero"},
    {"{\"k\":1,\"v\":123456789012345678901}", "{\"k\":1,\"v\":1.23456789012345678901e20}", SAME,
     "twenty-one digits"},
    {"{\"k\":1,\"v\":123456789012345678901}", "{\"k\":1,\"v\":123456789012345678902}", OTHER_VALUE,
     "and the last of them"},
    {"{\"k\":1,\"v\":1e9999}", "{\"k\":1,\"v\":10e9998}", SAME, "the largest exponent"},
    {"{\"k\":1,\"v\":1e10000}", "{\"k\":1,\"v\":10e9999}", SAME, "one beyond"},
    {"{\"k\":1,\"v\":0.001e-9997}", "{\"k\":1,\"v\":1e-10000}", SAME, "and below"},
    {"{\"k\":1,\"v\":1e-10000}", "{\"k\":1,\"v\":-1e-10000}", OTHER_VALUE, "with its sign"},
    {"{\"k\":1,\"v\":[1,{\"a\":2}]}", "{\"k\":1,\"v\":[1.0,{\"a\":2e0}]}", SAME, "nested"},
    {"{\"k\":1,\"v\":[1,2]}", "{\"k\":1,\"v\":[2,1]}", OTHER_VALUE, "an array has an order"},
    {"{\"k\":[1],\"v\":1}", "{\"k\":[1.0],\"v\":1}", SAME, "a key may be nested"},
    {"{\"k\":1,\"t\":\"2025-02-20T10:15:03Z\"}", "{\"k\":1,\"t\":1740046503000}", SAME,
     "an instant"},
    {"{\"k\":1,\"t\":\"2025-02-20T10:15:03Z\"}", "{\"k\":1,\"t\":1.740046503e9}", SAME,
     "and in any number"},
    {"{\"k\":1,\"t\":\"2025-02-20T10:15:03Z\"}", "{\"k\":1,\"v\":\"2025-02-20T10:15:03Z\"}",
     OTHER_VALUE, "of that member only"},
    {"{\"k\":1,\"t\":\"x\"}", "{\"k\":1,\"t\":\"y\"}", OTHER_VALUE, "no instant is what it is"},
    {"{\"k\":1,\"t\":1740046503.123456789}", "{\"k\":1,\"t\":1740046503.123456}", SAME,
     "to the microsecond"},
};

static const struct {
    const char *line, *why;
    int offset;
} bad[] = {
    {"", "not an object", 0},
    {"[]", "not an object", 0},
    {"{}", "it has no member of the key", 0},
    {"{\"v\":1}", "it has no member of the key", 0},
    {"{\"k\":1,\"k\":1}", "\"k\" is there twice", 7},
    {"{\"k\":1,\"v\":1,\"\\u0076\":1}", "\"\\u0076\" is there twice", 13},
    {"{\"k\":01}", "a number that begins with 0", 5},
    {"{\"k\":1.}", "a number that ends at its point", 7},
    {"{\"k\":1e}", "a number without digits in its exponent", 7},
    {"{\"k\":-}", "a number without digits", 6},
    {"{\"k\":nul}", "not a JSON value", 5},
    {"{\"k\":\"\xff\"}", "invalid UTF-8", 6},
    {"{\"k\":1}}", "something behind the value", 7},
    {"{\"k\":1", "the text ends inside an object", 6},
    {"{\"k\":1,}", "a member without a name in quotes", 7},
};

static void check_bad(void)
{
    struct record_reader r;
    struct record out;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (record_open(&r, &rules))
            exit(1);
        ok(record_read(&r, span_of(bad[i].line), &out) == RECORD_BAD &&
               !strcmp(r.why, bad[i].why) && (int)r.offset == bad[i].offset,
           "bad: %s", bad[i].line);
        record_close(&r);
    }
}

static int same_member(const char *a, const char *b, const char *name)
{
    struct record_members x = {0}, y = {0};
    struct record_reader r, q;
    struct record unused;
    int same = -2;

    if (record_open(&r, &rules) || record_open(&q, &rules))
        exit(1);
    if (!record_list(&r, span_of(a), &x, &unused) && !record_list(&q, span_of(b), &y, &unused))
        same = record_same(&r, record_find(&x, span_of(name)), record_find(&y, span_of(name)));
    free(x.at);
    free(y.at);
    record_close(&r);
    record_close(&q);
    return same;
}

static void check_tolerance(void)
{
    ok(!record_tolerant(&rules), "without tolerance");
    rules.tolerances = tolerances;
    rules.tolerance_count = 2;
    ok(record_tolerant(&rules), "with it");
    is_int(same_member("{\"k\":1,\"n\":1}", "{\"k\":1,\"n\":1.5}", "n"), 1, "half is near enough");
    is_int(same_member("{\"k\":1,\"n\":1}", "{\"k\":1,\"n\":1.51}", "n"), 0, "more is not");
    is_int(same_member("{\"k\":1,\"p\":100}", "{\"k\":1,\"p\":110}", "p"), 1, "a tenth");
    is_int(same_member("{\"k\":1,\"p\":100}", "{\"k\":1,\"p\":112}", "p"), 0, "more than that");
    is_int(same_member("{\"k\":1,\"n\":1}", "{\"k\":1,\"n\":\"1\"}", "n"), 0, "of numbers only");
    is_int(same_member("{\"k\":1,\"n\":1}", "{\"k\":1}", "n"), 0, "that are there");
    is_int(same_member("{\"k\":1,\"n\":1e5000}", "{\"k\":1,\"n\":10e4999}", "n"), 1,
           "beyond all measure: the same");
    is_int(same_member("{\"k\":1,\"n\":1e5000}", "{\"k\":1,\"n\":1.1e5000}", "n"), 0, "or not");
    is_int(same_member("{\"k\":1,\"m\":1}", "{\"k\":1,\"m\":1.1}", "m"), 0, "others: none");
    is_int(same_member("{\"k\":1}", "{\"k\":1}", "n"), 1, "absent on both sides");
    is_int(same_member("{\"k\":1,\"t\":1}", "{\"k\":1,\"t\":2}", "t"), 0, "a second");
    rules.ts_tolerance_us = 1000000;
    is_int(same_member("{\"k\":1,\"t\":1}", "{\"k\":1,\"t\":2}", "t"), 1, "let pass");
    is_int(same_member("{\"k\":1,\"t\":1}", "{\"k\":1,\"t\":2.000001}", "t"), 0, "and no more");
    is_int(same_member("{\"k\":1,\"t\":1}", "{\"k\":1,\"t\":null}", "t"), 0, "of instants only");
    rules.ts_tolerance_us = 0;
    rules.tolerance_count = 0;
}

static void check_rules(void)
{
    rules.ignore = (struct record_names){ignored, 1};
    is_int(relation("{\"k\":1,\"i\":1}", "{\"k\":1,\"i\":2}"), SAME, "ignored");
    is_int(relation("{\"k\":1,\"i\":1}", "{\"k\":1}"), SAME, "even where it is absent");
    rules.fields = (struct record_names){fields, 2};
    is_int(relation("{\"k\":1,\"x\":1}", "{\"k\":1,\"x\":2}"), SAME, "not among the fields");
    is_int(relation("{\"k\":1,\"v\":1}", "{\"k\":1,\"v\":2}"), OTHER_VALUE, "among them");
    is_int(relation("{\"k\":1,\"t\":1}", "{\"k\":1,\"t\":2}"), SAME, "nor is the time, then");
    rules.fields.n = rules.ignore.n = 0;
}

/* Names that come and go are forgotten, and nothing with them. */
static void check_many_names(void)
{
    struct record_reader r;
    struct record first, again;
    char line[64];
    int good = 1;

    if (record_open(&r, &rules) || record_read(&r, SPAN("{\"k\":1,\"v\":2,\"n7\":3}"), &first))
        exit(1);
    for (int i = 0; i < 20000 && good; i++) {
        snprintf(line, sizeof line, "{\"k\":%d,\"n%d\":1}", i, i);
        good = !record_read(&r, span_of(line), &again);
    }
    ok(good && !record_read(&r, SPAN("{\"k\":1,\"v\":2,\"n7\":3}"), &again) &&
           again.value == first.value && digest_eq(again.key, first.key),
       "twenty thousand names");
    ok(r.name_count < 5000, "are not all kept");
    record_close(&r);
}

int main(void)
{
    plan((int)(sizeof pairs / sizeof *pairs) + (int)(sizeof bad / sizeof *bad) + 16 + 5 + 2);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        is_int(relation(pairs[i].a, pairs[i].b), pairs[i].relation, "%s", pairs[i].name);
    check_bad();
    check_tolerance();
    check_rules();
    check_many_names();
    return done();
}
