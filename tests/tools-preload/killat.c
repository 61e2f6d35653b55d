/* killat: preloaded into a command, kills it with SIGKILL just before its n-th
 * call that changes a file.
 *
 *     KILLAT=n LD_PRELOAD=killat.so CMD
 *
 * With KILLAT_ERRNO=number that call fails with this errno instead, and the
 * file KILLAT_MARK is made to say so; with KILLAT_ON all later ones fail too.
 *
 * With KILLAT_HURRY the boot clock goes on by 60 ms with every look at it, so
 * that each limit of time is met at once. Only CMD itself is meant: all are
 * taken out of the environment that its children get. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long left; /* calls until the end; 0: for ever */
static long hurry = -1;
static int number; /* errno to fail with; 0: kill */
static int on;     /* fail from then on */
static char mark[4096];

__attribute__((constructor)) static void start(void)
{
    const char *n = getenv("KILLAT");

    left = n ? strtol(n, NULL, 10) : 0;
    n = getenv("KILLAT_ERRNO");
    number = n ? atoi(n) : 0;
    on = getenv("KILLAT_ON") != NULL;
    if (getenv("KILLAT_MARK"))
        snprintf(mark, sizeof mark, "%s", getenv("KILLAT_MARK"));
    if (getenv("KILLAT_HURRY"))
        hurry = 0;
    unsetenv("KILLAT");
    unsetenv("KILLAT_ERRNO");
    unsetenv("KILLAT_ON");
    unsetenv("KILLAT_MARK");
    unsetenv("KILLAT_HURRY");
    unsetenv("LD_PRELOAD");
}

/* Is this call to fail? errno is set. */
static int count(void)
{
    if (left <= 0 || --left > 0)
        return 0;
    if (!number)
        raise(SIGKILL);
    close(open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    left = on;
    errno = number;
    return 1;
}

/* The C library's own function of this name. */
#define REAL(type, name, params) ((type(*) params)dlsym(RTLD_NEXT, #name))

#define COUNTED(type, name, params, args)                                                          \
    type name params                                                                               \
    {                                                                                              \
        if (count())                                                                               \
            return -1;                                                                             \
        return REAL(type, name, params) args;                                                      \
    }

COUNTED(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
COUNTED(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
COUNTED(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
COUNTED(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
COUNTED(int, fsync, (int fd), (fd))
COUNTED(int, fdatasync, (int fd), (fd))
COUNTED(int, ftruncate, (int fd, off_t n), (fd, n))
COUNTED(int, ftruncate64, (int fd, off_t n), (fd, n))
COUNTED(int, rename, (const char *a, const char *b), (a, b))
COUNTED(int, renameat2, (int c, const char *a, int d, const char *b, unsigned f), (c, a, d, b, f))
COUNTED(int, link, (const char *a, const char *b), (a, b))
COUNTED(int, unlink, (const char *a), (a))
COUNTED(int, futimens, (int fd, const struct timespec t[2]), (fd, t))

/* In a hurry somebody else is always waiting at the gate. */
int fcntl(int fd, int command, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, command);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (hurry >= 0 && command == F_OFD_GETLK) {
        ((struct flock *)arg)->l_type = F_WRLCK;
        return 0;
    }
    return REAL(int, fcntl, (int, int, ...))(fd, command, arg);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = REAL(int, clock_gettime, (clockid_t, struct timespec *))(id, ts);

    if (hurry >= 0 && id == CLOCK_BOOTTIME) {
        ts->tv_nsec += ++hurry * 60 % 1000 * 1000000;
        ts->tv_sec += hurry * 60 / 1000 + ts->tv_nsec / 1000000000;
        ts->tv_nsec %= 1000000000;
    }
    return rc;
}
