#include "base/rng.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

/* A one-shot command needs a few bytes, a stream of ids millions: the first
 * draw is small, the next ones fill the pool. */
enum { POOL = 65536, FIRST_DRAW = 256 };

static unsigned char pool[POOL];
static size_t left;
static size_t next_draw = FIRST_DRAW;

static void forget_pool(void)
{
    left = 0;
}

static int refill(struct err *e)
{
    static int hooked;
    size_t got = 0, want = next_draw;

    if (!hooked) {
        pthread_atfork(NULL, NULL, forget_pool);
        hooked = 1;
    }
    while (got < want) {
        ssize_t n = getrandom(pool + got, want - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, EX_IOERR, "unable to draw random bytes");
        got += (size_t)n;
    }
    left = want;
    next_draw = POOL;
    return 0;
}

int rng_bytes(void *p, size_t n, struct err *e)
{
    unsigned char *out = p;

    while (n) {
        size_t take;

        if (!left && refill(e))
            return -1;
        take = n < left ? n : left;
        left -= take;
        memcpy(out, pool + left, take);
        memset(pool + left, 0, take);
        out += take;
        n -= take;
    }
    return 0;
}
