#include "text/edit.h"

#include <string.h>

static size_t at(const struct edit *m, const char *p)
{
    return (size_t)(p - m->text.p);
}

/* 1: this is the one; -1: no memory. */
static int is_named(const struct json_value *name, struct span wanted)
{
    struct buf room = {0};
    struct span s = json_text(name, &room);
    int same = s.p ? span_eq(s, wanted) : -1;

    buf_free(&room);
    return same;
}

static const char *note(struct edit *m, const struct json_value *name, const struct json_value *v,
                        size_t *offset)
{
    int same = is_named(name, m->name);

    if (same < 0)
        return json_no_memory;
    if (same && m->there) {
        *offset = at(m, name->raw.p);
        return "the member is there twice";
    }
    if (!m->members++) {
        m->first = at(m, name->raw.p);
        m->colon = m->first + name->raw.n;
        m->first_value = at(m, v->raw.p);
    }
    if (m->there && m->is_last) {
        m->after = at(m, name->raw.p);
        m->is_last = false;
    }
    if (same) {
        m->there = m->is_last = true;
        m->value = *v;
        m->own = at(m, name->raw.p);
        m->before = m->last;
    }
    m->last = at(m, v->raw.p) + v->raw.n;
    return NULL;
}

static const char *walk(struct json *j, struct edit *m, size_t *offset)
{
    struct json_value name, v;
    const char *why = NULL;
    bool first = true;
    int rc = json_open(j) ? -1 : 1;

    m->open = m->last = json_offset(j);
    while (rc > 0 && !why) {
        rc = json_member(j, &first, &name, &v);
        if (rc > 0)
            why = note(m, &name, &v, offset);
    }
    if (why)
        return why;
    if (rc || json_finish(j)) {
        *offset = json_offset(j);
        return j->why;
    }
    return NULL;
}

const char *edit_find(struct span text, struct span name, struct edit *out, size_t *offset)
{
    struct json j = {0};
    const char *why;

    *out = (struct edit){.text = text, .name = name};
    *offset = 0;
    json_start(&j, text);
    why = walk(&j, out, offset);
    json_end(&j);
    return why;
}

static int add(const struct edit *m, size_t from, size_t to, struct buf *out)
{
    return buf_add(out, m->text.p + from, to - from);
}

/* Behind the last member, with the white space around the first one. */
static int insert(const struct edit *m, struct span value, struct buf *out)
{
    static const struct span colon = {":", 1};

    if (add(m, 0, m->last, out))
        return -1;
    if (m->members && (buf_addc(out, ',') || add(m, m->open, m->first, out)))
        return -1;
    if (json_quote(m->name, out))
        return -1;
    if (m->members ? add(m, m->colon, m->first_value, out) : buf_add(out, colon.p, colon.n))
        return -1;
    return buf_add(out, value.p, value.n) || add(m, m->last, m->text.n, out) ? -1 : 0;
}

int edit_set(const struct edit *m, struct span value, struct buf *out)
{
    size_t from;

    if (!m->there)
        return insert(m, value, out);
    from = at(m, m->value.raw.p);
    return add(m, 0, from, out) || buf_add(out, value.p, value.n) ||
                   add(m, from + m->value.raw.n, m->text.n, out)
               ? -1
               : 0;
}

int edit_remove(const struct edit *m, struct buf *out)
{
    size_t from = m->own, to = m->after;

    if (!m->there)
        return buf_add(out, m->text.p, m->text.n);
    if (m->is_last) {
        from = m->before; /* the comma goes as well; where it is alone there is none */
        to = at(m, m->value.raw.p) + m->value.raw.n;
    }
    return add(m, 0, from, out) || add(m, to, m->text.n, out) ? -1 : 0;
}
