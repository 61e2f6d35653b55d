/* hmac: HMAC-SHA-256 (RFC 2104), and comparing in constant time. */
#ifndef LIFEBOAT_HMAC_H
#define LIFEBOAT_HMAC_H

#include "base/buf.h"

#include <stdbool.h>

enum { HMAC_BYTES = 32, HMAC_KEY_MAX = 64 };

/* Of count parts as if they were one text. key is at most HMAC_KEY_MAX bytes. */
void hmac_of(struct span key, const struct span *parts, size_t count, uint8_t out[HMAC_BYTES]);

/* Takes as long wherever they differ. */
bool hmac_same(const void *a, const void *b, size_t n);

#endif
