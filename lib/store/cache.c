#include "store/cache.h"

#include "base/clock.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

/* More than CACHE_CHANGES are there till the next TRIM th. */
enum { SOME = 500, TRIM = 256 };

struct cache_sql {
    struct stmt get, there, put, left, ours, others, evict, delete, clear, clear_all, purge, note,
        note_row, forget, trim, changes, last_change, reaches;
};

static const struct cache_sql texts = {
    .get = {.sql = "SELECT value, is_json, expires_at, expires_boot_id, expires_boot_ms "
                   "FROM django_cache WHERE namespace = ?1 AND cache_key = ?2"},
    .there = {.sql = "SELECT size, expires_at, expires_boot_id, expires_boot_ms "
                     "FROM django_cache WHERE namespace = ?1 AND cache_key = ?2"},
    .put = {.sql = "INSERT INTO django_cache(namespace, cache_key, created_at, expires_at, "
                   "expires_boot_id, expires_boot_ms, size, is_json, value) "
                   "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                   "ON CONFLICT(namespace, cache_key) DO UPDATE SET "
                   "created_at = excluded.created_at, expires_at = excluded.expires_at, "
                   "expires_boot_id = excluded.expires_boot_id, "
                   "expires_boot_ms = excluded.expires_boot_ms, size = excluded.size, "
                   "is_json = excluded.is_json, value = excluded.value"},
    .left = {.sql = "SELECT size FROM cache_namespace WHERE namespace = ?1"},
    /* What ends first by the clock of this boot, ?2, and by the wall clock: its id, size
     * and how long it has got. ?5 is the key that must stay. */
    .ours = {.sql = "SELECT rowid, size, expires_boot_ms - ?3 FROM django_cache "
                    "WHERE namespace = ?1 AND expires_boot_id = ?2 AND cache_key <> ?5 "
                    "ORDER BY expires_boot_ms LIMIT 1"},
    .others = {.sql = "SELECT rowid, size, expires_at - ?4 FROM django_cache "
                      "WHERE namespace = ?1 AND (expires_boot_id < ?2 OR expires_boot_id > ?2) "
                      "AND cache_key <> ?5 ORDER BY expires_at LIMIT 1"},
    .evict = {.sql = "DELETE FROM django_cache WHERE rowid = ?1"},
    .delete = {.sql = "DELETE FROM django_cache WHERE namespace = ?1 AND cache_key = ?2"},
    .clear = {.sql = "DELETE FROM django_cache WHERE rowid IN (SELECT rowid FROM django_cache "
                     "WHERE namespace = ?1 LIMIT ?2)"},
    .clear_all = {.sql = "DELETE FROM django_cache WHERE rowid IN "
                         "(SELECT rowid FROM django_cache LIMIT ?2)"},
    .purge = {.sql = "DELETE FROM django_cache WHERE rowid IN ("
                     "SELECT d.rowid FROM cache_namespace AS n CROSS JOIN django_cache AS d "
                     "ON d.namespace = n.namespace AND d.expires_boot_id = ?1 "
                     "AND d.expires_boot_ms <= ?2 "
                     "UNION ALL SELECT rowid FROM django_cache "
                     "WHERE expires_at <= ?3 AND expires_boot_id <> ?1 LIMIT ?4)"},
    .note = {.sql =
                 "INSERT INTO cache_change(namespace, cache_key, changed_at) VALUES(?1, ?2, ?3)"},
    .note_row = {.sql = "INSERT INTO cache_change(namespace, cache_key, changed_at) "
                        "SELECT namespace, cache_key, ?3 FROM django_cache WHERE rowid = ?1"},
    .forget = {.sql = "DELETE FROM cache_change WHERE change = ?2 AND namespace IS ?1 "
                      "AND cache_key IS NULL"},
    .trim = {.sql = "DELETE FROM cache_change WHERE change <= (SELECT change FROM cache_change "
                    "ORDER BY change DESC LIMIT 1 OFFSET ?1)"},
    .changes = {.sql = "SELECT change, namespace, cache_key, changed_at FROM cache_change "
                       "WHERE change > ?1 ORDER BY change"},
    .last_change = {.sql = "SELECT max(change) FROM cache_change"},
    /* With fewer rows than are kept, none was let go: a gap was none to be told. */
    .reaches = {.sql = "SELECT ifnull((SELECT min(change) FROM cache_change) <= ?1 + 1, 1) "
                       "OR (SELECT count(*) FROM cache_change) < ?2"},
};

int cache_open(struct cache *c, struct store *st, struct err *e)
{
    *c = (struct cache){.st = st, .sql = malloc(sizeof *c->sql)};
    if (!c->sql)
        return err_memory(e);
    *c->sql = texts;
    return 0;
}

/* The statements themselves end with the store, at the latest. */
void cache_close(struct cache *c)
{
    struct stmt *all = (struct stmt *)c->sql;

    for (size_t i = 0; c->sql && i < sizeof texts / sizeof *all; i++)
        stmt_free(&all[i]);
    free(c->sql);
    *c = (struct cache){0};
}

static int ready(struct cache *c, struct stmt *s, struct span ns, struct span key, struct err *e)
{
    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ns);
    stmt_bind_span(s, 2, key);
    return 0;
}

/* --- reading ------------------------------------------------------------ */

static struct expiry expiry_at(struct stmt *s, int column)
{
    struct expiry x = {.at = stmt_int(s, column), .boot_ms = stmt_int(s, column + 2)};
    struct span boot = stmt_span(s, column + 1);

    if (boot.p && boot.n < sizeof x.boot)
        memcpy(x.boot, boot.p, boot.n);
    return x;
}

int cache_get(struct cache *c, struct span ns, struct span key, struct cache_value *v,
              struct err *e)
{
    struct stmt *s = &c->sql->get;
    int rc;

    if (c->st->version < 2)
        return 0;
    if (ready(c, s, ns, key, e))
        return -1;
    rc = stmt_step(s, e);
    if (rc < 1)
        return rc;
    *v = (struct cache_value){ns, key, stmt_span(s, 0), stmt_int(s, 1) == 1, expiry_at(s, 2)};
    return expiry_left(&v->end) > 0;
}

/* --- what is not valid any more ----------------------------------------- */

/* Writes it down; *change, unless NULL, is its number. */
static int run_note(struct cache *c, struct stmt *s, int64_t *change, struct err *e)
{
    struct stmt *trim = &c->sql->trim;
    int64_t last;

    stmt_bind_int(s, 3, clock_now_ms());
    if (stmt_run(s, e))
        return -1;
    last = sqlite3_last_insert_rowid(c->st->db.handle);
    if (change)
        *change = last;
    if (last % TRIM)
        return 0;
    if (stmt_ready(trim, &c->st->db, e))
        return -1;
    stmt_bind_int(trim, 1, CACHE_CHANGES);
    return stmt_run(trim, e);
}

static int note(struct cache *c, struct span ns, struct span key, int64_t *change, struct err *e)
{
    return ready(c, &c->sql->note, ns, key, e) ? -1 : run_note(c, &c->sql->note, change, e);
}

/* Who has seen the clear's first part may have copied what was in its second. */
static int note_clear(struct cache *c, struct span ns, struct err *e)
{
    struct stmt *s = &c->sql->forget;
    int64_t before = c->cleared;

    if (note(c, ns, (struct span){NULL, 0}, &c->cleared, e))
        return -1;
    if (!before)
        return 0;
    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ns);
    stmt_bind_int(s, 2, before);
    return stmt_run(s, e);
}

int cache_changes(struct cache *c, int64_t after, cache_each *each, void *ctx, struct err *e)
{
    struct stmt *s = &c->sql->changes;
    int rc;

    if (c->st->version < 3)
        return 0;
    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_int(s, 1, after);
    while ((rc = stmt_step(s, e)) == 1) {
        struct cache_change x = {stmt_int(s, 0), stmt_span(s, 1), stmt_span(s, 2), stmt_int(s, 3)};

        rc = each(ctx, &x, e);
        if (rc)
            break;
    }
    stmt_reset(s);
    return rc;
}

static int one_number(struct stmt *s, int64_t *n, struct err *e)
{
    int rc = stmt_step(s, e);

    *n = rc == 1 ? stmt_int(s, 0) : 0;
    stmt_reset(s);
    return rc < 0 ? -1 : 0;
}

int cache_last_change(struct cache *c, int64_t *change, struct err *e)
{
    *change = 0;
    if (c->st->version < 3)
        return 0;
    return stmt_ready(&c->sql->last_change, &c->st->db, e) ||
                   one_number(&c->sql->last_change, change, e)
               ? -1
               : 0;
}

int cache_reaches(struct cache *c, int64_t after, struct err *e)
{
    struct stmt *s = &c->sql->reaches;
    int64_t yes;

    if (c->st->version < 3)
        return 1;
    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, CACHE_CHANGES);
    return one_number(s, &yes, e) ? -1 : yes != 0;
}

/* --- room --------------------------------------------------------------- */

struct victim {
    int64_t id, size, left_ms;
};

/* 1, or 0: there is none. */
static int first_to_end(struct cache *c, struct stmt *s, const struct cache_value *v,
                        struct victim *out, struct err *e)
{
    int rc;

    if (ready(c, s, v->ns, span_of(expiry_boot()), e))
        return -1;
    stmt_bind_int(s, 3, clock_boot_ms());
    stmt_bind_int(s, 4, clock_now_ms());
    stmt_bind_span(s, 5, v->key);
    rc = stmt_step(s, e);
    if (rc == 1)
        *out = (struct victim){stmt_int(s, 0), stmt_int(s, 1), stmt_int(s, 2)};
    stmt_reset(s);
    return rc;
}

static int note_evicted(struct cache *c, int64_t id, struct err *e)
{
    struct stmt *s = &c->sql->note_row;

    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_int(s, 1, id);
    return run_note(c, s, NULL, e);
}

static int evict_one(struct cache *c, const struct cache_value *v, int64_t *freed, struct err *e)
{
    struct victim ours = {0}, others = {0};
    int a = first_to_end(c, &c->sql->ours, v, &ours, e);
    int b = a < 0 ? -1 : first_to_end(c, &c->sql->others, v, &others, e);

    if (a < 0 || b < 0)
        return -1;
    if (!a && !b)
        return 0;
    if (!a || (b && others.left_ms < ours.left_ms))
        ours = others;
    if (ours.left_ms > 0 && note_evicted(c, ours.id, e))
        return -1;
    if (stmt_ready(&c->sql->evict, &c->st->db, e))
        return -1;
    stmt_bind_int(&c->sql->evict, 1, ours.id);
    *freed = ours.size;
    return stmt_run(&c->sql->evict, e) ? -1 : 1;
}

/* What is under the key of v: its size, and 1 if it has not ended. */
static int look(struct cache *c, const struct cache_value *v, int64_t *size, struct err *e)
{
    struct stmt *s = &c->sql->there;
    struct expiry end;
    int rc = ready(c, s, v->ns, v->key, e) ? -1 : stmt_step(s, e);

    *size = 0;
    if (rc == 1) {
        *size = stmt_int(s, 0);
        end = expiry_at(s, 1);
        rc = expiry_left(&end) > 0;
    }
    stmt_reset(s);
    return rc;
}

/* For v in place of what is under its key and has size before. */
static int make_room(struct cache *c, const struct cache_value *v, int64_t size, int64_t before,
                     int64_t limit, int64_t *evicted, struct err *e)
{
    int64_t there, freed = 0;
    int rc = 1;

    if (ready(c, &c->sql->left, v->ns, (struct span){NULL, 0}, e) ||
        one_number(&c->sql->left, &there, e))
        return -1;
    for (there += size - before; rc > 0 && there > limit; there -= freed) {
        rc = evict_one(c, v, &freed, e);
        *evicted += rc == 1;
    }
    return rc < 0 ? -1 : 0;
}

/* --- changing ----------------------------------------------------------- */

int cache_put(struct cache *c, const struct cache_value *v, int64_t limit, int64_t *evicted,
              struct err *e)
{
    int64_t size = (int64_t)(v->key.n + v->value.n), before;
    struct stmt *s = &c->sql->put;
    int there;

    if (size > limit)
        return 0;
    there = look(c, v, &before, e);
    if (there < 0 || (there && note(c, v->ns, v->key, NULL, e)) ||
        make_room(c, v, size, before, limit, evicted, e) || ready(c, s, v->ns, v->key, e))
        return -1;
    stmt_bind_int(s, 3, clock_now_ms());
    stmt_bind_int(s, 4, v->end.at);
    stmt_bind_span(s, 5, span_of(v->end.boot));
    stmt_bind_int(s, 6, v->end.boot_ms);
    stmt_bind_int(s, 7, size);
    stmt_bind_int(s, 8, v->is_json);
    stmt_bind_blob(s, 9, v->value.n ? v->value.p : "", v->value.n);
    return stmt_run(s, e) ? -1 : 1;
}

int cache_delete(struct cache *c, struct span ns, struct span key, struct err *e)
{
    struct cache_value v;
    int there = cache_get(c, ns, key, &v, e);

    stmt_reset(&c->sql->get);
    if (there < 0 || (there && note(c, ns, key, NULL, e)) ||
        ready(c, &c->sql->delete, ns, key, e) || stmt_run(&c->sql->delete, e))
        return -1;
    return there;
}

static int run_counted(struct cache *c, struct stmt *s, struct err *e)
{
    return stmt_run(s, e) ? -1 : sqlite3_changes(c->st->db.handle);
}

int cache_clear_some(struct cache *c, struct span ns, struct err *e)
{
    struct stmt *s = ns.p ? &c->sql->clear : &c->sql->clear_all;
    int n;

    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ns);
    stmt_bind_int(s, 2, SOME);
    n = run_counted(c, s, e);
    if (n > 0 && note_clear(c, ns, e))
        return -1;
    if (!n)
        c->cleared = 0;
    return n;
}

int cache_purge_some(struct cache *c, struct err *e)
{
    struct stmt *s = &c->sql->purge;

    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_span(s, 1, span_of(expiry_boot()));
    stmt_bind_int(s, 2, clock_boot_ms());
    stmt_bind_int(s, 3, clock_now_ms());
    stmt_bind_int(s, 4, SOME);
    return run_counted(c, s, e);
}

/* --- telling ------------------------------------------------------------ */

static int add_namespace(struct stmt *s, bool first, struct buf *out)
{
    return (!first && buf_addc(out, ',')) || buf_adds(out, "{\"namespace\":") ||
           json_quote(stmt_span(s, 0), out) ||
           buf_printf(out, ",\"entries\":%lld,\"size\":%lld,\"expired\":%lld}",
                      (long long)stmt_int(s, 1), (long long)stmt_int(s, 2),
                      (long long)stmt_int(s, 3));
}

int cache_stats(struct cache *c, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT namespace, entries, size, (SELECT count(*) FROM django_cache "
                            "WHERE namespace = n.namespace AND CASE WHEN expires_boot_id = ?1 "
                            "THEN expires_boot_ms <= ?2 ELSE expires_at <= ?3 END) "
                            "FROM cache_namespace AS n WHERE entries > 0 ORDER BY namespace"};
    int64_t entries = 0, size = 0, expired = 0;
    bool first = true;
    int rc = 0;

    if (buf_adds(out, "\"namespaces\":["))
        return err_memory(e);
    if (c->st->version >= 2) {
        if (stmt_ready(&s, &c->st->db, e))
            return -1;
        stmt_bind_span(&s, 1, span_of(expiry_boot()));
        stmt_bind_int(&s, 2, clock_boot_ms());
        stmt_bind_int(&s, 3, clock_now_ms());
        while ((rc = stmt_step(&s, e)) == 1) {
            entries += stmt_int(&s, 1);
            size += stmt_int(&s, 2);
            expired += stmt_int(&s, 3);
            if (add_namespace(&s, first, out)) {
                rc = err_memory(e);
                break;
            }
            first = false;
        }
        stmt_free(&s);
    }
    if (!rc && buf_printf(out, "],\"entries\":%lld,\"size\":%lld,\"expired\":%lld",
                          (long long)entries, (long long)size, (long long)expired))
        return err_memory(e);
    return rc;
}
