/* filecheck: is a file of event lines whole?
 *
 * Reads lines as evstore-restore would and stores nothing: which lines are no
 * events, whether the seal fits, how often an id comes again with the same
 * content (duplicates) and with other content (conflicts). Memory is bounded:
 * the ids seen are kept in a temporary database of SQLite's own. */
#ifndef LIFEBOAT_FILECHECK_H
#define LIFEBOAT_FILECHECK_H

#include "core/db.h"
#include "core/event.h"
#include "text/line.h"
#include "text/sealcheck.h"

enum filecheck_seal { SEAL_NONE, SEAL_WHOLE, SEAL_BROKEN };

struct filecheck {
    /* set by the caller */
    struct span site; /* for events without site_id */
    const char *prog; /* the command, for what is said of a file that holds no lines */
    void *ctx;
    /* What is wrong; line and byte count from 1 and 0; line 0: the whole. */
    void (*problem)(void *ctx, uint64_t line, uint64_t byte, const char *why);
    /* A variant of an event that came before: nothing wrong in itself. */
    void (*conflict)(void *ctx, uint64_t line, const struct event *ev);
    /* Each event, the first time its id comes. */
    void (*event)(void *ctx, const struct event *ev);
    void (*step)(void *ctx, uint64_t lines, uint64_t bytes);

    /* counted */
    uint64_t lines, events, duplicates, conflicts, bad_lines;
    enum filecheck_seal seal;
    struct seal_check check;

    /* inside */
    struct db db;
    struct stmt find, keep;
    struct event_parser parser;
    struct arena arena;
};

/* 0 when read to its end, whatever was found; -1 when that was not possible,
 * EX_DATAERR when it holds no lines, EX_TEMPFAIL when a signal asked to stop. */
int filecheck_run(struct filecheck *c, struct line_reader *r, struct err *e);

#endif
