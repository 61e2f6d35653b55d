/* Same content: two JSON texts, as anything at all or grown from the input,
 * the second one often the first in another spelling or with a change. They
 * have one digest exactly when the slow comparison (value.h) finds them equal;
 * and what text/json.h accepts, and what it makes of a text, is what it says. */
#include "text/json.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long pairs, equal, spelled, changed, refused;

static void report(void)
{
    fprintf(stderr,
            "stat::canon: %lu pairs: %lu equal, %lu not (%lu spelled anew, %lu changed), "
            "%lu texts refused\n",
            pairs, equal, pairs - equal, spelled, changed, refused);
}

static struct digest digest_of(struct span text)
{
    struct json j = {0};
    struct json_value v;

    if (json_whole(&j, text, &v))
        value_found("refused", text, span_of(j.why));
    json_end(&j);
    return v.digest;
}

/* Of a text that something made: the same content as in the text it was made of. */
static void check_made(const char *what, struct span from, struct span made, const struct value *v)
{
    const struct value *again = value_parse(made);

    if (!again || !value_equal(v, again) || !digest_eq(digest_of(from), digest_of(made)))
        value_found(what, from, made);
}

static void check_string(const struct json_value *v, const struct value *tree)
{
    struct buf text = {0}, quoted = {0};
    struct span s = json_text(v, &text);

    if (json_quote(s, &quoted))
        abort();
    check_made("quoted otherwise", v->raw, (struct span){quoted.data, quoted.len}, tree);
    if (!digest_eq(json_digest_string(s), v->digest))
        value_found("a string's text has another digest", v->raw, s);
    buf_free(&text);
    buf_free(&quoted);
}

static void check_int(const struct json_value *v, const struct value *tree)
{
    char text[24] = "none";
    int64_t n, wanted;
    bool is_int = value_int(tree, &wanted);

    if (json_int(v, &n) == is_int || (is_int && n != wanted))
        value_found("another integer", v->raw, span_of(text));
    if (!is_int)
        return;
    snprintf(text, sizeof text, "%lld", (long long)n);
    if (!digest_eq(json_digest_int(n), v->digest))
        value_found("an integer has another digest", v->raw, span_of(text));
}

/* Lone surrogates become U+FFFD; nothing else changes. */
static void mend(struct value *v)
{
    for (size_t i = 0; i < v->nchars; i++)
        if (v->chars[i] >= 0xd800 && v->chars[i] < 0xe000)
            v->chars[i] = 0xfffd;
    for (size_t i = 0; i < v->count; i++) {
        if (v->names[i])
            mend(v->names[i]);
        mend(v->items[i]);
    }
}

static void check_mended(struct span text)
{
    struct value *wanted = value_parse(text), *got;
    struct buf mended = {0};

    mend(wanted);
    if (json_mend(text, &mended))
        abort();
    got = value_parse((struct span){mended.data, mended.len});
    if (!got || !value_equal(wanted, got))
        value_found("mended wrongly", text, (struct span){mended.data, mended.len});
    buf_free(&mended);
}

/* The text's tree, or NULL; json_whole must agree, and so must what is made of
 * the text. */
static struct value *check_text(struct span text)
{
    struct value *tree = value_parse(text);
    struct json j = {0};
    struct json_value v;
    struct buf compact = {0};

    if (json_whole(&j, text, &v)) {
        refused++;
        if (tree || !j.why || json_offset(&j) > text.n)
            value_found("refused", text, span_of(j.why ? j.why : ""));
        json_end(&j);
        return NULL;
    }
    json_end(&j);
    if (!tree || (int)v.kind != (int)tree->kind || !span_eq(v.raw, tree->raw))
        value_found("accepted", text, v.raw);
    if (json_compact(v.raw, &compact))
        abort();
    check_made("not the same without white space", text, (struct span){compact.data, compact.len},
               tree);
    if (v.spaced != (compact.len < v.raw.n))
        value_found("white space", text, (struct span){compact.data, compact.len});
    buf_free(&compact);
    check_mended(text);
    if (v.kind == JSON_STRING)
        check_string(&v, tree);
    if (v.kind == JSON_NUMBER)
        check_int(&v, tree);
    return tree;
}

static void check_pair(struct span a, struct span b, const struct value *left,
                       const struct value *right)
{
    bool same = value_equal(left, right);

    pairs++;
    equal += same;
    if (digest_eq(digest_of(a), digest_of(b)) != same)
        value_found(same ? "equal, with two digests" : "not equal, with one digest", a, b);
}

/* The second text of a pair; of seed 0 it is another text, of one that is even
 * the first one spelled anew, of one that is odd with a change besides. */
static void second_text(struct span first, struct dice *rest, uint64_t seed, struct buf *out)
{
    struct dice d = {.seed = seed * 0x9e3779b97f4a7c15u};
    struct value *copy = value_parse(first);

    if (!seed) {
        value_grow(rest, 0, out);
        return;
    }
    if (seed & 1)
        value_change(copy, &d);
    *(seed & 1 ? &changed : &spelled) += 1;
    value_spell(copy, &d, out);
}

/* Byte 0: 0 for two texts with a NUL between them, 1 for one, else it grows.
 * Bytes 1 and 2: the seed of the second one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf grown = {0}, other = {0};
    struct span a, b = {NULL, 0};
    struct dice d = {.p = data + 3, .end = data + size};
    const struct value *left, *right;
    uint64_t seed;

    if (size < 4)
        return 0;
    if (!pairs && !refused)
        atexit(report);
    value_reset();
    seed = data[1] * 256u + data[2];
    a = (struct span){(const char *)d.p, size - 3};
    if (data[0] == 0 && memchr(a.p, 0, a.n)) {
        b.p = (const char *)memchr(a.p, 0, a.n) + 1;
        b.n = (size_t)(a.p + a.n - b.p);
        a.n -= b.n + 1;
    } else if (data[0] > 1) {
        value_grow(&d, 0, &grown);
        a = (struct span){grown.data, grown.len};
    }
    left = check_text(a);
    if (left && !b.p) {
        second_text(a, &d, seed, &other);
        b = (struct span){other.data, other.len};
        right = check_text(b);
        if (seed && (!right || (seed % 2 == 0 && !value_equal(left, right))))
            value_found("spelled wrongly: mend value.c", a, b);
    } else {
        right = b.p ? check_text(b) : NULL;
    }
    if (left && right)
        check_pair(a, b, left, right);
    buf_free(&grown);
    buf_free(&other);
    return 0;
}
