#include "text/merge.h"

#include <string.h>

/* An object has members; anything else its text. */
struct merge_node {
    struct span name; /* escapes resolved */
    struct span text; /* p NULL for an object */
    struct merge_node *members, *next;
};

enum { TIDY_BYTES = 1 << 20 };

void merge_free(struct merge *m)
{
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
    *n = (struct merge_node){.name = arena_span(&m->arena, name)};
    return n->name.p ? n : NULL;
}

static int apply_object(struct merge *m, struct merge_node *target, struct span patch);

/* The member called name; where is the place it hangs from. */
static struct merge_node *find(struct merge_node *object, struct span name,
                               struct merge_node ***where)
{
    for (*where = &object->members; **where; *where = &(**where)->next)
        if (span_eq((**where)->name, name))
            return **where;
    return NULL;
}

static int set_member(struct merge *m, struct merge_node *object, struct span name,
                      const struct json_value *v)
{
    struct merge_node **where, *n = find(object, name, &where);

    if (v->kind == JSON_NULL) {
        if (n)
            *where = n->next;
        return 0;
    }
    if (!n) {
        n = *where = new_node(m, name);
        if (!n)
            return -1;
        n->text = SPAN("null");
    }
    if (v->kind != JSON_OBJECT) {
        n->members = NULL;
        n->text = arena_span(&m->arena, v->raw);
        return n->text.p ? 0 : -1;
    }
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
