#include "core/watch.h"

#include "base/stop.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static void watch_gate(struct watch *w)
{
    w->gate = inotify_add_watch(w->fd, w->gate_path, IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF);
}

int watch_open(struct watch *w, const struct store *st, struct err *e)
{
    char *copy = strdup(st->path);

    *w = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .gate_path = st->gate.path};
    if (!copy || w->fd < 0 ||
        inotify_add_watch(w->fd, dirname(copy),
                          IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) < 0) {
        err_sys(e, EX_IOERR, "unable to watch the folder of %s", st->path);
        watch_close(w);
        free(copy);
        return -1;
    }
    free(copy);
    watch_gate(w);
    return 0;
}

void watch_close(struct watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

void watch_clear(struct watch *w)
{
    char events[4096];

    while (read(w->fd, events, sizeof events) > 0)
        ;
    /* The gate file may have been made, or made anew. */
    watch_gate(w);
}

int watch_wait_within(struct watch *w, int out_fd, int64_t ms, struct err *e)
{
    struct pollfd p[2] = {{.fd = w->fd, .events = POLLIN}, {.fd = out_fd, .events = 0}};

    if (stop_poll(p, 2, ms) < 0) {
        if (errno == EINTR)
            return stop_signal() ? 0 : 1;
        return err_sys(e, EX_IOERR, "unable to wait for the store");
    }
    if (p[1].revents & POLLERR) {
        errno = EPIPE;
        return err_sys(e, EX_IOERR, "unable to write to standard output");
    }
    watch_clear(w);
    return 1;
}

int watch_wait(struct watch *w, int out_fd, struct err *e)
{
    return watch_wait_within(w, out_fd, -1, e);
}
