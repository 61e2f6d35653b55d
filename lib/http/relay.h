/* relay: a command of the toolkit does the work, and its output is the answer.
 *
 * Output goes on to the client as it comes, through a pipe and without a copy where
 * the kernel can do that; or it is collected, if it is known to be short. What the
 * command says on stderr goes to ours, and its first line is kept. */
#ifndef LIFEBOAT_RELAY_H
#define LIFEBOAT_RELAY_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { RELAY_COMPLAINT = 512, RELAY_COLLECT_MAX = 4 << 20 };

struct relay {
    /* set by the caller */
    char *const *argv; /* argv[0] is looked for in PATH */
    int in;            /* its standard input; -1: none */
    int out;           /* where its output goes; -1: into collected */
    bool to_the_end;   /* neither a signal nor a client that left ends it */
    void *ctx;
    int (*begin)(void *ctx, struct err *e); /* before the first byte of output goes out */

    /* of the end */
    struct buf collected;
    int status; /* exit status, 128+n after signal n */
    int64_t bytes;
    char complaint[RELAY_COMPLAINT]; /* without the program's name; "" if it was silent */
};

/* 0: it ran to its end, whatever that was. -1: it could not be run, or was ended
 * (EX_TEMPFAIL: by a signal to us; EX_IOERR: its reader has left). */
int relay_run(struct relay *r, struct err *e);
void relay_free(struct relay *r);

#endif
