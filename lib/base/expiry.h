/* expiry: when something that was given a time to live ends.
 *
 * Within the boot that made it its end is told by that boot's clock, so that no
 * jump of the wall clock brings it nearer or puts it off. After a reboot there
 * is only the wall clock left to go by. */
#ifndef LIFEBOAT_EXPIRY_H
#define LIFEBOAT_EXPIRY_H

#include <stdint.h>

enum { EXPIRY_BOOT = 37 };

struct expiry {
    int64_t at;             /* Unix ms */
    char boot[EXPIRY_BOOT]; /* id of the boot, "" where unknown */
    int64_t boot_ms;        /* ms of that boot */
};

/* So long from now. */
struct expiry expiry_after(int64_t ms);

/* ms left; 0 or less: it is over. */
int64_t expiry_left(const struct expiry *x);

/* This boot's id to compare others with: never "", which is that of no boot. */
const char *expiry_boot(void);

#endif
