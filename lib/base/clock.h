/* clock: the wall clock, and the clock that never jumps.
 *
 * Boxes here have no real-time clock: after a power cut the wall clock may
 * stand in 1970 and later leap. Whoever measures a span uses the boot clock;
 * spans of different boots cannot be compared, hence the boot id. */
#ifndef LIFEBOAT_CLOCK_H
#define LIFEBOAT_CLOCK_H

#include <stdint.h>

/* Unix milliseconds; the fixed time while one is set. Never negative. */
int64_t clock_now_ms(void);

/* From now on clock_now_ms answers ms (drills and tests); -1 ends that. */
void clock_fix_ms(int64_t ms);

/* Milliseconds since boot, suspended time included. */
int64_t clock_boot_ms(void);

/* The kernel's id of this boot, 36 bytes and a NUL; "" where unknown. */
const char *clock_boot_id(void);

/* The same for who must not take one boot for another: "unknown" where the kernel
 * has none, NULL (errno set) where it has one that cannot be read now. */
const char *clock_boot_name(void);

/* Unix ms of the sources this program was built from: a wall clock that
 * stands before it is plainly wrong. */
int64_t clock_build_ms(void);

#endif
