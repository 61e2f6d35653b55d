/* secretfile: files that nobody else may read.
 *
 * The CGI runs as whoever the store belongs to, the commands often as root: what
 * root makes belongs to the store's owner, so that it does not shut the CGI out. Of a
 * store that does not exist yet the folder counts. */
#ifndef LIFEBOAT_SECRETFILE_H
#define LIFEBOAT_SECRETFILE_H

#include "base/err.h"

/* Is fd a regular file that only its owner may use, and he is whoever runs this,
 * root, or the store's owner? EX_NOPERM: it is not. */
int secretfile_check(int fd, const char *name, const char *store, struct err *e);

/* Makes one of a file that was just made, before anything is in it. */
int secretfile_make(int fd, const char *name, const char *store, struct err *e);

#endif
