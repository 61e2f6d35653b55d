/* overview: how much is in a store, for those who watch over it. */
#ifndef LIFEBOAT_OVERVIEW_H
#define LIFEBOAT_OVERVIEW_H

#include "core/store.h"

enum { OVERVIEW_MINUTES = 60 };

struct overview {
    int64_t events, conflicts;
    int64_t last_event_at; /* when the last one was stored here, Unix ms, a whole second;
                              -1: there is none */
    int64_t hlc_ahead_ms;  /* of the store's clock, of this box's; 0: it is not */
    int64_t bytes;         /* of the store's files */
    int64_t wal_bytes;     /* of these, of the -wal */
    int64_t free_bytes;    /* of their disk; -1: that cannot be told */
    int64_t disk_bytes;    /* its size, likewise */
};

int overview_read(struct store *st, struct overview *o, struct err *e);

/* Appends members of a JSON object: entities and events by type, conflicts by
 * type, the span of time, what is not synced. */
int overview_types(struct store *st, struct buf *out, struct err *e);

/* The first of these members alone: ,"events_by_type":{...}. */
int overview_events(struct store *st, struct buf *out, struct err *e);

/* How many events were stored in each of the last minutes, the oldest first. Looks at
 * no more than the last 200,000 events. */
int overview_minutes(struct store *st, int64_t now_ms, int64_t minutes[static OVERVIEW_MINUTES],
                     struct err *e);

#endif
