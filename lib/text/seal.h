/* seal: the last line of a sealed export, and the proof that what stands
 * before it is whole.
 *
 *     {"lifeboat_end":{"count":N,"sha256":"…","from":"CURSOR","to":"CURSOR"}}
 *
 * count is the number of events, sha256 that of all preceding lines as
 * written, LF included. Pure but for the digest library's memory. */
#ifndef LIFEBOAT_SEAL_H
#define LIFEBOAT_SEAL_H

#include "base/buf.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stdint.h>

enum { SEAL_CURSOR_MAX = 64 };

struct seal {
    uint64_t count;
    char sha256[SHA256_TEXT];
    char from[SEAL_CURSOR_MAX], to[SEAL_CURSOR_MAX];
};

/* Appends the line, LF included. */
int seal_write(const struct seal *s, struct buf *out);

/* Reads a line that may be a seal: 1 it is, 0 it is another, -1 it begins as
 * one but is malformed; why says how. */
int seal_read(struct span line, struct seal *s, const char **why);

/* A cursor's control line: {"lifeboat_cursor":"…"}. Same results. */
int seal_read_cursor(struct span line, char out[SEAL_CURSOR_MAX]);

/* Checking an input as it goes by. All zeros is ready. */
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

/* At the end: is the input sealed once, at its very end, and unbroken?
 * Otherwise why says what is wrong. */
bool seal_check_whole(struct seal_check *c);
void seal_check_free(struct seal_check *c);

#endif
