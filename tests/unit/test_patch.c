#include "text/patch.h"

#include "tap.h"
#include "text/merge.h"

#include <stdbool.h>
#include <stdlib.h>

/* --- against text/merge, in random histories ------------------------------- */

static uint64_t state = 88172645463325252u;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % n);
}

static void put_value(struct buf *b, int depth);

static void put_object(struct buf *b, int depth)
{
    /* Each name once, in an order of its own. */
    unsigned first = below(6), n = below(6);

    buf_addc(b, '{');
    for (unsigned i = 0; i < n; i++) {
        buf_printf(b, "%s\"%c%s\":", i ? "," : "", 'a' + (int)((first + i) % 6),
                   depth ? "" : "é,:{");
        put_value(b, depth + 1);
    }
    buf_addc(b, '}');
}

static void put_value(struct buf *b, int depth)
{
    static const char *const scalars[] = {"null",
                                          "null",
                                          "true",
                                          "-1.50e3",
                                          "\"\"",
                                          "\"a\\\"b\\\\\"",
                                          "\"\\\\\\\"}],\"",
                                          "[]",
                                          "[1,{\"x\":null},\"]\"]",
                                          "\"{:,\""};

    if (depth < 4 && below(3) == 0)
        put_object(b, depth);
    else
        buf_adds(b, scalars[below(sizeof scalars / sizeof *scalars)]);
}

/* One history; how many of its patches were out of the ordinary, or -1. */
static int compare(int patches)
{
    struct buf now = {0}, next = {0}, payload = {0}, want = {0};
    struct merge m = {0};
    struct patch p;
    int odd = 0;

    buf_adds(&now, "{}");
    for (int i = 0; i < patches && odd >= 0; i++) {
        payload.len = next.len = want.len = 0;
        put_value(&payload, 0);
        if (merge_apply(&m, (struct span){payload.data, payload.len}) || merge_write(&m, &want))
            return -1;
        if (patch_read(&p, (struct span){payload.data, payload.len}) ||
            patch_apply(&p, (struct span){now.data, now.len}, &next))
            odd++;
        else if (next.len != want.len || memcmp(next.data, want.data, want.len))
            odd = -1;
        now.len = 0;
        buf_add(&now, want.data, want.len);
    }
    merge_free(&m);
    buf_free(&now);
    buf_free(&next);
    buf_free(&payload);
    buf_free(&want);
    return odd;
}

/* --- what is left to text/merge -------------------------------------------- */

static int read(const char *payload)
{
    struct patch p;

    return patch_read(&p, span_of(payload));
}

static int applied(const char *to, const char *payload)
{
    struct buf out = {0};
    struct patch p;
    int rc = patch_read(&p, span_of(payload)) || patch_apply(&p, span_of(to), &out);

    if (rc && out.len)
        rc = -1;
    buf_free(&out);
    return rc;
}

/* Any cut of a text that is none must be noticed, not walked over. */
static bool cuts_are_odd(const char *text)
{
    size_t n = strlen(text);
    bool all = true;

    for (size_t i = 1; i < n; i++) {
        char *cut = malloc(i); /* so that a checker sees each byte too many */
        struct patch p;

        memcpy(cut, text, i);
        all = all && patch_read(&p, (struct span){cut, i}) == 1;
        free(cut);
    }
    return all;
}

static uint64_t shape(const char *payload)
{
    struct patch p;

    return patch_read(&p, span_of(payload)) || !p.flat ? 0 : p.shape;
}

static void check_shapes(void)
{
    ok(shape("{\"a\":1,\"b\":\"x\"}") == shape("{\"a\":[],\"b\":2}"), "same names, same shape");
    ok(shape("{\"a\":1,\"b\":2}") != shape("{\"b\":1,\"a\":2}"), "another order is another shape");
    ok(shape("{\"a\":1}") != shape("{\"a\":1,\"b\":2}"), "one name more is another shape");
    ok(!shape("{\"a\":null}") && !shape("{\"a\":{}}"), "with a null or an object it has none");
    ok(shape("7") == shape("{\"value\":8}"), "what is no object is a value");
}

int main(void)
{
    char many[2000] = "{\"x\":0";
    int worst = 0;

    for (int i = 0; i < PATCH_MEMBERS; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), ",\"n%d\":1", i);
    strcat(many, "}");
    plan(11);
    for (int i = 0; i < 3000 && worst >= 0; i++) {
        int odd = compare(12);

        worst = odd < 0 ? -1 : worst + odd;
    }
    is_int(worst, 0, "3,000 random histories of 12 patches: what text/merge gives, to the byte");
    is_int(read(many), 1, "many members in one patch are left to it");
    is_int(read("{\"a\":1,\"a\":2}"), 1, "a name given twice too");
    is_int(read("{\"\\u0061\":1}"), 1, "and one with an escape");
    is_int(applied("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1,\"b\":2}}"), 1, "also further inside");
    ok(cuts_are_odd("{\"a\":\"x\\\"y\",\"b\":[1,{\"c\":2}],\"d\":{\"e\":null}}"),
       "a text cut at any byte is out of the ordinary");
    check_shapes();
    return done();
}
