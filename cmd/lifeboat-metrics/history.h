/* history: a line a day of how large everything is, history.jsonl of the status folder:
 * what lifeboat-report tells growth from. The newest HISTORY_DAYS of them are kept. */
#ifndef LIFEBOAT_METRICS_HISTORY_H
#define LIFEBOAT_METRICS_HISTORY_H

#include "core/store.h"

#define HISTORY_FILE "history.jsonl"
enum { HISTORY_DAYS = 1100 };

/* Adds the line of this day (UTC) unless it is there. While the clock is plainly wrong
 * nothing is noted. */
int history_note(struct store *st, struct err *e);

#endif
