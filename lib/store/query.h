/* query: which events of the log, in which order. */
#ifndef LIFEBOAT_QUERY_H
#define LIFEBOAT_QUERY_H

#include "core/event.h"
#include "core/store.h"

struct query {
    /* Filters; NULL or unset: all. */
    const char *entity_type, *entity_id, *event_type, *actor, *correlation;
    struct event_int since; /* ts_device later than this, Unix ms */
    struct event_int until; /* ts_device not later than this */
    bool unsynced;
    int64_t after;          /* seq greater than this */
    struct event_int up_to; /* seq not greater than this */
    int64_t limit;          /* at most so many, the first in commit order; -1: all */
    bool by_hlc;            /* (hlc, event_id) order, else commit order */
    bool newest;            /* commit order backwards: the limit takes the last */
    bool ids_only;          /* read event_id, digest and seq only */
    /* A long payload is not read: its p is NULL, and row_payload is to be asked. */
    bool large_apart;

    struct stmt stmt;
    struct buf sql;
};

/* Makes the statement ready to be read from its first row. */
int query_open(struct query *q, struct store *st, struct err *e);
/* 1 and the event, 0 at the end, -1. */
int query_next(struct query *q, struct event *ev, struct err *e);
void query_close(struct query *q);

/* Is there an event that the filters let through, beyond seq? 1, 0 or -1. */
int query_more(const struct query *q, struct store *st, int64_t seq, struct err *e);

/* The newest seq in the store, 0 if it is empty. */
int query_newest(struct store *st, int64_t *seq, struct err *e);

#endif
