/* projector: what is known of an entity type's projections, a row of the table
 * projectors. */
#ifndef LIFEBOAT_PROJECTOR_H
#define LIFEBOAT_PROJECTOR_H

#include "base/hash.h"
#include "core/store.h"

struct projector {
    struct buf type; /* terminated */
    bool known;      /* it has a row */
    bool touched;    /* it has events beyond the floor */
    bool swept;      /* for who folds: together with others */
    int64_t watermark, failed_seq;
    char program[DIGEST_TEXT], failed_program[DIGEST_TEXT];
    char status[16]; /* ok, rebuilding, failed */
    struct buf message;
    struct projector *next;
};

/* Adds to the list the types that have a row, and those that have events beyond
 * floor, a seq; or only one of them (NULL: all). The list is the caller's. */
int projectors_list(struct store *st, const char *only, int64_t floor, struct projector **list,
                    struct err *e);
void projectors_free(struct projector *list);

#endif
