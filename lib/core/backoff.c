#include "core/backoff.h"

int64_t backoff_ms(int64_t n, uint64_t random)
{
    int64_t d = BACKOFF_BASE_MS;

    while (--n > 0 && d < BACKOFF_MAX_MS)
        d *= 2;
    if (d > BACKOFF_MAX_MS)
        d = BACKOFF_MAX_MS;
    return d / 2 + (int64_t)(random % ((uint64_t)d / 2 + 1));
}
