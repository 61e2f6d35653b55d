/* judge: what a difference is, once it is found. */
#include "base/grow.h"
#include "mirror-compare/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096 };

const char *const difference_names[DIFFERENCES] = {"missing", "extra",   "changed", "duplicate",
                                                   "bad",     "pending", "edge"};

/* --- those that will be shown -------------------------------------------------- */

static uint64_t place(const struct diff *d, int side)
{
    return d->has[side] ? d->line[side] : UINT64_MAX;
}

/* In the order of the old side's lines, then of those that are on the new one only. */
static int by_place(const void *a, const void *b)
{
    const struct diff *x = a, *y = b;

    for (int i = 0; i < SIDES; i++)
        if (place(x, i) != place(y, i))
            return place(x, i) < place(y, i) ? -1 : 1;
    return (x->class > y->class) - (x->class < y->class);
}

void shown_sort(struct shown *s)
{
    if (s->n)
        qsort(s->at, s->n, sizeof *s->at, by_place);
}

static void swap(struct diff *a, struct diff *b)
{
    struct diff t = *a;

    *a = *b;
    *b = t;
}

/* A heap, the last of them on top. */
static void sift_down(struct shown *s)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < s->n; at = child) {
        if (child + 1 < s->n && by_place(&s->at[child], &s->at[child + 1]) < 0)
            child++;
        if (by_place(&s->at[at], &s->at[child]) >= 0)
            return;
        swap(&s->at[at], &s->at[child]);
    }
}

static void sift_up(struct shown *s)
{
    for (size_t at = s->n - 1; at; at = (at - 1) / 2) {
        if (by_place(&s->at[(at - 1) / 2], &s->at[at]) >= 0)
            return;
        swap(&s->at[(at - 1) / 2], &s->at[at]);
    }
}

/* Will it be among the first? Its texts need not be kept otherwise. */
static bool shown_wants(const struct shown *s, const struct diff *d)
{
    return !s->max || s->n < s->max || by_place(d, &s->at[0]) < 0;
}

static int shown_add(struct shown *s, const struct diff *d, struct err *e)
{
    struct diff *more;

    if (s->max && s->n == s->max) {
        s->at[0] = *d;
        sift_down(s);
        return 0;
    }
    more = grow(s->at, s->n, &s->room, sizeof *more);
    if (!more)
        return err_memory(e);
    s->at = more;
    s->at[s->n++] = *d;
    sift_up(s);
    return 0;
}

static int count(struct compare *c, const struct diff *d, struct err *e)
{
    struct shown *s = d->class == PENDING || d->class == EDGE ? &c->other : &c->wrong;

    c->count[d->class]++;
    return shown_wants(s, d) ? shown_add(s, d, e) : 0;
}

/* --- reading again ---------------------------------------------------------------- */

int side_changed(const struct side *s, struct err *e)
{
    return err_set(e, EX_TEMPFAIL, "%s: changed while it was compared", s->source.name);
}

static ssize_t read_more(struct side *s, uint64_t offset, struct err *e)
{
    ssize_t n;

    if (buf_reserve(&s->line, BLOCK))
        return err_memory(e);
    n = TEMP_FAILURE_RETRY(
        pread(s->source.fd, s->line.data + s->line.len, BLOCK, (off_t)(offset + s->line.len)));
    if (n < 0)
        return err_sys(e, EX_IOERR, "unable to reread %s", s->source.name);
    return n;
}

int side_again(struct compare *c, int side, uint64_t offset, struct err *e)
{
    struct side *s = &c->side[side];
    struct buf *b = &s->line;

    for (b->len = 0;;) {
        size_t from = b->len;
        ssize_t n = read_more(s, offset, e);
        char *lf;

        if (n < 0)
            return -1;
        lf = n ? memchr(b->data + from, '\n', (size_t)n) : NULL;
        b->len = lf ? (size_t)(lf - b->data) : from + (size_t)n;
        if (lf || !n)
            break;
        if (b->len > cli.max_line + 8)
            return side_changed(s, e);
    }
    if (b->len && b->data[b->len - 1] == '\r')
        b->len--;
    if (!offset && b->len >= 3 && !memcmp(b->data, "\xef\xbb\xbf", 3)) {
        b->len -= 3;
        memmove(b->data, b->data + 3, b->len);
    }
    return 0;
}

/* The record of an entry, which must be what it was. */
static int record_again(struct compare *c, int side, const struct join_entry *en, struct record *r,
                        struct err *e)
{
    struct side *s = &c->side[side];
    enum record_result rc;

    if (side_again(c, side, en->offset, e))
        return -1;
    rc = record_read(&s->again, buf_span(&s->line), r);
    if (rc == RECORD_NO_MEMORY)
        return err_memory(e);
    if (rc == RECORD_BAD || r->key.lo != en->key || r->value != en->value)
        return side_changed(s, e);
    return 0;
}

/* --- tolerances --------------------------------------------------------------------- */

/* Does each member of a that is compared have its like in b? 1, 0, -1: no memory. */
static int covered(struct compare *c, const struct record_members *a,
                   const struct record_members *b, bool first)
{
    struct record_reader *r = &c->side[OLD].again;
    int rc = 1;

    for (size_t i = 0; i < a->n && rc == 1; i++) {
        const struct record_member *other;

        if (!a->at[i].name->compared)
            continue;
        other = record_find(b, a->at[i].name->text);
        if (!other || first)
            rc = record_same(r, &a->at[i], other);
    }
    return rc;
}

/* Both lines have been read again. */
static int within_tolerance(struct compare *c, bool *within, struct err *e)
{
    struct record r;
    int rc;

    for (int i = 0; i < SIDES; i++)
        if (record_list(&c->side[i].again, buf_span(&c->side[i].line), &c->side[i].members, &r) !=
            RECORD_OK)
            return err_memory(e);
    rc = covered(c, &c->side[OLD].members, &c->side[NEW].members, true);
    if (rc == 1)
        rc = covered(c, &c->side[NEW].members, &c->side[OLD].members, false);
    *within = rc == 1;
    return rc < 0 ? err_memory(e) : 0;
}

/* --- windows and flights -------------------------------------------------------------- */

bool side_cut(const struct compare *c, int side)
{
    return c->plan->limit && c->side[side].rows == (uint64_t)c->plan->limit;
}

/* Could the side that lacks it have it beyond the end of its window? */
static bool beyond_window(const struct compare *c, int lacking, const struct record *r)
{
    return side_cut(c, lacking) && c->side[lacking].timed && r->timed &&
           r->ts_us <= c->side[lacking].oldest_us;
}

/* The clock is this box's, or the newest record that either side has where that is later:
 * a box whose clock is behind must not take all it sees for old. */
static bool in_flight(const struct compare *c, int64_t ts_us)
{
    int64_t newest = c->now_ms * 1000;

    for (int i = 0; i < SIDES; i++)
        if (c->side[i].timed && c->side[i].newest_us > newest)
            newest = c->side[i].newest_us;
    return newest - ts_us < c->plan->lag_ms * 1000;
}

static int judge_flight(struct compare *c, struct diff *d, const struct join_entry *key,
                        const struct record r[SIDES], struct err *e)
{
    int newer = d->has[OLD] ? OLD : NEW;
    const int64_t *lagging = NULL;
    bool stuck = false;

    if (d->has[OLD] && d->has[NEW] && r[NEW].timed &&
        (!r[OLD].timed || r[NEW].ts_us > r[OLD].ts_us))
        newer = NEW;
    if (!r[newer].timed || !in_flight(c, r[newer].ts_us))
        return 0;
    if (d->has[!newer] && r[!newer].timed) {
        lagging = &r[!newer].ts_us;
        /* Of one moment, and not the same: nothing is on its way. */
        if (*lagging == r[newer].ts_us)
            return 0;
    }
    if (c->pending && pending_note(c, key, r[newer].ts_us, lagging, &stuck, e))
        return -1;
    if (!stuck)
        d->class = PENDING;
    return 0;
}

/* Nobody can tell, unless what was on its way to it in the run before has not come. */
static int judge_edge(struct compare *c, struct diff *d, const struct join_entry *key,
                      const struct record *has, struct err *e)
{
    bool overdue;

    if (pending_overdue(c, key, has->ts_us, &overdue, e))
        return -1;
    if (!overdue)
        d->class = EDGE;
    return 0;
}

/* --- verdicts ---------------------------------------------------------------------------- */

/* Where nothing depends on the records themselves, they are not read again. */
static bool needs_a_look(const struct compare *c, const struct diff *d)
{
    if (c->plan->lag_ms)
        return true;
    return d->class == CHANGED ? record_tolerant(&c->plan->rules)
                               : side_cut(c, d->class == MISSING ? NEW : OLD);
}

/* 1: they are the same after all. */
static int look(struct compare *c, struct diff *d, const struct join_entry *const en[SIDES],
                struct err *e)
{
    struct record r[SIDES] = {{.value = 0}, {.value = 0}};
    bool within = false;

    for (int i = 0; i < SIDES; i++)
        if (en[i] && record_again(c, i, en[i], &r[i], e))
            return -1;
    if (d->class == CHANGED && record_tolerant(&c->plan->rules) && within_tolerance(c, &within, e))
        return -1;
    if (within)
        return 1;
    if (d->class != CHANGED &&
        beyond_window(c, d->class == MISSING ? NEW : OLD, &r[d->class == MISSING ? OLD : NEW]))
        return judge_edge(c, d, en[OLD] ? en[OLD] : en[NEW], &r[d->class == MISSING ? OLD : NEW],
                          e);
    return c->plan->lag_ms ? judge_flight(c, d, en[OLD] ? en[OLD] : en[NEW], r, e) : 0;
}

int judge_pair(void *ctx, const struct join_entry *old, const struct join_entry *new, bool alike,
               struct err *e)
{
    const struct join_entry *const en[SIDES] = {old, new};
    struct compare *c = ctx;
    struct diff d = {.class = !new ? MISSING : !old ? EXTRA : CHANGED};
    int rc = 0;

    if (old && new && (!alike || old->value == new->value)) {
        c->equal += alike;
        return 0;
    }
    for (int i = 0; i < SIDES; i++)
        if (en[i]) {
            d.has[i] = true;
            d.line[i] = en[i]->line;
            d.offset[i] = en[i]->offset;
            d.key = en[i]->key;
            d.value[i] = en[i]->value;
        }
    if (needs_a_look(c, &d))
        rc = look(c, &d, en, e);
    if (rc > 0)
        c->equal++;
    return rc ? (rc < 0 ? -1 : 0) : count(c, &d, e);
}

int judge_copies(void *ctx, int side, const struct join_entry *first, const uint32_t *lines,
                 size_t n, struct err *e)
{
    struct compare *c = ctx;
    struct diff d = {.class = DUPLICATE, .of = side};
    uint32_t *kept;

    d.has[side] = true;
    d.line[side] = first->line;
    d.offset[side] = first->offset;
    d.key = first->key;
    d.value[side] = first->value;
    d.line_count = n < COPIES_LISTED ? n : COPIES_LISTED;
    if (shown_wants(&c->wrong, &d)) {
        kept = arena_alloc(&c->kept, d.line_count * sizeof *kept);
        if (!kept)
            return err_memory(e);
        memcpy(kept, lines, d.line_count * sizeof *kept);
        d.lines = kept;
    }
    return count(c, &d, e);
}

int judge_bad(struct compare *c, int side, uint32_t line, uint64_t offset, const char *why,
              struct err *e)
{
    struct diff d = {.class = BAD, .of = side};

    d.has[side] = true;
    d.line[side] = line;
    d.offset[side] = offset;
    if (shown_wants(&c->wrong, &d)) {
        d.why = arena_span(&c->kept, span_of(why)).p;
        if (!d.why)
            return err_memory(e);
    }
    return count(c, &d, e);
}
