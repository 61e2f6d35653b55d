#include "http/relay.h"

#include "base/spawn.h"
#include "base/stop.h"
#include "base/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 65536 };

extern char **environ;

/* A run, as far as it has come. */
struct run {
    struct relay *r;
    pid_t pid;
    int out[2], err[2]; /* pipes: ours is [0] */
    bool copies;        /* the kernel cannot pass the bytes on by itself */
    struct buf complaint;
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int start(struct run *run, struct err *e)
{
    int none = -1, streams[3], failed;

    if (pipe2(run->out, O_CLOEXEC) || pipe2(run->err, O_CLOEXEC))
        return err_sys(e, EX_TEMPFAIL, "unable to run %s", run->r->argv[0]);
    if (run->r->in < 0 && (none = memfd_create("none", MFD_CLOEXEC)) < 0)
        return err_sys(e, EX_TEMPFAIL, "unable to run %s", run->r->argv[0]);
    streams[0] = run->r->in < 0 ? none : run->r->in;
    streams[1] = run->out[1];
    streams[2] = run->err[1];
    failed = spawn_with(&run->pid, run->r->argv, environ, streams);
    shut(&none);
    shut(&run->out[1]);
    shut(&run->err[1]);
    errno = failed;
    return failed ? err_sys(e, EX_UNAVAILABLE, "unable to run %s", run->r->argv[0]) : 0;
}

/* --- its output --------------------------------------------------------- */

/* Each of these: how many bytes, 0 at the end, -1. */
static ssize_t collect(struct run *run, struct err *e)
{
    struct buf *b = &run->r->collected;
    ssize_t n;

    if (b->len > RELAY_COLLECT_MAX)
        return err_set(e, EX_SOFTWARE, "%s: it says too much", run->r->argv[0]);
    if (buf_reserve(b, CHUNK))
        return err_memory(e);
    n = TEMP_FAILURE_RETRY(read(run->out[0], b->data + b->len, CHUNK));
    if (n > 0)
        b->len += (size_t)n;
    return n < 0 ? err_sys(e, EX_IOERR, "unable to read from %s", run->r->argv[0]) : n;
}

static ssize_t pass_copy(struct run *run, struct err *e)
{
    char *chunk = malloc(CHUNK);
    ssize_t n;

    if (!chunk)
        return err_memory(e);
    n = TEMP_FAILURE_RETRY(read(run->out[0], chunk, CHUNK));
    if (n < 0)
        err_sys(e, EX_IOERR, "unable to read from %s", run->r->argv[0]);
    else if (n && whole_write(run->r->out, chunk, (size_t)n))
        n = err_sys(e, EX_IOERR, "unable to answer");
    free(chunk);
    return n;
}

static ssize_t pass_on(struct run *run, struct err *e)
{
    ssize_t n;

    if (!run->copies) {
        n = TEMP_FAILURE_RETRY(splice(run->out[0], NULL, run->r->out, NULL, CHUNK, SPLICE_F_MOVE));
        if (n >= 0)
            return n;
        if (errno != EINVAL)
            return err_sys(e, EX_IOERR, "unable to answer");
        run->copies = true;
    }
    return pass_copy(run, e);
}

static bool at_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0 && !(p.revents & POLLIN);
}

/* 1: there is more to come; 0: that was all. */
static int take_output(struct run *run, struct err *e)
{
    ssize_t n;

    if (run->r->out >= 0 && !run->r->bytes) {
        if (at_end(run->out[0]))
            return 0;
        if (run->r->begin && run->r->begin(run->r->ctx, e))
            return -1;
    }
    n = run->r->out < 0 ? collect(run, e) : pass_on(run, e);
    if (n > 0)
        run->r->bytes += n;
    return n < 0 ? -1 : n > 0;
}

/* --- what it complains of ----------------------------------------------- */

static int take_complaint(struct run *run, struct err *e)
{
    char chunk[4096];
    ssize_t n = TEMP_FAILURE_RETRY(read(run->err[0], chunk, sizeof chunk));

    if (n <= 0)
        return 0;
    if (run->complaint.len < RELAY_COMPLAINT && buf_add(&run->complaint, chunk, (size_t)n))
        return err_memory(e);
    whole_write(STDERR_FILENO, chunk, (size_t)n); /* nothing hangs on who reads it */
    return 1;
}

/* Of "PROG: WHAT: WHY" the first line, without PROG. */
static void keep_complaint(struct run *run)
{
    const char *p = run->complaint.data, *name;
    size_t n = run->complaint.len;

    if (!n)
        return;
    name = memmem(p, n, ": ", 2);
    if (name) {
        n -= (size_t)(name + 2 - p);
        p = name + 2;
    }
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\n')
            n = i;
    if (n >= RELAY_COMPLAINT)
        n = RELAY_COMPLAINT - 1;
    memcpy(run->r->complaint, p, n);
    run->r->complaint[n] = '\0';
}

/* --- the run ------------------------------------------------------------ */

/* Waits until one of the pipes has something, or the client has left. */
static int wait_for_any(struct run *run, struct pollfd p[3], struct err *e)
{
    p[0] = (struct pollfd){.fd = run->out[0], .events = POLLIN};
    p[1] = (struct pollfd){.fd = run->err[0], .events = POLLIN};
    p[2] = (struct pollfd){.fd = run->r->to_the_end ? -1 : run->r->out};
    if (run->r->to_the_end ? poll(p, 3, -1) >= 0 || errno == EINTR : stop_poll(p, 3, -1) >= 0) {
        if (!p[2].revents)
            return 0;
        errno = EPIPE;
        return err_sys(e, EX_IOERR, "unable to answer");
    }
    return err_sys(e, EX_TEMPFAIL, "%s: ended", run->r->argv[0]);
}

/* 1: there may be more to come, 0: both are closed, -1. */
static int step(struct run *run, struct err *e)
{
    struct pollfd p[3];
    int rc;

    if (run->out[0] < 0 && run->err[0] < 0)
        return 0;
    if (wait_for_any(run, p, e))
        return -1;
    if (p[0].revents) {
        rc = take_output(run, e);
        if (rc < 0)
            return -1;
        if (!rc)
            shut(&run->out[0]);
    }
    if (p[1].revents) {
        rc = take_complaint(run, e);
        if (rc < 0)
            return -1;
        if (!rc)
            shut(&run->err[0]);
    }
    return 1;
}

static int wait_for(struct run *run, bool end_it)
{
    int status;

    if (end_it)
        kill(run->pid, SIGTERM);
    while (waitpid(run->pid, &status, 0) < 0)
        if (errno != EINTR)
            return EX_SOFTWARE;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int relay_run(struct relay *r, struct err *e)
{
    struct run run = {.r = r, .pid = -1, .out = {-1, -1}, .err = {-1, -1}};
    int rc = start(&run, e);

    r->bytes = 0;
    if (!rc)
        while ((rc = step(&run, e)) > 0)
            ;
    /* Who writes to a pipe nobody reads ends by itself. */
    for (int i = 0; i < 2; i++) {
        shut(&run.out[i]);
        shut(&run.err[i]);
    }
    if (run.pid > 0)
        r->status = wait_for(&run, rc < 0 && !r->to_the_end);
    keep_complaint(&run);
    buf_free(&run.complaint);
    return rc;
}

void relay_free(struct relay *r)
{
    buf_free(&r->collected);
}
