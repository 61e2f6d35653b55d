#include "text/instant.h"

#include "tap.h"

#define T INT64_C(1740046503)

static const struct {
    const char *text;
    int64_t us;
    const char *name;
} good[] = {
    {"2025-02-20T10:15:03Z", T * 1000000, "RFC 3339"},
    {"2025-02-20T19:15:03+09:00", T * 1000000, "elsewhere"},
    {"2025-02-20 19:15:03+09", T * 1000000, "PostgreSQL"},
    {"2025-02-20 19:15:03+0900", T * 1000000, "PostgreSQL of old"},
    {"2025-02-20 15:45:03.25+05:30", T * 1000000 + 250000, "half hours"},
    {"2025-02-20 10:15:03", T * 1000000, "no zone is UTC"},
    {"2025-02-20T10:15:03.123456Z", T * 1000000 + 123456, "microseconds"},
    {"2025-02-20 10:15:03.1234567+00", T * 1000000 + 123456, "and nothing finer"},
    {"1740046503", T * 1000000, "Unix seconds"},
    {"1740046503.5", T * 1000000 + 500000, "and half a second"},
    {"1740046503123", T * 1000000 + 123000, "Unix ms"},
    {"1740046503123.456", T * 1000000 + 123456, "with a fraction"},
    {"1740046503123456", T * 1000000 + 123456, "Unix microseconds"},
    {"0", 0, "the epoch"},
    {"-1", -1000000, "before it"},
    {"1969-12-31 23:59:59+00", -1000000, "the same in words"},
    {"99999999999", INT64_C(99999999999000000), "the last of the seconds"},
    {"100000000000", INT64_C(100000000000000), "the first of the ms"},
};

static const char *const bad[] = {"",
                                  "-",
                                  ".5",
                                  "1.",
                                  "1.5x",
                                  "1e9",
                                  "2025-02-20",
                                  "2025-02-20T10:15",
                                  "2025-02-30T10:15:03Z",
                                  "2025-02-20 10:15:03+9",
                                  "2025-02-20 10:15:03 +09",
                                  "2025-02-20 10:15:03.+09",
                                  "2025-02-20 10:15:03+09-00",
                                  "2025-02-20 10:15:03 JST",
                                  "100000000000000000",
                                  "yesterday"};

/* JSON numbers, one way and the other. */
static const struct {
    const char *text;
    int64_t us;
} numbers[] = {
    {"1740046503.5", T * 1000000 + 500000},
    {"17400465035e-1", T * 1000000 + 500000},
    {"1.7400465035E+9", T * 1000000 + 500000},
    {"0.00017400465035e13", T * 1000000 + 500000},
    {"1740046503.123456789012345678901234", T * 1000000 + 123456},
    {"1740046503123456789012345678901234e-24", T * 1000000 + 123456},
    {"174004650312345678901234567890.1234e-20", T * 1000000 + 123456},
    {"-5e-1", -500000},
    {"-0e9", 0},
    {"5e-6", 5},
    {"5e-7", 0},
    {"1e-999999999999999999999999", 0},
    {"1e10", INT64_C(10000000000000000)},
    {"1e11", INT64_C(100000000000000)},
    {"1.0e16", INT64_C(10000000000000000)},
};

static const char *const too_far[] = {"1e17", "100000000000000000.5", "0.1e18",
                                      "9e999999999999999999999"};

static void test_numbers(void)
{
    int64_t us;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ok(!instant_number(span_of(numbers[i].text), &us) && us == numbers[i].us, "%s",
           numbers[i].text);
    for (size_t i = 0; i < sizeof too_far / sizeof *too_far; i++)
        ok(instant_number(span_of(too_far[i]), &us) == -1, "no instant: %s", too_far[i]);
}

int main(void)
{
    int64_t us;

    plan((int)(sizeof good / sizeof *good + sizeof bad / sizeof *bad +
               sizeof numbers / sizeof *numbers + sizeof too_far / sizeof *too_far));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ok(!instant_parse(span_of(good[i].text), &us) && us == good[i].us, "%s", good[i].name);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(instant_parse(span_of(bad[i]), &us) == -1, "no instant: %s", bad[i]);
    test_numbers();
    return done();
}
