/* genscans COUNT old|new|respelt [sorted]: the rows of part_locations as one side of a
 * comparison has them, always the same; COUNT keys, of which each side lacks 1 in 400 that
 * the other has, and 1 in 200 has another value. Shuffled, each side in its own way, or in
 * the order of the keys. "respelt" is "new" as another system would write it: members in
 * another order, numbers with zeros at their end, times as Unix milliseconds. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4 };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A permutation of the numbers of 2 * half bits: what is shuffled needs no memory. */
static uint64_t feistel(uint64_t x, unsigned half, uint64_t seed)
{
    uint64_t mask = (UINT64_C(1) << half) - 1, left = x >> half, right = x & mask;

    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t next = left ^ (mix(right + mix(seed + round)) & mask);

        left = right;
        right = next;
    }
    return left << half | right;
}

/* The same of the numbers below count: what falls outside is sent round again. */
static uint64_t place_of(uint64_t i, uint64_t count, uint64_t seed)
{
    unsigned half = 1;

    while (UINT64_C(1) << 2 * half < count)
        half++;
    do
        i = feistel(i, half, seed);
    while (i >= count);
    return i;
}

/* Three orders to a tag; a row's members depend on its key alone. */
static void put(uint64_t i, bool changed, bool respelt)
{
    uint64_t r = mix(i), shelf = (r + changed) % 500, lot = (r >> 10) % 9000;
    uint64_t whole = (r >> 24) % 1000, tenths = (r >> 34) % 9 + 1;
    uint64_t ms = 1738368000000 + 10 * i, minute = ms / 60000 % 60, hour = ms / 3600000 % 24;
    /* February is long enough for 200 million of them. */
    uint64_t day = ms / 86400000 - 20119;

    if (respelt) {
        printf("{\"updated_at\":%" PRIu64 ",\"lot\":\"LOT-%" PRIu64 "\",\"qty\":%" PRIu64
               ".%" PRIu64 "00,\"location\":\"SHELF-%03" PRIu64 "\",\"order_id\":\"O-%" PRIu64
               "\",\"tag_id\":\"T-%08" PRIu64 "\"}\n",
               ms, lot, whole, tenths, shelf, i % 3, i / 3);
        return;
    }
    printf("{\"tag_id\":\"T-%08" PRIu64 "\",\"order_id\":\"O-%" PRIu64
           "\",\"location\":\"SHELF-%03" PRIu64 "\",\"qty\":%" PRIu64 ".%" PRIu64
           ",\"lot\":\"LOT-%" PRIu64 "\",\"updated_at\":\"2025-02-%02" PRIu64 "T%02" PRIu64
           ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "Z\"}\n",
           i / 3, i % 3, shelf, whole, tenths, lot, day, hour, minute, ms / 1000 % 60, ms % 1000);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    bool old = argc > 2 && !strcmp(argv[2], "old"),
         respelt = argc > 2 && !strcmp(argv[2], "respelt");
    bool sorted = argc > 3 && !strcmp(argv[3], "sorted");

    for (uint64_t n = 0; n < count; n++) {
        uint64_t i = sorted ? n : place_of(n, count, old ? 1 : 2);

        if (i % 400 != (old ? 13 : 11))
            put(i, !old && i % 200 == 7, respelt);
    }
    return fflush(stdout) || ferror(stdout) ? 74 : 0;
}
