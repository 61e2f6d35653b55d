/* The plain functions, which newer versions of the library call deprecated: the
 * EVP ones need thousands of allocations to begin, and crash when some fail. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha256.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

int sha256_add(struct sha256 *h, const void *p, size_t n)
{
    if (!h->ctx) {
        h->ctx = malloc(sizeof(SHA256_CTX));
        if (!h->ctx)
            return -1;
        SHA256_Init(h->ctx);
    }
    SHA256_Update(h->ctx, p, n);
    return 0;
}

int sha256_text(struct sha256 *h, char out[SHA256_TEXT])
{
    unsigned char sum[SHA256_DIGEST_LENGTH];

    if (sha256_add(h, "", 0))
        return -1;
    SHA256_Final(sum, h->ctx);
    free(h->ctx);
    h->ctx = NULL;
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
