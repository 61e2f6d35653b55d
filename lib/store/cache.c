#include "store/cache.h"

#include "base/clock.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

enum { SOME = 500 };

struct cache_sql {
    struct stmt get, size, put, left, ours, others, evict, delete, clear, clear_all, purge;
};

static const struct cache_sql texts = {
    .get = {.sql = "SELECT value, is_json, expires_at, expires_boot_id, expires_boot_ms "
                   "FROM django_cache WHERE namespace = ?1 AND cache_key = ?2"},
    .size = {.sql = "SELECT size FROM django_cache WHERE namespace = ?1 AND cache_key = ?2"},
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
    if (stmt_ready(&c->sql->evict, &c->st->db, e))
        return -1;
    stmt_bind_int(&c->sql->evict, 1, ours.id);
    *freed = ours.size;
    return stmt_run(&c->sql->evict, e) ? -1 : 1;
}

/* The one integer of a row, 0 where there is none. */
static int number(struct cache *c, struct stmt *s, struct span ns, struct span key, int64_t *n,
                  struct err *e)
{
    int rc = ready(c, s, ns, key, e) ? -1 : stmt_step(s, e);

    *n = rc == 1 ? stmt_int(s, 0) : 0;
    stmt_reset(s);
    return rc < 0 ? -1 : 0;
}

static int make_room(struct cache *c, const struct cache_value *v, int64_t size, int64_t limit,
                     int64_t *evicted, struct err *e)
{
    int64_t there, before, freed = 0;
    int rc = 1;

    if (number(c, &c->sql->size, v->ns, v->key, &before, e) ||
        number(c, &c->sql->left, v->ns, (struct span){NULL, 0}, &there, e))
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
    int64_t size = (int64_t)(v->key.n + v->value.n);
    struct stmt *s = &c->sql->put;

    if (size > limit)
        return 0;
    if (make_room(c, v, size, limit, evicted, e) || ready(c, s, v->ns, v->key, e))
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
    if (there < 0 || ready(c, &c->sql->delete, ns, key, e) || stmt_run(&c->sql->delete, e))
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

    if (stmt_ready(s, &c->st->db, e))
        return -1;
    stmt_bind_span(s, 1, ns);
    stmt_bind_int(s, 2, SOME);
    return run_counted(c, s, e);
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
