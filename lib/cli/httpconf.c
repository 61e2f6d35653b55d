#include "cli/httpconf.h"

#include "base/clock.h"
#include "text/rfc3339.h"

#include <stdlib.h>
#include <string.h>

static const char *const states[LICENCES] = {"FULL", "TRIAL", "BASIC_MODE", "EXPIRED"};

const char *licence_name(enum licence_state s)
{
    return states[s];
}

enum licence_state licence_now(const struct httpconf *c, int64_t now_ms)
{
    bool over = c->expires_at >= 0 && now_ms >= c->expires_at && now_ms >= clock_build_ms();

    return over ? LICENCE_EXPIRED : c->state;
}

/* --- licence.json ------------------------------------------------------- */

static int take_state(struct config *file, struct span name, const struct json_value *v,
                      enum licence_state *out, struct err *e)
{
    char *text;

    if (config_string(file, name, v, &text, e))
        return -1;
    for (int s = 0; s < LICENCES; s++)
        if (!strcmp(text, states[s])) {
            *out = (enum licence_state)s;
            return 0;
        }
    return config_fault(file, v->raw.p, e, "%.*s: wants FULL, TRIAL, BASIC_MODE or EXPIRED",
                        (int)name.n, name.p);
}

static int take_end(struct httpconf *c, struct span name, const struct json_value *v, struct err *e)
{
    char *text;

    if (v->kind == JSON_NULL)
        return 0;
    if (config_string(&c->licence, name, v, &text, e))
        return -1;
    if (rfc3339_parse(span_of(text), &c->expires_at) || c->expires_at < 0)
        return config_fault(&c->licence, v->raw.p, e,
                            "%.*s: wants a time such as 2027-01-31T00:00:00Z", (int)name.n, name.p);
    return 0;
}

/* Hands each element of an array to take. */
static int elements(struct config *file, struct span name, const struct json_value *v,
                    int (*take)(void *ctx, struct span name, const struct json_value *v,
                                struct err *e),
                    void *ctx, struct err *e)
{
    struct json_value element;
    struct json j = {0};
    bool first = true;
    int rc;

    if (v->kind != JSON_ARRAY)
        return config_fault(file, v->raw.p, e, "%.*s: wants an array", (int)name.n, name.p);
    json_start(&j, v->raw);
    rc = json_array(&j);
    while (!rc && (rc = json_element(&j, &first, &element)) == 1)
        rc = take(ctx, name, &element, e);
    if (rc && j.why == json_no_memory)
        err_memory(e);
    json_end(&j);
    return rc;
}

static int take_closed(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct httpconf *c = ctx;
    enum licence_state s;

    if (take_state(&c->licence, name, v, &s, e))
        return -1;
    c->closed |= 1U << s;
    return 0;
}

static int licence_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct httpconf *c = ctx;

    if (span_eq(name, SPAN("state")))
        return take_state(&c->licence, name, v, &c->state, e);
    if (span_eq(name, SPAN("expires_at")))
        return take_end(c, name, v, e);
    if (span_eq(name, SPAN("closed"))) {
        c->closed = 0;
        return elements(&c->licence, name, v, take_closed, c, e);
    }
    return config_fault(&c->licence, v->raw.p, e, "%.*s: no such member of a licence", (int)name.n,
                        name.p);
}

/* --- http.json ---------------------------------------------------------- */

static int take_path(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct httpconf *c = ctx;
    size_t n = (size_t)c->automatic_count;
    char *path, **more;

    if (config_string(&c->http, name, v, &path, e))
        return -1;
    if (strncmp(path, "/api/", 5) != 0 || !strncmp(path, "/api/dr/", 8))
        return config_fault(&c->http, v->raw.p, e,
                            "%.*s: %s: wants paths below /api/, and none of /api/dr/", (int)name.n,
                            name.p, path);
    more = realloc(c->automatic, (n + 2) * sizeof *more);
    if (!more)
        return err_memory(e);
    more[n] = path;
    more[n + 1] = NULL;
    c->automatic = more;
    c->automatic_count++;
    return 0;
}

static int http_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct httpconf *c = ctx;

    if (span_eq(name, SPAN("automatic_keys")))
        return elements(&c->http, name, v, take_path, c, e);
    return config_fault(&c->http, v->raw.p, e, "%.*s: no such member", (int)name.n, name.p);
}

bool httpconf_automatic(const struct httpconf *c, const char *path)
{
    for (int i = 0; i < c->automatic_count; i++)
        if (!strcmp(c->automatic[i], path))
            return true;
    return false;
}

/* --- both --------------------------------------------------------------- */

static int read_one(struct config *file, const char *name,
                    int (*member)(void *ctx, struct span name, const struct json_value *v,
                                  struct err *e),
                    struct httpconf *c, struct err *e)
{
    int rc = config_open(file, name, e);

    return rc <= 0 ? rc : config_members(file, config_whole(file), member, c, e);
}

int httpconf_open(struct httpconf *c, struct err *e)
{
    *c = (struct httpconf){.expires_at = -1, .closed = 1U << LICENCE_EXPIRED};
    return read_one(&c->http, "http.json", http_member, c, e) ||
                   read_one(&c->licence, "licence.json", licence_member, c, e)
               ? -1
               : 0;
}

void httpconf_close(struct httpconf *c)
{
    free(c->automatic);
    config_close(&c->http);
    config_close(&c->licence);
    *c = (struct httpconf){.expires_at = -1};
}
