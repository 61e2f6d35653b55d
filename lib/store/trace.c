#include "store/trace.h"

#include "base/hash.h"

#include <stdlib.h>

#define COLUMNS                                                                                    \
    "event_id, event_type, entity_type, entity_id, actor_id, hlc, causation_id, ts_device"

static const char by_id[] = "SELECT " COLUMNS " FROM events WHERE event_id = ?1";
static const char by_cause[] = "SELECT " COLUMNS " FROM events WHERE causation_id = ?1";
static const char by_correlation[] = "SELECT " COLUMNS " FROM events WHERE correlation_id = ?1";

void trace_free(struct trace *t)
{
    free(t->nodes);
    free(t->slots);
    arena_free(&t->arena);
    *t = (struct trace){0};
}

/* --- nodes by id -------------------------------------------------------- */

/* Where the node of this id is, or belongs. */
static size_t *slot_of(const struct trace *t, struct span id)
{
    size_t at = (size_t)hash_bytes(id.p, id.n).lo;

    for (;; at++) {
        size_t *slot = &t->slots[at & (t->slot_count - 1)];

        if (*slot == TRACE_NONE || span_eq(t->nodes[*slot].id, id))
            return slot;
    }
}

static size_t find(const struct trace *t, struct span id)
{
    return t->slot_count ? *slot_of(t, id) : TRACE_NONE;
}

static int more_slots(struct trace *t)
{
    size_t n = t->slot_count ? 2 * t->slot_count : 64;
    size_t *slots = malloc(n * sizeof *slots);

    if (!slots)
        return -1;
    free(t->slots);
    t->slots = slots;
    t->slot_count = n;
    for (size_t i = 0; i < n; i++)
        slots[i] = TRACE_NONE;
    for (size_t i = 0; i < t->count; i++)
        *slot_of(t, t->nodes[i].id) = i;
    return 0;
}

/* A new node of this id, which must be new. */
static struct trace_node *add(struct trace *t, struct span id, struct err *e)
{
    struct trace_node *node;

    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct trace_node *nodes = realloc(t->nodes, cap * sizeof *nodes);

        if (!nodes)
            goto failed;
        t->nodes = nodes;
        t->cap = cap;
    }
    if (2 * t->count >= t->slot_count && more_slots(t))
        goto failed;
    node = &t->nodes[t->count];
    *node = (struct trace_node){.id = arena_span(&t->arena, id),
                                .parent = TRACE_NONE,
                                .child = TRACE_NONE,
                                .last_child = TRACE_NONE,
                                .next = TRACE_NONE,
                                .closes = TRACE_NONE};
    if (!node->id.p)
        goto failed;
    *slot_of(t, node->id) = t->count++;
    return node;
failed:
    err_memory(e);
    return NULL;
}

/* --- loading ------------------------------------------------------------ */

/* The row s stands on, unless it is here already. */
static int add_row(struct trace *t, struct stmt *s, struct err *e)
{
    struct trace_node *n;

    if (find(t, stmt_span(s, 0)) != TRACE_NONE)
        return 0;
    n = add(t, stmt_span(s, 0), e);
    if (!n)
        return -1;
    n->event_type = arena_span(&t->arena, stmt_span(s, 1));
    n->entity_type = arena_span(&t->arena, stmt_span(s, 2));
    n->entity_id = arena_span(&t->arena, stmt_span(s, 3));
    n->actor = arena_span(&t->arena, stmt_span(s, 4));
    n->hlc = arena_span(&t->arena, stmt_span(s, 5));
    if (stmt_span(s, 6).p)
        n->cause = arena_span(&t->arena, stmt_span(s, 6));
    n->ts_device = stmt_int(s, 7);
    if (!n->event_type.p || !n->entity_type.p || !n->entity_id.p || !n->actor.p || !n->hlc.p ||
        (stmt_span(s, 6).p && !n->cause.p))
        return err_memory(e);
    return 0;
}

/* Adds the rows that the query gives for key; returns whether there were any. */
static int load(struct trace *t, struct stmt *s, struct span key, struct err *e)
{
    int rc, any = 0;

    if (stmt_ready(s, &t->st->db, e))
        return -1;
    stmt_bind_span(s, 1, key);
    while ((rc = stmt_step(s, e)) == 1) {
        any = 1;
        if (add_row(t, s, e)) {
            stmt_reset(s);
            return -1;
        }
    }
    return rc < 0 ? -1 : any;
}

/* The causes of all nodes, and theirs, up to the first. */
static int load_causes(struct trace *t, struct err *e)
{
    struct stmt s = {.sql = by_id};
    int rc = 0;

    for (size_t i = 0; i < t->count && rc >= 0; i++) {
        struct span cause = t->nodes[i].cause;
        struct trace_node *missing;

        if (!cause.p || find(t, cause) != TRACE_NONE)
            continue;
        rc = load(t, &s, cause, e);
        if (rc)
            continue;
        missing = add(t, cause, e);
        if (missing)
            missing->missing = true;
        else
            rc = -1;
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* What the nodes have caused, and what that has, down to the last. */
static int load_effects(struct trace *t, struct err *e)
{
    struct stmt s = {.sql = by_cause};
    int rc = 0;

    for (size_t i = 0; i < t->count && rc >= 0; i++)
        rc = load(t, &s, t->nodes[i].id, e);
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* --- the forest --------------------------------------------------------- */

static int before(const struct trace_node *a, const struct trace_node *b)
{
    int order = span_cmp(a->hlc, b->hlc);

    return order ? order : span_cmp(a->id, b->id);
}

static int compare(const void *a, const void *b, void *nodes)
{
    const struct trace_node *n = nodes;

    return before(&n[*(const size_t *)a], &n[*(const size_t *)b]);
}

/* Cuts the ring that the node at i is part of, above its earliest event. */
static void cut(struct trace *t, size_t i)
{
    size_t first = i;

    for (size_t at = t->nodes[i].parent; at != i; at = t->nodes[at].parent)
        if (before(&t->nodes[at], &t->nodes[first]) < 0)
            first = at;
    t->nodes[t->nodes[first].parent].closes = first;
    t->nodes[first].parent = TRACE_NONE;
}

/* Walks up from every node; who meets a node of the same walk is on a ring.
 * No node is passed twice: visited holds the walk that passed it. */
static int cut_rings(struct trace *t, struct err *e)
{
    size_t *visited = calloc(t->count, sizeof *visited);

    if (!visited)
        return err_memory(e);
    for (size_t i = 0; i < t->count; i++) {
        size_t at = i;

        while (at != TRACE_NONE && !visited[at]) {
            visited[at] = i + 1;
            at = t->nodes[at].parent;
        }
        if (at != TRACE_NONE && visited[at] == i + 1)
            cut(t, at);
    }
    free(visited);
    return 0;
}

/* A missing cause stands where the first of its effects stands. */
static void place_missing(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t up = t->nodes[i].parent;
        struct trace_node *cause = up == TRACE_NONE ? NULL : &t->nodes[up];

        if (cause && cause->missing && (!cause->hlc.p || span_cmp(t->nodes[i].hlc, cause->hlc) < 0))
            cause->hlc = t->nodes[i].hlc;
    }
}

/* Appends the node at i to its siblings. */
static void hang(struct trace *t, size_t i, size_t *last_root)
{
    size_t up = t->nodes[i].parent;
    size_t *first = up == TRACE_NONE ? &t->root : &t->nodes[up].child;
    size_t *last = up == TRACE_NONE ? last_root : &t->nodes[up].last_child;

    if (*first == TRACE_NONE)
        *first = i;
    else
        t->nodes[*last].next = i;
    *last = i;
}

static int build(struct trace *t, struct err *e)
{
    size_t *order = calloc(t->count, sizeof *order);
    size_t last_root = TRACE_NONE;

    if (!order)
        return err_memory(e);
    for (size_t i = 0; i < t->count; i++)
        if (t->nodes[i].cause.p)
            t->nodes[i].parent = find(t, t->nodes[i].cause);
    if (cut_rings(t, e)) {
        free(order);
        return -1;
    }
    place_missing(t);
    for (size_t i = 0; i < t->count; i++)
        order[i] = i;
    qsort_r(order, t->count, sizeof *order, compare, t->nodes);
    t->root = TRACE_NONE;
    for (size_t i = 0; i < t->count; i++)
        hang(t, order[i], &last_root);
    free(order);
    return 1;
}

/* --- questions ---------------------------------------------------------- */

static int load_first(struct trace *t, struct store *st, const char *sql, struct span id,
                      struct err *e)
{
    struct stmt s = {.sql = sql};
    int rc;

    *t = (struct trace){.st = st, .root = TRACE_NONE, .marked = TRACE_NONE};
    rc = load(t, &s, id, e);
    stmt_free(&s);
    return rc;
}

int trace_event(struct trace *t, struct store *st, struct span id, struct err *e)
{
    int rc = load_first(t, st, by_id, id, e);

    if (rc != 1)
        return rc;
    t->marked = 0;
    if (load_causes(t, e) || load_effects(t, e))
        return -1;
    return build(t, e);
}

int trace_correlation(struct trace *t, struct store *st, struct span id, struct err *e)
{
    int rc = load_first(t, st, by_correlation, id, e);

    if (rc != 1)
        return rc;
    return load_causes(t, e) ? -1 : build(t, e);
}
