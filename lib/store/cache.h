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

struct cache_value {
    struct span ns, key, value; /* key and value alone count towards a limit */
    bool is_json;
    struct expiry end;
};

struct cache {
    struct store *st;
    struct cache_sql *sql;
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
 * ns->p NULL: of all namespaces. */
int cache_clear_some(struct cache *c, struct span ns, struct err *e);
int cache_purge_some(struct cache *c, struct err *e);

/* Appends the members namespaces, entries, size and expired of a JSON object. */
int cache_stats(struct cache *c, struct buf *out, struct err *e);

#endif
