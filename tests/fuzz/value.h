/* value: JSON as trees, plain and slow: what the fuzz targets hold lib/text
 * against. Of lib it uses nothing but struct buf to write into.
 *
 * A tree is made by value_parse only; it points into its text. Memory comes
 * from one pool, which value_reset empties. */
#ifndef FUZZ_VALUE_H
#define FUZZ_VALUE_H

#include "base/buf.h"

#include <stdbool.h>

enum value_kind { V_NULL, V_FALSE, V_TRUE, V_NUMBER, V_STRING, V_ARRAY, V_OBJECT };

struct value {
    enum value_kind kind;
    struct span raw; /* as it stands in the text */
    /* A number is 0.DIGITS times ten to the power of exponent + shift; its
     * digits have no zero at either end, and zero has none at all. */
    bool negative, exponent_negative;
    char *digits;
    size_t ndigits;
    struct span exponent;
    int64_t shift;
    /* A string's code points, or lone surrogates. */
    uint32_t *chars;
    size_t nchars;
    /* Elements, or members; names are strings. */
    struct value **items, **names;
    size_t count, room;
};

void value_reset(void);

/* NULL if the text is not what lifeboat-event(5) takes for a JSON value. */
struct value *value_parse(struct span text);

/* text, in the pool. */
struct span value_keep(struct span text);
struct value *value_copy(const struct value *v);
void value_add(struct value *v, struct value *name, struct value *item);

/* Same content, as lifeboat-event(5) says under Digest. */
bool value_equal(const struct value *a, const struct value *b);

/* Objects with the same names in the same order, all else with the same bytes. */
bool value_spelled_alike(const struct value *a, const struct value *b);

/* The value of an integer, in any spelling, that fits. */
bool value_int(const struct value *v, int64_t *n);

/* Decisions: the fuzzer's bytes; behind them numbers made from seed, or, if
 * that is 0, nothing but zeros. */
struct dice {
    const uint8_t *p, *end;
    uint64_t seed;
};

unsigned roll(struct dice *d, unsigned sides);

/* Appends a JSON text grown from decisions. */
void value_grow(struct dice *d, int depth, struct buf *out);
/* Appends v in some spelling. */
void value_spell(const struct value *v, struct dice *d, struct buf *out);
/* Changes something in v, as a rule so that it is not equal any more. */
void value_change(struct value *v, struct dice *d);

/* Ends the run: what was found, and the texts it was found with. */
_Noreturn void value_found(const char *what, struct span a, struct span b);

#endif
