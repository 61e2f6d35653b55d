#include "core/backoff.h"

#include "tap.h"

int main(void)
{
    plan(9);
    is_int(backoff_ms(1, 0), 2500, "the first time half of 5 s at least");
    is_int(backoff_ms(1, 2500), 5000, "and 5 s at most");
    is_int(backoff_ms(1, 2501), 2500, "the random part starts again there");
    is_int(backoff_ms(2, 0), 5000, "the second time twice that");
    is_int(backoff_ms(10, 0), 1280000, "and so on");
    is_int(backoff_ms(11, 0), 1800000, "but half an hour at least");
    is_int(backoff_ms(11, 1800000), 3600000, "and an hour at most");
    is_int(backoff_ms(INT64_MAX, UINT64_MAX) / 3600001, 0, "also after any number of failures");
    is_int(backoff_ms(0, 0), 2500, "none is like one");
    return done();
}
