/* body: what a client sent, whole, as a file that can be read again.
 *
 * lighttpd hands a CGI program the body as a file without a name, once all of it is
 * there; others hand it a pipe, which is copied: a short one into memory, a long one
 * into a file without a name beside the store. */
#ifndef LIFEBOAT_HTTP_BODY_H
#define LIFEBOAT_HTTP_BODY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

#include <stdint.h>

enum { BODY_IN_MEMORY = 65536 };

struct body {
    int fd; /* at its start; the caller's own, or one of ours */
    int64_t size;
    int ours; /* fd, or -1 */
};

#define BODY_NONE                                                                                  \
    {                                                                                              \
        -1, 0, -1                                                                                  \
    }

/* Takes length bytes of fd. 1: they are there; 0: there are fewer, or more than a
 * file has; -1. */
int body_open(struct body *b, int fd, int64_t length, const char *beside, struct err *e);
void body_close(struct body *b);

/* All of it, appended and terminated. The caller has looked at size. */
int body_text(const struct body *b, struct buf *out, struct err *e);
int body_sha256(const struct body *b, char out[SHA256_TEXT], struct err *e);

#endif
