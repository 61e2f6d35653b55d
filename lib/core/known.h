/* known: rows of the log that are likely to be asked for next.
 *
 * Whoever restores a file a second time asks for its events in the order of
 * the file, and that is close to the order of the log: after one was found by
 * its id, its neighbours are read in one go and remembered. How many follows
 * from how many of the last ones were asked for, so that a file in no order
 * costs no more than its look-ups.
 *
 * Nothing here can be stale in a way that matters: an event's id, seq and
 * digest never change; ts_server only falls and flags only rise. */
#ifndef LIFEBOAT_KNOWN_H
#define LIFEBOAT_KNOWN_H

#include "core/db.h"
#include "core/event.h"

struct known_row {
    int64_t seq;
    struct digest digest;
    struct event_int ts_server;
    bool synced, acknowledged;
    uint16_t id_len;
    uint32_t hash;
    int32_t next; /* in its chain; -1: the last */
    char id[EVENT_ID_MAX];
};

/* All zeros is empty. */
struct known {
    struct known_row *rows; /* a ring */
    int32_t *chains;
    size_t count, at;
    int64_t upto;        /* the newest seq read in this run of neighbours */
    size_t window, hits; /* rows read the last time, and how many were asked for */
    struct stmt load;
};

void known_free(struct known *k);
void known_clear(struct known *k);

/* The row of an event if it is remembered, else NULL; valid until the next
 * known_near. */
const struct known_row *known_find(struct known *k, struct span id);

/* An event was found at seq by a look-up: remembers its neighbours. */
int known_near(struct known *k, struct db *db, int64_t seq, struct err *e);

#endif
