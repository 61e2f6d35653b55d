/* requests: what the log of requests comes to, counted as it grows.
 *
 * Sums by route and method: how many of each class of status, and how long they took, in
 * fixed classes of time. They only grow. Beside them stands how far each file was read:
 * a file is known by its first line, so that it is the same one after a rotation (to
 * LOG.1), and each line counts once. The owner keeps the sums, as text; who reads them
 * and puts them back has a lock. */
#ifndef LIFEBOAT_REQUESTS_H
#define LIFEBOAT_REQUESTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REQUESTS_TIMES = 11,   /* bounds of the classes of time; one more class is above them */
    REQUESTS_CODES = 5,    /* 1xx to 5xx */
    REQUESTS_SERIES = 256, /* so many routes and methods; what comes then is "other" */
    REQUESTS_ROUTE = 96
};

/* In ms, ascending. */
extern const int64_t requests_bounds[REQUESTS_TIMES];

struct request_series {
    char route[REQUESTS_ROUTE]; /* its pattern; "none" where there is no such resource */
    char method[16];
    int64_t codes[REQUESTS_CODES];
    int64_t times[REQUESTS_TIMES + 1];
    int64_t ms, bytes; /* of all */
};

struct request_file {
    char id[DIGEST_TEXT]; /* "": none */
    int64_t offset;
};

struct requests {
    struct request_series *series;
    size_t count;
    int64_t bad_lines;
    struct request_file now, before; /* LOG, LOG.1 */
    bool changed;                    /* something was counted */
    int64_t unread;                  /* bytes that are still to be read */
};

void requests_free(struct requests *r);

/* Takes sums as requests_text gave them; -1: they are none, r is empty. */
int requests_take(struct requests *r, struct span text);
int requests_text(const struct requests *r, struct buf *out);

/* Reads what came to the log since then, at most so many bytes (-1: all) of whole lines.
 * A log that is not there has no lines. */
int requests_read(struct requests *r, const char *log, int64_t most, struct err *e);

/* Counts one line; false: it is none of a log. Part of requests_read. */
bool requests_line(struct requests *r, struct span line);

/* Appends the metrics. */
int requests_metrics(const struct requests *r, struct buf *out);

#endif
