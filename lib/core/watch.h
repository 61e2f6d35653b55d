/* watch: waits until something may have been committed to a store.
 *
 * Writers touch the gate file after each commit; a writer that is killed in
 * between closes it. Both are seen through inotify, as is a store that is
 * replaced or removed. */
#ifndef LIFEBOAT_WATCH_H
#define LIFEBOAT_WATCH_H

#include "core/store.h"

struct watch {
    int fd;   /* -1: closed, or never opened */
    int gate; /* watch descriptor, -1 while there is no gate file */
    const char *gate_path;
};

/* Call before the first look at the store, so that nothing slips between. */
int watch_open(struct watch *w, const struct store *st, struct err *e);
void watch_close(struct watch *w);

/* Waits. 1: look again. 0: a signal asked to stop. -1: the wait failed, or
 * the reader of out_fd has left (EX_IOERR, errno EPIPE). */
int watch_wait(struct watch *w, int out_fd, struct err *e);

/* The same for at most ms, which is 1 as well; -1: without end. */
int watch_wait_within(struct watch *w, int out_fd, int64_t ms, struct err *e);

/* For a loop of one's own, which polls w->fd for POLLIN: call this when it is,
 * then look again. */
void watch_clear(struct watch *w);

#endif
