/* sealcheck: is an input whole, by the seal at its end (text/seal.h)?
 *
 * Every line goes through seal_check_line as the input is read. */
#ifndef LIFEBOAT_SEALCHECK_H
#define LIFEBOAT_SEALCHECK_H

#include "base/buf.h"
#include "base/sha256.h"
#include "text/line.h"
#include "text/seal.h"

#include <stdbool.h>
#include <stdint.h>

/* All zeros is ready. */
struct seal_check {
    struct sha256 hash;
    uint64_t count; /* events since the start, or since the last seal */
    uint64_t seals;
    uint64_t after;   /* bytes behind the last seal */
    struct seal last; /* the last seal seen */
    bool broken;
    char why[160];
};

/* Every line as it stands in the input, its ending included; is_seal says
 * that text is a control line. -1: out of memory. A seal that does not match
 * sets broken and why. */
int seal_check_line(struct seal_check *c, struct span raw, struct span text, bool is_control);

/* The same for a line, or a piece of one, as a reader hands it out. */
int seal_check_read(struct seal_check *c, const struct line *l);

/* At the end: is the input sealed once, at its very end, and unbroken?
 * Otherwise why says what is wrong. */
bool seal_check_whole(struct seal_check *c);
void seal_check_free(struct seal_check *c);

#endif
