/* killat: preloaded into a command, kills it with SIGKILL just before its n-th
 * call that changes a file.
 *
 *     KILLAT=n LD_PRELOAD=killat.so CMD
 *
 * With KILLAT_HURRY the boot clock goes on by 60 ms with every look at it, so
 * that each limit of time is met at once. Only CMD itself is meant: both are
 * taken out of the environment that its children get. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long left; /* calls until the end; 0: for ever */
static long hurry = -1;

__attribute__((constructor)) static void start(void)
{
    const char *n = getenv("KILLAT");

    left = n ? strtol(n, NULL, 10) : 0;
    if (getenv("KILLAT_HURRY"))
        hurry = 0;
    unsetenv("KILLAT");
    unsetenv("KILLAT_HURRY");
    unsetenv("LD_PRELOAD");
}

static void count(void)
{
    if (left > 0 && --left == 0)
        raise(SIGKILL);
}

/* The C library's own function of this name. */
#define REAL(type, name, params) ((type(*) params)dlsym(RTLD_NEXT, #name))

#define COUNTED(type, name, params, args)                                                          \
    type name params                                                                               \
    {                                                                                              \
        count();                                                                                   \
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
