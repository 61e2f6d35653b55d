#include "store/restorelog.h"

#include "base/clock.h"
#include "core/lockfile.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool restore_session_ok(const char *s)
{
    size_t n = strlen(s);

    return n >= 1 && n <= RESTORE_SESSION_MAX &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

int restore_lock(struct lockfile *l, const char *path, const char *suffix, struct err *e)
{
    int rc = lockfile_open(l, path, suffix, e) ? -1 : lockfile_take(l, 0, 0, e);

    if (rc == 1)
        return 0;
    if (!rc)
        err_set(e, EX_TEMPFAIL, "%s: another one is running (%s is locked): try again later", path,
                l->name);
    lockfile_close(l);
    return -1;
}

static int run_once(struct stmt *s, struct err *e)
{
    int rc = stmt_run(s, e);

    stmt_free(s);
    return rc;
}

/* This boot and a time in it. One that cannot be named must not be taken for another:
 * what lives would be given up. */
static int bind_boot(struct stmt *s, int at, int64_t boot_ms, struct err *e)
{
    const char *boot = clock_boot_name();

    if (!boot)
        return err_sys(e, EX_TEMPFAIL, "unable to read the id of this boot");
    stmt_bind_span(s, at, span_of(boot));
    stmt_bind_int(s, at + 1, boot_ms);
    return 0;
}

/* When in this boot the lease of who is between two parts was over. */
static int bind_lease(struct stmt *s, struct err *e)
{
    return bind_boot(s, 2, clock_boot_ms() - RESTORE_LEASE_MS, e);
}

/* We hold the lock: rows of running restores are of dead ones, and leases
 * between parts are dead after 10 minutes or a reboot. */
static int give_up_dead(struct store *st, const struct restore_run *run, struct err *e)
{
    struct stmt s = {.sql = "UPDATE restore_log SET status = 'INTERRUPTED', more = 0, "
                            "completed_at = CURRENT_TIMESTAMP "
                            "WHERE status = 'IN_PROGRESS' AND kind = 'restore' AND "
                            "(more = 0 OR (restore_session_id <> ?1 AND "
                            "(seen_boot_id <> ?2 OR seen_boot_ms < ?3)))"};

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(run->session));
    if (bind_lease(&s, e)) {
        stmt_free(&s);
        return -1;
    }
    return run_once(&s, e);
}

static int refuse_if_leased(struct store *st, const struct restore_run *run, struct err *e)
{
    struct stmt s = {.sql = "SELECT restore_session_id, source_device_id FROM restore_log "
                            "WHERE status = 'IN_PROGRESS' AND kind = 'restore' AND "
                            "restore_session_id <> ?1"};
    int rc;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(run->session));
    rc = stmt_step(&s, e);
    if (rc == 1)
        rc = err_set(
            e, EX_TEMPFAIL,
            "%s: session %.*s of %.*s is restoring in parts; its lease ends 10 minutes after "
            "its last part: try again later",
            st->path, (int)stmt_span(&s, 0).n, stmt_span(&s, 0).p, (int)stmt_span(&s, 1).n,
            stmt_span(&s, 1).p);
    stmt_free(&s);
    return rc;
}

static void read_counts(struct stmt *s, int from, struct restore_counts *c)
{
    int64_t *const fields[] = {&c->received, &c->inserted,  &c->present,
                               &c->rejected, &c->conflicts, &c->ahead};

    for (int i = 0; i < 6; i++)
        *fields[i] = stmt_int(s, from + i);
}

/* A session that awaits its next part goes on; any other starts an attempt. */
static int find_attempt(struct store *st, struct restore_run *run, bool *goes_on, struct err *e)
{
    struct stmt s = {.sql = "SELECT attempt, status = 'IN_PROGRESS', events_received, "
                            "events_inserted, events_already_present, events_rejected, conflicts, "
                            "ahead_of_clock FROM restore_log "
                            "WHERE restore_session_id = ?1 ORDER BY attempt DESC LIMIT 1"};
    int rc;

    *goes_on = false;
    run->attempt = 1;
    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(run->session));
    rc = stmt_step(&s, e);
    if (rc == 1) {
        *goes_on = stmt_int(&s, 1) != 0;
        run->attempt = stmt_int(&s, 0) + !*goes_on;
        if (*goes_on)
            read_counts(&s, 2, &run->before);
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

static int insert_attempt(struct store *st, const struct restore_run *run, struct err *e)
{
    struct stmt s = {.sql = "INSERT INTO restore_log(restore_session_id, attempt, kind, "
                            "source_device_id, source_device_name) VALUES(?1, ?2, ?3, ?4, ?5)"};

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(run->session));
    stmt_bind_int(&s, 2, run->attempt);
    stmt_bind_span(&s, 3, span_of(run->kind));
    stmt_bind_span(&s, 4, span_of(run->source_device));
    if (run->source_name)
        stmt_bind_span(&s, 5, span_of(run->source_name));
    return run_once(&s, e);
}

int restore_begin(struct store *st, struct restore_run *run, struct err *e)
{
    bool goes_on;

    if (!strcmp(run->kind, "restore") && (give_up_dead(st, run, e) || refuse_if_leased(st, run, e)))
        return -1;
    if (find_attempt(st, run, &goes_on, e) || (!goes_on && insert_attempt(st, run, e)))
        return -1;
    return restore_renew(st, run, e);
}

struct restore_counts restore_total(const struct restore_run *run)
{
    const struct restore_counts *a = &run->before, *b = &run->now;

    return (struct restore_counts){a->received + b->received,   a->inserted + b->inserted,
                                   a->present + b->present,     a->rejected + b->rejected,
                                   a->conflicts + b->conflicts, a->ahead + b->ahead};
}

static int bind_counts(struct stmt *s, const struct restore_run *run, struct err *e)
{
    struct restore_counts c = restore_total(run);

    stmt_bind_span(s, 1, span_of(run->session));
    stmt_bind_int(s, 2, run->attempt);
    stmt_bind_int(s, 3, c.received);
    stmt_bind_int(s, 4, c.inserted);
    stmt_bind_int(s, 5, c.present);
    stmt_bind_int(s, 6, c.rejected);
    stmt_bind_int(s, 7, c.conflicts);
    stmt_bind_int(s, 8, c.ahead);
    return bind_boot(s, 9, clock_boot_ms(), e);
}

#define SET_COUNTS                                                                                 \
    "UPDATE restore_log SET events_received = ?3, events_inserted = ?4, "                          \
    "events_already_present = ?5, events_rejected = ?6, conflicts = ?7, ahead_of_clock = ?8, "     \
    "seen_boot_id = ?9, seen_boot_ms = ?10, "
#define OF_ATTEMPT " WHERE restore_session_id = ?1 AND attempt = ?2"

int restore_renew(struct store *st, const struct restore_run *run, struct err *e)
{
    struct stmt s = {.sql = SET_COUNTS "more = 0, status = 'IN_PROGRESS'" OF_ATTEMPT};

    if (stmt_ready(&s, &st->db, e))
        return -1;
    if (bind_counts(&s, run, e)) {
        stmt_free(&s);
        return -1;
    }
    return run_once(&s, e);
}

int restore_end(struct store *st, const struct restore_run *run, const char *status,
                const char *message, struct err *e)
{
    struct stmt s = {.sql = SET_COUNTS
                     "status = ?11, message = ?12, parts = parts + 1, "
                     "more = (?11 = 'IN_PROGRESS'), completed_at = CASE ?11 "
                     "WHEN 'IN_PROGRESS' THEN NULL ELSE CURRENT_TIMESTAMP END" OF_ATTEMPT};

    if (stmt_ready(&s, &st->db, e))
        return -1;
    if (bind_counts(&s, run, e)) {
        stmt_free(&s);
        return -1;
    }
    stmt_bind_span(&s, 11, span_of(status));
    stmt_bind_span(&s, 12, span_of(message));
    return run_once(&s, e);
}

int restore_fail(struct store *st, struct restore_run *run, const char *message, struct err *e)
{
    struct stmt s = {.sql = "UPDATE restore_log SET status = 'FAILED', message = ?3, more = 0, "
                            "completed_at = CURRENT_TIMESTAMP" OF_ATTEMPT};
    struct stmt counts = {.sql = "SELECT events_received, events_inserted, "
                                 "events_already_present, events_rejected, conflicts, "
                                 "ahead_of_clock FROM restore_log" OF_ATTEMPT};

    run->before = run->now = (struct restore_counts){0};
    if (stmt_ready(&counts, &st->db, e))
        return -1;
    stmt_bind_span(&counts, 1, span_of(run->session));
    stmt_bind_int(&counts, 2, run->attempt);
    if (stmt_step(&counts, e) == 1)
        read_counts(&counts, 0, &run->before);
    stmt_free(&counts);
    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(run->session));
    stmt_bind_int(&s, 2, run->attempt);
    stmt_bind_span(&s, 3, span_of(message));
    return run_once(&s, e);
}

/* --- showing ------------------------------------------------------------ */

static const char *const shown[] = {"restore_session_id",
                                    "attempt",
                                    "kind",
                                    "source_device_id",
                                    "source_device_name",
                                    "events_received",
                                    "events_inserted",
                                    "events_already_present",
                                    "events_rejected",
                                    "conflicts",
                                    "ahead_of_clock",
                                    "parts",
                                    "started_at",
                                    "completed_at",
                                    "status",
                                    "message"};
enum { SHOWN = sizeof shown / sizeof *shown, SHOWN_STATUS = 14 };

static int put_column(struct stmt *s, int c, bool dead, struct buf *out)
{
    struct span v = stmt_span(s, c);

    if (c == SHOWN_STATUS && dead && span_eq(v, SPAN("IN_PROGRESS")))
        v = SPAN("INTERRUPTED");
    if (buf_printf(out, "%s\"%s\":", c ? "," : "{", shown[c]))
        return -1;
    if (!v.p)
        return buf_adds(out, "null");
    if (sqlite3_column_type(s->handle, c) == SQLITE_INTEGER)
        return buf_addi(out, stmt_int(s, c));
    return json_quote(v, out);
}

/* Column SHOWN: is it a restore that only a living process can be carrying out? */
static int put_row(struct stmt *s, bool nobody, struct buf *out)
{
    bool dead = nobody && stmt_int(s, SHOWN) != 0;

    for (int c = 0; c < SHOWN; c++)
        if (put_column(s, c, dead, out))
            return -1;
    return buf_adds(out, "}\n");
}

/* A row that says IN_PROGRESS, and is dead if nobody holds the lock. ?2 is this boot,
 * ?3 when in it the lease of who is between two parts was over. */
#define LEASE_OVER "(kind = 'restore' AND (more = 0 OR seen_boot_id <> ?2 OR seen_boot_ms < ?3))"

#define SHOWN_COLUMNS                                                                              \
    "SELECT restore_session_id, attempt, kind, source_device_id, source_device_name, "             \
    "events_received, events_inserted, events_already_present, events_rejected, conflicts, "       \
    "ahead_of_clock, parts, started_at, completed_at, status, message, " LEASE_OVER                \
    " FROM restore_log "

static int show_rows(struct store *st, const char *sql, const char *session, struct buf *out,
                     struct err *e)
{
    bool nobody = !lockfile_alive(st->path, "restore");
    struct stmt s = {.sql = sql};
    int rc, rows = 0;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    if (session)
        stmt_bind_span(&s, 1, span_of(session));
    if (bind_lease(&s, e)) {
        stmt_free(&s);
        return -1;
    }
    while ((rc = stmt_step(&s, e)) == 1) {
        if (put_row(&s, nobody, out)) {
            rc = err_memory(e);
            break;
        }
        rows++;
    }
    stmt_free(&s);
    return rc < 0 ? -1 : rows;
}

int restore_show(struct store *st, const char *session, struct buf *out, struct err *e)
{
    return show_rows(st,
                     session ? SHOWN_COLUMNS "WHERE restore_session_id = ?1 "
                                             "ORDER BY attempt DESC LIMIT 1"
                             : SHOWN_COLUMNS "ORDER BY started_at, rowid",
                     session, out, e);
}

int restore_last(struct store *st, struct buf *out, struct err *e)
{
    return show_rows(st,
                     SHOWN_COLUMNS "WHERE kind = 'restore' ORDER BY started_at DESC, rowid DESC "
                                   "LIMIT 1",
                     NULL, out, e);
}

int restore_census(struct store *st, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT CASE WHEN status = 'IN_PROGRESS' AND ?1 AND " LEASE_OVER
                            " THEN 'INTERRUPTED' ELSE status END AS shown, count(*) "
                            "FROM restore_log GROUP BY shown"};
    const char *comma = "";
    int rc;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_int(&s, 1, !lockfile_alive(st->path, "restore"));
    rc = bind_lease(&s, e) ? -1 : buf_adds(out, ",\"restores_by_status\":{") ? err_memory(e) : 1;
    while (rc == 1 && (rc = stmt_step(&s, e)) == 1) {
        if (buf_adds(out, comma) || json_quote(stmt_span(&s, 0), out) ||
            buf_printf(out, ":%lld", (long long)stmt_int(&s, 1)))
            rc = err_memory(e);
        comma = ",";
    }
    stmt_free(&s);
    return rc < 0 || buf_addc(out, '}') ? -1 : 0;
}

/* --- sources ------------------------------------------------------------ */

int source_cursor(struct store *st, const char *name, char out[static 64], struct err *e)
{
    struct stmt s = {.sql = "SELECT cursor FROM sources WHERE name = ?1"};
    int rc;

    snprintf(out, 64, "start");
    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(name));
    rc = stmt_step(&s, e);
    if (rc == 1)
        snprintf(out, 64, "%.*s", (int)stmt_span(&s, 0).n, stmt_span(&s, 0).p);
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

int source_advance(struct store *st, const char *name, const char *cursor, int64_t events,
                   struct err *e)
{
    struct stmt s = {.sql = "INSERT INTO sources(name, cursor, events, updated_at) "
                            "VALUES(?1, ?2, ?3, ?4) ON CONFLICT(name) DO UPDATE SET "
                            "cursor = excluded.cursor, events = events + excluded.events, "
                            "updated_at = excluded.updated_at"};

    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(name));
    stmt_bind_span(&s, 2, span_of(cursor));
    stmt_bind_int(&s, 3, events);
    stmt_bind_int(&s, 4, clock_now_ms());
    return run_once(&s, e);
}
