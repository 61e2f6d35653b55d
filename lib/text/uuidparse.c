/* Apart from the rest of uuid7, which needs no library: one that only makes
 * ids starts without loading libuuid. */
#include "text/uuid7.h"

#include <uuid/uuid.h>

int uuid7_parse(struct span s, uint8_t out[static 16])
{
    return s.n == 36 && !uuid_parse_range(s.p, s.p + s.n, out) ? 0 : -1;
}
