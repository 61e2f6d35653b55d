#include "store/projection.h"

#include "core/projector.h"
#include "core/sweep.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_ROWS = 2000 };

/* One catch-up: what it reads, what it writes with, up to where. */
struct work {
    struct store *read;
    struct store *to, own; /* where it writes: own, once that is open */
    int64_t upto;          /* the newest event of the snapshot */
    int64_t floor;         /* every type has been considered up to here */
    bool rebuild;
    bool unsettled; /* a type was left as it was: not all is folded up to upto */
    const struct projector_paths *paths;
    struct projection_report *report;
    struct stmt stage;
};

void projection_report_free(struct projection_report *r)
{
    buf_free(&r->rebuilt);
    buf_free(&r->failed);
}

/* --- writing ------------------------------------------------------------ */

static int open_writer(struct work *w, struct err *e)
{
    struct store_settings set = w->read->set;

    if (w->to)
        return 0;
    set.bulk = false;
    if (store_open(&w->own, w->read->path, STORE_WRITE, &set, e))
        return -1;
    w->to = &w->own;
    w->stage = (struct stmt){.sql = "INSERT INTO temp.folded(" FOLD_COLUMNS ") "
                                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"};
    return db_exec(&w->to->db,
                   "CREATE TEMP TABLE folded(entity_type, entity_id, state_json, version, deleted, "
                   "first_event_id, last_event_id, hlc, covered_seq); "
                   "CREATE INDEX temp.folded_type ON folded(entity_type)",
                   e);
}

/* Rows go to a temporary table first: what a failing reducer gave is never
 * mixed with the old rows, and the gate is not held while folding. */
static int stage_row(void *ctx, const struct fold_row *row, struct err *e)
{
    struct work *w = ctx;
    struct stmt *s = &w->stage;

    if (stmt_ready(s, &w->to->db, e))
        return -1;
    stmt_bind_span(s, 1, row->type);
    stmt_bind_span(s, 2, row->id);
    stmt_bind_span(s, 3, row->state);
    stmt_bind_int(s, 4, row->version);
    stmt_bind_int(s, 5, row->deleted);
    stmt_bind_span(s, 6, row->first_event);
    stmt_bind_span(s, 7, row->last_event);
    stmt_bind_span(s, 8, row->hlc);
    stmt_bind_int(s, 9, row->covered);
    return stmt_run(s, e);
}

/* Is the type's row still what it was when the work began? 1, 0 or -1. */
static int unchanged(struct work *w, const struct projector *j, struct err *e)
{
    struct stmt s = {.sql = "SELECT watermark = ?2 AND program = ?3 AND status = ?4 "
                            "FROM projectors WHERE entity_type = ?1"};
    int rc;

    if (stmt_ready(&s, &w->to->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    stmt_bind_int(&s, 2, j->watermark);
    stmt_bind_span(&s, 3, span_of(j->program));
    stmt_bind_span(&s, 4, span_of(j->status));
    rc = stmt_step(&s, e);
    if (rc == 1)
        rc = stmt_int(&s, 0) != 0;
    else if (rc == 0)
        rc = !j->known;
    stmt_free(&s);
    return rc;
}

/* Writes the type's row as the job now stands. */
static int save_job(struct work *w, const struct projector *j, struct err *e)
{
    struct stmt s = {.sql = "INSERT OR REPLACE INTO projectors(entity_type, watermark, program, "
                            "status, failed_seq, failed_program, message) "
                            "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"};
    bool failed = !strcmp(j->status, "failed");
    int rc;

    if (stmt_ready(&s, &w->to->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    stmt_bind_int(&s, 2, j->watermark);
    stmt_bind_span(&s, 3, span_of(j->program));
    stmt_bind_span(&s, 4, span_of(j->status));
    if (failed) {
        stmt_bind_int(&s, 5, j->failed_seq);
        stmt_bind_span(&s, 6, span_of(j->failed_program));
        stmt_bind_span(&s, 7, buf_span(&j->message));
    }
    rc = stmt_run(&s, e);
    stmt_free(&s);
    return rc;
}

static int copy_rows(struct work *w, const struct projector *j, int64_t from, int64_t *rows,
                     struct err *e)
{
    struct stmt s = {.sql = "INSERT INTO projections(" FOLD_COLUMNS ") SELECT " FOLD_COLUMNS
                            " FROM temp.folded "
                            "WHERE entity_type = ?3 AND rowid > ?1 AND rowid <= ?2 "
                            "ON CONFLICT(entity_type, entity_id) DO UPDATE SET "
                            "state_json = excluded.state_json, version = excluded.version, "
                            "deleted = excluded.deleted, first_event_id = excluded.first_event_id, "
                            "last_event_id = excluded.last_event_id, hlc = excluded.hlc, "
                            "covered_seq = excluded.covered_seq "
                            "WHERE excluded.covered_seq >= projections.covered_seq"};
    int rc;

    if (stmt_ready(&s, &w->to->db, e))
        return -1;
    stmt_bind_int(&s, 1, from);
    stmt_bind_int(&s, 2, from + COPY_ROWS);
    stmt_bind_span(&s, 3, buf_span(&j->type));
    rc = stmt_run(&s, e);
    *rows = sqlite3_changes(w->to->db.handle);
    stmt_free(&s);
    return rc;
}

/* A rebuild wrote every row there should be; any other is of no events. */
static int drop_strays(struct work *w, const struct projector *j, struct err *e)
{
    struct stmt s = {.sql = "DELETE FROM projections WHERE entity_type = ?1 AND covered_seq < ?2"};
    int rc;

    if (stmt_ready(&s, &w->to->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    stmt_bind_int(&s, 2, w->upto);
    rc = stmt_run(&s, e);
    stmt_free(&s);
    return rc;
}

/* One transaction: nothing of it if the type's row was changed by another. */
struct step {
    int64_t from;            /* rows to copy: those staged after this; -1: none */
    struct projector *after; /* the type's row as it is to be, NULL to leave it */
    bool strays;
};

/* 1 done, 0 another was faster, -1. */
static int take_step(struct work *w, const struct projector *now, const struct step *t,
                     struct err *e)
{
    int64_t rows = 0;
    int rc;

    if (store_begin(w->to, e))
        return -1;
    rc = unchanged(w, now, e);
    if (rc == 1 &&
        ((t->from >= 0 && copy_rows(w, now, t->from, &rows, e)) ||
         (t->strays && drop_strays(w, now, e)) || (t->after && save_job(w, t->after, e))))
        rc = -1;
    if (rc != 1) {
        store_rollback(w->to);
        w->unsettled = true;
        return rc;
    }
    w->report->rows += (uint64_t)rows;
    return store_commit(w->to, e) ? -1 : 1;
}

/* The type's rows in temp.folded are those after from, up to last; from is -1
 * when there are none. */
static int staged_rows(struct work *w, const struct projector *j, int64_t *from, int64_t *last,
                       struct err *e)
{
    struct stmt s = {.sql = "SELECT ifnull(min(rowid) - 1, -1), ifnull(max(rowid), -1) "
                            "FROM temp.folded WHERE entity_type = ?1"};
    int rc;

    if (stmt_ready(&s, &w->to->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    rc = stmt_step(&s, e);
    *from = rc == 1 ? stmt_int(&s, 0) : -1;
    *last = rc == 1 ? stmt_int(&s, 1) : -1;
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

static int write_staged(struct work *w, struct projector *j, bool rebuild, const char *program,
                        struct err *e)
{
    struct projector next = *j;
    int64_t from, last;
    int rc = 1;

    if (staged_rows(w, j, &from, &last, e))
        return -1;
    if (rebuild) {
        strcpy(next.status, "rebuilding");
        strcpy(next.program, program);
        rc = take_step(w, j, &(struct step){.from = -1, .after = &next}, e);
        *j = next;
        j->known = true;
    }
    for (; rc == 1 && from + COPY_ROWS < last; from += COPY_ROWS)
        rc = take_step(w, j, &(struct step){.from = from}, e);
    next.watermark = w->upto;
    strcpy(next.status, "ok");
    if (rc == 1)
        rc = take_step(w, j, &(struct step){.from = from, .after = &next, .strays = rebuild}, e);
    return rc < 0 ? -1 : 0;
}

/* --- one type ----------------------------------------------------------- */

static int add_name(struct buf *list, struct span name)
{
    return (list->len && buf_addc(list, ',')) || json_quote(name, list) ? -1 : 0;
}

static int report_failure(struct work *w, const struct projector *j, struct err *e)
{
    struct projection_report *r = w->report;

    r->failures++;
    snprintf(r->message, sizeof r->message, "projection of %s failed, its old rows are kept: %.*s",
             j->type.data, (int)j->message.len, j->message.data ? j->message.data : "");
    return add_name(&r->failed, buf_span(&j->type)) ? err_memory(e) : 0;
}

/* It could not even be tried: no fault of data or program, so it is not noted,
 * and tried again every time; the other types go on. */
static int report_untried(struct work *w, struct projector *j, const struct err *why, struct err *e)
{
    w->unsettled = true;
    j->message.len = 0;
    return buf_adds(&j->message, why->msg) ? err_memory(e) : report_failure(w, j, e);
}

/* The reducer failed: noted with what it failed on, so that it is tried again
 * only when its data or its program has changed. */
static int note_failure(struct work *w, struct projector *j, const char *program,
                        const struct err *why, struct err *e)
{
    struct projector failed = *j;

    strcpy(failed.status, "failed");
    strcpy(failed.failed_program, program);
    failed.failed_seq = w->upto;
    j->message.len = 0;
    if (buf_adds(&j->message, why->msg))
        return err_memory(e);
    failed.message = j->message;
    if (take_step(w, j, &(struct step){.from = -1, .after = &failed}, e) < 0)
        return -1;
    return report_failure(w, j, e);
}

static int has_news(struct work *w, const struct projector *j, int64_t after, struct err *e)
{
    struct stmt s = {.sql = "SELECT EXISTS(SELECT 1 FROM events WHERE seq > ?2 AND "
                            "+entity_type = ?1)"};
    int rc;

    if (stmt_ready(&s, &w->read->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    stmt_bind_int(&s, 2, after);
    rc = stmt_step(&s, e);
    if (rc == 1)
        rc = stmt_int(&s, 0) != 0;
    stmt_free(&s);
    return rc;
}

/* From where to fold: -1 from nothing, else the seq after which; -2: there is
 * nothing to do; -3: it failed before, and nothing has changed since; -4. */
static int64_t decide(struct work *w, const struct projector *j, const char *program, struct err *e)
{
    bool ok = !strcmp(j->status, "ok");
    int64_t after = ok && w->floor > j->watermark ? w->floor : j->watermark;
    int news;

    if (w->rebuild || !j->known)
        return -1;
    if (!strcmp(j->status, "failed") && !strcmp(j->failed_program, program)) {
        news = has_news(w, j, j->failed_seq, e);
        if (news <= 0)
            return news < 0 ? -4 : -3;
    }
    if (!strcmp(j->status, "rebuilding") || strcmp(j->program, program))
        return -1;
    if (ok && !j->touched)
        return -2;
    news = has_news(w, j, after, e);
    return news < 0 ? -4 : news ? after : ok ? -2 : after;
}

static int settle(struct work *w, struct projector *j, bool rebuild, const char *program,
                  struct err *e)
{
    if (write_staged(w, j, rebuild, program, e))
        return -1;
    return add_name(&w->report->rebuilt, buf_span(&j->type)) ? err_memory(e) : 0;
}

static int begin_staging(struct work *w, struct err *e)
{
    return open_writer(w, e) || db_exec(&w->to->db, "DELETE FROM temp.folded; BEGIN", e) ? -1 : 0;
}

/* A failure may have ended the transaction itself. */
static int end_staging(struct work *w, int rc, struct err *e)
{
    struct err ignored;

    if (rc >= 0)
        return db_exec(&w->to->db, "COMMIT", e);
    db_exec(&w->to->db, "ROLLBACK", &ignored);
    return 0;
}

static int fold_job(struct work *w, struct projector *j, const char *reducer, const char *program,
                    int64_t after, struct err *e)
{
    struct fold f = {.st = w->read,
                     .type = j->type.data,
                     .after = after,
                     .upto = w->upto,
                     .reducer = reducer,
                     .take = stage_row,
                     .ctx = w};
    struct err why = ERR_NONE;
    int rc;

    if (begin_staging(w, e))
        return -1;
    rc = fold_run(&f, &why);
    if (end_staging(w, rc, e))
        return -1;
    if (rc == 1)
        return note_failure(w, j, program, &why, e);
    if (rc < 0 && why.status == EX_UNAVAILABLE) /* there is no jq */
        return report_untried(w, j, &why, e);
    if (rc < 0) {
        *e = why;
        return -1;
    }
    return settle(w, j, after < 0, program, e);
}

static int run_job(struct work *w, struct projector *j, struct err *e)
{
    struct buf reducer = {0};
    struct err why = ERR_NONE;
    char program[DIGEST_TEXT];
    int found = reducer_find(w->paths, buf_span(&j->type), &reducer, &why);
    int64_t after;
    int rc = 0;

    if (found < 0) {
        rc = report_untried(w, j, &why, e);
    } else {
        reducer_name(found, &reducer, program);
        after = decide(w, j, program, e);
        if (after >= -1)
            rc = fold_job(w, j, found ? reducer.data : NULL, program, after, e);
        else if (after == -3)
            rc = report_failure(w, j, e);
        else if (after == -4)
            rc = -1;
    }
    buf_free(&reducer);
    return rc;
}

/* --- many types at once --------------------------------------------------- */

/* Is the type to be folded from nothing, by the default rules? What cannot be
 * told here is told when its turn comes. */
static bool can_be_swept(struct work *w, const struct projector *j)
{
    struct buf reducer = {0};
    struct err ignored;
    int found = reducer_find(w->paths, buf_span(&j->type), &reducer, &ignored);

    buf_free(&reducer);
    return found == 0 && decide(w, j, "", &ignored) == -1;
}

static int count_events(struct work *w, const char *type, int64_t *n, struct err *e)
{
    struct stmt s = {.sql = type ? "SELECT count(*) FROM events WHERE entity_type = ?1"
                                 : "SELECT count(*) FROM events"};
    int rc;

    if (stmt_ready(&s, &w->read->db, e))
        return -1;
    if (type)
        stmt_bind_span(&s, 1, span_of(type));
    rc = stmt_step(&s, e);
    *n = rc == 1 ? stmt_int(&s, 0) : 0;
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* Marks the jobs to be swept and lists their types. A walk through the whole
 * log is worth it when half of the log is theirs; 0 if it is not. */
static int64_t choose_swept(struct work *w, struct projector *jobs, const char **types,
                            struct err *e)
{
    int64_t theirs = 0, all, n;
    size_t count = 0;

    for (struct projector *j = jobs; j; j = j->next) {
        j->swept = can_be_swept(w, j);
        if (!j->swept)
            continue;
        if (count_events(w, j->type.data, &n, e))
            return -1;
        theirs += n;
        types[count++] = j->type.data;
    }
    if (!count || count_events(w, NULL, &all, e) || theirs * 2 >= all)
        return (int64_t)count;
    for (struct projector *j = jobs; j; j = j->next)
        j->swept = false;
    return 0;
}

static int sweep_types(struct work *w, const char *const *types, size_t count, struct err *e)
{
    struct sweep s = {.st = w->read,
                      .types = types,
                      .type_count = count,
                      .upto = w->upto,
                      .take = stage_row,
                      .ctx = w};
    int rc;

    if (w->read == w->to)
        return sweep_run(&s, e);
    if (begin_staging(w, e))
        return -1;
    rc = sweep_run(&s, e);
    return end_staging(w, rc, e) ? -1 : rc;
}

/* In a store that is being built nobody else can be in the way. */
static int settle_built(struct work *w, struct projector *j, struct err *e)
{
    strcpy(j->status, "ok");
    j->watermark = w->upto;
    if (save_job(w, j, e))
        return -1;
    return add_name(&w->report->rebuilt, buf_span(&j->type)) ? err_memory(e) : 0;
}

static int sweep_jobs(struct work *w, struct projector *jobs, struct err *e)
{
    const char **types;
    int64_t count = 0;
    int rc;

    for (struct projector *j = jobs; j; j = j->next)
        count++;
    types = calloc((size_t)count + 1, sizeof *types);
    if (!types)
        return err_memory(e);
    count = choose_swept(w, jobs, types, e);
    rc = count > 0 ? sweep_types(w, types, (size_t)count, e) : (int)count;
    free(types);
    for (struct projector *j = jobs; j; j = j->next) {
        j->swept = j->swept && !rc; /* else one by one */
        if (j->swept && (w->read == w->to ? settle_built(w, j, e) : settle(w, j, true, "", e)))
            return -1;
    }
    return rc;
}

/* --- all types ---------------------------------------------------------- */

static int read_floor(struct store *st, int64_t *floor, struct err *e)
{
    char *value;

    if (store_meta_get(st, "projected", &value, e))
        return -1;
    *floor = value ? strtoll(value, NULL, 10) : 0;
    free(value);
    return 0;
}

/* Every type has been considered up to the snapshot's end. */
static int raise_floor(struct work *w, struct err *e)
{
    char value[24];
    int64_t now;
    int rc;

    if (w->floor == w->upto || w->unsettled)
        return 0;
    if (open_writer(w, e) || store_begin(w->to, e))
        return -1;
    snprintf(value, sizeof value, "%lld", (long long)w->upto);
    rc = read_floor(w->to, &now, e);
    if (!rc && now < w->upto)
        rc = store_meta_set(w->to, "projected", value, e);
    if (rc) {
        store_rollback(w->to);
        return -1;
    }
    return store_commit(w->to, e);
}

static int newest(struct store *st, int64_t *seq, struct err *e)
{
    return db_int(&st->db, "SELECT ifnull(max(seq), 0) FROM events", seq, e);
}

int projection_catch_up(struct store *st, const struct projector_paths *p, const char *only_type,
                        bool rebuild, struct projection_report *r, struct err *e)
{
    struct work w = {.read = st, .rebuild = rebuild, .paths = p, .report = r};
    struct projector *jobs = NULL;
    int rc = store_snapshot(st, e);

    if (!rc)
        rc = newest(st, &w.upto, e) || read_floor(st, &w.floor, e);
    if (!rc && rebuild)
        w.floor = 0;
    if (!rc)
        rc = projectors_list(st, only_type, w.floor, &jobs, e);
    if (!rc && sweep_jobs(&w, jobs, e) < 0)
        rc = -1;
    for (struct projector *j = jobs; j && !rc; j = j->next)
        rc = j->swept ? 0 : run_job(&w, j, e);
    if (!rc && !only_type)
        rc = raise_floor(&w, e);
    projectors_free(jobs);
    if (w.to)
        store_close(w.to);
    store_snapshot_end(st);
    return rc ? -1 : 0;
}

int projection_build(struct store *st, const struct projector_paths *p, struct projection_report *r,
                     struct err *e)
{
    struct work w = {.read = st, .to = st, .rebuild = true, .paths = p, .report = r};
    struct projector *jobs = NULL;
    int rc = newest(st, &w.upto, e) || projectors_list(st, NULL, 0, &jobs, e) ? -1 : 0;

    w.stage.sql = "INSERT INTO projections(" FOLD_COLUMNS ") "
                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    if (!rc)
        rc = sweep_jobs(&w, jobs, e);
    if (rc == 1)
        rc = db_exec(&st->db, "DELETE FROM projections", e);
    stmt_free(&w.stage);
    projectors_free(jobs);
    return rc;
}
