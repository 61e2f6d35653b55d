#include "cli/lines.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "core/batch.h"

#include <stdio.h>
#include <unistd.h>

int lines_refuse(struct lines *in, const struct line *l, size_t offset, const char *why,
                 struct err *e)
{
    if (why == json_no_memory)
        return err_memory(e);
    return rejects_line(&in->rejects, in->reader.name, l, offset + (size_t)(l->text.p - l->raw.p),
                        why, e);
}

bool lines_go_on(struct store *st, int64_t begun, size_t i)
{
    return i % 64 || clock_boot_ms() - begun <= BATCH_HOLD_MS || !gate_wanted(&st->gate);
}

static int take_line(struct lines *in, const struct line *l, bool too_long, struct err *e)
{
    char why[80];

    in->bytes += l->raw.n;
    if (!too_long) {
        if (!l->text.n)
            return 0;
        in->received++;
        return in->take(in->ctx, l, e);
    }
    in->received += l->first;
    snprintf(why, sizeof why, "longer than %zu bytes (--max-line)", in->reader.max);
    return lines_refuse(in, l, 0, why, e);
}

/* Waits for a line, then takes what else is there. 1, or 0 at the end. */
static int fill(struct lines *in, struct err *e)
{
    size_t n = 0, most = in->most ? in->most : BATCH_ROWS;
    struct line l;

    arena_reset(&in->arena);
    line_release(&in->reader);
    in->drained = false;
    while (n < most && !stop_signal()) {
        enum line_result got = line_next(&in->reader, !n, &l, e);

        if (got == LINE_ERROR)
            return -1;
        if (got == LINE_EOF)
            return 0;
        in->drained = got == LINE_NONE;
        if (in->drained && n)
            break;
        if (got != LINE_NONE && take_line(in, &l, got == LINE_LONG, e))
            return -1;
        n += got != LINE_NONE;
    }
    return !stop_signal();
}

static int read_one(struct lines *in, const char *operand, struct progress *p, struct err *e)
{
    int fd = cli_open(operand, e), more;

    if (fd < 0)
        return -1;
    cli_lines(&in->reader, fd, cli_name(operand));
    if (in->room)
        in->reader.room = in->room;
    do {
        more = fill(in, e);
        if (more < 0 || in->store(in->ctx, e) || rejects_sync(&in->rejects, e))
            return -1;
        progress_step(p, in->received, in->bytes);
    } while (more);
    line_close(&in->reader);
    if (fd != STDIN_FILENO)
        close(fd);
    return 0;
}

int lines_read(struct lines *in, char **operands, struct err *e)
{
    char *standard_input[] = {"-", NULL};
    struct progress p;
    int rc = 0;

    progress_start(&p, in->what, 0);
    for (char **o = *operands ? operands : standard_input; *o && !rc && !stop_signal(); o++)
        rc = read_one(in, *o, &p, e);
    progress_end(&p);
    return rc;
}

void lines_close(struct lines *in)
{
    arena_free(&in->arena);
    json_end(&in->json);
    rejects_close(&in->rejects);
}
