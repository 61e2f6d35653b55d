/* statecheck: is the stored state what the events fold into? */
#ifndef LIFEBOAT_STATECHECK_H
#define LIFEBOAT_STATECHECK_H

#include "core/reducer.h"
#include "core/store.h"

/* Compares every stored row with a fresh fold. problem is called for each
 * that differs. Returns the number of rows compared, or -1. failed counts
 * types that could not be folded. */
int64_t state_verify(struct store *st, const struct projector_paths *p,
                     void (*problem)(void *ctx, const char *text), void *ctx, int *failed,
                     struct err *e);

#endif
