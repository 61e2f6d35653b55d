#include "core/copyrow.h"

#include <string.h>

/* Those before the line. */
enum { COLUMNS = 17 };

static char escape_of(char c)
{
    switch (c) {
    case '\\':
        return '\\';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    default:
        return '\0';
    }
}

/* A surrogate on its own, three bytes of which none is UTF-8. */
static bool is_surrogate(struct span text, size_t i)
{
    return (uint8_t)text.p[i] == 0xed && i + 2 < text.n && (uint8_t)text.p[i + 1] >= 0xa0;
}

static int put_text(struct span text, struct buf *out)
{
    size_t done = 0;

    for (size_t i = 0; i < text.n; i++) {
        bool surrogate = is_surrogate(text, i);
        char escape = escape_of(text.p[i]);
        const char with[2] = {'\\', escape};

        if (!escape && !surrogate)
            continue;
        if (buf_add(out, text.p + done, i - done) ||
            (surrogate ? buf_add(out, "\xef\xbf\xbd", 3) : buf_add(out, with, 2)))
            return -1;
        i += surrogate ? 2 : 0;
        done = i + 1;
    }
    return buf_add(out, text.p + done, text.n - done);
}

static int put_column(struct span text, struct buf *out)
{
    if (text.p ? put_text(text, out) : buf_add(out, "\\N", 2))
        return -1;
    return buf_addc(out, '\t');
}

static int put_columns(const struct event *ev, enum event_text from, enum event_text to,
                       struct buf *out)
{
    for (enum event_text t = from; t <= to; t++)
        if (put_column(ev->text[t], out))
            return -1;
    return 0;
}

static int put_integer(struct event_int v, struct buf *out)
{
    if (v.set ? buf_addi(out, v.v) : buf_add(out, "\\N", 2))
        return -1;
    return buf_addc(out, '\t');
}

/* Of what needs an escape, a line of JSON can only have backslashes. */
static int put_line(struct span line, struct buf *out)
{
    const char *at = line.p, *end = line.p + line.n, *next;

    while ((next = memchr(at, '\\', (size_t)(end - at)))) {
        if (buf_add(out, at, (size_t)(next - at)) || buf_add(out, "\\\\", 2))
            return -1;
        at = next + 1;
    }
    if (buf_add(out, at, (size_t)(end - at)))
        return -1;
    return buf_addc(out, '\n');
}

int copyrow_event(const struct event *ev, struct span line, struct buf *out)
{
    char digest[DIGEST_TEXT];

    digest_text(ev->digest, digest);
    if (put_column(span_of(digest), out) || put_columns(ev, EVENT_ID, EVENT_ENTITY_ID, out) ||
        put_integer(ev->entity_version, out) ||
        put_columns(ev, EVENT_ACTOR_ID, EVENT_DEVICE, out) || put_integer(ev->ts_device, out) ||
        put_integer(ev->ts_server, out) || put_columns(ev, EVENT_HLC, EVENT_CAUSATION, out))
        return -1;
    return put_line(line, out);
}

int copyrow_control(struct span line, struct buf *out)
{
    for (int i = 0; i < COLUMNS; i++)
        if (buf_add(out, "\\N\t", 3))
            return -1;
    return put_line(line, out);
}
