#include "core/gate.h"

#include "base/clock.h"
#include "base/denied.h"
#include "base/made.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

int gate_init(struct gate *g, const char *store_path, struct err *e)
{
    *g = (struct gate){.fd = -1};
    if (asprintf(&g->path, "%s-gate", store_path) < 0) {
        g->path = NULL;
        return err_memory(e);
    }
    return 0;
}

void gate_free(struct gate *g)
{
    if (g->fd >= 0)
        close(g->fd);
    free(g->path);
    *g = (struct gate){.fd = -1};
}

void gate_share(int fd, const char *store_path)
{
    struct stat st;

    if (stat(store_path, &st) || !S_ISREG(st.st_mode))
        return;
    if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid))
        return;
    fchmod(fd, st.st_mode & 0666);
}

static int open_file(struct gate *g, const char *store_path, struct err *e)
{
    g->fd = (int)TEMP_FAILURE_RETRY(open(g->path, O_RDWR | O_CLOEXEC));
    if (g->fd < 0 && errno == ENOENT) {
        g->fd = (int)TEMP_FAILURE_RETRY(open(g->path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0666));
        if (g->fd >= 0) {
            made_give(g->fd, g->path); /* the store may be yet to come */
            gate_share(g->fd, store_path);
        } else if (errno == EEXIST)
            g->fd = (int)TEMP_FAILURE_RETRY(open(g->path, O_RDWR | O_CLOEXEC));
    }
    if (g->fd < 0) {
        int number = errno;

        err_sys(e, EX_CANTCREAT, "unable to open the gate %s%s", g->path,
                number == ENOENT ? " (is there such a folder?)" : "");
        return denied_hint(e, number);
    }
    return 0;
}

/* Is the file that we locked still the one at the path? 1, 0 or -1. */
static int still_there(const struct gate *g, struct err *e)
{
    struct stat ours, there;

    if (fstat(g->fd, &ours) || stat(g->path, &there))
        return errno == ENOENT ? 0 : err_sys(e, EX_IOERR, "unable to look at %s", g->path);
    return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal every ms (0: no more) gets a blocking lock out of its wait, so that
 * the time limit is kept even when the first signal comes just before the wait.
 * Who is got out goes to the end of the queue: not too often.
 * Its handler stays: the last signal may come late. */
static void alarm_every(long ms)
{
    struct itimerval every = {{ms / 1000, ms % 1000 * 1000}, {ms / 1000, ms % 1000 * 1000}};
    struct sigaction sa = {.sa_handler = on_alarm};

    sigemptyset(&sa.sa_mask);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static int turnstile(int fd, int command, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    return fcntl(fd, command, &l);
}

/* One attempt at both locks; blocking ones are ended by the alarm. */
static int try_locks(int fd, bool blocking, bool *at_turnstile)
{
    if (!*at_turnstile) {
        if (turnstile(fd, blocking ? F_OFD_SETLKW : F_OFD_SETLK, F_WRLCK))
            return -1;
        *at_turnstile = true;
    }
    return flock(fd, blocking ? LOCK_EX : LOCK_EX | LOCK_NB);
}

static int busy(const struct gate *g, int wait_s, struct err *e)
{
    return err_set(e, EX_TEMPFAIL,
                   "the store is busy: no turn at %s within %d seconds (see LIFEBOAT_WAIT)",
                   g->path, wait_s);
}

static int wait_locks(struct gate *g, int wait_s, bool *at_turnstile, struct err *e)
{
    int64_t until = clock_boot_ms() + (int64_t)wait_s * 1000;
    int rc = -1;

    alarm_every(1000);
    for (;;) {
        if (!try_locks(g->fd, true, at_turnstile)) {
            rc = 0;
            break;
        }
        if (errno != EINTR) {
            err_sys(e, EX_IOERR, "unable to lock %s", g->path);
            break;
        }
        if (stop_signal()) {
            err_set(e, EX_TEMPFAIL, "stopped while waiting for %s", g->path);
            break;
        }
        if (clock_boot_ms() >= until) {
            busy(g, wait_s, e);
            break;
        }
    }
    alarm_every(0);
    return rc;
}

int gate_enter(struct gate *g, const char *store_path, int wait_s, struct err *e)
{
    for (;;) {
        bool at_turnstile = false;
        int rc;

        if (g->fd < 0 && open_file(g, store_path, e))
            return -1;
        rc = try_locks(g->fd, false, &at_turnstile);
        if (rc && (errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES || errno == EINTR))
            rc = wait_s ? wait_locks(g, wait_s, &at_turnstile, e) : busy(g, wait_s, e);
        else if (rc)
            err_sys(e, EX_IOERR, "unable to lock %s", g->path);
        if (at_turnstile)
            turnstile(g->fd, F_OFD_SETLK, F_UNLCK);
        if (rc)
            return -1;
        rc = still_there(g, e);
        if (rc == 1) {
            g->held = true;
            return 0;
        }
        close(g->fd);
        g->fd = -1;
        if (rc < 0)
            return -1;
    }
}

void gate_leave(struct gate *g)
{
    if (g->held)
        TEMP_FAILURE_RETRY(flock(g->fd, LOCK_UN));
    g->held = false;
}

bool gate_wanted(const struct gate *g)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    return fcntl(g->fd, F_OFD_GETLK, &l) || l.l_type != F_UNLCK;
}

void gate_touch(struct gate *g)
{
    futimens(g->fd, NULL);
}
