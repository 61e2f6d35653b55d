#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

int sha256_add(struct sha256 *h, const void *p, size_t n)
{
    if (!h->ctx) {
        h->ctx = EVP_MD_CTX_new();
        if (!h->ctx || !EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL))
            return -1;
    }
    return EVP_DigestUpdate(h->ctx, p, n) ? 0 : -1;
}

int sha256_text(struct sha256 *h, char out[SHA256_TEXT])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    int failed = sha256_add(h, "", 0) || !EVP_DigestFinal_ex(h->ctx, sum, &n);

    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
    if (failed)
        return -1;
    for (unsigned int i = 0; i < n && 2 * i + 2 < SHA256_TEXT; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
