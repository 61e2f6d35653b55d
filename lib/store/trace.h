/* trace: what caused what.
 *
 * Loads events and their causes and hangs each under the event its
 * causation_id names. Every event has one cause at most, so this is a forest
 * as soon as its rings are cut: where events cause each other in a circle,
 * the earliest of them becomes the root, and the one that is its cause says
 * so in closes. A cause that is not in the store is a node as well (missing).
 * Nothing recurses: chains may be as long as memory allows. */
#ifndef LIFEBOAT_TRACE_H
#define LIFEBOAT_TRACE_H

#include "base/arena.h"
#include "core/store.h"

#include <stdbool.h>

#define TRACE_NONE ((size_t)-1)

/* Links are places in trace.nodes. */
struct trace_node {
    struct span id, event_type, entity_type, entity_id, actor, hlc, cause;
    int64_t ts_device;                      /* Unix ms */
    bool missing;                           /* only its id is known */
    size_t parent, child, last_child, next; /* siblings in (hlc, event_id) order */
    size_t closes; /* the root that this one causes, against the order of time */
};

struct trace {
    struct store *st;
    struct trace_node *nodes;
    size_t count, cap;
    size_t root;   /* the first one; the others follow as its siblings */
    size_t marked; /* the event asked for */
    size_t *slots; /* places in nodes, by id; a power of two of them */
    size_t slot_count;
    struct arena arena;
};

/* The whole tree that the event belongs to, from its first cause on; all
 * events with the correlation_id, and the causes above them. All zeros is
 * ready. 1, 0 if there is no such event, -1. */
int trace_event(struct trace *t, struct store *st, struct span id, struct err *e);
int trace_correlation(struct trace *t, struct store *st, struct span id, struct err *e);
void trace_free(struct trace *t);

#endif
