/* arena: memory that is given back all at once.
 *
 * A struct arena that is all zeros is empty and ready. What arena_alloc
 * returns stays where it is until arena_reset or arena_free. */
#ifndef LIFEBOAT_ARENA_H
#define LIFEBOAT_ARENA_H

#include "base/buf.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    char *at, *end;
    size_t used; /* bytes handed out since the last reset */
};

/* n bytes aligned for any type, or NULL when memory ran out. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy of s, terminated; p is NULL when memory ran out. */
struct span arena_span(struct arena *a, struct span s);
/* Forgets everything handed out; keeps one ordinary block for reuse. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
