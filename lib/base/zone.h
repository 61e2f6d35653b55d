/* zone: days and clocks of a named time zone, such as Asia/Tokyo.
 *
 * The C library knows one zone at a time, that of $TZ: it is set for the span of a
 * call and put back. Not for programs with threads. */
#ifndef LIFEBOAT_ZONE_H
#define LIFEBOAT_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZONE_NAME = 64 };

/* Is there such a zone on this machine? UTC always is. The C library takes one it does
 * not know for UTC without a word. */
bool zone_exists(const char *zone);

/* The system's: what $TZ names, else what /etc/localtime is a link to, else UTC. */
void zone_here(char name[static ZONE_NAME]);

/* The calendar day of an instant, Unix ms, there: days since 1970-01-01. */
int64_t zone_day(const char *zone, int64_t unix_ms);

/* An instant as strftime(3) says it there; "" when it does not fit. */
void zone_format(const char *zone, int64_t unix_ms, const char *format, char *out, size_t room)
    __attribute__((format(strftime, 3, 0)));

#endif
