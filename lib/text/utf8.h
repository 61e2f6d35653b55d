/* utf8: what is valid UTF-8 (RFC 3629: shortest form, no surrogates). */
#ifndef LIFEBOAT_UTF8_H
#define LIFEBOAT_UTF8_H

#include <stddef.h>

/* The length of the valid sequence at p, which is before end; 0 if there is
 * none. */
size_t utf8_length(const char *p, const char *end);

#endif
