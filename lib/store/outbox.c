#include "store/outbox.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAKE_MAX = 1000 };

/* ?5: how many. */
#define DUE "SELECT id FROM (" JOBS_DUE("pending") ") LIMIT ?5"

/* The lane of an item waits as long as one of it does. */
#define LANE_FREE                                                                                  \
    "NOT EXISTS (SELECT 1 FROM job_queue AS w WHERE w.queue_name = ?1 AND "                        \
    "w.lane = job_queue.lane AND w.lane IS NOT NULL AND w.status = 'pending' AND "                 \
    "w.wake_ms IS NOT NULL)"

/* The same, of an item without a lane too. */
#define FREE                                                                                       \
    "CASE WHEN lane IS NULL THEN NOT EXISTS (SELECT 1 FROM job_queue AS w "                        \
    "WHERE w.queue_name = ?1 AND w.lane IS NULL AND w.status = 'pending' AND "                     \
    "w.wake_ms IS NOT NULL) ELSE " LANE_FREE " END"

/* What waits has a result only where outbox_tried or outbox_pass_on have left one. */
#define ITEM_COLUMNS                                                                               \
    "id, retry_count, max_retries, idempotency_key, lane, payload, created_at, "                   \
    "ifnull(json_extract(result, '$.tries'), 0), ifnull(json_extract(result, '$.before_ms'), -1)"

struct outbox_sql {
    struct stmt find, older, held_back, due, wake, next, next_of_lanes, sent, again, dead, state,
        alive, unreachable, owed, settle, remaining, tried, pass_on, waiting, due_in;
};

static const struct outbox_sql texts = {
    .find = {.sql = "SELECT status, payload FROM job_queue INDEXED BY idx_job_key "
                    "WHERE queue_name = ?1 AND idempotency_key = ?2 ORDER BY id DESC LIMIT 1"},
    .older = {.sql = "SELECT 1 FROM job_queue WHERE queue_name = ?1 AND " JOBS_READY
                     " AND priority = 5 AND id < ?2 AND " FREE " LIMIT 1"},
    .held_back = {.sql = "SELECT 1 FROM job_queue WHERE queue_name = ?1 AND status = 'pending' AND "
                         "wake_ms IS NOT NULL AND lane IS NULL LIMIT 1"},
    .due = {.sql = DUE},
    .wake = {.sql = "UPDATE job_queue SET wake_boot_id = NULL, wake_ms = NULL "
                    "WHERE id IN (" DUE ")"},
    .next = {.sql = "SELECT " ITEM_COLUMNS " FROM job_queue INDEXED BY idx_job_ready "
                    "WHERE queue_name = ?1 AND " JOBS_READY " AND priority = 5 AND id > ?2 AND "
                    "(lane IS NULL OR " LANE_FREE ") ORDER BY id"},
    .next_of_lanes = {.sql = "SELECT " ITEM_COLUMNS " FROM job_queue INDEXED BY idx_job_lane "
                             "WHERE queue_name = ?1 AND " JOBS_READY " AND lane IS NOT NULL AND "
                             "id > ?2 AND " LANE_FREE " ORDER BY id"},
    .sent = {.sql = "UPDATE job_queue SET status = 'completed', completed_at = ?2, "
                    "started_at = ?2, attempts = attempts + 1, owed = ?3, error_message = NULL, "
                    "change = ?4, result = ?5 WHERE id = ?1 AND status = 'pending'"},
    .again = {.sql = "UPDATE job_queue SET wake_boot_id = ?2, wake_ms = ?3, scheduled_at = ?4, "
                     "started_at = ?5, attempts = attempts + 1, retry_count = retry_count + 1, "
                     "change = ?6, " JOBS_HISTORY("attempts + 1", "?5",
                                                  "?7") " WHERE id = ?1 AND status = 'pending'"},
    .dead = {.sql = "UPDATE job_queue SET status = 'failed', completed_at = ?2, started_at = ?2, "
                    "attempts = attempts + 1, wake_boot_id = NULL, wake_ms = NULL, "
                    "change = ?3, " JOBS_HISTORY("attempts + 1", "?2",
                                                 "?4") " WHERE id = ?1 AND status = 'pending'"},
    .state = {.sql = "SELECT paused, CASE WHEN paused THEN reason ELSE error_message END, "
                     "endpoint_failures, CASE wake_boot_id WHEN ?2 THEN wake_ms - ?3 ELSE 0 END, "
                     "changed_at "
                     "FROM queue_state WHERE queue_name = ?1"},
    .alive = {.sql = "INSERT INTO queue_state(queue_name, last_success_at, changed_at) "
                     "VALUES(?1, CASE WHEN ?2 THEN ?3 END, ?3) ON CONFLICT(queue_name) DO UPDATE "
                     "SET endpoint_failures = 0, wake_boot_id = NULL, wake_ms = NULL, "
                     "error_message = NULL, changed_at = ?3, "
                     "last_success_at = ifnull(excluded.last_success_at, last_success_at)"},
    .unreachable = {.sql = "INSERT INTO queue_state(queue_name, endpoint_failures, wake_boot_id, "
                           "wake_ms, error_message, changed_at) VALUES(?1, 1, ?2, ?3, ?4, ?5) "
                           "ON CONFLICT(queue_name) DO UPDATE SET "
                           "endpoint_failures = endpoint_failures + 1, wake_boot_id = ?2, "
                           "wake_ms = ?3, error_message = ?4, changed_at = ?5"},
    .owed = {.sql = "SELECT id, payload FROM job_queue INDEXED BY idx_job_owed "
                    "WHERE queue_name = ?1 AND owed = 1 AND id > ?2 ORDER BY id LIMIT ?3"},
    .settle = {.sql = "UPDATE job_queue SET owed = 0 "
                      "WHERE queue_name = ?1 AND owed = 1 AND id <= ?2"},
    .remaining = {.sql =
                      "SELECT (SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND " JOBS_READY
                      ") + (SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND "
                      "status = 'pending' AND wake_ms IS NOT NULL)"},
    .tried = {.sql = "UPDATE job_queue SET result = json_set(ifnull(result, '{}'), '$.tries', "
                     "ifnull(json_extract(result, '$.tries'), 0) + 1), change = ?2 "
                     "WHERE id = ?1 AND status = 'pending'"},
    .pass_on = {.sql = "INSERT INTO job_queue(queue_name, priority, lane, idempotency_key, change, "
                       "scheduled_at, created_at, max_retries, timeout_seconds, payload, result) "
                       "SELECT ?2, priority, lane, idempotency_key, ?3, ?4, created_at, ?5, "
                       "timeout_seconds, payload, json_object('before_ms', ?6) FROM job_queue AS i "
                       "WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job_queue AS o INDEXED BY "
                       "idx_job_key WHERE o.queue_name = ?2 AND "
                       "o.idempotency_key = i.idempotency_key)"},
    .waiting = {.sql = "SELECT ifnull((SELECT id FROM job_queue WHERE queue_name = ?1 AND "
                       "status = 'pending' AND wake_ms IS NOT NULL LIMIT 1), "
                       "(SELECT id FROM job_queue WHERE queue_name = ?1 AND " JOBS_READY
                       " ORDER BY priority DESC, id LIMIT 1))"},
    .due_in = {.sql = "SELECT min(wake_ms) - ?3 FROM job_queue WHERE queue_name = ?1 AND "
                      "status = 'pending' AND wake_boot_id = ?2 AND wake_ms IS NOT NULL"},
};

/* --- opening, transactions ---------------------------------------------- */

int outbox_open(struct outbox *o, struct store *st, struct span name, struct err *e)
{
    *o = (struct outbox){.name = name, .sql = malloc(sizeof *o->sql)};
    if (!o->sql)
        return err_memory(e);
    *o->sql = texts;
    return jobs_open(&o->jobs, st, e);
}

void outbox_close(struct outbox *o)
{
    struct stmt *s = (struct stmt *)o->sql;

    for (size_t i = 0; o->sql && i < sizeof *o->sql / sizeof *s; i++)
        stmt_free(&s[i]);
    free(o->sql);
    jobs_close(&o->jobs);
    *o = (struct outbox){0};
}

int outbox_begin(struct outbox *o, struct err *e)
{
    return jobs_begin(&o->jobs, e);
}

int outbox_commit(struct outbox *o, struct err *e)
{
    return jobs_commit(&o->jobs, e);
}

void outbox_rollback(struct outbox *o)
{
    jobs_rollback(&o->jobs);
}

/* A statement of this destination, ready but for what is its own. */
static int of_name(struct outbox *o, struct stmt *s, struct err *e)
{
    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, o->name);
    return 0;
}

/* A statement that asks whether there is a row. */
static int any(struct stmt *s, struct err *e)
{
    int rc = stmt_step(s, e);

    if (rc == 1)
        stmt_reset(s);
    return rc;
}

/* --- looking ------------------------------------------------------------ */

int outbox_find(struct outbox *o, struct span key, char status[static 16], struct span *payload,
                struct err *e)
{
    struct stmt *s = &o->sql->find;
    int rc;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_span(s, 2, key);
    rc = stmt_step(s, e);
    if (rc < 1)
        return rc;
    snprintf(status, 16, "%.*s", (int)stmt_span(s, 0).n, stmt_span(s, 0).p);
    *payload = stmt_span(s, 1);
    return 1;
}

int outbox_ready(struct outbox *o, int64_t before, struct err *e)
{
    struct stmt *s = &o->sql->older;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_int(s, 2, before);
    return any(s, e);
}

int outbox_remaining(struct outbox *o, int64_t *n, struct err *e)
{
    struct stmt *s = &o->sql->remaining;

    if (of_name(o, s, e) || stmt_step(s, e) < 0)
        return -1;
    *n = stmt_int(s, 0);
    stmt_reset(s);
    return 0;
}

int outbox_due(struct outbox *o, int64_t *in_ms, struct err *e)
{
    struct stmt *s = &o->sql->due_in;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_span(s, 2, span_of(o->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms());
    if (stmt_step(s, e) < 0)
        return -1;
    *in_ms = !stmt_span(s, 0).p ? -1 : stmt_int(s, 0) > 0 ? stmt_int(s, 0) : 0;
    stmt_reset(s);
    return 0;
}

/* --- a pass over the items ---------------------------------------------- */

int outbox_rewind(struct outbox *o, struct err *e)
{
    struct stmt *s = &o->sql->held_back;
    int rc = of_name(o, s, e) ? -1 : any(s, e);

    o->after = 0;
    o->held_back = rc == 1;
    return rc < 0 ? -1 : 0;
}

static int ready_for_due(struct outbox *o, struct stmt *s, int64_t most, struct err *e)
{
    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    jobs_bind_due(&o->jobs, s, o->name);
    stmt_bind_int(s, 5, most);
    return 0;
}

int outbox_wake(struct outbox *o, struct err *e)
{
    int woken, rc = ready_for_due(o, &o->sql->due, 1, e) ? -1 : any(&o->sql->due, e);

    if (rc < 1)
        return rc;
    if (outbox_begin(o, e))
        return -1;
    if (ready_for_due(o, &o->sql->wake, WAKE_MAX, e) || stmt_run(&o->sql->wake, e)) {
        outbox_rollback(o);
        return -1;
    }
    woken = sqlite3_changes(o->jobs.st->db.handle);
    return outbox_commit(o, e) || outbox_rewind(o, e) ? -1 : woken;
}

int outbox_next(struct outbox *o,
                int (*take)(void *ctx, const struct outbox_item *i, struct err *e), void *ctx,
                struct err *e)
{
    struct stmt *s = o->held_back ? &o->sql->next_of_lanes : &o->sql->next;
    int rc, taken = 0;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_int(s, 2, o->after);
    while (!taken && (rc = stmt_step(s, e)) == 1) {
        const struct outbox_item item = {.id = stmt_int(s, 0),
                                         .retry_count = stmt_int(s, 1),
                                         .max_retries = stmt_int(s, 2),
                                         .key = stmt_span(s, 3),
                                         .lane = stmt_span(s, 4),
                                         .payload = stmt_span(s, 5),
                                         .created_at = stmt_int(s, 6),
                                         .tries = stmt_int(s, 7),
                                         .before_ms = stmt_int(s, 8)};

        taken = take(ctx, &item, e);
    }
    if (taken)
        stmt_reset(s);
    return taken < 0 || (!taken && rc < 0) ? -1 : 0;
}

/* --- what came of them -------------------------------------------------- */

int outbox_sent(struct outbox *o, int64_t id, bool owed, struct span answer, struct err *e)
{
    struct stmt *s = &o->sql->sent;

    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_now_ms());
    stmt_bind_int(s, 3, owed);
    stmt_bind_int(s, 4, ++o->jobs.change);
    stmt_bind_span(s, 5, answer.n ? answer : (struct span){NULL, 0});
    return stmt_run(s, e);
}

static int give_up(struct outbox *o, int64_t id, struct span why, struct err *e)
{
    struct stmt *s = &o->sql->dead;

    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_now_ms());
    stmt_bind_int(s, 3, ++o->jobs.change);
    stmt_bind_span(s, 4, why);
    return stmt_run(s, e) || jobs_bury(&o->jobs, id, e) ? -1 : 1;
}

int outbox_refused(struct outbox *o, const struct outbox_attempt *a, int64_t wait_ms,
                   struct span why, struct err *e)
{
    struct stmt *s = &o->sql->again;
    int64_t now = clock_now_ms();

    if (jobs_clean(&o->jobs, &why, e))
        return -1;
    if (a->retry_count >= a->max_retries)
        return give_up(o, a->id, why, e);
    o->held_back = o->held_back || !a->has_lane;
    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, a->id);
    stmt_bind_span(s, 2, span_of(o->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms() + wait_ms);
    stmt_bind_int(s, 4, now + wait_ms);
    stmt_bind_int(s, 5, now);
    stmt_bind_int(s, 6, ++o->jobs.change);
    stmt_bind_span(s, 7, why);
    return stmt_run(s, e);
}

int outbox_tried(struct outbox *o, int64_t id, struct err *e)
{
    struct stmt *s = &o->sql->tried;

    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, ++o->jobs.change);
    return stmt_run(s, e);
}

int outbox_pass_on(struct outbox *o, int64_t id, struct span to, int64_t max_retries,
                   int64_t before_ms, struct err *e)
{
    struct stmt *s = &o->sql->pass_on;

    if (stmt_ready(s, &o->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_span(s, 2, to);
    stmt_bind_int(s, 3, ++o->jobs.change);
    stmt_bind_int(s, 4, clock_now_ms());
    stmt_bind_int(s, 5, max_retries);
    stmt_bind_int(s, 6, before_ms);
    return stmt_run(s, e);
}

/* The id of one that waits, ready or not; 0: none does. */
static int64_t one_waiting(struct outbox *o, struct err *e)
{
    struct stmt *s = &o->sql->waiting;
    int64_t id;

    if (of_name(o, s, e) || stmt_step(s, e) < 0)
        return -1;
    id = stmt_int(s, 0);
    stmt_reset(s);
    return id;
}

int outbox_give_up(struct outbox *o, struct span why, struct err *e)
{
    for (int n = 0; n < WAKE_MAX; n++) {
        int64_t id = one_waiting(o, e);

        if (id <= 0)
            return id ? -1 : n;
        if (give_up(o, id, why, e) < 0)
            return -1;
    }
    return WAKE_MAX;
}

/* --- the destination ---------------------------------------------------- */

int outbox_state(struct outbox *o, struct outbox_state *state, struct err *e)
{
    struct stmt *s = &o->sql->state;
    int rc;

    *state = (struct outbox_state){0};
    if (of_name(o, s, e))
        return -1;
    stmt_bind_span(s, 2, span_of(o->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms());
    rc = stmt_step(s, e);
    if (rc < 1)
        return rc;
    state->paused = stmt_int(s, 0) != 0;
    snprintf(state->why, sizeof state->why, "%.*s", (int)stmt_span(s, 1).n, stmt_span(s, 1).p);
    state->failures = stmt_int(s, 2);
    state->wait_ms = stmt_int(s, 3) > 0 ? stmt_int(s, 3) : 0;
    state->since = stmt_int(s, 4);
    stmt_reset(s);
    return 0;
}

int outbox_alive(struct outbox *o, bool sent, struct err *e)
{
    struct stmt *s = &o->sql->alive;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_int(s, 2, sent);
    stmt_bind_int(s, 3, clock_now_ms());
    return stmt_run(s, e);
}

int outbox_unreachable(struct outbox *o, int64_t wait_ms, struct span why, struct err *e)
{
    struct stmt *s = &o->sql->unreachable;

    if (jobs_clean(&o->jobs, &why, e) || of_name(o, s, e))
        return -1;
    stmt_bind_span(s, 2, span_of(o->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms() + wait_ms);
    stmt_bind_span(s, 4, why);
    stmt_bind_int(s, 5, clock_now_ms());
    return stmt_run(s, e);
}

int outbox_pause(struct outbox *o, struct span why, struct err *e)
{
    return jobs_clean(&o->jobs, &why, e) || jobs_pause(&o->jobs, o->name, why, e) ? -1 : 0;
}

int outbox_resume(struct outbox *o, struct err *e)
{
    return jobs_resume(&o->jobs, o->name, e);
}

/* --- on_success --------------------------------------------------------- */

int outbox_owed(struct outbox *o, int64_t *id, int64_t most, size_t room, struct buf *out,
                struct err *e)
{
    struct stmt *s = &o->sql->owed;
    int n = 0, rc;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_int(s, 2, *id);
    stmt_bind_int(s, 3, most);
    while ((rc = stmt_step(s, e)) == 1) {
        struct span payload = stmt_span(s, 1);

        if (buf_add(out, payload.p, payload.n) || buf_addc(out, '\n')) {
            stmt_reset(s);
            return err_memory(e);
        }
        *id = stmt_int(s, 0);
        n++;
        if (out->len >= room) {
            stmt_reset(s);
            return n;
        }
    }
    return rc < 0 ? -1 : n;
}

int outbox_settle(struct outbox *o, int64_t up_to, struct err *e)
{
    struct stmt *s = &o->sql->settle;

    if (of_name(o, s, e))
        return -1;
    stmt_bind_int(s, 2, up_to);
    return stmt_run(s, e);
}
