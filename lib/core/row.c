#include "core/row.h"

/* Columns in the order of ROW_COLUMNS; -1 for those that are not texts. */
static const int text_of_column[] = {-1,
                                     EVENT_ID,
                                     -1,
                                     EVENT_SITE,
                                     EVENT_ENTITY_TYPE,
                                     EVENT_ENTITY_ID,
                                     -1,
                                     EVENT_ACTOR_ID,
                                     EVENT_ACTOR_NAME,
                                     EVENT_ACTOR_ROLE,
                                     EVENT_DEVICE,
                                     -1,
                                     -1,
                                     EVENT_HLC,
                                     EVENT_TYPE,
                                     EVENT_SCHEMA_VERSION,
                                     EVENT_CORRELATION,
                                     EVENT_CAUSATION};

static struct event_int read_int(struct stmt *s, int column)
{
    bool set = sqlite3_column_type(s->handle, column) != SQLITE_NULL;

    return (struct event_int){set, stmt_int(s, column)};
}

int row_read(struct stmt *s, struct event *ev)
{
    struct span digest = stmt_span(s, 2);

    *ev = (struct event){.seq = stmt_int(s, 0)};
    if (digest.n != DIGEST_BYTES)
        return -1;
    ev->digest = digest_of_bytes((const uint8_t *)digest.p);
    for (int c = 0; c < (int)(sizeof text_of_column / sizeof *text_of_column); c++)
        if (text_of_column[c] >= 0)
            ev->text[text_of_column[c]] = stmt_span(s, c);
    ev->entity_version = read_int(s, 6);
    ev->ts_device = read_int(s, 11);
    ev->ts_server = read_int(s, 12);
    ev->synced = stmt_int(s, 18) != 0;
    ev->acknowledged = stmt_int(s, 19) != 0;
    ev->created_at = stmt_span(s, 20);
    ev->payload = stmt_span(s, 21);
    ev->extra = stmt_span(s, 22);
    return 0;
}

int row_payload(struct db *db, int64_t seq, void (*take)(const void *p, size_t n), struct err *e)
{
    static char piece[64 * 1024];
    sqlite3_blob *blob = NULL;
    int rc = sqlite3_blob_open(db->handle, "main", "events", "payload_json", seq, 0, &blob);
    int length = rc ? 0 : sqlite3_blob_bytes(blob);

    for (int at = 0, n; !rc && at < length; at += n) {
        n = length - at < (int)sizeof piece ? length - at : (int)sizeof piece;
        rc = sqlite3_blob_read(blob, piece, n, at);
        if (!rc)
            take(piece, (size_t)n);
    }
    if (rc)
        db_error(db, e, "read a payload");
    sqlite3_blob_close(blob);
    return rc ? -1 : 0;
}
