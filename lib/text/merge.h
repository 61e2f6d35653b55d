/* merge: RFC 7396 merge patches, applied one after another.
 *
 * The state is a JSON object held as a tree; scalars and arrays keep their
 * spelling. Members stand in the order in which they first came, so that the
 * same patches always give the same text, whether they are applied at once or
 * with the state written out and read again in between. */
#ifndef LIFEBOAT_MERGE_H
#define LIFEBOAT_MERGE_H

#include "base/arena.h"
#include "text/json.h"

struct merge_node;

/* All zeros is an empty object, ready. */
struct merge {
    struct arena arena;
    struct merge_node *root;
    struct json json;
    struct buf scratch;
    size_t settled; /* arena bytes after the last tidying */
    size_t longs;   /* texts that are not in the arena */
};

void merge_free(struct merge *m);

/* Back to the empty object, or to a state that merge_write wrote. */
int merge_reset(struct merge *m, struct span state);

/* Applies a payload: an object is a patch, anything else becomes
 * {"value":payload}. It must be valid JSON. -1: out of memory. */
int merge_apply(struct merge *m, struct span payload);

int merge_write(const struct merge *m, struct buf *out);

#endif
