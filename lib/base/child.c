#include "base/child.h"

#include "base/clock.h"
#include "base/spawn.h"
#include "base/stop.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, PATIENCE_MS = 2000, COMPLAINT_KEPT = 4096 };

extern char **environ;

/* --- starting ----------------------------------------------------------- */

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A pipe whose ends are beyond the standard streams, whichever of these are
 * closed: dup2 in the child must not meet its own sources. */
static int high_pipe(int ends[2])
{
    int low[2], rc = 0;

    if (pipe2(low, O_CLOEXEC))
        return -1;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
        rc |= ends[i];
        close(low[i]);
    }
    if (rc >= 0)
        return 0;
    shut(&ends[0]);
    shut(&ends[1]);
    return -1;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return !strncmp(a, b, n) && b[n] == '=';
}

/* The inherited environment under that of the caller; the array is ours. */
static char **environment(char *const *own)
{
    size_t have = 0, n = 0;
    char **all;

    while (environ[have])
        have++;
    for (size_t i = 0; own && own[i]; i++)
        n++;
    all = malloc((have + n + 1) * sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < n; i++)
        all[i] = own[i];
    for (size_t i = 0, own_count = n; i < have; i++) {
        bool overridden = false;

        for (size_t k = 0; k < own_count && !overridden; k++)
            overridden = same_name(own[k], environ[i]);
        if (!overridden)
            all[n++] = environ[i];
    }
    all[n] = NULL;
    return all;
}

static int start_with(struct child *c, const int streams[3])
{
    char **env = environment(c->env);
    int rc = env ? spawn_with(&c->pid, c->argv, env, streams) : ENOMEM;

    free(env);
    return rc;
}

static int start(struct child *c, struct err *e)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int rc = high_pipe(pipes[0]) || high_pipe(pipes[1]) || high_pipe(pipes[2]) ? errno : 0;

    if (!rc) {
        const int streams[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};

        rc = start_with(c, streams);
    }
    shut(&pipes[0][0]);
    shut(&pipes[1][1]);
    shut(&pipes[2][1]);
    c->in = pipes[0][1];
    c->out = pipes[1][0];
    c->err = pipes[2][0];
    if (rc) {
        c->pid = 0;
        errno = rc;
        return err_sys(e, EX_UNAVAILABLE, "unable to run %s", c->argv[0]);
    }
    if (fcntl(c->in, F_SETFL, O_NONBLOCK))
        return err_sys(e, EX_IOERR, "unable to watch %s", c->argv[0]);
    return 0;
}

/* --- ending ------------------------------------------------------------- */

static pid_t look(struct child *c, int *status)
{
    return (pid_t)TEMP_FAILURE_RETRY(waitpid(c->pid, status, WNOHANG));
}

/* Waits at most ms for its end; anything may cut the wait short. SIGCHLD is
 * blocked while a child runs, so none is missed. */
static bool gone(struct child *c, int64_t ms)
{
    const struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
    sigset_t ended;
    int status;

    if (!look(c, &status)) {
        sigemptyset(&ended);
        sigaddset(&ended, SIGCHLD);
        sigtimedwait(&ended, NULL, &limit);
        if (!look(c, &status))
            return false;
    }
    c->pid = 0;
    c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

void child_end(struct child *c)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS, left = PATIENCE_MS;

    shut(&c->in);
    shut(&c->out);
    shut(&c->err);
    if (c->pid > 0)
        kill(c->pid, SIGTERM);
    while (c->pid > 0 && !gone(c, left)) {
        left = until - clock_boot_ms();
        if (left <= 0) {
            kill(c->pid, SIGKILL);
            left = PATIENCE_MS;
        }
    }
    buf_free(&c->feeding);
    buf_free(&c->reading);
    buf_free(&c->complaining);
}

/* --- feeding ------------------------------------------------------------ */

/* Gives the child what it takes now. One that takes no more may have had
 * enough: how it ends will tell. */
static int feed(struct child *c, struct err *e)
{
    ssize_t n;

    if (c->fed == c->feeding.len && !c->last_fed) {
        int more;

        c->fed = c->feeding.len = 0;
        more = c->feed(c->ctx, &c->feeding, e);
        if (more < 0)
            return -1;
        c->last_fed = !more;
    }
    if (c->fed < c->feeding.len) {
        n = write(c->in, c->feeding.data + c->fed, c->feeding.len - c->fed);
        if (n < 0 && errno == EPIPE)
            c->cut_short = true;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_sys(e, EX_IOERR, "unable to write to %s", c->argv[0]);
        c->fed += n > 0 ? (size_t)n : 0;
    }
    if (c->cut_short || (c->last_fed && c->fed == c->feeding.len))
        shut(&c->in);
    return 0;
}

/* --- reading ------------------------------------------------------------ */

/* Reads once; at the end of the stream the descriptor is shut. */
static int take(struct child *c, int *fd, struct buf *into, struct err *e)
{
    ssize_t n;

    if (buf_reserve(into, BLOCK))
        return err_memory(e);
    n = read(*fd, into->data + into->len, into->cap - into->len);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return err_sys(e, EX_IOERR, "unable to read from %s", c->argv[0]);
    if (n == 0)
        shut(fd);
    into->len += n > 0 ? (size_t)n : 0;
    return 0;
}

static int hand_out(struct child *c, size_t from, size_t to, struct err *e)
{
    return c->line ? c->line(c->ctx, (struct span){c->reading.data + from, to - from}, e) : 0;
}

static int take_lines(struct child *c, struct err *e)
{
    struct buf *b = &c->reading;
    size_t begin = 0;
    char *lf;

    if (take(c, &c->out, b, e))
        return -1;
    while (b->len > c->scanned && (lf = memchr(b->data + c->scanned, '\n', b->len - c->scanned))) {
        size_t end = (size_t)(lf - b->data);

        if (hand_out(c, begin, end, e))
            return -1;
        c->scanned = begin = end + 1;
    }
    if (begin) {
        memmove(b->data, b->data + begin, b->len - begin);
        b->len -= begin;
    }
    c->scanned = b->len;
    return c->out < 0 && b->len ? hand_out(c, 0, b->len, e) : 0;
}

/* Of what it says on stderr the beginning and the end are kept. */
static int take_complaint(struct child *c, struct err *e)
{
    struct buf *b = &c->complaining;

    if (take(c, &c->err, b, e))
        return -1;
    if (b->len > COMPLAINT_KEPT) {
        memmove(b->data + COMPLAINT_KEPT / 2, b->data + b->len - COMPLAINT_KEPT / 2,
                COMPLAINT_KEPT / 2);
        b->len = COMPLAINT_KEPT;
    }
    return 0;
}

/* The line that begins there, fit to be shown. */
static void keep_line(const char *p, const char *end, char out[CHILD_COMPLAINT])
{
    size_t n = 0;

    for (; p < end && n < CHILD_COMPLAINT - 1 && *p != '\n'; p++)
        if (*p != '\r')
            out[n++] = *p;
    out[n] = '\0';
    for (char *at = out; *at; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
}

static void keep_complaints(struct child *c)
{
    const char *text = c->complaining.data, *end, *last;

    c->complaint[0] = c->last_words[0] = '\0';
    if (!c->complaining.len)
        return;
    end = text + c->complaining.len;
    keep_line(text, end, c->complaint);
    while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (last = end; last > text && last[-1] != '\n'; last--)
        ;
    keep_line(last, end, c->last_words);
}

/* --- running ------------------------------------------------------------ */

static int stopped(const struct child *c, struct err *e)
{
    return err_set(e, EX_TEMPFAIL, "stopped while %s was running", c->argv[0]);
}

static int too_long(struct child *c, struct err *e)
{
    c->timed_out = true;
    err_set(e, EX_UNAVAILABLE, "%s: not done within %lld s", c->argv[0],
            (long long)(c->limit_ms + 999) / 1000);
    return 1;
}

/* One round: waits until something can be done, and does it. */
static int turn(struct child *c, struct err *e)
{
    struct pollfd p[] = {{.fd = c->in, .events = POLLOUT},
                         {.fd = c->out, .events = POLLIN},
                         {.fd = c->err, .events = POLLIN}};
    int64_t left = c->limit_ms ? c->until - clock_boot_ms() : -1;

    if (stop_signal())
        return stopped(c, e);
    if (c->limit_ms && left <= 0)
        return too_long(c, e);
    if (c->in < 0 && c->out < 0 && c->err < 0) {
        gone(c, left >= 0 && left < 1000 ? left : 1000);
        return 0;
    }
    if (stop_poll(p, 3, left) < 0)
        return errno == EINTR ? 0 : err_sys(e, EX_IOERR, "unable to wait for %s", c->argv[0]);
    if (p[1].revents && take_lines(c, e))
        return -1;
    if (p[2].revents && take_complaint(c, e))
        return -1;
    return p[0].revents ? feed(c, e) : 0;
}

static int judge(struct child *c, struct err *e)
{
    const char *colon = c->complaint[0] ? ": " : "";

    /* How a failed start shows where vfork is only fork (valgrind). */
    if (c->status == 127 && !c->complaint[0])
        return err_set(e, EX_UNAVAILABLE, "unable to run %s", c->argv[0]);
    if (c->status > 128)
        err_set(e, EX_UNAVAILABLE, "%s: ended by signal %d%s%s", c->argv[0], c->status - 128, colon,
                c->complaint);
    else if (c->status)
        err_set(e, EX_UNAVAILABLE, "%s: exit status %d%s%s", c->argv[0], c->status, colon,
                c->complaint);
    else if (c->cut_short)
        err_set(e, EX_UNAVAILABLE, "%s: ended before it had read all its input%s%s", c->argv[0],
                colon, c->complaint);
    else
        return 0;
    return 1;
}

int child_run(struct child *c, struct err *e)
{
    sigset_t ended, before;
    int rc;

    c->in = c->out = c->err = -1;
    c->fed = c->scanned = 0;
    c->cut_short = c->timed_out = false;
    c->last_fed = !c->feed;
    c->until = clock_boot_ms() + c->limit_ms;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    rc = start(c, e);
    if (!rc && !c->feed)
        shut(&c->in);
    while (!rc && c->pid > 0)
        rc = turn(c, e);
    keep_complaints(c);
    child_end(c);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc ? rc : judge(c, e);
}
