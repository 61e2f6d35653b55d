#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 64 << 20, DEPTH = 200 };

static _Alignas(16) char pool[POOL];
static size_t used;

static void *take(size_t n)
{
    void *p = pool + used;

    used += (n + 15) & ~(size_t)15;
    if (used > POOL)
        value_found("the pool is too small", (struct span){"", 0}, (struct span){"", 0});
    memset(p, 0, n);
    return p;
}

void value_reset(void)
{
    used = 0;
}

void value_found(const char *what, struct span a, struct span b)
{
    fprintf(stderr, "%s\n  %.*s\n  %.*s\n", what, (int)a.n, a.p, (int)b.n, b.p);
    abort();
}

/* --- reading -------------------------------------------------------------- */

struct text {
    const char *p, *end;
};

static struct value *parse(struct text *t, int depth);

static void white(struct text *t)
{
    while (t->p < t->end && memchr(" \t\r\n", *t->p, 4))
        t->p++;
}

static bool pass(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool pass_word(struct text *t, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n))
        return false;
    t->p += n;
    return true;
}

static int hex(struct text *t)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int n = 0;

    for (int i = 0; i < 4; i++) {
        const char *at = t->p < t->end ? memchr(digits, *t->p, 32) : NULL;

        if (!at)
            return -1;
        n = n * 16 + (int)(at - digits) % 16;
        t->p++;
    }
    return n;
}

/* The number of bytes by the first one; then the character is put together
 * and must be one that needs that many. */
static int utf8(struct text *t)
{
    static const int least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*t->p++;
    int n = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    int v = n == 1 ? c : c & (0xff >> (n + 1));

    if (!n)
        return -1;
    for (int i = 1; i < n; i++) {
        if (t->p == t->end || ((unsigned char)*t->p & 0xc0) != 0x80)
            return -1;
        v = v << 6 | (*t->p++ & 0x3f);
    }
    return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? -1 : v;
}

static int character(struct text *t)
{
    static const char names[] = "\"\\/bfnrt", stand_for[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if ((unsigned char)*t->p < 0x20)
        return -1;
    if (!pass(t, '\\'))
        return utf8(t);
    if (t->p == t->end)
        return -1;
    if (pass(t, 'u'))
        return hex(t);
    at = memchr(names, *t->p++, 8);
    return at ? stand_for[at - names] : -1;
}

/* Two halves that stand together are one character. */
static void join_pairs(struct value *v)
{
    size_t n = 0;

    for (size_t i = 0; i < v->nchars; i++) {
        uint32_t c = v->chars[i], next = i + 1 < v->nchars ? v->chars[i + 1] : 0;

        if (c >> 10 == 0xd800 >> 10 && next >> 10 == 0xdc00 >> 10) {
            c = 0x10000 + (c - 0xd800) * 0x400 + (next - 0xdc00);
            i++;
        }
        v->chars[n++] = c;
    }
    v->nchars = n;
}

static bool parse_string(struct text *t, struct value *v)
{
    const char *quote;

    if (!pass(t, '"'))
        return false;
    v->kind = V_STRING;
    /* Room enough: up to the quote that ends it, or one that is escaped. */
    for (quote = t->p; quote < t->end && *quote != '"'; quote++)
        quote += *quote == '\\' && quote + 1 < t->end;
    v->chars = take((size_t)(quote - t->p) * sizeof *v->chars);
    while (t->p < t->end && *t->p != '"') {
        int c = character(t);

        if (c < 0)
            return false;
        v->chars[v->nchars++] = (uint32_t)c;
    }
    join_pairs(v);
    return pass(t, '"');
}

static struct span digits(struct text *t)
{
    const char *from = t->p;

    while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
        t->p++;
    return (struct span){from, (size_t)(t->p - from)};
}

static bool parse_number(struct text *t, struct value *v)
{
    struct span whole, part = {"", 0};

    v->kind = V_NUMBER;
    v->negative = pass(t, '-');
    whole = digits(t);
    if (!whole.n || (whole.p[0] == '0' && whole.n > 1))
        return false;
    if (pass(t, '.') && !(part = digits(t)).n)
        return false;
    if (pass(t, 'e') || pass(t, 'E')) {
        v->exponent_negative = pass(t, '-');
        if (!v->exponent_negative)
            pass(t, '+');
        v->exponent = digits(t);
        if (!v->exponent.n)
            return false;
    }
    v->digits = take(whole.n + part.n + 1);
    memcpy(v->digits, whole.p, whole.n);
    memcpy(v->digits + whole.n, part.p, part.n);
    v->ndigits = whole.n + part.n;
    v->shift = (int64_t)whole.n;
    while (v->ndigits && v->digits[v->ndigits - 1] == '0')
        v->ndigits--;
    while (v->ndigits && v->digits[0] == '0') {
        v->digits++;
        v->ndigits--;
        v->shift--;
    }
    return true;
}

void value_add(struct value *v, struct value *name, struct value *item)
{
    if (v->count == v->room) {
        struct value **items = v->items, **names = v->names;

        v->room = 2 * v->room + 2;
        v->items = take(v->room * sizeof(struct value *));
        v->names = take(v->room * sizeof(struct value *));
        for (size_t i = 0; i < v->count; i++) {
            v->items[i] = items[i];
            v->names[i] = names[i];
        }
    }
    v->names[v->count] = name;
    v->items[v->count++] = item;
}

static bool parse_items(struct text *t, struct value *v, int depth, char end)
{
    v->kind = end == '}' ? V_OBJECT : V_ARRAY;
    if (depth == DEPTH)
        return false;
    white(t);
    if (pass(t, end))
        return true;
    do {
        struct value *name = NULL, *item;

        if (v->kind == V_OBJECT) {
            name = take(sizeof *name);
            white(t);
            if (!parse_string(t, name))
                return false;
            white(t);
            if (!pass(t, ':'))
                return false;
        }
        item = parse(t, depth + 1);
        if (!item)
            return false;
        value_add(v, name, item);
        white(t);
    } while (pass(t, ','));
    return pass(t, end);
}

static struct value *parse(struct text *t, int depth)
{
    struct value *v = take(sizeof *v);
    bool ok;

    white(t);
    v->raw.p = t->p;
    if (t->p == t->end)
        return NULL;
    if (*t->p == '"')
        ok = parse_string(t, v);
    else if (*t->p == '-' || (*t->p >= '0' && *t->p <= '9'))
        ok = parse_number(t, v);
    else if (pass(t, '{'))
        ok = parse_items(t, v, depth, '}');
    else if (pass(t, '['))
        ok = parse_items(t, v, depth, ']');
    else {
        v->kind = *t->p == 'n' ? V_NULL : *t->p == 't' ? V_TRUE : V_FALSE;
        ok = pass_word(t, "null") || pass_word(t, "true") || pass_word(t, "false");
    }
    v->raw.n = (size_t)(t->p - v->raw.p);
    return ok ? v : NULL;
}

struct value *value_parse(struct span s)
{
    struct text t = {s.p, s.p + s.n};
    struct value *v = parse(&t, 0);

    white(&t);
    return t.p == t.end ? v : NULL;
}

struct span value_keep(struct span text)
{
    char *p = take(text.n + 1);

    memcpy(p, text.p ? text.p : "", text.n);
    return (struct span){p, text.n};
}

struct value *value_copy(const struct value *v)
{
    struct value *copy = take(sizeof *copy);

    *copy = *v;
    copy->items = copy->names = NULL;
    copy->count = copy->room = 0;
    for (size_t i = 0; i < v->count; i++)
        value_add(copy, v->names[i], value_copy(v->items[i]));
    return copy;
}

/* --- comparing ------------------------------------------------------------- */

/* Adds to a number of width digits, the last first, in ten's complement. */
static void add(char *sum, size_t width, struct span n, bool minus)
{
    int carry = minus;

    for (size_t i = 0; i < width; i++) {
        int digit = i < n.n ? n.p[n.n - 1 - i] - '0' : 0;

        carry += sum[i] + (minus ? 9 - digit : digit);
        sum[i] = (char)(carry % 10);
        carry /= 10;
    }
}

/* The power of ten, moved by more, in that form. */
static char *power(const struct value *v, int64_t more, size_t width)
{
    char *sum = take(width), small[24];
    int64_t shift = v->shift + more;

    add(sum, width, v->exponent, v->exponent_negative);
    snprintf(small, sizeof small, "%lld", (long long)(shift < 0 ? -shift : shift));
    add(sum, width, span_of(small), shift < 0);
    return sum;
}

static bool same_number(const struct value *a, const struct value *b)
{
    size_t width = (a->exponent.n > b->exponent.n ? a->exponent.n : b->exponent.n) + 24;
    size_t mark = used;
    bool same;

    if (a->ndigits != b->ndigits || memcmp(a->digits, b->digits, a->ndigits))
        return false;
    same = !a->ndigits ||
           (a->negative == b->negative && !memcmp(power(a, 0, width), power(b, 0, width), width));
    used = mark;
    return same;
}

bool value_int(const struct value *v, int64_t *n)
{
    char *sum = power(v, -(int64_t)v->ndigits, v->exponent.n + 24), text[48] = "";
    size_t zeros = (size_t)sum[0] + 10 * (size_t)sum[1];

    *n = 0;
    if (!v->ndigits)
        return v->kind == V_NUMBER;
    for (size_t i = 2; i < v->exponent.n + 24; i++)
        zeros += sum[i] ? 100 : 0; /* far too many, or negative */
    if (v->kind != V_NUMBER || v->ndigits + zeros > 19)
        return false;
    snprintf(text, sizeof text, "%s%.*s%.*s", v->negative ? "-" : "", (int)v->ndigits, v->digits,
             (int)zeros, "0000000000000000000");
    errno = 0;
    *n = strtoll(text, NULL, 10);
    return !errno;
}

/* Members in any order, each matched by one of the other. */
static bool same_members(const struct value *a, const struct value *b)
{
    size_t mark = used, matched = 0;
    bool *taken = take(b->count + 1);

    for (size_t i = 0, k = 0; i < a->count && k < b->count; i++) {
        for (k = 0; k < b->count; k++)
            if (!taken[k] && value_equal(a->names[i], b->names[k]) &&
                value_equal(a->items[i], b->items[k]))
                break;
        if (k < b->count)
            taken[k] = true;
        matched += k < b->count;
    }
    used = mark;
    return matched == a->count;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == V_NUMBER)
        return same_number(a, b);
    if (a->kind == V_STRING)
        return a->nchars == b->nchars &&
               (!a->nchars || !memcmp(a->chars, b->chars, a->nchars * sizeof *a->chars));
    if (a->kind == V_OBJECT)
        return same_members(a, b);
    for (size_t i = 0; i < a->count; i++)
        if (!value_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

bool value_spelled_alike(const struct value *a, const struct value *b)
{
    if (a->kind != V_OBJECT)
        return a->kind == b->kind && span_eq(a->raw, b->raw);
    if (b->kind != V_OBJECT || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!value_equal(a->names[i], b->names[i]) ||
            !value_spelled_alike(a->items[i], b->items[i]))
            return false;
    return true;
}

/* --- decisions -------------------------------------------------------------- */

unsigned roll(struct dice *d, unsigned sides)
{
    if (d->p < d->end)
        return *d->p++ % sides;
    /* xorshift64* */
    d->seed ^= d->seed >> 12;
    d->seed ^= d->seed << 25;
    d->seed ^= d->seed >> 27;
    return (unsigned)((d->seed * 0x2545f4914f6cdd1du) >> 32) % sides;
}

static const char *pick(struct dice *d, const char *const *list, unsigned n)
{
    return list[roll(d, n)];
}
#define PICK(d, list) pick(d, list, sizeof(list) / sizeof *(list))

/* --- growing ---------------------------------------------------------------- */

static void grow_number(struct dice *d, struct buf *out)
{
    /* Around where an exponent stops being a machine's number. */
    static const char *const exponents[] = {
        "",
        "",
        "",
        "e0",
        "e-0",
        "e1",
        "e-1",
        "E+2",
        "e007",
        "e-007",
        "e10",
        "e-10",
        "e999",
        "e-1000",
        "e99999999999999999",
        "e-99999999999999999",
        "e100000000000000000",
        "e-100000000000000000",
        "e9999999999999999999999",
        "e-9999999999999999999999",
        "e0010000000000000000000000",
        "e-0010000000000000000000000",
        "e-00000000000000000000000",
    };
    unsigned n = roll(d, 4);

    if (roll(d, 4) == 0)
        buf_addc(out, '-');
    buf_addc(out, n ? "159"[roll(d, 3)] : '0');
    for (unsigned i = 1; i < n; i++)
        buf_addc(out, "0019"[roll(d, 4)]);
    n = roll(d, 4);
    if (n)
        buf_addc(out, '.');
    for (unsigned i = 0; i < n; i++)
        buf_addc(out, "0019"[roll(d, 4)]);
    buf_adds(out, PICK(d, exponents));
}

static void grow_string(struct dice *d, unsigned most, struct buf *out)
{
    static const char *const bytes[] = {"\xc1\x80",         "\xc2\x80",         "\xdf\xc0",
                                        "\xe0\x9f\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
                                        "\xed\xa0\x80",     "\xed\xbf\xbf",     "\xef\xbf\xbf",
                                        "\xf0\x8f\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80", "\xf8\x90\x80\x80", "\x80",
                                        "\xe2\x82",         "\xf0\x9f\x98",     "\t"};
    static const char *const pieces[] = {
        "a",
        "b",
        "1",
        "\\u0061",
        "\xc3\xa9",
        "\\u00e9",
        "\\u00E9",
        "\\ud83d",
        "\\ude00",
        "\\uD83D",
        "\\ud800",
        "\\udbff",
        "\\udc00",
        "\\udfff",
        "\\n",
        "\\u000a",
        "\\\"",
        "\\u0022",
        "\\\\",
        "\\u005c",
        "/",
        "\\/",
        "\\u0000",
        "\x7f",
        "\xe2\x82\xac",
        "\\u20ac",
        "\xf0\x9f\x98\x80",
        "plain text of some length",
    };

    buf_addc(out, '"');
    for (unsigned n = roll(d, most + 1); n; n--)
        buf_adds(out, PICK(d, pieces));
    for (unsigned n = roll(d, 32) / 28; n; n--) /* often not UTF-8 */
        buf_adds(out, PICK(d, bytes));
    buf_addc(out, '"');
}

static void grow_items(struct dice *d, int depth, bool object, struct buf *out)
{
    unsigned n = roll(d, depth ? 4 : 7);
    size_t from = 0, to = 0;

    buf_addc(out, object ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        if (i && roll(d, 4) == 3) { /* the same again */
            for (size_t at = from; at < to; at++)
                buf_addc(out, out->data[at]);
            continue;
        }
        from = out->len;
        if (object) {
            grow_string(d, 1, out);
            buf_addc(out, ':');
        }
        value_grow(d, depth + 1, out);
        to = out->len;
    }
    buf_addc(out, object ? '}' : ']');
}

static void grow_deep(struct dice *d, struct buf *out)
{
    unsigned n = DEPTH - 2 + roll(d, 5);
    bool object = roll(d, 2);

    for (unsigned i = 0; i < n; i++)
        buf_adds(out, object ? "{\"a\":" : "[");
    grow_number(d, out);
    for (unsigned i = 0; i < n; i++)
        buf_addc(out, object ? '}' : ']');
}

void value_grow(struct dice *d, int depth, struct buf *out)
{
    static const char *const words[] = {"null", "false", "true"};
    unsigned kind = roll(d, depth < 5 ? 8 : 4);

    if (!depth && roll(d, 64) == 63)
        grow_deep(d, out);
    else if (kind == 0)
        buf_adds(out, PICK(d, words));
    else if (kind < 3)
        grow_number(d, out);
    else if (kind == 3)
        grow_string(d, 3, out);
    else
        grow_items(d, depth, kind > 5, out);
}

/* --- spelling --------------------------------------------------------------- */

static void spell_space(struct dice *d, struct buf *out)
{
    if (roll(d, 8) == 0)
        buf_addc(out, " \t\r\n"[roll(d, 4)]);
}

static void spell_unit(unsigned c, struct dice *d, struct buf *out)
{
    buf_printf(out, roll(d, 2) ? "\\u%04x" : "\\u%04X", c);
}

static void spell_raw(uint32_t c, struct buf *out)
{
    if (c < 0x80) {
        buf_addc(out, (char)c);
        return;
    }
    if (c >= 0x10000) {
        buf_addc(out, (char)(0xf0 | c >> 18));
        buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
    } else if (c >= 0x800) {
        buf_addc(out, (char)(0xe0 | c >> 12));
    }
    buf_addc(out, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
    buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

static void spell_character(uint32_t c, struct dice *d, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", stand_for[] = "\"\\/\b\f\n\r\t";
    const char *at = c && c < 0x80 ? strchr(stand_for, (int)c) : NULL;

    if (at && roll(d, 2)) {
        buf_addc(out, '\\');
        buf_addc(out, names[at - stand_for]);
    } else if (c >> 11 != 0xd800 >> 11 && c >= 0x20 && c != '"' && c != '\\' && roll(d, 4)) {
        spell_raw(c, out);
    } else if (c < 0x10000) {
        spell_unit(c, d, out);
    } else {
        spell_unit(0xd800 + ((c - 0x10000) >> 10), d, out);
        spell_unit(0xdc00 + (c & 0x3ff), d, out);
    }
}

static void spell_string(const struct value *v, struct dice *d, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < v->nchars; i++)
        spell_character(v->chars[i], d, out);
    buf_addc(out, '"');
}

/* The exponent of v when its point stands after the first "place" digits; not
 * at all if that is 0 and the dice say so. */
static void spell_exponent(const struct value *v, int64_t place, struct dice *d, struct buf *out)
{
    size_t width = v->exponent.n + 24, n = width;
    char *sum = power(v, -place, width), *zero = take(width);
    bool minus = sum[width - 1] == 9;

    if (minus) {
        char *sum_of_digits = take(width);

        /* As text with the first digit first, taken from nothing. */
        for (size_t i = 0; i < width; i++)
            sum_of_digits[i] = (char)('0' + sum[width - 1 - i]);
        add(zero, width, (struct span){sum_of_digits, width}, true);
        sum = zero;
    }
    while (n && !sum[n - 1])
        n--;
    if (!n && roll(d, 2))
        return;
    buf_addc(out, "eE"[roll(d, 2)]);
    if (minus || (!n && roll(d, 2)))
        buf_addc(out, '-');
    else if (roll(d, 2))
        buf_addc(out, '+');
    for (unsigned zeros = n ? roll(d, 3) : 1 + roll(d, 3); zeros; zeros--)
        buf_addc(out, '0');
    while (n--)
        buf_addc(out, (char)('0' + sum[n]));
}

static void put_zeros(int64_t n, struct buf *out)
{
    while (n-- > 0)
        buf_addc(out, '0');
}

static int small_exponent(const struct value *v)
{
    int n = 0;

    for (size_t i = 0; i < v->exponent.n; i++)
        n = 10 * n + v->exponent.p[i] - '0';
    return v->exponent_negative ? -n : n;
}

static void spell_number(const struct value *v, struct dice *d, struct buf *out)
{
    static const char *const zeros[] = {
        "0", "-0", "0.00", "-0.0e1", "0e-0", "0E+7", "0e99999999999999999999"};
    bool plain = v->exponent.n < 3 && v->shift > -99 && v->shift < 99 && roll(d, 2);
    int64_t place = (int64_t)roll(d, (unsigned)v->ndigits + 6) - 3, n = (int64_t)v->ndigits, more;

    if (!n) {
        buf_adds(out, PICK(d, zeros));
        return;
    }
    if (plain) /* no exponent needed */
        place = v->shift + small_exponent(v);
    more = roll(d, 3);
    if (v->negative)
        buf_addc(out, '-');
    if (place <= 0) {
        buf_adds(out, "0.");
        put_zeros(-place, out);
        buf_add(out, v->digits, (size_t)n);
        put_zeros(more, out);
    } else {
        buf_add(out, v->digits, (size_t)(place < n ? place : n));
        put_zeros(place - n, out);
        if (place < n || more)
            buf_addc(out, '.');
        if (place < n)
            buf_add(out, v->digits + place, (size_t)(n - place));
        put_zeros(more, out);
    }
    spell_exponent(v, place, d, out);
}

static void spell_items(const struct value *v, struct dice *d, struct buf *out)
{
    size_t *order = take((v->count + 1) * sizeof *order);

    for (size_t i = 0; i < v->count; i++) {
        size_t k = v->kind == V_OBJECT ? roll(d, (unsigned)i + 1) : i;

        order[i] = order[k];
        order[k] = i;
    }
    for (size_t i = 0; i < v->count; i++) {
        if (i)
            buf_addc(out, ',');
        spell_space(d, out);
        if (v->kind == V_OBJECT) {
            spell_string(v->names[order[i]], d, out);
            spell_space(d, out);
            buf_addc(out, ':');
        }
        value_spell(v->items[order[i]], d, out);
    }
}

void value_spell(const struct value *v, struct dice *d, struct buf *out)
{
    static const char *const words[] = {"null", "false", "true"};

    spell_space(d, out);
    if (v->kind == V_NUMBER) {
        spell_number(v, d, out);
    } else if (v->kind == V_STRING) {
        spell_string(v, d, out);
    } else if (v->kind == V_ARRAY || v->kind == V_OBJECT) {
        buf_addc(out, v->kind == V_ARRAY ? '[' : '{');
        spell_items(v, d, out);
        buf_addc(out, v->kind == V_ARRAY ? ']' : '}');
    } else {
        buf_adds(out, words[v->kind]);
    }
    spell_space(d, out);
}

/* --- changing --------------------------------------------------------------- */

static void change_number(struct value *v, struct dice *d)
{
    char *digits = take(v->ndigits + 2);

    memcpy(digits, v->digits, v->ndigits);
    if (!v->ndigits) {
        *v = (struct value){.kind = V_NUMBER, .digits = digits, .ndigits = 1, .shift = roll(d, 3)};
        digits[0] = '1';
        return;
    }
    v->digits = digits;
    switch (roll(d, 6)) {
    case 0:
        v->negative = !v->negative;
        break;
    case 1:
        v->shift += roll(d, 2) ? 1 : -1;
        break;
    case 2:
        v->exponent_negative = !v->exponent_negative;
        break;
    case 3:
        v->exponent.n /= 2;
        break;
    case 4: /* one digit more: at the end, or with a zero between */
        digits[v->ndigits++] = '1';
        break;
    default:
        digits[roll(d, (unsigned)v->ndigits)] = "12"[digits[0] == '1'];
    }
}

static void change_string(struct value *v, struct dice *d)
{
    static const uint32_t others[] = {0, 'a', '1', 0xe9, 0xd800, 0xdc00, 0xfffd, 0x1f600};
    uint32_t *chars = take((v->nchars + 1) * sizeof *chars), other = others[roll(d, 8)];
    size_t at = v->nchars ? roll(d, (unsigned)v->nchars) : 0;

    for (size_t i = 0; i < v->nchars; i++)
        chars[i] = v->chars[i];
    v->chars = chars;
    if (v->nchars && roll(d, 3) == 0) {
        chars[at] = chars[--v->nchars];
        return;
    }
    if (!v->nchars || roll(d, 2))
        at = v->nchars++;
    chars[at] = other;
}

static void change_items(struct value *v, struct dice *d)
{
    size_t at, to;
    struct value *item;

    if (!v->count) {
        v->kind = v->kind == V_ARRAY ? V_OBJECT : V_ARRAY;
        return;
    }
    at = roll(d, (unsigned)v->count);
    to = roll(d, (unsigned)v->count);
    item = v->items[at];
    switch (roll(d, 5)) {
    case 0: /* one less */
        v->items[at] = v->items[v->count - 1];
        v->names[at] = v->names[--v->count];
        break;
    case 1: /* one twice */
        value_add(v, v->names[at], item);
        break;
    case 2: /* two values change places, their names do not */
        v->items[at] = v->items[to];
        v->items[to] = item;
        break;
    case 3:
        if (v->kind == V_OBJECT)
            change_string(v->names[at], d);
        break;
    default: /* all that are like one become like another */
        for (size_t i = 0; i < v->count; i++)
            if (i != at && value_equal(v->items[i], item) &&
                (v->kind == V_ARRAY || value_equal(v->names[i], v->names[at]))) {
                v->items[i] = v->items[to];
                v->names[i] = v->names[to];
            }
        v->items[at] = v->items[to];
        v->names[at] = v->names[to];
    }
}

/* What stands there in quotes. */
static void quote(struct value *v)
{
    uint32_t *chars = take((v->raw.n + 1) * sizeof *chars);

    for (size_t i = 0; i < v->raw.n; i++)
        chars[i] = (unsigned char)v->raw.p[i];
    *v = (struct value){.kind = V_STRING, .raw = v->raw, .chars = chars, .nchars = v->raw.n};
}

void value_change(struct value *v, struct dice *d)
{
    while (v->count && roll(d, 4))
        v = v->items[roll(d, (unsigned)v->count)];
    if (v->kind == V_ARRAY || v->kind == V_OBJECT)
        change_items(v, d);
    else if (v->kind == V_STRING)
        change_string(v, d);
    else if (roll(d, 4) == 0)
        quote(v);
    else if (v->kind == V_NUMBER)
        change_number(v, d);
    else
        v->kind = (enum value_kind)((v->kind + 1 + roll(d, 2)) % 3);
}
