#include "store/overview.h"

#include "base/clock.h"
#include "text/hlc.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static int64_t size_of(const char *path, const char *suffix)
{
    struct stat s;
    char *name;
    int64_t size = 0;

    if (asprintf(&name, "%s%s", path, suffix) < 0)
        return 0;
    if (!stat(name, &s))
        size = s.st_size;
    free(name);
    return size;
}

/* How far the clock that the events are stamped with is ahead of the box's. */
static int read_clock(struct store *st, struct overview *o, struct err *e)
{
    struct hlc clock;
    char *text = NULL;

    if (store_meta_get(st, "hlc", &text, e))
        return -1;
    if (text && !hlc_parse(span_of(text), &clock) && clock.ms > clock_now_ms())
        o->hlc_ahead_ms = clock.ms - clock_now_ms();
    free(text);
    return 0;
}

int overview_read(struct store *st, struct overview *o, struct err *e)
{
    struct statvfs disk;

    *o = (struct overview){.last_event_at = -1, .free_bytes = -1, .disk_bytes = -1};
    if (db_int(&st->db, "SELECT count(*) FROM events", &o->events, e) ||
        db_int(&st->db, "SELECT count(*) FROM conflicts", &o->conflicts, e) ||
        db_int(&st->db,
               "SELECT ifnull((SELECT CAST(strftime('%s', created_at) AS INTEGER) * 1000 "
               "FROM events ORDER BY seq DESC LIMIT 1), -1)",
               &o->last_event_at, e) ||
        read_clock(st, o, e))
        return -1;
    o->wal_bytes = size_of(st->path, "-wal");
    o->bytes = size_of(st->path, "") + o->wal_bytes;
    if (!statvfs(st->path, &disk)) {
        o->free_bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
        o->disk_bytes = (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
    }
    return 0;
}

/* ,"name":{"a":1,"b":2} of a query that gives text and number. */
static int put_groups(struct store *st, const char *name, const char *sql, struct buf *out,
                      struct err *e)
{
    struct stmt s = {.sql = sql};
    const char *comma = "";
    int rc;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    if (buf_printf(out, ",\"%s\":{", name))
        return err_memory(e);
    while ((rc = stmt_step(&s, e)) == 1) {
        if (buf_adds(out, comma) || json_quote(stmt_span(&s, 0), out) ||
            buf_printf(out, ":%lld", (long long)stmt_int(&s, 1))) {
            rc = err_memory(e);
            break;
        }
        comma = ",";
    }
    stmt_free(&s);
    if (rc < 0)
        return -1;
    return buf_addc(out, '}') ? err_memory(e) : 0;
}

/* ,"name":N, or null where the query gives NULL. */
static int put_number(struct store *st, const char *name, const char *sql, struct buf *out,
                      struct err *e)
{
    struct stmt s = {.sql = sql};
    int rc, failed = 0;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    rc = stmt_step(&s, e);
    if (rc == 1) {
        struct span n = stmt_span(&s, 0);

        failed = buf_printf(out, ",\"%s\":%.*s", name, n.p ? (int)n.n : 4, n.p ? n.p : "null");
    }
    stmt_free(&s);
    return rc < 0 ? -1 : failed ? err_memory(e) : 0;
}

int overview_events(struct store *st, struct buf *out, struct err *e)
{
    return put_groups(st, "events_by_type",
                      "SELECT entity_type, count(*) FROM events GROUP BY entity_type", out, e);
}

int overview_types(struct store *st, struct buf *out, struct err *e)
{
    return overview_events(st, out, e) ||
                   put_groups(st, "entities_by_type",
                              "SELECT entity_type, count(*) FROM (SELECT DISTINCT entity_type, "
                              "entity_id FROM events) GROUP BY entity_type",
                              out, e) ||
                   put_groups(st, "conflicts_by_type",
                              "SELECT ifnull(json_extract(event_json, '$.entity_type'), ''), "
                              "count(*) FROM conflicts GROUP BY 1",
                              out, e) ||
                   put_number(st, "oldest_ts", "SELECT min(ts_device) FROM events", out, e) ||
                   put_number(st, "newest_ts", "SELECT max(ts_device) FROM events", out, e) ||
                   put_number(st, "unsynced", "SELECT count(*) FROM events WHERE synced = 0", out,
                              e)
               ? -1
               : 0;
}

int overview_minutes(struct store *st, int64_t now_ms, int64_t minutes[static OVERVIEW_MINUTES],
                     struct err *e)
{
    /* What is restored comes late, and may be of long ago. */
    struct stmt s = {.sql = "SELECT ts_server, unixepoch(created_at) * 1000 FROM events "
                            "ORDER BY seq DESC LIMIT 200000"};
    int rc;

    for (int i = 0; i < OVERVIEW_MINUTES; i++)
        minutes[i] = 0;
    if (stmt_ready(&s, &st->db, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        int64_t ago = (now_ms - stmt_int(&s, 0)) / 60000;

        if (now_ms - stmt_int(&s, 1) > (OVERVIEW_MINUTES + 1) * INT64_C(60000))
            break;
        if (ago >= 0 && ago < OVERVIEW_MINUTES)
            minutes[OVERVIEW_MINUTES - 1 - ago]++;
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}
