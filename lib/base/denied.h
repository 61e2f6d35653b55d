/* denied: files that may not be written, and what whoever meets that has to mend. */
#ifndef LIFEBOAT_DENIED_H
#define LIFEBOAT_DENIED_H

#include "base/err.h"

/* Why a store, what SQLite puts beside it, or their folder cannot be written: EROFS, EACCES
 * or EPERM; 0: they can be, as far as can be seen. */
int denied_beside(const char *path);

/* Adds to a message that ends with the text of one of these numbers what to do about it;
 * of other numbers, nothing. Returns -1. */
int denied_hint(struct err *e, int number);

#endif
