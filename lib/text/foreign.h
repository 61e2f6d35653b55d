/* foreign: files that hold no lines at all, known by how they begin.
 *
 * Each of their lines would be refused by itself, 65,000 of them of a backup that is still
 * packed. So the first one is looked at, and the answer says how its lines are had. */
#ifndef LIFEBOAT_FOREIGN_H
#define LIFEBOAT_FOREIGN_H

#include "base/err.h"
#include "text/line.h"

enum { FOREIGN_MAX = 32 }; /* so many bytes of a file tell */

/* EX_DATAERR if it begins like that; to: the command that its lines are for. */
int foreign_refuse(struct span start, const char *name, const char *to, struct err *e);

/* The same of a line, if it is the first. */
int foreign_line(const struct line *l, const char *name, const char *to, struct err *e);

#endif
