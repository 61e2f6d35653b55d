/* Lines of the cache: an entry that is read, written and read again is the same one;
 * Base64 that is taken is what its bytes give. */
#include "text/base64.h"
#include "text/kvline.h"

#include <stdlib.h>
#include <string.h>

static struct json json;
static struct arena arena;
static struct buf line, values;

static void check(bool held)
{
    if (!held)
        abort();
}

/* What a JSON value says, in one spelling. */
static struct digest digest_of(struct span raw)
{
    struct json_value v;

    check(!json_whole(&json, raw, &v));
    return v.digest;
}

static void same(const struct kv_entry *a, const struct kv_entry *b)
{
    check(span_eq(a->key, b->key) && a->ttl_s == b->ttl_s && a->is_json == b->is_json);
    check(a->ns.n == b->ns.n && (!a->ns.n || span_eq(a->ns, b->ns)));
    if (a->is_json)
        check(digest_eq(digest_of(a->value), digest_of(b->value)));
    else
        check(span_eq(a->value, b->value));
}

static void entries(struct span s)
{
    struct kv_entry x, again;
    const char *why;
    size_t offset;

    why = kv_parse(&json, s, &arena, &x, &offset);
    if (why) {
        check(offset <= s.n);
        return;
    }
    check(!kv_key_fault(x.key));
    x.ttl_s = x.ttl_s ? x.ttl_s : 1;
    buf_clear(&line);
    check(!kv_write(&x, &line) && line.data[line.len - 1] == '\n');
    check(!kv_parse(&json, (struct span){line.data, line.len - 1}, &arena, &again, &offset));
    same(&x, &again);
}

static void keys(struct span s)
{
    struct kv_entry x;
    size_t offset;

    if (!kv_parse_key(&json, s, &arena, &x, &offset))
        check(!kv_key_fault(x.key) && (!x.ns.p || !kv_namespace_fault(x.ns)));
    else
        check(offset <= s.n);
}

/* Bits behind the last byte do not count: then other text gives the same bytes. */
static void base64(struct span s)
{
    char *room = malloc(s.n / 4 * 3 + 1), *again = malloc(s.n / 4 * 3 + 1);
    int64_t n = base64_decode(s, room);

    if (n >= 0) {
        buf_clear(&values);
        check(!base64_add((struct span){room, (size_t)n}, &values) && values.len == s.n);
        check(base64_decode(buf_span(&values), again) == n && !memcmp(room, again, (size_t)n));
    }
    free(room);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {(const char *)data, size};

    arena_reset(&arena);
    entries(s);
    keys(s);
    base64(s);
    return 0;
}
