#include "store/queue.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "core/backoff.h"
#include "text/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAKE_MAX = 1000 };

struct queue_sql {
    struct stmt put, holder_of_key, state, promote, expired, next, next_of_type, take, held, counts,
        get, complete, again, release, dead, extend, holders, of_holder, in_wait, due;
};

static const struct queue_sql texts = {
    .put = {.sql = "INSERT INTO job_queue(queue_name, job_type, priority, wake_boot_id, wake_ms, "
                   "lane, unique_key, idempotency_key, change, scheduled_at, created_at, "
                   "max_retries, timeout_seconds, payload) "
                   "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) "
                   "ON CONFLICT(queue_name, unique_key) WHERE unique_key IS NOT NULL AND "
                   "status IN ('pending', 'running') DO NOTHING"},
    .holder_of_key = {.sql = "SELECT id, idempotency_key FROM job_queue WHERE queue_name = ?1 AND "
                             "unique_key = ?2 AND status IN ('pending', 'running')"},
    .state = {.sql = "SELECT paused, reason FROM queue_state WHERE queue_name = ?1"},
    .promote = {.sql = "UPDATE job_queue SET wake_boot_id = NULL, wake_ms = NULL "
                       "WHERE id IN (SELECT id FROM (" JOBS_DUE("pending") ") LIMIT ?5)"},
    .expired = {.sql = "SELECT id FROM (" JOBS_DUE("running") ") LIMIT ?5"},
    .next = {.sql = "SELECT id, priority, attempts, retry_count, max_retries, timeout_seconds, "
                    "created_at, queue_name, job_type, lane, idempotency_key, payload "
                    "FROM job_queue WHERE queue_name = ?1 AND " JOBS_READY
                    " ORDER BY priority DESC, id LIMIT 1"},
    .next_of_type = {.sql = "SELECT id, priority FROM job_queue WHERE queue_name = ?1 AND "
                            "job_type = ?2 AND " JOBS_READY
                            " AND job_type IS NOT NULL ORDER BY priority DESC, id LIMIT 1"},
    .get = {.sql = "SELECT id, priority, attempts, retry_count, max_retries, timeout_seconds, "
                   "created_at, queue_name, job_type, lane, idempotency_key, payload "
                   "FROM job_queue WHERE id = ?1"},
    .take = {.sql = "UPDATE job_queue SET status = 'running', wake_boot_id = ?2, wake_ms = ?3, "
                    "lease_token = ?4, lease_holder = ?5, started_at = ?6, "
                    "attempts = attempts + 1, change = ?7 WHERE id = ?1"},
    .held = {.sql = "SELECT timeout_seconds, wake_ms FROM job_queue WHERE id = ?1 AND "
                    "status = 'running' AND lease_token = ?2 AND wake_boot_id = ?3 AND "
                    "wake_ms > ?4"},
    .counts = {.sql = "SELECT retry_count, max_retries, crash_count, wake_boot_id = ?2 "
                      "FROM job_queue WHERE id = ?1"},
    .complete = {.sql = "UPDATE job_queue SET status = 'completed', completed_at = ?2, "
                        "result = ?3, wake_boot_id = NULL, wake_ms = NULL, lease_token = NULL, "
                        "lease_holder = NULL, error_message = NULL, change = ?4 WHERE id = ?1 "
                        "AND status = 'running' AND lease_token = ?5 AND wake_boot_id = ?6 AND "
                        "wake_ms > ?7"},
    .again = {.sql = "UPDATE job_queue SET status = 'pending', wake_boot_id = ?2, wake_ms = ?3, "
                     "scheduled_at = ?4, lease_token = NULL, lease_holder = NULL, "
                     "retry_count = retry_count + ?5, crash_count = crash_count + ?6, "
                     "change = ?7, " JOBS_HISTORY("attempts", "?8", "?9") " WHERE id = ?1"},
    .release = {.sql = "UPDATE job_queue SET status = 'pending', wake_boot_id = NULL, "
                       "wake_ms = NULL, lease_token = NULL, lease_holder = NULL, "
                       "attempts = attempts - 1, change = ?2, error_message = ?3 WHERE id = ?1"},
    .dead = {.sql =
                 "UPDATE job_queue SET status = 'failed', completed_at = ?2, "
                 "wake_boot_id = NULL, wake_ms = NULL, lease_token = NULL, "
                 "lease_holder = NULL, crash_count = crash_count + ?3, change = ?4, " JOBS_HISTORY(
                     "attempts", "?2", "?5") " WHERE id = ?1"},
    .extend = {.sql = "UPDATE job_queue SET wake_ms = max(wake_ms, ?2 + iif(lease_holder IS NULL, "
                      "0, ?4)), change = ?3 WHERE id = ?1"},
    .holders = {.sql = "SELECT DISTINCT lease_holder FROM job_queue "
                       "WHERE queue_name = ?1 AND lease_holder IS NOT NULL"},
    .of_holder = {.sql = "SELECT id FROM job_queue "
                         "WHERE queue_name = ?1 AND lease_holder = ?2 LIMIT ?3"},
    .in_wait = {.sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM job_queue "
                       "WHERE queue_name = ?1 AND " JOBS_READY " LIMIT ?2)) + "
                       "(SELECT count(*) FROM (SELECT 1 FROM job_queue WHERE queue_name = ?1 AND "
                       "status = 'pending' AND wake_ms IS NOT NULL LIMIT ?2))"},
    .due = {.sql =
                "SELECT "
                "(SELECT min(wake_ms) - ?4 FROM job_queue WHERE queue_name = ?1 AND "
                "status = 'pending' AND wake_boot_id = '" JOBS_WALL "' AND wake_ms IS NOT NULL), "
                "(SELECT min(wake_ms) - ?3 FROM job_queue WHERE queue_name = ?1 AND "
                "status = 'pending' AND wake_boot_id = ?2 AND wake_ms IS NOT NULL), "
                "(SELECT min(wake_ms) - ?3 FROM job_queue WHERE queue_name = ?1 AND "
                "status = 'running' AND wake_boot_id = ?2 AND wake_ms IS NOT NULL), "
                "(SELECT 0 WHERE EXISTS (SELECT 1 FROM job_queue WHERE queue_name = ?1 AND "
                "status IN ('pending', 'running') AND wake_boot_id < ?2 AND wake_ms IS NOT NULL) "
                "OR EXISTS (SELECT 1 FROM job_queue WHERE queue_name = ?1 AND "
                "status IN ('pending', 'running') AND wake_boot_id > ?2 AND "
                "wake_boot_id < '" JOBS_WALL "' AND wake_ms IS NOT NULL))"},
};

bool queue_name_ok(struct span s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    if (!s.n || s.n > QUEUE_NAME_MAX || s.p[0] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!memchr(allowed, s.p[i], sizeof allowed - 1))
            return false;
    return true;
}

/* --- opening, transactions ---------------------------------------------- */

int queue_open(struct queue *q, struct store *st, struct err *e)
{
    *q = (struct queue){.sql = malloc(sizeof *q->sql)};
    if (!q->sql)
        return err_memory(e);
    *q->sql = texts;
    return jobs_open(&q->jobs, st, e);
}

void queue_close(struct queue *q)
{
    struct stmt *s = (struct stmt *)q->sql;

    for (size_t i = 0; q->sql && i < sizeof *q->sql / sizeof *s; i++)
        stmt_free(&s[i]);
    free(q->sql);
    jobs_close(&q->jobs);
    *q = (struct queue){0};
}

int queue_begin(struct queue *q, struct err *e)
{
    return jobs_begin(&q->jobs, e);
}

int queue_commit(struct queue *q, struct err *e)
{
    return jobs_commit(&q->jobs, e);
}

void queue_rollback(struct queue *q)
{
    jobs_rollback(&q->jobs);
}

/* --- enqueue ------------------------------------------------------------ */

static void copy_key(struct span s, char key[static 256])
{
    size_t n = s.n < 255 ? s.n : 255;

    memcpy(key, s.p, n);
    key[n] = '\0';
}

/* The job that has this unique key. */
static int find_holder(struct queue *q, const struct new_job *n, int64_t *id, char key[static 256],
                       struct err *e)
{
    struct stmt *s = &q->sql->holder_of_key;
    int rc;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, n->queue);
    stmt_bind_span(s, 2, n->unique);
    rc = stmt_step(s, e);
    if (rc == 1) {
        *id = stmt_int(s, 0);
        copy_key(stmt_span(s, 1), key);
        stmt_reset(s);
        return 0;
    }
    return rc < 0 ? -1
                  : err_set(e, EX_SOFTWARE, "%.*s: a job was neither put nor found",
                            (int)n->queue.n, n->queue.p);
}

static void bind_new(struct stmt *s, const struct new_job *n, const char *key, int64_t change)
{
    int64_t now = clock_now_ms();
    bool later = n->at_ms > now;

    stmt_bind_span(s, 1, n->queue);
    stmt_bind_span(s, 2, n->type);
    stmt_bind_int(s, 3, n->priority);
    if (later) {
        stmt_bind_span(s, 4, SPAN(JOBS_WALL));
        stmt_bind_int(s, 5, n->at_ms);
    } else {
        stmt_bind_null(s, 4);
        stmt_bind_null(s, 5);
    }
    stmt_bind_span(s, 6, n->lane);
    stmt_bind_span(s, 7, n->unique);
    stmt_bind_span(s, 8, span_of(key));
    stmt_bind_int(s, 9, change);
    stmt_bind_int(s, 10, later ? n->at_ms : now);
    stmt_bind_int(s, 11, now);
    stmt_bind_int(s, 12, n->max_retries);
    stmt_bind_int(s, 13, n->timeout_s);
    stmt_bind_span(s, 14, n->payload);
}

int queue_put(struct queue *q, const struct new_job *n, int64_t *id, char key[static 256],
              struct err *e)
{
    struct stmt *s = &q->sql->put;

    if (n->idempotency_key.p)
        copy_key(n->idempotency_key, key);
    else if (uuid7_new(key, e))
        return -1;
    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    bind_new(s, n, key, q->jobs.change + 1);
    if (stmt_run(s, e))
        return -1;
    if (!sqlite3_changes(q->jobs.st->db.handle))
        return find_holder(q, n, id, key, e);
    q->jobs.change++;
    *id = sqlite3_last_insert_rowid(q->jobs.st->db.handle);
    return 1;
}

int queue_room(struct queue *q, struct span queue, int64_t most, int64_t *room, struct err *e)
{
    struct stmt *s = &q->sql->in_wait;

    *room = INT64_MAX;
    if (!most)
        return 0;
    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    stmt_bind_int(s, 2, most);
    if (stmt_step(s, e) < 0)
        return -1;
    *room = stmt_int(s, 0) < most ? most - stmt_int(s, 0) : 0;
    stmt_reset(s);
    return 0;
}

/* --- the end of an attempt ---------------------------------------------- */

/* Is the lease with this token alive? A column of its row, 0 if not. */
static int64_t of_lease(struct queue *q, int64_t id, struct span token, int column, struct err *e)
{
    struct stmt *s = &q->sql->held;
    int64_t value = 0;
    int rc;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_span(s, 2, token);
    stmt_bind_span(s, 3, span_of(q->jobs.boot));
    stmt_bind_int(s, 4, clock_boot_ms());
    rc = stmt_step(s, e);
    if (rc == 1) {
        value = stmt_int(s, column);
        stmt_reset(s);
    }
    return rc < 0 ? -1 : value;
}

/* The job's timeout in seconds. */
static int64_t held(struct queue *q, int64_t id, struct span token, struct err *e)
{
    return of_lease(q, id, token, 0, e);
}

int64_t queue_lease(struct queue *q, int64_t id, struct span token, struct err *e)
{
    return of_lease(q, id, token, 1, e);
}

static int give_back(struct queue *q, int64_t id, struct span why, struct err *e)
{
    struct stmt *s = &q->sql->release;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, ++q->jobs.change);
    stmt_bind_span(s, 3, why);
    return stmt_run(s, e);
}

/* failures: of this kind, with this one. */
static int try_again(struct queue *q, int64_t id, bool crash, int64_t failures, struct span why,
                     struct err *e)
{
    struct stmt *s = &q->sql->again;
    int64_t now = clock_now_ms(), delay;
    uint64_t random;

    if (rng_bytes(&random, sizeof random, e) || stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    delay = backoff_ms(failures, random);
    stmt_bind_int(s, 1, id);
    stmt_bind_span(s, 2, span_of(q->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms() + delay);
    stmt_bind_int(s, 4, now + delay);
    stmt_bind_int(s, 5, !crash);
    stmt_bind_int(s, 6, crash);
    stmt_bind_int(s, 7, ++q->jobs.change);
    stmt_bind_int(s, 8, now);
    stmt_bind_span(s, 9, why);
    return stmt_run(s, e);
}

static int give_up(struct queue *q, int64_t id, bool crash, struct span why, struct err *e)
{
    struct stmt *s = &q->sql->dead;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_now_ms());
    stmt_bind_int(s, 3, crash);
    stmt_bind_int(s, 4, ++q->jobs.change);
    stmt_bind_span(s, 5, why);
    return stmt_run(s, e) || jobs_bury(&q->jobs, id, e) ? -1 : 0;
}

/* The attempt that is under way has come to nothing. */
static int end_attempt(struct queue *q, int64_t id, enum queue_failure how, struct span why,
                       struct err *e)
{
    struct stmt *s = &q->sql->counts;
    int64_t retries, max_retries, crashes;
    bool this_time;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_span(s, 2, span_of(q->jobs.boot));
    if (stmt_step(s, e) < 0)
        return -1;
    retries = stmt_int(s, 0);
    max_retries = stmt_int(s, 1);
    crashes = stmt_int(s, 2);
    this_time = stmt_int(s, 3) != 0;
    stmt_reset(s);
    if (jobs_clean(&q->jobs, &why, e))
        return -1;
    /* A box that went down did so whatever the job was. */
    if (how == QUEUE_RELEASE || (how == QUEUE_CRASH && !this_time))
        return give_back(q, id, why, e);
    if (how == QUEUE_DEAD || (how == QUEUE_RETRY && retries >= max_retries) ||
        (how == QUEUE_CRASH && crashes + 1 >= QUEUE_CRASHES))
        return give_up(q, id, how == QUEUE_CRASH, why, e);
    return try_again(q, id, how == QUEUE_CRASH, (how == QUEUE_CRASH ? crashes : retries) + 1, why,
                     e);
}

int queue_fail(struct queue *q, int64_t id, struct span token, enum queue_failure how,
               struct span why, struct err *e)
{
    int64_t timeout = held(q, id, token, e);

    if (timeout <= 0)
        return (int)timeout;
    return end_attempt(q, id, how, why, e) ? -1 : 1;
}

int queue_complete(struct queue *q, int64_t id, struct span token, struct span result,
                   struct err *e)
{
    struct stmt *s = &q->sql->complete;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_now_ms());
    stmt_bind_span(s, 3, result);
    stmt_bind_int(s, 4, q->jobs.change + 1);
    stmt_bind_span(s, 5, token);
    stmt_bind_span(s, 6, span_of(q->jobs.boot));
    stmt_bind_int(s, 7, clock_boot_ms());
    if (stmt_run(s, e))
        return -1;
    if (!sqlite3_changes(q->jobs.st->db.handle))
        return 0;
    q->jobs.change++;
    return 1;
}

int queue_extend(struct queue *q, int64_t id, struct span token, int64_t ms, struct err *e)
{
    struct stmt *s = &q->sql->extend;
    int64_t timeout = held(q, id, token, e);

    if (timeout <= 0)
        return (int)timeout;
    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    stmt_bind_int(s, 2, clock_boot_ms() + (ms < 0 ? timeout * 1000 : ms));
    stmt_bind_int(s, 3, ++q->jobs.change);
    stmt_bind_int(s, 4, QUEUE_HOLDER_MS);
    return stmt_run(s, e) ? -1 : 1;
}

/* --- what comes back ---------------------------------------------------- */

static void bind_due(const struct queue *q, struct stmt *s, struct span queue)
{
    jobs_bind_due(&q->jobs, s, queue);
    stmt_bind_int(s, 5, WAKE_MAX);
}

/* The ids of a bound statement's rows, then the crash of each. */
static int crash_all(struct queue *q, struct stmt *s, struct span why, struct err *e)
{
    static int64_t ids[WAKE_MAX];
    int n = 0, rc;

    while ((rc = stmt_step(s, e)) == 1)
        ids[n++] = stmt_int(s, 0);
    for (int i = 0; !rc && i < n; i++)
        rc = end_attempt(q, ids[i], QUEUE_CRASH, why, e);
    return rc ? -1 : n;
}

int queue_wake(struct queue *q, struct span queue, struct err *e)
{
    struct stmt *promote = &q->sql->promote, *expired = &q->sql->expired;

    if (stmt_ready(promote, &q->jobs.st->db, e))
        return -1;
    bind_due(q, promote, queue);
    if (stmt_run(promote, e) || stmt_ready(expired, &q->jobs.st->db, e))
        return -1;
    bind_due(q, expired, queue);
    return crash_all(q, expired, SPAN("its lease ended before it was done"), e) < 0 ? -1 : 0;
}

static int reap_holder(struct queue *q, struct span queue, int64_t holder, struct err *e)
{
    struct stmt *s = &q->sql->of_holder;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    stmt_bind_int(s, 2, holder);
    stmt_bind_int(s, 3, WAKE_MAX);
    return crash_all(q, s, SPAN("its worker is gone"), e);
}

int queue_reap(struct queue *q, struct span queue, const struct lockfile *work, struct err *e)
{
    struct stmt *s = &q->sql->holders;
    int64_t gone[64];
    int n = 0, reaped = 0, rc;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    while ((rc = stmt_step(s, e)) == 1 && n < 64)
        if (!lockfile_taken(work, stmt_int(s, 0)))
            gone[n++] = stmt_int(s, 0);
    stmt_reset(s);
    for (int i = 0; rc >= 0 && i < n; i++) {
        rc = reap_holder(q, queue, gone[i], e);
        reaped += rc > 0 ? rc : 0;
    }
    return rc < 0 ? -1 : reaped;
}

int queue_orphaned(struct queue *q, struct span queue, const struct lockfile *work, int64_t own,
                   struct err *e)
{
    struct stmt *s = &q->sql->holders;
    int others = 0, rc = 0;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    while (others < 2 && (rc = stmt_step(s, e)) == 1)
        if (stmt_int(s, 0) != own)
            others = lockfile_taken(work, stmt_int(s, 0)) ? 1 : 2;
    stmt_reset(s);
    return rc < 0 ? -1 : others;
}

/* --- claim -------------------------------------------------------------- */

/* 1 with the id of the best ready job of one type. */
static int best_of_type(struct queue *q, struct span queue, struct span type, int64_t *id,
                        int64_t *priority, struct err *e)
{
    struct stmt *s = &q->sql->next_of_type;
    int rc;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    stmt_bind_span(s, 2, type);
    rc = stmt_step(s, e);
    if (rc == 1) {
        *id = stmt_int(s, 0);
        *priority = stmt_int(s, 1);
        stmt_reset(s);
    }
    return rc;
}

/* The same among several types; 0 when there is none. */
static int best_of_types(struct queue *q, const struct claim *c, int64_t *best, struct err *e)
{
    int64_t best_priority = 0;
    int found = 0;

    for (size_t i = 0; i < c->type_count; i++) {
        int64_t id = 0, priority = 0;
        int rc = best_of_type(q, c->queue, c->types[i], &id, &priority, e);

        if (rc < 0)
            return -1;
        if (rc &&
            (!found || priority > best_priority || (priority == best_priority && id < *best))) {
            *best = id;
            best_priority = priority;
            found = 1;
        }
    }
    return found;
}

/* The statement that stands on the next ready job, in *row. 1, 0 or -1. */
static int next_ready(struct queue *q, const struct claim *c, struct stmt **row, struct err *e)
{
    int64_t id = 0;

    *row = c->type_count ? &q->sql->get : &q->sql->next;
    if (c->type_count) {
        int found = best_of_types(q, c, &id, e);

        if (found <= 0)
            return found;
    }
    if (stmt_ready(*row, &q->jobs.st->db, e))
        return -1;
    if (c->type_count)
        stmt_bind_int(*row, 1, id);
    else
        stmt_bind_span(*row, 1, c->queue);
    return stmt_step(*row, e);
}

static struct job read_job(struct stmt *s)
{
    return (struct job){.id = stmt_int(s, 0),
                        .priority = stmt_int(s, 1),
                        .attempt = stmt_int(s, 2) + 1,
                        .retry_count = stmt_int(s, 3),
                        .max_retries = stmt_int(s, 4),
                        .timeout_s = stmt_int(s, 5),
                        .created_at = stmt_int(s, 6),
                        .queue = stmt_span(s, 7),
                        .type = stmt_span(s, 8),
                        .lane = stmt_span(s, 9),
                        .idempotency_key = stmt_span(s, 10),
                        .payload = stmt_span(s, 11)};
}

static int make_token(char token[static QUEUE_TOKEN], struct err *e)
{
    struct digest random; /* any 16 bytes */

    if (rng_bytes(&random, sizeof random, e))
        return -1;
    digest_text(random, token);
    return 0;
}

static int lease(struct queue *q, const struct claim *c, const struct job *j, struct err *e)
{
    struct stmt *s = &q->sql->take;

    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_int(s, 1, j->id);
    stmt_bind_span(s, 2, span_of(q->jobs.boot));
    stmt_bind_int(s, 3, clock_boot_ms() + j->timeout_s * 1000 + (c->holder ? QUEUE_HOLDER_MS : 0));
    stmt_bind_span(s, 4, span_of(j->token));
    if (c->holder)
        stmt_bind_int(s, 5, c->holder);
    else
        stmt_bind_null(s, 5);
    stmt_bind_int(s, 6, clock_now_ms());
    stmt_bind_int(s, 7, ++q->jobs.change);
    return stmt_run(s, e);
}

static int claim_one(struct queue *q, const struct claim *c, struct err *e)
{
    char token[QUEUE_TOKEN];
    struct stmt *row;
    struct job j;
    int rc = next_ready(q, c, &row, e);

    if (rc <= 0)
        return rc;
    j = read_job(row);
    j.token = token;
    /* What is handed out points into the row, which is read before it is changed. */
    rc = make_token(token, e) || c->each(c->ctx, &j, e);
    stmt_reset(row);
    return rc || lease(q, c, &j, e) ? -1 : 1;
}

int queue_paused(struct queue *q, struct span queue, char reason[static 256], struct err *e)
{
    struct stmt *s = &q->sql->state;
    int rc;

    reason[0] = '\0';
    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    rc = stmt_step(s, e);
    if (rc == 1) {
        rc = stmt_int(s, 0) != 0;
        snprintf(reason, 256, "%.*s", (int)stmt_span(s, 1).n, stmt_span(s, 1).p);
        stmt_reset(s);
    }
    return rc;
}

/* What has become due in the last moment may wait for another: a look costs as much
 * as a claim. 1: it was looked. */
static int wake_now_and_then(struct queue *q, struct span queue, struct err *e)
{
    int64_t now = clock_boot_ms();

    if (q->woken && now - q->woken < QUEUE_WAKE_MS)
        return 0;
    q->woken = now;
    return queue_wake(q, queue, e) ? -1 : 1;
}

static int claim_ready(struct queue *q, const struct claim *c, int n, struct err *e)
{
    int claimed = 0, rc = 1;

    while (claimed < n && (rc = claim_one(q, c, e)) == 1)
        claimed++;
    return rc < 0 ? -1 : claimed;
}

int queue_claim(struct queue *q, const struct claim *c, int n, struct err *e)
{
    char reason[256];
    int claimed, woken, rc = queue_paused(q, c->queue, reason, e);

    if (rc)
        return rc < 0 ? -1 : 0;
    woken = wake_now_and_then(q, c->queue, e);
    claimed = woken < 0 ? -1 : claim_ready(q, c, n, e);
    if (claimed || woken)
        return claimed;
    return queue_wake(q, c->queue, e) ? -1 : claim_ready(q, c, n, e);
}

/* --- waiting ------------------------------------------------------------ */

/* In how many ms something comes due; -1: nothing waits. */
static int due_in(struct queue *q, struct span queue, int64_t *ms, struct err *e)
{
    struct stmt *s = &q->sql->due;

    *ms = -1;
    if (stmt_ready(s, &q->jobs.st->db, e))
        return -1;
    jobs_bind_due(&q->jobs, s, queue);
    if (stmt_step(s, e) < 0)
        return -1;
    for (int i = 0; i < 4; i++)
        if (sqlite3_column_type(s->handle, i) != SQLITE_NULL) {
            int64_t in = stmt_int(s, i) > 0 ? stmt_int(s, i) : 0;

            *ms = *ms < 0 || in < *ms ? in : *ms;
        }
    stmt_reset(s);
    return 0;
}

int queue_ready(struct queue *q, const struct claim *c, int64_t *in_ms, struct err *e)
{
    char reason[256];
    struct stmt *row;
    int rc = queue_paused(q, c->queue, reason, e);

    *in_ms = -1;
    if (rc)
        return rc < 0 ? -1 : 0;
    rc = next_ready(q, c, &row, e);
    if (rc == 1)
        stmt_reset(row);
    return rc ? rc : due_in(q, c->queue, in_ms, e);
}

int queue_pause(struct queue *q, struct span queue, const char *reason, struct err *e)
{
    return jobs_pause(&q->jobs, queue, reason ? span_of(reason) : (struct span){NULL, 0}, e);
}

int queue_resume(struct queue *q, struct span queue, struct err *e)
{
    return jobs_resume(&q->jobs, queue, e);
}
