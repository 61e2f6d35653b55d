/* gate: the lock every writer of a store holds while it writes.
 *
 * An exclusive flock on FILE-gate, entered through a turnstile (a lock on the
 * same file's first byte) so that writers take turns: who waits at the gate
 * holds the turnstile, and who has just left cannot pass him. Why it exists:
 * SQLite's WAL-reset bug (sqlite.org/wal.html, 3.7.0 to 3.51.2) and the
 * starvation of writers that poll. Anyone may join: flock FILE-gate CMD.
 *
 * After a commit the file is touched; followers watch that. */
#ifndef LIFEBOAT_GATE_H
#define LIFEBOAT_GATE_H

#include "base/err.h"

#include <stdbool.h>

struct gate {
    char *path;
    int fd; /* -1 while not open */
    bool held;
};

/* The gate of the store at path. Nothing is opened before gate_enter. */
int gate_init(struct gate *g, const char *store_path, struct err *e);
void gate_free(struct gate *g);

/* Waits until the gate is ours, at most wait_s seconds: then EX_TEMPFAIL.
 * A signal that asks to stop also ends the wait with EX_TEMPFAIL. */
int gate_enter(struct gate *g, const char *store_path, int wait_s, struct err *e);
void gate_leave(struct gate *g);

/* Does anyone wait at the turnstile? Whoever came by flock alone is not seen. */
bool gate_wanted(const struct gate *g);

/* A file beside the store that was just made belongs to whoever the store belongs
 * to, so that root's first command does not shut the service's user out. */
void gate_share(int fd, const char *store_path);

/* Tells followers that something was committed. */
void gate_touch(struct gate *g);

#endif
