/* hash: 128-bit digests that tell accidents apart.
 *
 * A struct digest is an XXH3-128 value (xxhash.com, frozen since 0.8.0). It
 * detects accidents, not forgery. Digests of parts are combined by
 * hash_pair (order counts) or digest_add (a sum modulo 2^128: order does not
 * count, repetition does). Bytes are the canonical, big-endian form. */
#ifndef LIFEBOAT_HASH_H
#define LIFEBOAT_HASH_H

#include <stddef.h>
#include <stdint.h>

struct digest {
    uint64_t lo, hi;
};

enum { DIGEST_BYTES = 16, DIGEST_TEXT = 33 };

struct digest hash_bytes(const void *p, size_t n);
struct digest hash_pair(struct digest a, struct digest b);
/* Of bytes whose meaning the seed says: other seeds, other digests. */
struct digest hash_seeded(const void *p, size_t n, uint64_t seed);
uint64_t hash_seeded64(const void *p, size_t n, uint64_t seed);
void digest_add(struct digest *sum, struct digest d);
int digest_eq(struct digest a, struct digest b);
void digest_bytes(struct digest d, uint8_t out[DIGEST_BYTES]);
struct digest digest_of_bytes(const uint8_t in[DIGEST_BYTES]);
/* 32 hex digits and a NUL. */
void digest_text(struct digest d, char out[DIGEST_TEXT]);

#endif
