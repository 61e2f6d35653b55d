/* cache: values with a time to live, by namespace and key.
 *
 * A reader takes no part in writing: a value whose time is over is not there for
 * it, and is left to the next set or purge. What changes does so in transactions
 * of the caller's. What a namespace may hold is told with each set; if there is
 * no room, what would end first goes, in the same transaction. Spans handed out
 * belong to SQLite until the next call. */
#ifndef LIFEBOAT_CACHE_H
#define LIFEBOAT_CACHE_H

#include "base/buf.h"
#include "base/expiry.h"
#include "core/store.h"

/* So many changes are told, at least. */
enum { CACHE_CHANGES = 10000 };

struct cache_value {
    struct span ns, key, value; /* key and value alone count towards a limit */
    bool is_json;
    struct expiry end;
};

struct cache {
    struct store *st;
    struct cache_sql *sql;
    int64_t cleared; /* the change that tells of the clear under way; 0: none */
};

int cache_open(struct cache *c, struct store *st, struct err *e);
void cache_close(struct cache *c);

/* 1: there it is (value, is_json, end). 0: there is none. A store of a version
 * without a cache has none. */
int cache_get(struct cache *c, struct span ns, struct span key, struct cache_value *v,
              struct err *e);

/* 1: it is in. 0: it alone is larger than limit. *evicted goes up by how many had
 * to go for it. */
int cache_put(struct cache *c, const struct cache_value *v, int64_t limit, int64_t *evicted,
              struct err *e);

/* 1, or 0: there was none that had not ended. */
int cache_delete(struct cache *c, struct span ns, struct span key, struct err *e);

/* Some of them, so that no transaction is long: how many, 0 when none is left.
 * ns.p NULL: of all namespaces. */
int cache_clear_some(struct cache *c, struct span ns, struct err *e);
int cache_purge_some(struct cache *c, struct err *e);

/* A value that was there before its end, and is not any more or is another one.
 * key.p NULL: any of the namespace; ns.p NULL: any at all. */
struct cache_change {
    int64_t change; /* ascends */
    struct span ns, key;
    int64_t changed_at; /* Unix ms */
};

/* Returns -1 (e set) to end the walk with that, 1 to end it, 0 to go on. */
typedef int cache_each(void *ctx, const struct cache_change *x, struct err *e);

/* Those after a change, in their order. A clear of many takes several transactions:
 * it is told after each of them, and once afterwards. A store of a version without
 * them has none. */
int cache_changes(struct cache *c, int64_t after, cache_each *each, void *ctx, struct err *e);
/* The newest one, 0: there was none. */
int cache_last_change(struct cache *c, int64_t *change, struct err *e);
/* 1: what came after a change is all there. 0: some of it is not kept any more. */
int cache_reaches(struct cache *c, int64_t after, struct err *e);

/* Appends the members namespaces, entries, size and expired of a JSON object. */
int cache_stats(struct cache *c, struct buf *out, struct err *e);

#endif
