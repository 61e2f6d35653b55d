/* decimal: numbers as JSON spells them, compared digit by digit.
 *
 * Nothing goes through a double: 0.1 is a tenth, and 9007199254740993 is not the number
 * before it. Exponents beyond DECIMAL_EXPONENT_MAX have more digits than anybody wrote
 * down: such numbers are not compared with a tolerance. Pure. */
#ifndef LIFEBOAT_DECIMAL_H
#define LIFEBOAT_DECIMAL_H

#include "base/buf.h"

enum { DECIMAL_EXPONENT_MAX = 4096 };

enum decimal_result {
    DECIMAL_NONE = -2, /* one of them is no number, or too large for this */
    DECIMAL_NO_MEMORY = -1,
    DECIMAL_FAR,
    DECIMAL_NEAR
};

/* Is |a - b| <= tolerance, which is not negative? */
enum decimal_result decimal_within(struct span a, struct span b, struct span tolerance);

/* Is |a - b| <= tolerance * max(|a|, |b|)? */
enum decimal_result decimal_within_part(struct span a, struct span b, struct span tolerance);

/* Which is the greater: *order is -1, 0 or 1. DECIMAL_NEAR: it could be told. */
enum decimal_result decimal_order(struct span a, struct span b, int *order);

#endif
