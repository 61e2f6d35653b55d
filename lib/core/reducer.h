/* reducer: by which program a type folds: TYPE.jq, or the default rules. */
#ifndef LIFEBOAT_REDUCER_H
#define LIFEBOAT_REDUCER_H

#include "base/hash.h"
#include "core/fold.h"

struct projector_paths {
    const char *folders[4]; /* searched in turn for TYPE.jq; NULL: none */
};

/* The program of a type: 1 and its text, terminated, or 0 where the default fold
 * serves; -1 where one is there and cannot be read. */
int reducer_find(const struct projector_paths *p, struct span type, struct buf *out, struct err *e);

/* What a program is known by: its digest, or nothing for the default fold. */
void reducer_name(int found, const struct buf *program, char out[DIGEST_TEXT]);

/* Folds a type, or one entity of it (id, else NULL), by its program: every row is
 * handed to take. Only events up to a seq (-1: all). As fold_run. */
int reducer_fold(struct store *st, const struct projector_paths *p, const char *type,
                 const char *id, int64_t upto,
                 int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
                 struct err *e);

#endif
