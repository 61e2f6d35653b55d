#include "core/ledger.h"

#include "tap.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)

/* 2025-02-20T02:00 in Tokyo. */
#define TWO_O_CLOCK INT64_C(1739984400000)
#define CONFIG      "9f3c0a1b2c3d4e5f"

static char dir[] = "/tmp/ledger.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void say(const char *text)
{
    FILE *f = fopen(path_of(LEDGER_FILE), "a");

    fputs(text, f);
    fclose(f);
}

static const char *file(const char *name)
{
    static char text[4096];
    FILE *f = fopen(path_of(name), "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

static int add(enum ledger_result result, int64_t ms, const char *rest)
{
    struct err e = ERR_NONE;
    struct ledger_entry en = {.result = result,
                              .ts_ms = ms,
                              .zone = "Asia/Tokyo",
                              .config = CONFIG,
                              .rest = span_of(rest)};

    return ledger_append(dir, &en, &e);
}

static struct ledger look(void)
{
    struct err e = ERR_NONE;
    struct ledger l;

    if (ledger_read(dir, &l, &e))
        printf("# %s\n", e.msg);
    return l;
}

static void test_lines(void)
{
    struct ledger l = look();
    char date[LEDGER_DATE];

    ok(l.last == LEDGER_NONE && !l.lines && l.last_ng_ms == -1, "no ledger is an empty one");
    is_int(ledger_streak(&l, TWO_O_CLOCK), 0, "of no streak");
    ok(!add(LEDGER_OK, TWO_O_CLOCK, "\"old\":2,\"new\":2"), "a line is added");
    ok(!strcmp(file(LEDGER_FILE),
               "{\"ts\":\"2025-02-19T17:00:00.000Z\",\"day\":\"2025-02-20\",\"zone\":"
               "\"Asia/Tokyo\",\"result\":\"OK\",\"config\":\"" CONFIG "\",\"old\":2,\"new\":2}\n"),
       "as it is documented");
    add(LEDGER_NG, TWO_O_CLOCK + HOUR, "\"missing\":2,\"changed\":3,\"equal\":7,\"bad\":1");
    l = look();
    ok(l.last == LEDGER_NG && l.last_ms == TWO_O_CLOCK + HOUR && l.lines == 2, "the last of two");
    is_int(l.last_ng_records, 6, "what differed is counted");
    is_int(ledger_streak(&l, TWO_O_CLOCK), 0, "and the streak is over");
    is_int(ledger_of_day(&l, ledger_today(&l, TWO_O_CLOCK)), LEDGER_NG, "the day is one of NG");
    is_int(ledger_of_day(&l, ledger_today(&l, TWO_O_CLOCK) - 32), LEDGER_NONE,
           "another of the same place is not");
    ledger_date(ledger_today(&l, TWO_O_CLOCK), date);
    ok(!strcmp(date, "2025-02-20"), "a day has its date");
    add(LEDGER_OK, TWO_O_CLOCK + 2 * HOUR, "");
    l = look();
    is_int(ledger_of_day(&l, ledger_today(&l, TWO_O_CLOCK)), LEDGER_NG, "whatever follows on it");
    add(LEDGER_OK, TWO_O_CLOCK + 32 * 24 * HOUR, "");
    l = look();
    is_int(ledger_of_day(&l, ledger_today(&l, TWO_O_CLOCK) + 32), LEDGER_OK, "a day of its place");
    is_int(ledger_of_day(&l, ledger_today(&l, TWO_O_CLOCK)), LEDGER_NONE, "takes it");
    add(LEDGER_ERROR, TWO_O_CLOCK + 24 * HOUR, "\"why\":\"no \\\"way\\\"\"");
    l = look();
    ok(l.last == LEDGER_ERROR && !strcmp(l.last_why, "no \"way\""), "an error has its reason");
    add(LEDGER_DISABLED, TWO_O_CLOCK + 25 * HOUR, "");
    l = look();
    ok(l.turned == LEDGER_DISABLED && l.last == LEDGER_ERROR, "turning it off is no comparison");
}

static void test_damage(void)
{
    struct ledger l;

    unlink(path_of(LEDGER_FILE));
    for (int day = 0; day < 3; day++)
        add(LEDGER_OK, TWO_O_CLOCK + day * 24 * HOUR, "");
    say("{\"ts\":\"2025-02-22T17:0");
    l = look();
    ok(l.unreadable == 1 && l.first_unreadable == 4, "half a line is named");
    is_int(l.streak.count, 0, "and breaks the streak: it may have been an NG");
    add(LEDGER_OK, TWO_O_CLOCK + 72 * HOUR, "");
    l = look();
    ok(l.unreadable == 1 && l.lines == 5, "what comes after it has a line of its own");
    is_int(ledger_streak(&l, TWO_O_CLOCK + 72 * HOUR), 1, "and counts anew");
    say("{\"ts\":\"2025-02-24T17:00:00Z\",\"day\":\"2025-02-25\",\"zone\":\"UTC\",\"result\":"
        "\"FINE\"}\n");
    say("{\"ts\":\"2025-02-24T17:00:00Z\",\"day\":\"2025-02-30\",\"zone\":\"UTC\",\"result\":"
        "\"OK\"}\n");
    say("{\"ts\":\"2025-02-24T17:00:00Z\",\"day\":\"2025-02-25\",\"result\":\"OK\"}\n");
    say("{\"ts\":\"2025-02-24T17:00:00Z\",\"zone\":\"UTC\",\"result\":\"OK\"}\n");
    say("{\"ts\":\"2025-02-24T17:00:00Z\",\"day\":\"2025-02-25\",\"zone\":\"UTC\",\"result\":"
        "\"NG\",\"missing\":-1}\n\n");
    l = look();
    is_int(l.unreadable, 6, "what is no result, no day, no zone, no count");
    is_int(l.lines, 10, "a blank line is none");
}

static void test_counter(void)
{
    struct err e = ERR_NONE;
    struct ledger l;

    unlink(path_of(LEDGER_FILE));
    for (int day = 0; day < 12; day++)
        add(LEDGER_OK, TWO_O_CLOCK + day * 24 * HOUR, "");
    l = look();
    ok(!ledger_count(dir, &l, TWO_O_CLOCK + 11 * 24 * HOUR, &e), "the streak is counted");
    ok(!strcmp(file(LEDGER_COUNTER), "12\n"), "into its file");
    ok(!ledger_count(dir, &l, TWO_O_CLOCK + 13 * 24 * HOUR, &e) &&
           !strcmp(file(LEDGER_COUNTER), "0\n"),
       "which is replaced");
    mkdir(path_of(LEDGER_COUNTER ".new"), 0700);
    ok(ledger_count(dir, &l, TWO_O_CLOCK, &e) && strstr(e.msg, LEDGER_COUNTER),
       "or said that it is not: %s", e.msg);
    rmdir(path_of(LEDGER_COUNTER ".new"));
}

static void test_gap(void)
{
    struct err e = ERR_NONE;
    struct ledger_entry en = {
        .result = LEDGER_OK, .ts_ms = TWO_O_CLOCK, .zone = "UTC", .config = CONFIG, .hold = true};
    struct ledger l;

    unlink(path_of(LEDGER_FILE));
    ledger_append(dir, &en, &e);
    en.ts_ms += 96 * HOUR;
    ledger_append(dir, &en, &e);
    l = look();
    is_int(ledger_streak(&l, en.ts_ms + 96 * HOUR), 2, "a gap that holds, before and after");
    en.hold = false;
    en.ts_ms += 48 * HOUR;
    ledger_append(dir, &en, &e);
    l = look();
    is_int(ledger_streak(&l, en.ts_ms), 1, "one that does not");
}

static void test_gap_is_turned_to_hold(void)
{
    struct err e = ERR_NONE;
    struct ledger_entry en = {
        .result = LEDGER_OK, .ts_ms = TWO_O_CLOCK, .zone = "UTC", .config = CONFIG};
    struct ledger l;

    unlink(path_of(LEDGER_FILE));
    for (int day = 0; day < 13; day++, en.ts_ms += 24 * HOUR)
        ledger_append(dir, &en, &e);
    en.ts_ms += 20 * 24 * HOUR;
    en.hold = true;
    ledger_append(dir, &en, &e);
    l = look();
    is_int(ledger_streak(&l, en.ts_ms), 1, "what a gap had broken stays broken");
}

static void test_escapes(void)
{
    struct ledger l;

    unlink(path_of(LEDGER_FILE));
    say("{\"\\u0077\\u0068\\u0079\":\"");
    for (int i = 0; i < 5000; i++)
        say("\\u0041");
    say("\",\"ts\":\"2025-02-24T17:00:00Z\",\"day\":\"2025-02-25\",\"zone\":\"UTC\",\"result\":"
        "\"ERROR\"}\n");
    l = look();
    ok(!l.unreadable && strspn(l.last_why, "A") == LEDGER_WHY - 1, "a name and a value of escapes");
}

static void test_lock(void)
{
    struct err e = ERR_NONE;
    struct lockfile a, b;

    is_int(ledger_lock(&a, dir, 0, &e), 1, "the lock is had");
    is_int(ledger_lock(&b, dir, 0, &e), 0, "by one");
    ledger_unlock(&b);
    ledger_unlock(&a);
    is_int(ledger_lock(&b, dir, 0, &e), 1, "and then by another");
    ledger_unlock(&b);
    is_int(ledger_lock(&a, "/nowhere", 0, &e), -1, "but not where nothing is");
    ledger_unlock(&a);
}

int main(void)
{
    plan(33);
    if (!mkdtemp(dir))
        return 1;
    test_lines();
    test_damage();
    test_counter();
    test_gap();
    test_gap_is_turned_to_hold();
    test_escapes();
    test_lock();
    unlink(path_of(LEDGER_FILE "-lock"));
    unlink(path_of(LEDGER_FILE));
    unlink(path_of(LEDGER_COUNTER));
    rmdir(dir);
    return done();
}
