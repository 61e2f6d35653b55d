#include "store/runonce.h"

#include "base/clock.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEPT = 8, LOOKED_AT = 256 };

int64_t runonce_place(struct run_key k)
{
    struct digest d = hash_pair(hash_bytes(k.ns.p, k.ns.n), hash_bytes(k.key.p, k.key.n));

    return (int64_t)(d.lo >> 2);
}

/* Of a result: its status, and its parts one after the other. */
static struct digest begin_digest(int exit_status)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", exit_status);

    return hash_bytes(text, (size_t)n);
}

static struct digest add_part(struct digest d, struct span part)
{
    return hash_pair(d, hash_bytes(part.p, part.n));
}

/* --- statements --------------------------------------------------------- */

static int prepare(struct stmt *s, struct store *st, int64_t id, struct err *e)
{
    if (stmt_ready(s, &st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    return 0;
}

static int prepare_for_key(struct stmt *s, struct store *st, struct run_key k, struct err *e)
{
    if (stmt_ready(s, &st->db, e))
        return -1;
    stmt_bind_span(s, 1, k.ns);
    stmt_bind_span(s, 2, k.key);
    return 0;
}

/* Runs it; how many rows it changed. */
static int run_once(struct stmt *s, struct store *st, struct err *e)
{
    int rc = stmt_run(s, e);

    stmt_free(s);
    return rc ? -1 : sqlite3_changes(st->db.handle);
}

/* Ends the transaction: commits if rc is good. */
static int end(struct store *st, int rc, struct err *e)
{
    if (rc >= 0)
        return store_commit(st, e) ? -1 : rc;
    store_rollback(st);
    return -1;
}

static void bind_end(struct stmt *s, int at, int64_t ttl_ms, struct expiry *x)
{
    *x = expiry_after(ttl_ms);
    stmt_bind_int(s, at, x->at);
    stmt_bind_span(s, at + 1, span_of(x->boot));
    stmt_bind_int(s, at + 2, x->boot_ms);
}

/* --- looking ------------------------------------------------------------ */

static void copy_text(char *to, size_t room, struct span text)
{
    size_t n = text.n < room ? text.n : room - 1;

    if (text.p)
        memcpy(to, text.p, n);
    to[text.p ? n : 0] = '\0';
}

static void take_row(struct stmt *s, struct run_row *row)
{
    struct expiry x = {.at = stmt_int(s, 4), .boot_ms = stmt_int(s, 6)};
    struct span digest = stmt_span(s, 8);

    copy_text(x.boot, sizeof x.boot, stmt_span(s, 5));
    copy_text(row->fingerprint, sizeof row->fingerprint, stmt_span(s, 1));
    row->id = stmt_int(s, 0);
    row->state = span_eq(stmt_span(s, 2), SPAN("done")) ? RUN_DONE : RUN_RUNNING;
    row->exit_status = (int)stmt_int(s, 3);
    row->size = stmt_int(s, 7);
    row->over = expiry_left(&x) <= 0;
    if (digest.p && digest.n == sizeof row->digest)
        memcpy(row->digest, digest.p, digest.n);
}

int runonce_look(struct store *st, struct run_key k, struct run_row *row, struct err *e)
{
    struct stmt s = {.sql = "SELECT id, fingerprint, status, exit_status, expires_at, "
                            "expires_boot_id, expires_boot_ms, size, digest "
                            "FROM idempotency_cache WHERE namespace = ?1 AND key = ?2"};
    int rc;

    *row = (struct run_row){.state = RUN_NONE};
    if (prepare_for_key(&s, st, k, e))
        return -1;
    rc = stmt_step(&s, e);
    if (rc == 1)
        take_row(&s, row);
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* --- sweeping ----------------------------------------------------------- */

/* Some of the parts of a run whose row is gone; how many there were. */
static int sweep_some(struct store *st, int64_t id, struct err *e)
{
    struct stmt s = {.sql = "DELETE FROM idempotency_result WHERE rowid IN ("
                            "SELECT rowid FROM idempotency_result WHERE id = ?1 AND NOT EXISTS "
                            "(SELECT 1 FROM idempotency_cache WHERE id = ?1) LIMIT ?2)"};

    if (store_begin(st, e))
        return -1;
    if (prepare(&s, st, id, e))
        return end(st, -1, e);
    stmt_bind_int(&s, 2, SWEPT);
    return end(st, run_once(&s, st, e), e);
}

/* Looks first: there is seldom anything, and writers need not wait for that. */
static int sweep(struct store *st, int64_t id, struct err *e)
{
    struct stmt s = {.sql = "SELECT 1 FROM idempotency_result WHERE id = ?1 LIMIT 1"};
    int rc = prepare(&s, st, id, e) ? -1 : stmt_step(&s, e);

    stmt_free(&s);
    for (rc = rc == 1 ? SWEPT : rc; rc == SWEPT;)
        rc = sweep_some(st, id, e);
    return rc < 0 ? -1 : 0;
}

/* The parts of all runs whose rows are gone. */
static int sweep_all(struct store *st, struct err *e)
{
    int64_t id = 0;

    do {
        if (db_int(&st->db,
                   "SELECT id FROM idempotency_result AS r WHERE NOT EXISTS "
                   "(SELECT 1 FROM idempotency_cache AS c WHERE c.id = r.id) LIMIT 1",
                   &id, e) ||
            (id && sweep(st, id, e)))
            return -1;
    } while (id);
    return 0;
}

/* --- a run -------------------------------------------------------------- */

static int remove_id(struct store *st, int64_t id, struct err *e)
{
    struct stmt s = {.sql = "DELETE FROM idempotency_cache WHERE id = ?1"};

    return prepare(&s, st, id, e) ? -1 : run_once(&s, st, e);
}

static int insert_row(struct store *st, struct run_key k, const char *fingerprint, int64_t ttl_ms,
                      struct err *e)
{
    struct stmt s = {.sql = "INSERT INTO idempotency_cache(namespace, key, fingerprint, "
                            "created_at, expires_at, expires_boot_id, expires_boot_ms) "
                            "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"};
    struct expiry x;

    if (prepare_for_key(&s, st, k, e))
        return -1;
    stmt_bind_span(&s, 3, *fingerprint ? span_of(fingerprint) : (struct span){NULL, 0});
    stmt_bind_int(&s, 4, clock_now_ms());
    bind_end(&s, 5, ttl_ms, &x);
    return run_once(&s, st, e);
}

int runonce_begin(struct store *st, struct run_key k, const char *fingerprint, int64_t ttl_ms,
                  int64_t *id, struct err *e)
{
    struct run_row old;
    int rc;

    if (store_begin(st, e))
        return -1;
    rc = runonce_look(st, k, &old, e);
    if (!rc && old.state != RUN_NONE)
        rc = remove_id(st, old.id, e);
    if (rc >= 0)
        rc = insert_row(st, k, fingerprint, ttl_ms, e);
    *id = rc < 0 ? 0 : sqlite3_last_insert_rowid(st->db.handle);
    if (end(st, rc, e) < 0)
        return -1;
    return old.state == RUN_NONE ? 0 : sweep(st, old.id, e);
}

static int insert_part(struct store *st, int64_t id, int64_t part, struct span bytes, struct err *e)
{
    struct stmt s = {.sql = "INSERT INTO idempotency_result(id, part, result) VALUES(?1, ?2, ?3)"};

    if (prepare(&s, st, id, e))
        return -1;
    stmt_bind_int(&s, 2, part);
    stmt_bind_blob(&s, 3, bytes.p, bytes.n);
    return run_once(&s, st, e);
}

static int say_done(struct store *st, const struct run_row *row, int64_t ttl_ms, struct err *e)
{
    struct stmt s = {.sql = "UPDATE idempotency_cache SET status = 'done', exit_status = ?2, "
                            "size = ?3, digest = ?4, expires_at = ?5, expires_boot_id = ?6, "
                            "expires_boot_ms = ?7 WHERE id = ?1 AND status = 'running'"};
    struct expiry x;
    int rc;

    if (prepare(&s, st, row->id, e))
        return -1;
    stmt_bind_int(&s, 2, row->exit_status);
    stmt_bind_int(&s, 3, row->size);
    stmt_bind_blob(&s, 4, row->digest, sizeof row->digest);
    bind_end(&s, 5, ttl_ms, &x);
    rc = run_once(&s, st, e);
    return rc ? rc
              : err_set(e, EX_TEMPFAIL, "%s: somebody took this run's row away; it is not recorded",
                        st->path);
}

/* Reads so much of the file as a part may have. */
static int read_part(int fd, int64_t at, char *room, size_t *n, struct err *e)
{
    ssize_t got = 1;

    for (*n = 0; *n < RUN_PART && got > 0; *n += got > 0 ? (size_t)got : 0)
        got = TEMP_FAILURE_RETRY(pread(fd, room + *n, RUN_PART - *n, (off_t)at + (off_t)*n));
    return got < 0 ? err_sys(e, EX_IOERR, "unable to read back the output") : 0;
}

static int store_part(struct store *st, struct run_row *row, int64_t part, struct span bytes,
                      int64_t whole, int64_t ttl_ms, struct err *e)
{
    int rc = 0;

    if (store_begin(st, e))
        return -1;
    if (bytes.n)
        rc = insert_part(st, row->id, part, bytes, e);
    if (rc >= 0 && row->size == whole)
        rc = say_done(st, row, ttl_ms, e);
    return end(st, rc, e) < 0 ? -1 : 0;
}

int runonce_record(struct store *st, int64_t id, int fd, int exit_status, int64_t ttl_ms,
                   struct err *e)
{
    struct run_row row = {.id = id, .exit_status = exit_status};
    struct digest d = begin_digest(exit_status);
    struct stat file;
    char *room;
    int rc = 0;

    if (fstat(fd, &file))
        return err_sys(e, EX_IOERR, "unable to look at the output");
    room = malloc(RUN_PART);
    if (!room)
        return err_memory(e);
    for (int64_t part = 0; !rc; part++) {
        struct span bytes = {room, 0};

        rc = read_part(fd, row.size, room, &bytes.n, e);
        if (!rc && !bytes.n && row.size < file.st_size)
            rc = err_set(e, EX_IOERR, "the output became shorter");
        row.size += (int64_t)bytes.n;
        d = add_part(d, bytes);
        digest_bytes(d, row.digest);
        if (!rc)
            rc = store_part(st, &row, part, bytes, file.st_size, ttl_ms, e);
        if (row.size >= file.st_size)
            break;
    }
    free(room);
    return rc;
}

int runonce_forget(struct store *st, int64_t id, struct err *e)
{
    struct stmt s = {.sql = "DELETE FROM idempotency_cache WHERE id = ?1 AND status = 'running'"};

    if (store_begin(st, e))
        return -1;
    if (end(st, prepare(&s, st, id, e) ? -1 : run_once(&s, st, e), e) < 0)
        return -1;
    return sweep(st, id, e);
}

/* --- replaying ---------------------------------------------------------- */

struct walk {
    struct store *st;
    const struct run_row *row;
    struct digest digest;
    int64_t size, parts;
};

/* All parts in a row, to each if it is not NULL. */
static int walk_parts(struct walk *w, int (*each)(void *, struct span, struct err *), void *ctx,
                      struct err *e)
{
    struct stmt s = {.sql = "SELECT part, result FROM idempotency_result WHERE id = ?1 "
                            "ORDER BY part"};
    int rc;

    w->digest = begin_digest(w->row->exit_status);
    w->size = w->parts = 0;
    if (prepare(&s, w->st, w->row->id, e))
        return -1;
    while ((rc = stmt_step(&s, e)) == 1) {
        struct span part = stmt_span(&s, 1);

        w->digest = add_part(w->digest, part);
        w->size += (int64_t)part.n;
        w->parts++;
        if (each && each(ctx, part, e)) {
            rc = -1;
            break;
        }
    }
    /* An output of nothing is one part of nothing that is not stored. */
    if (!w->parts)
        w->digest = add_part(w->digest, SPAN(""));
    stmt_free(&s);
    return rc;
}

static int check_parts(struct walk *w, struct err *e)
{
    if (walk_parts(w, NULL, NULL, e))
        return -1;
    if (w->size == w->row->size && digest_eq(w->digest, digest_of_bytes(w->row->digest)))
        return 0;
    return err_set(e, EX_DATAERR,
                   "%s: the recorded output is damaged (%lld of %lld bytes): nothing of it is "
                   "shown; kvcache delete removes it",
                   w->st->path, (long long)w->size, (long long)w->row->size);
}

/* 1, or 0: the row that was seen is there no more. */
static int still_done(struct store *st, int64_t id, struct err *e)
{
    struct stmt s = {.sql = "SELECT 1 FROM idempotency_cache WHERE id = ?1 AND status = 'done'"};
    int rc = prepare(&s, st, id, e) ? -1 : stmt_step(&s, e);

    stmt_free(&s);
    return rc;
}

int runonce_replay(struct store *st, const struct run_row *row,
                   int (*each)(void *ctx, struct span part, struct err *e), void *ctx,
                   struct err *e)
{
    struct walk w = {.st = st, .row = row};
    int rc;

    if (store_snapshot(st, e))
        return -1;
    rc = still_done(st, row->id, e);
    if (rc == 1 && (check_parts(&w, e) || walk_parts(&w, each, ctx, e)))
        rc = -1;
    store_snapshot_end(st);
    return rc;
}

/* --- removing ----------------------------------------------------------- */

/* Within the gate nobody can begin, and who is in flight has his byte. */
static int remove_row(struct store *st, const struct lockfile *l, struct run_removal *r,
                      struct stmt *s, struct err *e)
{
    struct run_key k = {stmt_span(s, 1), stmt_span(s, 2)};
    bool running = stmt_int(s, 3) == 0;
    int rc;

    if (running && lockfile_taken(l, runonce_place(k))) {
        r->in_flight++;
        return 0;
    }
    rc = remove_id(st, stmt_int(s, 0), e);
    r->removed += rc > 0;
    return rc < 0 ? -1 : 0;
}

/* From the id on; how many were looked at. */
static int remove_some(struct store *st, const struct lockfile *l, struct run_removal *r,
                       int64_t *id, struct err *e)
{
    struct stmt s = {.sql = "SELECT id, namespace, key, status = 'done' FROM idempotency_cache "
                            "WHERE id > ?1 AND (?2 IS NULL OR namespace = ?2) AND "
                            "(?3 IS NULL OR key = ?3) AND (NOT ?4 OR "
                            "CASE WHEN expires_boot_id = ?5 THEN expires_boot_ms <= ?6 "
                            "ELSE expires_at <= ?7 END) ORDER BY id LIMIT ?8"};
    int n = 0, rc;

    if (prepare(&s, st, *id, e))
        return -1;
    stmt_bind_span(&s, 2, r->ns);
    stmt_bind_span(&s, 3, r->key);
    stmt_bind_int(&s, 4, r->only_over);
    stmt_bind_span(&s, 5, span_of(expiry_boot()));
    stmt_bind_int(&s, 6, clock_boot_ms());
    stmt_bind_int(&s, 7, clock_now_ms());
    stmt_bind_int(&s, 8, LOOKED_AT);
    while ((rc = stmt_step(&s, e)) == 1) {
        *id = stmt_int(&s, 0);
        n++;
        if (remove_row(st, l, r, &s, e)) {
            rc = -1;
            break;
        }
    }
    stmt_free(&s);
    return rc < 0 ? -1 : n;
}

int runonce_remove(struct store *st, const struct lockfile *l, struct run_removal *r, struct err *e)
{
    int64_t id = 0;
    int n;

    do {
        if (store_begin(st, e))
            return -1;
        n = end(st, remove_some(st, l, r, &id, e), e);
    } while (n == LOOKED_AT);
    return n < 0 ? -1 : sweep_all(st, e);
}

/* --- telling ------------------------------------------------------------ */

int runonce_stats(struct store *st, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT total(status = 'done'), total(size), total(status <> 'done'), "
                            "total(CASE WHEN expires_boot_id = ?1 THEN expires_boot_ms <= ?2 "
                            "ELSE expires_at <= ?3 END) FROM idempotency_cache"};
    int64_t n[4] = {0};
    int rc = 0;

    if (st->version >= 2) {
        if (stmt_ready(&s, &st->db, e))
            return -1;
        stmt_bind_span(&s, 1, span_of(expiry_boot()));
        stmt_bind_int(&s, 2, clock_boot_ms());
        stmt_bind_int(&s, 3, clock_now_ms());
        rc = stmt_step(&s, e);
        for (int i = 0; rc == 1 && i < 4; i++)
            n[i] = stmt_int(&s, i);
        stmt_free(&s);
    }
    if (rc >= 0 && buf_printf(out,
                              "\"results\":%lld,\"results_size\":%lld,\"running\":%lld,"
                              "\"results_expired\":%lld",
                              (long long)n[0], (long long)n[1], (long long)n[2], (long long)n[3]))
        return err_memory(e);
    return rc < 0 ? -1 : 0;
}
