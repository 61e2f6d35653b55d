/* cursor: a place in the commit order of one store, STORE:SEQ:CHECK.
 *
 * STORE is the store's random id, CHECK the first 8 hex digits of the digest
 * of the event at SEQ (00000000 at 0), so that a store that was replaced, or
 * rolled back to an older copy, is noticed instead of silently skipping
 * events. "start" stands for the beginning of any store. */
#ifndef LIFEBOAT_CURSOR_H
#define LIFEBOAT_CURSOR_H

#include "core/store.h"

enum { CURSOR_TEXT = 64 };

/* Is text formed like a cursor? Pure. */
bool cursor_wellformed(struct span text, struct span *store, int64_t *seq, struct span *check);

/* The seq that text stands for here; 76 if it does not fit this store, 64 if
 * it is no cursor at all. */
int cursor_resolve(struct store *st, const char *text, int64_t *seq, struct err *e);

/* The cursor of seq, which must exist or be 0. */
int cursor_make(struct store *st, int64_t seq, char out[CURSOR_TEXT], struct err *e);

#endif
