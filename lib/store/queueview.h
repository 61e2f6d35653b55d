/* queueview: what is in the queue, for people and programs that look at it.
 *
 * Reads only. Rows are given one by one, so that memory does not grow with
 * their number; a dead letter looks like the failed job it was. What a row
 * hands out belongs to SQLite until the callback returns. */
#ifndef LIFEBOAT_QUEUEVIEW_H
#define LIFEBOAT_QUEUEVIEW_H

#include "base/buf.h"
#include "core/store.h"
#include "text/json.h"

#include <stdbool.h>

/* The members of a row, in the order in which they are printed. */
enum view_member {
    VIEW_ID,
    VIEW_QUEUE,
    VIEW_TYPE,
    VIEW_PRIORITY,
    VIEW_STATUS,
    VIEW_WAKE_BOOT,
    VIEW_WAKE,
    VIEW_TOKEN,
    VIEW_HOLDER,
    VIEW_LANE,
    VIEW_UNIQUE,
    VIEW_KEY,
    VIEW_CHANGE,
    VIEW_SCHEDULED,
    VIEW_CREATED,
    VIEW_STARTED,
    VIEW_COMPLETED,
    VIEW_ATTEMPTS,
    VIEW_RETRIES,
    VIEW_MAX_RETRIES,
    VIEW_CRASHES,
    VIEW_TIMEOUT,
    VIEW_OWED,
    VIEW_DEAD_LETTER,
    VIEW_ERROR,
    VIEW_ERRORS,
    VIEW_PAYLOAD,
    VIEW_RESULT,
    VIEW_MEMBERS
};

struct view {
    struct store *st;
    struct view_sql *sql;
    struct stmt *row; /* the one it stands on */
    struct json json;
    struct buf queue, reason, error;
};

/* Returns -1 (e set) to end the walk with that, 1 to end it, 0 to go on. */
typedef int view_each(void *ctx, struct view *v, struct err *e);

/* p NULL, NULL or 0: any. */
struct view_filter {
    struct span queue, status;
    const struct span *types;
    size_t type_count;
    bool all;      /* completed ones too, and dead letters whose row is gone */
    int64_t limit; /* -1: none */
};

int view_open(struct view *v, struct store *st, struct err *e);
void view_close(struct view *v);

/* Jobs by id, behind them dead letters whose row is gone. */
int view_list(struct view *v, const struct view_filter *f, view_each *each, void *ctx,
              struct err *e);
/* Dead letters, in the order in which they died. */
int view_letters(struct view *v, const struct view_filter *f, view_each *each, void *ctx,
                 struct err *e);
/* The job of this id, else those with this idempotency key. How many. */
int view_find(struct view *v, struct span what, view_each *each, void *ctx, struct err *e);
/* Rows changed after a change, without payload and result, by change; queue.p
 * NULL: of all queues. */
int view_changes(struct view *v, struct span queue, int64_t after, view_each *each, void *ctx,
                 struct err *e);
int view_last_change(struct view *v, int64_t *change, struct err *e);

/* Of the row it stands on. */
struct span view_span(struct view *v, enum view_member m); /* p NULL: there is none */
int64_t view_int(struct view *v, enum view_member m);      /* 0 where there is none */
/* In how many ms it is held back no longer, 0 if nothing holds it. */
int64_t view_held_ms(struct view *v);
/* Appends the row as a line of JSON; what is NULL is left out. */
int view_json(struct view *v, struct buf *out);

/* What each failed attempt of the row said, the oldest first. */
int view_errors(struct view *v,
                void (*each)(void *ctx, int64_t attempt, int64_t at_ms, struct span error),
                void *ctx, struct err *e);

/* Of n spans of time, to a hundredth; -1 where there was none. */
struct view_spread {
    int64_t n, p50, p95, p99;
};

struct view_stats {
    int64_t ready, waiting, running, completed, failed, dead_letters, owed;
    int64_t oldest_ms; /* since the first of what waits was put in; -1: nothing waits */
    /* of what ended in the time asked for: */
    int64_t ended_well, ended_badly, retried;
    struct view_spread wait, run;
    /* the queue itself; spans live until the next call */
    bool paused;
    struct span reason, endpoint_error;
    int64_t endpoint_failures, endpoint_held_ms, last_success_at; /* -1: never */
};

int view_stats(struct view *v, struct span queue, int64_t since_ms, struct view_stats *out,
               struct err *e);

/* The queue that follows name among those there is anything of; "" for the
 * first. 1 with it in v->queue, terminated; 0: name was the last. */
int view_next_queue(struct view *v, const char *name, struct err *e);

#endif
