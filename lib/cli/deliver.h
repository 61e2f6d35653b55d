/* deliver: sends what waits in an outbox, once, as far as that goes now. */
#ifndef LIFEBOAT_DELIVER_H
#define LIFEBOAT_DELIVER_H

#include "cli/destination.h"
#include "core/store.h"

#include <stdbool.h>
#include <stdint.h>

struct delivered {
    int64_t sent, failed; /* failed: given up */
    int64_t remaining;    /* items that wait, ready or not */
    /* 0: nothing is left. 1: items wait or were given up. 69: the endpoint is
     * not reached, or left alone. 75: somebody else is at it, or on_success
     * failed. 77: the destination is paused. */
    int status;
};

/* now: also try a destination that is to be left alone for a while. What needs
 * somebody to know it is said on stderr. -1: it was broken off (78, 74, ...); what
 * was sent till then is counted. */
int deliver(struct store *st, struct destination *d, bool now, struct delivered *out,
            struct err *e);

#endif
