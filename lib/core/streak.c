#include "core/streak.h"

#include <stdio.h>
#include <string.h>

static void see_config(struct streak *s, const char *config)
{
    if (!config || !strcmp(s->config, config))
        return;
    s->count = 0;
    snprintf(s->config, sizeof s->config, "%s", config);
}

static void lose(struct streak *s, int64_t day)
{
    /* Back over one midnight, it is the same day again. */
    if (s->count && day == s->day - 1)
        day = s->day;
    if (s->has_lost && day == s->lost - 1)
        day = s->lost;
    s->count = 0;
    s->lost = day;
    s->has_lost = true;
}

static void win(struct streak *s, int64_t day)
{
    if (s->count && day < s->day - 1)
        s->count = 0; /* the clock was put back over days that had counted */
    if (s->has_lost && (day == s->lost || day == s->lost - 1))
        return;
    if (s->count && (day == s->day || day == s->day - 1))
        return;
    if (s->count && day > s->day && (s->hold || day == s->day + 1))
        s->count++;
    else
        s->count = 1;
    s->day = day;
}

void streak_add(struct streak *s, enum streak_note note, int64_t day, const char *config)
{
    if (note == STREAK_ENABLED) {
        s->count = 0;
        s->stopped = false;
    } else if (note == STREAK_DISABLED) {
        s->stopped = true;
    } else if (note == STREAK_UNREADABLE) {
        s->count = 0;
    } else if (!s->stopped) {
        see_config(s, config);
        if (note == STREAK_NG)
            lose(s, day);
        else if (note == STREAK_OK)
            win(s, day);
    }
}

void streak_hold(struct streak *s, bool hold, int64_t day)
{
    if (hold && !s->hold && !s->stopped && day > s->day + 1)
        s->count = 0;
    s->hold = hold;
}

int streak_at(const struct streak *s, int64_t today)
{
    return s->stopped || s->hold || s->day >= today - 1 ? s->count : 0;
}
