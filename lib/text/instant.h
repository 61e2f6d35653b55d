/* instant: one moment, however systems spell it.
 *
 *     2025-02-20T10:15:03.5Z          RFC 3339
 *     2025-02-20 19:15:03.5+09        PostgreSQL; the zone may be +09, +0900, +09:00
 *     1740046503.5                    Unix seconds
 *     1740046503500                   Unix ms, from 1e11 on; from 1e14 on microseconds
 *
 * A time without a zone is taken for UTC. What is finer than a microsecond does not
 * count. Pure. */
#ifndef LIFEBOAT_INSTANT_H
#define LIFEBOAT_INSTANT_H

#include "base/buf.h"

/* Microseconds since 1970. 0, or -1: it is none, and *us is left alone. */
int instant_parse(struct span s, int64_t *us);

/* The same of a JSON number, which has one instant however it is spelled: 17400465035e-1
 * is 1740046503.5. */
int instant_number(struct span s, int64_t *us);

#endif
