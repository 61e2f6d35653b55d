/* status: what periodic jobs found, one JSON object each, in NAME.json of the status
 * folder: $LIFEBOAT_STATUS_DIR, else status/ beside the store. lifeboat(7) has the names.
 *
 * A file is replaced as a whole, so a reader sees one that is complete. */
#ifndef LIFEBOAT_STATUS_H
#define LIFEBOAT_STATUS_H

#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"

#include <stdbool.h>

/* The folder's path, or that of a file in it; NULL when memory ran out. The caller frees. */
char *status_path(const char *file);

/* Makes the folder if need be, 0755. */
int status_folder(struct err *e);

/* Makes file of the status folder, which is made if need be, hold just this text: 0644,
 * the owner's of the folder. */
int status_write(const char *file, struct span text, struct err *e);

/* The same in a hurry: after a loss of power it may be the one before. */
int status_keep(const char *file, struct span text, struct err *e);

/* The same of any file whose folder is there; lasting: as status_write. */
int status_replace(const char *path, struct span text, bool lasting, struct err *e);

/* Appends a file of the folder: 1, 0 if it is not there, -1 if it cannot be read or is
 * larger than STATUS_MAX. */
enum { STATUS_MAX = 4 << 20 };
int status_read(const char *file, struct buf *out, struct err *e);

/* The member of a JSON object that is at "a" or "a.b" there; false if there is none, or
 * text is no object. */
bool status_member(struct span text, const char *path, struct json_value *out);

#endif
