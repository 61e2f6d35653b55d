#include "cli/policy.h"

#include "text/kvline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int size_parse(const char *text, int64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    long long n;
    int shift = 0;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno || end == text || n < 1)
        return -1;
    if (*end) {
        unit = strchr(units, *end);
        if (!unit || end[1])
            return -1;
        shift = 10 * (int)(unit - units + 1);
    }
    if (n > INT64_MAX >> (shift + 1))
        return -1;
    *bytes = (int64_t)n << shift;
    return 0;
}

static int take_size(struct policy *p, struct span name, const struct json_value *v, int64_t *out,
                     struct err *e)
{
    char *text;

    if (v->kind == JSON_NUMBER)
        return config_int(&p->file, name, v, 1, INT64_MAX / 2, out, e);
    if (v->kind != JSON_STRING || config_string(&p->file, name, v, &text, e) ||
        size_parse(text, out))
        return config_fault(&p->file, v->raw.p, e,
                            "%.*s: wants bytes, or a size such as \"64K\" or \"8M\"", (int)name.n,
                            name.p);
    return 0;
}

static int take_ttl(struct policy *p, struct span name, const struct json_value *v, struct err *e)
{
    if (config_span_ms(&p->file, name, v, &p->ttl_ms, e))
        return -1;
    if (p->ttl_ms >= 1000 && p->ttl_ms / 1000 <= KV_TTL_MAX_S)
        return 0;
    return config_fault(&p->file, v->raw.p, e, "ttl: wants one second to ten years");
}

static int take_namespace(struct policy *p, struct span name, const struct json_value *v,
                          struct err *e)
{
    const char *why;
    char *text;

    if (config_string(&p->file, name, v, &text, e))
        return -1;
    why = kv_namespace_fault(span_of(text));
    if (why)
        return config_fault(&p->file, v->raw.p, e, "namespace: %s", why);
    p->namespace = text;
    return 0;
}

static int policy_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct policy *p = ctx;

    if (span_eq(name, SPAN("ttl")))
        return take_ttl(p, name, v, e);
    if (span_eq(name, SPAN("namespace")))
        return take_namespace(p, name, v, e);
    if (span_eq(name, SPAN("max_size")))
        return take_size(p, name, v, &p->max_size, e);
    return config_fault(&p->file, v->raw.p, e, "%.*s: no such member of a policy", (int)name.n,
                        name.p);
}

/* All of them are checked; the one that is wanted is kept. */
static int one_policy(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct policy *p = ctx, before = *p;

    if (v->kind != JSON_OBJECT)
        return config_fault(&p->file, v->raw.p, e, "%.*s: wants an object", (int)name.n, name.p);
    if (config_members(&p->file, v->raw, policy_member, p, e))
        return -1;
    if (p->wanted && span_eq(name, span_of(p->wanted))) {
        p->found = true;
        return 0;
    }
    p->ttl_ms = before.ttl_ms;
    p->max_size = before.max_size;
    p->namespace = before.namespace;
    return 0;
}

struct top {
    struct policy *p;
    int64_t max_size;
};

static int top_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct top *t = ctx;

    if (span_eq(name, SPAN("max_size")))
        return take_size(t->p, name, v, &t->max_size, e);
    if (!span_eq(name, SPAN("policies")) || v->kind != JSON_OBJECT)
        return config_fault(&t->p->file, v->raw.p, e,
                            "%.*s: wants max_size, and policies, an object", (int)name.n, name.p);
    return config_members(&t->p->file, v->raw, one_policy, t->p, e);
}

int policy_open(struct policy *p, const char *wanted, struct err *e)
{
    struct top t = {.p = p};
    int rc;

    *p = (struct policy){.wanted = wanted};
    rc = config_open(&p->file, "cache.json", e);
    if (rc < 0 || (rc && config_members(&p->file, config_whole(&p->file), top_member, &t, e)))
        return -1;
    if (!p->max_size)
        p->max_size = t.max_size;
    if (wanted && !p->found)
        return err_set(e, EX_USAGE, "--policy: %s: there is none of this name in %s", wanted,
                       p->file.path ? p->file.path : "cache.json, which is not there");
    return 0;
}

void policy_close(struct policy *p)
{
    config_close(&p->file);
}
