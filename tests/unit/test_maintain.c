/* When a store is worth being written anew. */
#include "store/maintain.h"

#include "tap.h"

int main(void)
{
    const int64_t mib = 256; /* pages of 4 KiB */

    plan(8);
    ok(!maintain_worth(100 * mib, 0, 4096), "nothing is unused");
    ok(!maintain_worth(100 * mib, 25 * mib, 4096), "a quarter");
    ok(maintain_worth(100 * mib, 25 * mib + 1, 4096), "more than a quarter");
    ok(!maintain_worth(20 * mib, 16 * mib, 4096), "nearly all of it, but only 16 MiB");
    ok(maintain_worth(20 * mib, 16 * mib + 1, 4096), "more than 16 MiB");
    ok(maintain_worth(25 * mib, 17 * mib, 4096), "both");
    ok(!maintain_worth(25 * mib, 5 * mib, 16384) && maintain_worth(20 * mib, 6 * mib, 16384),
       "with other pages");
    ok(!maintain_worth(0, 0, 4096), "an empty file");
    return done();
}
