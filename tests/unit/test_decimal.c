#include "text/decimal.h"

#include "tap.h"

enum { FAR = DECIMAL_FAR, NEAR = DECIMAL_NEAR, NONE = DECIMAL_NONE };

static int order_of(const char *a, const char *b, int *order)
{
    return (int)decimal_order(span_of(a), span_of(b), order);
}

static const struct {
    const char *a, *b, *tolerance;
    int within, within_part;
    const char *name;
} cases[] = {
    {"1", "1.0", "0", NEAR, NEAR, "1 is 1.0"},
    {"100", "1e2", "0", NEAR, NEAR, "100 is 1e2"},
    {"-0", "0.000", "0", NEAR, NEAR, "-0 is 0"},
    {"0e99", "0", "0", NEAR, NEAR, "a zero has no size"},
    {"0.1", "0.10000000000000000001", "0", FAR, FAR, "the twentieth digit counts"},
    {"0.1", "0.10000000000000000001", "1e-20", NEAR, FAR, "and may be let pass"},
    {"9007199254740993", "9007199254740992", "0", FAR, FAR, "beyond a double's digits"},
    {"9007199254740993", "9007199254740992", "1", NEAR, NEAR, "one apart is one apart"},
    {"9007199254740993", "9007199254740992", "0.999999999999999999", FAR, NEAR, "and not less"},
    {"0.3", "0.1", "0.2", NEAR, FAR, "0.3 is 0.2 from 0.1, exactly"},
    {"-5", "5", "10", NEAR, NEAR, "across zero"},
    {"-5", "5", "9.99", FAR, NEAR, "across zero, too far"},
    {"-5", "-7", "2", NEAR, NEAR, "both below zero"},
    {"999", "1000", "1", NEAR, NEAR, "a carry"},
    {"1000", "999.5", "0.5", NEAR, NEAR, "a borrow"},
    {"100", "110", "0.1", FAR, NEAR, "a tenth of the larger is far enough"},
    {"100", "112", "0.1", FAR, FAR, "and no more than that"},
    {"0", "1e-9", "0.5", NEAR, FAR, "no part of it leads to zero"},
    {"0", "0", "0.0", NEAR, NEAR, "zeros are the same"},
    {"1e4000", "1e4000", "0", NEAR, NEAR, "large ones"},
    {"1e4000", "1.00001e4000", "1e3995", NEAR, NEAR, "and what is between them"},
    {"1e-4000", "0", "1e-4000", NEAR, FAR, "small ones"},
    {"1e-4000", "0", "9e-4001", FAR, FAR, "and less than these"},
    {"1e5000", "1", "1", NONE, NONE, "an exponent nobody means"},
    {"1.999e40969999999", "1.999e4099", "1", NONE, NONE, "no digit of an exponent is lost"},
    {"1", "1", "-1", NONE, NONE, "a tolerance below zero is none"},
    {"1", "\"1\"", "1", NONE, NONE, "a string is no number"},
    {"", "1", "1", NONE, NONE, "nor is nothing"},
    {"-", "1", "1", NONE, NONE, "nor a sign"},
    {"1.2.3", "1", "1", NONE, NONE, "nor two points"},
    {"1e", "1", "1", NONE, NONE, "nor half an exponent"},
    {"null", "1", "1", NONE, NONE, "nor null"},
};

/* Each is below the next. */
static const char *const ascending[] = {
    "-1e4000", "-10", "-9.5", "-1e-4000", "0",  "1e-4000",          "0.1",
    "0.11",    "1",   "9",    "10",       "11", "9007199254740992", "9007199254740993"};
enum { ASCENDING = sizeof ascending / sizeof *ascending };

static int all_ordered(void)
{
    for (int i = 0; i < ASCENDING; i++)
        for (int k = 0; k < ASCENDING; k++) {
            int order = 7;

            if (order_of(ascending[i], ascending[k], &order) != NEAR || order != (i > k) - (i < k))
                return 0;
        }
    return 1;
}

static int ordered(const char *a, const char *b, int want)
{
    int order = 7;

    return order_of(a, b, &order) == NEAR && order == want;
}

int main(void)
{
    int order;

    plan(3 * (int)(sizeof cases / sizeof *cases) + 4);
    ok(all_ordered(), "numbers in order");
    ok(ordered("-0", "0.0", 0) && ordered("1e2", "100.0", 0) && ordered("-1e2", "-100", 0),
       "spellings of one number have one place");
    ok(order_of("1e5000", "1", &order) == NONE, "an exponent nobody means");
    ok(order_of("1", "x", &order) == NONE, "no number");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span a = span_of(cases[i].a), b = span_of(cases[i].b);
        struct span t = span_of(cases[i].tolerance);

        ok(decimal_within(a, b, t) == (enum decimal_result)cases[i].within, "%s", cases[i].name);
        ok(decimal_within(b, a, t) == (enum decimal_result)cases[i].within,
           "%s, from the other side", cases[i].name);
        ok(decimal_within_part(a, b, t) == (enum decimal_result)cases[i].within_part,
           "%s, as a part", cases[i].name);
    }
    return done();
}
