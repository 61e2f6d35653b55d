#include "core/join.h"

#include "tap.h"

#include <stdlib.h>

enum { MANY = 100000, LINES = 8 };

/* What was told: pairs by what they are, and the copies of one key. */
struct told {
    int same, differ, odd, only_old, only_new, copies, side;
    uint32_t lines[LINES], old_line, new_line;
    size_t n;
    int fail_at;
};

static int pair(void *ctx, const struct join_entry *old, const struct join_entry *new, bool alike,
                struct err *e)
{
    struct told *t = ctx;

    if (t->fail_at && !--t->fail_at)
        return err_set(e, 70, "enough");
    t->odd += !alike;
    t->only_old += !new;
    t->only_new += !old;
    if (old && new) {
        t->same += old->value == new->value;
        t->differ += old->value != new->value;
    }
    t->old_line = old ? old->line : 0;
    t->new_line = new ? new->line : 0;
    return 0;
}

static int copies(void *ctx, int side, const struct join_entry *first, const uint32_t *lines,
                  size_t n, struct err *e)
{
    struct told *t = ctx;

    (void)e;
    t->copies++;
    t->side = side;
    t->n = n;
    for (size_t i = 0; i < n && i < LINES; i++)
        t->lines[i] = lines[i];
    return first->line == lines[0] ? 0 : -1;
}

static struct err e;
static struct told told;
static struct join join;

static struct digest key_of(uint32_t n)
{
    return hash_seeded(&n, sizeof n, 0);
}

static void add(int side, uint32_t key, uint64_t value, uint32_t line)
{
    if (join_add(&join, side, key_of(key), value, 10 * (uint64_t)line, line, &e))
        exit(1);
}

static int run(void)
{
    struct join_found found = {&told, pair, copies};

    return join_run(&join, &found, &e);
}

static void begin(size_t memory)
{
    told = (struct told){.same = 0};
    join_open(&join, memory, "/tmp/join");
}

static void check_kinds(void)
{
    begin(1 << 20);
    is_int(run(), 0, "nothing joins nothing");
    ok(!told.same && !told.only_old && !told.only_new, "and finds nothing");
    join_close(&join);

    begin(1 << 20);
    add(JOIN_OLD, 1, 5, 1);
    add(JOIN_NEW, 1, 5, 2);
    is_int(run(), 0, "one of each");
    ok(told.same == 1 && told.old_line == 1 && told.new_line == 2, "is a pair that is the same");
    join_close(&join);

    begin(1 << 20);
    add(JOIN_OLD, 1, 5, 1);
    add(JOIN_OLD, 2, 5, 2);
    add(JOIN_NEW, 1, 6, 1);
    add(JOIN_NEW, 3, 5, 2);
    run();
    ok(told.differ == 1 && told.only_old == 1 && told.only_new == 1 && !told.copies && !told.odd,
       "one that differs, one on either side only");
    join_close(&join);
}

static void check_copies(void)
{
    begin(1 << 20);
    add(JOIN_OLD, 1, 5, 3);
    add(JOIN_OLD, 1, 5, 7);
    add(JOIN_OLD, 1, 5, 9);
    add(JOIN_NEW, 1, 5, 1);
    run();
    ok(told.same == 1 && !told.odd && told.copies == 1 && told.side == JOIN_OLD && told.n == 3 &&
           told.lines[0] == 3 && told.lines[1] == 7 && told.lines[2] == 9,
       "copies that are alike are one, told with their lines in order");
    join_close(&join);

    begin(1 << 20);
    add(JOIN_OLD, 1, 5, 1);
    add(JOIN_NEW, 1, 5, 1);
    add(JOIN_NEW, 1, 5, 2);
    add(JOIN_NEW, 1, 6, 3);
    run();
    ok(told.odd == 1 && told.copies == 1 && told.side == JOIN_NEW && told.n == 3,
       "one that is not alike makes the pair odd");
    join_close(&join);

    begin(1 << 20);
    add(JOIN_NEW, 1, 5, 1);
    add(JOIN_NEW, 1, 6, 2);
    run();
    ok(told.only_new == 1 && told.odd == 1 && told.copies == 1, "copies on the new side alone");
    join_close(&join);

    begin(1 << 20);
    add(JOIN_OLD, 1, 5, 1);
    add(JOIN_OLD, 1, 6, 2);
    add(JOIN_NEW, 1, 5, 1);
    add(JOIN_NEW, 1, 5, 2);
    run();
    ok(told.copies == 2 && told.odd == 1, "copies on both sides");
    join_close(&join);
}

/* The same, whether it is held in memory or written out. */
static void check_many(size_t memory, bool out)
{
    begin(memory);
    for (uint32_t i = 0; i < MANY; i++)
        add(JOIN_OLD, i, i % 10, i + 1);
    for (uint32_t i = MANY; i-- > 100;)
        add(JOIN_NEW, i + 50, (i + 50) % 10 + (i % 1000 == 0), i);
    is_int(run(), 0, "%d of either side, %zu bytes", MANY, memory);
    is_int(told.only_old, 150, "those on the old side only");
    is_int(told.only_new, 50, "those on the new side only");
    is_int(told.differ, 99, "those that differ");
    is_int(told.same, MANY - 150 - 99, "and the rest");
    ok((join.fd >= 0) == out, "%s", out ? "written out" : "in memory");
    join_close(&join);
}

int main(void)
{
    plan(5 + 4 + 2 * 6 + 3);
    check_kinds();
    check_copies();
    check_many(64 << 20, false);
    check_many(1 << 20, true);

    begin(1 << 20);
    for (uint32_t i = 0; i < 10; i++)
        add(JOIN_OLD, i, 0, i);
    told.fail_at = 3;
    ok(run() == -1 && e.status == 70, "who is told may end it");
    join_close(&join);

    join_open(&join, 4096, "/nonexistent/join");
    for (uint32_t i = 0; i < 10 && !join_add(&join, JOIN_OLD, key_of(i), 0, 0, i, &e); i++)
        ;
    is_int(e.status, EX_CANTCREAT, "no room aside");
    join_close(&join);

    begin(64 << 10);
    for (uint32_t i = 0; i < 3 << 20; i++)
        add(JOIN_OLD, 1, 0, i);
    ok(run() == -1 && e.status == EX_DATAERR, "one key everywhere is said, and not held in memory");
    join_close(&join);
    return done();
}
