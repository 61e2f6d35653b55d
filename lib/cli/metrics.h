/* metrics: what there is to watch, in the text format of Prometheus: for /metrics and for
 * lifeboat-metrics. lifeboat-metrics(1) lists them. */
#ifndef LIFEBOAT_METRICS_H
#define LIFEBOAT_METRICS_H

#include "base/buf.h"
#include "core/store.h"

struct metrics {
    struct store *store;  /* open for reading; NULL: there is none */
    const char *http_log; /* the log of requests; NULL: there is none */
    int64_t http_most;    /* bytes of it to be read this time; -1: all that is new */
};

/* Appends them, those of the store in one view. What is beside the store and cannot be
 * read is warned of, and left out or counted as unreadable. */
int metrics_put(const struct metrics *m, struct buf *out, struct err *e);

/* Part of it: of the files in the status folder. */
int metrics_status(struct buf *out);

#endif
