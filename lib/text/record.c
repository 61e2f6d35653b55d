#include "text/record.h"

#include "text/decimal.h"
#include "text/instant.h"
#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 64, NAMES_KEPT = 4096, EXPONENT_MAX = 9999 };

/* What kind of value the bytes of a digest are. */
static const uint64_t as_kind[] = {0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu,
                                   0x2545f4914f6cdd1du, 0xd6e8feb86659fd93u, 0xa0761d6478bd642fu,
                                   0xe7037ed1a0b428dbu};
static const uint64_t as_instant = 0x8ebc6af09c88c6e3u, as_large = 0x589965cc75374cc3u;

bool record_tolerant(const struct record_rules *rules)
{
    return rules->tolerance_count || rules->ts_tolerance_us;
}

/* --- names -------------------------------------------------------------- */

static bool among(const struct record_names *names, struct span name, int *at)
{
    for (size_t i = 0; i < names->n; i++)
        if (span_eq(names->at[i], name)) {
            *at = (int)i;
            return true;
        }
    return false;
}

static void apply_rules(const struct record_rules *rules, struct record_name *n)
{
    int at;

    n->key = among(&rules->key, n->text, &at) ? at : -1;
    n->ts = rules->ts.p && span_eq(rules->ts, n->text);
    n->compared = n->key < 0 && (!rules->fields.n || among(&rules->fields, n->text, &at)) &&
                  !among(&rules->ignore, n->text, &at);
    for (size_t i = 0; i < rules->tolerance_count; i++)
        if (span_eq(rules->tolerances[i].name, n->text))
            n->tolerance = &rules->tolerances[i];
}

static struct record_name *make_name(struct record_reader *r, struct span text, uint64_t seed)
{
    struct record_name *n = arena_alloc(&r->names, sizeof *n);
    char *room = n ? arena_alloc(&r->names, JSON_QUOTED_MAX(text.n) + 1) : NULL;
    struct span kept = room ? arena_span(&r->names, text) : (struct span){NULL, 0};
    char *end;
    int at;

    if (!kept.p)
        return NULL;
    end = json_quote_at(kept, room);
    *end++ = ':';
    *n = (struct record_name){.text = kept, .begins = {room, (size_t)(end - room)}, .seed = seed};
    apply_rules(r->rules, n);
    if (among(&r->rules->named, kept, &at))
        r->met[at] = true;
    return n;
}

static int more_buckets(struct record_reader *r)
{
    size_t n = r->bucket_count ? 4 * r->bucket_count : FIRST_BUCKETS;
    struct record_name **more = calloc(n, sizeof *more);

    if (!more)
        return -1;
    for (size_t i = 0; i < r->bucket_count; i++)
        for (struct record_name *at = r->buckets[i], *next; at; at = next) {
            next = at->next;
            at->next = more[at->seed & (n - 1)];
            more[at->seed & (n - 1)] = at;
        }
    free(r->buckets);
    r->buckets = more;
    r->bucket_count = n;
    return 0;
}

/* NULL: no memory. */
static struct record_name *find_name(struct record_reader *r, struct span text)
{
    uint64_t seed = hash_seeded64(text.p, text.n, 0);
    struct record_name *n = r->buckets[seed & (r->bucket_count - 1)];

    while (n && !(n->seed == seed && span_eq(n->text, text)))
        n = n->next;
    if (n)
        return n;
    if (r->name_count >= r->bucket_count && more_buckets(r))
        return NULL;
    n = make_name(r, text, seed);
    if (!n)
        return NULL;
    n->next = r->buckets[seed & (r->bucket_count - 1)];
    r->buckets[seed & (r->bucket_count - 1)] = n;
    r->name_count++;
    return n;
}

/* Records that have their data in their names must not fill the memory with them. */
static void forget_names(struct record_reader *r)
{
    arena_reset(&r->names);
    memset(r->buckets, 0, r->bucket_count * sizeof *r->buckets);
    if (r->shape_room)
        memset(r->shape, 0, r->shape_room * sizeof *r->shape);
    r->name_count = 0;
}

static void begin_record(struct record_reader *r, struct record *out)
{
    if (r->name_count > NAMES_KEPT)
        forget_names(r);
    r->number++;
    r->why = NULL;
    r->offset = 0;
    if (r->keys.used)
        arena_reset(&r->keys);
    memset(r->parts, 0, r->rules->key.n * sizeof *r->parts);
    *out = (struct record){.value = 0};
}

int record_open(struct record_reader *r, const struct record_rules *rules)
{
    *r = (struct record_reader){.rules = rules};
    r->met = calloc(rules->named.n + 1, sizeof *r->met);
    return r->met ? more_buckets(r) : -1;
}

bool record_met(const struct record_reader *r, size_t at)
{
    return r->met[at];
}

void record_close(struct record_reader *r)
{
    free(r->met);
    json_end(&r->json);
    buf_free(&r->text);
    buf_free(&r->complaint);
    arena_free(&r->names);
    arena_free(&r->keys);
    free(r->buckets);
    free(r->shape);
    r->buckets = r->shape = NULL;
}

/* --- numbers ------------------------------------------------------------ */

/* digits * 10^exponent, without zeros at the end of the digits, of which there are at
 * most 19; a zero is all zeros. Whether a number is one of these does not depend on
 * how it is spelled. */
struct number {
    uint64_t digits;
    int32_t exponent;
    uint32_t negative;
};

struct digits {
    uint64_t value;
    int64_t zeros; /* behind it, not yet part of it */
    int count;     /* more than 19: too many */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *read_digits(const char *p, const char *end, struct digits *d)
{
    for (; p < end && is_digit(*p); p++) {
        if (*p == '0') {
            d->zeros += d->value != 0;
            continue;
        }
        if (d->zeros + 1 > 19 - d->count) {
            d->count = 20;
            continue;
        }
        d->count += (int)d->zeros + 1;
        for (; d->zeros; d->zeros--)
            d->value *= 10;
        d->value = 10 * d->value + (uint64_t)(*p - '0');
    }
    return p;
}

static const char *read_exponent(const char *p, const char *end, int64_t *out)
{
    bool negative = p < end && *p == '-';
    int64_t n = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return NULL;
    for (; p < end && is_digit(*p); p++)
        n = n < INT64_C(1000000000000) ? 10 * n + (*p - '0') : n;
    *out = negative ? -n : n;
    return p;
}

/* Where the JSON number at p ends, or NULL: it is none, or not one of these. */
static const char *read_number(const char *p, const char *end, struct number *n)
{
    struct digits d = {0, 0, 0};
    int64_t exponent = 0, fraction = 0;
    bool negative = p < end && *p == '-';
    const char *from;

    p += negative;
    from = p;
    p = read_digits(p, end, &d);
    if (p == from || (*from == '0' && p != from + 1))
        return NULL;
    if (p < end && *p == '.') {
        from = p + 1;
        p = read_digits(from, end, &d);
        fraction = p - from;
        if (!fraction)
            return NULL;
    }
    if (p < end && (*p | 32) == 'e')
        p = read_exponent(p + 1, end, &exponent);
    if (!p || d.count > 19)
        return NULL;
    *n = (struct number){0, 0, 0};
    if (!d.value)
        return p;
    exponent += d.zeros - fraction;
    if (exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
        return NULL;
    *n = (struct number){d.value, (int32_t)exponent, negative};
    return p;
}

/* --- values ------------------------------------------------------------- */

/* The one form of a value's bytes. */
struct form {
    struct span bytes;
    uint64_t as;
    union {
        struct number number;
        uint8_t digest[DIGEST_BYTES];
    } room;
};

static void form_number(const struct json_value *v, struct form *f)
{
    f->bytes = (struct span){(const char *)&f->room, sizeof f->room};
    if (read_number(v->raw.p, v->raw.p + v->raw.n, &f->room.number))
        return;
    f->as = as_large;
    digest_bytes(v->digest, f->room.digest);
}

/* text is where an escaped string is written to. */
static int form_value(const struct json_value *v, struct buf *text, struct form *f)
{
    *f = (struct form){.bytes = {"", 0}, .as = as_kind[v->kind]};
    if (v->kind == JSON_STRING) {
        text->len = 0;
        f->bytes = json_text(v, text);
        return f->bytes.p ? 0 : -1;
    }
    if (v->kind == JSON_NUMBER) {
        form_number(v, f);
    } else if (v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) {
        digest_bytes(v->digest, f->room.digest);
        f->bytes = (struct span){(const char *)&f->room, sizeof f->room};
    }
    return 0;
}

static bool form_instant(const struct json_value *v, const struct form *f, int64_t *us)
{
    if (v->kind == JSON_NUMBER)
        return !instant_number(v->raw, us);
    return v->kind == JSON_STRING && !instant_parse(f->bytes, us);
}

/* --- a record ----------------------------------------------------------- */

static int keep_part(struct record_reader *r, const struct record_name *n,
                     const struct json_value *v, const struct form *f)
{
    struct record_part *part = &r->parts[n->key];

    *part = (struct record_part){true, v->kind, v->raw};
    if (v->kind == JSON_STRING)
        part->text = v->escaped ? arena_span(&r->keys, f->bytes) : f->bytes;
    return part->text.p ? 0 : -1;
}

/* -1: no memory. */
static int absorb(struct record_reader *r, const struct record_name *n, const struct json_value *v,
                  struct record *out)
{
    struct form f;

    if (!n->compared && !n->ts && n->key < 0)
        return 0;
    if (form_value(v, &r->text, &f))
        return -1;
    if (n->key >= 0) {
        digest_add(&out->key, hash_seeded(f.bytes.p, f.bytes.n, f.as + (uint64_t)n->key));
        if (keep_part(r, n, v, &f))
            return -1;
    }
    if (n->ts)
        out->timed = form_instant(v, &f, &out->ts_us);
    if (!n->compared)
        return 0;
    if (n->ts && out->timed)
        out->value += hash_seeded64(&out->ts_us, sizeof out->ts_us, n->seed ^ as_instant);
    else
        out->value += hash_seeded64(f.bytes.p, f.bytes.n, n->seed ^ f.as);
    return 0;
}

static bool has_key(const struct record_reader *r)
{
    for (size_t i = 0; i < r->rules->key.n; i++)
        if (r->parts[i].present)
            return true;
    return false;
}

static enum record_result bad(struct record_reader *r, const char *why)
{
    r->why = why;
    r->offset = json_offset(&r->json);
    return why == json_no_memory ? RECORD_NO_MEMORY : RECORD_BAD;
}

static enum record_result bad_twice(struct record_reader *r, const struct json_value *name)
{
    int n = name->raw.n < 64 ? (int)name->raw.n : 64;

    while (n && (size_t)n < name->raw.n && ((unsigned char)name->raw.p[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    r->complaint.len = 0;
    if (buf_printf(&r->complaint, "%.*s is there twice", n, name->raw.p))
        return RECORD_NO_MEMORY;
    r->json.p = name->raw.p;
    return bad(r, r->complaint.data);
}

static enum record_result bad_key(struct record_reader *r)
{
    r->json.p = r->json.start;
    return bad(r, "it has no member of the key");
}

/* One more member; 1: taken. Else what came of the record is in rc. */
static int next_member(struct record_reader *r, bool *first, struct record_member *m,
                       enum record_result *rc)
{
    struct record_name *known;
    struct json_value name;
    struct span text;
    int got = json_member(&r->json, first, &name, &m->value);

    if (!got && !json_finish(&r->json)) {
        *rc = has_key(r) ? RECORD_OK : bad_key(r);
        return 0;
    }
    if (got <= 0) {
        *rc = bad(r, r->json.why);
        return -1;
    }
    *rc = RECORD_NO_MEMORY;
    r->text.len = 0;
    text = json_text(&name, &r->text);
    known = text.p ? find_name(r, text) : NULL;
    if (!known)
        return -1;
    if (known->seen == r->number) {
        *rc = bad_twice(r, &name);
        return -1;
    }
    known->seen = r->number;
    m->name = known;
    return 1;
}

enum record_result record_read_slowly(struct record_reader *r, struct span text, struct record *out)
{
    struct record_member m;
    enum record_result rc;
    bool first = true;

    begin_record(r, out);
    json_start(&r->json, text);
    if (json_open(&r->json))
        return bad(r, r->json.why);
    while (next_member(r, &first, &m, &rc) == 1)
        if (absorb(r, m.name, &m.value, out))
            return RECORD_NO_MEMORY;
    return rc;
}

/* --- short cuts --------------------------------------------------------- */

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* The quote that ends the string without escapes whose inside begins at p, or NULL. */
static const char *plain_end(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;

    for (;;) {
        size_t n;

        while (end - p >= 8) {
            uint64_t w, quote, slash;

            memcpy(&w, p, 8);
            quote = w ^ (ones * '"');
            slash = w ^ (ones * '\\');
            if ((w | (w - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
                high)
                break;
            p += 8;
        }
        while (p < end && (signed char)*p >= 0x20 && *p != '"' && *p != '\\')
            p++;
        if (p == end || *p == '\\' || (unsigned char)*p < 0x20)
            return NULL;
        if (*p == '"')
            return p;
        n = utf8_length(p, end);
        if (!n)
            return NULL;
        p += n;
    }
}

static const char *quick_string(const char *p, const char *end, struct json_value *v)
{
    const char *quote = plain_end(p + 1, end);

    if (!quote)
        return NULL;
    v->kind = JSON_STRING;
    v->escaped = false;
    v->raw = (struct span){p, (size_t)(quote + 1 - p)};
    return quote + 1;
}

static const char *quick_word(const char *p, const char *end, struct json_value *v)
{
    v->kind = *p == 'n' ? JSON_NULL : *p == 't' ? JSON_TRUE : JSON_FALSE;
    v->raw = span_of(json_kind_name(v->kind));
    if ((size_t)(end - p) < v->raw.n || memcmp(p, v->raw.p, v->raw.n) != 0)
        return NULL;
    return p + v->raw.n;
}

static const char *quick_nested(struct record_reader *r, const char *p, struct json_value *v)
{
    r->json.p = p;
    return json_value(&r->json, v) ? NULL : r->json.p;
}

static const char *quick_number(const char *p, const char *end, struct json_value *v)
{
    struct number n;
    const char *at = read_number(p, end, &n);

    if (!at)
        return NULL;
    v->kind = JSON_NUMBER;
    v->raw = (struct span){p, (size_t)(at - p)};
    return at;
}

static const char *quick_value(struct record_reader *r, const char *p, const char *end,
                               struct json_value *v)
{
    if (p == end)
        return NULL;
    if (*p == '"')
        return quick_string(p, end, v);
    if (*p == '-' || is_digit(*p))
        return quick_number(p, end, v);
    if (*p == '{' || *p == '[')
        return quick_nested(r, p, v);
    return quick_word(p, end, v);
}

static int more_shape(struct record_reader *r)
{
    size_t n = r->shape_room ? 2 * r->shape_room : 16;
    struct record_name **more = realloc(r->shape, n * sizeof(struct record_name *));

    if (!more)
        return -1;
    memset(more + r->shape_room, 0, (n - r->shape_room) * sizeof *more);
    r->shape = more;
    r->shape_room = n;
    return 0;
}

/* The name at p; most often that of the i-th member of the record before. */
static const char *quick_name(struct record_reader *r, size_t i, const char *p, const char *end,
                              struct record_name **out)
{
    struct record_name *n;
    const char *quote;

    if (i == r->shape_room && more_shape(r))
        return NULL;
    n = r->shape[i];
    if (!n || (size_t)(end - p) < n->begins.n || memcmp(p, n->begins.p, n->begins.n) != 0) {
        quote = p < end && *p == '"' ? plain_end(p + 1, end) : NULL;
        if (!quote)
            return NULL;
        n = find_name(r, (struct span){p + 1, (size_t)(quote - p - 1)});
        p = skip_space(quote + 1, end);
        if (!n || p == end || *p != ':')
            return NULL;
        r->shape[i] = n;
        p++;
    } else {
        p += n->begins.n;
    }
    *out = n;
    if (n->seen == r->number)
        return NULL;
    n->seen = r->number;
    return p;
}

/* Is this a record written plainly, on which both ways agree? */
static bool read_quickly(struct record_reader *r, struct span text, struct record *out)
{
    const char *p = text.p, *end = p + text.n;
    struct record_name *name;
    struct json_value v;

    begin_record(r, out);
    json_start(&r->json, text);
    p = skip_space(p, end);
    if (p == end || *p != '{')
        return false;
    for (size_t i = 0; p < end && (i ? *p == ',' : true); i++) {
        p = quick_name(r, i, skip_space(p + 1, end), end, &name);
        if (p)
            p = quick_value(r, skip_space(p, end), end, &v);
        if (!p || absorb(r, name, &v, out))
            return false;
        p = skip_space(p, end);
    }
    return p < end && *p == '}' && skip_space(p + 1, end) == end && has_key(r);
}

enum record_result record_read(struct record_reader *r, struct span text, struct record *out)
{
    return read_quickly(r, text, out) ? RECORD_OK : record_read_slowly(r, text, out);
}

/* --- members ------------------------------------------------------------ */

static int more_members(struct record_members *m)
{
    size_t n = m->room ? 2 * m->room : 32;
    struct record_member *more = realloc(m->at, n * sizeof *more);

    if (!more)
        return -1;
    m->at = more;
    m->room = n;
    return 0;
}

enum record_result record_list(struct record_reader *r, struct span text,
                               struct record_members *out, struct record *digests)
{
    struct record_member m;
    enum record_result rc;
    bool first = true;

    begin_record(r, digests);
    out->n = 0;
    json_start(&r->json, text);
    if (json_open(&r->json))
        return bad(r, r->json.why);
    while (next_member(r, &first, &m, &rc) == 1) {
        if ((out->n == out->room && more_members(out)) || absorb(r, m.name, &m.value, digests))
            return RECORD_NO_MEMORY;
        out->at[out->n++] = m;
    }
    return rc;
}

const struct record_member *record_find(const struct record_members *m, struct span name)
{
    for (size_t i = 0; i < m->n; i++)
        if (span_eq(m->at[i].name->text, name))
            return &m->at[i];
    return NULL;
}

/* DECIMAL_NONE: as if there were no tolerance. */
static enum decimal_result near(const struct record_tolerance *t, const struct json_value *a,
                                const struct json_value *b)
{
    if (!t || a->kind != JSON_NUMBER || b->kind != JSON_NUMBER)
        return DECIMAL_NONE;
    return t->part ? decimal_within_part(a->raw, b->raw, t->limit)
                   : decimal_within(a->raw, b->raw, t->limit);
}

static int same_value(const struct json_value *a, const struct form *x, const struct json_value *b,
                      const struct form *y)
{
    return a->kind == b->kind && x->as == y->as && span_eq(x->bytes, y->bytes);
}

static int same_time(const struct record_rules *rules, const struct json_value *v,
                     const struct form *x, const struct json_value *w, const struct form *y)
{
    int64_t a, b;

    if (!form_instant(v, x, &a) || !form_instant(w, y, &b))
        return -1;
    return (a < b ? b - a : a - b) <= rules->ts_tolerance_us;
}

int record_same(struct record_reader *r, const struct record_member *a,
                const struct record_member *b)
{
    struct buf other = {0};
    struct form x, y;
    int rc = -1;

    if (!a || !b)
        return a == b;
    if (form_value(&a->value, &r->text, &x) || form_value(&b->value, &other, &y)) {
        buf_free(&other);
        return -1;
    }
    if (a->name->ts)
        rc = same_time(r->rules, &a->value, &x, &b->value, &y);
    if (rc < 0) {
        rc = same_value(&a->value, &x, &b->value, &y);
        if (!rc)
            rc = near(a->name->tolerance, &a->value, &b->value);
        if (rc == DECIMAL_NONE)
            rc = 0;
    }
    buf_free(&other);
    return rc;
}

/* --- order -------------------------------------------------------------- */

static const char *number_order(struct span a, struct span b, int *order)
{
    struct number x, y;

    if (read_number(a.p, a.p + a.n, &x) && read_number(b.p, b.p + b.n, &y) && !x.exponent &&
        !y.exponent && !x.negative && !y.negative) {
        *order = x.digits < y.digits ? -1 : x.digits > y.digits;
        return NULL;
    }
    switch (decimal_order(a, b, order)) {
    case DECIMAL_NONE:
        return "a number of such size has no order here";
    case DECIMAL_NO_MEMORY:
        return json_no_memory;
    default:
        return NULL;
    }
}

static const char *part_order(const struct record_part *a, const struct record_part *b, int *order)
{
    if ((a->present && a->kind >= JSON_ARRAY) || (b->present && b->kind >= JSON_ARRAY))
        return "an array or object in a key has no order";
    if (!a->present || !b->present) {
        *order = (int)a->present - (int)b->present;
    } else if (a->kind != b->kind) {
        *order = a->kind < b->kind ? -1 : 1;
    } else if (a->kind == JSON_NUMBER) {
        return number_order(a->text, b->text, order);
    } else {
        *order = a->kind == JSON_STRING ? span_cmp(a->text, b->text) : 0;
    }
    return NULL;
}

const char *record_key_order(const struct record_part *a, const struct record_part *b, size_t parts,
                             int *order)
{
    const char *why = NULL;

    *order = 0;
    for (size_t i = 0; i < parts && !*order && !why; i++)
        why = part_order(&a[i], &b[i], order);
    return why;
}
