/* sweep: the entities of some types, folded in one walk through the log.
 *
 * core/fold reads the events entity by entity, and so each page of the log
 * many times over; this reads the log once, in its order, and keeps every
 * state in memory. When that gets more than SWEEP_MEMORY, or SWEEP_SMALL where
 * memory is short, the entities are divided by a hash of their names, and the
 * log is walked once for each part. The result is that of core/fold by the
 * default rules. */
#ifndef LIFEBOAT_SWEEP_H
#define LIFEBOAT_SWEEP_H

#include "core/fold.h"

enum { SWEEP_MEMORY = 48 << 20, SWEEP_SMALL = 4 << 20, SWEEP_WALKS = 8 };

struct sweep {
    struct store *st;
    const char *const *types;
    size_t type_count;
    int64_t upto;  /* events up to this seq */
    size_t memory; /* bytes to be kept; 0: SWEEP_MEMORY, SWEEP_SMALL for a small store */
    /* Given one entity after the other, by type and id within a walk. */
    int (*take)(void *ctx, const struct fold_row *row, struct err *e);
    void *ctx;
};

/* 0, or 1 when it would take more than SWEEP_WALKS walks: what take was given
 * is then not all, and core/fold is the better way; or -1. */
int sweep_run(struct sweep *s, struct err *e);

#endif
