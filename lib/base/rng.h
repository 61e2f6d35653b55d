/* rng: random bytes from the kernel, drawn in blocks of 64 KiB.
 *
 * One pool per process; it is emptied in a forked child, so that two
 * processes never hand out the same bytes. Source: getrandom(2). */
#ifndef LIFEBOAT_RNG_H
#define LIFEBOAT_RNG_H

#include "base/err.h"

#include <stddef.h>

/* Fills p with n random bytes. Returns 0, or -1 when the kernel has none. */
int rng_bytes(void *p, size_t n, struct err *e);

#endif
