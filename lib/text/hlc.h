/* hlc: the Hybrid Logical Clock.
 *
 * A reading is a time in Unix ms that never falls behind any reading its
 * clock has seen, and a counter that orders what falls into the same ms. Its
 * text, 12 hexadecimal digits, a dot and 4 more (019beaabac13.0001), sorts as
 * text the way it sorts in time. Source: Kulkarni, Demirbas, Madappa, Avva,
 * Leone: Logical Physical Clocks and Consistent Snapshots, 2014.
 *
 * Pure: the wall clock's time is an argument, pt, in Unix ms. Whether a
 * message's clock may be believed is the caller's policy, not decided here.
 * A counter that would pass ffff moves the ms on and starts at 0. What would
 * leave the 48 bits of ms is refused: -1, and the clock is as before. */
#ifndef LIFEBOAT_HLC_H
#define LIFEBOAT_HLC_H

#include "base/buf.h"

#include <stdint.h>

#define HLC_MS_END      (INT64_C(1) << 48)
#define HLC_COUNTER_MAX 0xffffU

/* All zeros is the clock that has seen nothing. */
struct hlc {
    int64_t ms;
    uint32_t counter;
};

/* Reads the whole of s; only lower case is a reading, or text order would not
 * be time order. Returns 0, or -1 and leaves h alone. */
int hlc_parse(struct span s, struct hlc *h);

/* Writes 17 bytes and a NUL. h must be in range, as all results here are. */
void hlc_format(struct hlc h, char out[static 18]);

/* Negative, 0 or positive, as a is before, the same as or after b. */
int hlc_cmp(struct hlc a, struct hlc b);

/* A local or send event: moves the clock to the reading of that event. */
int hlc_send(struct hlc *clock, int64_t pt);

/* A receive event: moves the clock past itself and past the message. */
int hlc_recv(struct hlc *clock, struct hlc msg, int64_t pt);

/* Moves h to its successor: nothing lies between the two. */
int hlc_next(struct hlc *h);

/* Moves the clock to the message if that is later; no tick. */
void hlc_merge(struct hlc *clock, struct hlc msg);

#endif
