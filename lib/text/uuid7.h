/* uuid7: version-7 UUIDs, which sort by the time they were made.
 *
 * An id made here is, from its first bit: 48 bits of Unix ms, 4 of version,
 * 12 and 30 of one 42-bit counter with the 2 bits of variant between them,
 * and 32 random bits. The counter starts each ms at a random number below
 * 2^41, so that it has room for 2^41 ids more, and then counts by one: ids of
 * one generator strictly ascend, as bytes and as text. A clock that steps
 * back leaves the generator in the ms it had reached; a counter that is used
 * up moves the ms on by one. Source: RFC 9562 sections 5.7 and 6.2, methods 1
 * and 2.
 *
 * Everything but uuid7_new is pure. A generator belongs to one thread. */
#ifndef LIFEBOAT_UUID7_H
#define LIFEBOAT_UUID7_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define UUID7_MS_END (INT64_C(1) << 48)

enum { UUID7_RANDOM_SAME = 4, UUID7_RANDOM_NEW = 10 };

/* All zeros is a generator that has made nothing yet. */
struct uuid7_gen {
    int64_t ms;
    uint64_t counter;
    int started;
};

/* How many random bytes the next id at unix_ms takes: UUID7_RANDOM_NEW when it
 * is the first of its ms and seeds the counter, else UUID7_RANDOM_SAME. */
size_t uuid7_need(const struct uuid7_gen *g, int64_t unix_ms);

/* Makes the next id from the time and random bytes of the caller: random[0..3]
 * end the id; random[4..9] seed the counter and are read only as uuid7_need
 * says. Returns 0, or -1 when unix_ms is negative or not below 2^48, or the
 * last id of all time is used up; then nothing has changed. */
int uuid7_next(struct uuid7_gen *g, int64_t unix_ms, const uint8_t *random, uint8_t out[static 16]);

/* Gives up the rest of the ms: the next id has a new seed, one ms later if the
 * clock has not moved on. For a process that got its generator by fork. */
void uuid7_abandon(struct uuid7_gen *g);

/* Puts an id together from the fields of RFC 9562 section 5.7. ms, rand_a and
 * rand_b are cut to 48, 12 and 62 bits. */
void uuid7_build(int64_t ms, uint16_t rand_a, uint64_t rand_b, uint8_t out[static 16]);

/* Writes 36 bytes in lower case and a NUL. Any UUID will do. */
void uuid7_format(const uint8_t id[static 16], char out[static 37]);

/* Reads the whole of s, 8-4-4-4-12 hexadecimal digits of either case; braces
 * and urn:uuid: are refused. The version is not looked at. Returns 0, or -1
 * and then out is undefined. */
int uuid7_parse(struct span s, uint8_t out[static 16]);

/* Returns 0 when the id is of version 7 and of the variant of RFC 9562, else
 * -1. */
int uuid7_check(const uint8_t id[static 16]);

/* The Unix ms of a version-7 id. */
int64_t uuid7_ms(const uint8_t id[static 16]);

/* Writes a new id from the process's own generator, clock and random bytes.
 * Ids of one process ascend, and a forked child's differ from its parent's.
 * Returns 0, or -1 with e filled. */
int uuid7_new(char out[static 37], struct err *e);

#endif
