#include "core/batch.h"

#include "base/stop.h"
#include "text/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void batch_open(struct batch *b, const struct batch_hooks *hooks)
{
    *b = (struct batch){.hooks = hooks};
}

void batch_close(struct batch *b)
{
    free(b->items);
    arena_free(&b->arena);
    event_parser_free(&b->parser);
    *b = (struct batch){0};
}

void batch_input(struct batch *b, struct line_reader *r)
{
    b->reader = r;
    b->ended = false;
}

static struct batch_item *new_item(struct batch *b, struct err *e)
{
    if (b->count == b->cap) {
        size_t cap = b->cap ? 4 * b->cap : 16;
        struct batch_item *items;

        if (cap > BATCH_ROWS)
            cap = BATCH_ROWS;
        items = realloc(b->items, cap * sizeof *items);
        if (!items) {
            err_memory(e);
            return NULL;
        }
        b->items = items;
        b->cap = cap;
    }
    return &b->items[b->count];
}

static int too_long(struct batch *b, const struct line *l, struct err *e)
{
    struct event_fault f = {0};

    snprintf(f.why, sizeof f.why, "longer than %zu bytes (--max-line)", b->reader->max);
    return b->hooks->reject(b->hooks->ctx, l, &f, e);
}

static int take_line(struct batch *b, const struct line *l, struct err *e)
{
    struct batch_item *item;
    struct event_fault fault;

    if (!l->text.n)
        return 0;
    if (line_is_control(l->text))
        return b->hooks->control ? b->hooks->control(b->hooks->ctx, l, e) : 0;
    item = new_item(b, e);
    if (!item)
        return -1;
    item->line = *l;
    if (event_parse(&b->parser, l->text, &b->arena, &item->event, &fault)) {
        if (fault.no_memory)
            return err_memory(e);
        fault.offset += (size_t)(l->text.p - l->raw.p);
        return b->hooks->reject(b->hooks->ctx, l, &fault, e);
    }
    b->count++;
    return 0;
}

int batch_fill(struct batch *b, struct err *e)
{
    bool wait = true;
    struct line l;
    int rc = 0;

    b->count = 0;
    arena_reset(&b->arena);
    line_release(b->reader);
    while (b->count < BATCH_ROWS && !rc && !stop_signal()) {
        enum line_result got = line_next(b->reader, wait, &l, e);

        if (got == LINE_ERROR)
            return -1;
        if (got == LINE_EOF)
            b->ended = true;
        if (got == LINE_EOF || (got == LINE_NONE && (!wait || stop_signal())))
            break;
        if (got == LINE_NONE)
            continue;
        if (b->hooks->raw && b->hooks->raw(b->hooks->ctx, &l, e))
            return -1;
        rc = got == LINE_LONG ? too_long(b, &l, e) : take_line(b, &l, e);
        wait = !b->count;
    }
    return rc < 0 ? -1 : 0;
}
