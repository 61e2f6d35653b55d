/* runonce: recorded results of commands, one for each namespace and key.
 *
 * Who runs the command of a key holds a byte of the lock FILE-run, at a place
 * that is made from the key, and whoever watches over the command keeps it. So a
 * row that is running while nobody has its byte is of an owner that died.
 *
 *     look: done and not over?           replay
 *     take the byte, look again
 *     begin, run the command, record     or forget
 *
 * Functions that change the store do so in short transactions of their own: the
 * output, of whatever length, is stored in parts before the row says that it is
 * done. A run has an id that no other one ever has; parts of an id without a row
 * are left over, and swept away. */
#ifndef LIFEBOAT_RUNONCE_H
#define LIFEBOAT_RUNONCE_H

#include "base/buf.h"
#include "base/expiry.h"
#include "core/lockfile.h"
#include "core/store.h"

enum { RUN_PART = 1 << 20, RUN_FINGERPRINT = 65 };

enum run_state { RUN_NONE, RUN_RUNNING, RUN_DONE };

struct run_row {
    int64_t id;
    enum run_state state;
    bool over;                         /* its time to live */
    char fingerprint[RUN_FINGERPRINT]; /* "" for none */
    int exit_status;
    int64_t size;
    uint8_t digest[16];
};

struct run_key {
    struct span ns, key;
};

/* The key's byte of FILE-run. */
int64_t runonce_place(struct run_key k);

int runonce_look(struct store *st, struct run_key k, struct run_row *row, struct err *e);

/* Puts a row that is running in the place of whatever is there; its id. The
 * key's byte is held. */
int runonce_begin(struct store *st, struct run_key k, const char *fingerprint, int64_t ttl_ms,
                  int64_t *id, struct err *e);

/* Stores what is in the file fd, from its start, and says done. 75: a signal asks
 * to stop, or somebody took the row away. */
int runonce_record(struct store *st, int64_t id, int fd, int exit_status, int64_t ttl_ms,
                   struct err *e);

/* The run is not to be recorded: the key is free. */
int runonce_forget(struct store *st, int64_t id, struct err *e);

/* Hands the output of a row that is done to each, part by part, once all of it is
 * known to be whole (65 if it is not). 1; 0: it is gone meanwhile. */
int runonce_replay(struct store *st, const struct run_row *row,
                   int (*each)(void *ctx, struct span part, struct err *e), void *ctx,
                   struct err *e);

/* What to take away; nothing that is in flight. */
struct run_removal {
    struct span ns, key; /* p NULL: of all namespaces, all keys */
    bool only_over;      /* only those whose time is over */
    int64_t removed, in_flight;
};

int runonce_remove(struct store *st, const struct lockfile *l, struct run_removal *r,
                   struct err *e);

/* Appends the members results, results_size, running and results_expired of a
 * JSON object. running counts what is in flight, or whose owner died. */
int runonce_stats(struct store *st, struct buf *out, struct err *e);

#endif
