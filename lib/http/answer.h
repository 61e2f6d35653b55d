/* answer: what an HTTP client is told.
 *
 * Small answers are put together here and sent whole; long ones are begun with
 * answer_begin and then written by whoever has them. Nothing a client sent gets
 * into a header. Problems are those of RFC 9457. */
#ifndef LIFEBOAT_ANSWER_H
#define LIFEBOAT_ANSWER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct answer {
    int status;           /* 0: none yet */
    const char *type;     /* of the body; NULL: application/json */
    const char *allow;    /* for 405 */
    const char *location; /* a path of ours; for 201. NULL: none */
    int retry_after_s;    /* 0: not said */
    bool replayed;
    struct buf body;

    bool begun;    /* the head is out: its status cannot change any more */
    int64_t bytes; /* of body sent */
};

void answer_free(struct answer *a);

/* Starts the body anew with application/problem+json; members, "" or text that
 * begins with a comma, goes in as it is. type: NULL for about:blank. -1: no memory. */
int answer_problem(struct answer *a, int status, const char *type, const char *correlation,
                   const char *members, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Writes the head; length -1: as much as comes. */
int answer_begin(struct answer *a, int fd, const char *correlation, int64_t length, struct err *e);

/* Head and body; head_only for HEAD. Does nothing once it has begun. */
int answer_send(struct answer *a, int fd, const char *correlation, bool head_only, struct err *e);

/* "Not Found" */
const char *http_status_text(int status);

#endif
