#include "text/kvline.h"

#include "text/base64.h"
#include "text/utf8.h"

#include <string.h>

/* Members that were seen: none may come twice. */
enum { KEY = 1, NAMESPACE = 2, VALUE = 4, VALUE_BASE64 = 8, IS_JSON = 16, TTL = 32 };

static const struct {
    const char *name;
    int bit;
} members[] = {{"key", KEY}, {"namespace", NAMESPACE}, {"value", VALUE},
               {"ttl", TTL}, {"is_json", IS_JSON},     {"value_base64", VALUE_BASE64}};

/* A line while it is taken apart. */
struct entry_parser {
    struct json *j;
    struct arena *a;
    struct kv_entry *out;
    struct json_value value; /* of the member value */
    bool text;               /* is_json is false */
    int seen;
};

/* --- names -------------------------------------------------------------- */

static bool is_plain(struct span s)
{
    const char *p = s.p, *end = s.p + s.n;

    while (p < end) {
        size_t n = utf8_length(p, end);

        /* U+0080 to U+009F are control characters as well. */
        if (!n || (unsigned char)*p < ' ' || *p == 0x7f ||
            (n == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0))
            return false;
        p += n;
    }
    return true;
}

const char *kv_key_fault(struct span key)
{
    if (!key.n || key.n > KV_KEY_MAX || !is_plain(key))
        return "not a key: wants 1 to 255 bytes of UTF-8 without control characters";
    return NULL;
}

const char *kv_namespace_fault(struct span ns)
{
    if (ns.n > KV_KEY_MAX || !is_plain(ns))
        return "not a namespace: wants up to 255 bytes of UTF-8 without control characters";
    return NULL;
}

/* --- reading ------------------------------------------------------------ */

static const char *take_name(struct entry_parser *p, const struct json_value *v, int which)
{
    struct span *to = which == KEY ? &p->out->key : &p->out->ns;

    if (v->kind != JSON_STRING)
        return which == KEY ? "key: wants a string" : "namespace: wants a string";
    *to = json_text_in(v, p->a);
    if (!to->p)
        return json_no_memory;
    return which == KEY ? kv_key_fault(*to) : kv_namespace_fault(*to);
}

static const char *take_base64(struct entry_parser *p, const struct json_value *v)
{
    struct span text;
    int64_t n;
    char *room;

    if (v->kind != JSON_STRING)
        return "value_base64: wants a string";
    text = json_text_in(v, p->a);
    room = text.p ? arena_alloc(p->a, text.n / 4 * 3 + 1) : NULL;
    if (!room)
        return json_no_memory;
    n = base64_decode(text, room);
    if (n < 0)
        return "value_base64: not Base64 (RFC 4648)";
    p->out->value = (struct span){room, (size_t)n};
    return NULL;
}

static const char *take_member(struct entry_parser *p, int which, const struct json_value *v)
{
    switch (which) {
    case KEY:
    case NAMESPACE:
        return take_name(p, v, which);
    case VALUE:
        p->value = *v;
        return NULL;
    case VALUE_BASE64:
        return take_base64(p, v);
    case IS_JSON:
        if (v->kind != JSON_TRUE && v->kind != JSON_FALSE)
            return "is_json: wants true or false";
        p->text = v->kind == JSON_FALSE;
        return NULL;
    default:
        if (v->kind != JSON_NUMBER || json_int(v, &p->out->ttl_s) || p->out->ttl_s < 1 ||
            p->out->ttl_s > KV_TTL_MAX_S)
            return "ttl: wants whole seconds, 1 to 315360000";
        return NULL;
    }
}

static int which_member(struct span name)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (span_eq(name, span_of(members[i].name)))
            return members[i].bit;
    return 0;
}

static const char *walk(struct entry_parser *p, struct span line, bool only_names, size_t *offset)
{
    struct json_value name, v;
    const char *why = NULL;
    bool first = true;
    int rc = -1;

    json_start(p->j, line);
    if (!json_open(p->j))
        while (!why && (rc = json_member(p->j, &first, &name, &v)) == 1) {
            struct span text = json_text_in(&name, p->a);
            int which = text.p ? which_member(text) : 0;

            *offset = (size_t)(name.raw.p - line.p);
            if (!text.p)
                why = json_no_memory;
            else if (p->seen & which)
                why = "a member is there twice";
            else if (only_names && which != KEY && which != NAMESPACE)
                continue;
            else
                why = which ? take_member(p, which, &v)
                            : "no such member: wants key, namespace, value, value_base64, is_json "
                              "and ttl";
            p->seen |= which;
        }
    if (!why && (rc || json_finish(p->j))) {
        why = p->j->why;
        *offset = json_offset(p->j);
    }
    return why;
}

/* What the member value means is known only at the end. */
static const char *settle(struct entry_parser *p, size_t *offset)
{
    int value = p->seen & (VALUE | VALUE_BASE64);

    *offset = 0;
    if (!(p->seen & KEY))
        return "key: missing";
    if (!value)
        return "value: missing";
    if (value == (VALUE | VALUE_BASE64))
        return "value: there is value_base64 too";
    p->out->is_json = value == VALUE && !p->text;
    if (value == VALUE_BASE64)
        return p->seen & IS_JSON && !p->text ? "value_base64: bytes are no JSON" : NULL;
    p->out->value = p->value.raw;
    if (!p->text)
        return NULL;
    if (p->value.kind != JSON_STRING)
        return "value: wants a string, where is_json is false";
    p->out->value = json_text_in(&p->value, p->a);
    return p->out->value.p ? NULL : json_no_memory;
}

const char *kv_parse(struct json *j, struct span line, struct arena *a, struct kv_entry *out,
                     size_t *offset)
{
    struct entry_parser p = {.j = j, .a = a, .out = out};
    const char *why;

    *out = (struct kv_entry){0};
    *offset = 0;
    why = walk(&p, line, false, offset);
    if (!why)
        why = settle(&p, offset);
    if (!why && out->value.n > KV_VALUE_MAX)
        why = "value: longer than 16 MiB";
    return why;
}

const char *kv_parse_key(struct json *j, struct span line, struct arena *a, struct kv_entry *out,
                         size_t *offset)
{
    struct entry_parser p = {.j = j, .a = a, .out = out};
    struct json_value v;
    const char *why;

    *out = (struct kv_entry){.key = line};
    *offset = 0;
    if (line.n && line.p[0] == '{') {
        why = walk(&p, line, true, offset);
        return why || p.seen & KEY ? why : "key: missing";
    }
    if (!line.n || line.p[0] != '"')
        return kv_key_fault(line);
    if (json_whole(j, line, &v)) {
        *offset = json_offset(j);
        return j->why;
    }
    return take_name(&p, &v, KEY);
}

/* --- writing ------------------------------------------------------------ */

static bool is_utf8(struct span s)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t n = 1;

    while (p < end && (n = utf8_length(p, end)))
        p += n;
    return n;
}

static int write_value(const struct kv_entry *x, struct buf *out)
{
    if (x->is_json)
        return buf_adds(out, ",\"value\":") || json_compact(x->value, out);
    if (is_utf8(x->value))
        return buf_adds(out, ",\"value\":") || json_quote(x->value, out) ||
               buf_adds(out, ",\"is_json\":false");
    return buf_adds(out, ",\"value_base64\":\"") || base64_add(x->value, out) || buf_addc(out, '"');
}

int kv_write(const struct kv_entry *x, struct buf *out)
{
    if (buf_adds(out, "{\"key\":") || json_quote(x->key, out))
        return -1;
    if (x->ns.n && (buf_adds(out, ",\"namespace\":") || json_quote(x->ns, out)))
        return -1;
    if (write_value(x, out) || buf_adds(out, ",\"ttl\":") || buf_addi(out, x->ttl_s))
        return -1;
    return buf_adds(out, "}\n");
}
