#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) char data[];
};

enum { ORDINARY = 64 * 1024 };

static int add_block(struct arena *a, size_t n)
{
    size_t size = n > ORDINARY ? n : ORDINARY;
    struct arena_block *b = malloc(sizeof *b + size);

    if (!b)
        return -1;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->at = b->data;
    a->end = b->data + size;
    return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    char *p;

    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + align - 1) / align * align;
    if ((size_t)(a->end - a->at) < n && add_block(a, n))
        return NULL;
    p = a->at;
    a->at += n;
    a->used += n;
    return p;
}

struct span arena_span(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (!p)
        return (struct span){NULL, 0};
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct span){p, s.n};
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;

    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (!kept && b->size == ORDINARY)
            kept = b;
        else
            free(b);
    }
    a->blocks = kept;
    a->at = kept ? kept->data : NULL;
    a->end = kept ? kept->data + kept->size : NULL;
    if (kept)
        kept->next = NULL;
    a->used = 0;
}

void arena_free(struct arena *a)
{
    arena_reset(a);
    free(a->blocks);
    *a = (struct arena){0};
}
