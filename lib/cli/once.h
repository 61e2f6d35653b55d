/* once: a command is run once for its key, and its result shown ever after.
 *
 * One flight at a time for a key; the others wait for it, and are shown the same
 * result. Output is kept in a file without a name until it is committed, and only
 * then shown. Ours are 123 (the key is of another fingerprint), 124 (waited in
 * vain), 125 (a failure), 126 and 127 (the command cannot be run). */
#ifndef LIFEBOAT_ONCE_H
#define LIFEBOAT_ONCE_H

#include "base/supervise.h"
#include "store/runonce.h"

#include <stdbool.h>

enum { ONCE_OTHER = 123, ONCE_WAITED = 124, ONCE_FAILED = 125, ONCE_STATUSES = 256 };

struct once {
    /* set by the caller */
    struct store *st;
    struct run_key key;
    char fingerprint[RUN_FINGERPRINT]; /* "" for none: then no other is asked for */
    int64_t ttl_ms, wait_ms;
    bool keep[ONCE_STATUSES]; /* which exit statuses are recorded */
    bool no_takeover;
    char *const *argv;
    int in; /* the command's standard input */

    /* inside */
    struct lockfile lock;
    bool ours; /* the key's byte of it */
    struct supervisor supervisor;
    int spool;
    int64_t id; /* of the row that is running; 0: none */
    int status;
};

#define ONCE_NONE                                                                                  \
    {                                                                                              \
        .lock.fd = -1, .supervisor.fd = -1, .spool = -1, .in = -1                                  \
    }

/* The exit status to end with. -1: it failed, or (75) a signal asked to stop. */
int once_run(struct once *o, struct err *e);

/* Ends the command, frees the key, closes. Harmless at any time. */
void once_end(struct once *o);

/* "0", "0,3-5" or "all", into keep. -1: it is none. */
int once_parse_keep(const char *text, bool keep[static ONCE_STATUSES]);

#endif
