/* child: another program, fed and read at the same time.
 *
 * The program is run without a shell, looked for in PATH; its three streams
 * are pipes, its signals as at the start of any program. Feeding and reading
 * are one poll loop, so neither side can block the other. It is waited for
 * until its streams are closed, which a grandchild may put off.
 *
 *     struct child c = {.argv = argv, .ctx = &mine, .feed = feed, .line = line};
 *     rc = child_run(&c, &e);
 *
 * Callbacks return -1 (e set) to end the run; the child is then ended with
 * TERM, and with KILL two seconds later. So it is when its time is over, and when
 * TERM, INT or HUP asks this program to stop: EX_TEMPFAIL. A callback that leaves by other ways
 * (exit) has child_end called first. */
#ifndef LIFEBOAT_CHILD_H
#define LIFEBOAT_CHILD_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CHILD_COMPLAINT = 512 };

struct child {
    /* set by the caller */
    char *const *argv;
    char *const *env; /* "NAME=value" before those inherited; NULL: none */
    void *ctx;
    /* Appends to out, which is empty, what the child reads next; some 64 KiB
     * a call serve well. 1: more may come; 0: that was all. NULL: no input.
     * It may block; the child's output waits meanwhile. */
    int (*feed)(void *ctx, struct buf *out, struct err *e);
    /* One line of output without its LF; a last one without LF counts too. */
    int (*line)(void *ctx, struct span line, struct err *e);
    int64_t limit_ms; /* it may take so long; 0: as long as it likes */

    /* of the end */
    int status;                       /* exit status, 128+n after signal n */
    char complaint[CHILD_COMPLAINT];  /* the first line of its stderr, or "" */
    char last_words[CHILD_COMPLAINT]; /* the last line of it, the same where it is the only one */
    bool timed_out;                   /* it was ended for its time was over */

    /* inside */
    pid_t pid;
    int in, out, err; /* descriptors, -1 when closed */
    struct buf feeding, reading, complaining;
    size_t fed, scanned;
    bool last_fed, cut_short;
    int64_t until; /* of the boot clock */
};

/* 0: it read all its input and ended with 0. 1: it ran, but did not do that;
 * e says how (EX_UNAVAILABLE), status or timed_out is set. -1: it could not be run (69), a
 * callback failed, or a signal asked to stop. In any case it is gone. */
int child_run(struct child *c, struct err *e);

/* Ends it if it runs, and frees. Harmless at any time, within a callback as
 * well, after which child_run must not be returned to. */
void child_end(struct child *c);

#endif
