/* grow: arrays that get longer by one.
 *
 *     struct copy *more = grow(p->copies, p->copy_count, &p->copy_room, sizeof *more);
 *     if (!more) return -1;
 *     p->copies = more;
 *     p->copies[p->copy_count++] = one; */
#ifndef LIFEBOAT_GROW_H
#define LIFEBOAT_GROW_H

#include <stddef.h>

/* The array with room for one more behind the n that it has; it may have moved. NULL: no
 * memory, and the array is as it was. room: how many it has room for. */
void *grow(void *array, size_t n, size_t *room, size_t size);

#endif
