#include "cli/input.h"

#include "base/spool.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "text/foreign.h"
#include "text/line.h"
#include "text/out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_spool(struct out *o, struct span s, struct err *e)
{
    return out_add(o, s.p, s.n) ? err_sys(e, EX_IOERR, "unable to write a temporary file") : 0;
}

/* An element of a document becomes a line; it may have line feeds between its
 * tokens, and nowhere else. */
static int take_element(void *ctx, struct span element, struct err *e)
{
    struct out *o = ctx;
    const char *p = element.p, *end = p + element.n;

    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;

        if (write_spool(o, (struct span){p, (size_t)(stop - p)}, e) ||
            (lf && write_spool(o, SPAN(" "), e)))
            return -1;
        p = lf ? lf + 1 : end;
    }
    return write_spool(o, SPAN("\n"), e);
}

static int drop_spool(struct out *o)
{
    out_close(o);
    close(o->fd);
    return -1;
}

static int finish_spool(struct input *i, struct out *o, struct err *e)
{
    if (out_flush(o) || lseek(o->fd, 0, SEEK_SET) < 0) {
        err_sys(e, EX_IOERR, "unable to write a temporary file");
        return drop_spool(o);
    }
    out_close(o);
    if (i->fd != STDIN_FILENO)
        close(i->fd);
    i->fd = o->fd;
    i->replayable = true;
    return 0;
}

static int spool_document(struct input *i, struct doc *head, struct err *e)
{
    struct out o = {.fd = spool_beside(cli.db, e)};

    if (o.fd < 0)
        return -1;
    if (doc_read(head, i->fd, i->name, cli.max_line, take_element, &o, e))
        return drop_spool(&o);
    return finish_spool(i, &o, e);
}

int input_stopped(const struct input *i, struct err *e)
{
    return err_set(e, EX_TEMPFAIL, "%s: stopped while it was read; nothing was restored", i->name);
}

/* Reads the whole input, for its seal if it must have one; copies it to o
 * unless that is NULL. */
static int read_through(struct input *i, bool sealed, struct out *o, struct err *e)
{
    struct seal_check c = {0};
    struct line_reader r;
    enum line_result got;
    struct line l;
    int rc = 0;

    cli_lines(&r, i->fd, i->name);
    while (!rc && (got = line_next(&r, true, &l, e)) != LINE_EOF && !stop_signal()) {
        if (got == LINE_NONE)
            continue;
        rc = got == LINE_ERROR || foreign_line(&l, i->name, cli.prog, e) ||
             (seal_check_read(&c, &l) && err_memory(e)) || (o && write_spool(o, l.raw, e));
    }
    if (!rc && stop_signal())
        rc = input_stopped(i, e);
    if (!rc && sealed && !seal_check_whole(&c))
        rc = err_set(e, EX_DATAERR, "%s: %s; nothing was restored", i->name, c.why);
    if (sealed)
        snprintf(i->sealed, sizeof i->sealed, "%s", c.last.sha256);
    seal_check_free(&c);
    line_close(&r);
    return rc ? -1 : 0;
}

static int read_ahead(struct input *i, bool sealed, struct err *e)
{
    struct out o;

    if (i->replayable) {
        if (read_through(i, sealed, NULL, e))
            return -1;
        return lseek(i->fd, 0, SEEK_SET) < 0 ? err_sys(e, EX_IOERR, "unable to reread %s", i->name)
                                             : 0;
    }
    o = (struct out){.fd = spool_beside(cli.db, e)};
    if (o.fd < 0)
        return -1;
    if (read_through(i, sealed, &o, e))
        return drop_spool(&o);
    return finish_spool(i, &o, e);
}

/* Before any other input is used: a file shows what it is without being read. */
static int look(const struct input *i, struct err *e)
{
    char start[FOREIGN_MAX];
    ssize_t n = i->replayable ? TEMP_FAILURE_RETRY(pread(i->fd, start, sizeof start, 0)) : 0;

    return n > 0 ? foreign_refuse((struct span){start, (size_t)n}, i->name, cli.prog, e) : 0;
}

int input_open(struct input *i, const char *operand, enum input_form form, struct doc *head,
               struct err *e)
{
    struct stat st;

    *i = (struct input){.name = cli_name(operand), .fd = cli_open(operand, e)};
    if (i->fd < 0)
        return -1;
    if (!fstat(i->fd, &st) && S_ISREG(st.st_mode) && lseek(i->fd, 0, SEEK_CUR) == 0) {
        i->size = (uint64_t)st.st_size;
        i->replayable = true;
    }
    if (look(i, e))
        return -1;
    if (form == INPUT_DOCUMENT)
        return spool_document(i, head, e);
    i->unchecked = form == INPUT_SEALED || form == INPUT_SEALED_LATER;
    if (form == INPUT_SEALED || (i->unchecked && !i->replayable))
        return input_check(i, e);
    return form == INPUT_SPOOLED && !i->replayable ? read_ahead(i, false, e) : 0;
}

int input_check(struct input *i, struct err *e)
{
    i->unchecked = false;
    return read_ahead(i, true, e);
}

void input_close(struct input *i)
{
    if (i->fd > STDIN_FILENO)
        close(i->fd);
}

int input_whole(const struct input *i, struct seal_check *c, struct err *e)
{
    bool whole = seal_check_whole(c);

    if (i->unchecked && !whole)
        return err_set(e, EX_DATAERR, "%s: %s; nothing was restored", i->name, c->why);
    if (!i->unchecked && !(whole && !strcmp(c->last.sha256, i->sealed)))
        return err_set(e, EX_DATAERR, "%s: changed while it was read", i->name);
    return 0;
}
