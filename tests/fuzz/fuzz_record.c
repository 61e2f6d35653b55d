/* A line as one side of a comparison sees it: the short cuts say what the long way says;
 * both take exactly the objects that have a member of the key and no member twice; and of
 * two lines the digests, the members one by one, the order of the keys and plain trees
 * say the same: whether they are alike. */
#include "text/instant.h"
#include "text/record.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

static struct span keys[] = {{"a", 1}, {"b", 1}}, fields[] = {{"c", 1}, {"t", 1}},
                   ignored[] = {{"i", 1}};

static struct record_rules rules_for(unsigned seed)
{
    return (struct record_rules){.key = {keys, 1 + seed % 2},
                                 .fields = {fields, seed & 2 ? 2 : 0},
                                 .ignore = {ignored, seed & 4 ? 1 : 0},
                                 .ts = {seed & 8 ? "t" : NULL, 1}};
}

/* --- by trees ------------------------------------------------------------------- */

static bool named(const struct value *name, struct span wanted)
{
    return name->nchars == 1 && wanted.n == 1 && name->chars[0] == (unsigned char)wanted.p[0];
}

static const struct value *member(const struct value *v, struct span name)
{
    for (size_t i = 0; i < v->count; i++)
        if (named(v->names[i], name))
            return v->items[i];
    return NULL;
}

static bool has_doubles(const struct value *v)
{
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; k < i; k++)
            if (value_equal(v->names[i], v->names[k]))
                return true;
    return false;
}

static bool good(const struct record_rules *rules, const struct value *v)
{
    if (!v || v->kind != V_OBJECT || has_doubles(v))
        return false;
    for (size_t i = 0; i < rules->key.n; i++)
        if (member(v, rules->key.at[i]))
            return true;
    return false;
}

/* By all of its decimal digits, and a point. */
static bool number_time(const struct value *v, int64_t *us)
{
    struct buf text = {0};
    int64_t point = 0;
    bool is;

    for (size_t i = 0; i < v->exponent.n && point < 1000000000; i++)
        point = 10 * point + (v->exponent.p[i] - '0');
    point = (v->exponent_negative ? -point : point) + v->shift;
    if (!v->ndigits || point < -40)
        return !instant_parse(SPAN("0"), us);
    if (point > 40)
        return false;
    buf_adds(&text, v->negative ? "-" : "");
    for (int64_t i = point < 1 ? point - 1 : 0; i < (int64_t)v->ndigits || i <= point; i++) {
        if (i == point)
            buf_addc(&text, '.');
        buf_addc(&text, i >= 0 && i < (int64_t)v->ndigits ? v->digits[i] : '0');
    }
    is = !instant_parse((struct span){text.data, text.len}, us);
    buf_free(&text);
    return is;
}

static bool time_of(const struct value *v, int64_t *us)
{
    char text[64];

    if (v->kind == V_NUMBER)
        return number_time(v, us);
    if (v->kind != V_STRING || v->nchars >= sizeof text)
        return false;
    for (size_t i = 0; i < v->nchars; i++) {
        if (v->chars[i] > 127)
            return false;
        text[i] = (char)v->chars[i];
    }
    return !instant_parse((struct span){text, v->nchars}, us);
}

static bool compared(const struct record_rules *rules, const struct value *name)
{
    bool is = !rules->fields.n;

    for (size_t i = 0; i < rules->key.n; i++)
        if (named(name, rules->key.at[i]))
            return false;
    for (size_t i = 0; i < rules->fields.n; i++)
        is |= named(name, rules->fields.at[i]);
    return is && !(rules->ignore.n && named(name, ignored[0]));
}

static bool alike(const struct value *a, const struct value *b, bool ts)
{
    int64_t x, y;

    if (ts && time_of(a, &x) && time_of(b, &y))
        return x == y;
    return value_equal(a, b);
}

/* Has each compared member of a its like in b? */
static bool within(const struct record_rules *rules, const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < a->count; i++) {
        bool found = !compared(rules, a->names[i]);

        for (size_t k = 0; k < b->count && !found; k++)
            found = value_equal(a->names[i], b->names[k]) &&
                    alike(a->items[i], b->items[k], rules->ts.p && named(a->names[i], rules->ts));
        if (!found)
            return false;
    }
    return true;
}

static bool same_keys(const struct record_rules *rules, const struct value *a,
                      const struct value *b)
{
    for (size_t i = 0; i < rules->key.n; i++) {
        const struct value *x = member(a, rules->key.at[i]), *y = member(b, rules->key.at[i]);

        if (!x != !y || (x && !value_equal(x, y)))
            return false;
    }
    return true;
}

/* --- by records --------------------------------------------------------------------- */

static struct record_reader quick, slow;

static enum record_result read_both(struct span text, struct record *out)
{
    struct record other;
    enum record_result rc = record_read_slowly(&slow, text, &other);

    if (record_read(&quick, text, out) != rc)
        value_found("taken one way only", text, SPAN(""));
    if (rc == RECORD_BAD &&
        (strcmp(quick.why, slow.why) != 0 || quick.offset != slow.offset || slow.offset > text.n))
        value_found("refused for two reasons", text, span_of(slow.why));
    if (rc == RECORD_OK && (!digest_eq(out->key, other.key) || out->value != other.value ||
                            out->timed != other.timed || out->ts_us != other.ts_us))
        value_found("read in two ways", text, SPAN(""));
    return rc;
}

static bool same_members(struct span a, struct span b)
{
    struct record_members x = {0}, y = {0};
    struct record r;
    bool same =
        record_list(&quick, a, &x, &r) == RECORD_OK && record_list(&slow, b, &y, &r) == RECORD_OK;

    for (size_t i = 0; i < x.n && same; i++)
        same = !x.at[i].name->compared ||
               record_same(&quick, &x.at[i], record_find(&y, x.at[i].name->text)) == 1;
    for (size_t i = 0; i < y.n && same; i++)
        same = !y.at[i].name->compared || record_find(&x, y.at[i].name->text);
    free(x.at);
    free(y.at);
    return same;
}

static void check_order(const struct record_rules *rules, struct span a, struct span b, bool same)
{
    struct record ignored_record;
    int order, back;

    if (record_read(&quick, a, &ignored_record) || record_read(&slow, b, &ignored_record))
        abort();
    if (record_key_order(quick.parts, slow.parts, rules->key.n, &order) ||
        record_key_order(slow.parts, quick.parts, rules->key.n, &back))
        return;
    if (order != -back || (order == 0) != same)
        value_found("keys out of order", a, b);
}

static void check_pair(const struct record_rules *rules, const struct value *x,
                       const struct value *y)
{
    bool keys_same = same_keys(rules, x, y);
    bool values_same = within(rules, x, y) && within(rules, y, x);
    struct record a, b;

    if (read_both(x->raw, &a) || read_both(y->raw, &b))
        abort();
    if ((bool)digest_eq(a.key, b.key) != keys_same)
        value_found(keys_same ? "one key, two digests" : "two keys, one digest", x->raw, y->raw);
    if ((a.value == b.value) != values_same)
        value_found(values_same ? "alike, two digests" : "not alike, one digest", x->raw, y->raw);
    if (same_members(x->raw, y->raw) != values_same)
        value_found("member by member it is otherwise", x->raw, y->raw);
    check_order(rules, x->raw, y->raw, keys_same);
}

static void check_line(const struct record_rules *rules, struct span line, struct dice *d)
{
    struct value *tree = value_parse(line), *other;
    struct record r;
    struct buf text = {0};

    if ((read_both(line, &r) == RECORD_OK) != good(rules, tree))
        value_found(good(rules, tree) ? "refused" : "taken", line, SPAN(""));
    if (!good(rules, tree))
        return;
    for (int i = 0; i < 2; i++) {
        struct value *copy = value_parse(line); /* a copy of the tree would share its names */

        if (i)
            value_change(copy, d);
        text.len = 0;
        value_spell(copy, d, &text);
        other = value_parse(value_keep((struct span){text.data, text.len}));
        if (good(rules, other))
            check_pair(rules, tree, other);
        else if (!i)
            value_found("refused in another spelling", line, (struct span){text.data, text.len});
    }
    buf_free(&text);
}

/* Byte 0: the rules; byte 1: the seed of spellings and changes; then lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_rules rules;
    struct dice d = {0};
    const char *p, *end;

    if (size < 3)
        return 0;
    rules = rules_for(data[0]);
    d.seed = 1 + data[1];
    value_reset();
    if (record_open(&quick, &rules) || record_open(&slow, &rules))
        abort();
    end = (const char *)data + size;
    for (p = (const char *)data + 2; p < end;) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct span line = {p, (size_t)((lf ? lf : end) - p)};

        check_line(&rules, value_keep(line), &d);
        p = lf ? lf + 1 : end;
    }
    record_close(&quick);
    record_close(&slow);
    return 0;
}
