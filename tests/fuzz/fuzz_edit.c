/* Edits of an object's text: what comes out says what it did before but for that
 * member, in the same bytes; what was added and is taken away leaves no trace. */
#include "text/edit.h"
#include "value.h"

#include <stdint.h>
#include <string.h>

static struct buf with, without;

static bool is_m(const struct value *name)
{
    return name->nchars == 1 && name->chars[0] == 'm';
}

/* The bytes of all other members are the same, in the same order. */
static bool others_alike(const struct value *a, const struct value *b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a->count && is_m(a->names[i]))
            i++;
        while (k < b->count && is_m(b->names[k]))
            k++;
        if (i == a->count || k == b->count)
            return i == a->count && k == b->count;
        if (!span_eq(a->names[i]->raw, b->names[k]->raw) ||
            !span_eq(a->items[i]->raw, b->items[k]->raw))
            return false;
        i++;
        k++;
    }
}

/* How many members there are, and whether each is an array with nothing but 7 in it. */
static size_t count_m(const struct value *v, bool *sevens)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        if (is_m(v->names[i])) {
            *sevens = *sevens && span_eq(v->items[i]->raw, SPAN("[7]"));
            n++;
        }
    return n;
}

static void edit(struct span text, const struct value *v)
{
    struct edit m;
    struct value *changed;
    bool sevens = true;
    size_t offset, had = count_m(v, &sevens);

    if (edit_find(text, SPAN("m"), &m, &offset) != NULL || m.there != (had == 1))
        value_found("a member is not found, or found", text, text);
    buf_clear(&with);
    buf_clear(&without);
    if (edit_set(&m, SPAN("[7]"), &with) || edit_remove(&m, &without))
        return;
    changed = value_parse(buf_span(&with));
    sevens = true;
    if (!changed || changed->kind != V_OBJECT || count_m(changed, &sevens) != 1 || !sevens ||
        !others_alike(v, changed))
        value_found("set", text, buf_span(&with));
    changed = value_parse(buf_span(&without));
    if (!changed || changed->kind != V_OBJECT || count_m(changed, &sevens) != 0 ||
        !others_alike(v, changed))
        value_found("removed", text, buf_span(&without));
    if (had)
        return;
    buf_clear(&without);
    if (edit_find(buf_span(&with), SPAN("m"), &m, &offset) != NULL || edit_remove(&m, &without) ||
        !span_eq(buf_span(&without), text))
        value_found("set and removed", text, buf_span(&without));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct value *v = value_parse(text);
    struct edit m;
    bool sevens = true;
    size_t offset, n = v && v->kind == V_OBJECT ? count_m(v, &sevens) : 2;

    if (n < 2)
        edit(text, v);
    else if (!edit_find(text, SPAN("m"), &m, &offset) || offset > size)
        value_found("taken", text, text);
    value_reset();
    return 0;
}
