#include "core/backoff.h"

int64_t backoff_ms(int64_t n, uint64_t random)
{
    int64_t d = BACKOFF_BASE_MS;

    for (; n > 1 && d < BACKOFF_CAP_MS; n--)
        d *= 2;
    if (d > BACKOFF_CAP_MS)
        d = BACKOFF_CAP_MS;
    return d / 2 + (int64_t)(random % ((uint64_t)d / 2 + 1));
}
