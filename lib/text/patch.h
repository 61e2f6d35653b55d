/* patch: one RFC 7396 merge patch applied to a small object, text to text.
 *
 * The same result as text/merge gives, byte for byte, at a fraction of its
 * cost and memory: nothing is kept between two patches but the state's text.
 * It works on texts known to be valid JSON without white space, and leaves
 * what is out of the ordinary to text/merge: many members in one patch, names
 * with escapes, names given twice. */
#ifndef LIFEBOAT_PATCH_H
#define LIFEBOAT_PATCH_H

#include "base/buf.h"

/* Appends the patched state to out. payload is a patch if it is an object,
 * else it becomes {"value":payload}. 0, 1 when it is out of the ordinary (out
 * is as it was), -1 when memory ran out. */
int patch_apply(struct span state, struct span payload, struct buf *out);

#endif
