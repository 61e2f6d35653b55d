#include "text/line.h"

#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ROOM = 64 * 1024, PIPE_ROOM = 1024 * 1024 };

void line_open(struct line_reader *r, int fd, const char *name, size_t max)
{
    *r = (struct line_reader){.fd = fd, .name = name, .max = max, .room = LINE_ROOM};
    /* A pipe that holds more makes larger batches; other files refuse. */
    fcntl(fd, F_SETPIPE_SZ, PIPE_ROOM);
}

void line_close(struct line_reader *r)
{
    free(r->data);
    r->data = NULL;
}

void line_release(struct line_reader *r)
{
    if (r->begin) {
        memmove(r->data, r->data + r->begin, r->end - r->begin);
        r->scanned -= r->begin;
        r->end -= r->begin;
        r->begin = 0;
    }
}

static int grow(struct line_reader *r, size_t cap)
{
    char *p = realloc(r->data, cap);

    if (!p)
        return -1;
    r->data = p;
    r->cap = cap;
    return 0;
}

/* Room for more at the end; 1 if there is none without moving what is held. */
static int make_room(struct line_reader *r, bool wait)
{
    if (r->end < r->cap)
        return 0;
    if (!wait)
        return r->data ? 1 : grow(r, FIRST_ROOM);
    line_release(r);
    if (r->end < r->cap)
        return 0;
    if (r->cap < FIRST_ROOM)
        return grow(r, FIRST_ROOM);
    return grow(r, 2 * r->cap);
}

/* 1; 0: not within the time there is; -1: a signal. */
static int readable(const struct line_reader *r, bool wait)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};

    return wait ? stop_poll(&p, 1, r->patience_ms ? r->patience_ms : -1) : poll(&p, 1, 0);
}

/* How much to read: behind a long line no more than need be, for what is held of the
 * next one is memory. */
static size_t wanted(const struct line_reader *r)
{
    size_t held = r->end - r->begin, room = r->cap - r->end;
    size_t most = held < r->room ? r->room - held : PIPE_ROOM;

    return room < most ? room : most;
}

/* Reads once. LINE_OK: something came, or the end is known. */
static enum line_result fill(struct line_reader *r, bool wait, struct err *e)
{
    int room = make_room(r, wait), ready;
    ssize_t n;

    if (room < 0)
        return (enum line_result)err_set(e, EX_TEMPFAIL, "%s: out of memory", r->name);
    ready = room > 0 ? 0 : readable(r, wait);
    if (!ready && wait && room <= 0)
        return (enum line_result)err_set(e, EX_TEMPFAIL, "%s: nothing came for %lld s", r->name,
                                         (long long)r->patience_ms / 1000);
    if (ready <= 0)
        return LINE_NONE;
    n = read(r->fd, r->data + r->end, wanted(r));
    if (n < 0 && errno == EINTR)
        return LINE_NONE;
    if (n < 0)
        return (enum line_result)err_sys(e, EX_IOERR, "unable to read %s", r->name);
    if (n == 0)
        r->eof = true;
    r->end += (size_t)n;
    /* A flood gets a larger buffer, so that batches are large. */
    if (r->begin == 0 && r->end == r->cap && r->cap < r->room && wait)
        grow(r, 4 * r->cap > r->room ? r->room : 4 * r->cap);
    return LINE_OK;
}

static void hand_out(struct line_reader *r, size_t n, struct line *out)
{
    const char *p = r->data + r->begin;

    *out = (struct line){
        .raw = {p, n}, .text = {p, n}, .offset = r->offset, .first = true, .last = true};
    r->begin += n;
    r->offset += n;
    r->scanned = r->begin;
}

static void trim_ending(struct line *l)
{
    if (l->text.n && l->text.p[l->text.n - 1] == '\n')
        l->text.n--;
    if (l->text.n && l->text.p[l->text.n - 1] == '\r')
        l->text.n--;
}

static bool blank(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t')
            return false;
    return true;
}

static void pass_bom(struct line *l)
{
    if (l->number == 1 && l->text.n >= 3 && !memcmp(l->text.p, "\xef\xbb\xbf", 3)) {
        l->text.p += 3;
        l->text.n -= 3;
    }
}

/* Where the line at begin ends, its LF included; 0 if that is not in sight. */
static size_t line_length(struct line_reader *r)
{
    char *lf = r->end > r->scanned ? memchr(r->data + r->scanned, '\n', r->end - r->scanned) : NULL;

    r->scanned = r->end;
    if (lf)
        return (size_t)(lf + 1 - (r->data + r->begin));
    if (r->eof && r->whole_only && r->end > r->begin) {
        r->cut = true;
        r->begin = r->scanned = r->end = 0;
    }
    return r->eof ? r->end - r->begin : 0;
}

/* One piece of a line that is too long. */
static enum line_result long_piece(struct line_reader *r, size_t n, struct line *out)
{
    bool first = !r->skipping, ends;

    r->skipping = true;
    hand_out(r, n ? n : r->end - r->begin, out);
    ends = n != 0 || r->eof;
    r->number += first;
    out->number = r->number;
    out->first = first;
    out->last = ends;
    r->skipping = !ends;
    return LINE_LONG;
}

enum line_result line_next(struct line_reader *r, bool wait, struct line *out, struct err *e)
{
    for (;;) {
        size_t n = line_length(r);
        enum line_result got;

        if (r->skipping && (n || r->end > r->begin || r->eof))
            return long_piece(r, n, out);
        if (n > r->max + 2 || (!n && r->end - r->begin > r->max + 2))
            return long_piece(r, n, out);
        if (n) {
            hand_out(r, n, out);
            out->number = ++r->number;
            trim_ending(out);
            if (out->text.n > r->max)
                return LINE_LONG;
            pass_bom(out);
            if (blank(out->text))
                out->text.n = 0;
            return LINE_OK;
        }
        if (r->eof)
            return LINE_EOF;
        got = fill(r, wait, e);
        if (got != LINE_OK)
            return got;
    }
}
