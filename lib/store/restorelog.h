/* restorelog: who refilled this store, when, with what; one at a time.
 *
 * The lock FILE-restore is held by the process that restores, so the kernel
 * says who is alive: a row that is IN_PROGRESS while nobody holds the lock
 * reads INTERRUPTED. A session that comes in several parts holds no lock
 * between them, but a lease of 10 minutes from its last sign of life, counted
 * by the boot clock. Times are UTC text, as SQLite's CURRENT_TIMESTAMP. */
#ifndef LIFEBOAT_RESTORELOG_H
#define LIFEBOAT_RESTORELOG_H

#include "core/lockfile.h"
#include "core/store.h"

enum { RESTORE_SESSION_MAX = 64, RESTORE_LEASE_MS = 600000 };

struct restore_counts {
    int64_t received, inserted, present, rejected, conflicts, ahead;
};

struct restore_run {
    char session[RESTORE_SESSION_MAX + 1];
    const char *kind; /* "restore" or "follow" */
    const char *source_device;
    const char *source_name; /* may be NULL */
    int64_t attempt;
    struct restore_counts before; /* of the attempt's earlier parts */
    struct restore_counts now;    /* of this part */
};

bool restore_session_ok(const char *session);

/* Takes the lock of the store at path; 75 if another restore is running. l holds
 * it. suffix: "restore", or "source-NAME" for a follower. */
int restore_lock(struct lockfile *l, const char *path, const char *suffix, struct err *e);

/* Each in a transaction of the caller's. restore_begin gives up what is dead,
 * and fails with 75 while another session's lease lives. */
int restore_begin(struct store *st, struct restore_run *run, struct err *e);
int restore_renew(struct store *st, const struct restore_run *run, struct err *e);
/* status: COMPLETED, PARTIAL, FAILED, INTERRUPTED, or IN_PROGRESS for a part
 * after which more will come. */
int restore_end(struct store *st, const struct restore_run *run, const char *status,
                const char *message, struct err *e);

/* FAILED; the counts stay what was committed, and are read back into run. */
int restore_fail(struct store *st, struct restore_run *run, const char *message, struct err *e);

/* Sum of an attempt's parts so far. */
struct restore_counts restore_total(const struct restore_run *run);

/* Appends rows as JSON lines: the latest attempt of one session (0 if there
 * is none), or all. */
int restore_show(struct store *st, const char *session, struct buf *out, struct err *e);

/* Appends the row of the restore that began last, as restore_show does: 1, or 0 if
 * there was none. */
int restore_last(struct store *st, struct buf *out, struct err *e);

/* Appends ,"restores_by_status":{...}, sessions counted by what restore_show says. */
int restore_census(struct store *st, struct buf *out, struct err *e);

/* How far a followed source has come: its cursor, "start" if unknown. */
int source_cursor(struct store *st, const char *name, char out[static 64], struct err *e);
int source_advance(struct store *st, const char *name, const char *cursor, int64_t events,
                   struct err *e);

#endif
