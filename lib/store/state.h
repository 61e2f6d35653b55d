/* state: current state for those who read it: stored, or folded for the occasion. */
#ifndef LIFEBOAT_STATE_H
#define LIFEBOAT_STATE_H

#include "core/reducer.h"
#include "core/store.h"

/* Stored rows: of a type (NULL: any), or one entity; deleted 0, 1, or -1 for
 * any but purged. Returns how many. */
int64_t state_read(struct store *st, const char *type, const char *id, int deleted,
                   int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
                   struct err *e);

/* Folds without writing, for a store that cannot be written: every row of a type
 * (NULL: of all), or of one entity, is handed to take. */
int state_fold(struct store *st, const struct projector_paths *p, const char *type, const char *id,
               int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
               struct err *e);

/* Appends the row as a JSON line. */
int state_write(const struct fold_row *row, struct buf *out);

/* Appends one JSON line per type: watermark, status, program, message. */
int state_of_types(struct store *st, struct buf *out, struct err *e);

#endif
