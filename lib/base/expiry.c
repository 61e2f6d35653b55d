#include "base/expiry.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

const char *expiry_boot(void)
{
    const char *id = clock_boot_id();

    return *id ? id : "-";
}

struct expiry expiry_after(int64_t ms)
{
    struct expiry x = {.at = clock_now_ms() + ms, .boot_ms = clock_boot_ms() + ms};

    snprintf(x.boot, sizeof x.boot, "%s", clock_boot_id());
    return x;
}

int64_t expiry_left(const struct expiry *x)
{
    if (!strcmp(x->boot, expiry_boot()))
        return x->boot_ms - clock_boot_ms();
    return x->at - clock_now_ms();
}
