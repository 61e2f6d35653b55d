/* events: how an event enters the log, and what it meets there.
 *
 * One struct intake is one run of a command that stores events. It carries
 * the hybrid logical clock (kept in the store, moved in the same transaction
 * as the events) and counts. Rules: lifeboat-event(5); design: store, time. */
#ifndef LIFEBOAT_EVENTS_H
#define LIFEBOAT_EVENTS_H

#include "base/arena.h"
#include "core/event.h"
#include "core/known.h"
#include "core/store.h"
#include "text/hlc.h"

enum put_result {
    PUT_ERROR = -1,
    PUT_INSERTED,
    PUT_PRESENT,  /* the same event was there */
    PUT_CONFLICT, /* its id was there with other content; the variant is kept */
    PUT_REFUSED   /* the expected version was another, or a clock at its end */
};

struct intake {
    /* set by the caller */
    struct store *st;
    const char *site;
    int64_t max_drift_ms;
    bool adopt_clock;    /* believe clocks however far ahead */
    bool keep_flags;     /* take over synced and acknowledged */
    bool dry;            /* count, change nothing: no transaction is needed */
    int64_t expect;      /* version the entity must have; -1: any */
    const char *session; /* for conflicts; may be NULL */
    struct buf *echo;    /* stored events are appended here; may be NULL */

    /* counted */
    uint64_t inserted, present, conflicts, ahead;

    /* of the last event put */
    char why[256];  /* conflict or refusal, "" if none */
    bool was_ahead; /* it was stored though its clock was beyond max_drift */
    bool overtook;  /* local, but its entity's clock was ahead of ours */

    /* inside */
    struct event_parser parser;
    struct hlc clock;
    struct known known;
    bool clock_moved, started, unfinished;
    struct intake_sql *sql;
};

int intake_open(struct intake *in, struct err *e);
void intake_close(struct intake *in);

/* Around the events of one transaction (store_begin, store_commit): the clock
 * is read from the store, and written back. */
int intake_begin(struct intake *in, struct err *e);
int intake_end(struct intake *in, struct err *e);

/* Puts one checked event. One without ts_device happens here and now and is
 * completed; room for that comes from the arena. */
enum put_result intake_put(struct intake *in, struct event *ev, struct arena *a, struct err *e);

/* Marks an event synced, and acknowledged if that is asked for. 1 if it is
 * there, 0 if not. In a transaction. */
int events_mark(struct store *st, struct span id, bool acknowledged, struct err *e);

/* The one-line proof: "lifeboat1 COUNT DIGEST" over all (event_id, digest). */
int events_digest(struct store *st, char out[static 80], struct err *e);

/* Adds one event to the sum that events_digest prints. */
void events_digest_add(struct digest *sum, struct span event_id, struct digest d);
void events_digest_text(uint64_t count, struct digest sum, char out[static 80]);

#endif
