/* Twenty days each, from tests/data/streak.txt; the same table drives mirror-compare in
 * tests/mirror-days.bats. */
#include "core/streak.h"

#include "tap.h"

#include <stdlib.h>

enum { FIRST = 20000, LENGTH = 400, DAYS = 20 };

static const enum streak_note notes[256] = {
    ['O'] = STREAK_OK,      ['N'] = STREAK_NG,       ['E'] = STREAK_ERROR,
    ['+'] = STREAK_ENABLED, ['-'] = STREAK_DISABLED, ['?'] = STREAK_UNREADABLE};

struct box {
    struct streak streak, past[DAYS + 1]; /* as it was at the end of each day */
    int day, skew, config;
};

static void live(struct box *b, const char *what)
{
    for (; *what; what++) {
        char config[STREAK_CONFIG];
        int64_t today = FIRST + b->day + b->skew;
        bool is_run = strchr("ONE", *what) != NULL;

        snprintf(config, sizeof config, "%016d", b->config);
        if (*what == 'c')
            b->config++;
        else if (*what == '<')
            b->skew -= *++what - '0';
        else if (*what == '>')
            b->skew += *++what - '0';
        else if (*what == '~')
            b->streak = b->past[b->day - 2];
        else if (*what != '.')
            streak_add(&b->streak, notes[(unsigned char)*what], today, is_run ? config : NULL);
    }
}

/* The counts of these days, as the table writes them. */
static void run(char *days, char *counts)
{
    struct box b = {0};
    char *save, *day = strtok_r(days, " ", &save);

    b.streak.hold = !strcmp(day, "h");
    if (b.streak.hold)
        day = strtok_r(NULL, " ", &save);
    for (*counts = '\0'; day; day = strtok_r(NULL, " ", &save), b.day++) {
        live(&b, day);
        b.past[b.day] = b.streak;
        sprintf(counts + strlen(counts), "%s%d", b.day ? " " : "",
                streak_at(&b.streak, FIRST + b.day + b.skew));
    }
}

static int cases(FILE *table, bool check)
{
    char line[LENGTH], counts[LENGTH];
    int n = 0;

    rewind(table);
    while (fgets(line, sizeof line, table)) {
        char *days = strchr(line, '|'), *want = days ? strchr(days + 1, '|') : NULL;

        if (line[0] == '#' || !want)
            continue;
        n++;
        if (!check)
            continue;
        *days++ = *want++ = '\0';
        want[strcspn(want, "\n")] = '\0';
        run(days, counts);
        if (!ok(!strcmp(counts, want + 1), "%s", line))
            printf("# got  %s\n# want%s\n", counts, want);
    }
    return n;
}

int main(void)
{
    FILE *table = fopen("tests/data/streak.txt", "r");

    if (!table)
        return 1;
    plan(cases(table, false));
    cases(table, true);
    fclose(table);
    return done();
}
