/* lockfile: locks on single bytes of a file beside the store, by which the
 * kernel says who is alive.
 *
 * They belong to the open file (OFD locks, fcntl(2)): a child that keeps the
 * descriptor keeps the lock, until the last of them is gone. The file is empty,
 * stays, and may be removed while nobody uses the store. */
#ifndef LIFEBOAT_LOCKFILE_H
#define LIFEBOAT_LOCKFILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct lockfile {
    char *name;
    int fd; /* close-on-exec; -1 when not open */
};

/* FILE-suffix of the store at path; made if need be. */
int lockfile_open(struct lockfile *l, const char *path, const char *suffix, struct err *e);
void lockfile_close(struct lockfile *l);

/* Takes byte at (from 0), waiting at most wait_ms (0: not at all). 1: it is
 * ours; 0: another has it; -1: neither can be told. A signal that asks to stop
 * ends the wait with 0. */
int lockfile_take(struct lockfile *l, int64_t at, int64_t wait_ms, struct err *e);
void lockfile_drop(struct lockfile *l, int64_t at);

/* Has anybody that byte, who has opened the file otherwise? Who cannot tell
 * says yes. */
bool lockfile_taken(const struct lockfile *l, int64_t at);

/* The same of a file that need not be there, byte 0. */
bool lockfile_alive(const char *path, const char *suffix);

#endif
