/* batch: event lines taken together, to be stored in one transaction.
 *
 * A batch ends at BATCH_ROWS lines, when the reader's buffer is full (8 MiB),
 * or when no complete line is waiting: a pipe that trickles is durable line
 * by line, a pipe that floods is fast. Lines are parsed while the gate is
 * open to others. Everything a batch hands out is valid until the next
 * batch_fill. */
#ifndef LIFEBOAT_BATCH_H
#define LIFEBOAT_BATCH_H

#include "base/arena.h"
#include "core/event.h"
#include "text/line.h"

enum {
    BATCH_ROWS = 10000,
    BATCH_HOLD_MS = 40, /* how long to keep the gate while others wait at it */
    BATCH_WORK_MS = 5   /* of that, what is for the batch however long a commit takes */
};

struct batch_item {
    struct line line;
    struct event event;
};

/* What the owner does with lines that are no events. Returns -1 (e set) to
 * end the run, 0 to go on, 1 to end this batch here. */
struct batch_hooks {
    void *ctx;
    /* Every line or piece of one, before anything else. May be NULL. */
    int (*raw)(void *ctx, const struct line *l, struct err *e);
    /* A line that begins with a lifeboat_ member. NULL: passed over. */
    int (*control)(void *ctx, const struct line *l, struct err *e);
    /* A line, or a piece of an over-long one, that is not an event. */
    int (*reject)(void *ctx, const struct line *l, const struct event_fault *f, struct err *e);
};

struct batch {
    struct batch_item *items;
    size_t count, cap;
    struct arena arena;
    struct event_parser parser;
    struct line_reader *reader;
    const struct batch_hooks *hooks;
    bool ended; /* no more input */
};

void batch_open(struct batch *b, const struct batch_hooks *hooks);
void batch_close(struct batch *b);
/* The next input; the reader stays the caller's. */
void batch_input(struct batch *b, struct line_reader *r);

/* Waits for a line, then takes what else is there. 0 with count 0 and ended
 * set at the end of the input; count 0 without it: a signal, or control lines
 * only. -1: the input cannot be read, or a hook said so. */
int batch_fill(struct batch *b, struct err *e);

#endif
