/* write: events that come of a request, into the log.
 *
 *     if (write_open(&w, x, &e) == 0 && write_begin(&w, &e) == 0) {
 *         how = write_put(&w, &ev, &e);
 *         write_commit(&w, &e);
 *     }
 *     write_close(&w);
 *
 * An event without an id has one that follows from the idempotency key, if there is
 * one: the same request brings the same event, on a box that was refilled too. The
 * client's correlation id is given to new ones that have none. */
#ifndef LIFEBOAT_CGI_WRITE_H
#define LIFEBOAT_CGI_WRITE_H

#include "base/arena.h"
#include "lifeboat.cgi/front.h"
#include "store/events.h"

/* Entity types that have resources of their own, and rules there. */
#define ENTITY_SETTINGS "user_settings"
#define ENTITY_HISTORY  "command_history"
#define ENTITY_COMMAND  "advanced_command"

struct writing {
    struct exchange *x;
    struct intake intake;
    struct arena arena;
    struct buf stored; /* the lines of the last transaction's events, as they are in the log */
    uint64_t made;     /* events so far: the next one's place under the key */
    int64_t begun;     /* boot ms of this transaction */
};

int write_open(struct writing *w, struct exchange *x, struct err *e);
int write_begin(struct writing *w, struct err *e);
int write_commit(struct writing *w, struct err *e);
void write_rollback(struct writing *w);
void write_close(struct writing *w);

/* Between two of many events: if others have been kept waiting long enough, this
 * transaction is committed and the next one begun. */
int write_breathe(struct writing *w, struct err *e);

/* The payload from JSON text, which must be good. */
int write_payload(struct writing *w, struct event *ev, struct span text, struct err *e);

/* Why it was not taken is in w->intake.why. */
enum put_result write_put(struct writing *w, struct event *ev, struct err *e);

/* Is there an event of this id? 1, 0 or -1. */
int write_known(struct writing *w, struct span id, struct err *e);

/* begin, put, commit. */
enum put_result write_one(struct writing *w, struct event *ev, struct err *e);

/* When the event of the last transaction, a single one, happened: as a document has it,
 * 2026-01-01T00:00:00Z. */
int write_time(struct writing *w, char out[static 32], struct err *e);
void write_time_text(int64_t ms, char out[static 32]);

/* The answer to an event that the log does not take: 409. */
int write_refused(struct exchange *x, const struct writing *w, struct err *e);

#endif
