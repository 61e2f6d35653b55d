#include "base/hash.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

struct digest hash_bytes(const void *p, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(n ? p : "", n);

    return (struct digest){h.low64, h.high64};
}

struct digest hash_seeded(const void *p, size_t n, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(n ? p : "", n, seed);

    return (struct digest){h.low64, h.high64};
}

uint64_t hash_seeded64(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(n ? p : "", n, seed);
}

struct digest hash_pair(struct digest a, struct digest b)
{
    uint8_t both[2 * DIGEST_BYTES];

    digest_bytes(a, both);
    digest_bytes(b, both + DIGEST_BYTES);
    return hash_bytes(both, sizeof both);
}

void digest_add(struct digest *sum, struct digest d)
{
    sum->lo += d.lo;
    sum->hi += d.hi + (sum->lo < d.lo);
}

int digest_eq(struct digest a, struct digest b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

static void put_be64(uint64_t v, uint8_t *out)
{
    v = htobe64(v);
    memcpy(out, &v, sizeof v);
}

static uint64_t get_be64(const uint8_t *in)
{
    uint64_t v;

    memcpy(&v, in, sizeof v);
    return be64toh(v);
}

void digest_bytes(struct digest d, uint8_t out[DIGEST_BYTES])
{
    put_be64(d.hi, out);
    put_be64(d.lo, out + 8);
}

struct digest digest_of_bytes(const uint8_t in[DIGEST_BYTES])
{
    return (struct digest){get_be64(in + 8), get_be64(in)};
}

void digest_text(struct digest d, char out[DIGEST_TEXT])
{
    snprintf(out, DIGEST_TEXT, "%016llx%016llx", (unsigned long long)d.hi,
             (unsigned long long)d.lo);
}
