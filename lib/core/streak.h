/* streak: for how many days running two servers were the same.
 *
 * It is fed what happened, in the order in which it was noted; days are counted since
 * 1970 in the zone of the comparison. The rules, which never say more than was seen:
 *
 *   - a day with an OK counts once, however often it was compared;
 *   - any NG makes it 0, and that day stays lost, whatever follows on it, be it
 *     another configuration;
 *   - a day of errors only is a day without a comparison; such a day breaks it, or,
 *     where gaps are to hold it, counts for nothing;
 *   - another configuration of the comparison, and enabling the mirror, begin anew;
 *   - disabling the mirror lets it stand as it is; what comes then does not count;
 *   - where the clock was put back over days that had counted, it begins anew: nobody
 *     knows which days those were. Back over one midnight, it is the same day again;
 *   - a note that cannot be read begins anew: it may have been an NG.
 *
 * Pure. */
#ifndef LIFEBOAT_STREAK_H
#define LIFEBOAT_STREAK_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAK_TARGET = 14, STREAK_CONFIG = 17 };

enum streak_note {
    STREAK_OK,
    STREAK_NG,
    STREAK_ERROR,
    STREAK_ENABLED,
    STREAK_DISABLED,
    STREAK_UNREADABLE
};

/* All zeros: nothing has happened yet. */
struct streak {
    bool hold; /* gaps do not break it */
    bool stopped;
    int count;
    int64_t day;  /* the last that counted; while count */
    int64_t lost; /* the last day with an NG; while has_lost */
    bool has_lost;
    char config[STREAK_CONFIG]; /* of the last comparison, "" before */
};

/* config: of the comparison, NULL for what is none. */
void streak_add(struct streak *s, enum streak_note note, int64_t day, const char *config);

/* From the comparison of this day on gaps hold it, or break it; what they had broken
 * before stays broken. */
void streak_hold(struct streak *s, bool hold, int64_t day);

/* The days running, as they stand on this day: the day before it must have counted, its
 * own comparison may be still to come. */
int streak_at(const struct streak *s, int64_t today);

#endif
