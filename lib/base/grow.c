#include "base/grow.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 };

void *grow(void *array, size_t n, size_t *room, size_t size)
{
    size_t want = *room ? 2 * *room : FIRST_ROOM;
    void *more;

    if (n < *room)
        return array;
    more = reallocarray(array, want, size);
    if (more)
        *room = want;
    return more;
}
