/* scan: both sides read from end to end, and their records brought together. */
#include "base/stop.h"
#include "mirror-compare/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP = 4096 }; /* records between two looks at the clock */

/* A side that is being read. */
struct scan {
    struct compare *c;
    int of;
    struct line_reader lines;
    bool silent; /* a second reading: what is bad has been told */
    uint64_t at;
};

/* One record. */
struct head {
    struct record record;
    uint64_t offset;
    uint32_t line;
};

static void scan_start(struct scan *s, struct compare *c, int of)
{
    *s = (struct scan){.c = c, .of = of};
    line_open(&s->lines, c->side[of].source.fd, c->side[of].source.name, cli.max_line);
}

/* --- lines ------------------------------------------------------------------ */

/* The buffer stays as small as the lines allow. */
static enum line_result next_line(struct line_reader *r, struct line *l, struct err *e)
{
    enum line_result got = line_next(r, false, l, e);

    if (got != LINE_NONE)
        return got;
    line_release(r);
    got = line_next(r, false, l, e);
    while (got == LINE_NONE && !stop_signal()) {
        line_release(r);
        got = line_next(r, true, l, e);
    }
    return got;
}

static int stopped(struct err *e)
{
    return err_set(e, EX_TEMPFAIL, "stopped while both sides were read");
}

/* Half a line at the end of a side says that the rest is missing as well. */
static bool cut_line(struct record_reader *r, const struct line *l)
{
    struct json_value v;

    return l->raw.p[l->raw.n - 1] != '\n' && json_whole(&r->json, l->text, &v);
}

static int bad_line(struct scan *s, const struct line *l, const char *why, size_t at, struct err *e)
{
    struct side *side = &s->c->side[s->of];

    if (l->last && cut_line(&side->reader, l))
        return err_set(e, EX_DATAERR, "%s:%llu: the last line is cut", side->source.name,
                       (unsigned long long)l->number);
    return s->silent ? 0
                     : judge_bad(s->c, s->of, (uint32_t)l->number,
                                 l->offset + (uint64_t)(l->text.p - l->raw.p) + at, why, e);
}

static int long_line(struct scan *s, const struct line *l, struct err *e)
{
    char why[80];

    if (!l->first)
        return 0;
    snprintf(why, sizeof why, "longer than %zu bytes (--max-line)", cli.max_line);
    return s->silent ? 0 : judge_bad(s->c, s->of, (uint32_t)l->number, l->offset, why, e);
}

static void step(struct scan *s, const struct line *l)
{
    s->at += l->raw.n;
    s->c->bytes += l->raw.n;
    if (l->number % STEP == 0)
        progress_step(&s->c->progress, s->c->side[OLD].rows + s->c->side[NEW].rows, s->c->bytes);
}

/* The next record that is none that is bad. 1, 0 at the end, -1. */
static int next_record(struct scan *s, struct head *h, struct err *e)
{
    struct side *side = &s->c->side[s->of];
    enum record_result rc;
    struct line l = {.number = 0};

    for (;;) {
        enum line_result got = next_line(&s->lines, &l, e);

        if (got == LINE_NONE || stop_signal())
            return stopped(e);
        if (got == LINE_ERROR || got == LINE_EOF)
            return got == LINE_EOF ? 0 : -1;
        if (l.number == UINT32_MAX)
            return err_set(e, EX_DATAERR, "%s: too many lines", side->source.name);
        step(s, &l);
        side->rows += !s->silent && l.first && (got == LINE_LONG || l.text.n);
        if (got == LINE_LONG && long_line(s, &l, e))
            return -1;
        if (got == LINE_LONG || !l.text.n)
            continue;
        rc = record_read(&side->reader, l.text, &h->record);
        if (rc == RECORD_NO_MEMORY)
            return err_memory(e);
        h->line = (uint32_t)l.number;
        h->offset = l.offset;
        if (rc == RECORD_OK)
            return 1;
        if (bad_line(s, &l, side->reader.why, side->reader.offset, e))
            return -1;
    }
}

static void note_time(struct side *s, const struct record *r)
{
    if (!r->timed)
        return;
    if (!s->timed || r->ts_us < s->oldest_us)
        s->oldest_us = r->ts_us;
    if (!s->timed || r->ts_us > s->newest_us)
        s->newest_us = r->ts_us;
    s->timed = true;
}

/* A misspelt name compares nothing, and nothing is always equal. */
static int check_named(struct compare *c, struct err *e)
{
    const struct record_names *named = &c->plan->rules.named;

    for (size_t i = 0; i < named->n; i++)
        if (!record_met(&c->side[OLD].reader, i) && !record_met(&c->side[NEW].reader, i))
            return err_set(e, EX_DATAERR, "%.*s: no record of either side has this member",
                           (int)named->at[i].n, named->at[i].p);
    return 0;
}

static int check_sides(struct compare *c, struct err *e)
{
    bool old = !c->side[OLD].rows, new = !c->side[NEW].rows;

    if (old && new)
        return err_set(e, EX_DATAERR, "both sides are empty: nothing was compared");
    if (old || new)
        return err_set(e, EX_DATAERR, "%s: an empty result, while the other side has %llu records",
                       c->side[old ? OLD : NEW].source.name,
                       (unsigned long long)c->side[old ? NEW : OLD].rows);
    return check_named(c, e);
}

/* --- by digests --------------------------------------------------------------- */

static int deal(struct compare *c, int of, struct join *j, struct err *e)
{
    struct head h = {.line = 0};
    struct scan s;
    int rc;

    scan_start(&s, c, of);
    while ((rc = next_record(&s, &h, e)) == 1) {
        note_time(&c->side[of], &h.record);
        if (j && join_add(j, of, h.record.key, h.record.value, h.offset, h.line, e)) {
            rc = -1;
            break;
        }
    }
    line_close(&s.lines);
    return rc;
}

static int compare_hashed(struct compare *c, struct err *e)
{
    const struct join_found found = {c, judge_pair, judge_copies};
    struct join j;
    int rc = 0;

    join_open(&j, (size_t)c->plan->memory, c->plan->aside);
    for (int i = 0; i < SIDES && !rc; i++)
        rc = deal(c, i, &j, e);
    if (!rc)
        rc = check_sides(c, e);
    if (!rc)
        rc = join_run(&j, &found, e);
    join_close(&j);
    return rc;
}

/* --- in order ------------------------------------------------------------------- */

struct key {
    struct record_part parts[RECORD_KEYS_MAX];
    struct buf text;
};

/* The lines of a side that have one key, and the record behind them. */
struct group {
    struct scan scan;
    struct head head, next;
    struct key key, next_key;
    uint32_t lines[COPIES_LISTED];
    size_t count;
    bool alike, more; /* more: next is there */
};

static int keep_key(const struct record_reader *r, struct key *k)
{
    size_t n = r->rules->key.n, at = 0;

    k->text.len = 0;
    for (size_t i = 0; i < n; i++)
        if (buf_add(&k->text, r->parts[i].text.p, r->parts[i].text.n))
            return -1;
    for (size_t i = 0; i < n; i++) {
        k->parts[i] = r->parts[i];
        k->parts[i].text.p = k->text.data ? k->text.data + at : "";
        at += r->parts[i].text.n;
    }
    return 0;
}

static int no_order(const struct group *g, const char *why, struct err *e)
{
    const struct source *s = &g->scan.c->side[g->scan.of].source;

    return why == json_no_memory
               ? err_memory(e)
               : err_set(e, EX_DATAERR, "%s:%u: %s (--sorted)", s->name, g->next.line, why);
}

static int group_order(const struct group *g, const struct key *a, const struct key *b, int *order,
                       struct err *e)
{
    const char *why = record_key_order(a->parts, b->parts, g->scan.c->plan->rules.key.n, order);

    return why ? no_order(g, why, e) : 0;
}

/* Reads the record behind the group. */
static int read_next(struct group *g, struct err *e)
{
    int rc = next_record(&g->scan, &g->next, e), order;

    g->more = rc == 1;
    if (rc != 1)
        return rc;
    if (keep_key(&g->scan.c->side[g->scan.of].reader, &g->next_key))
        return err_memory(e);
    /* What has an order with itself has one with all. */
    return group_order(g, &g->next_key, &g->next_key, &order, e);
}

/* The next group begins with the record that is there. count 0: the end. */
static int next_group(struct group *g, struct err *e)
{
    struct key key = g->key;
    int order = 0;

    g->count = 0;
    g->alike = true;
    if (!g->more)
        return 0;
    g->key = g->next_key;
    g->next_key = key;
    g->head = g->next;
    for (;;) {
        if (g->count < COPIES_LISTED)
            g->lines[g->count] = g->next.line;
        g->count++;
        g->alike = g->alike && g->next.record.value == g->head.record.value;
        if (read_next(g, e))
            return -1;
        if (!g->more)
            return 0;
        if (group_order(g, &g->key, &g->next_key, &order, e))
            return -1;
        if (order > 0)
            return no_order(g, "is out of order: its key is below that of the record before", e);
        if (order < 0)
            return 0;
    }
}

static struct join_entry entry_of(const struct head *h)
{
    return (struct join_entry){h->record.key.lo, h->record.value, h->offset,
                               (uint32_t)h->record.key.hi, h->line};
}

static int tell_group(struct compare *c, struct group g[SIDES], bool old, bool new, struct err *e)
{
    struct join_entry at[SIDES] = {entry_of(&g[OLD].head), entry_of(&g[NEW].head)};
    bool use[SIDES] = {old, new};
    bool alike = (!old || g[OLD].alike) && (!new || g[NEW].alike);

    if (judge_pair(c, old ? &at[OLD] : NULL, new ? &at[NEW] : NULL, alike, e))
        return -1;
    for (int i = 0; i < SIDES; i++) {
        if (!use[i])
            continue;
        if (g[i].count > 1 && judge_copies(c, i, &at[i], g[i].lines, g[i].count, e))
            return -1;
        if (next_group(&g[i], e))
            return -1;
    }
    return 0;
}

static int merge(struct compare *c, struct group g[SIDES], struct err *e)
{
    int order;

    for (int i = 0; i < SIDES; i++)
        if (read_next(&g[i], e) || next_group(&g[i], e))
            return -1;
    while (g[OLD].count || g[NEW].count) {
        order = g[OLD].count ? -1 : 1;
        if (g[OLD].count && g[NEW].count &&
            group_order(&g[OLD], &g[OLD].key, &g[NEW].key, &order, e))
            return -1;
        if (tell_group(c, g, order <= 0, order >= 0, e))
            return -1;
    }
    return 0;
}

/* What is in flight, or beyond a window, cannot be told before all is seen. */
static bool looks_ahead(const struct plan *p)
{
    return p->sorted && (p->lag_ms || p->limit);
}

static int look_ahead(struct compare *c, struct err *e)
{
    for (int i = 0; i < SIDES; i++) {
        if (deal(c, i, NULL, e))
            return -1;
        if (lseek(c->side[i].source.fd, 0, SEEK_SET) < 0)
            return err_sys(e, EX_IOERR, "unable to reread %s", c->side[i].source.name);
    }
    return check_sides(c, e);
}

static int merge_from_start(struct compare *c, struct group g[SIDES], struct err *e)
{
    int rc;

    for (int i = 0; i < SIDES; i++) {
        scan_start(&g[i].scan, c, i);
        g[i].scan.silent = looks_ahead(c->plan);
    }
    rc = merge(c, g, e);
    for (int i = 0; i < SIDES; i++) {
        line_close(&g[i].scan.lines);
        buf_free(&g[i].key.text);
        buf_free(&g[i].next_key.text);
    }
    return rc ? -1 : check_sides(c, e);
}

static int compare_sorted(struct compare *c, struct err *e)
{
    struct group *g;
    int rc;

    if (looks_ahead(c->plan) && look_ahead(c, e))
        return -1;
    g = calloc(SIDES, sizeof *g);
    rc = g ? merge_from_start(c, g, e) : err_memory(e);
    free(g);
    return rc;
}

int scan_compare(struct compare *c, struct err *e)
{
    int rc;

    progress_start(&c->progress, "records",
                   (c->side[OLD].source.size + c->side[NEW].source.size) *
                       (looks_ahead(c->plan) ? 2 : 1));
    rc = c->plan->sorted ? compare_sorted(c, e) : compare_hashed(c, e);
    progress_end(&c->progress);
    return rc;
}
