/* deliver: sends what waits in an outbox, once, as far as that goes now. */
#ifndef LIFEBOAT_DELIVER_H
#define LIFEBOAT_DELIVER_H

#include "cli/destination.h"
#include "core/post.h"
#include "core/store.h"
#include "store/outbox.h"

#include <stdbool.h>
#include <stdint.h>

enum { DELIVER_HEADER = 128 };

struct delivered {
    int64_t sent, failed; /* failed: given up */
    int64_t remaining;    /* items that wait, ready or not */
    /* 0: nothing is left. 1: items wait or were given up. 69: the endpoint is
     * not reached, or left alone. 75: somebody else is at it, or on_success
     * failed. 77: the destination is paused. */
    int status;
    int64_t again_ms; /* in how long there may be something to try; -1: by itself never */
};

/* What came of an item that was tried. */
struct attempt {
    int64_t id, tries; /* times it was tried, this one too */
    int64_t created_at, before_ms, ms;
    const char *key, *why;
    enum post_verdict verdict;
    int http;    /* 0: no answer */
    bool gone;   /* sent, or given up */
    bool paused; /* and nothing else is tried */
};

/* How it is done. All zeros: as syncq does. */
struct delivery {
    bool now;    /* also try a destination that is to be left alone for a while */
    bool silent; /* not a word on why nothing is tried: who asks often knows */
    /* Where the endpoint failed, or answered 500 and more, or 409 (it is at the same
     * request still, whose answer did not get here), the item is tried again, so
     * often in all and so long after; then it is as for others. Not where it has been
     * failing before. */
    int64_t attempts, backoff_ms;
    /* A pause that is made here says so in its reason, by these words at its beginning.
     * It ends by itself when something was changed since: resume, or changed_at (Unix
     * ms) is later than the pause. */
    const char *pause_mark;
    bool resume;
    int64_t changed_at;

    void *ctx;                /* NULL is given for what is not wanted: */
    bool (*go_on)(void *ctx); /* asked before each batch */
    /* A header of the item's own: 1, or 0: none. */
    int (*header)(void *ctx, const struct outbox_item *i, char out[static DELIVER_HEADER]);
    /* In the transaction in which the item becomes sent. What is put into answer is kept
     * as its result. */
    int (*sent)(void *ctx, struct outbox *o, const struct attempt *a, struct buf *answer,
                struct err *e);
    void (*tried)(void *ctx, const struct attempt *a); /* after that transaction */
};

/* What needs somebody to know it is said on stderr. -1: it was broken off (78, 74, ...);
 * what was sent till then is counted. */
int deliver(struct store *st, struct destination *d, const struct delivery *how,
            struct delivered *out, struct err *e);

#endif
