#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/sha256.h"

#include "tap.h"

#include <stdalign.h>

static void check_spans(void)
{
    ok(span_eq(SPAN(""), (struct span){NULL, 0}), "an empty span equals one that is nowhere");
    ok(!span_eq(SPAN("a"), SPAN("ab")) && !span_eq(SPAN("a"), SPAN("b")), "others differ");
    ok(span_cmp(SPAN("a"), SPAN("ab")) < 0 && span_cmp(SPAN("ab"), SPAN("a")) > 0,
       "the shorter is first where one begins the other");
    ok(span_cmp(SPAN("a\xc3"), SPAN("az")) > 0, "bytes beyond ASCII come last");
    ok(span_cmp(SPAN("a\0b"), SPAN("a\0c")) < 0, "a NUL ends nothing");
}

static void check_buf(void)
{
    static const uint8_t bytes[] = {0, 15, 255};
    struct buf b = {0};

    buf_addu(&b, UINT64_MAX);
    buf_addc(&b, ' ');
    buf_addi(&b, INT64_MIN);
    buf_addc(&b, ' ');
    buf_addi(&b, 0);
    buf_addc(&b, ' ');
    buf_addhex(&b, bytes, sizeof bytes);
    buf_adds(&b, " x");
    buf_add(&b, "y", 1);
    buf_printf(&b, " %d%s", 7, "z");
    buf_term(&b);
    is_str(b.data, "18446744073709551615 -9223372036854775808 0 000fff xy 7z",
           "what is added stands behind what was there");
    is_int((int64_t)b.len, (int64_t)strlen(b.data), "the NUL does not count");
    buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, (char)i);
    ok(b.len == 100000 && b.data[99999] == (char)99999, "it grows byte by byte");
    buf_clear(&b);
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%0100d", i);
    ok(b.len == 100000, "and by printf");
    ok(buf_reserve(&b, SIZE_MAX / 2) && b.len == 100000, "what cannot be had changes nothing");
    buf_free(&b);
    ok(!b.data && !b.len && !b.cap, "a freed one is empty");
}

static void check_arena(void)
{
    struct arena a = {0};
    char *p[1000];
    int wrong = 0;

    for (int i = 0; i < 1000; i++) {
        size_t n = (size_t)i * 7 % 5000 + 1;

        p[i] = arena_alloc(&a, n);
        wrong += (uintptr_t)p[i] % alignof(max_align_t) != 0;
        memset(p[i], i, n);
    }
    for (int i = 0; i < 1000; i++)
        for (size_t k = 0; k < (size_t)i * 7 % 5000 + 1; k++)
            wrong += p[i][k] != (char)i;
    is_int(wrong, 0, "what is handed out is aligned and stays");
    ok(arena_alloc(&a, 10 << 20) != NULL, "large pieces too");
    is_str(arena_span(&a, SPAN("text")).p, "text", "a copied span is terminated");
    ok(arena_span(&a, (struct span){NULL, 0}).p != NULL, "an empty one is somewhere");
    ok(!arena_alloc(&a, SIZE_MAX - 8), "what no memory holds is refused");
    arena_reset(&a);
    ok(a.used == 0 && arena_alloc(&a, 100), "after a reset it hands out again");
    arena_free(&a);
    ok(!a.blocks, "a freed one is empty");
}

static void check_hash(void)
{
    struct digest a = hash_bytes("a", 1), b = hash_bytes("b", 1), sum = {0}, other = {0}, back;
    struct sha256 h = {0};
    char text[DIGEST_TEXT], sha[SHA256_TEXT];
    uint8_t bytes[DIGEST_BYTES];

    digest_text(hash_bytes("", 0), text);
    is_str(text, "99aa06d3014798d86001c324468d497f", "XXH3-128 of nothing, as published");
    digest_text(hash_bytes("a", 1), text);
    is_str(text, "a96faf705af16834e6c632b61e964e1f", "and of a letter");
    digest_bytes(a, bytes);
    back = digest_of_bytes(bytes);
    ok(digest_eq(a, back) && bytes[0] == (uint8_t)(a.hi >> 56) && bytes[15] == (uint8_t)a.lo,
       "its bytes are big-endian, and it can be had back");
    ok(!digest_eq(hash_pair(a, b), hash_pair(b, a)), "in a pair order counts");
    digest_add(&sum, a);
    digest_add(&sum, b);
    digest_add(&other, b);
    digest_add(&other, a);
    ok(digest_eq(sum, other), "in a sum it does not");
    digest_add(&sum, a);
    ok(!digest_eq(sum, other), "but repetition does");
    sum = (struct digest){UINT64_MAX, 1};
    digest_add(&sum, (struct digest){1, 0});
    ok(sum.lo == 0 && sum.hi == 2, "a sum carries");
    sum = (struct digest){UINT64_MAX, UINT64_MAX};
    digest_add(&sum, (struct digest){1, 0});
    ok(sum.lo == 0 && sum.hi == 0, "and wraps");
    sha256_add(&h, "ab", 2);
    sha256_add(&h, "c", 1);
    sha256_text(&h, sha);
    is_str(sha, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
           "SHA-256 of abc, as published");
    sha256_text(&h, sha);
    is_str(sha, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
           "and of nothing, with the same struct");
}

int main(void)
{
    plan(5 + 6 + 7 + 10);
    check_spans();
    check_buf();
    check_arena();
    check_hash();
    return done();
}
