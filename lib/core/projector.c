#include "core/projector.h"

#include <stdio.h>
#include <stdlib.h>

#define DISTINCT_TYPES "SELECT DISTINCT entity_type FROM events"
#define BEYOND         " WHERE seq > ?2 AND (?1 IS NULL OR +entity_type = ?1)"

void projectors_free(struct projector *list)
{
    while (list) {
        struct projector *next = list->next;

        buf_free(&list->type);
        buf_free(&list->message);
        free(list);
        list = next;
    }
}

static struct projector *find(struct projector **list, struct span type)
{
    struct projector *j;

    for (j = *list; j; j = j->next)
        if (span_eq(buf_span(&j->type), type))
            return j;
    j = calloc(1, sizeof *j);
    if (!j || buf_add(&j->type, type.p, type.n) || buf_term(&j->type)) {
        if (j)
            buf_free(&j->type);
        free(j);
        return NULL;
    }
    j->next = *list;
    return *list = j;
}

static void copy_text(char *out, size_t room, struct span s)
{
    snprintf(out, room, "%.*s", (int)s.n, s.p ? s.p : "");
}

static int load(struct stmt *s, struct projector **list)
{
    struct projector *j = find(list, stmt_span(s, 0));
    struct span message = stmt_span(s, 6);

    if (!j)
        return -1;
    j->known = true;
    j->watermark = stmt_int(s, 1);
    copy_text(j->program, sizeof j->program, stmt_span(s, 2));
    copy_text(j->status, sizeof j->status, stmt_span(s, 3));
    j->failed_seq = stmt_int(s, 4);
    copy_text(j->failed_program, sizeof j->failed_program, stmt_span(s, 5));
    return buf_add(&j->message, message.p ? message.p : "", message.n) ? -1 : 0;
}

int projectors_list(struct store *st, const char *only, int64_t floor, struct projector **list,
                    struct err *e)
{
    struct stmt known = {.sql = "SELECT entity_type, watermark, program, status, failed_seq, "
                                "failed_program, message FROM projectors "
                                "WHERE ?1 IS NULL OR entity_type = ?1"};
    /* Of the whole log the index is faster, of its end the rows. */
    struct stmt touched = {.sql = floor ? DISTINCT_TYPES " NOT INDEXED" BEYOND
                                        : DISTINCT_TYPES BEYOND};
    struct span filter = only ? span_of(only) : (struct span){NULL, 0};
    int rc;

    if (stmt_ready(&known, &st->db, e))
        return -1;
    stmt_bind_span(&known, 1, filter);
    while ((rc = stmt_step(&known, e)) == 1)
        if (load(&known, list)) {
            stmt_reset(&known);
            rc = err_memory(e);
            break;
        }
    if (!rc)
        rc = stmt_ready(&touched, &st->db, e);
    if (!rc) {
        stmt_bind_span(&touched, 1, filter);
        stmt_bind_int(&touched, 2, floor);
    }
    while (!rc && (rc = stmt_step(&touched, e)) == 1) {
        struct projector *j = find(list, stmt_span(&touched, 0));

        rc = j ? 0 : err_memory(e);
        if (j)
            j->touched = true;
    }
    stmt_free(&known);
    stmt_free(&touched);
    return rc;
}
