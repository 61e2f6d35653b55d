/* jobs: what all who change job_queue share, so that they do it alike: the boot
 * that leases and waits are told by, the count of changes, and the statements that
 * stand for more than one of them.
 *
 * Changes are made between jobs_begin and jobs_commit; each takes ++change. */
#ifndef LIFEBOAT_JOBS_H
#define LIFEBOAT_JOBS_H

#include "base/buf.h"
#include "core/store.h"

enum { JOBS_ERROR_MAX = 1000 }; /* bytes kept of what a failed attempt says */

/* Held back by the wall clock; no boot has such an id. */
#define JOBS_WALL "wall"

/* A row is ready: the indexes stand on these words. */
#define JOBS_READY "status = 'pending' AND wake_ms IS NULL"

/* What holds rows of this status back is over: they are of another boot, or their
 * time has come. ?1 is the queue, ?2 this boot, ?3 its ms, ?4 the wall clock. Ids
 * of boots sort before 'wall'. */
#define JOBS_DUE(status)                                                                           \
    "SELECT id FROM job_queue WHERE queue_name = ?1 AND status = '" status "' AND "                \
    "wake_boot_id = '" JOBS_WALL "' AND wake_ms <= ?4 "                                            \
    "UNION ALL SELECT id FROM job_queue WHERE queue_name = ?1 AND status = '" status "' AND "      \
    "wake_boot_id = ?2 AND wake_ms <= ?3 "                                                         \
    "UNION ALL SELECT id FROM job_queue WHERE queue_name = ?1 AND status = '" status "' AND "      \
    "wake_boot_id < ?2 AND wake_ms IS NOT NULL "                                                   \
    "UNION ALL SELECT id FROM job_queue WHERE queue_name = ?1 AND status = '" status "' AND "      \
    "wake_boot_id > ?2 AND wake_boot_id < '" JOBS_WALL "' AND wake_ms IS NOT NULL"

/* Sets what this attempt said, behind what earlier ones did; not all of these. */
#define JOBS_HISTORY(attempt, at, why)                                                             \
    "errors_json = json_insert(CASE "                                                              \
    "WHEN errors_json IS NULL THEN '[]' "                                                          \
    "WHEN json_array_length(errors_json) >= 10 THEN json_remove(errors_json, '$[0]') "             \
    "ELSE errors_json END, '$[#]', json_object('attempt', " attempt ", 'at', " at                  \
    ", 'error', " why ")), error_message = " why

struct jobs {
    struct store *st;
    const char *boot; /* the id of this boot */
    int64_t change;   /* the last change of any row */
    struct stmt last_change, dead_letter, pause, resume;
    struct buf text;
};

int jobs_open(struct jobs *j, struct store *st, struct err *e);
void jobs_close(struct jobs *j);

int jobs_begin(struct jobs *j, struct err *e);
int jobs_commit(struct jobs *j, struct err *e);
void jobs_rollback(struct jobs *j);

/* Binds ?1 to ?4 of JOBS_DUE. */
void jobs_bind_due(const struct jobs *j, struct stmt *s, struct span queue);

/* What a failed attempt said, fit to be kept: valid UTF-8, not too long. It lasts
 * until the next call. */
int jobs_clean(struct jobs *j, struct span *why, struct err *e);

/* A row that has failed gets its dead letter. */
int jobs_bury(struct jobs *j, int64_t id, struct err *e);

/* Nothing of the queue is given out, or sent, any more. */
int jobs_pause(struct jobs *j, struct span queue, struct span reason, struct err *e);
/* It is again, and at once. */
int jobs_resume(struct jobs *j, struct span queue, struct err *e);

#endif
