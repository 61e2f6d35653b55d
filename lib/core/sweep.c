#include "core/sweep.h"

#include "base/hash.h"
#include "text/patch.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHAINS = 1 << 16,
    STATE_MAX = 16 * 1024, /* a larger state is not copied for each event */
    MALLOC_OVERHEAD = 16
};

struct entity {
    struct entity *chain;
    uint64_t hash;
    const char *type;
    char *state; /* NULL: {} */
    size_t state_len, state_room;
    uint64_t shape; /* of the flat patch that is the whole state, or 0 */
    int64_t version;
    int deleted;
    bool odd; /* left to core/fold */
    char hlc[17];
    uint8_t last_len, far_room;
    char near[40]; /* the id of the last event, */
    char *far;     /* or its own memory if it is longer */
    size_t id_len, first_len;
    char texts[]; /* id, NUL, id of the first event */
};

struct walk {
    struct sweep *s;
    struct stmt events;
    struct entity **chains;
    size_t count, used;
    uint64_t from, to; /* hashes of this walk */
    struct buf scratch;
};

/* --- entities ------------------------------------------------------------------ */

static void entity_free(struct walk *w, struct entity *en)
{
    w->used -= sizeof *en + en->id_len + en->first_len + en->state_room + en->far_room +
               3 * MALLOC_OVERHEAD;
    w->count--;
    free(en->state);
    free(en->far);
    free(en);
}

static uint64_t hash_of(const char *type, struct span id)
{
    struct digest d = hash_bytes(id.p, id.n);

    return d.lo ^ hash_bytes(type, strlen(type)).hi;
}

static struct entity *look(const struct walk *w, uint64_t hash, const char *type, struct span id)
{
    struct entity *en = w->chains[hash % CHAINS];

    while (en && !(en->hash == hash && en->type == type && en->id_len == id.n &&
                   !memcmp(en->texts, id.p, id.n)))
        en = en->chain;
    return en;
}

static struct entity *add(struct walk *w, uint64_t hash, const char *type, struct span id,
                          struct span first)
{
    struct entity *en = malloc(sizeof *en + id.n + 1 + first.n);

    if (!en)
        return NULL;
    *en = (struct entity){.chain = w->chains[hash % CHAINS],
                          .hash = hash,
                          .type = type,
                          .id_len = id.n,
                          .first_len = first.n};
    memcpy(en->texts, id.p, id.n);
    en->texts[id.n] = '\0';
    memcpy(en->texts + id.n + 1, first.p, first.n);
    w->chains[hash % CHAINS] = en;
    w->count++;
    w->used += sizeof *en + id.n + first.n + 3 * MALLOC_OVERHEAD;
    return en;
}

/* Halves the part of the entities that this walk is for. */
static int narrow(struct walk *w)
{
    uint64_t span = w->to - w->from;

    if (span / 2 < UINT64_MAX / SWEEP_WALKS)
        return 1;
    w->to = w->from + span / 2;
    for (size_t c = 0; c < CHAINS; c++) {
        for (struct entity **at = &w->chains[c]; *at;) {
            struct entity *en = *at;

            if (en->hash <= w->to) {
                at = &en->chain;
                continue;
            }
            *at = en->chain;
            entity_free(w, en);
        }
    }
    return 0;
}

static void forget_all(struct walk *w)
{
    for (size_t c = 0; c < CHAINS; c++)
        while (w->chains[c]) {
            struct entity *en = w->chains[c];

            w->chains[c] = en->chain;
            entity_free(w, en);
        }
}

/* --- folding -------------------------------------------------------------------- */

static int keep_last(struct walk *w, struct entity *en, struct span id)
{
    if (id.n > sizeof en->near && id.n > en->far_room) {
        char *p = realloc(en->far, id.n);

        if (!p)
            return -1;
        w->used += id.n - en->far_room;
        en->far = p;
        en->far_room = (uint8_t)id.n;
    }
    memcpy(id.n > sizeof en->near ? en->far : en->near, id.p, id.n);
    en->last_len = (uint8_t)id.n;
    return 0;
}

static struct span last_of(const struct entity *en)
{
    return (struct span){en->last_len > sizeof en->near ? en->far : en->near, en->last_len};
}

static int set_state(struct walk *w, struct entity *en, struct span state)
{
    if (state.n > en->state_room || state.n + state.n / 4 + 64 < en->state_room) {
        size_t room = (state.n + state.n / 16) | 15;
        char *p = realloc(en->state, room);

        if (!p)
            return -1;
        w->used += room - en->state_room;
        en->state = p;
        en->state_room = room;
    }
    memcpy(en->state, state.p, state.n);
    en->state_len = state.n;
    return 0;
}

/* Readings of the same members come again and again: each replaces the whole
 * state, which then need not be looked at. */
static int patch(struct walk *w, struct entity *en, struct span payload)
{
    struct span state = en->state ? (struct span){en->state, en->state_len} : SPAN("{}");
    struct patch p;
    bool whole;
    int rc = payload.n > STATE_MAX ? 1 : patch_read(&p, payload);

    if (!rc) {
        whole = p.flat && (!en->state || (en->shape && en->shape == p.shape));
        en->shape = whole ? p.shape : 0;
        w->scratch.len = 0;
        rc = patch_apply(&p, whole ? SPAN("{}") : state, &w->scratch);
    }
    if (rc < 0)
        return -1;
    if (rc > 0 || w->scratch.len > STATE_MAX) {
        en->odd = true;
        return 0;
    }
    return set_state(w, en, (struct span){w->scratch.data, w->scratch.len});
}

static int fold_event(struct walk *w, struct entity *en, struct span id, struct span hlc)
{
    enum trash t = trash_of(stmt_span(&w->events, 4));

    en->version++;
    if (keep_last(w, en, id))
        return -1;
    memcpy(en->hlc, hlc.p, hlc.n < sizeof en->hlc ? hlc.n : sizeof en->hlc);
    if (t != NOT_TRASH && en->deleted != 2)
        en->deleted = t == TRASHED ? 1 : t == RESTORED ? 0 : 2;
    if (t != NOT_TRASH || en->deleted == 2 || en->odd)
        return 0;
    return patch(w, en, stmt_span(&w->events, 5));
}

/* The type of the row as the caller's own text; NULL: it is not asked for. */
static const char *type_of(const struct sweep *s, struct span type)
{
    for (size_t i = 0; i < s->type_count; i++)
        if (!strncmp(s->types[i], type.p, type.n) && !s->types[i][type.n])
            return s->types[i];
    return NULL;
}

/* 0, 1 when there are too many entities, -1. */
static int take_event(struct walk *w, struct err *e)
{
    const char *type = type_of(w->s, stmt_span(&w->events, 0));
    struct span name = stmt_span(&w->events, 1), id, hlc;
    struct entity *en;
    uint64_t hash;

    if (!type)
        return 0;
    hash = hash_of(type, name);
    if (hash < w->from || hash > w->to)
        return 0;
    id = stmt_span(&w->events, 2);
    hlc = stmt_span(&w->events, 3);
    en = look(w, hash, type, name);
    if (!en)
        en = add(w, hash, type, name, id);
    if (!en || fold_event(w, en, id, hlc))
        return err_memory(e);
    while (w->used > w->s->memory)
        if (narrow(w))
            return 1;
    return 0;
}

static int walk_log(struct walk *w, struct err *e)
{
    int rc;

    if (stmt_ready(&w->events, &w->s->st->db, e))
        return -1;
    stmt_bind_int(&w->events, 1, w->s->upto);
    while ((rc = stmt_step(&w->events, e)) == 1) {
        rc = take_event(w, e);
        if (rc)
            break;
    }
    stmt_reset(&w->events);
    return rc;
}

/* --- handing out ------------------------------------------------------------------ */

static int fold_alone(struct walk *w, const struct entity *en, struct err *e)
{
    struct fold f = {.st = w->s->st,
                     .type = en->type,
                     .only_id = en->texts,
                     .after = -1,
                     .upto = w->s->upto,
                     .take = w->s->take,
                     .ctx = w->s->ctx};

    return fold_run(&f, e);
}

static int hand_out(struct walk *w, const struct entity *en, struct err *e)
{
    struct fold_row row = {.type = span_of(en->type),
                           .id = {en->texts, en->id_len},
                           .first_event = {en->texts + en->id_len + 1, en->first_len},
                           .last_event = last_of(en),
                           .hlc = {en->hlc, sizeof en->hlc},
                           .version = en->version,
                           .deleted = en->deleted,
                           .covered = w->s->upto};

    if (en->odd)
        return fold_alone(w, en, e);
    row.state = en->deleted == 2 ? SPAN("null")
                : en->state      ? (struct span){en->state, en->state_len}
                                 : SPAN("{}");
    return w->s->take(w->s->ctx, &row, e);
}

static int by_type_and_id(const void *a, const void *b)
{
    const struct entity *x = *(struct entity *const *)a, *y = *(struct entity *const *)b;
    int c = x->type == y->type ? 0 : strcmp(x->type, y->type);

    return c ? c : span_cmp((struct span){x->texts, x->id_len}, (struct span){y->texts, y->id_len});
}

static int hand_out_all(struct walk *w, struct err *e)
{
    struct entity **all = malloc((w->count + 1) * sizeof(struct entity *));
    size_t n = 0;
    int rc = 0;

    if (!all)
        return err_memory(e);
    for (size_t c = 0; c < CHAINS; c++)
        for (struct entity *en = w->chains[c]; en; en = en->chain)
            all[n++] = en;
    qsort(all, n, sizeof *all, by_type_and_id);
    for (size_t i = 0; i < n && !rc; i++)
        rc = hand_out(w, all[i], e);
    free(all);
    return rc;
}

int sweep_run(struct sweep *s, struct err *e)
{
    struct walk w = {.s = s,
                     .to = UINT64_MAX,
                     .events = {.sql = "SELECT entity_type, entity_id, event_id, hlc, event_type, "
                                       "payload_json FROM events WHERE seq <= ?1 "
                                       "ORDER BY hlc, event_id"}};
    int rc;

    if (!s->memory)
        s->memory = s->st->set.small ? SWEEP_SMALL : SWEEP_MEMORY;
    w.chains = calloc(CHAINS, sizeof(struct entity *));
    if (!w.chains)
        return err_memory(e);
    for (;;) {
        uint64_t span;

        rc = walk_log(&w, e);
        if (!rc)
            rc = hand_out_all(&w, e);
        forget_all(&w);
        if (rc || w.to == UINT64_MAX)
            break;
        span = w.to - w.from;
        w.from = w.to + 1;
        w.to = UINT64_MAX - w.from < span ? UINT64_MAX : w.from + span;
    }
    stmt_free(&w.events);
    buf_free(&w.scratch);
    free(w.chains);
    return rc;
}
