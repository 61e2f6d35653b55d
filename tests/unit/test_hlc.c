#include "text/hlc.h"

#include "tap.h"

/* One history, each step from where the one before it ended. */
static const struct {
    int64_t pt;
    int received;
    struct hlc msg, want;
    const char *name;
} steps[] = {
    {11, 0, {0, 0}, {11, 0}, "a send takes a later wall clock and counter 0"},
    {11, 0, {0, 0}, {11, 1}, "a second send in the same ms counts"},
    {9, 0, {0, 0}, {11, 2}, "a send on a clock gone back counts on"},
    {9, 1, {11, 7}, {11, 8}, "a message of the same ms: the greater counter, plus one"},
    {9, 1, {20, 3}, {20, 4}, "a message ahead: its ms and its counter plus one"},
    {9, 1, {15, 9}, {20, 5}, "a message behind: the own counter plus one"},
    {25, 1, {22, 9}, {25, 0}, "a wall clock ahead of both: its ms and counter 0"},
    {25, 1, {25, 0}, {25, 1}, "all three in one ms: the counter plus one"},
    {25, 1, {25, 0}, {25, 2}, "the same message again ticks again"},
    {25, 1, {3, 0xffff}, {25, 3}, "a full counter in an old message is of no account"},
    {24, 1, {24, 9}, {25, 4}, "an old message of the wall clock's ms: the own reading, plus one"},
    {26, 1, {26, 9}, {26, 10}, "a message in step with the wall clock: its counter plus one"},
};

static const struct {
    const char *text, *name;
} bad[] = {
    {"", "no text is refused"},
    {"019beaabac13", "a ms alone is refused"},
    {"019beaabac13.", "a counter of no digits is refused"},
    {"019beaabac13.001", "a counter of three digits is refused"},
    {"019beaabac13.00011", "a counter of five digits is refused"},
    {"19beaabac13.00001", "a ms of eleven digits is refused"},
    {"0019beaabac13.001", "a dot in the wrong place is refused"},
    {"019beaabac13:0001", "a colon for the dot is refused"},
    {"019BEAABAC13.0001", "upper case is refused"},
    {"019beaabac13.000A", "upper case in the counter is refused"},
    {"019beaabac1g.0001", "a letter after f is refused"},
    {"019beaabac13.000g", "a letter after f in the counter is refused"},
    {"+19beaabac13.0001", "a sign is refused"},
    {"0x9beaabac13.0001", "0x is refused"},
    {" 19beaabac13.0001", "a space is refused"},
    {"019beaabac13.0001\n", "a newline at the end is refused"},
};

enum { STEPS = sizeof steps / sizeof *steps, BAD = sizeof bad / sizeof *bad };

static void is_hlc(struct hlc got, struct hlc want, const char *name)
{
    if (!ok(hlc_cmp(got, want) == 0, "%s", name))
        printf("# got (%" PRId64 ",%" PRIu32 ")\n", got.ms, got.counter);
}

static void check_steps(void)
{
    struct hlc clock = {10, 0};

    for (int i = 0; i < STEPS; i++) {
        if (steps[i].received)
            hlc_recv(&clock, steps[i].msg, steps[i].pt);
        else
            hlc_send(&clock, steps[i].pt);
        is_hlc(clock, steps[i].want, steps[i].name);
    }
}

static void check_overflow(void)
{
    const struct hlc full = {100, 0xffff};
    struct hlc clock = full;

    hlc_send(&clock, 100);
    is_hlc(clock, (struct hlc){101, 0}, "a send with a full counter moves the ms on");
    clock = full;
    hlc_send(&clock, 7);
    is_hlc(clock, (struct hlc){101, 0}, "also when the wall clock is behind");
    clock = full;
    hlc_send(&clock, 101);
    is_hlc(clock, (struct hlc){101, 0}, "a wall clock that went on resets a full counter");
    clock = (struct hlc){100, 3};
    hlc_recv(&clock, full, 50);
    is_hlc(clock, (struct hlc){101, 0}, "a message of the same ms with a full counter moves it on");
    clock = (struct hlc){90, 3};
    hlc_recv(&clock, full, 50);
    is_hlc(clock, (struct hlc){101, 0}, "a message ahead with a full counter moves past it");
    clock = full;
    hlc_recv(&clock, (struct hlc){90, 3}, 50);
    is_hlc(clock, (struct hlc){101, 0}, "a message behind does not hinder that");
    clock = (struct hlc){90, 3};
    hlc_recv(&clock, full, 100);
    is_hlc(clock, (struct hlc){101, 0}, "nor does a wall clock in the message's ms");
    clock = full;
    ok(hlc_next(&clock) == 0, "a full counter has a successor");
    is_hlc(clock, (struct hlc){101, 0}, "which is the first of the next ms");
    clock = (struct hlc){100, 0xfffe};
    hlc_next(&clock);
    is_hlc(clock, full, "the counter's last value is used");
}

static void check_top(void)
{
    const struct hlc last = {HLC_MS_END - 1, 0xffff};
    struct hlc clock = last;
    char text[18];

    hlc_format(last, text);
    is_str(text, "ffffffffffff.ffff", "the last reading of all is written");
    is_int(hlc_send(&clock, 5), -1, "no send follows it");
    is_hlc(clock, last, "and the clock stays");
    is_int(hlc_recv(&clock, (struct hlc){5, 5}, 5), -1, "no message follows it");
    is_hlc(clock, last, "and the clock stays again");
    is_int(hlc_next(&clock), -1, "it has no successor");
    is_hlc(clock, last, "and the clock stays once more");
    clock = (struct hlc){5, 5};
    is_int(hlc_recv(&clock, last, 5), -1, "the last reading as a message is refused");
    is_hlc(clock, (struct hlc){5, 5}, "and does not poison the clock");
    is_int(hlc_send(&clock, HLC_MS_END), -1, "a wall clock at 2^48 is refused on a send");
    is_int(hlc_recv(&clock, (struct hlc){6, 0}, HLC_MS_END), -1, "and on a message");
    is_hlc(clock, (struct hlc){5, 5}, "and changes nothing");
    is_int(hlc_send(&clock, HLC_MS_END - 1), 0, "a wall clock at 2^48-1 is taken");
    is_hlc(clock, (struct hlc){HLC_MS_END - 1, 0}, "as it is");
}

static void check_merge(void)
{
    struct hlc clock = {10, 5};

    hlc_merge(&clock, (struct hlc){10, 4});
    is_hlc(clock, (struct hlc){10, 5}, "merging an earlier reading changes nothing");
    hlc_merge(&clock, (struct hlc){10, 5});
    is_hlc(clock, (struct hlc){10, 5}, "merging the same reading changes nothing");
    hlc_merge(&clock, (struct hlc){10, 6});
    is_hlc(clock, (struct hlc){10, 6}, "merging a later counter takes it without a tick");
    hlc_merge(&clock, (struct hlc){11, 0});
    is_hlc(clock, (struct hlc){11, 0}, "merging a later ms takes it with its counter");
}

static void check_text(void)
{
    struct hlc h = {7, 7};
    char text[18], other[18];
    int same_order = 1;

    for (int i = 0; i < BAD; i++)
        is_int(hlc_parse(span_of(bad[i].text), &h), -1, "%s", bad[i].name);
    is_int(hlc_parse((struct span){"019beaabac13.0\0001", 17}, &h), -1, "a NUL is refused");
    is_hlc(h, (struct hlc){7, 7}, "what is refused leaves the reading alone");
    is_int(hlc_parse(SPAN("019beaabac13.0001"), &h), 0, "a reading is read");
    is_hlc(h, (struct hlc){0x019beaabac13, 1}, "to its ms and its counter");
    hlc_format(h, text);
    is_str(text, "019beaabac13.0001", "and written back the same");
    hlc_parse(SPAN("000000000000.0000"), &h);
    is_hlc(h, (struct hlc){0, 0}, "the first reading of all is read");
    hlc_parse(SPAN("ffffffffffff.ffff"), &h);
    is_hlc(h, (struct hlc){HLC_MS_END - 1, 0xffff}, "and the last");
    for (int i = 0; i < STEPS; i++) {
        for (int j = 0; j < STEPS; j++) {
            int by_time = hlc_cmp(steps[i].want, steps[j].want), by_text;

            hlc_format(steps[i].want, text);
            hlc_format(steps[j].want, other);
            by_text = strcmp(text, other);
            same_order =
                same_order && (by_time < 0) == (by_text < 0) && (by_time > 0) == (by_text > 0);
        }
    }
    ok(same_order, "text order is time order");
}

/* Three clocks that stray, and messages of each other's past: whatever comes,
 * no clock goes back and each event is later than what caused it. */
static void check_random_history(void)
{
    struct hlc clock[3] = {{0, 0}, {0, 0}, {0, 0}};
    uint32_t seed = 20260101;
    int later_than_self = 1, later_than_msg = 1;

    for (int i = 0; i < 200000; i++) {
        uint32_t who, from;
        struct hlc before, msg;
        int64_t pt;

        seed = seed * 1664525U + 1013904223U;
        who = (seed >> 30) % 3;
        from = (seed >> 28 & 3) % 3;
        pt = 1000 + i / 300 + (int64_t)(seed >> 16 & 63) - 32 * (int64_t)who;
        before = clock[who];
        msg = clock[from];
        if (who == from)
            hlc_send(&clock[who], pt);
        else
            hlc_recv(&clock[who], msg, pt);
        later_than_self = later_than_self && hlc_cmp(clock[who], before) > 0;
        later_than_msg = later_than_msg && hlc_cmp(clock[who], msg) > 0;
    }
    ok(later_than_self, "in a random history no clock stands still or goes back");
    ok(later_than_msg, "and every event is later than the message that caused it");
}

int main(void)
{
    plan(STEPS + BAD + 10 + 14 + 4 + 8 + 2);
    check_steps();
    check_overflow();
    check_top();
    check_merge();
    check_text();
    check_random_history();
    return done();
}
