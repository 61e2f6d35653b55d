#include "text/merge.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* An object has members; anything else its text. */
struct merge_node {
    struct span name; /* escapes resolved */
    struct span text; /* p NULL for an object */
    char *own;        /* a long text's memory, which is freed with it */
    uint64_t hash;    /* of the name */
    struct merge_node *next, *prev, *chain;
    /* of an object */
    struct merge_node *members, *last;
    struct merge_node **table; /* chains by hash, once there are many members */
    size_t count, room;
};

enum { TIDY_BYTES = 1 << 20, FEW = 16, LONG_TEXT = 1 << 16 };

/* What is about to be forgotten, and all below it, gives back its long texts. */
static void release(struct merge *m, struct merge_node *n)
{
    if (!m->longs)
        return;
    if (n->own) {
        free(n->own);
        n->own = NULL;
        m->longs--;
    }
    for (struct merge_node *c = n->members; c; c = c->next)
        release(m, c);
}

static void release_all(struct merge *m)
{
    if (m->root)
        release(m, m->root);
    m->root = NULL;
}

void merge_free(struct merge *m)
{
    release_all(m);
    arena_free(&m->arena);
    json_end(&m->json);
    buf_free(&m->scratch);
    *m = (struct merge){0};
}

static struct merge_node *new_node(struct merge *m, struct span name)
{
    struct merge_node *n = arena_alloc(&m->arena, sizeof *n);

    if (!n)
        return NULL;
    *n = (struct merge_node){.name = arena_span(&m->arena, name),
                             .hash = hash_bytes(name.p, name.n).lo};
    return n->name.p ? n : NULL;
}

/* --- the members of an object --------------------------------------------- */

/* The node becomes this text, whatever it was. Arena memory comes back late, which
 * long texts must not wait for. */
static int set_text(struct merge *m, struct merge_node *n, struct span text)
{
    char *own = NULL;
    struct span copy;

    if (text.n > LONG_TEXT) {
        own = malloc(text.n);
        copy = (struct span){own ? memcpy(own, text.p, text.n) : NULL, text.n};
    } else {
        copy = arena_span(&m->arena, text);
    }
    if (!copy.p)
        return -1;
    release(m, n);
    m->longs += own != NULL;
    n->own = own;
    n->text = copy;
    n->members = n->last = NULL;
    n->table = NULL;
    n->count = n->room = 0;
    return 0;
}

static struct merge_node **slot(const struct merge_node *object, uint64_t hash)
{
    return &object->table[hash & (object->room - 1)];
}

static struct merge_node *find(const struct merge_node *object, struct span name)
{
    struct merge_node *n = object->members;

    if (!object->table) {
        while (n && !span_eq(n->name, name))
            n = n->next;
        return n;
    }
    for (n = *slot(object, hash_bytes(name.p, name.n).lo); n && !span_eq(n->name, name);)
        n = n->chain;
    return n;
}

static void put_in_table(struct merge_node *object, struct merge_node *n)
{
    struct merge_node **at = slot(object, n->hash);

    n->chain = *at;
    *at = n;
}

static int grow_table(struct merge *m, struct merge_node *object)
{
    size_t room = object->room ? 4 * object->room : 4 * FEW;
    struct merge_node **table = arena_alloc(&m->arena, room * sizeof *table);

    if (!table)
        return -1;
    memset(table, 0, room * sizeof *table);
    object->table = table;
    object->room = room;
    for (struct merge_node *n = object->members; n; n = n->next)
        put_in_table(object, n);
    return 0;
}

static struct merge_node *append(struct merge *m, struct merge_node *object, struct span name)
{
    struct merge_node *n = new_node(m, name);

    if (!n)
        return NULL;
    n->prev = object->last;
    *(object->last ? &object->last->next : &object->members) = n;
    object->last = n;
    if (object->table)
        put_in_table(object, n);
    if (++object->count > FEW && object->count > object->room && grow_table(m, object))
        return NULL;
    return n;
}

static void drop(struct merge *m, struct merge_node *object, struct merge_node *n)
{
    release(m, n);
    *(n->prev ? &n->prev->next : &object->members) = n->next;
    *(n->next ? &n->next->prev : &object->last) = n->prev;
    object->count--;
    if (object->table) {
        struct merge_node **at = slot(object, n->hash);

        while (*at != n)
            at = &(*at)->chain;
        *at = n->chain;
    }
}

/* --- patching -------------------------------------------------------------- */

static int apply_object(struct merge *m, struct merge_node *target, struct span patch);

static int set_member(struct merge *m, struct merge_node *object, struct span name,
                      const struct json_value *v)
{
    struct merge_node *n = find(object, name);

    if (v->kind == JSON_NULL) {
        if (n)
            drop(m, object, n);
        return 0;
    }
    if (!n) {
        n = append(m, object, name);
        if (!n)
            return -1;
    }
    if (v->kind != JSON_OBJECT)
        return set_text(m, n, v->raw);
    if (n->text.p)
        release(m, n);
    n->text = (struct span){NULL, 0};
    return apply_object(m, n, v->raw);
}

/* Names with escapes are resolved into memory of their own: the walk may go
 * deeper before they are used. */
static struct span name_text(struct merge *m, const struct json_value *name)
{
    struct buf room = {0};
    struct span s;

    if (!name->escaped)
        return json_text(name, &room);
    s = json_text(name, &room);
    s = s.p ? arena_span(&m->arena, s) : s;
    buf_free(&room);
    return s;
}

static int apply_object(struct merge *m, struct merge_node *target, struct span patch)
{
    struct json j = {0};
    struct json_value name, v;
    bool first = true;
    int rc;

    json_start(&j, patch);
    rc = json_open(&j) ? -1 : 1;
    while (rc == 1 && (rc = json_member(&j, &first, &name, &v)) == 1) {
        struct span text = name_text(m, &name);

        if (!text.p || set_member(m, target, text, &v))
            rc = -1;
    }
    json_end(&j);
    return rc;
}

int merge_reset(struct merge *m, struct span state)
{
    release_all(m);
    arena_reset(&m->arena);
    m->settled = 0;
    m->root = new_node(m, SPAN(""));
    if (!m->root)
        return -1;
    return state.p ? apply_object(m, m->root, state) : 0;
}

/* Replaced values stay in the arena; now and then the state is written out
 * and read back, so that memory follows its size and not its history. */
static int tidy(struct merge *m)
{
    struct buf copy = {0};
    int rc;

    if (m->arena.used < TIDY_BYTES || m->arena.used < 4 * m->settled)
        return 0;
    rc = merge_write(m, &copy) || merge_reset(m, (struct span){copy.data, copy.len});
    m->settled = m->arena.used;
    buf_free(&copy);
    return rc ? -1 : 0;
}

int merge_apply(struct merge *m, struct span payload)
{
    struct json_value v;

    if (!m->root && merge_reset(m, (struct span){NULL, 0}))
        return -1;
    if (payload.n && payload.p[0] == '{')
        return apply_object(m, m->root, payload) || tidy(m) ? -1 : 0;
    if (json_whole(&m->json, payload, &v))
        return -1;
    return set_member(m, m->root, SPAN("value"), &v) || tidy(m) ? -1 : 0;
}

static int write_node(const struct merge_node *n, struct buf *out)
{
    if (n->text.p)
        return buf_add(out, n->text.p, n->text.n);
    if (buf_addc(out, '{'))
        return -1;
    for (const struct merge_node *c = n->members; c; c = c->next)
        if ((c != n->members && buf_addc(out, ',')) || json_quote(c->name, out) ||
            buf_addc(out, ':') || write_node(c, out))
            return -1;
    return buf_addc(out, '}');
}

int merge_write(const struct merge *m, struct buf *out)
{
    return m->root ? write_node(m->root, out) : buf_adds(out, "{}");
}
