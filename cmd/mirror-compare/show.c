/* show: differences as lines of JSON. */
#include "mirror-compare/compare.h"
#include "text/rfc3339.h"

#include <string.h>

/* A line that is being made. */
struct showing {
    struct compare *c;
    struct buf out;
    char when[32];
};

static int list_again(struct compare *c, int side, const struct diff *d, struct err *e)
{
    struct side *s = &c->side[side];
    struct record r;
    enum record_result rc;

    if (side_again(c, side, d->offset[side], e))
        return -1;
    rc = record_list(&s->again, buf_span(&s->line), &s->members, &r);
    if (rc == RECORD_NO_MEMORY)
        return err_memory(e);
    if (rc == RECORD_BAD || r.key.lo != d->key || r.value != d->value[side])
        return side_changed(s, e);
    return 0;
}

static int put_value(struct buf *b, const struct record_member *m)
{
    return json_compact(m->value.raw, b);
}

/* ,"key":{…}: of the members of a record, in the order of the key. */
static int put_key(struct showing *s, const struct record_members *m)
{
    const struct record_names *key = &s->c->plan->rules.key;
    bool first = true;

    if (buf_adds(&s->out, ",\"key\":{"))
        return -1;
    for (size_t i = 0; i < key->n; i++) {
        const struct record_member *at = record_find(m, key->at[i]);

        if (!at)
            continue;
        if ((!first && buf_addc(&s->out, ',')) || json_quote(key->at[i], &s->out) ||
            buf_addc(&s->out, ':') || put_value(&s->out, at))
            return -1;
        first = false;
    }
    return buf_addc(&s->out, '}');
}

/* {"field":…,"old":…,"new":…}, without what is not there. */
static int put_field(struct showing *s, const struct record_member *at[SIDES], bool first)
{
    const struct record_name *name = at[OLD] ? at[OLD]->name : at[NEW]->name;

    if ((!first && buf_addc(&s->out, ',')) || buf_adds(&s->out, "{\"field\":") ||
        json_quote(name->text, &s->out))
        return -1;
    for (int i = 0; i < SIDES; i++)
        if (at[i] && (buf_printf(&s->out, ",\"%s\":", side_names[i]) || put_value(&s->out, at[i])))
            return -1;
    return buf_addc(&s->out, '}');
}

/* The members of one side that differ on the other; new ones only where old has none. */
static int put_fields_of(struct showing *s, int side, bool *first)
{
    const struct record_members *own = &s->c->side[side].members,
                                *others = &s->c->side[!side].members;

    for (size_t i = 0; i < own->n; i++) {
        const struct record_member *at[SIDES];
        int same;

        at[side] = &own->at[i];
        at[!side] = record_find(others, own->at[i].name->text);
        if (!own->at[i].name->compared || (side == NEW && at[OLD]))
            continue;
        same = record_same(&s->c->side[OLD].again, at[OLD], at[NEW]);
        if (same < 0 || (!same && put_field(s, at, *first)))
            return -1;
        *first = *first && same;
    }
    return 0;
}

static int put_changed(struct showing *s)
{
    bool first = true;

    return put_key(s, &s->c->side[OLD].members) || buf_adds(&s->out, ",\"fields\":[") ||
                   put_fields_of(s, OLD, &first) || put_fields_of(s, NEW, &first) ||
                   buf_addc(&s->out, ']')
               ? -1
               : 0;
}

static int put_alone(struct showing *s, int side)
{
    return put_key(s, &s->c->side[side].members) ||
                   buf_printf(&s->out, ",\"%s\":", side_names[side]) ||
                   json_compact(buf_span(&s->c->side[side].line), &s->out)
               ? -1
               : 0;
}

static int put_lines(struct showing *s, const struct diff *d)
{
    for (int i = 0; i < SIDES; i++)
        if (d->has[i] && buf_printf(&s->out, ",\"%s_line\":%u", side_names[i], d->line[i]))
            return -1;
    return 0;
}

static int put_pair(struct showing *s, const struct diff *d, struct err *e)
{
    for (int i = 0; i < SIDES; i++)
        if (d->has[i] && list_again(s->c, i, d, e))
            return -1;
    if (d->has[OLD] && d->has[NEW] ? put_changed(s) : put_alone(s, d->has[OLD] ? OLD : NEW))
        return err_memory(e);
    return put_lines(s, d) ? err_memory(e) : 0;
}

static int put_copies(struct showing *s, const struct diff *d, struct err *e)
{
    if (list_again(s->c, d->of, d, e))
        return -1;
    if (put_key(s, &s->c->side[d->of].members) ||
        buf_printf(&s->out, ",\"side\":\"%s\",\"lines\":[", side_names[d->of]))
        return err_memory(e);
    for (size_t i = 0; i < d->line_count; i++)
        if (buf_printf(&s->out, "%s%u", i ? "," : "", d->lines[i]))
            return err_memory(e);
    return buf_addc(&s->out, ']') ? err_memory(e) : 0;
}

static int put_bad(struct showing *s, const struct diff *d, struct err *e)
{
    return buf_printf(&s->out,
                      ",\"side\":\"%s\",\"line\":%u,\"offset\":%llu,\"why\":", side_names[d->of],
                      d->line[d->of], (unsigned long long)d->offset[d->of]) ||
                   json_quote(span_of(d->why), &s->out)
               ? err_memory(e)
               : 0;
}

static int put_diff(struct showing *s, const struct diff *d, struct out *out, struct err *e)
{
    int rc;

    s->out.len = 0;
    if (buf_printf(&s->out, "{\"ts\":\"%s\",\"class\":\"%s\"", s->when, difference_names[d->class]))
        return err_memory(e);
    rc = d->class == DUPLICATE ? put_copies(s, d, e)
         : d->class == BAD     ? put_bad(s, d, e)
                               : put_pair(s, d, e);
    if (rc)
        return -1;
    if (buf_adds(&s->out, "}\n"))
        return err_memory(e);
    return out_add(out, s->out.data, s->out.len)
               ? err_sys(e, EX_IOERR, "unable to write a temporary file")
               : 0;
}

int show_all(struct compare *c, struct out *out, uint64_t *wrong_bytes, struct err *e)
{
    struct showing s = {.c = c};
    struct shown *const both[] = {&c->wrong, &c->other};
    uint64_t bytes = 0;
    int rc = 0;

    rfc3339_format(c->now_ms, s.when);
    for (int k = 0; k < 2 && !rc; k++) {
        shown_sort(both[k]);
        for (size_t i = 0; i < both[k]->n && !rc; i++) {
            rc = put_diff(&s, &both[k]->at[i], out, e);
            bytes += s.out.len;
        }
        if (!k)
            *wrong_bytes = bytes;
    }
    buf_free(&s.out);
    return rc;
}

int show_counts(const struct compare *c, struct buf *out)
{
    if (buf_printf(out, "\"old\":%llu,\"new\":%llu,\"equal\":%llu",
                   (unsigned long long)c->side[OLD].rows, (unsigned long long)c->side[NEW].rows,
                   (unsigned long long)c->equal))
        return -1;
    for (int i = 0; i < DIFFERENCES; i++)
        if (buf_printf(out, ",\"%s\":%llu", difference_names[i], (unsigned long long)c->count[i]))
            return -1;
    return 0;
}
