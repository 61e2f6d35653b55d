/* wallclock: preloaded into a command, sets the wall clock back and forth: with
 * each look at it it is a year on, a year back, or in 1970. The clocks that count
 * from boot are left alone. */
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

enum { YEAR = 365 * 86400 };

static void jump(time_t *s)
{
    static unsigned looks;

    switch (looks++ % 4) {
    case 0:
        *s += YEAR;
        break;
    case 1:
        *s -= YEAR;
        break;
    case 2:
        *s = 1;
        break;
    default:
        break;
    }
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    int rc;

    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    rc = real(id, t);
    if (!rc && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        jump(&t->tv_sec);
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    static int (*real)(struct timeval *, void *);
    int rc;

    if (!real)
        real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
    rc = real(t, zone);
    if (!rc)
        jump(&t->tv_sec);
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;

    if (clock_gettime(CLOCK_REALTIME, &t))
        return -1;
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}
