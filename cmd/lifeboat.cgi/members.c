#include "lifeboat.cgi/members.h"

#include "core/event.h"

#include <stdio.h>
#include <string.h>

static const char *take_text(const struct member *m, const struct json_value *v, struct arena *a)
{
    if (m->kind == MEMBER_NAME && v->kind == JSON_NUMBER) {
        *m->out = v->raw;
        return NULL;
    }
    if (v->kind != JSON_STRING)
        return "wants a string";
    *m->out = json_text_in(v, a);
    if (!m->out->p)
        return json_no_memory;
    if (!m->out->n || m->out->n > EVENT_TEXT_MAX)
        return "wants 1 to 1024 bytes";
    return memchr(m->out->p, '\0', m->out->n) ? "has a NUL in it" : NULL;
}

/* NULL, or what is wrong with it. */
static const char *take(const struct member *m, const struct json_value *v, struct arena *a)
{
    if (v->kind == JSON_NULL)
        return NULL;
    if (m->out->p)
        return "stands there twice";
    if (m->kind == MEMBER_TEXT || m->kind == MEMBER_NAME)
        return take_text(m, v, a);
    if (m->kind == MEMBER_OBJECT && v->kind != JSON_OBJECT)
        return "wants an object";
    if (m->kind == MEMBER_ARRAY && v->kind != JSON_ARRAY)
        return "wants an array";
    if (m->kind == MEMBER_NUMBER && v->kind != JSON_NUMBER)
        return "wants a number";
    *m->out = json_compact_in(v, a);
    return m->out->p ? NULL : json_no_memory;
}

static const char *take_member(const struct member *m, size_t n, const struct json_value *name,
                               const struct json_value *v, struct arena *a, const char **which)
{
    struct span text = json_text_in(name, a);

    if (!text.p)
        return json_no_memory;
    for (size_t i = 0; i < n; i++)
        if (span_eq(text, span_of(m[i].name))) {
            *which = m[i].name;
            return take(&m[i], v, a);
        }
    return NULL;
}

bool members_of(struct span object, const struct member *m, size_t n, struct arena *a,
                char why[static 256])
{
    struct json_value name, v;
    const char *which = "", *fault = NULL;
    struct json j = {0};
    bool first = true;
    int rc;

    for (size_t i = 0; i < n; i++)
        *m[i].out = (struct span){NULL, 0};
    json_start(&j, object);
    rc = json_open(&j) ? -1 : 1;
    while (rc == 1 && (rc = json_member(&j, &first, &name, &v)) == 1 && !fault)
        fault = take_member(m, n, &name, &v, a, &which);
    if (rc < 0)
        snprintf(why, 256, "byte %zu: %s", json_offset(&j), j.why);
    else if (fault)
        snprintf(why, 256, "%s: %s", which, fault);
    json_end(&j);
    if (rc < 0 || fault)
        return false;
    for (size_t i = 0; i < n; i++)
        if (m[i].required && !m[i].out->p) {
            snprintf(why, 256, "%s: missing", m[i].name);
            return false;
        }
    return true;
}

bool members_read(struct exchange *x, const struct member *m, size_t n, struct arena *a,
                  struct span *whole, struct err *e)
{
    struct json_value v;
    struct buf text = {0};
    struct json j = {0};
    char why[256] = "";
    bool ok = false;

    if (body_text(&x->body, &text, e)) {
        buf_free(&text);
        return false;
    }
    if (json_whole(&j, buf_span(&text), &v))
        snprintf(why, sizeof why, "byte %zu: %s", json_offset(&j), j.why);
    else if (v.kind != JSON_OBJECT)
        snprintf(why, sizeof why, "wants a JSON object");
    else
        ok = true;
    if (ok) {
        struct span kept = arena_span(a, v.raw); /* the text goes; its parts stay */

        v.raw = kept;
        *whole = kept.p ? json_compact_in(&v, a) : kept;
        ok = whole->p && members_of(*whole, m, n, a, why);
    }
    json_end(&j);
    buf_free(&text);
    if (!ok)
        front_problem(x, 400, e, "%s", *why ? why : "out of memory");
    return ok;
}

int members_each(struct span array, int (*take_one)(void *ctx, const struct json_value *v),
                 void *ctx)
{
    struct json_value v;
    struct json j = {0};
    bool first = true;
    int rc;

    json_start(&j, array);
    rc = json_array(&j);
    while (!rc && (rc = json_element(&j, &first, &v)) == 1)
        rc = take_one(ctx, &v);
    json_end(&j);
    return rc;
}
