/* queue: the life of a job, from enqueue to its end.
 *
 * Ready jobs are given out by priority (higher first), then by age. Each is
 * given with a lease: until its end nobody else gets the job, and its token has
 * to be named to complete, fail or extend it. Leases and delays are told by the
 * boot clock and the boot's id, never by the wall clock, which on these boxes
 * jumps; only a time somebody asked for (at_ms) is the wall clock's. A claim
 * takes back first what came due and what a dead worker had.
 *
 * Everything that changes runs in a transaction of the caller's, between
 * queue_begin and queue_commit; so completing one job and claiming the next can
 * share one. Spans handed out belong to SQLite until the next call. */
#ifndef LIFEBOAT_QUEUE_H
#define LIFEBOAT_QUEUE_H

#include "base/buf.h"
#include "core/jobs.h"
#include "core/lockfile.h"

enum {
    QUEUE_NAME_MAX = 100, /* bytes of A-Z a-z 0-9 . _ - */
    QUEUE_TEXT_MAX = 255, /* bytes of a type, a lane, a key */
    QUEUE_TOKEN = 33,
    QUEUE_CRASHES = 3,
    QUEUE_WAKE_MS = 100, /* what comes due is ready so much later, at most */
    /* The lease of a job that a worker has ends so long after its handler's time is
     * over: TERM, KILL, and a busy box. */
    QUEUE_HOLDER_MS = 15000
};

/* What is new in the queue. p NULL in a span: there is none. */
struct new_job {
    struct span queue, type, lane, unique;
    struct span idempotency_key; /* made if there is none */
    struct span payload;         /* JSON */
    int64_t priority, max_retries, timeout_s;
    int64_t at_ms; /* Unix ms; -1: at once */
};

struct job {
    int64_t id, priority, attempt, retry_count, max_retries, timeout_s, created_at;
    struct span queue, type, lane, idempotency_key, payload;
    const char *token;
};

struct claim {
    struct span queue;
    const struct span *types; /* any if type_count is 0 */
    size_t type_count;
    int64_t holder; /* byte of FILE-work its worker locks; 0: none */
    void *ctx;
    int (*each)(void *ctx, const struct job *j, struct err *e); /* -1 ends the claim */
};

enum queue_failure {
    QUEUE_RETRY,   /* again, unless that was the last time */
    QUEUE_DEAD,    /* never again */
    QUEUE_CRASH,   /* ended by a signal, or its worker died: again, QUEUE_CRASHES times */
    QUEUE_RELEASE, /* not the job's fault: as if it had not been given out */
};

/* One that claims does so from one queue. */
struct queue {
    struct jobs jobs;
    int64_t woken; /* boot ms: when it was last looked what came due; 0: never */
    struct queue_sql *sql;
};

bool queue_name_ok(struct span name);

int queue_open(struct queue *q, struct store *st, struct err *e);
void queue_close(struct queue *q);

int queue_begin(struct queue *q, struct err *e);
int queue_commit(struct queue *q, struct err *e);
void queue_rollback(struct queue *q);

/* 1: it is in, with this id. 0: its unique key is taken by the job of this id,
 * which is not done yet. key is the idempotency key of that job. */
int queue_put(struct queue *q, const struct new_job *n, int64_t *id, char key[static 256],
              struct err *e);

/* How many more jobs may wait, ready or not, where most of them may; 0: any number. */
int queue_room(struct queue *q, struct span queue, int64_t most, int64_t *room, struct err *e);

/* Gives out at most n jobs, one by one to each. Returns how many; none if the
 * queue is paused. */
int queue_claim(struct queue *q, const struct claim *c, int n, struct err *e);

/* Makes ready what came due, and takes back what has lost its lease. */
int queue_wake(struct queue *q, struct span queue, struct err *e);

/* The same for jobs whose worker has let go of its byte of FILE-work: how many. */
int queue_reap(struct queue *q, struct span queue, const struct lockfile *work, struct err *e);

/* Outside a transaction: 2 when there is such a job, 1 when there are jobs of living
 * workers other than own, 0 when there are none. */
int queue_orphaned(struct queue *q, struct span queue, const struct lockfile *work, int64_t own,
                   struct err *e);

/* Each 1, or 0 when the token is not that of a living lease: nothing changed. */
int queue_complete(struct queue *q, int64_t id, struct span token, struct span result,
                   struct err *e);
int queue_fail(struct queue *q, int64_t id, struct span token, enum queue_failure how,
               struct span why, struct err *e);
/* So long from now on, if that is longer; ms < 0: by the job's timeout. */
int queue_extend(struct queue *q, int64_t id, struct span token, int64_t ms, struct err *e);

/* Outside a transaction: till when (boot ms) the lease of this token goes, as it
 * was lengthened by whomever; 0: it is over. */
int64_t queue_lease(struct queue *q, int64_t id, struct span token, struct err *e);

/* Outside a transaction. Is there anything to give out? 1, or 0 and how many ms
 * till there may be: -1 if nothing waits. A paused queue has nothing. */
int queue_ready(struct queue *q, const struct claim *c, int64_t *in_ms, struct err *e);

/* 1 if it is paused, with why, as far as that fits. */
int queue_paused(struct queue *q, struct span queue, char reason[static 256], struct err *e);
int queue_pause(struct queue *q, struct span queue, const char *reason, struct err *e);
int queue_resume(struct queue *q, struct span queue, struct err *e);

#endif
