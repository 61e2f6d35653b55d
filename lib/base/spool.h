/* spool: a file without a name, gone when its descriptor is closed. */
#ifndef LIFEBOAT_SPOOL_H
#define LIFEBOAT_SPOOL_H

#include "base/err.h"

/* Opens one in the folder of the file at path, which need not exist: there
 * is room where the store is, seldom in /tmp. Returns the descriptor. */
int spool_beside(const char *path, struct err *e);

#endif
