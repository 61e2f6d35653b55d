#include "cli/rejects.h"

#include "base/stop.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void rejects_open(struct rejects *r, const char *path)
{
    struct err e = ERR_NONE;

    *r = (struct rejects){.path = path};
    if (!path)
        return;
    do
        r->out.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    while (r->out.fd < 0 && errno == EINTR && !stop_signal());
    if (r->out.fd < 0) {
        err_sys(&e, EX_CANTCREAT, "unable to open %s", path);
        cli_die(&e);
    }
}

static int failed(struct rejects *r, struct err *e)
{
    return err_sys(e, EX_IOERR, "unable to write %s", r->path);
}

int rejects_line(struct rejects *r, const char *input, const struct line *l, size_t offset,
                 const char *why, struct err *e)
{
    if (l->first) {
        r->count++;
        cli_warn("%s:%llu: byte %llu: %s", input, (unsigned long long)l->number,
                 (unsigned long long)(l->offset + offset), why);
    }
    if (!r->path || !l->raw.n) /* an event from options has no line */
        return 0;
    if (out_add(&r->out, l->raw.p, l->raw.n))
        return failed(r, e);
    if (l->last && l->raw.p[l->raw.n - 1] != '\n' && out_add(&r->out, "\n", 1))
        return failed(r, e);
    return 0;
}

int rejects_sync(struct rejects *r, struct err *e)
{
    if (!r->path)
        return 0;
    if (out_flush(&r->out))
        return failed(r, e);
    /* A pipe or a terminal cannot be synced, and need not be. */
    return fdatasync(r->out.fd) && errno != EINVAL && errno != EROFS ? failed(r, e) : 0;
}

void rejects_close(struct rejects *r)
{
    if (r->path) {
        out_close(&r->out);
        close(r->out.fd);
    }
}
