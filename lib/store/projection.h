/* projection: current state, folded from the events.
 *
 * Each entity type has a watermark: events up to it are in its projections.
 * A type folds by the default rules (text/merge.h, and trash: lifeboat(7)),
 * or by a reducer, a jq program TYPE.jq, run once per type. Folding reads a
 * snapshot on one connection, outside the gate, and writes on another, in
 * transactions of bounded length, only while the type's watermark and program
 * are still what they were; each row says which event it covers, so that
 * being killed in between costs nothing but the rest of the work. */
#ifndef LIFEBOAT_PROJECTION_H
#define LIFEBOAT_PROJECTION_H

#include "core/reducer.h"
#include "core/store.h"

struct projection_report {
    struct buf rebuilt; /* types brought up to date: JSON strings with commas */
    struct buf failed;  /* types whose reducer failed, likewise */
    uint64_t rows;      /* projections written */
    uint64_t failures;
    char message[512]; /* of the last failure */
};

/* Brings every type, or one, up to date; rebuild starts from nothing. -1 only
 * where the store fails; a failing reducer is in the report. */
int projection_catch_up(struct store *st, const struct projector_paths *p, const char *only_type,
                        bool rebuild, struct projection_report *r, struct err *e);

/* The same for a store built aside, its indexes made: only what is folded by
 * the default rules, and only if one walk through the log is worth it; the
 * rest is for projection_catch_up, after it is in place. Both add to r. */
int projection_build(struct store *st, const struct projector_paths *p, struct projection_report *r,
                     struct err *e);
void projection_report_free(struct projection_report *r);

#endif
