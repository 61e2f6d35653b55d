#include "text/uuid7.h"

#include "base/clock.h"
#include "tap.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000000, FORKS = 8, EACH = 1000 };

static const int64_t noon = 1645557742000;
static const uint8_t zeros[10];
static const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static const char *text_of(const uint8_t id[static 16])
{
    static char text[37];

    uuid7_format(id, text);
    return text;
}

static void check_rfc_vector(void)
{
    const uint8_t random[10] = {0x0c, 0x07, 0x39, 0x8f, 0x03, 0x30, 0xd8, 0xc4, 0xdc, 0x0c};
    struct uuid7_gen g = {0};
    uint8_t id[16];

    uuid7_build(0x017F22E279B0, 0xCC3, UINT64_C(0x18C4DC0C0C07398F), id);
    is_str(text_of(id), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "RFC 9562 A.6 is built");
    is_int(uuid7_ms(id), noon, "and holds its time");
    is_int(uuid7_check(id), 0, "and is a version-7 UUID");
    uuid7_next(&g, noon, random, id);
    is_str(text_of(id), "017f22e2-79b0-74c3-98c4-dc0c0c07398f",
           "the generator puts the same bits there, but for the guard bit");
    g = (struct uuid7_gen){noon, UINT64_C(0x330d8c4dc0b), 1};
    uuid7_next(&g, noon, random, id);
    is_str(text_of(id), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "and counts up to A.6 itself");
    uuid7_build(0, 0, 0, id);
    is_str(text_of(id), "00000000-0000-7000-8000-000000000000", "the least id is built");
    uuid7_build(UUID7_MS_END - 1, 0xfff, UINT64_MAX, id);
    is_str(text_of(id), "ffffffff-ffff-7fff-bfff-ffffffffffff", "the greatest id is built");
    uuid7_build(-1, 0xffff, UINT64_MAX, id);
    is_str(text_of(id), "ffffffff-ffff-7fff-bfff-ffffffffffff", "fields too wide are cut");
}

static void check_layout(void)
{
    struct uuid7_gen g = {0};
    uint8_t id[16];

    is_int((int64_t)uuid7_need(&g, noon), 10, "the first id takes ten random bytes");
    is_int(uuid7_next(&g, noon, ones, id), 0, "the first id is made");
    is_str(text_of(id), "017f22e2-79b0-77ff-bfff-ffffffffffff",
           "the greatest seed leaves the counter's first bit free");
    is_int((int64_t)uuid7_need(&g, noon), 4, "the next of the same ms takes four");
    uuid7_next(&g, noon, ones, id);
    is_str(text_of(id), "017f22e2-79b0-7800-8000-0000ffffffff",
           "counting carries from the right side of the variant to the left");
    uuid7_next(&g, noon, zeros, id);
    is_str(text_of(id), "017f22e2-79b0-7800-8000-000100000000",
           "a later id sorts later though its random part is less");
    is_int((int64_t)uuid7_need(&g, noon + 1), 10, "the next ms takes ten again");
    uuid7_next(&g, noon + 1, zeros, id);
    is_str(text_of(id), "017f22e2-79b1-7000-8000-000000000000", "and seeds the counter anew");
}

static void check_clock_back(void)
{
    static const struct {
        int64_t back;
        const char *name;
    } steps[] = {{1, "1 ms"}, {10000, "10 s"}, {INT64_C(31536000000), "1 year"}, {noon, "to 1970"}};
    uint8_t last[16], id[16];

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct uuid7_gen g = {0};

        uuid7_next(&g, noon, ones, last);
        is_int((int64_t)uuid7_need(&g, noon - steps[i].back), 4,
               "a clock gone back %s needs no seed", steps[i].name);
        is_int(uuid7_next(&g, noon - steps[i].back, zeros, id), 0,
               "a clock gone back %s still gives ids", steps[i].name);
        ok(memcmp(last, id, 16) < 0 && uuid7_ms(id) == noon,
           "they ascend in the ms reached before (%s)", steps[i].name);
        uuid7_next(&g, noon + 1, zeros, id);
        ok(memcmp(last, id, 16) < 0 && uuid7_ms(id) == noon + 1,
           "and follow the clock again once it is past that (%s)", steps[i].name);
    }
}

static void check_counter_end(void)
{
    const uint64_t last_counter = (UINT64_C(1) << 42) - 1;
    struct uuid7_gen g = {noon, last_counter - 1, 1};
    uint8_t id[16];

    uuid7_next(&g, noon, ones, id);
    is_str(text_of(id), "017f22e2-79b0-7fff-bfff-ffffffffffff", "the counter's last value is used");
    is_int((int64_t)uuid7_need(&g, noon), 10, "then a new seed is needed");
    uuid7_next(&g, noon, zeros, id);
    is_str(text_of(id), "017f22e2-79b1-7000-8000-000000000000", "and the ms moves on by one");
    uuid7_next(&g, noon, ones, id);
    is_str(text_of(id), "017f22e2-79b1-7000-8000-0001ffffffff", "where the counter goes on");
    g = (struct uuid7_gen){UUID7_MS_END - 1, last_counter, 1};
    is_int(uuid7_next(&g, noon, zeros, id), -1, "after the last id of all time there is none");
    is_int(g.ms, UUID7_MS_END - 1, "and the generator stays where it is");
    g = (struct uuid7_gen){0};
    uuid7_next(&g, noon, ones, id);
    uuid7_abandon(&g);
    uuid7_next(&g, noon, zeros, id);
    is_str(text_of(id), "017f22e2-79b1-7000-8000-000000000000",
           "a ms given up is followed by the next one with a new seed");
    g = (struct uuid7_gen){0};
    uuid7_abandon(&g);
    uuid7_next(&g, noon, zeros, id);
    is_int(uuid7_ms(id), noon, "giving up before the first id changes nothing");
}

static void check_range(void)
{
    struct uuid7_gen g = {0};
    uint8_t id[16] = {0x5a};

    is_int(uuid7_next(&g, -1, zeros, id), -1, "a time before 1970 is refused");
    is_int(uuid7_next(&g, INT64_MIN, zeros, id), -1, "the least number is refused");
    is_int(uuid7_next(&g, UUID7_MS_END, zeros, id), -1, "2^48 is refused");
    is_int(uuid7_next(&g, INT64_MAX, zeros, id), -1, "the greatest number is refused");
    ok(!g.started && id[0] == 0x5a, "what is refused changes nothing");
    is_int(uuid7_next(&g, 0, zeros, id), 0, "the epoch is taken");
    is_str(text_of(id), "00000000-0000-7000-8000-000000000000", "and gives the least id");
    is_int(uuid7_next(&g, UUID7_MS_END - 1, ones, id), 0, "2^48-1 is taken");
    is_int(uuid7_ms(id), UUID7_MS_END - 1, "and is the id's time");
    is_int(uuid7_next(&g, -1, zeros, id), -1, "a started generator refuses a negative time too");
}

/* The clock creeps, stands and steps back while a million ids are made. */
static void check_many_ascend(void)
{
    struct uuid7_gen g = {0};
    uint8_t last[16] = {0}, id[16];
    char last_text[37] = "", text[37];
    int bytes = 1, texts = 1, times = 1;
    uint64_t state = 42;

    for (int i = 0; i < MANY; i++) {
        int64_t now = noon + i / 100 - (i % 1000 == 999 ? 5000 : 0);
        uint8_t random[10];

        for (int k = 0; k < 10; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
            random[k] = (uint8_t)(state >> 56);
        }
        uuid7_next(&g, now, random, id);
        uuid7_format(id, text);
        bytes = bytes && memcmp(last, id, 16) < 0;
        texts = texts && strcmp(last_text, text) < 0;
        times = times && uuid7_ms(id) >= now && uuid7_ms(id) <= noon + i / 100;
        memcpy(last, id, 16);
        memcpy(last_text, text, 37);
    }
    ok(bytes, "a million ids ascend as bytes");
    ok(texts, "and as text");
    ok(times, "and none is ahead of the clock");
}

static void check_version(void)
{
    static const struct {
        const char *text;
        int want;
        const char *name;
    } ids[] = {
        {"00000000-0000-0000-0000-000000000000", -1, "the nil UUID is not version 7"},
        {"ffffffff-ffff-ffff-ffff-ffffffffffff", -1, "the max UUID is not version 7"},
        {"919108f7-52d1-4320-9bac-f847db4148a8", -1, "a version-4 UUID is not version 7"},
        {"c232ab00-9414-11ec-b3c8-9f6bdeced846", -1, "a version-1 UUID is not version 7"},
        {"1ec9414c-232a-6b00-b3c8-9f6bdeced846", -1, "a version-6 UUID is not version 7"},
        {"017f22e2-79b0-8cc3-98c4-dc0c0c07398f", -1, "a version-8 UUID is not version 7"},
        {"00000000-0000-7000-8000-000000000000", 0, "the least version-7 UUID is one"},
        {"ffffffff-ffff-7fff-bfff-ffffffffffff", 0, "the greatest version-7 UUID is one"},
    };
    char text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    uint8_t id[16];

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        is_int(uuid7_parse(span_of(ids[i].text), id), 0, "%s is read", ids[i].text);
        is_int(uuid7_check(id), ids[i].want, "%s", ids[i].name);
    }
    for (int nibble = 0; nibble < 16; nibble++) {
        text[19] = "0123456789abcdef"[nibble];
        uuid7_parse(span_of(text), id);
        is_int(uuid7_check(id), nibble >= 8 && nibble <= 11 ? 0 : -1, "the variant nibble %c is %s",
               text[19], nibble >= 8 && nibble <= 11 ? "taken" : "refused");
    }
}

static void check_text(void)
{
    static const struct {
        const char *text, *name;
    } bad[] = {
        {"", "no text is refused"},
        {"017f22e279b07cc398c4dc0c0c07398f", "a UUID without dashes is refused"},
        {"{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}", "braces are refused"},
        {"urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "urn:uuid: is refused"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398", "a digit too few is refused"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", "a digit too many is refused"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "a letter after f is refused"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398\n", "a newline is refused"},
        {"017f22e2_79b0_7cc3_98c4_dc0c0c07398f", "underscores for dashes are refused"},
        {"017f22e27-9b0-7cc3-98c4-dc0c0c07398f", "a dash in the wrong place is refused"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c0739-f", "a dash for a digit is refused"},
        {" 17f22e2-79b0-7cc3-98c4-dc0c0c07398f", "a space is refused"},
        {"+17f22e2-79b0-7cc3-98c4-dc0c0c07398f", "a sign is refused"},
    };
    char text[37] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", back[37];
    uint8_t id[16];
    int same = 1;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is_int(uuid7_parse(span_of(bad[i].text), id), -1, "%s", bad[i].name);
    is_int(uuid7_parse(SPAN("017F22E2-79b0-7CC3-98C4-DC0C0C07398F"), id), 0, "upper case is taken");
    is_str(text_of(id), text, "and written as lower case");
    is_int(uuid7_ms(id), noon, "and holds the same time");
    for (int value = 0; value < 256; value++) {
        memset(id, value, sizeof id);
        uuid7_format(id, back);
        snprintf(text, sizeof text,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", value,
                 value, value, value, value, value, value, value, value, value, value, value, value,
                 value, value, value);
        same = same && strcmp(text, back) == 0 && uuid7_parse(span_of(text), id) == 0 &&
               id[0] == value && id[15] == value;
    }
    ok(same, "every byte is written and read right");
}

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, 37);
}

static int by_seed(const void *a, const void *b)
{
    return memcmp(a, b, 29);
}

static void write_ids(int fd)
{
    struct err e;
    char text[37];

    for (int i = 0; i < EACH; i++)
        if (uuid7_new(text, &e) || write(fd, text, sizeof text) != (ssize_t)sizeof text)
            _exit(1);
    _exit(0);
}

/* With the clock standing still and the generators started before the fork,
 * only the seeds keep the children apart. */
static void check_fork(void)
{
    static char ids[FORKS * EACH][37];
    struct err e = ERR_NONE;
    char before[37], seeds[FORKS][29];
    int fds[2], sane = 1, twice = 0, ascending = 1, status;

    clock_fix_ms(noon);
    is_int(uuid7_new(before, &e), 0, "an id of the process's own is made");
    fflush(stdout);
    for (int child = 0; child < FORKS; child++) {
        sane = sane && pipe(fds) == 0;
        if (fork() == 0)
            write_ids(fds[1]);
        close(fds[1]);
        for (int i = 0; i < EACH; i++) {
            char *id = ids[child * EACH + i];
            sane = sane && read(fds[0], id, 37) == 37;
            ascending = ascending && strcmp(i ? id - 37 : before, id) < 0;
        }
        close(fds[0]);
        sane = sane && wait(&status) > 0 && status == 0;
        memcpy(seeds[child], ids[child * EACH], 28); /* all of the counter */
        seeds[child][28] = '\0';
    }
    ok(sane, "%d forked children make %d ids each", FORKS, EACH);
    ok(ascending, "each child's ids ascend, from its parent's last one on");
    qsort(ids, FORKS * EACH, 37, by_text);
    for (int i = 1; i < FORKS * EACH; i++)
        twice += strcmp(ids[i - 1], ids[i]) == 0;
    is_int(twice, 0, "and no id is made twice");
    qsort(seeds, FORKS, sizeof seeds[0], by_seed);
    for (int i = 1; i < FORKS; i++)
        twice += strcmp(seeds[i - 1], seeds[i]) == 0;
    is_int(twice, 0, "each child seeds its counter anew");
    clock_fix_ms(-1);
}

static void check_own(void)
{
    struct err e = ERR_NONE;
    char text[37], last[37];
    uint8_t id[16];
    int64_t before = clock_now_ms();
    int ascending = 1;

    is_int(uuid7_new(last, &e), 0, "an id of now is made");
    is_int(uuid7_parse(span_of(last), id), 0, "and can be read");
    is_int(uuid7_check(id), 0, "and is a version-7 UUID");
    ok(uuid7_ms(id) >= before && uuid7_ms(id) <= clock_now_ms(), "and holds the time of now");
    for (int i = 0; i < 100000; i++) {
        ascending = ascending && uuid7_new(text, &e) == 0 && strcmp(last, text) < 0;
        memcpy(last, text, sizeof last);
    }
    ok(ascending, "100,000 more ascend");
    clock_fix_ms(UUID7_MS_END);
    is_int(uuid7_new(text, &e), -1, "a clock at 2^48 makes no id");
    ok(e.status == EX_SOFTWARE && strstr(e.msg, "281474976710656"), "and the error says so: %s",
       e.msg);
    clock_fix_ms(-1);
}

int main(void)
{
    plan(8 + 8 + 16 + 8 + 10 + 3 + 32 + 17 + 5 + 7);
    check_rfc_vector();
    check_layout();
    check_clock_back();
    check_counter_end();
    check_range();
    check_many_ascend();
    check_version();
    check_text();
    check_fork();
    check_own();
    return done();
}
