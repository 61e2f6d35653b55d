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

#include "core/fold.h"
#include "core/store.h"

struct projector_paths {
    const char *folders[4]; /* searched in turn for TYPE.jq; NULL: none */
};

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

/* Folds without writing: every row of a type (NULL: of all), or of one entity,
 * is handed to take. For readers of a store that cannot be written, and for verification:
 * upto limits the events to those up to a seq (-1: all). */
int projection_fold(struct store *st, const struct projector_paths *p, const char *type,
                    const char *id, int64_t upto,
                    int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
                    struct err *e);

/* Compares every stored row with a fresh fold. problem is called for each
 * that differs. Returns the number of rows compared, or -1. failed counts
 * types that could not be folded. */
int64_t projection_verify(struct store *st, const struct projector_paths *p,
                          void (*problem)(void *ctx, const char *text), void *ctx, int *failed,
                          struct err *e);

/* Stored rows: of a type (NULL: any), or one entity; deleted 0, 1, or -1 for
 * any but purged. Returns how many. */
int64_t projection_read(struct store *st, const char *type, const char *id, int deleted,
                        int (*take)(void *ctx, const struct fold_row *row, struct err *e),
                        void *ctx, struct err *e);

/* Appends the row as a JSON line. */
int projection_write(const struct fold_row *row, struct buf *out);

/* Appends one JSON line per type: watermark, status, program, message. */
int projection_status(struct store *st, struct buf *out, struct err *e);

#endif
