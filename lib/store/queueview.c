#include "store/queueview.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* No box has had this program before 2026: a clock that says so was not set. */
#define CLOCK_SET_MS INT64_C(1767225600000)

#define JOB_HEAD                                                                                   \
    "SELECT id, queue_name, job_type, priority, status, wake_boot_id, wake_ms, lease_token, "      \
    "lease_holder, lane, unique_key, idempotency_key, change, scheduled_at, created_at, "          \
    "started_at, completed_at, attempts, retry_count, max_retries, crash_count, "                  \
    "timeout_seconds, owed, CASE WHEN status = 'failed' THEN EXISTS (SELECT 1 FROM "               \
    "job_queue_dead_letter WHERE original_job_id = job_queue.id) END, error_message, "             \
    "errors_json, "
#define JOB JOB_HEAD "payload, result FROM job_queue "
#define LETTER                                                                                     \
    "SELECT original_job_id, queue_name, job_type, priority, 'failed', NULL, NULL, NULL, NULL, "   \
    "lane, unique_key, idempotency_key, NULL, NULL, original_created_at, NULL, failed_at, "        \
    "failure_count, NULL, max_retries, NULL, timeout_seconds, 0, 1, error_message, errors_json, "  \
    "payload, NULL FROM job_queue_dead_letter AS letter "
#define ALONE "NOT EXISTS (SELECT 1 FROM job_queue WHERE id = original_job_id) "

/* Pending, but held back: ?2 is this boot, ?3 its ms, ?4 the wall clock. */
#define HELD_BACK "queue_name = ?1 AND status = 'pending' AND wake_ms IS NOT NULL"
#define DUE       "CASE wake_boot_id WHEN 'wall' THEN wake_ms <= ?4 WHEN ?2 THEN wake_ms <= ?3 ELSE 1 END"

struct view_sql {
    struct stmt list, alone, letters, by_id, letter_by_id, by_key, letter_by_key, changes,
        last_change, next_queue, depth, ended, state, errors;
};

static const struct view_sql texts = {
    .list = {.sql = JOB "WHERE (?1 IS NULL OR queue_name = ?1) AND (?2 IS NULL OR status = ?2) "
                        "AND (?3 OR status <> 'completed') ORDER BY id"},
    .alone = {.sql = LETTER "WHERE (?1 IS NULL OR queue_name = ?1) AND " ALONE "ORDER BY id"},
    .letters = {.sql = LETTER "WHERE (?1 IS NULL OR queue_name = ?1) ORDER BY id"},
    .by_id = {.sql = JOB "WHERE id = CAST(?1 AS INTEGER) AND CAST(id AS TEXT) = ?1"},
    .letter_by_id = {.sql = LETTER "WHERE original_job_id = CAST(?1 AS INTEGER) AND "
                                   "CAST(original_job_id AS TEXT) = ?1"},
    .by_key = {.sql = JOB "WHERE queue_name = ?1 AND idempotency_key = ?2 ORDER BY id"},
    .letter_by_key = {.sql = LETTER "WHERE idempotency_key = ?1 AND " ALONE "ORDER BY id"},
    .changes = {.sql = JOB_HEAD "NULL, NULL FROM job_queue WHERE change > ?1 AND "
                                "(?2 IS NULL OR queue_name = ?2) ORDER BY change"},
    .last_change = {.sql = "SELECT max(change) FROM job_queue"},
    .next_queue = {.sql = "SELECT min(name) FROM ("
                          "SELECT min(queue_name) AS name FROM job_queue WHERE queue_name > ?1 "
                          "UNION ALL SELECT min(queue_name) FROM job_queue_dead_letter "
                          "WHERE queue_name > ?1 "
                          "UNION ALL SELECT min(queue_name) FROM queue_state "
                          "WHERE queue_name > ?1)"},
    .depth = {.sql = "SELECT (SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND "
                     "status = 'pending' AND wake_ms IS NULL), "
                     "(SELECT count(*) FROM job_queue WHERE " HELD_BACK " AND " DUE "), "
                     "(SELECT count(*) FROM job_queue WHERE " HELD_BACK " AND NOT " DUE "), "
                     "(SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND status = 'running' "
                     "AND wake_ms IS NOT NULL), "
                     "(SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND "
                     "status = 'completed' AND completed_at IS NOT NULL), "
                     "(SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND status = 'failed' "
                     "AND completed_at IS NOT NULL), "
                     "(SELECT count(*) FROM job_queue_dead_letter WHERE queue_name = ?1), "
                     "(SELECT count(*) FROM job_queue WHERE queue_name = ?1 AND owed = 1), "
                     "(SELECT created_at FROM job_queue WHERE id = (SELECT min(id) FROM ("
                     "SELECT min(+id) AS id FROM job_queue WHERE queue_name = ?1 AND "
                     "status = 'pending' AND wake_ms IS NULL UNION ALL "
                     "SELECT min(+id) FROM job_queue WHERE " HELD_BACK
                     " AND (wake_boot_id <> 'wall' OR wake_ms <= ?4))))"},
    .ended = {.sql = "SELECT status = 'completed', retry_count + crash_count > 0, scheduled_at, "
                     "started_at, completed_at FROM job_queue WHERE queue_name = ?1 AND "
                     "status IN ('completed', 'failed') AND completed_at > ?2"},
    .state = {.sql = "SELECT paused, reason, endpoint_failures, wake_boot_id, wake_ms, "
                     "error_message, coalesce(last_success_at, -1) FROM queue_state "
                     "WHERE queue_name = ?1"},
    .errors = {.sql = "SELECT json_extract(value, '$.attempt'), json_extract(value, '$.at'), "
                      "json_extract(value, '$.error') FROM json_each(?1)"},
};

static const struct {
    const char *name;
    enum { NUMBER, TEXT, TRUTH, JSON } kind;
} members[VIEW_MEMBERS] = {
    [VIEW_ID] = {"id", NUMBER},
    [VIEW_QUEUE] = {"queue_name", TEXT},
    [VIEW_TYPE] = {"job_type", TEXT},
    [VIEW_PRIORITY] = {"priority", NUMBER},
    [VIEW_STATUS] = {"status", TEXT},
    [VIEW_WAKE_BOOT] = {"wake_boot_id", TEXT},
    [VIEW_WAKE] = {"wake_ms", NUMBER},
    [VIEW_TOKEN] = {"lease_token", TEXT},
    [VIEW_HOLDER] = {"lease_holder", NUMBER},
    [VIEW_LANE] = {"lane", TEXT},
    [VIEW_UNIQUE] = {"unique_key", TEXT},
    [VIEW_KEY] = {"idempotency_key", TEXT},
    [VIEW_CHANGE] = {"change", NUMBER},
    [VIEW_SCHEDULED] = {"scheduled_at", NUMBER},
    [VIEW_CREATED] = {"created_at", NUMBER},
    [VIEW_STARTED] = {"started_at", NUMBER},
    [VIEW_COMPLETED] = {"completed_at", NUMBER},
    [VIEW_ATTEMPTS] = {"attempts", NUMBER},
    [VIEW_RETRIES] = {"retry_count", NUMBER},
    [VIEW_MAX_RETRIES] = {"max_retries", NUMBER},
    [VIEW_CRASHES] = {"crash_count", NUMBER},
    [VIEW_TIMEOUT] = {"timeout_seconds", NUMBER},
    [VIEW_OWED] = {"owed", TRUTH},
    [VIEW_DEAD_LETTER] = {"dead_letter", TRUTH},
    [VIEW_ERROR] = {"error_message", TEXT},
    [VIEW_ERRORS] = {"errors", JSON},
    [VIEW_PAYLOAD] = {"payload", JSON},
    [VIEW_RESULT] = {"result", JSON},
};

int view_open(struct view *v, struct store *st, struct err *e)
{
    *v = (struct view){.st = st, .sql = malloc(sizeof *v->sql)};
    if (!v->sql)
        return err_memory(e);
    *v->sql = texts;
    return 0;
}

void view_close(struct view *v)
{
    struct stmt *s = (struct stmt *)v->sql;

    for (size_t i = 0; v->sql && i < sizeof *v->sql / sizeof *s; i++)
        stmt_free(&s[i]);
    free(v->sql);
    json_end(&v->json);
    buf_free(&v->queue);
    buf_free(&v->reason);
    buf_free(&v->error);
    *v = (struct view){0};
}

/* --- a row -------------------------------------------------------------- */

struct span view_span(struct view *v, enum view_member m)
{
    return stmt_span(v->row, (int)m);
}

int64_t view_int(struct view *v, enum view_member m)
{
    return stmt_int(v->row, (int)m);
}

static bool is_null(struct stmt *s, int column)
{
    return sqlite3_column_type(s->handle, column) == SQLITE_NULL;
}

/* Times of another boot are over. */
static int64_t held_ms(struct span boot, int64_t wake_ms)
{
    int64_t ms = 0;

    if (!boot.p)
        return 0;
    if (span_eq(boot, SPAN("wall")))
        ms = wake_ms - clock_now_ms();
    else if (span_eq(boot, span_of(clock_boot_id())))
        ms = wake_ms - clock_boot_ms();
    return ms > 0 ? ms : 0;
}

int64_t view_held_ms(struct view *v)
{
    return held_ms(view_span(v, VIEW_WAKE_BOOT), view_int(v, VIEW_WAKE));
}

/* A line stays a line, whoever wrote the row. */
static int add_json(struct view *v, struct span s, struct buf *out)
{
    struct json_value value;

    if (json_whole(&v->json, s, &value))
        return v->json.why == json_no_memory ? -1 : json_quote(s, out);
    return value.spaced ? json_compact(value.raw, out) : buf_add(out, value.raw.p, value.raw.n);
}

static int add_member(struct view *v, enum view_member m, struct buf *out)
{
    struct span s = view_span(v, m);

    switch (members[m].kind) {
    case NUMBER:
        return buf_addi(out, view_int(v, m));
    case TRUTH:
        return buf_adds(out, view_int(v, m) ? "true" : "false");
    case JSON:
        return add_json(v, s, out);
    case TEXT:
    default:
        return json_quote(s, out);
    }
}

int view_json(struct view *v, struct buf *out)
{
    char before = '{';

    for (enum view_member m = VIEW_ID; m < VIEW_MEMBERS; m++) {
        if (is_null(v->row, (int)m))
            continue;
        if (buf_printf(out, "%c\"%s\":", before, members[m].name) || add_member(v, m, out))
            return -1;
        before = ',';
    }
    return buf_adds(out, "}\n");
}

int view_errors(struct view *v,
                void (*each)(void *ctx, int64_t attempt, int64_t at_ms, struct span error),
                void *ctx, struct err *e)
{
    struct stmt *s = &v->sql->errors;
    int rc;

    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, view_span(v, VIEW_ERRORS));
    while ((rc = stmt_step(s, e)) == 1)
        each(ctx, stmt_int(s, 0), stmt_int(s, 1), stmt_span(s, 2));
    return rc;
}

/* --- rows --------------------------------------------------------------- */

/* Hands the rows of a bound statement to each; adds to *n how many. 1: each
 * wants no more. */
static int walk(struct view *v, struct stmt *s, view_each *each, void *ctx, int64_t *n,
                struct err *e)
{
    int rc;

    v->row = s;
    while ((rc = stmt_step(s, e)) == 1) {
        ++*n;
        rc = each(ctx, v, e);
        if (rc)
            break;
    }
    stmt_reset(s);
    return rc;
}

struct filtered {
    const struct view_filter *f;
    view_each *each;
    void *ctx;
    int64_t given;
};

static bool is_wanted(const struct view_filter *f, struct span type)
{
    for (size_t i = 0; i < f->type_count; i++)
        if (type.p && span_eq(type, f->types[i]))
            return true;
    return !f->type_count;
}

static int each_filtered(void *ctx, struct view *v, struct err *e)
{
    struct filtered *w = ctx;
    int rc;

    if (!is_wanted(w->f, view_span(v, VIEW_TYPE)))
        return 0;
    if (w->f->limit >= 0 && w->given == w->f->limit)
        return 1;
    w->given++;
    rc = w->each(w->ctx, v, e);
    return rc ? rc : w->given == w->f->limit;
}

static int walk_filtered(struct view *v, struct stmt *s, struct filtered *w, struct err *e)
{
    int64_t n = 0;

    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, w->f->queue);
    if (s == &v->sql->list) {
        stmt_bind_span(s, 2, w->f->status);
        stmt_bind_int(s, 3, w->f->all || w->f->status.p);
    }
    return walk(v, s, each_filtered, w, &n, e);
}

int view_list(struct view *v, const struct view_filter *f, view_each *each, void *ctx,
              struct err *e)
{
    struct filtered w = {.f = f, .each = each, .ctx = ctx};
    int rc = walk_filtered(v, &v->sql->list, &w, e);

    if (!rc && f->all && (!f->status.p || span_eq(f->status, SPAN("failed"))))
        rc = walk_filtered(v, &v->sql->alone, &w, e);
    return rc < 0 ? -1 : 0;
}

int view_letters(struct view *v, const struct view_filter *f, view_each *each, void *ctx,
                 struct err *e)
{
    struct filtered w = {.f = f, .each = each, .ctx = ctx};

    return walk_filtered(v, &v->sql->letters, &w, e) < 0 ? -1 : 0;
}

static int find(struct view *v, struct stmt *s, struct span a, struct span b, view_each *each,
                void *ctx, int64_t *n, struct err *e)
{
    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, a);
    if (b.p)
        stmt_bind_span(s, 2, b);
    return walk(v, s, each, ctx, n, e) < 0 ? -1 : 0;
}

/* The index on keys is by queue. */
static int find_key(struct view *v, struct span key, view_each *each, void *ctx, int64_t *n,
                    struct err *e)
{
    int rc = view_next_queue(v, "", e);

    while (rc == 1) {
        if (find(v, &v->sql->by_key, span_of(v->queue.data), key, each, ctx, n, e))
            return -1;
        rc = view_next_queue(v, v->queue.data, e);
    }
    return rc;
}

int view_find(struct view *v, struct span what, view_each *each, void *ctx, struct err *e)
{
    static const struct span none = {NULL, 0};
    int64_t n = 0;
    int rc = find(v, &v->sql->by_id, what, none, each, ctx, &n, e);

    if (!rc && !n)
        rc = find(v, &v->sql->letter_by_id, what, none, each, ctx, &n, e);
    if (!rc && !n)
        rc = find_key(v, what, each, ctx, &n, e);
    if (!rc && !n)
        rc = find(v, &v->sql->letter_by_key, what, none, each, ctx, &n, e);
    return rc ? -1 : (int)n;
}

int view_changes(struct view *v, struct span queue, int64_t after, view_each *each, void *ctx,
                 struct err *e)
{
    struct stmt *s = &v->sql->changes;
    int64_t n = 0;

    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_int(s, 1, after);
    stmt_bind_span(s, 2, queue);
    return walk(v, s, each, ctx, &n, e);
}

int view_last_change(struct view *v, int64_t *change, struct err *e)
{
    struct stmt *s = &v->sql->last_change;

    if (stmt_ready(s, &v->st->db, e) || stmt_step(s, e) < 0)
        return -1;
    *change = stmt_int(s, 0);
    stmt_reset(s);
    return 0;
}

int view_next_queue(struct view *v, const char *name, struct err *e)
{
    struct stmt *s = &v->sql->next_queue;
    struct buf next = {0};
    int found, rc;

    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, span_of(name));
    if (stmt_step(s, e) < 0)
        return -1;
    found = !is_null(s, 0);
    rc = found ? buf_add(&next, stmt_span(s, 0).p, stmt_span(s, 0).n) || buf_term(&next) : 0;
    stmt_reset(s);
    buf_free(&v->queue); /* name may point there */
    v->queue = next;
    return rc ? err_memory(e) : found;
}

/* --- numbers ------------------------------------------------------------ */

/* How often each span of time came, in classes a hundredth wide: up to 256 ms
 * each is its own, above each power of two has 128. */
enum { FINE = 7, CLASSES = (64 - FINE) << FINE };

struct tally {
    int64_t n, most;
    int64_t count[CLASSES];
};

static size_t class_of(int64_t ms)
{
    int shift = 0;

    while (ms >> shift >= 2 << FINE)
        shift++;
    return ((size_t)shift << FINE) + (size_t)(ms >> shift);
}

/* The longest span of a class. */
static int64_t class_end(size_t class)
{
    int shift = class >> FINE ? (int)(class >> FINE) - 1 : 0;

    return (((int64_t) class - ((int64_t)shift << FINE) + 1) << shift) - 1;
}

/* A clock set back makes no span negative; one that was set only meanwhile
 * tells nothing. */
static void add_span(struct tally *t, int64_t from, int64_t to)
{
    int64_t ms = to > from ? to - from : 0;

    if (from < CLOCK_SET_MS && to >= CLOCK_SET_MS)
        return;
    t->n++;
    t->most = ms > t->most ? ms : t->most;
    t->count[class_of(ms)]++;
}

static int64_t percentile(const struct tally *t, int percent)
{
    int64_t rank = (t->n * percent + 99) / 100, seen = 0;
    size_t class = 0;

    if (!t->n)
        return -1;
    while ((seen += t->count[class]) < rank)
        class ++;
    return class_end(class) < t->most ? class_end(class) : t->most;
}

static struct view_spread spread_of(const struct tally *t)
{
    return (struct view_spread){t->n, percentile(t, 50), percentile(t, 95), percentile(t, 99)};
}

static int count_ended(struct view *v, struct span queue, int64_t since_ms, struct view_stats *out,
                       struct err *e)
{
    struct stmt *s = &v->sql->ended;
    struct tally *wait = calloc(2, sizeof *wait), *run = wait + 1;
    int rc;

    if (!wait)
        return err_memory(e);
    rc = stmt_ready(s, &v->st->db, e);
    if (!rc) {
        stmt_bind_span(s, 1, queue);
        stmt_bind_int(s, 2, clock_now_ms() - since_ms);
    }
    while (!rc && (rc = stmt_step(s, e)) == 1) {
        rc = 0;
        out->ended_well += stmt_int(s, 0);
        out->ended_badly += !stmt_int(s, 0);
        out->retried += stmt_int(s, 1);
        if (is_null(s, 3))
            continue;
        add_span(wait, stmt_int(s, 2), stmt_int(s, 3));
        add_span(run, stmt_int(s, 3), stmt_int(s, 4));
    }
    out->wait = spread_of(wait);
    out->run = spread_of(run);
    free(wait);
    return rc;
}

static int count_depth(struct view *v, struct span queue, struct view_stats *out, struct err *e)
{
    int64_t *const counts[] = {&out->ready,     &out->ready,  &out->waiting,      &out->running,
                               &out->completed, &out->failed, &out->dead_letters, &out->owed};
    struct stmt *s = &v->sql->depth;
    const char *boot = clock_boot_name();
    int64_t now = clock_now_ms(), oldest;

    if (!boot) /* which leases live cannot be told */
        return err_sys(e, EX_TEMPFAIL, "unable to read the id of this boot");
    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    stmt_bind_span(s, 2, span_of(boot));
    stmt_bind_int(s, 3, clock_boot_ms());
    stmt_bind_int(s, 4, now);
    if (stmt_step(s, e) < 0)
        return -1;
    for (int i = 0; i < 8; i++)
        *counts[i] += stmt_int(s, i);
    oldest = stmt_int(s, 8);
    out->oldest_ms = is_null(s, 8) ? -1 : now > oldest ? now - oldest : 0;
    if (oldest < CLOCK_SET_MS && now >= CLOCK_SET_MS && out->oldest_ms > 0)
        out->oldest_ms = now - CLOCK_SET_MS;
    stmt_reset(s);
    return 0;
}

/* A text of a row, kept in b. */
static int keep_text(struct stmt *s, int column, struct buf *b, struct span *out)
{
    struct span text = stmt_span(s, column);

    buf_clear(b);
    *out = text;
    if (!text.p)
        return 0;
    if (buf_add(b, text.p, text.n))
        return -1;
    *out = buf_span(b);
    return 0;
}

static int read_state(struct view *v, struct span queue, struct view_stats *out, struct err *e)
{
    struct stmt *s = &v->sql->state;
    int rc;

    out->last_success_at = -1;
    if (stmt_ready(s, &v->st->db, e))
        return -1;
    stmt_bind_span(s, 1, queue);
    rc = stmt_step(s, e);
    if (rc <= 0)
        return rc;
    out->paused = stmt_int(s, 0) != 0;
    out->endpoint_failures = stmt_int(s, 2);
    out->endpoint_held_ms = held_ms(stmt_span(s, 3), stmt_int(s, 4));
    out->last_success_at = stmt_int(s, 6);
    rc = keep_text(s, 1, &v->reason, &out->reason) ||
         keep_text(s, 5, &v->error, &out->endpoint_error);
    stmt_reset(s);
    return rc ? err_memory(e) : 0;
}

int view_stats(struct view *v, struct span queue, int64_t since_ms, struct view_stats *out,
               struct err *e)
{
    *out = (struct view_stats){0};
    if (count_depth(v, queue, out, e) || count_ended(v, queue, since_ms, out, e))
        return -1;
    return read_state(v, queue, out, e);
}
