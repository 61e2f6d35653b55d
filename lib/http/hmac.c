/* The plain functions of the library, for the reasons that base/sha256.c gives. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "http/hmac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

enum { BLOCK = 64 };

static void begin(SHA256_CTX *ctx, struct span key, uint8_t pad)
{
    uint8_t block[BLOCK] = {0};

    memcpy(block, key.p, key.n);
    for (int i = 0; i < BLOCK; i++)
        block[i] ^= pad;
    SHA256_Init(ctx);
    SHA256_Update(ctx, block, sizeof block);
    explicit_bzero(block, sizeof block);
}

void hmac_of(struct span key, const struct span *parts, size_t count, uint8_t out[HMAC_BYTES])
{
    SHA256_CTX ctx;

    begin(&ctx, key, 0x36);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&ctx, parts[i].p, parts[i].n);
    SHA256_Final(out, &ctx);
    begin(&ctx, key, 0x5c);
    SHA256_Update(&ctx, out, HMAC_BYTES);
    SHA256_Final(out, &ctx);
    explicit_bzero(&ctx, sizeof ctx);
}

bool hmac_same(const void *a, const void *b, size_t n)
{
    return !CRYPTO_memcmp(a, b, n);
}
