#include "text/rfc3339.h"

#include "tap.h"

static const struct {
    const char *text;
    int64_t ms;
    const char *name;
} good[] = {
    {"1970-01-01T00:00:00Z", 0, "the epoch is 0"},
    {"2022-02-22T14:22:22.00-05:00", 1645557742000, "the time of RFC 9562 A.6 is read"},
    {"2022-02-22T19:22:22Z", 1645557742000, "and the same moment in UTC"},
    {"2022-02-23T04:52:22+09:30", 1645557742000, "and east of Greenwich, past midnight"},
    {"1985-04-12T23:20:50.52Z", 482196050520, "RFC 3339's first example is read"},
    {"1996-12-19T16:39:57-08:00", 851042397000, "RFC 3339's second example is read"},
    {"1990-12-31T23:59:60Z", 662688000000, "RFC 3339's leap second is the next second"},
    {"1990-12-31T15:59:60-08:00", 662688000000, "and so it is in California"},
    {"1937-01-01T12:00:27.87+00:20", -1041337172130, "RFC 3339's Dutch example is read"},
    {"2022-02-22t19:22:22z", 1645557742000, "lower-case t and z are allowed"},
    {"2022-02-22T19:22:22-00:00", 1645557742000, "the unknown offset -00:00 is allowed"},
    {"2022-02-22T19:22:22.1Z", 1645557742100, "one digit of a fraction is tenths"},
    {"2022-02-22T19:22:22.12Z", 1645557742120, "two are hundredths"},
    {"2022-02-22T19:22:22.123Z", 1645557742123, "three are milliseconds"},
    {"2022-02-22T19:22:22.1239Z", 1645557742123, "a fourth is cut off, not rounded"},
    {"2022-02-22T19:22:22.99999999999999999999999999999999999999Z", 1645557742999,
     "a fraction may be of any length"},
    {"1969-12-31T23:59:59.9999Z", -1, "before 1970 too a fraction is cut, not rounded"},
    {"1969-12-31T23:59:59Z", -1000, "the second before the epoch is negative"},
    {"0001-01-01T00:00:00Z", -62135596800000, "year 1 is the first"},
    {"9999-12-31T23:59:59.999Z", 253402300799999, "year 9999 is the last"},
    {"0001-01-01T00:00:00+23:59", -62135683140000, "year 1 may begin in year 0 of UTC"},
    {"9999-12-31T23:59:59-23:59", 253402387139000, "year 9999 may end in year 10000 of UTC"},
    {"2000-02-29T00:00:00Z", 951782400000, "2000 is a leap year"},
    {"2024-02-29T00:00:00Z", 1709164800000, "2024 is a leap year"},
    {"2015-06-30T23:59:60.5Z", 1435708800500, "a leap second keeps its fraction"},
    {"2016-12-31T23:59:60+00:00", 1483228800000, "a leap second may have an offset"},
    {"2017-01-01T05:29:60+05:30", 1483228800000, "and stand in the middle of an Indian hour"},
    {"2024-02-29T23:59:60Z", 1709251200000, "any last day of a month may have a leap second"},
};

static const struct {
    const char *text, *name;
} bad[] = {
    {"", "nothing at all is refused"},
    {"2022-02-22", "a date alone is refused"},
    {"19:22:22Z", "a time alone is refused"},
    {"2022-02-22T19:22:22", "a time without a zone is refused"},
    {"2022-02-22 19:22:22Z", "a space for the T is refused"},
    {"2022-02-22T19:22Z", "a time without seconds is refused"},
    {"2022-02-22T19:22:22.Z", "a fraction of no digits is refused"},
    {"2022-02-22T19:22:22,5Z", "a comma for the point is refused"},
    {"2022-02-22T19:22:22.5.5Z", "two fractions are refused"},
    {"2022-02-22T19:22:22Z ", "a space at the end is refused"},
    {" 2022-02-22T19:22:22Z", "a space at the start is refused"},
    {"2022-02-22T19:22:22ZZ", "two zones are refused"},
    {"2022-02-22T19:22:22+0500", "an offset without a colon is refused"},
    {"2022-02-22T19:22:22+05", "an offset without minutes is refused"},
    {"2022-02-22T19:22:22+24:00", "an offset of a day is refused"},
    {"2022-02-22T19:22:22+05:60", "an offset of 60 minutes is refused"},
    {"2022-02-22T19:22:22GMT", "a zone with a name is refused"},
    {"2022-02-22T24:00:00Z", "hour 24 is refused"},
    {"2022-02-22T19:60:00Z", "minute 60 is refused"},
    {"2022-02-22T19:22:61Z", "second 61 is refused"},
    {"2022-02-22T19:22:60Z", "a leap second inside a day is refused"},
    {"2022-12-30T23:59:60Z", "a leap second inside a month is refused"},
    {"2022-12-31T23:59:60-08:00", "a leap second at local midnight only is refused"},
    {"2022-00-22T19:22:22Z", "month 0 is refused"},
    {"2022-13-22T19:22:22Z", "month 13 is refused"},
    {"2022-02-00T19:22:22Z", "day 0 is refused"},
    {"2022-02-29T19:22:22Z", "29 February of a common year is refused"},
    {"1900-02-29T19:22:22Z", "29 February 1900 is refused"},
    {"2024-02-30T19:22:22Z", "30 February is refused"},
    {"2022-04-31T19:22:22Z", "31 April is refused"},
    {"2022-06-31T19:22:22Z", "31 June is refused"},
    {"2022-09-31T19:22:22Z", "31 September is refused"},
    {"2022-11-31T19:22:22Z", "31 November is refused"},
    {"2022-01-32T19:22:22Z", "32 January is refused"},
    {"0000-01-01T00:00:00Z", "year 0 is refused"},
    {"10000-01-01T00:00:00Z", "a year of five digits is refused"},
    {"+2022-02-22T19:22:22Z", "a year with a sign is refused"},
    {"-002-02-22T19:22:22Z", "a negative year is refused"},
    {"22-02-22T19:22:22Z", "a year of two digits is refused"},
    {"2022-2-22T19:22:22Z", "a month of one digit is refused"},
    {"2022-02-22T1 :22:22Z", "a space for a digit is refused"},
    {"2022-02-22T19:22:22.1\xd9\xa3Z", "digits outside ASCII are refused"},
    {"20220222T192222Z", "the basic format of ISO 8601 is refused"},
    {"2022-W08-2T19:22:22Z", "a week date is refused"},
    {"1645557742000", "a number of milliseconds is refused"},
};

static const struct {
    int64_t ms;
    const char *text, *name;
} written[] = {
    {0, "1970-01-01T00:00:00.000Z", "0 is the epoch"},
    {1645557742000, "2022-02-22T19:22:22.000Z", "the time of RFC 9562 A.6 is written"},
    {1, "1970-01-01T00:00:00.001Z", "one ms is written"},
    {-1, "1969-12-31T23:59:59.999Z", "one ms before the epoch is written"},
    {-86400000, "1969-12-31T00:00:00.000Z", "one day before the epoch is written"},
    {951782400000, "2000-02-29T00:00:00.000Z", "a leap day is written"},
    {-62135596800000, "0001-01-01T00:00:00.000Z", "year 1 is written"},
    {-62167219200000, "0000-01-01T00:00:00.000Z", "year 0 is written"},
    {-62167219200001, "-0001-12-31T23:59:59.999Z", "a year before 0 has a minus sign"},
    {253402300799999, "9999-12-31T23:59:59.999Z", "the last ms of four digits is written"},
    {253402300800000, "10000-01-01T00:00:00.000Z", "the next has a year of five"},
    {281474976710655, "10889-08-02T05:31:50.655Z", "2^48-1 is in the year 10889"},
    {INT64_MAX, "292278994-08-17T07:12:55.807Z", "the greatest number has an answer"},
    {INT64_MIN, "-292275055-05-16T16:47:04.192Z", "the least number has an answer"},
};

enum { COUNT_GOOD = sizeof good / sizeof *good };
enum { COUNT_BAD = sizeof bad / sizeof *bad };
enum { COUNT_WRITTEN = sizeof written / sizeof *written };

static void check_every_cut(void)
{
    static const char text[] = "2022-02-22T19:22:22.000+00:00";
    int64_t ms = 7;
    int refused = 1;

    for (size_t n = 0; n + 1 < sizeof text; n++)
        refused = refused && rfc3339_parse((struct span){text, n}, &ms) == -1;
    ok(refused, "a time cut off anywhere is refused");
    is_int(ms, 7, "and the caller's number is left alone");
}

/* 400 years hold every kind of year; the step is a prime, so that the times
 * of day are mixed as well. */
static void check_round_trip(void)
{
    int64_t ms, back, bad_ms = 0;
    int failed = 0;
    char text[32];

    for (ms = -62135596800000; ms < 253402300800000; ms += 39916801) {
        rfc3339_format(ms, text);
        if (rfc3339_parse(span_of(text), &back) || back != ms) {
            bad_ms = ms;
            failed = 1;
        }
    }
    ok(!failed, "what is written reads back the same, years 1 to 9999 (%" PRId64 ")", bad_ms);
}

static void check_days_follow(void)
{
    char text[32], last[32] = "0000-12-31T00:00:00.000Z";
    int ascending = 1;

    for (int64_t ms = -62135596800000; ms < 253402300800000; ms += 86400000) {
        rfc3339_format(ms, text);
        ascending = ascending && strcmp(last, text) < 0;
        memcpy(last, text, strlen(text) + 1);
    }
    ok(ascending, "each day of 9999 years is later than the one before");
}

int main(void)
{
    char text[32];

    plan(COUNT_GOOD + COUNT_BAD + COUNT_WRITTEN + 5);
    for (int i = 0; i < COUNT_GOOD; i++) {
        int64_t ms = INT64_MIN;

        if (rfc3339_parse(span_of(good[i].text), &ms))
            ms = INT64_MIN;
        is_int(ms, good[i].ms, "%s", good[i].name);
    }
    for (int i = 0; i < COUNT_BAD; i++) {
        int64_t ms = 0;

        is_int(rfc3339_parse(span_of(bad[i].text), &ms), -1, "%s", bad[i].name);
    }
    for (int i = 0; i < COUNT_WRITTEN; i++) {
        rfc3339_format(written[i].ms, text);
        is_str(text, written[i].text, "%s", written[i].name);
    }
    ok(rfc3339_parse((struct span){"2022-02-22T19:22:22\0Z", 21}, &(int64_t){0}) == -1,
       "a NUL inside is refused");
    check_every_cut();
    check_round_trip();
    check_days_follow();
    return done();
}
