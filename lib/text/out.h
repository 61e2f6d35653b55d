/* out: a file descriptor written in blocks of 64 KiB, no error ever lost.
 *
 * Once a write has failed, every later call fails with the same errno; EPIPE
 * means that the reader has left. The descriptor stays the caller's. */
#ifndef LIFEBOAT_OUT_H
#define LIFEBOAT_OUT_H

#include "base/buf.h"

struct out {
    int fd;
    int failed; /* errno of the first failed write, else 0 */
    struct buf buf;
    /* When set: sees every byte given, before it is written. 0, or -1. */
    int (*tap)(void *ctx, const void *p, size_t n);
    void *tap_ctx;
};

/* Return 0, or -1 with errno set. */
int out_add(struct out *o, const void *p, size_t n);
int out_flush(struct out *o);
/* Flushes and frees; the same result as out_flush. */
int out_close(struct out *o);

#endif
