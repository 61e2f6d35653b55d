/* verify: is a store what it claims to be?
 *
 * Reads all of it in one snapshot and changes nothing: SQLite's own check,
 * every event's digest anew and its line through the parser, conflicts,
 * clock, restore log, cursors. Projections are checked by store/projection. */
#ifndef LIFEBOAT_VERIFY_H
#define LIFEBOAT_VERIFY_H

#include "core/event.h"
#include "core/store.h"

struct verify {
    /* set by the caller */
    void *ctx;
    /* What is wrong, and with what: "event ID", "clock", ... */
    void (*problem)(void *ctx, const char *where, const char *why);
    /* What is odd, but can come about rightly. */
    void (*oddity)(void *ctx, const char *where, const char *why);
    /* Each event; its digest is the one computed from its members. */
    void (*event)(void *ctx, const struct event *ev);
    void (*step)(void *ctx, uint64_t events);
    int64_t max_drift_ms; /* how far ahead an event may be to move the clock */

    /* counted */
    uint64_t events, conflicts;
};

/* 0 when read to its end, whatever was found. -1 when that was not possible:
 * EX_DATAERR or EX_SOFTWARE where the store itself is why (pages, tables that
 * are not those of a store), EX_TEMPFAIL when a signal asked to stop. */
int verify_store(struct verify *v, struct store *st, struct err *e);

#endif
