#include "core/join.h"

#include "base/grow.h"
#include "base/spool.h"
#include "base/whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL_CHUNK = 62, LARGE_CHUNK = 510, SMALL_UNTIL = 1000 };

/* What an entry costs while its part is joined; and what may be taken for one always. */
enum { JOINED_BYTES = 64, PART_LEAST = 16 << 20 };

static const uint32_t none = UINT32_MAX;

struct join_chunk {
    struct join_chunk *next;
    size_t count, room;
    struct join_entry at[];
};

void join_open(struct join *j, size_t memory, const char *aside)
{
    *j = (struct join){.memory = memory, .aside = aside, .fd = -1};
}

static void drop_chunks(struct join_part *p)
{
    for (struct join_chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    p->chunks = p->last = NULL;
}

void join_close(struct join *j)
{
    for (int i = 0; i < 2 * JOIN_PARTS; i++) {
        struct join_part *p = &j->parts[i / JOIN_PARTS][i % JOIN_PARTS];

        drop_chunks(p);
        free(p->extents);
    }
    if (j->fd >= 0)
        close(j->fd);
    join_open(j, 0, NULL);
}

/* --- dealing out -------------------------------------------------------- */

static int note_extent(struct join_part *p, struct join_extent x)
{
    struct join_extent *more = realloc(p->extents, (p->extent_count + 1) * sizeof *more);

    if (!more)
        return -1;
    p->extents = more;
    p->extents[p->extent_count++] = x;
    return 0;
}

static int write_part(struct join *j, struct join_part *p, struct err *e)
{
    struct join_extent x = {j->written, 0};

    for (struct join_chunk *c = p->chunks; c; c = c->next) {
        if (whole_write(j->fd, c->at, c->count * sizeof *c->at))
            return err_sys(e, EX_IOERR, "unable to write a temporary file beside %s", j->aside);
        x.count += c->count;
    }
    j->written += x.count * sizeof(struct join_entry);
    drop_chunks(p);
    return x.count && note_extent(p, x) ? err_memory(e) : 0;
}

static int write_out(struct join *j, struct err *e)
{
    if (j->fd < 0)
        j->fd = spool_beside(j->aside, e);
    if (j->fd < 0)
        return -1;
    for (int i = 0; i < 2 * JOIN_PARTS; i++)
        if (write_part(j, &j->parts[i / JOIN_PARTS][i % JOIN_PARTS], e))
            return -1;
    j->used = 0;
    return 0;
}

/* The chunk that has room for one more entry, or NULL. */
static struct join_chunk *with_room(struct join *j, struct join_part *p, struct err *e)
{
    size_t room = p->count < SMALL_UNTIL ? SMALL_CHUNK : LARGE_CHUNK;
    size_t bytes = sizeof(struct join_chunk) + room * sizeof(struct join_entry);
    struct join_chunk *c = p->last;

    if (c && c->count < c->room)
        return c;
    if (j->used + bytes > j->memory / 4 * 3 && write_out(j, e))
        return NULL;
    c = malloc(bytes);
    if (!c) {
        err_memory(e);
        return NULL;
    }
    *c = (struct join_chunk){.room = room};
    j->used += bytes;
    if (p->last)
        p->last->next = c;
    else
        p->chunks = c;
    p->last = c;
    return c;
}

int join_add(struct join *j, int side, struct digest key, uint64_t value, uint64_t offset,
             uint32_t line, struct err *e)
{
    struct join_part *p = &j->parts[side][key.hi >> 56];
    struct join_chunk *c = with_room(j, p, e);

    if (!c)
        return -1;
    c->at[c->count++] = (struct join_entry){key.lo, value, offset, (uint32_t)key.hi, line};
    p->count++;
    return 0;
}

/* --- a part ------------------------------------------------------------- */

/* All entries of a part, the old ones first, and what is found out about them. The room
 * serves one part after another: giving it back each time costs more than the join. */
struct part {
    struct join_entry *at;
    uint32_t *other; /* of the first of a key on the old side: the first on the new one */
    uint32_t *slots;
    bool *odd; /* of the first of a key: a copy of it differs */
    size_t n, old, slot_count, room, slot_room;
    struct copy {
        uint32_t first, again;
    } * copies;
    size_t copy_count, copy_room;
};

static void free_part(struct part *p)
{
    free(p->at);
    free(p->other);
    free(p->slots);
    free(p->odd);
    free(p->copies);
}

static int read_extents(const struct join *j, const struct join_part *from, struct part *p,
                        struct err *e)
{
    for (size_t i = 0; i < from->extent_count; i++) {
        const struct join_extent *x = &from->extents[i];
        char *to = (char *)(p->at + p->n);
        size_t bytes = x->count * sizeof *p->at, done = 0;

        while (done < bytes) {
            ssize_t n = TEMP_FAILURE_RETRY(
                pread(j->fd, to + done, bytes - done, (off_t)(x->offset + done)));

            if (n <= 0)
                return n ? err_sys(e, EX_IOERR, "unable to read a temporary file")
                         : err_set(e, EX_IOERR, "a temporary file is cut");
            done += (size_t)n;
        }
        p->n += x->count;
    }
    return 0;
}

static int collect(struct join *j, struct join_part *from, struct part *p, struct err *e)
{
    if (read_extents(j, from, p, e))
        return -1;
    for (const struct join_chunk *c = from->chunks; c; c = c->next) {
        memcpy(p->at + p->n, c->at, c->count * sizeof *c->at);
        p->n += c->count;
    }
    drop_chunks(from);
    return 0;
}

static int make_room(struct part *p, size_t n)
{
    if (n >= p->room) {
        free(p->at);
        free(p->other);
        free(p->odd);
        p->room = n + n / 4 + 16;
        p->at = malloc(p->room * sizeof *p->at);
        p->other = malloc(p->room * sizeof *p->other);
        p->odd = malloc(p->room * sizeof *p->odd);
    }
    for (p->slot_count = 16; p->slot_count < 2 * n;)
        p->slot_count *= 2;
    if (p->slot_count > p->slot_room) {
        free(p->slots);
        p->slot_room = p->slot_count;
        p->slots = malloc(p->slot_room * sizeof *p->slots);
    }
    return p->at && p->other && p->odd && p->slots ? 0 : -1;
}

static int load(struct join *j, int number, struct part *p, struct err *e)
{
    struct join_part *old = &j->parts[JOIN_OLD][number], *new = &j->parts[JOIN_NEW][number];
    size_t n = old->count + new->count;

    if (make_room(p, n))
        return err_memory(e);
    p->n = 0;
    p->old = old->count;
    p->copy_count = 0;
    memset(p->slots, 0xff, p->slot_count * sizeof *p->slots);
    memset(p->other, 0xff, n * sizeof *p->other);
    memset(p->odd, 0, n * sizeof *p->odd);
    return collect(j, old, p, e) || collect(j, new, p, e) ? -1 : 0;
}

static int note_copy(struct part *p, uint32_t first, uint32_t again)
{
    struct copy *more = grow(p->copies, p->copy_count, &p->copy_room, sizeof *more);

    if (!more)
        return -1;
    p->copies = more;
    p->copies[p->copy_count++] = (struct copy){first, again};
    return 0;
}

/* The slot of a key, its own or a free one. */
static uint32_t *find_slot(const struct part *p, const struct join_entry *en)
{
    size_t at = en->key & (p->slot_count - 1);

    while (p->slots[at] != none) {
        const struct join_entry *other = &p->at[p->slots[at]];

        if (other->key == en->key && other->more_key == en->more_key)
            break;
        at = (at + 1) & (p->slot_count - 1);
    }
    return &p->slots[at];
}

static int enter(struct part *p, uint32_t i)
{
    uint32_t *slot = find_slot(p, &p->at[i]), first = *slot;

    if (first == none) {
        *slot = i;
        return 0;
    }
    if (i >= p->old && first < p->old) {
        if (p->other[first] == none) {
            p->other[first] = i;
            return 0;
        }
        first = p->other[first];
    }
    if (p->at[first].value != p->at[i].value)
        p->odd[first] = true;
    return note_copy(p, first, i);
}

static int tell_pairs(const struct part *p, const struct join_found *found, struct err *e)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const uint32_t *slot = find_slot(p, &p->at[i]);
        const struct join_entry *new = NULL;
        bool alike = !p->odd[i];

        if (*slot != i) /* a copy, or the other of a pair */
            continue;
        if (i < p->old && p->other[i] != none) {
            new = &p->at[p->other[i]];
            alike = alike && !p->odd[p->other[i]];
        }
        if (i < p->old ? found->pair(found->ctx, &p->at[i], new, alike, e)
                       : found->pair(found->ctx, NULL, &p->at[i], alike, e))
            return -1;
    }
    return 0;
}

static int by_first(const void *a, const void *b)
{
    const struct copy *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->again < y->again ? -1 : x->again > y->again;
}

static int tell_copies(const struct part *p, const struct join_found *found, struct err *e)
{
    uint32_t *lines = p->copy_count ? malloc((p->copy_count + 1) * sizeof *lines) : NULL;
    int rc = 0;

    if (!p->copy_count)
        return 0;
    if (!lines)
        return err_memory(e);
    qsort(p->copies, p->copy_count, sizeof *p->copies, by_first);
    for (size_t i = 0, k; i < p->copy_count && !rc; i = k) {
        uint32_t first = p->copies[i].first;

        lines[0] = p->at[first].line;
        for (k = i; k < p->copy_count && p->copies[k].first == first; k++)
            lines[k - i + 1] = p->at[p->copies[k].again].line;
        rc = found->copies(found->ctx, first < p->old ? JOIN_OLD : JOIN_NEW, &p->at[first], lines,
                           k - i + 1, e);
    }
    free(lines);
    return rc;
}

static int join_part(struct part *p, const struct join_found *found, struct err *e)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (enter(p, i))
            return err_memory(e);
    return tell_pairs(p, found, e) || tell_copies(p, found, e) ? -1 : 0;
}

/* A part is a 256th of all, unless one key is in most of them. */
static int prepare(struct join *j, struct err *e)
{
    size_t largest = 0, most = j->memory > PART_LEAST ? j->memory : PART_LEAST;

    for (int i = 0; i < JOIN_PARTS; i++) {
        size_t n = j->parts[JOIN_OLD][i].count + j->parts[JOIN_NEW][i].count;

        largest = n > largest ? n : largest;
    }
    if (largest >= none || largest > most / JOINED_BYTES)
        return err_set(e, EX_DATAERR,
                       "%zu records have nearly the same keys: is the key right, and --memory "
                       "large enough?",
                       largest);
    return (j->fd >= 0 || j->used + largest * JOINED_BYTES > most) && write_out(j, e) ? -1 : 0;
}

int join_run(struct join *j, const struct join_found *found, struct err *e)
{
    struct part p = {.n = 0};
    int rc = prepare(j, e);

    for (int i = 0; i < JOIN_PARTS && !rc; i++) {
        if (!j->parts[JOIN_OLD][i].count && !j->parts[JOIN_NEW][i].count)
            continue;
        rc = load(j, i, &p, e) || join_part(&p, found, e) ? -1 : 0;
    }
    free_part(&p);
    return rc;
}
