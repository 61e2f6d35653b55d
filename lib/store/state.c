#include "store/state.h"

#include "text/json.h"

#include <stdlib.h>
#include <string.h>

int state_fold(struct store *st, const struct projector_paths *p, const char *type, const char *id,
               int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
               struct err *e)
{
    struct stmt types = {.sql = "SELECT DISTINCT entity_type FROM events ORDER BY entity_type"};
    int rc;

    if (type)
        return reducer_fold(st, p, type, id, -1, take, ctx, e);
    if (stmt_ready(&types, &st->db, e))
        return -1;
    while ((rc = stmt_step(&types, e)) == 1) {
        struct span s = stmt_span(&types, 0);
        char *name = strndup(s.p, s.n);

        rc = name ? reducer_fold(st, p, name, id, -1, take, ctx, e) : err_memory(e);
        free(name);
        if (rc)
            break;
    }
    stmt_free(&types);
    return rc;
}

int64_t state_read(struct store *st, const char *type, const char *id, int deleted,
                   int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
                   struct err *e)
{
    struct stmt s = {.sql = "SELECT " FOLD_COLUMNS " FROM projections WHERE "
                            "(?1 IS NULL OR entity_type = ?1) AND (?2 IS NULL OR entity_id = ?2) "
                            "AND CASE ?3 WHEN -1 THEN deleted < 2 ELSE deleted = ?3 END "
                            "ORDER BY entity_type, entity_id"};
    int64_t rows = 0;
    int rc;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, type ? span_of(type) : (struct span){NULL, 0});
    stmt_bind_span(&s, 2, id ? span_of(id) : (struct span){NULL, 0});
    stmt_bind_int(&s, 3, deleted);
    while ((rc = stmt_step(&s, e)) == 1) {
        struct fold_row row;

        fold_row_read(&s, &row);
        if (take(ctx, &row, e)) {
            rc = -1;
            break;
        }
        rows++;
    }
    stmt_free(&s);
    return rc < 0 ? -1 : rows;
}

int state_write(const struct fold_row *row, struct buf *out)
{
    const struct {
        const char *name;
        struct span value;
    } texts[] = {{"{\"entity_type\":", row->type}, {",\"entity_id\":", row->id}};
    const struct {
        const char *name;
        struct span value;
    } events[] = {{",\"first_event_id\":", row->first_event},
                  {",\"last_event_id\":", row->last_event},
                  {",\"hlc\":", row->hlc}};

    for (size_t i = 0; i < 2; i++)
        if (buf_adds(out, texts[i].name) || json_quote(texts[i].value, out))
            return -1;
    if (buf_printf(out, ",\"version\":%lld,\"deleted\":%d", (long long)row->version, row->deleted))
        return -1;
    for (size_t i = 0; i < 3; i++)
        if (buf_adds(out, events[i].name) || json_quote(events[i].value, out))
            return -1;
    return buf_adds(out, ",\"state\":") || buf_add(out, row->state.p, row->state.n) ||
           buf_adds(out, "}\n");
}

int state_of_types(struct store *st, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT p.entity_type, p.watermark, p.program, p.status, p.message, "
                            "(SELECT count(*) FROM projections r "
                            "WHERE r.entity_type = p.entity_type AND r.deleted < 2) "
                            "FROM projectors p ORDER BY 1"};
    int rc;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        struct span message = stmt_span(&s, 4);

        if (buf_adds(out, "{\"entity_type\":") || json_quote(stmt_span(&s, 0), out) ||
            buf_printf(out, ",\"watermark\":%lld,\"program\":\"%.*s\",\"status\":\"%.*s\",",
                       (long long)stmt_int(&s, 1), (int)stmt_span(&s, 2).n, stmt_span(&s, 2).p,
                       (int)stmt_span(&s, 3).n, stmt_span(&s, 3).p) ||
            buf_printf(out, "\"projections\":%lld,\"message\":", (long long)stmt_int(&s, 5)) ||
            (message.p ? json_quote(message, out) : buf_adds(out, "null")) ||
            buf_adds(out, "}\n")) {
            rc = err_memory(e);
            break;
        }
    }
    stmt_free(&s);
    return rc;
}
