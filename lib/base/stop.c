#include "base/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;
static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

static void on_signal(int number)
{
    caught = number;
}

void stop_catch(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int stop_signal(void)
{
    return caught;
}

int stop_poll(struct pollfd *p, nfds_t n, int64_t ms)
{
    const struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
    sigset_t ours, before;
    int rc, number;

    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&ours, signals[i]);
    sigprocmask(SIG_BLOCK, &ours, &before);
    if (caught) {
        errno = EINTR;
        rc = -1;
    } else {
        rc = ppoll(p, n, ms < 0 ? NULL : &limit, &before);
    }
    number = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return rc;
}
