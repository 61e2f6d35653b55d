/* seal: the last line of a sealed export.
 *
 *     {"lifeboat_end":{"count":N,"sha256":"…","from":"CURSOR","to":"CURSOR"}}
 *
 * count is the number of events, sha256 that of all preceding lines as
 * written, LF included. Pure. */
#ifndef LIFEBOAT_SEAL_H
#define LIFEBOAT_SEAL_H

#include "base/buf.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stdint.h>

enum { SEAL_CURSOR_MAX = 64 };

struct seal {
    uint64_t count;
    char sha256[SHA256_TEXT];
    char from[SEAL_CURSOR_MAX], to[SEAL_CURSOR_MAX];
};

/* Does the line begin {"lifeboat_, as only control lines do? */
bool line_is_control(struct span text);

/* Appends the line, LF included. */
int seal_write(const struct seal *s, struct buf *out);

/* Reads a line that may be a seal: 1 it is, 0 it is another, -1 it begins as
 * one but is malformed; why says how; -2 out of memory. */
int seal_read(struct span line, struct seal *s, const char **why);

/* Of a control line that is neither this nor a cursor. */
#define CONTROL_UNKNOWN "a control line that is neither a seal nor a cursor"

/* A cursor's control line: {"lifeboat_cursor":"…"}. Same results. */
int seal_read_cursor(struct span line, char out[SEAL_CURSOR_MAX]);

#endif
