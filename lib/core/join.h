/* join: which of two sets of records have the same key, by digests of 32 bytes.
 *
 * Entries are dealt to 256 parts by their key; then each part by itself is joined in a
 * small table. What is more than the memory allowed goes to a file without a name. */
#ifndef LIFEBOAT_JOIN_H
#define LIFEBOAT_JOIN_H

#include "base/err.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JOIN_PARTS = 256, JOIN_OLD = 0, JOIN_NEW = 1 };

/* One record: 96 bits of its key's digest, and where it is. */
struct join_entry {
    uint64_t key, value, offset;
    uint32_t more_key, line;
};

struct join_chunk;

/* Entries in the file: count of them from offset on. */
struct join_extent {
    uint64_t offset;
    size_t count;
};

struct join_part {
    struct join_chunk *chunks, *last;
    struct join_extent *extents;
    size_t extent_count, count; /* count: of entries, here and there */
};

struct join {
    size_t memory;     /* bytes, for all of it */
    const char *aside; /* the file is made beside this path */

    /* inside */
    struct join_part parts[2][JOIN_PARTS];
    size_t used, written;
    int fd; /* -1: nothing was written out */
};

/* What was found. old or new is NULL where that side has none. Where a side has the key
 * more than once, it is its first, and alike says whether all copies of a key are the
 * same. 0, or -1 to end. */
struct join_found {
    void *ctx;
    int (*pair)(void *ctx, const struct join_entry *old, const struct join_entry *new, bool alike,
                struct err *e);
    /* n lines of one key, at least 2, in their order. */
    int (*copies)(void *ctx, int side, const struct join_entry *first, const uint32_t *lines,
                  size_t n, struct err *e);
};

void join_open(struct join *j, size_t memory, const char *aside);
void join_close(struct join *j);
int join_add(struct join *j, int side, struct digest key, uint64_t value, uint64_t offset,
             uint32_t line, struct err *e);

/* Calls pair for each key and copies for each that a side has repeatedly. */
int join_run(struct join *j, const struct join_found *found, struct err *e);

#endif
