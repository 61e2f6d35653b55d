/* The default fold: payloads merged one after another, with the state written
 * out and read back in between or not, give the text that RFC 7396 gives when
 * it is followed word by word on plain trees. */
#include "text/json.h"
#include "text/merge.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

enum { BALLAST = 300000 };

/* --- by the RFC ------------------------------------------------------------------ */

static void remove_at(struct value *target, size_t at)
{
    for (target->count--; at < target->count; at++) {
        target->names[at] = target->names[at + 1];
        target->items[at] = target->items[at + 1];
    }
}

static struct value *apply(struct value *target, const struct value *patch)
{
    static const struct value empty = {.kind = V_OBJECT};

    if (patch->kind != V_OBJECT)
        return value_copy(patch);
    if (!target || target->kind != V_OBJECT)
        target = value_copy(&empty);
    for (size_t i = 0; i < patch->count; i++) {
        size_t at = 0;

        while (at < target->count && !value_equal(target->names[at], patch->names[i]))
            at++;
        if (patch->items[i]->kind == V_NULL) {
            if (at < target->count)
                remove_at(target, at);
        } else if (at < target->count) {
            target->items[at] = apply(target->items[at], patch->items[i]);
        } else {
            value_add(target, patch->names[i], apply(NULL, patch->items[i]));
        }
    }
    return target;
}

/* A payload that is no object stands under the name "value". */
static struct value *as_patch(struct value *payload)
{
    static const struct value empty = {.kind = V_OBJECT};
    struct value *patch;

    if (payload->kind == V_OBJECT)
        return payload;
    patch = value_copy(&empty);
    value_add(patch, value_parse(SPAN("\"value\"")), payload);
    return patch;
}

/* --- both -------------------------------------------------------------------------- */

static void check(const struct merge *m, const struct value *state)
{
    struct buf got = {0};
    const struct value *tree;

    if (merge_write(m, &got))
        abort();
    tree = value_parse((struct span){got.data, got.len});
    if (!tree || !value_spelled_alike(tree, state))
        value_found("another state", (struct span){got.data, got.len}, state->raw);
    buf_free(&got);
}

static void read_back(struct merge *m)
{
    struct buf state = {0};

    if (merge_write(m, &state) || merge_reset(m, (struct span){state.data, state.len}))
        abort();
    buf_free(&state);
}

/* Few names, so that they meet; now and then many members. */
static void grow_patch(struct dice *d, int depth, struct buf *out)
{
    static const char *const scalars[] = {"null", "null", "null", "1", "1.50",     "\"s\"",
                                          "[]",   "true", "\"\"", "7", "[{},null]"};
    unsigned n = roll(d, 8) ? roll(d, 5) : 24;

    if (depth == 4 || roll(d, depth ? 3 : 12) == 0) {
        buf_adds(out, scalars[roll(d, 11)]);
        return;
    }
    buf_addc(out, '{');
    for (unsigned i = 0; i < n; i++) {
        unsigned name = '`' + (n == 24 ? i + roll(d, 2) : 1 + roll(d, 3));

        if (i)
            buf_addc(out, ',');
        if (roll(d, 8))
            buf_printf(out, "\"%c\":", (int)name);
        else
            buf_printf(out, "\"\\u%04x\":", name);
        grow_patch(d, depth + 1, out);
    }
    buf_addc(out, '}');
}

/* So much that the arena is tidied. */
static void ballast(struct merge *m, struct value **state)
{
    static const char head[] = "{\"b\":\"", tail[] = "\"}";
    static char text[BALLAST];

    memset(text, 'x', BALLAST);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + BALLAST - (sizeof tail - 1), tail, sizeof tail - 1);
    for (int i = 0; i < 4; i++)
        if (merge_apply(m, (struct span){text, BALLAST}))
            abort();
    if (merge_apply(m, SPAN("{\"b\":[1.50]}")))
        abort();
    *state = apply(*state, value_parse(SPAN("{\"b\":[1.50]}")));
}

/* Byte 0: payloads between LFs as they stand, or grown ones; byte 1: the seed
 * of when the state is read back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice d = {.p = data + 2, .end = data + size}, when = {0};
    struct value *state, *patch;
    struct merge m = {0};
    bool heavy;

    if (size < 3)
        return 0;
    heavy = data[0] == 255 && data[1] % 16 == 15;
    value_reset();
    when.seed = 1 + data[1];
    state = value_parse(SPAN("{}"));
    while (d.p < d.end) {
        struct buf text = {0};

        if (data[0] < 64) {
            const uint8_t *lf = memchr(d.p, '\n', (size_t)(d.end - d.p));

            buf_add(&text, d.p, (size_t)((lf ? lf : d.end) - d.p));
            d.p = lf ? lf + 1 : d.end;
        } else {
            grow_patch(&d, 0, &text);
        }
        patch = value_parse(value_keep((struct span){text.data, text.len}));
        if (patch && merge_apply(&m, patch->raw))
            value_found("cannot be merged", patch->raw, state->raw);
        if (patch)
            state = apply(state, as_patch(patch));
        buf_free(&text);
        if (heavy && roll(&when, 4) == 0) {
            heavy = false;
            ballast(&m, &state);
        }
        if (roll(&when, 4) == 0)
            read_back(&m);
        check(&m, state);
    }
    merge_free(&m);
    return 0;
}
