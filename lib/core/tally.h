/* tally: what was counted beside the store, in FILE-cache.
 *
 * Readers count too, and they must not write to the store for it: so the counts
 * stand in a file of their own. They are never synced, may be lost with the
 * power, and are left alone where the file cannot be had: counting never fails
 * anybody. */
#ifndef LIFEBOAT_TALLY_H
#define LIFEBOAT_TALLY_H

#include <stdint.h>

/* Their places in the file, each a 64-bit number of this machine's byte order:
 * new ones come last. */
enum tally_what {
    TALLY_HITS,
    TALLY_MISSES,
    TALLY_SETS,
    TALLY_DELETES,
    TALLY_EVICTIONS,
    TALLY_EXPIRED, /* deleted for that */
    TALLY_RUNS,
    TALLY_REPLAYS,
    TALLIES
};

struct tally {
    int64_t n[TALLIES];
};

/* Beside the store at path. Others that count at the same time lose nothing. */
void tally_add(const char *path, const struct tally *more);

/* All 0 where there are none. */
void tally_read(const char *path, struct tally *t);

#endif
