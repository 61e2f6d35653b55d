/* backoff: how long to wait after a failure before the next attempt. Pure. */
#ifndef LIFEBOAT_BACKOFF_H
#define LIFEBOAT_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_BASE_MS = 5000, BACKOFF_MAX_MS = 3600000 };

/* Milliseconds after the n-th failure in a row, n from 1: half of d =
 * min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2^(n-1)) and a random part of the
 * other half. random: any number. */
int64_t backoff_ms(int64_t n, uint64_t random);

#endif
