/* sha256: the SHA-256 of a stream.
 *
 * A struct sha256 of all zeros is ready; sha256_text ends the stream,
 * frees what it holds and makes it ready for the next. Returns -1 when the
 * library cannot (out of memory). */
#ifndef LIFEBOAT_SHA256_H
#define LIFEBOAT_SHA256_H

#include <stddef.h>

enum { SHA256_TEXT = 65 };

struct sha256 {
    void *ctx;
};

int sha256_add(struct sha256 *h, const void *p, size_t n);
int sha256_text(struct sha256 *h, char out[SHA256_TEXT]);

#endif
