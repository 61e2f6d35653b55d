#include "store/queuekeep.h"

#include "base/clock.h"
#include "core/batch.h"

#include <stdlib.h>

enum { PRUNE_ROWS = 1000 };

struct keep_sql {
    struct stmt revive, revived, remake, holder, drop_letter, letters, ended, remove, known, load;
};

static const struct keep_sql texts = {
    .revive = {.sql = "UPDATE OR IGNORE job_queue SET status = 'pending', completed_at = NULL, "
                      "retry_count = 0, crash_count = 0, scheduled_at = ?2, change = ?3 "
                      "WHERE id = ?1 AND status = 'failed'"},
    .revived = {.sql = "SELECT 1 FROM job_queue WHERE id = ?1"},
    .remake = {.sql = "INSERT OR IGNORE INTO job_queue(id, queue_name, job_type, priority, lane, "
                      "unique_key, idempotency_key, change, scheduled_at, created_at, attempts, "
                      "max_retries, timeout_seconds, error_message, errors_json, payload) "
                      "SELECT original_job_id, queue_name, job_type, priority, lane, unique_key, "
                      "idempotency_key, ?3, ?2, original_created_at, failure_count, max_retries, "
                      "timeout_seconds, error_message, errors_json, payload "
                      "FROM job_queue_dead_letter WHERE original_job_id = ?1"},
    .holder = {.sql = "SELECT job.id FROM job_queue_dead_letter AS letter "
                      "JOIN job_queue AS job ON job.queue_name = letter.queue_name AND "
                      "job.unique_key = letter.unique_key AND "
                      "job.status IN ('pending', 'running') WHERE original_job_id = ?1"},
    .drop_letter = {.sql = "DELETE FROM job_queue_dead_letter WHERE original_job_id = ?1"},
    .letters = {.sql = "SELECT original_job_id FROM job_queue_dead_letter "
                       "WHERE original_job_id > ?1 AND (?2 IS NULL OR queue_name = ?2) AND "
                       "failed_at < ?3 ORDER BY original_job_id LIMIT ?4"},
    /* The last change of all is what the next one is counted on from. */
    .ended = {.sql = "SELECT id FROM job_queue WHERE queue_name = ?1 AND "
                     "status IN ('completed', 'failed') AND completed_at < ?2 AND owed = 0 AND "
                     "change < (SELECT max(change) FROM job_queue) LIMIT ?3"},
    .remove = {.sql = "DELETE FROM job_queue WHERE id = ?1"},
    .known = {.sql = "SELECT 1 FROM job_queue WHERE queue_name = ?1 AND idempotency_key = ?2 "
                     "UNION ALL SELECT 1 FROM job_queue_dead_letter "
                     "WHERE queue_name = ?1 AND idempotency_key = ?2"},
    .load = {.sql = "INSERT INTO job_queue(queue_name, job_type, lane, unique_key, "
                    "idempotency_key, payload, status, error_message, errors_json, result, "
                    "priority, max_retries, timeout_seconds, attempts, retry_count, crash_count, "
                    "scheduled_at, created_at, started_at, completed_at, owed, change, "
                    "wake_boot_id, wake_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                    "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24) "
                    "ON CONFLICT(queue_name, unique_key) WHERE unique_key IS NOT NULL AND "
                    "status IN ('pending', 'running') DO NOTHING"},
};

int keep_open(struct keep *k, struct jobs *jobs, struct err *e)
{
    *k = (struct keep){.jobs = jobs, .sql = malloc(sizeof *k->sql)};
    if (!k->sql)
        return err_memory(e);
    *k->sql = texts;
    return 0;
}

void keep_close(struct keep *k)
{
    struct stmt *s = (struct stmt *)k->sql;

    for (size_t i = 0; k->sql && i < sizeof *k->sql / sizeof *s; i++)
        stmt_free(&s[i]);
    free(k->sql);
    *k = (struct keep){0};
}

/* --- dead letters ------------------------------------------------------- */

/* Runs a statement about one job; 1 if it changed a row. */
static int run_on(struct keep *k, struct stmt *s, int64_t id, struct err *e)
{
    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    return stmt_run(s, e) ? -1 : sqlite3_changes(k->jobs->st->db.handle) > 0;
}

/* The one number that a query about a job gives; 0 rows: 0. */
static int ask(struct keep *k, struct stmt *s, int64_t id, int64_t *n, struct err *e)
{
    int rc;

    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    rc = stmt_step(s, e);
    if (rc == 1)
        *n = stmt_int(s, 0);
    stmt_reset(s);
    return rc;
}

/* Its row pending again, or one made anew. 1: done; 0: its unique key forbids it. */
static int revive(struct keep *k, int64_t id, struct err *e)
{
    int64_t one;
    int rc = ask(k, &k->sql->revived, id, &one, e);
    struct stmt *s = rc == 1 ? &k->sql->revive : &k->sql->remake;

    if (rc < 0 || stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_now_ms());
    stmt_bind_int(s, 3, k->jobs->change + 1);
    if (stmt_run(s, e))
        return -1;
    if (!sqlite3_changes(k->jobs->st->db.handle))
        return 0;
    ++k->jobs->change;
    return 1;
}

static int has_letter(struct keep *k, int64_t id, struct err *e)
{
    int64_t found;
    int n = keep_letters(k, (struct span){NULL, 0}, INT64_MAX, id - 1, 1, &found, e);

    return n < 0 ? -1 : n == 1 && found == id;
}

int keep_requeue(struct keep *k, int64_t id, int64_t *holder, struct err *e)
{
    int rc = has_letter(k, id, e);

    *holder = 0;
    if (rc <= 0)
        return rc;
    rc = revive(k, id, e);
    if (rc == 1)
        return run_on(k, &k->sql->drop_letter, id, e);
    if (rc < 0 || ask(k, &k->sql->holder, id, holder, e) < 0)
        return -1;
    return 2;
}

int keep_purge(struct keep *k, int64_t id, struct err *e)
{
    return run_on(k, &k->sql->drop_letter, id, e);
}

/* The first columns of a bound statement's rows. */
static int read_ids(struct stmt *s, int64_t *ids, struct err *e)
{
    int n = 0, rc;

    while ((rc = stmt_step(s, e)) == 1)
        ids[n++] = stmt_int(s, 0);
    return rc < 0 ? -1 : n;
}

int keep_letters(struct keep *k, struct span queue, int64_t before, int64_t after, int n,
                 int64_t *ids, struct err *e)
{
    struct stmt *s = &k->sql->letters;

    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_int(s, 1, after);
    stmt_bind_span(s, 2, queue);
    stmt_bind_int(s, 3, before);
    stmt_bind_int(s, 4, n);
    return read_ids(s, ids, e);
}

/* --- prune -------------------------------------------------------------- */

int keep_prune(struct keep *k, struct span queue, int64_t before, bool *more, struct err *e)
{
    static int64_t ids[PRUNE_ROWS];
    struct stmt *s = &k->sql->ended;
    int64_t begun = clock_boot_ms();
    int n, i = 0;

    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    stmt_bind_int(s, 2, before);
    stmt_bind_int(s, 3, PRUNE_ROWS);
    n = read_ids(s, ids, e);
    if (n < 0)
        return -1;
    while (i < n &&
           (!i || clock_boot_ms() - begun <= BATCH_HOLD_MS || !gate_wanted(&k->jobs->st->gate)))
        if (run_on(k, &k->sql->remove, ids[i++], e) < 0)
            return -1;
    *more = i < n || n == PRUNE_ROWS;
    return i;
}

/* --- load --------------------------------------------------------------- */

static int is_known(struct keep *k, const struct kept_job *j, struct err *e)
{
    struct stmt *s = &k->sql->known;
    int rc;

    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    stmt_bind_span(s, 1, j->queue);
    stmt_bind_span(s, 2, j->idempotency_key);
    rc = stmt_step(s, e);
    stmt_reset(s);
    return rc;
}

static void bind_time(struct stmt *s, int at, int64_t ms)
{
    if (ms < 0)
        stmt_bind_null(s, at);
    else
        stmt_bind_int(s, at, ms);
}

static void bind_job(struct stmt *s, const struct kept_job *j, bool ended, int64_t change)
{
    const struct span texts_of[] = {j->queue,   j->type,   j->lane,  j->unique, j->idempotency_key,
                                    j->payload, j->status, j->error, j->errors, j->result};
    const int64_t numbers[] = {j->priority, j->max_retries, j->timeout_s,
                               j->attempts, j->retries,     j->crashes};
    bool later = !ended && j->wake_boot.p && span_eq(j->wake_boot, SPAN("wall")) &&
                 j->scheduled_at > clock_now_ms();

    for (int i = 0; i < 10; i++)
        stmt_bind_span(s, i + 1, texts_of[i]);
    for (int i = 0; i < 6; i++)
        stmt_bind_int(s, i + 11, numbers[i]);
    stmt_bind_int(s, 17, j->scheduled_at);
    stmt_bind_int(s, 18, j->created_at);
    bind_time(s, 19, j->started_at);
    bind_time(s, 20, ended ? j->completed_at : -1);
    stmt_bind_int(s, 21, j->owed);
    stmt_bind_int(s, 22, change);
    stmt_bind_span(s, 23, later ? SPAN("wall") : (struct span){NULL, 0});
    bind_time(s, 24, later ? j->scheduled_at : -1);
}

int keep_load(struct keep *k, const struct kept_job *job, struct err *e)
{
    struct stmt *s = &k->sql->load;
    struct kept_job j = *job;
    bool ran = span_eq(j.status, SPAN("running"));
    bool ended = !ran && !span_eq(j.status, SPAN("pending"));
    int rc = is_known(k, &j, e);

    if (rc)
        return rc < 0 ? -1 : 0;
    /* The attempt that was under way ended with its box, whatever the job was. */
    j.status = ran ? SPAN("pending") : j.status;
    j.attempts -= ran && j.attempts > 0;
    if (stmt_ready(s, &k->jobs->st->db, e))
        return -1;
    bind_job(s, &j, ended, k->jobs->change + 1);
    if (stmt_run(s, e))
        return -1;
    if (!sqlite3_changes(k->jobs->st->db.handle))
        return 0;
    ++k->jobs->change;
    if (!j.dead_letter)
        return 1;
    return jobs_bury(k->jobs, sqlite3_last_insert_rowid(k->jobs->st->db.handle), e) ? -1 : 1;
}
