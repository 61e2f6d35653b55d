#include "cli/queues.h"

#include "cli/config.h"

struct reading {
    struct config c;
    struct span wanted;
    struct queue_defaults *out;
};

static int take_setting(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct reading *r = ctx;
    struct queue_defaults *d = r->out;

    if (span_eq(name, SPAN("priority")))
        return config_int(&r->c, name, v, 0, 1000, &d->priority, e);
    if (span_eq(name, SPAN("max_retries")))
        return config_int(&r->c, name, v, 0, 1000, &d->max_retries, e);
    if (span_eq(name, SPAN("timeout_seconds")))
        return config_int(&r->c, name, v, 1, 7 * 86400, &d->timeout_s, e);
    if (span_eq(name, SPAN("max_pending")))
        return config_int(&r->c, name, v, 0, INT64_MAX / 2, &d->max_pending, e);
    if (span_eq(name, SPAN("keep")))
        return config_span_ms(&r->c, name, v, &d->keep_ms, e);
    return config_fault(&r->c, v->raw.p, e, "%.*s: no such setting of a queue", (int)name.n,
                        name.p);
}

/* Every queue's settings are read, so that a mistake in any shows. */
static int take_queue(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct reading *r = ctx;
    struct queue_defaults other = *r->out, *out = r->out;
    int rc;

    if (v->kind != JSON_OBJECT)
        return config_fault(&r->c, v->raw.p, e, "%.*s: wants an object", (int)name.n, name.p);
    if (!span_eq(name, r->wanted))
        r->out = &other;
    rc = config_members(&r->c, v->raw, take_setting, r, e);
    r->out = out;
    return rc;
}

int queues_read(struct span queue, struct queue_defaults *out, struct err *e)
{
    struct reading r = {.out = out};
    int rc;

    *out = (struct queue_defaults){5, 3, 300, 0, INT64_C(7) * 86400000};
    rc = config_open(&r.c, "queues.json", e);
    if (rc <= 0)
        return rc;
    r.wanted = SPAN("default");
    rc = config_members(&r.c, config_whole(&r.c), take_queue, &r, e);
    r.wanted = queue;
    if (!rc)
        rc = config_members(&r.c, config_whole(&r.c), take_queue, &r, e);
    config_close(&r.c);
    return rc;
}
