#include "cli/ingest.h"

#include "base/clock.h"
#include "base/stop.h"
#include "text/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A box with a wrong clock must not bury everything else it has to say. */
enum { WARNINGS = 10 };

struct note {
    size_t item;
    bool rejected;
    char why[256];
};

static int on_raw(void *ctx, const struct line *l, struct err *e)
{
    struct ingest *in = ctx;

    in->bytes += l->raw.n;
    if (foreign_line(l, in->input, cli.prog, e))
        return -1;
    return in->raw ? in->raw(in, l, e) : 0;
}

static int reject(struct ingest *in, const struct line *l, size_t offset, const char *why,
                  struct err *e)
{
    struct line place = *l;

    if (in->relative)
        place.offset = 0;
    return rejects_line(&in->rejects, in->input, &place, offset, why, e);
}

static int bad_control(struct ingest *in, const struct line *l, const char *why, struct err *e)
{
    in->received++;
    return reject(in, l, 0, why, e);
}

/* A seal or a cursor says something about the lines before it; in a document,
 * or malformed, it is a bad line like any other. */
static int on_control(void *ctx, const struct line *l, struct err *e)
{
    struct ingest *in = ctx;
    char cursor[SEAL_CURSOR_MAX];
    const char *why;
    struct seal s;
    int kind;

    if (in->relative)
        return bad_control(in, l, "lifeboat_: such names are reserved", e);
    kind = seal_read_cursor(l->text, cursor);
    if (kind == 0) {
        kind = seal_read(l->text, &s, &why);
        memcpy(cursor, s.to, sizeof cursor);
    }
    if (kind == -2)
        return err_memory(e);
    if (kind == 0 && in->live)
        return err_set(e, EX_PROTOCOL, "%s: line %llu: " CONTROL_UNKNOWN ": is the sender newer?",
                       in->input, (unsigned long long)l->number);
    if (kind != 1)
        return bad_control(in, l, CONTROL_UNKNOWN, e);
    return in->control ? in->control(in, cursor) : 0;
}

static int on_reject(void *ctx, const struct line *l, const struct event_fault *f, struct err *e)
{
    struct ingest *in = ctx;

    in->received += l->first;
    return reject(in, l, f->offset, f->why, e);
}

int ingest_open(struct ingest *in, struct err *e)
{
    in->hooks = (struct batch_hooks){in, on_raw, on_control, on_reject};
    batch_open(&in->batch, &in->hooks);
    return intake_open(&in->intake, e);
}

void ingest_close(struct ingest *in)
{
    batch_close(&in->batch);
    intake_close(&in->intake);
    buf_free(&in->echo);
    free(in->notes);
    rejects_close(&in->rejects);
}

uint64_t ingest_rejected(const struct ingest *in)
{
    uint64_t n = in->rejects.count;

    for (size_t i = 0; i < in->note_count; i++)
        n += in->notes[i].rejected;
    return n;
}

static struct note *new_note(struct ingest *in, size_t item, bool rejected, struct err *e)
{
    if (in->note_count == in->note_cap) {
        size_t cap = in->note_cap ? 2 * in->note_cap : 16;
        struct note *notes = realloc(in->notes, cap * sizeof *notes);

        if (!notes) {
            err_memory(e);
            return NULL;
        }
        in->notes = notes;
        in->note_cap = cap;
    }
    in->notes[in->note_count] = (struct note){.item = item, .rejected = rejected};
    return &in->notes[in->note_count++];
}

static int note(struct ingest *in, size_t item, bool rejected, const char *why, struct err *e)
{
    struct note *n = new_note(in, item, rejected, e);

    if (!n)
        return -1;
    snprintf(n->why, sizeof n->why, "%s", why);
    return 0;
}

static int put_one(struct ingest *in, size_t i, struct err *e)
{
    struct event *ev = &in->batch.items[i].event;
    enum put_result rc;

    if (in->elsewhere_only && !ev->ts_device.set)
        return note(in, i, true,
                    "ts_device: missing (events that happen here go to "
                    "evstore-append)",
                    e);
    rc = intake_put(&in->intake, ev, &in->batch.arena, e);
    if (rc == PUT_ERROR)
        return -1;
    if (rc == PUT_CONFLICT || rc == PUT_REFUSED)
        return note(in, i, true, in->intake.why, e);
    if (in->intake.was_ahead)
        return note(in, i, false, "warning: its clock is far ahead of this store's", e);
    if (in->intake.overtook)
        return note(in, i, false,
                    "warning: the clock here is behind this entity's; took the next time after "
                    "its newest event",
                    e);
    return 0;
}

/* Items from *i on; all of them, unless that takes long and others wait. */
static int put_some(struct ingest *in, size_t *i, struct err *e)
{
    int64_t left = BATCH_HOLD_MS - in->commit_ms;
    int64_t until = clock_boot_ms() + (left > BATCH_WORK_MS ? left : BATCH_WORK_MS);

    while (*i < in->batch.count) {
        if (put_one(in, *i, e))
            return -1;
        /* After it, so that each transaction brings something. */
        if (++*i % 64 == 0 && !in->endless && clock_boot_ms() > until &&
            gate_wanted(&in->intake.st->gate))
            break;
    }
    return 0;
}

/* Says what there is to say about the items just committed. */
static int tell(struct ingest *in, struct err *e)
{
    for (size_t n = 0; n < in->note_count; n++) {
        const struct note *t = &in->notes[n];
        const struct line *l = &in->batch.items[t->item].line;

        if (!t->rejected && ++in->warned > WARNINGS)
            continue;
        if (!t->rejected && in->warned == WARNINGS)
            cli_warn("further warnings about clocks are only counted");
        else if (!t->rejected)
            cli_warn("%s:%llu: %s", in->input, (unsigned long long)l->number, t->why);
        else if (reject(in, l, 0, t->why, e))
            return -1;
    }
    in->note_count = 0;
    if (in->echo.len) {
        cli_put(in->echo.data, in->echo.len);
        cli_flush();
        in->echo.len = 0;
    }
    return 0;
}

static int commit(struct ingest *in, struct err *e)
{
    int64_t begun = clock_boot_ms();

    if (store_commit(in->intake.st, e))
        return -1;
    in->commit_ms = (3 * in->commit_ms + clock_boot_ms() - begun) / 4;
    return tell(in, e);
}

static int transaction(struct ingest *in, size_t *i, struct err *e)
{
    struct store *st = in->intake.st;
    size_t from = *i;
    int rc;

    if (in->intake.dry) {
        rc = intake_begin(&in->intake, e) || put_some(in, i, e);
        in->received += *i - from;
        return rc || tell(in, e) ? -1 : 0;
    }
    if (store_begin(st, e))
        return -1;
    rc = intake_begin(&in->intake, e) || put_some(in, i, e) || intake_end(&in->intake, e);
    in->received += *i - from;
    in->whole_batch = *i == in->batch.count;
    if (!rc && in->before_commit)
        rc = in->before_commit(in, e);
    if (rc) {
        store_rollback(st);
        return -1;
    }
    return commit(in, e);
}

int ingest_store(struct ingest *in, struct err *e)
{
    size_t i = 0;

    do {
        if (transaction(in, &i, e))
            return -1;
    } while (i < in->batch.count);
    return rejects_sync(&in->rejects, e);
}

int ingest_lines(struct ingest *in, struct line_reader *r, struct err *e)
{
    in->input = r->name;
    batch_input(&in->batch, r);
    while (!in->batch.ended && !stop_signal()) {
        if (batch_fill(&in->batch, e))
            return -1;
        if ((in->batch.count || in->pending) && ingest_store(in, e))
            return -1;
        progress_step(&in->progress, in->received, in->bytes);
    }
    return rejects_sync(&in->rejects, e);
}
