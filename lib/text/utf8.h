/* utf8: what is valid UTF-8 (RFC 3629: shortest form, no surrogates). */
#ifndef LIFEBOAT_UTF8_H
#define LIFEBOAT_UTF8_H

#include "base/buf.h"

#include <stddef.h>

/* The length of the valid sequence at p, which is before end; 0 if there is
 * none. */
size_t utf8_length(const char *p, const char *end);

/* Appends s, every byte that is not part of a valid sequence, and every NUL, as
 * U+FFFD; ends at about most bytes, between two characters. -1: no memory. */
int utf8_mend(struct span s, size_t most, struct buf *out);

#endif
