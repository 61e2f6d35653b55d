/* setup: the configuration, the document's JSON. The file may be that of another program
 * too: what is not ours is left to it, unless it looks like one of ours misspelt. */
#include "base/clock.h"
#include "cli/destination.h"
#include "mirror-send/mirror-send.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const ours[] = {"primary_endpoint", "mirror_endpoint", "mirror_mode",
                                   "timeout_ms",       "retry",           "mirror_token_file",
                                   "token_file"};

enum { NAME_MAX_BYTES = 40, HOUR_MS = 3600000 };

/* --- what looks like one of ours ---------------------------------------- */

/* Without what people change without thinking: case, - and _. */
static size_t plain(struct span name, char out[static NAME_MAX_BYTES])
{
    size_t n = 0;

    for (size_t i = 0; i < name.n && n < NAME_MAX_BYTES - 1; i++)
        if (name.p[i] != '_' && name.p[i] != '-')
            out[n++] = (char)tolower((unsigned char)name.p[i]);
    out[n] = '\0';
    return n;
}

/* The same but for one letter that is missing, too many or wrong, or two in the wrong
 * order? */
static bool one_slip(const char *a, size_t na, const char *b, size_t nb)
{
    size_t head = 0, tail = 0, least = na < nb ? na : nb;

    while (head < least && a[head] == b[head])
        head++;
    while (tail < least - head && a[na - 1 - tail] == b[nb - 1 - tail])
        tail++;
    na -= head + tail;
    nb -= head + tail;
    return (na <= 1 && nb <= 1) ||
           (na == 2 && nb == 2 && a[head] == b[head + 1] && a[head + 1] == b[head]);
}

static const char *meant(struct span name)
{
    char a[NAME_MAX_BYTES], b[NAME_MAX_BYTES];
    size_t n = plain(name, a);

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (one_slip(a, n, b, plain(span_of(ours[i]), b)))
            return ours[i];
    return NULL;
}

/* --- the members -------------------------------------------------------- */

static int take_endpoint(struct setup *s, enum which leg, struct span name,
                         const struct json_value *v, struct err *e)
{
    const char *why;

    if (config_string(&s->config, name, v, &s->endpoint[leg], e))
        return -1;
    why = strchr(s->endpoint[leg], '{') ? "characters of a URL; others percent-encoded"
                                        : destination_url_wrong(s->endpoint[leg]);
    return why ? config_fault(&s->config, v->raw.p, e, "%.*s: wants %s", (int)name.n, name.p, why)
               : 0;
}

/* A file beside the configuration, unless it says where it is. */
static int take_file(struct setup *s, enum which leg, struct span name, const struct json_value *v,
                     struct err *e)
{
    const char *slash = strrchr(s->path, '/');
    size_t room = slash ? (size_t)(slash + 1 - s->path) : 0;
    char *own, *path;

    if (config_string(&s->config, name, v, &own, e))
        return -1;
    if (!*own)
        return config_fault(&s->config, v->raw.p, e, "%.*s: wants a file's name", (int)name.n,
                            name.p);
    if (*own == '/')
        room = 0;
    path = arena_alloc(&s->config.strings, room + strlen(own) + 1);
    if (!path)
        return err_memory(e);
    memcpy(path, s->path, room);
    memcpy(path + room, own, strlen(own) + 1);
    s->token_file[leg] = path;
    return 0;
}

static int take_retry(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct setup *s = ctx;

    if (span_eq(name, SPAN("max_attempts")))
        return config_int(&s->config, name, v, 1, 100, &s->max_attempts, e);
    if (span_eq(name, SPAN("backoff_ms")))
        return config_int(&s->config, name, v, 0, HOUR_MS, &s->backoff_ms, e);
    return config_fault(&s->config, v->raw.p, e, "retry: %.*s: no such setting", (int)name.n,
                        name.p);
}

static int take_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct setup *s = ctx;
    const char *close;

    if (span_eq(name, SPAN("primary_endpoint")))
        return take_endpoint(s, PRIMARY, name, v, e);
    if (span_eq(name, SPAN("mirror_endpoint")))
        return take_endpoint(s, MIRROR, name, v, e);
    if (span_eq(name, SPAN("mirror_mode")))
        return config_bool(&s->config, name, v, &s->mirror, e);
    if (span_eq(name, SPAN("timeout_ms")))
        return config_int(&s->config, name, v, 1, HOUR_MS, &s->timeout_ms, e);
    if (span_eq(name, SPAN("token_file")))
        return take_file(s, PRIMARY, name, v, e);
    if (span_eq(name, SPAN("mirror_token_file")))
        return take_file(s, MIRROR, name, v, e);
    if (span_eq(name, SPAN("retry")) && v->kind == JSON_OBJECT)
        return config_members(&s->config, v->raw, take_retry, s, e);
    if (span_eq(name, SPAN("retry")))
        return config_fault(&s->config, v->raw.p, e, "retry: wants an object");
    close = meant(name);
    return close ? config_fault(&s->config, v->raw.p, e, "%.*s: no such setting: is it %s?",
                                (int)name.n, name.p, close)
                 : 0;
}

/* What is right only together. */
static int check(const struct setup *s, struct err *e)
{
    const char *at = config_whole(&s->config).p;

    if (!s->endpoint[PRIMARY])
        return config_fault(&s->config, at, e, "primary_endpoint: missing");
    if (s->mirror && !s->endpoint[MIRROR])
        return config_fault(&s->config, at, e, "mirror_endpoint: missing, and mirror_mode is true");
    if (s->mirror && !strcmp(s->endpoint[PRIMARY], s->endpoint[MIRROR]))
        return config_fault(&s->config, at, e, "mirror_endpoint: is the primary's");
    return 0;
}

/* --- reading it --------------------------------------------------------- */

static int read_setup(struct setup *s, const char *path, struct err *e)
{
    int rc;

    *s = (struct setup){.path = path, .timeout_ms = 3000, .max_attempts = 3, .backoff_ms = 500};
    /* Before it is read: what is written meanwhile is seen by the next look. */
    if (stat(path, &s->seen))
        s->seen = (struct stat){0};
    rc = config_open_file(&s->config, path, e);
    if (!rc)
        return err_set(e, EX_CONFIG, "%s: not there", path);
    if (rc < 0)
        return -1;
    if (config_members(&s->config, config_whole(&s->config), take_member, s, e) || check(s, e)) {
        config_close(&s->config);
        return -1;
    }
    if (!s->token_file[MIRROR])
        s->token_file[MIRROR] = s->token_file[PRIMARY];
    return 0;
}

int setup_open(struct setup *s, const char *path, struct err *e)
{
    return read_setup(s, path, e);
}

void setup_close(struct setup *s)
{
    config_close(&s->config);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

bool setup_look(struct setup *s, bool loud)
{
    struct err e = ERR_NONE;
    struct stat now = {0};
    struct setup new;

    if (stat(s->path, &now))
        now = (struct stat){0};
    if (same_file(&now, &s->seen))
        return false;
    if (read_setup(&new, s->path, &e)) {
        s->seen = new.seen;
        if (loud)
            cli_warn("%s (what was read before stays in force)", e.msg);
        return false;
    }
    setup_close(s);
    *s = new;
    if (loud)
        cli_say("%s: read again: mirror_mode is %s", s->path, s->mirror ? "true" : "false");
    return true;
}

static int64_t changed_at(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : 1000 * (int64_t)st.st_ctim.tv_sec + st.st_ctim.tv_nsec / 1000000;
}

int64_t setup_changed_at(const struct setup *s, enum which leg)
{
    int64_t own = changed_at(s->path),
            token = s->token_file[leg] ? changed_at(s->token_file[leg]) : 0;

    return own > token ? own : token;
}
