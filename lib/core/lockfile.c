#include "core/lockfile.h"

#include "base/clock.h"
#include "base/denied.h"
#include "base/made.h"
#include "base/stop.h"
#include "core/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A blocking lock that a timer ends cannot be had in a library without taking
 * the program's SIGALRM; who waits looks again, ever more seldom. */
enum { LOOK_FIRST_MS = 1, LOOK_LAST_MS = 50 };

static int open_beside(const char *path, const char *suffix, int flags, char **name)
{
    if (asprintf(name, "%s-%s", path, suffix) < 0) {
        *name = NULL;
        errno = ENOMEM;
        return -1;
    }
    return (int)TEMP_FAILURE_RETRY(open(*name, flags | O_CLOEXEC));
}

/* Another may have made it meanwhile. */
static int make(const char *path, const char *name)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));

    if (fd >= 0) {
        made_give(fd, name); /* what it is for may be yet to come */
        gate_share(fd, path);
    } else if (errno == EEXIST)
        fd = (int)TEMP_FAILURE_RETRY(open(name, O_RDWR | O_CLOEXEC));
    return fd;
}

int lockfile_open(struct lockfile *l, const char *path, const char *suffix, struct err *e)
{
    int number;

    *l = (struct lockfile){.fd = -1};
    l->fd = open_beside(path, suffix, O_RDWR, &l->name);
    if (l->fd < 0 && l->name && errno == ENOENT)
        l->fd = make(path, l->name);
    if (l->fd >= 0)
        return 0;
    number = errno;
    if (!l->name)
        err_memory(e);
    else
        err_sys(e, EX_CANTCREAT, "unable to open %s%s", l->name,
                number == ENOENT ? " (is there such a folder?)" : "");
    lockfile_close(l);
    return denied_hint(e, number);
}

void lockfile_close(struct lockfile *l)
{
    if (l->fd >= 0)
        close(l->fd);
    free(l->name);
    *l = (struct lockfile){.fd = -1};
}

static int lock(int fd, int command, short type, int64_t at, struct flock *l)
{
    *l = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return (int)TEMP_FAILURE_RETRY(fcntl(fd, command, l));
}

int lockfile_take(struct lockfile *l, int64_t at, int64_t wait_ms, struct err *e)
{
    int64_t until = clock_boot_ms() + wait_ms;
    int pause = LOOK_FIRST_MS;
    struct flock how;

    for (;;) {
        int64_t left;

        if (!lock(l->fd, F_OFD_SETLK, F_WRLCK, at, &how))
            return 1;
        if (errno != EAGAIN && errno != EACCES)
            return err_sys(e, EX_IOERR, "unable to lock %s", l->name);
        left = until - clock_boot_ms();
        if (left <= 0 || stop_signal())
            return 0;
        poll(NULL, 0, left < pause ? (int)left : pause);
        pause = pause * 2 < LOOK_LAST_MS ? pause * 2 : LOOK_LAST_MS;
    }
}

void lockfile_drop(struct lockfile *l, int64_t at)
{
    struct flock how;

    lock(l->fd, F_OFD_SETLK, F_UNLCK, at, &how);
}

static bool taken(int fd, int64_t at)
{
    struct flock how;

    return lock(fd, F_OFD_GETLK, F_WRLCK, at, &how) || how.l_type != F_UNLCK;
}

bool lockfile_taken(const struct lockfile *l, int64_t at)
{
    return taken(l->fd, at);
}

bool lockfile_alive(const char *path, const char *suffix)
{
    bool alive;
    char *name;
    int fd = open_beside(path, suffix, O_RDONLY, &name);

    if (fd < 0)
        alive = errno != ENOENT;
    else
        alive = taken(fd, 0);
    if (fd >= 0)
        close(fd);
    free(name);
    return alive;
}
