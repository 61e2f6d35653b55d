#include "cli/config.h"

#include "cli/cli.h"
#include "cli/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_MAX = 1 << 20 };

/* --- the file ----------------------------------------------------------- */

const char *config_folder(void)
{
    return settings_get("CONFIG");
}

static int read_whole(int fd, const char *path, struct buf *out, struct err *e)
{
    ssize_t n = 1;

    while (n > 0 && out->len <= CONFIG_MAX) {
        if (buf_reserve(out, 65536))
            return err_memory(e);
        n = TEMP_FAILURE_RETRY(read(fd, out->data + out->len, 65536));
        out->len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return err_sys(e, EX_IOERR, "unable to read %s", path);
    if (out->len > CONFIG_MAX)
        return err_set(e, EX_CONFIG, "%s: longer than %d bytes", path, CONFIG_MAX);
    return 0;
}

/* 1: read; 0: not there. The path is the config's from now on. */
static int read_from(struct config *c, char *path, struct err *e)
{
    int fd, rc;

    c->path = path;
    if (!path)
        return err_memory(e);
    fd = (int)TEMP_FAILURE_RETRY(open(c->path, O_RDONLY | O_CLOEXEC));
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        free(c->path);
        c->path = NULL;
        return 0;
    }
    if (fd < 0)
        return err_sys(e, EX_CONFIG, "unable to open %s", c->path);
    rc = read_whole(fd, c->path, &c->text, e);
    close(fd);
    return rc ? -1 : 1;
}

static int read_in(struct config *c, const char *folder, const char *name, struct err *e)
{
    char *path;

    return read_from(c, asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path, e);
}

int config_open(struct config *c, const char *name, struct err *e)
{
    char *sources = NULL;
    int rc;

    *c = (struct config){0};
    rc = read_in(c, config_folder(), name, e);
    if (!rc) {
        rc = read_in(c, LIFEBOAT_SHARE, name, e);
        sources = rc ? NULL : cli_beside_build("lib/config");
        if (sources)
            rc = read_in(c, sources, name, e);
        free(sources);
    }
    if (rc < 0)
        config_close(c);
    return rc;
}

int config_open_file(struct config *c, const char *path, struct err *e)
{
    int rc;

    *c = (struct config){0};
    rc = read_from(c, strdup(path), e);
    if (rc < 0)
        config_close(c);
    return rc;
}

void config_close(struct config *c)
{
    free(c->path);
    buf_free(&c->text);
    arena_free(&c->strings);
    *c = (struct config){0};
}

struct span config_whole(const struct config *c)
{
    return buf_span(&c->text);
}

/* --- what is wrong ------------------------------------------------------ */

static int line_of(const struct config *c, const char *at)
{
    int line = 1;

    for (const char *p = c->text.data; p && p < at; p++)
        line += *p == '\n';
    return line;
}

int config_fault(const struct config *c, const char *at, struct err *e, const char *fmt, ...)
{
    char why[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return err_set(e, EX_CONFIG, "%s:%d: %s", c->path, line_of(c, at), why);
}

/* --- objects ------------------------------------------------------------ */

struct walk {
    struct config *c;
    struct json json;
    struct digest *seen;
    size_t count, cap;
};

static int bad_json(struct walk *w, struct err *e)
{
    if (w->json.why == json_no_memory)
        return err_memory(e);
    return config_fault(w->c, w->json.start + json_offset(&w->json), e, "%s", w->json.why);
}

static int note_name(struct walk *w, const struct json_value *name, struct span text, struct err *e)
{
    struct digest digest = hash_bytes(text.p, text.n);

    for (size_t i = 0; i < w->count; i++)
        if (digest_eq(w->seen[i], digest))
            return config_fault(w->c, name->raw.p, e, "%.*s: is there twice", (int)name->raw.n,
                                name->raw.p);
    if (w->count == w->cap) {
        struct digest *more = realloc(w->seen, (w->cap + 32) * sizeof *more);

        if (!more)
            return err_memory(e);
        w->seen = more;
        w->cap += 32;
    }
    w->seen[w->count++] = digest;
    return 0;
}

/* A string of the text, resolved, kept and terminated. */
static struct span kept(struct config *c, const struct json_value *v)
{
    struct buf room = {0};
    struct span s = json_text(v, &room);

    if (s.p)
        s = arena_span(&c->strings, s);
    buf_free(&room);
    return s;
}

int config_members(struct config *c, struct span object,
                   int (*member)(void *ctx, struct span name, const struct json_value *v,
                                 struct err *e),
                   void *ctx, struct err *e)
{
    struct walk w = {.c = c};
    struct json_value name, v;
    bool first = true;
    int rc;

    json_start(&w.json, object);
    rc = json_open(&w.json) ? bad_json(&w, e) : 1;
    while (rc > 0) {
        struct span text;

        rc = json_member(&w.json, &first, &name, &v);
        if (rc <= 0) {
            rc = rc || json_finish(&w.json) ? bad_json(&w, e) : 0;
            break;
        }
        text = kept(c, &name);
        if (!text.p)
            rc = err_memory(e);
        else if (note_name(&w, &name, text, e) || member(ctx, text, &v, e))
            rc = -1;
    }
    json_end(&w.json);
    free(w.seen);
    return rc;
}

/* --- values ------------------------------------------------------------- */

static int wants(struct config *c, struct span name, const struct json_value *v, const char *what,
                 struct err *e)
{
    return config_fault(c, v->raw.p, e, "%.*s: wants %s", (int)name.n, name.p, what);
}

int config_string(struct config *c, struct span name, const struct json_value *v, char **out,
                  struct err *e)
{
    struct span s;

    if (v->kind != JSON_STRING)
        return wants(c, name, v, "a string", e);
    s = kept(c, v);
    if (!s.p)
        return err_memory(e);
    if (memchr(s.p, '\0', s.n))
        return wants(c, name, v, "a string without NUL", e);
    *out = (char *)(uintptr_t)s.p;
    return 0;
}

int config_int(struct config *c, struct span name, const struct json_value *v, int64_t min,
               int64_t max, int64_t *out, struct err *e)
{
    char range[96];
    int64_t n;

    if (v->kind == JSON_NUMBER && !json_int(v, &n) && n >= min && n <= max) {
        *out = n;
        return 0;
    }
    snprintf(range, sizeof range, "a whole number from %lld to %lld", (long long)min,
             (long long)max);
    return wants(c, name, v, range, e);
}

int config_span_ms(struct config *c, struct span name, const struct json_value *v, int64_t *out,
                   struct err *e)
{
    static const char what[] = "seconds, or a span of time such as \"90s\", \"5m\" or \"24h\"";
    char *text = NULL;
    int64_t n;

    if (v->kind == JSON_NUMBER && !json_int(v, &n) && n >= 0 && n <= INT64_MAX / 86400000) {
        *out = n * 1000;
        return 0;
    }
    if (v->kind != JSON_STRING)
        return wants(c, name, v, what, e);
    if (config_string(c, name, v, &text, e) || !text)
        return -1;
    return cli_span_parse(text, out) ? wants(c, name, v, what, e) : 0;
}

int config_bool(struct config *c, struct span name, const struct json_value *v, bool *out,
                struct err *e)
{
    if (v->kind != JSON_TRUE && v->kind != JSON_FALSE)
        return wants(c, name, v, "true or false", e);
    *out = v->kind == JSON_TRUE;
    return 0;
}
