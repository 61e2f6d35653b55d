/* queues: what /etc/lifeboat/queues.json says of each queue. lifeboat-queues(5) */
#ifndef LIFEBOAT_QUEUES_H
#define LIFEBOAT_QUEUES_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* What a job has whose command line says nothing else. */
struct queue_defaults {
    int64_t priority, max_retries, timeout_s;
    int64_t max_pending; /* jobs that may wait; 0: any number */
    int64_t keep_ms;     /* how long prune leaves what has ended */
};

/* Those of one queue; where the file does not name it those of "default" there,
 * else the documents': priority 5, 3 retries, 300 s, kept for 7 days. */
int queues_read(struct span queue, struct queue_defaults *out, struct err *e);

#endif
