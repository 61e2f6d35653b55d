/* fold: the events of entities, in (hlc, event_id) order, into their state.
 *
 * Reads only. Which events: all of a type, those of one entity, or only
 * entities with events after a watermark; of these, a stored projection is
 * gone on from where the new events all come later than it, else the entity
 * is folded from its first event. How: the default rules (text/merge.h), or a
 * reducer, one jq process for all entities together.
 *
 * Trash, for every type: NODE_SOFT_DELETED (node.trashed) sets deleted,
 * NODE_RESTORED (node.restored) clears it, NODE_PERMANENTLY_DELETED
 * (node.purged) ends the projection for good. Their payloads are not merged,
 * and no reducer sees them. */
#ifndef LIFEBOAT_FOLD_H
#define LIFEBOAT_FOLD_H

#include "core/store.h"

enum trash { NOT_TRASH, TRASHED, RESTORED, PURGED };
enum trash trash_of(struct span event_type);

/* One entity's state. Spans are valid during the call that hands it out. */
struct fold_row {
    struct span type, id, state;
    struct span first_event, last_event, hlc;
    int64_t version; /* events folded */
    int deleted;     /* 0 live, 1 in the trash, 2 purged */
    int64_t covered; /* the seq up to which events are taken account of */
};

struct fold {
    struct store *st;
    const char *type;
    const char *only_id; /* one entity; NULL: all */
    int64_t after;       /* -1: all entities from their first event; else
                            those with events after this seq */
    int64_t upto;        /* events up to this seq */
    const char *reducer; /* the jq program's text; NULL: the default fold */
    int (*take)(void *ctx, const struct fold_row *row, struct err *e);
    void *ctx;
};

/* 0, or 1 when the reducer failed (e says how), or -1. */
int fold_run(struct fold *f, struct err *e);

/* Columns that fold_row_read expects, of the projections table. */
#define FOLD_COLUMNS                                                                               \
    "entity_type, entity_id, state_json, version, deleted, first_event_id, last_event_id, hlc, "   \
    "covered_seq"
void fold_row_read(struct stmt *s, struct fold_row *row);

#endif
