#include "store/query.h"

#include "core/row.h"

/* The filters stand in the text only if they are set, so that SQLite can
 * choose an index by what is really asked. */
static int put_where(struct query *q, struct buf *b)
{
    static const char *const conditions[] = {
        " AND entity_type = ?2", " AND entity_id = ?3",      " AND event_type = ?4",
        " AND actor_id = ?5",    " AND correlation_id = ?6", " AND ts_device > ?7",
        " AND ts_device <= ?8",  " AND synced = 0",          " AND seq <= ?10"};
    const bool wanted[] = {q->entity_type, q->entity_id, q->event_type, q->actor,    q->correlation,
                           q->since.set,   q->until.set, q->unsynced,   q->up_to.set};

    if (buf_adds(b, " FROM events WHERE seq > ?1"))
        return -1;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i] && buf_adds(b, conditions[i]))
            return -1;
    return 0;
}

static int put_select(struct query *q, struct buf *b)
{
    const char *columns = q->ids_only      ? "seq, event_id, digest"
                          : q->large_apart ? ROW_COLUMNS_LARGE_APART
                                           : ROW_COLUMNS;
    bool nested = q->limit >= 0 && q->by_hlc;

    if (nested && buf_printf(b, "SELECT %s FROM (", columns))
        return -1;
    if (buf_printf(b, "SELECT %s%s", columns, nested && q->ids_only ? ", hlc" : "") ||
        put_where(q, b))
        return -1;
    if (q->newest && buf_adds(b, " ORDER BY seq DESC"))
        return -1;
    if (q->limit >= 0 && buf_adds(b, q->newest ? " LIMIT ?9" : " ORDER BY seq LIMIT ?9"))
        return -1;
    if (nested && buf_adds(b, ")"))
        return -1;
    if (q->by_hlc)
        return buf_adds(b, " ORDER BY hlc, event_id");
    return q->limit >= 0 || q->newest ? 0 : buf_adds(b, " ORDER BY seq");
}

static void bind_filters(const struct query *q, struct stmt *s, int64_t after)
{
    const char *texts[] = {q->entity_type, q->entity_id, q->event_type, q->actor, q->correlation};

    stmt_bind_int(s, 1, after);
    for (int i = 0; i < 5; i++)
        if (texts[i])
            stmt_bind_span(s, 2 + i, span_of(texts[i]));
    if (q->since.set)
        stmt_bind_int(s, 7, q->since.v);
    if (q->until.set)
        stmt_bind_int(s, 8, q->until.v);
    if (q->up_to.set)
        stmt_bind_int(s, 10, q->up_to.v);
}

/* Looking for each event whether it is large costs more than to know that none is. */
static int look_for_large(struct query *q, struct store *st, struct err *e)
{
    int64_t any = 0;

    if (q->large_apart && !q->sql.len &&
        db_int(&st->db, "SELECT EXISTS(SELECT 1 FROM events WHERE " ROW_LARGE ")", &any, e))
        return -1;
    q->large_apart = q->large_apart && (q->sql.len || any);
    return 0;
}

int query_open(struct query *q, struct store *st, struct err *e)
{
    if (look_for_large(q, st, e))
        return -1;
    if (!q->sql.len && (put_select(q, &q->sql) || buf_term(&q->sql)))
        return err_memory(e);
    q->stmt.sql = q->sql.data;
    if (stmt_ready(&q->stmt, &st->db, e))
        return -1;
    bind_filters(q, &q->stmt, q->after);
    if (q->limit >= 0)
        stmt_bind_int(&q->stmt, 9, q->limit);
    return 0;
}

static int read_ids(struct stmt *s, struct event *ev)
{
    struct span digest = stmt_span(s, 2);

    *ev = (struct event){.seq = stmt_int(s, 0)};
    ev->text[EVENT_ID] = stmt_span(s, 1);
    if (digest.n != DIGEST_BYTES)
        return -1;
    ev->digest = digest_of_bytes((const uint8_t *)digest.p);
    return 0;
}

int query_next(struct query *q, struct event *ev, struct err *e)
{
    int rc = stmt_step(&q->stmt, e);

    if (rc == 1 && (q->ids_only ? read_ids(&q->stmt, ev) : row_read(&q->stmt, ev)))
        return err_set(e, EX_DATAERR, "%s: event %lld has no digest: run evstore-verify",
                       q->stmt.db->path, (long long)stmt_int(&q->stmt, 0));
    return rc;
}

void query_close(struct query *q)
{
    stmt_free(&q->stmt);
    buf_free(&q->sql);
}

int query_more(const struct query *q, struct store *st, int64_t seq, struct err *e)
{
    struct query any = *q;
    struct buf b = {0};
    struct stmt s = {0};
    int rc;

    if (buf_adds(&b, "SELECT 1") || put_where(&any, &b) || buf_adds(&b, " LIMIT 1") ||
        buf_term(&b)) {
        buf_free(&b);
        return err_memory(e);
    }
    s.sql = b.data;
    rc = stmt_ready(&s, &st->db, e);
    if (!rc) {
        bind_filters(q, &s, seq);
        rc = stmt_step(&s, e);
    }
    stmt_free(&s);
    buf_free(&b);
    return rc;
}

int query_newest(struct store *st, int64_t *seq, struct err *e)
{
    return db_int(&st->db, "SELECT ifnull(max(seq), 0) FROM events", seq, e);
}
