/* done: how many backups and drills were done in a day, as their status files change. */
#ifndef LIFEBOAT_METRICS_DONE_H
#define LIFEBOAT_METRICS_DONE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum done_what {
    DONE_HOURLY,
    DONE_DAILY,
    DONE_WEEKLY,
    DONE_MONTHLY,
    DONE_DRILL,
    DONE_BACKUP_FAILED,
    DONE_DRILL_FAILED,
    DONE_WHATS
};

struct done {
    char day[16];             /* UTC, 2026-11-22; "": nothing was noted yet */
    int64_t seen[DONE_WHATS]; /* when, as the status files said last; -1: never */
    int64_t count[DONE_WHATS];
    bool changed; /* is not as it was noted */
};

/* Takes what was noted, done.json of the status folder, and what the files say now. On a
 * new day the counts of the day before, which out gets, begin anew:
 * ,"before":{"day":...,"hourly":24,...}, nothing where none were noted. */
int done_look(struct done *d, const char *day, struct buf *out, struct err *e);

/* Notes it, where it changed: once the counts of the day before are kept elsewhere. */
int done_keep(const struct done *d, struct err *e);

#endif
