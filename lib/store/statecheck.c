#include "store/statecheck.h"

#include "core/projector.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
    struct store *st;
    const struct projector_paths *paths;
    struct stmt stored;
    void (*problem)(void *ctx, const char *text);
    void *ctx;
    int64_t watermark, rows;
    bool alone; /* a row ahead of its type is being folded on its own */
};

/* 1, 0, or -1 where memory is short. */
static int same_json(struct span a, struct span b, struct err *e)
{
    struct json j = {0};
    struct json_value x, y;
    int rc = json_whole(&j, a, &x) || json_whole(&j, b, &y) ? -1 : digest_eq(x.digest, y.digest);

    if (rc < 0)
        rc = j.why == json_no_memory ? err_memory(e) : 0;
    json_end(&j);
    return rc;
}

static void complain(struct comparison *c, const struct fold_row *row, const char *what)
{
    char line[512];

    snprintf(line, sizeof line, "projection %.*s/%.*s: %s", (int)row->type.n, row->type.p,
             (int)(row->id.n > 200 ? 200 : row->id.n), row->id.p, what);
    c->problem(c->ctx, line);
}

static int compare_row(void *ctx, const struct fold_row *fresh, struct err *e);

/* A row that a killed catch-up left ahead of its type: folded up to there. */
static int compare_alone(struct comparison *c, const struct fold_row *fresh, int64_t covered,
                         struct err *e)
{
    char *type = strndup(fresh->type.p, fresh->type.n), *id = strndup(fresh->id.p, fresh->id.n);
    struct comparison single = *c;
    int rc = -1;

    single.stored.handle = NULL;
    single.alone = true;
    if (type && id)
        rc = reducer_fold(c->st, c->paths, type, id, covered, compare_row, &single, e);
    else
        err_memory(e);
    stmt_free(&single.stored);
    free(type);
    free(id);
    return rc;
}

static int compare_row(void *ctx, const struct fold_row *fresh, struct err *e)
{
    struct comparison *c = ctx;
    struct fold_row row;
    int rc;

    if (stmt_ready(&c->stored, &c->st->db, e))
        return -1;
    stmt_bind_span(&c->stored, 1, fresh->type);
    stmt_bind_span(&c->stored, 2, fresh->id);
    rc = stmt_step(&c->stored, e);
    if (rc < 0)
        return -1;
    c->rows++;
    if (rc == 0) {
        complain(c, fresh, "missing");
        return 0;
    }
    fold_row_read(&c->stored, &row);
    if (!c->alone && row.covered > c->watermark) {
        rc = compare_alone(c, fresh, row.covered, e);
    } else {
        rc = same_json(row.state, fresh->state, e);
        if (rc == 0 || row.version != fresh->version || row.deleted != fresh->deleted ||
            !span_eq(row.first_event, fresh->first_event) ||
            !span_eq(row.last_event, fresh->last_event) || !span_eq(row.hlc, fresh->hlc))
            complain(c, fresh, "differs from a fresh fold of its events");
        rc = rc < 0 ? -1 : 0;
    }
    stmt_reset(&c->stored);
    return rc;
}

static int64_t stored_rows(struct comparison *c, const struct projector *j, struct err *e)
{
    struct stmt s = {.sql = "SELECT count(*) FROM projections p WHERE entity_type = ?1 AND "
                            "(covered_seq <= ?2 OR EXISTS(SELECT 1 FROM events v WHERE "
                            "v.entity_type = p.entity_type AND v.entity_id = p.entity_id AND "
                            "v.seq <= ?2))"};
    int64_t n = -1;

    if (stmt_ready(&s, &c->st->db, e))
        return -1;
    stmt_bind_span(&s, 1, buf_span(&j->type));
    stmt_bind_int(&s, 2, j->watermark);
    if (stmt_step(&s, e) == 1)
        n = stmt_int(&s, 0);
    stmt_free(&s);
    return n;
}

/* 1: cannot be compared (failed, or its program is another now). */
static int verify_job(struct comparison *c, const struct projector *j, struct err *e)
{
    struct buf reducer = {0};
    char program[DIGEST_TEXT];
    int found = reducer_find(c->paths, buf_span(&j->type), &reducer, e), rc;
    int64_t before = c->rows, there;

    if (found < 0)
        return -1;
    reducer_name(found, &reducer, program);
    buf_free(&reducer);
    if (strcmp(j->status, "ok") || strcmp(program, j->program))
        return 1;
    c->watermark = j->watermark;
    rc = reducer_fold(c->st, c->paths, j->type.data, NULL, j->watermark, compare_row, c, e);
    if (rc)
        return rc;
    there = stored_rows(c, j, e);
    if (there < 0)
        return -1;
    if (there > c->rows - before)
        complain(c, &(struct fold_row){.type = buf_span(&j->type), .id = SPAN("*")},
                 "there are projections of entities that have no events");
    return 0;
}

int64_t state_verify(struct store *st, const struct projector_paths *p,
                     void (*problem)(void *ctx, const char *text), void *ctx, int *failed,
                     struct err *e)
{
    struct comparison c = {.st = st,
                           .paths = p,
                           .stored = {.sql = "SELECT " FOLD_COLUMNS " FROM projections "
                                             "WHERE entity_type = ?1 AND entity_id = ?2"},
                           .problem = problem,
                           .ctx = ctx};
    struct projector *jobs = NULL;
    int rc = projectors_list(st, NULL, INT64_MAX, &jobs, e);

    *failed = 0;
    for (struct projector *j = jobs; j && rc >= 0; j = j->next) {
        rc = verify_job(&c, j, e);
        *failed += rc == 1;
    }
    stmt_free(&c.stored);
    projectors_free(jobs);
    return rc < 0 ? -1 : c.rows;
}
