/* outbox: what waits to be sent to one destination, in its order.
 *
 * An item is a row of job_queue. It is pending until it is sent (completed) or
 * given up (failed, with its dead letter). Those of one lane go out one after
 * the other, in the order they came; items without a lane are a lane of their
 * own. A refused item waits, and its lane with it. How the destination itself
 * fares is in queue_state.
 *
 * One process at a time works on a destination's outbox; it holds the lock. What
 * changes rows runs between outbox_begin and outbox_commit. Spans handed out
 * belong to SQLite until the next call. */
#ifndef LIFEBOAT_OUTBOX_H
#define LIFEBOAT_OUTBOX_H

#include "core/jobs.h"

#include <stdbool.h>
#include <stdint.h>

enum { OUTBOX_PRIORITY = 5 };

struct outbox {
    struct jobs jobs;
    struct span name;
    int64_t after;  /* items up to this id were looked at in this pass */
    bool held_back; /* the first item without a lane waits */
    struct outbox_sql *sql;
};

struct outbox_item {
    int64_t id, retry_count, max_retries;
    int64_t created_at;             /* Unix ms */
    int64_t tries, before_ms;       /* as outbox_tried and outbox_pass_on left them; 0, -1 */
    struct span key, lane, payload; /* lane.p NULL: none */
};

/* What has to be known of an item to say what came of it. */
struct outbox_attempt {
    int64_t id, retry_count, max_retries;
    bool has_lane;
};

struct outbox_state {
    bool paused;
    int64_t since;    /* Unix ms: when it was paused; or when it last answered, or did not */
    int64_t wait_ms;  /* how long the destination is left alone; 0: not */
    int64_t failures; /* of it, in a row */
    char why[256];    /* it is paused, or left alone */
};

/* name is kept. */
int outbox_open(struct outbox *o, struct store *st, struct span name, struct err *e);
void outbox_close(struct outbox *o);

int outbox_begin(struct outbox *o, struct err *e);
int outbox_commit(struct outbox *o, struct err *e);
void outbox_rollback(struct outbox *o);

/* The item that was put in under this key, whatever has become of it: 1 with its
 * status and payload, or 0. */
int outbox_find(struct outbox *o, struct span key, char status[static 16], struct span *payload,
                struct err *e);

/* Is an item ready, and its lane free, that came before the one of this id? 1 or 0. */
int outbox_ready(struct outbox *o, int64_t before, struct err *e);

/* Starts a new pass over the items. */
int outbox_rewind(struct outbox *o, struct err *e);

/* Makes ready the refused items whose time has come; how many. If any were, the
 * pass starts anew. */
int outbox_wake(struct outbox *o, struct err *e);

/* The items that may go out now, in their order, behind o->after; until take
 * returns 1 (this one is not taken) or -1. Moves nothing. */
int outbox_next(struct outbox *o,
                int (*take)(void *ctx, const struct outbox_item *i, struct err *e), void *ctx,
                struct err *e);

/* owed: on_success is still to be run for it. answer: JSON, n 0: none is kept. */
int outbox_sent(struct outbox *o, int64_t id, bool owed, struct span answer, struct err *e);

/* A refused item is tried again after wait_ms, and its lane waits with it; but
 * after the last time it is given up, and 1 returned. */
int outbox_refused(struct outbox *o, const struct outbox_attempt *a, int64_t wait_ms,
                   struct span why, struct err *e);

/* The item was tried once more, and is where it was: what the endpoint does is not its
 * fault. But who asks may want to know. */
int outbox_tried(struct outbox *o, int64_t id, struct err *e);

/* A sent item becomes one of another outbox as well: the same payload, key, lane and
 * age; before_ms goes with it. Nothing happens where that one has had the key. */
int outbox_pass_on(struct outbox *o, int64_t id, struct span to, int64_t max_retries,
                   int64_t before_ms, struct err *e);

/* Gives up items that wait, at most some 1,000: how many. */
int outbox_give_up(struct outbox *o, struct span why, struct err *e);

int outbox_state(struct outbox *o, struct outbox_state *s, struct err *e);
/* The destination has answered. */
int outbox_alive(struct outbox *o, bool sent, struct err *e);
int outbox_unreachable(struct outbox *o, int64_t wait_ms, struct span why, struct err *e);
int outbox_pause(struct outbox *o, struct span why, struct err *e);
int outbox_resume(struct outbox *o, struct err *e);

/* Payloads of items that are owed, behind *id, one a line; *id becomes that of
 * the last. Ends at most items, or when out has room bytes. How many. */
int outbox_owed(struct outbox *o, int64_t *id, int64_t most, size_t room, struct buf *out,
                struct err *e);
int outbox_settle(struct outbox *o, int64_t up_to, struct err *e);

/* Items that wait, ready or not. */
int outbox_remaining(struct outbox *o, int64_t *n, struct err *e);

/* In how many ms the first refused item that waits comes due; -1: none waits. */
int outbox_due(struct outbox *o, int64_t *in_ms, struct err *e);

#endif
