#include "text/json.h"

#include "text/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char json_no_memory[] = "out of memory";

/* Told apart by exclusive-or, so that "1", 1 and true differ. */
static const struct digest as_string = {0x6c62272e07bb0142u, 0x27d4eb2f165667c5u};
static const struct digest as_number = {0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu};
static const struct digest as_array = {0x165667b19e3779f9u, 0x85ebca77c2b2ae63u};

static struct digest tagged(struct digest d, struct digest tag)
{
    return (struct digest){d.lo ^ tag.lo, d.hi ^ tag.hi};
}

static int fail(struct json *j, const char *at, const char *why)
{
    j->p = at;
    j->why = why;
    return -1;
}

void json_start(struct json *j, struct span text)
{
    /* No text may come without a place; adding to NULL is undefined. */
    j->start = j->p = text.p ? text.p : "";
    j->end = j->p + text.n;
    j->why = NULL;
    j->spaced = false;
}

void json_end(struct json *j)
{
    buf_free(&j->scratch);
}

size_t json_offset(const struct json *j)
{
    return (size_t)(j->p - j->start);
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null",     "false",    "true",     "a number",
                                        "a string", "an array", "an object"};

    return names[kind];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct json *j)
{
    while (j->p < j->end && is_space(*j->p)) {
        j->spaced = true;
        j->p++;
    }
}

/* --- strings ------------------------------------------------------------ */

/* Passes eight bytes at a time while all are plain: no quote, no backslash,
 * no control, none beyond ASCII. */
static const char *skip_plain(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;

    while (end - p >= 8) {
        uint64_t w, quote, slash;

        memcpy(&w, p, 8);
        quote = w ^ (ones * '"');
        slash = w ^ (ones * '\\');
        if ((w | (w - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high)
            break;
        p += 8;
    }
    return p;
}

static int hex4(const char *p, const char *end, unsigned *out)
{
    unsigned v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (is_digit(c))
            v = v << 4 | (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v << 4 | (unsigned)((c | 32) - 'a' + 10);
        else
            return -1;
    }
    *out = v;
    return 0;
}

/* Checks the escape at p, which points at the backslash; returns its length,
 * or 0. */
static size_t escape_length(const char *p, const char *end)
{
    unsigned v;

    if (end - p < 2)
        return 0;
    if (p[1] == 'u')
        return hex4(p + 2, end, &v) ? 0 : 6;
    return strchr("\"\\/bfnrt", p[1]) && p[1] ? 2 : 0;
}

/* Scans the string whose opening quote is at j->p. */
static int scan_string(struct json *j, struct json_value *v)
{
    const char *begin = j->p, *p = begin + 1;

    v->kind = JSON_STRING;
    v->escaped = v->spaced = false;
    for (;;) {
        size_t n;

        p = skip_plain(p, j->end);
        if (p == j->end)
            return fail(j, begin, "a string that does not end");
        if (*p == '"')
            break;
        if ((unsigned char)*p < 0x20)
            return fail(j, p, "a control character in a string");
        if (*p == '\\') {
            v->escaped = true;
            n = escape_length(p, j->end);
            if (!n)
                return fail(j, p, "an escape that JSON does not have");
        } else {
            n = utf8_length(p, j->end);
            if (!n)
                return fail(j, p, "invalid UTF-8");
        }
        p += n;
    }
    j->p = p + 1;
    v->raw = (struct span){begin, (size_t)(j->p - begin)};
    return 0;
}

static size_t put_utf8(unsigned c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Writes what the checked escape at *p stands for, and passes it. */
static size_t resolve_escape(const char **p, const char *end, char *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *s = *p;
    unsigned high = 0, low; /* the digits have been checked */

    if (s[1] != 'u') {
        *p += 2;
        *out = values[strchr(names, s[1]) - names];
        return 1;
    }
    hex4(s + 2, end, &high);
    *p += 6;
    if (high >= 0xd800 && high < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' &&
        !hex4(*p + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
        *p += 6;
        return put_utf8(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), out);
    }
    return put_utf8(high, out);
}

struct span json_text(const struct json_value *v, struct buf *out)
{
    struct span in = {v->raw.p + 1, v->raw.n - 2};
    const char *p = in.p, *end = in.p + in.n;
    size_t from = out->len;

    if (!v->escaped)
        return in;
    /* An escape is never shorter than what it stands for. */
    if (buf_reserve(out, in.n + 1))
        return (struct span){NULL, 0};
    while (p < end) {
        if (*p == '\\')
            out->len += resolve_escape(&p, end, out->data + out->len);
        else
            out->data[out->len++] = *p++;
    }
    return (struct span){out->data + from, out->len - from};
}

struct digest json_digest_string(struct span s)
{
    return tagged(hash_bytes(s.p, s.n), as_string);
}

static int digest_string(struct json *j, struct json_value *v)
{
    struct span s;

    j->scratch.len = 0;
    s = json_text(v, &j->scratch);
    if (!s.p)
        return fail(j, v->raw.p, json_no_memory);
    v->digest = json_digest_string(s);
    return 0;
}

/* Is the escape at p one half of a pair, or no surrogate at all? Then *n is
 * the length of what belongs together. */
static bool well_paired(const char *p, const char *end, size_t *n)
{
    unsigned first, second;

    *n = escape_length(p, end);
    if (*n != 6 || hex4(p + 2, end, &first) || first < 0xd800 || first > 0xdfff)
        return true;
    if (first > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
        hex4(p + 8, end, &second) || second < 0xdc00 || second > 0xdfff)
        return false;
    *n = 12;
    return true;
}

int json_mend(struct span raw, struct buf *out)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t n;

        if (!slash)
            slash = end;
        if (buf_add(out, p, (size_t)(slash - p)))
            return -1;
        p = slash;
        if (p == end)
            break;
        if (well_paired(p, end, &n) ? buf_add(out, p, n) : buf_adds(out, "\\ufffd"))
            return -1;
        p += n;
    }
    return 0;
}

static bool lone_surrogate(const char *p, const char *end)
{
    return end - p >= 3 && (unsigned char)p[0] == 0xed && (unsigned char)p[1] >= 0xa0;
}

static char *put_escape(char *out, char c)
{
    *out++ = '\\';
    *out++ = c;
    return out;
}

static char *put_unicode_escape(char *out, unsigned c)
{
    static const char hex[] = "0123456789abcdef";

    out = put_escape(out, 'u');
    for (int shift = 12; shift >= 0; shift -= 4)
        *out++ = hex[c >> shift & 15];
    return out;
}

static char *quote_special(const char *p, char *out)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    unsigned char c = (unsigned char)*p;

    if (c == 0xed)
        return put_unicode_escape(out, 0xd000u | ((unsigned)p[1] & 0x3fu) << 6 |
                                           ((unsigned)p[2] & 0x3fu));
    for (const char *e = escapes; *e; e += 2)
        if (*e == *p)
            return put_escape(out, e[1]);
    return put_unicode_escape(out, c);
}

char *json_quote_at(struct span s, char *out)
{
    const char *p = s.p, *end = s.p + s.n;

    *out++ = '"';
    while (p < end) {
        const char *plain = skip_plain(p, end);

        memcpy(out, p, (size_t)(plain - p));
        out += plain - p;
        for (p = plain; p < end && p < plain + 8; p++) {
            bool lone = lone_surrogate(p, end);

            if (!lone && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) {
                *out++ = *p;
                continue;
            }
            out = quote_special(p, out);
            p += lone ? 2 : 0;
        }
    }
    *out++ = '"';
    return out;
}

int json_quote(struct span s, struct buf *out)
{
    if (s.n > SIZE_MAX / 8 || buf_reserve(out, JSON_QUOTED_MAX(s.n)))
        return -1;
    out->len = (size_t)(json_quote_at(s, out->data + out->len) - out->data);
    return 0;
}

/* Room in the arena for what is no longer than raw. */
static int room_in(const struct json_value *v, struct arena *a, struct buf *room)
{
    *room = (struct buf){.data = arena_alloc(a, v->raw.n), .cap = v->raw.n};
    return room->data ? 0 : -1;
}

struct span json_text_in(const struct json_value *v, struct arena *a)
{
    struct buf room = {0};

    if (v->escaped && room_in(v, a, &room))
        return (struct span){NULL, 0};
    return json_text(v, &room);
}

struct span json_compact_in(const struct json_value *v, struct arena *a)
{
    struct buf room;

    if (!v->spaced)
        return v->raw;
    if (room_in(v, a, &room) || json_compact(v->raw, &room))
        return (struct span){NULL, 0};
    return (struct span){room.data, room.len};
}

/* --- numbers ------------------------------------------------------------ */

struct number {
    bool negative, exponent_negative;
    struct span whole, fraction, exponent; /* digits only */
};

static struct span digits_at(const char **p, const char *end)
{
    const char *from = *p;

    while (*p < end && is_digit(**p))
        ++*p;
    return (struct span){from, (size_t)(*p - from)};
}

static int split_number(struct json *j, struct number *n)
{
    const char *p = j->p;

    *n = (struct number){0};
    if (p < j->end && *p == '-') {
        n->negative = true;
        p++;
    }
    n->whole = digits_at(&p, j->end);
    if (!n->whole.n)
        return fail(j, p, "a number without digits");
    if (n->whole.n > 1 && n->whole.p[0] == '0')
        return fail(j, n->whole.p, "a number that begins with 0");
    if (p < j->end && *p == '.') {
        p++;
        n->fraction = digits_at(&p, j->end);
        if (!n->fraction.n)
            return fail(j, p, "a number that ends at its point");
    }
    if (p < j->end && (*p | 32) == 'e') {
        p++;
        if (p < j->end && (*p == '+' || *p == '-'))
            n->exponent_negative = *p++ == '-';
        n->exponent = digits_at(&p, j->end);
        if (!n->exponent.n)
            return fail(j, p, "a number without digits in its exponent");
    }
    j->p = p;
    return 0;
}

static struct span without_leading_zeros(struct span s)
{
    while (s.n && s.p[0] == '0') {
        s.p++;
        s.n--;
    }
    return s;
}

/* Adds shift to the decimal digits of a number far greater than it. */
static void add_to_digits(char *digits, size_t n, int64_t shift)
{
    for (size_t i = n; i-- > 0 && shift;) {
        int64_t d = digits[i] - '0' + shift % 10;

        shift /= 10;
        if (d < 0) {
            d += 10;
            shift--;
        } else if (d > 9) {
            d -= 10;
            shift++;
        }
        digits[i] = (char)('0' + d);
    }
}

/* Appends the exponent of a number moved by shift, in one spelling only. */
static int put_exponent(const struct number *n, int64_t shift, struct buf *out)
{
    struct span e = without_leading_zeros(n->exponent);
    int64_t small = 0;
    size_t at;

    if (e.n <= 17) {
        for (size_t i = 0; i < e.n; i++)
            small = small * 10 + (e.p[i] - '0');
        return buf_addi(out, (n->exponent_negative ? -small : small) + shift);
    }
    if (n->exponent_negative && buf_addc(out, '-'))
        return -1;
    /* One digit in front takes the carry and goes again if there is none. */
    at = out->len;
    if (buf_addc(out, '0') || buf_add(out, e.p, e.n))
        return -1;
    add_to_digits(out->data + at, e.n + 1, n->exponent_negative ? -shift : shift);
    while (out->len - at > 1 && out->data[at] == '0') {
        memmove(out->data + at, out->data + at + 1, out->len - at - 1);
        out->len--;
    }
    return 0;
}

/* The one spelling of a number's value: its digits without zeros at either
 * end, "e", the exponent; "0" for zero. */
static int normalise(const struct number *n, struct buf *out)
{
    size_t from, end;
    int64_t shift = -(int64_t)n->fraction.n;

    out->len = 0;
    if (buf_addc(out, n->negative ? '-' : '+'))
        return -1;
    if (buf_add(out, n->whole.p, n->whole.n) || buf_add(out, n->fraction.p, n->fraction.n))
        return -1;
    for (from = 1; from < out->len && out->data[from] == '0'; from++)
        ;
    if (from == out->len) {
        out->len = 0;
        return buf_addc(out, '0');
    }
    for (end = out->len; out->data[end - 1] == '0'; end--)
        shift++;
    memmove(out->data + 1, out->data + from, end - from);
    out->len = 1 + end - from;
    return buf_addc(out, 'e') || put_exponent(n, shift, out);
}

static struct digest digest_of_normal(const struct buf *b)
{
    return tagged(hash_bytes(b->data, b->len), as_number);
}

static int scan_number(struct json *j, struct json_value *v)
{
    const char *begin = j->p;
    struct number n;

    if (split_number(j, &n))
        return -1;
    v->kind = JSON_NUMBER;
    v->spaced = v->escaped = false;
    v->raw = (struct span){begin, (size_t)(j->p - begin)};
    if (normalise(&n, &j->scratch))
        return fail(j, begin, json_no_memory);
    v->digest = digest_of_normal(&j->scratch);
    return 0;
}

struct digest json_digest_int(int64_t n)
{
    char text[24], normal[48];
    size_t len = (size_t)snprintf(text, sizeof text, "%+lld", (long long)n), zeros = 0;

    if (n == 0)
        return tagged(hash_bytes("0", 1), as_number);
    while (text[len - 1 - zeros] == '0')
        zeros++;
    len = (size_t)snprintf(normal, sizeof normal, "%.*se%zu", (int)(len - zeros), text, zeros);
    return tagged(hash_bytes(normal, len), as_number);
}

/* The digits of s as an integer times ten to the power zeros, if it fits. */
static int to_int(struct span digits, int64_t zeros, bool negative, int64_t *out)
{
    int64_t v = 0;

    for (size_t i = 0; i < digits.n + (size_t)zeros; i++) {
        int64_t d = i < digits.n ? digits.p[i] - '0' : 0;

        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v))
            return -1;
    }
    if (!negative && v == INT64_MIN)
        return -1;
    *out = negative ? v : -v;
    return 0;
}

int json_int(const struct json_value *v, int64_t *out)
{
    struct json j = {.start = v->raw.p, .p = v->raw.p, .end = v->raw.p + v->raw.n};
    struct number n;
    struct buf b = {0};
    char *e;
    long zeros;
    int rc = -1;

    if (v->kind != JSON_NUMBER || split_number(&j, &n))
        return -1;
    if (!n.fraction.n && !n.exponent.n)
        return to_int(n.whole, 0, n.negative, out);
    if (normalise(&n, &b) || buf_term(&b)) {
        buf_free(&b);
        return -1;
    }
    e = memchr(b.data, 'e', b.len);
    zeros = e ? strtol(e + 1, NULL, 10) : 0;
    if (!e) {
        *out = 0;
        rc = 0;
    } else if (zeros >= 0 && zeros < 20) {
        rc = to_int((struct span){b.data + 1, (size_t)(e - b.data - 1)}, zeros, n.negative, out);
    }
    buf_free(&b);
    return rc;
}

/* --- values ------------------------------------------------------------- */

void json_digest_member(struct digest *sum, struct digest name, struct digest value)
{
    digest_add(sum, hash_pair(name, value));
}

struct digest json_digest_object(struct digest sum, uint64_t members)
{
    return hash_pair(sum, (struct digest){members, '{'});
}

static int scan_word(struct json *j, struct json_value *v)
{
    static const struct {
        const char *word;
        size_t n;
    } words[] = {[JSON_NULL] = {"null", 4}, [JSON_FALSE] = {"false", 5}, [JSON_TRUE] = {"true", 4}};

    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if ((size_t)(j->end - j->p) < words[k].n || memcmp(j->p, words[k].word, words[k].n))
            continue;
        v->kind = (enum json_kind)k;
        v->spaced = v->escaped = false;
        v->raw = (struct span){j->p, words[k].n};
        v->digest = hash_bytes(words[k].word, words[k].n);
        j->p += words[k].n;
        return 0;
    }
    return fail(j, j->p, "not a JSON value");
}

static int scan_scalar(struct json *j, struct json_value *v)
{
    if (j->p == j->end)
        return fail(j, j->p, "the text ends where a value should be");
    if (*j->p == '"')
        return scan_string(j, v) || digest_string(j, v) ? -1 : 0;
    if (*j->p == '-' || is_digit(*j->p))
        return scan_number(j, v);
    return scan_word(j, v);
}

/* An array or object that has been opened and not yet closed. */
struct frame {
    struct digest sum, name;
    uint64_t count;
    const char *begin;
    bool object;
};

static bool at_char(const struct json *j, char c)
{
    return j->p < j->end && *j->p == c;
}

static int scan_name(struct json *j, struct json_value *name)
{
    skip_space(j);
    if (!at_char(j, '"'))
        return fail(j, j->p, "a member without a name in quotes");
    if (scan_string(j, name))
        return -1;
    skip_space(j);
    if (!at_char(j, ':'))
        return fail(j, j->p, "a name without a colon behind it");
    j->p++;
    return 0;
}

static int frame_name(struct json *j, struct frame *f)
{
    struct json_value name;

    if (scan_name(j, &name) || digest_string(j, &name))
        return -1;
    f->name = name.digest;
    return 0;
}

static void frame_add(struct frame *f, struct digest value)
{
    f->count++;
    if (f->object)
        json_digest_member(&f->sum, f->name, value);
    else
        f->sum = hash_pair(f->sum, value);
}

static struct digest frame_digest(const struct frame *f)
{
    if (f->object)
        return json_digest_object(f->sum, f->count);
    return tagged(f->sum, as_array);
}

/* Opens the array or object at j->p. Returns 1 if its first value follows,
 * 0 if it is empty (j->p at its closing bracket), -1 on failure. */
static int frame_open(struct json *j, struct frame *stack, int *depth)
{
    struct frame *f;

    if (*depth == JSON_DEPTH)
        return fail(j, j->p, "nested deeper than 200 levels");
    f = &stack[(*depth)++];
    *f = (struct frame){.begin = j->p, .object = *j->p == '{'};
    j->p++;
    skip_space(j);
    if (at_char(j, f->object ? '}' : ']'))
        return 0;
    return f->object && frame_name(j, f) ? -1 : 1;
}

/* After a value: closes what closes here. Returns 1 if another value
 * follows, 0 when the outermost one is complete, -1 on failure. */
static int frames_close(struct json *j, struct frame *stack, int *depth, struct json_value *v)
{
    while (*depth) {
        struct frame *f = &stack[*depth - 1];

        skip_space(j);
        if (at_char(j, ',')) {
            j->p++;
            return f->object && frame_name(j, f) ? -1 : 1;
        }
        if (!at_char(j, f->object ? '}' : ']'))
            return fail(j, j->p,
                        j->p == j->end ? "the text ends inside an array or object"
                        : f->object    ? "neither a comma nor a closing brace"
                                       : "neither a comma nor a closing bracket");
        j->p++;
        v->kind = f->object ? JSON_OBJECT : JSON_ARRAY;
        v->raw = (struct span){f->begin, (size_t)(j->p - f->begin)};
        v->digest = frame_digest(f);
        if (--*depth)
            frame_add(&stack[*depth - 1], v->digest);
    }
    return 0;
}

/* One value that is not inside a frame yet; adds it to the innermost one. */
static int next_value(struct json *j, struct frame *stack, int *depth, struct json_value *v)
{
    int more = 1;

    while (more == 1) {
        skip_space(j);
        if (at_char(j, '{') || at_char(j, '[')) {
            more = frame_open(j, stack, depth);
            if (more == 1)
                continue;
        } else {
            more = scan_scalar(j, v);
            if (!more && *depth)
                frame_add(&stack[*depth - 1], v->digest);
        }
        if (!more)
            more = frames_close(j, stack, depth, v);
    }
    return more;
}

int json_value(struct json *j, struct json_value *v)
{
    struct frame stack[JSON_DEPTH];
    int depth = 0;

    skip_space(j);
    j->spaced = false;
    v->escaped = false;
    if (next_value(j, stack, &depth, v))
        return -1;
    v->spaced = j->spaced;
    return 0;
}

int json_finish(struct json *j)
{
    skip_space(j);
    return j->p == j->end ? 0 : fail(j, j->p, "something behind the value");
}

int json_whole(struct json *j, struct span text, struct json_value *v)
{
    json_start(j, text);
    return json_value(j, v) || json_finish(j) ? -1 : 0;
}

/* Passes the bracket. */
static int open_with(struct json *j, char bracket, const char *why)
{
    skip_space(j);
    if (!at_char(j, bracket))
        return fail(j, j->p, why);
    j->p++;
    return 0;
}

/* Passes the closing bracket, 0, or the comma before the next: 1. */
static int pass_comma(struct json *j, bool *first, char bracket, const char *ends, const char *why)
{
    skip_space(j);
    if (at_char(j, bracket)) {
        j->p++;
        return 0;
    }
    if (!*first) {
        if (!at_char(j, ','))
            return fail(j, j->p, j->p == j->end ? ends : why);
        j->p++;
    }
    *first = false;
    return 1;
}

int json_open(struct json *j)
{
    return open_with(j, '{', "not an object");
}

int json_member(struct json *j, bool *first, struct json_value *name, struct json_value *v)
{
    int rc = pass_comma(j, first, '}', "the text ends inside an object",
                        "neither a comma nor a closing brace");

    if (rc != 1)
        return rc;
    return scan_name(j, name) || json_value(j, v) ? -1 : 1;
}

int json_array(struct json *j)
{
    return open_with(j, '[', "not an array");
}

int json_element(struct json *j, bool *first, struct json_value *v)
{
    int rc = pass_comma(j, first, ']', "the text ends inside an array",
                        "neither a comma nor a closing bracket");

    return rc != 1 ? rc : json_value(j, v) ? -1 : 1;
}

int json_compact(struct span raw, struct buf *out)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    if (buf_reserve(out, raw.n))
        return -1;
    while (p < end) {
        const char *from = p;

        if (*p != '"') {
            if (!is_space(*p))
                out->data[out->len++] = *p;
            p++;
            continue;
        }
        for (p++; *p != '"'; p++)
            p += *p == '\\';
        p++;
        memcpy(out->data + out->len, from, (size_t)(p - from));
        out->len += (size_t)(p - from);
    }
    return 0;
}
