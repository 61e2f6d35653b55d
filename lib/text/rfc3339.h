/* rfc3339: dates and times of the Internet to Unix milliseconds and back.
 *
 * Pure: no time zone files, no locale, no allocation, no errno. Calendar days
 * are those of the proleptic Gregorian calendar, seconds those of POSIX: a
 * day has 86,400 of them. Source: RFC 3339 section 5.6. */
#ifndef LIFEBOAT_RFC3339_H
#define LIFEBOAT_RFC3339_H

#include "base/buf.h"

#include <stdint.h>

/* Reads the whole of s as a date-time, such as 2022-02-22T14:22:22.5-05:00:
 * a real day of a year from 0001 to 9999, T or t between date and time, a
 * zone of Z, z, +hh:mm or -hh:mm (-00:00 too). Of the fraction the first three
 * digits count, the others only have to be digits. Second 60 is read as the
 * second after 59, and only where a leap second can stand: at 23:59:60 UTC on
 * the last day of a month. Returns 0 and sets unix_ms (negative before 1970),
 * or -1 and leaves it alone. */
int rfc3339_parse(struct span s, int64_t *unix_ms);

/* Writes the time in UTC with milliseconds, 2022-02-22T19:22:22.000Z, and a
 * NUL. Any number has an answer, but outside the years 0000 to 9999 it is no
 * longer RFC 3339: 2^48-1, the last ms of a UUIDv7 or an HLC, is
 * 10889-08-02T05:31:50.655Z, and a year before 0000 has a minus sign. */
void rfc3339_format(int64_t unix_ms, char out[static 32]);

#endif
