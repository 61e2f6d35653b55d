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

int main(void)
{
    int64_t us;

    plan((int)(sizeof good / sizeof *good + sizeof bad / sizeof *bad));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ok(!instant_parse(span_of(good[i].text), &us) && us == good[i].us, "%s", good[i].name);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(instant_parse(span_of(bad[i]), &us) == -1, "no instant: %s", bad[i]);
    return done();
}
