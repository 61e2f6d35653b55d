#include "core/jobs.h"

#include "base/clock.h"
#include "text/utf8.h"

int jobs_open(struct jobs *j, struct store *st, struct err *e)
{
    *j = (struct jobs){
        .st = st,
        .boot = clock_boot_name(),
        .last_change = {.sql = "SELECT max(change) FROM job_queue"},
        .dead_letter = {.sql = "INSERT OR REPLACE INTO job_queue_dead_letter(original_job_id, "
                               "queue_name, job_type, priority, lane, unique_key, "
                               "idempotency_key, max_retries, timeout_seconds, error_message, "
                               "errors_json, failure_count, failed_at, original_created_at, "
                               "payload) SELECT id, queue_name, job_type, priority, lane, "
                               "unique_key, idempotency_key, max_retries, timeout_seconds, "
                               "error_message, errors_json, attempts, completed_at, created_at, "
                               "payload FROM job_queue WHERE id = ?1 AND status = 'failed'"},
        .pause = {.sql = "INSERT INTO queue_state(queue_name, paused, reason, changed_at) "
                         "VALUES(?1, 1, ?2, ?3) ON CONFLICT(queue_name) DO UPDATE SET "
                         "paused = 1, reason = excluded.reason, "
                         "changed_at = excluded.changed_at"},
        .resume = {.sql = "UPDATE queue_state SET paused = 0, reason = NULL, "
                          "endpoint_failures = 0, wake_boot_id = NULL, wake_ms = NULL, "
                          "changed_at = ?2 WHERE queue_name = ?1"}};
    return j->boot ? 0 : err_sys(e, EX_TEMPFAIL, "unable to read the id of this boot");
}

void jobs_close(struct jobs *j)
{
    stmt_free(&j->last_change);
    stmt_free(&j->dead_letter);
    stmt_free(&j->pause);
    stmt_free(&j->resume);
    buf_free(&j->text);
}

int jobs_begin(struct jobs *j, struct err *e)
{
    struct stmt *s = &j->last_change;

    if (store_begin(j->st, e))
        return -1;
    if (stmt_ready(s, &j->st->db, e) || stmt_step(s, e) < 0) {
        store_rollback(j->st);
        return -1;
    }
    j->change = stmt_int(s, 0);
    stmt_reset(s);
    return 0;
}

int jobs_commit(struct jobs *j, struct err *e)
{
    return store_commit(j->st, e);
}

void jobs_rollback(struct jobs *j)
{
    store_rollback(j->st);
}

void jobs_bind_due(const struct jobs *j, struct stmt *s, struct span queue)
{
    stmt_bind_span(s, 1, queue);
    stmt_bind_span(s, 2, span_of(j->boot));
    stmt_bind_int(s, 3, clock_boot_ms());
    stmt_bind_int(s, 4, clock_now_ms());
}

int jobs_clean(struct jobs *j, struct span *why, struct err *e)
{
    buf_clear(&j->text);
    if (utf8_mend(*why, JOBS_ERROR_MAX, &j->text))
        return err_memory(e);
    *why = buf_span(&j->text);
    return 0;
}

int jobs_bury(struct jobs *j, int64_t id, struct err *e)
{
    if (stmt_ready(&j->dead_letter, &j->st->db, e))
        return -1;
    stmt_bind_int(&j->dead_letter, 1, id);
    return stmt_run(&j->dead_letter, e);
}

int jobs_pause(struct jobs *j, struct span queue, struct span reason, struct err *e)
{
    if (stmt_ready(&j->pause, &j->st->db, e))
        return -1;
    stmt_bind_span(&j->pause, 1, queue);
    stmt_bind_span(&j->pause, 2, reason);
    stmt_bind_int(&j->pause, 3, clock_now_ms());
    return stmt_run(&j->pause, e);
}

int jobs_resume(struct jobs *j, struct span queue, struct err *e)
{
    if (stmt_ready(&j->resume, &j->st->db, e))
        return -1;
    stmt_bind_span(&j->resume, 1, queue);
    stmt_bind_int(&j->resume, 2, clock_now_ms());
    return stmt_run(&j->resume, e);
}
