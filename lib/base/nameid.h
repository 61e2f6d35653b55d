/* nameid: ids that follow from texts, and from no other ones. */
#ifndef LIFEBOAT_NAMEID_H
#define LIFEBOAT_NAMEID_H

#include "base/sha256.h"

#include <stdint.h>

enum { NAMEID_TEXT = 37 };

/* The SHA-256 of the texts, ended by NULL, each with its NUL: "a", "bc" is not "ab", "c". */
int nameid_hash(const char *const *texts, char out[SHA256_TEXT]);

/* A UUID of version 8 (RFC 9562 section 5.8) made of that hash. Both return -1 when the
 * library cannot (out of memory). */
int nameid_uuid(const char *const *texts, char out[static NAMEID_TEXT]);

#endif
