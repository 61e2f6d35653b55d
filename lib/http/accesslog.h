/* accesslog: one line of JSON for each request, without anything secret in it.
 *
 *     {"ts":"2026-01-26T10:15:03.120Z","method":"GET","route":"/api/dr/export",
 *      "status":200,"ms":12,"bytes":5120,"principal":"nurse-1","role":"dr",
 *      "correlation_id":"..."}
 *
 * The route is the pattern, not the address: that may name patients. */
#ifndef LIFEBOAT_ACCESSLOG_H
#define LIFEBOAT_ACCESSLOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct access_line {
    const char *method, *route; /* "" where there is no such resource */
    int status;
    int64_t ms, bytes; /* time taken; of the answer's body */
    const char *principal, *role, *correlation;
    bool replayed;
};

/* Appends it to the file with one write, opened for this line alone, so that a log
 * that was rotated meanwhile is left; NULL: to stderr. */
int access_log(const char *path, const struct access_line *line, struct err *e);

#endif
