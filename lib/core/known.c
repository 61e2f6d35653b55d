#include "core/known.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096, CHAINS = 8192, WINDOW_MIN = 4, WINDOW_MAX = 1024 };

static const char load_sql[] = "SELECT seq, event_id, digest, ts_server, synced, acknowledged "
                               "FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

void known_free(struct known *k)
{
    stmt_free(&k->load);
    free(k->rows);
    free(k->chains);
    *k = (struct known){0};
}

void known_clear(struct known *k)
{
    for (size_t i = 0; k->chains && i < CHAINS; i++)
        k->chains[i] = -1;
    k->count = k->at = k->hits = 0;
    k->upto = 0;
    k->window = WINDOW_MIN;
}

static int make_room(struct known *k, struct err *e)
{
    if (k->rows)
        return 0;
    k->rows = malloc(ROOM * sizeof *k->rows);
    k->chains = malloc(CHAINS * sizeof *k->chains);
    if (!k->rows || !k->chains) {
        free(k->rows);
        free(k->chains);
        k->rows = NULL;
        k->chains = NULL;
        return err_memory(e);
    }
    k->load.sql = load_sql;
    known_clear(k);
    return 0;
}

static struct known_row *look(const struct known *k, struct span id, uint32_t hash)
{
    for (int32_t i = k->chains[hash % CHAINS]; i >= 0; i = k->rows[i].next) {
        struct known_row *r = &k->rows[i];

        if (r->hash == hash && r->id_len == id.n && !memcmp(r->id, id.p, id.n))
            return r;
    }
    return NULL;
}

const struct known_row *known_find(struct known *k, struct span id)
{
    const struct known_row *r;

    if (!k->count)
        return NULL;
    r = look(k, id, (uint32_t)hash_bytes(id.p, id.n).lo);
    k->hits += r != NULL;
    return r;
}

static void forget(struct known *k, int32_t index)
{
    int32_t *at = &k->chains[k->rows[index].hash % CHAINS];

    while (*at != index)
        at = &k->rows[*at].next;
    *at = k->rows[index].next;
}

static void remember(struct known *k, struct stmt *s)
{
    struct span id = stmt_span(s, 1), digest = stmt_span(s, 2);
    uint32_t hash = (uint32_t)hash_bytes(id.p, id.n).lo;
    struct known_row *r = &k->rows[k->at];

    /* What is not as it should be is left to the look-up, which says so. */
    if (id.n > EVENT_ID_MAX || digest.n != DIGEST_BYTES || look(k, id, hash))
        return;
    if (k->count == ROOM)
        forget(k, (int32_t)k->at);
    else
        k->count++;
    *r = (struct known_row){.seq = stmt_int(s, 0),
                            .digest = digest_of_bytes((const uint8_t *)digest.p),
                            .ts_server = {stmt_span(s, 3).p != NULL, stmt_int(s, 3)},
                            .synced = stmt_int(s, 4) != 0,
                            .acknowledged = stmt_int(s, 5) != 0,
                            .id_len = (uint16_t)id.n,
                            .hash = hash,
                            .next = k->chains[hash % CHAINS]};
    memcpy(r->id, id.p, id.n);
    k->chains[hash % CHAINS] = (int32_t)k->at;
    k->at = (k->at + 1) % ROOM;
}

/* More neighbours where the last ones were of use, fewer where not. */
static void adapt(struct known *k)
{
    if (k->hits * 4 >= k->window)
        k->window = k->window * 4 < WINDOW_MAX ? k->window * 4 : WINDOW_MAX;
    else
        k->window = k->window / 4 > WINDOW_MIN ? k->window / 4 : WINDOW_MIN;
    k->hits = 0;
}

int known_near(struct known *k, struct db *db, int64_t seq, struct err *e)
{
    int64_t from = seq;
    int rc;

    if (make_room(k, e))
        return -1;
    adapt(k);
    /* One that came a little early: go on where the last run ended. */
    if (k->upto && seq > k->upto && seq - k->upto < (int64_t)k->window)
        from = k->upto;
    if (stmt_ready(&k->load, db, e))
        return -1;
    stmt_bind_int(&k->load, 1, from);
    stmt_bind_int(&k->load, 2, (int64_t)k->window);
    while ((rc = stmt_step(&k->load, e)) == 1) {
        k->upto = stmt_int(&k->load, 0);
        remember(k, &k->load);
    }
    return rc;
}
