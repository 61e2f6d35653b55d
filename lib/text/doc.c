#include "text/doc.h"

#include "base/stop.h"
#include "text/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 64 * 1024, MEMBER_MAX = 1 << 20 };

/* The body as it comes: data[begin..end) has been read and not yet passed. */
struct body {
    int fd;
    const char *name;
    char *data;
    size_t cap, begin, end;
    uint64_t passed; /* bytes before data[begin] */
    bool eof;
    struct json json;
    struct err *e;
};

static int bad(struct body *b, size_t at, const char *why)
{
    return err_set(b->e, EX_DATAERR, "%s: byte %" PRIu64 ": %s", b->name, b->passed + at, why);
}

/* Reads more behind what is there. 0 at the end of the body. */
static int more(struct body *b)
{
    ssize_t n;

    if (b->eof)
        return 0;
    if (b->begin) {
        memmove(b->data, b->data + b->begin, b->end - b->begin);
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->end == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : ROOM;
        char *p = realloc(b->data, cap);

        if (!p)
            return err_memory(b->e);
        b->data = p;
        b->cap = cap;
    }
    do {
        if (stop_poll(&(struct pollfd){.fd = b->fd, .events = POLLIN}, 1, -1) < 0 && stop_signal())
            return err_set(b->e, EX_TEMPFAIL, "%s: stopped while it was read", b->name);
        n = read(b->fd, b->data + b->end, b->cap - b->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(b->e, EX_IOERR, "unable to read %s", b->name);
    b->eof = n == 0;
    b->end += (size_t)n;
    return n > 0;
}

static void pass(struct body *b, size_t n)
{
    b->begin += n;
    b->passed += n;
}

/* The next byte that is not white space, -2 at the end, -1 on failure. */
static int peek(struct body *b)
{
    for (;;) {
        while (b->begin < b->end && strchr(" \t\r\n", b->data[b->begin]) && b->data[b->begin])
            pass(b, 1);
        if (b->begin < b->end)
            return (unsigned char)b->data[b->begin];
        switch (more(b)) {
        case 0:
            return -2;
        case -1:
            return -1;
        }
    }
}

static int expect(struct body *b, char c, const char *why)
{
    int got = peek(b);

    if (got == -1)
        return -1;
    if (got != c)
        return bad(b, 0, got == -2 ? "the body ends too early" : why);
    pass(b, 1);
    return 0;
}

/* Where a value that began before is over, found without understanding it. */
struct outline {
    size_t at;
    unsigned depth;
    bool quoted, escaped;
};

/* Goes on to the end of what has been read; true when the value is over. */
static bool outline_ends(struct outline *o, const char *p, size_t n)
{
    for (; o->at < n; o->at++) {
        char c = p[o->at];

        if (o->quoted) {
            o->quoted = o->escaped || c != '"';
            o->escaped = !o->escaped && c == '\\';
            if (!o->quoted && !o->depth)
                return o->at++, true;
        } else if (c == '"') {
            o->quoted = true;
        } else if (c == '{' || c == '[') {
            o->depth++;
        } else if (c == '}' || c == ']') {
            if (!o->depth)
                return true;
            if (!--o->depth)
                return o->at++, true;
        } else if (!o->depth && strchr(", \t\r\n:", c)) {
            return true;
        }
    }
    return false;
}

/* The next value, whole in memory and checked; passed by the next call. */
static int value(struct body *b, size_t max, struct json_value *v)
{
    struct outline o = {0};
    int rc = peek(b);

    if (rc == -1)
        return -1;
    while (!outline_ends(&o, b->data + b->begin, b->end - b->begin)) {
        if (o.at > max)
            return bad(b, 0, "longer than the limit (--max-line)");
        rc = more(b);
        if (rc < 0)
            return -1;
        if (!rc)
            break;
    }
    if (o.at > max)
        return bad(b, 0, "longer than the limit (--max-line)");
    if (json_whole(&b->json, (struct span){b->data + b->begin, o.at}, v))
        return b->json.why == json_no_memory ? err_memory(b->e)
                                             : bad(b, json_offset(&b->json), b->json.why);
    return 0;
}

static int take_text(struct body *b, struct buf *out, const struct json_value *v)
{
    struct span s;

    if (v->kind == JSON_NULL)
        return 0;
    if (v->kind != JSON_STRING)
        return bad(b, 0, "wants a string");
    if (out->data)
        return bad(b, 0, "a member that is there twice");
    s = json_text(v, out);
    if (!s.p || (!v->escaped && buf_add(out, s.p, s.n)) || buf_term(out))
        return err_memory(b->e);
    return 0;
}

static int take_member(struct body *b, struct doc *d, struct span name, const struct json_value *v)
{
    if (span_eq(name, SPAN("restore_session_id")))
        return take_text(b, &d->session, v);
    if (span_eq(name, SPAN("source_device_id")))
        return take_text(b, &d->source_device, v);
    if (span_eq(name, SPAN("source_device_name")))
        return take_text(b, &d->source_name, v);
    if (span_eq(name, SPAN("more"))) {
        d->more = v->kind == JSON_TRUE;
        return v->kind == JSON_TRUE || v->kind == JSON_FALSE
                   ? 0
                   : bad(b, 0, "more: wants true or false");
    }
    if (span_eq(name, SPAN("events_count"))) {
        if (d->has_count)
            return bad(b, 0, "events_count: is there twice");
        d->has_count = true;
        return json_int(v, &d->events_count) ? bad(b, 0, "events_count: wants an integer") : 0;
    }
    return 0;
}

struct sink {
    int (*take)(void *ctx, struct span element, struct err *e);
    void *ctx;
    size_t max;
};

static int read_events(struct body *b, struct doc *d, const struct sink *s)
{
    struct json_value v = {0};

    if (d->has_events)
        return bad(b, 0, "events: is there twice");
    d->has_events = true;
    if (expect(b, '[', "events: wants an array"))
        return -1;
    if (peek(b) == ']')
        return expect(b, ']', "");
    for (;;) {
        if (value(b, s->max, &v) || s->take(s->ctx, v.raw, b->e))
            return -1;
        pass(b, v.raw.n);
        d->events++;
        if (peek(b) == ']')
            return expect(b, ']', "");
        if (expect(b, ',', "neither a comma nor a closing bracket"))
            return -1;
    }
}

static int read_member(struct body *b, struct doc *d, const struct sink *s)
{
    struct json_value v = {0};
    char name[64] = "";

    if (peek(b) != '"')
        return expect(b, '"', "a member without a name in quotes");
    if (value(b, MEMBER_MAX, &v))
        return -1;
    if (!v.escaped && v.raw.n - 2 < sizeof name)
        memcpy(name, v.raw.p + 1, v.raw.n - 2);
    pass(b, v.raw.n);
    if (expect(b, ':', "a name without a colon behind it"))
        return -1;
    if (!strcmp(name, "events"))
        return read_events(b, d, s);
    if (value(b, MEMBER_MAX, &v) || take_member(b, d, span_of(name), &v))
        return -1;
    pass(b, v.raw.n);
    return 0;
}

static int read_body(struct body *b, struct doc *d, const struct sink *s)
{
    int c = peek(b);

    /* A byte order mark at the start is passed over, as in JSON lines. */
    if (c == 0xef && b->end - b->begin >= 3 && !memcmp(b->data + b->begin, "\xef\xbb\xbf", 3))
        pass(b, 3);
    if (expect(b, '{', "not an object"))
        return -1;
    if (peek(b) != '}') {
        do {
            if (read_member(b, d, s))
                return -1;
            c = peek(b);
            if (c != ',' && c != '}')
                return expect(b, ',', "neither a comma nor a closing brace");
            if (c == ',')
                pass(b, 1);
        } while (c == ',');
    }
    if (expect(b, '}', "neither a comma nor a closing brace"))
        return -1;
    c = peek(b);
    return c == -2 ? 0 : c == -1 ? -1 : bad(b, 0, "something behind the document");
}

static int check_counts(struct body *b, const struct doc *d)
{
    if (!d->has_events)
        return err_set(b->e, EX_DATAERR, "%s: events: missing", b->name);
    if (!d->has_count)
        return err_set(b->e, EX_DATAERR, "%s: events_count: missing", b->name);
    if (d->events_count < 0 || (uint64_t)d->events_count != d->events)
        return err_set(b->e, EX_DATAERR,
                       "%s: events_count says %" PRId64 ", but there are %" PRIu64 " events",
                       b->name, d->events_count, d->events);
    return 0;
}

int doc_read(struct doc *d, int fd, const char *name, size_t max,
             int (*take)(void *ctx, struct span element, struct err *e), void *ctx, struct err *e)
{
    struct body b = {.fd = fd, .name = name, .e = e};
    struct sink s = {take, ctx, max};
    int rc;

    *d = (struct doc){0};
    rc = read_body(&b, d, &s) || check_counts(&b, d) ? -1 : 0;
    free(b.data);
    json_end(&b.json);
    return rc;
}

void doc_free(struct doc *d)
{
    buf_free(&d->session);
    buf_free(&d->source_device);
    buf_free(&d->source_name);
}
