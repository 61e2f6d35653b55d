/* backoff: how long to leave alone what failed. Pure. */
#ifndef LIFEBOAT_BACKOFF_H
#define LIFEBOAT_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_BASE_MS = 5000, BACKOFF_CAP_MS = 3600000 };

/* How many ms to wait after the n-th failure in a row, n from 1: with d =
 * min(cap, base * 2^(n-1)), half of d and a random part of the other half, so
 * that those who failed together do not come back together. random: any number. */
int64_t backoff_ms(int64_t n, uint64_t random);

#endif
