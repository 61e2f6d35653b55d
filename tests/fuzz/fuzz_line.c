/* The line reader: however the same bytes are cut into reads, and whether they
 * are waited for or not, they give the lines that the whole text has, in their
 * places, and what was handed out stays until it is released. */
#include "text/line.h"
#include "value.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HELD = 64, ROOM = 1 << 18 };

/* What is fed and what has come of it. */
struct run {
    struct span text;
    size_t max, written, line; /* line: where the one to come begins */
    size_t piece;              /* bytes of it that have come, when it is a long one */
    uint64_t number;
    bool whole_only;
    struct line held[HELD];
    size_t count;
};

static void wrong(const struct run *r, const char *what)
{
    value_found(what, (struct span){r->text.p, r->line},
                (struct span){r->text.p + r->line, r->text.n - r->line});
}

/* --- the lines of the whole text, by what line.h says of them --------------------- */

/* The line at r->line with its ending; n 0 at the end. */
static struct span raw_line(const struct run *r)
{
    const char *from = r->text.p + r->line;
    size_t n = r->text.n - r->line;
    const char *lf = memchr(from, '\n', n);

    return (struct span){from, lf ? (size_t)(lf + 1 - from) : n};
}

static struct span without_ending(struct span s)
{
    s.n -= s.n && s.p[s.n - 1] == '\n';
    s.n -= s.n && s.p[s.n - 1] == '\r';
    return s;
}

static struct span wanted_text(const struct run *r, struct span raw)
{
    struct span s = without_ending(raw);
    size_t spaces = 0;

    if (!r->line && s.n >= 3 && !memcmp(s.p, "\xef\xbb\xbf", 3)) {
        s.p += 3;
        s.n -= 3;
    }
    while (spaces < s.n && (s.p[spaces] == ' ' || s.p[spaces] == '\t'))
        spaces++;
    return spaces == s.n ? (struct span){s.p, 0} : s;
}

/* A last line that was cut is not handed out, unless it was known to be too
 * long before its end was known. */
static bool cut(const struct run *r, struct span raw)
{
    return r->whole_only && raw.n && raw.p[raw.n - 1] != '\n' && raw.n <= r->max + 2;
}

/* --- what comes --------------------------------------------------------------------- */

static void take_piece(struct run *r, const struct line *l, struct span raw)
{
    if (l->first != !r->piece || l->offset != r->line + r->piece || l->raw.n > raw.n - r->piece ||
        memcmp(l->raw.p, raw.p + r->piece, l->raw.n) || l->number != r->number + 1)
        wrong(r, "another piece of a long line");
    r->piece += l->raw.n;
    if (l->last != (r->piece == raw.n) && (l->last || raw.p[raw.n - 1] == '\n'))
        wrong(r, "the last piece of a long line");
    if (!l->last)
        return;
    r->piece = 0;
    r->line += raw.n;
    r->number++;
}

static void take_line(struct run *r, enum line_result got, const struct line *l)
{
    struct span raw = raw_line(r);
    bool is_long = without_ending(raw).n > r->max;

    if (!raw.n || cut(r, raw) || (got == LINE_LONG) != is_long)
        wrong(r, is_long ? "a line too long" : "a line that is none");
    if (is_long) {
        take_piece(r, l, raw);
    } else {
        if (!span_eq(l->raw, raw) || !span_eq(l->text, wanted_text(r, raw)) ||
            l->offset != r->line || l->number != ++r->number || !l->first || !l->last)
            wrong(r, "another line");
        r->line += raw.n;
    }
    if (r->count < HELD)
        r->held[r->count++] = *l;
}

static void release(struct run *r, struct line_reader *reader)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct line *l = &r->held[i];

        if (memcmp(l->raw.p, r->text.p + l->offset, l->raw.n))
            wrong(r, "a line did not stay in its place");
    }
    r->count = 0;
    line_release(reader);
}

/* Takes lines until there is none; waits only where that must end. */
static void take_lines(struct run *r, struct line_reader *reader, bool closed, struct dice *d)
{
    struct err e = ERR_NONE;
    enum line_result got;
    unsigned seldom = r->text.n > 8192 ? 256 : 2; /* each release moves what is left */
    bool full = false;
    struct line l;

    do {
        struct span raw = raw_line(r);
        bool there = closed || (r->line + raw.n <= r->written && raw.n && raw.p[raw.n - 1] == '\n');
        bool wait = there && (full || roll(d, seldom) == 0);

        if (wait || roll(d, 4 * seldom) == 0)
            release(r, reader);
        got = line_next(reader, wait, &l, &e);
        if (got == LINE_OK || got == LINE_LONG)
            take_line(r, got, &l);
        full = got == LINE_NONE && there;
        if (full && (wait || reader->end < reader->cap))
            wrong(r, "a line is there and does not come");
    } while (got == LINE_OK || got == LINE_LONG || full);
    release(r, reader);
    if (got != (closed ? LINE_EOF : LINE_NONE))
        wrong(r, "neither a line nor none");
}

static void feed(struct run *r, struct dice *d)
{
    struct line_reader reader;
    int ends[2];

    /* Room for all, so that no write waits. */
    if (pipe2(ends, O_CLOEXEC) || fcntl(ends[1], F_SETPIPE_SZ, ROOM) < 0)
        abort();
    line_open(&reader, ends[0], "pipe", r->max);
    reader.whole_only = r->whole_only;
    while (r->written < r->text.n) {
        size_t n = roll(d, 4) ? roll(d, 16) + 1 : 256 * roll(d, 256) + 1;

        if (n > r->text.n - r->written)
            n = r->text.n - r->written;
        if (write(ends[1], r->text.p + r->written, n) != (ssize_t)n)
            abort();
        r->written += n;
        take_lines(r, &reader, false, d);
    }
    close(ends[1]);
    take_lines(r, &reader, true, d);
    if (reader.cut != cut(r, raw_line(r)) || (!reader.cut && r->line != r->text.n))
        wrong(r, "the end");
    line_close(&reader);
    close(ends[0]);
}

/* Bytes 0 and 1: the seed of the cuts; 2: the limit; 3: a bit for whole_only,
 * and whether the rest comes again and again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = {0};
    struct run r = {0};
    struct dice d = {0};

    if (size < 5)
        return 0;
    d.seed = 1 + data[0] + 256u * data[1];
    r.max = data[2] < 128 ? data[2] : data[2] < 192 ? 512u * data[2] : 1 << 20;
    r.whole_only = data[3] & 1;
    buf_add(&text, data + 4, size - 4);
    /* More than a buffer holds, and no two parts of it alike. */
    for (unsigned n = 0; data[3] == 255 && text.len < 100000; n++) {
        buf_addu(&text, n);
        buf_add(&text, data + 4, size - 4);
    }
    r.text = (struct span){text.data, text.len};
    feed(&r, &d);
    buf_free(&text);
    return 0;
}
