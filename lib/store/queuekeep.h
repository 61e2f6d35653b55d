/* queuekeep: what is done to a queue by those who look after it.
 *
 * Every function runs in a transaction of the caller's, begun and committed by
 * the queue (store/queue.h), whose count of changes it goes on with. */
#ifndef LIFEBOAT_QUEUEKEEP_H
#define LIFEBOAT_QUEUEKEEP_H

#include "base/buf.h"
#include "core/jobs.h"

struct keep {
    struct jobs *jobs; /* of the queue */
    struct keep_sql *sql;
};

int keep_open(struct keep *k, struct jobs *jobs, struct err *e);
void keep_close(struct keep *k);

/* The dead letter of the job of this id goes, and the job is pending again.
 * 1; 0: there is no such dead letter; 2: its unique key is taken by the job
 * *holder, nothing was changed. */
int keep_requeue(struct keep *k, int64_t id, int64_t *holder, struct err *e);
/* 1, or 0: there is none. The job's row stays. */
int keep_purge(struct keep *k, int64_t id, struct err *e);

/* Ids of jobs with a dead letter, from after on, at most n: how many. queue.p
 * NULL: of all queues. before: died before this time, Unix ms. */
int keep_letters(struct keep *k, struct span queue, int64_t before, int64_t after, int n,
                 int64_t *ids, struct err *e);

/* Removes rows of jobs that ended before this time, Unix ms, and that owe
 * nothing: at most some 1,000, fewer when others wait for the gate. The row that
 * changed last of all stays. How many; *more: there may be others. */
int keep_prune(struct keep *k, struct span queue, int64_t before, bool *more, struct err *e);

/* A job as the backup has it; p NULL in a span: there is none. */
struct kept_job {
    struct span queue, type, lane, unique, idempotency_key, payload, status, error, errors, result,
        wake_boot;
    int64_t priority, max_retries, timeout_s, attempts, retries, crashes;
    int64_t scheduled_at, created_at, started_at, completed_at; /* Unix ms; -1: NULL */
    bool owed, dead_letter;
};

/* Pending and running ones become pending: ready, unless a time was asked for
 * that has not come. 1: it is in; 0: its idempotency key is in the queue
 * already, or in one of its dead letters, or its unique key is taken. */
int keep_load(struct keep *k, const struct kept_job *j, struct err *e);

#endif
