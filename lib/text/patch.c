#include "text/patch.h"

#include "base/hash.h"

#include <string.h>

enum { DEPTH = 32, ODD = 1 };

/* --- walking a valid text -------------------------------------------------- */

/* p is at the opening quote; returns what follows the closing one, NULL if
 * there is none. A quote behind an odd number of backslashes is no end. */
static const char *pass_string(const char *p, const char *end)
{
    const char *begin = p + 1;

    for (p = begin; p < end; p++) {
        const char *slash;

        p = memchr(p, '"', (size_t)(end - p));
        if (!p)
            return NULL;
        for (slash = p; slash > begin && slash[-1] == '\\'; slash--)
            ;
        if ((p - slash) % 2 == 0)
            return p + 1;
    }
    return NULL;
}

static const char *pass_scalar(const char *p, const char *end)
{
    while (p < end && *p != ',' && *p != '}' && *p != ']')
        p++;
    return p;
}

static const char *pass_value(const char *p, const char *end)
{
    int depth = 0;

    do {
        if (p >= end)
            return NULL;
        if (*p == '"') {
            p = pass_string(p, end);
            if (!p)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            depth--;
            p++;
        } else {
            p = depth ? p + 1 : pass_scalar(p, end);
        }
    } while (depth > 0);
    return p;
}

/* The member at *p, which is past the brace or the comma; passes it and what
 * separates it from the next. False when there is none, or none that is whole;
 * then *p is NULL unless the object ends there. */
static bool next_member(const char **p, const char *end, struct patch_member *m)
{
    const char *name = *p, *colon, *stop;

    if (name >= end || *name != '"') {
        *p = name == end || (name == end - 1 && *name == '}') ? name : NULL;
        return false;
    }
    *p = NULL;
    colon = pass_string(name, end);
    if (!colon || colon >= end || *colon != ':')
        return false;
    stop = pass_value(colon + 1, end);
    if (!stop || stop >= end)
        return false;
    *p = stop + 1;
    *m = (struct patch_member){.name = {name, (size_t)(colon - name)},
                               .value = {colon + 1, (size_t)(stop - colon - 1)}};
    return m->value.n > 0;
}

/* --- patching ---------------------------------------------------------------- */

static bool ordinary(const struct patch *m, struct span name)
{
    if (memchr(name.p, '\\', name.n))
        return false;
    for (size_t i = 0; i < m->count; i++)
        if (span_eq(m->members[i].name, name))
            return false;
    return true;
}

static int list(struct span object, struct patch *m)
{
    const char *p = object.p + 1, *end = object.p + object.n;
    struct patch_member next;

    m->count = 0;
    if (end[-1] != '}')
        return ODD;
    while (next_member(&p, end, &next)) {
        if (m->count == PATCH_MEMBERS || !ordinary(m, next.name))
            return ODD;
        m->members[m->count++] = next;
    }
    return p ? 0 : ODD;
}

/* The patch's member of this name. They mostly stand in the state's order. */
static struct patch_member *find(struct patch *m, size_t guess, struct span name)
{
    if (guess < m->count && span_eq(m->members[guess].name, name))
        return &m->members[guess];
    for (size_t i = 0; i < m->count; i++)
        if (span_eq(m->members[i].name, name))
            return &m->members[i];
    return NULL;
}

static bool is_null(struct span value)
{
    return value.p[0] == 'n';
}

static bool is_object(struct span value)
{
    return value.n && value.p[0] == '{';
}

static int apply(struct span state, struct patch *patch, struct buf *out, int depth);

static int put_name(struct span name, struct buf *out)
{
    if (out->data[out->len - 1] != '{' && buf_addc(out, ','))
        return -1;
    return buf_add(out, name.p, name.n) || buf_addc(out, ':') ? -1 : 0;
}

static int put_new(struct span name, struct span old, struct span new, struct buf *out, int depth)
{
    struct patch inner;

    if (put_name(name, out))
        return -1;
    if (!is_object(new))
        return buf_add(out, new.p, new.n);
    if (depth == DEPTH || list(new, &inner))
        return ODD;
    return apply(is_object(old) ? old : SPAN("{}"), &inner, out, depth + 1);
}

static int put_old(const struct patch_member *old, struct patch *patch, size_t guess,
                   struct buf *out, int depth)
{
    struct patch_member *new = find(patch, guess, old->name);

    if (!new)
        return put_name(old->name, out) || buf_add(out, old->value.p, old->value.n) ? -1 : 0;
    new->used = true;
    return is_null(new->value) ? 0 : put_new(old->name, old->value, new->value, out, depth);
}

static int apply(struct span state, struct patch *patch, struct buf *out, int depth)
{
    const char *p = state.p + 1, *end = state.p + state.n;
    int rc = buf_addc(out, '{');
    struct patch_member old;

    for (size_t i = 0; !rc && next_member(&p, end, &old); i++)
        rc = put_old(&old, patch, i, out, depth);
    if (!rc && !p)
        return ODD;
    for (size_t i = 0; !rc && i < patch->count; i++) {
        const struct patch_member *new = &patch->members[i];

        if (!new->used && !is_null(new->value))
            rc = put_new(new->name, SPAN("{}"), new->value, out, depth);
    }
    return rc ? rc : buf_addc(out, '}');
}

int patch_read(struct patch *p, struct span payload)
{
    if (is_object(payload)) {
        if (list(payload, p))
            return ODD;
    } else {
        p->members[0] = (struct patch_member){.name = SPAN("\"value\""), .value = payload};
        p->count = 1;
    }
    p->flat = true;
    p->shape = p->count;
    for (size_t i = 0; i < p->count; i++) {
        const struct patch_member *m = &p->members[i];

        p->flat = p->flat && !is_null(m->value) && !is_object(m->value);
        p->shape = p->shape * 31 + hash_bytes(m->name.p, m->name.n).lo;
    }
    return 0;
}

int patch_apply(struct patch *p, struct span state, struct buf *out)
{
    size_t from = out->len;
    int rc = apply(state, p, out, 0);

    if (rc)
        out->len = from;
    return rc;
}
