#include "text/uuid7.h"

#include "base/clock.h"
#include "base/rng.h"

#include <pthread.h>
#include <string.h>

#define COUNTER_END (UINT64_C(1) << 42)
#define SEED_MASK   ((UINT64_C(1) << 41) - 1)
#define LOW_30_BITS ((UINT64_C(1) << 30) - 1)
#define LOW_62_BITS ((UINT64_C(1) << 62) - 1)

static const char hex_pairs[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                                "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
                                "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                                "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                                "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                                "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
                                "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
                                "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

/* Where the two digits of each byte stand in the text. */
static const uint8_t digit_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

static struct uuid7_gen own;

static void put_big_endian(uint8_t *p, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get_big_endian(const uint8_t *p, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

void uuid7_build(int64_t ms, uint16_t rand_a, uint64_t rand_b, uint8_t out[static 16])
{
    put_big_endian(out, (uint64_t)ms << 16 | UINT64_C(0x7000) | (rand_a & 0xfffU));
    put_big_endian(out + 8, UINT64_C(1) << 63 | (rand_b & LOW_62_BITS));
}

static int is_new_ms(const struct uuid7_gen *g, int64_t unix_ms)
{
    return !g->started || unix_ms > g->ms;
}

size_t uuid7_need(const struct uuid7_gen *g, int64_t unix_ms)
{
    if (is_new_ms(g, unix_ms) || g->counter + 1 >= COUNTER_END)
        return UUID7_RANDOM_NEW;
    return UUID7_RANDOM_SAME;
}

int uuid7_next(struct uuid7_gen *g, int64_t unix_ms, const uint8_t *random, uint8_t out[static 16])
{
    int64_t ms = g->ms;
    uint64_t counter = g->counter + 1;

    if (unix_ms < 0 || unix_ms >= UUID7_MS_END)
        return -1;
    if (uuid7_need(g, unix_ms) == UUID7_RANDOM_NEW) {
        ms = is_new_ms(g, unix_ms) ? unix_ms : ms + 1;
        if (ms >= UUID7_MS_END)
            return -1;
        counter = get_big_endian(random + UUID7_RANDOM_SAME, 6) & SEED_MASK;
    }
    *g = (struct uuid7_gen){ms, counter, 1};
    uuid7_build(ms, (uint16_t)(counter >> 30),
                (counter & LOW_30_BITS) << 32 | get_big_endian(random, UUID7_RANDOM_SAME), out);
    return 0;
}

void uuid7_abandon(struct uuid7_gen *g)
{
    g->counter = COUNTER_END - 1;
}

void uuid7_format(const uint8_t id[static 16], char out[static 37])
{
    for (int i = 0; i < 16; i++)
        memcpy(out + digit_at[i], hex_pairs + 2 * id[i], 2);
    out[8] = out[13] = out[18] = out[23] = '-';
    out[36] = '\0';
}

int uuid7_check(const uint8_t id[static 16])
{
    return id[6] >> 4 == 7 && id[8] >> 6 == 2 ? 0 : -1;
}

int64_t uuid7_ms(const uint8_t id[static 16])
{
    return (int64_t)get_big_endian(id, 6);
}

/* A child that counted on where its parent stands would differ from it in
 * 32 random bits only. */
static void abandon_own(void)
{
    uuid7_abandon(&own);
}

int uuid7_new(char out[static 37], struct err *e)
{
    static int hooked;
    uint8_t random[UUID7_RANDOM_NEW], id[16];
    int64_t now = clock_now_ms();

    if (!hooked) {
        pthread_atfork(NULL, NULL, abandon_own);
        hooked = 1;
    }
    if (rng_bytes(random, uuid7_need(&own, now), e))
        return -1;
    if (uuid7_next(&own, now, random, id))
        return err_set(e, EX_SOFTWARE, "unable to make a UUIDv7: the clock stands at %lld ms",
                       (long long)now);
    uuid7_format(id, out);
    return 0;
}
