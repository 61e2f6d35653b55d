#include "text/decimal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* More than all the digits of any text: what stands behind the point takes none of it
 * back into range. */
#define EXPONENT_ENOUGH INT64_C(1000000000000)

/* digits * 10^exponent, the digits most significant first, as values 0 to 9. */
struct decimal {
    struct buf digits;
    int64_t exponent;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The part behind the "e". */
static int read_exponent(const char *p, const char *end, int64_t *out)
{
    bool negative = p < end && *p == '-';
    int64_t n = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return -1;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return -1;
        if (n < EXPONENT_ENOUGH)
            n = 10 * n + (*p - '0');
    }
    *out = negative ? -n : n;
    return 0;
}

/* DECIMAL_NEAR: it is one. */
static enum decimal_result read_decimal(struct span s, struct decimal *d)
{
    const char *p = s.p, *end = s.p + s.n;
    bool point = false, any = false;
    int64_t exponent = 0;

    d->negative = p < end && *p == '-';
    p += d->negative;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(*p))
            return DECIMAL_NONE;
        any = true;
        d->exponent -= point;
        if ((d->digits.len || *p != '0') && buf_addc(&d->digits, (char)(*p - '0')))
            return DECIMAL_NO_MEMORY;
    }
    if (!any || (p < end && read_exponent(p + 1, end, &exponent)))
        return DECIMAL_NONE;
    d->exponent += exponent;
    if (!d->digits.len)
        d->exponent = 0; /* a zero, however it is spelled */
    return d->exponent < -DECIMAL_EXPONENT_MAX || d->exponent > DECIMAL_EXPONENT_MAX ? DECIMAL_NONE
                                                                                     : DECIMAL_NEAR;
}

/* Zeros behind it, down to this exponent. */
static int lower_to(struct decimal *d, int64_t exponent)
{
    static const char zeros[64] = {0};

    while (d->digits.len && d->exponent > exponent) {
        int64_t n = d->exponent - exponent;

        if (n > (int64_t)sizeof zeros)
            n = (int64_t)sizeof zeros;
        if (buf_add(&d->digits, zeros, (size_t)n))
            return -1;
        d->exponent -= n;
    }
    d->exponent = exponent;
    return 0;
}

static int align(struct decimal *a, struct decimal *b)
{
    int64_t least = a->exponent < b->exponent ? a->exponent : b->exponent;

    return lower_to(a, least) || lower_to(b, least);
}

/* Of two that are aligned, without regard to their signs. */
static int order(const struct decimal *a, const struct decimal *b)
{
    size_t n = a->digits.len, m = b->digits.len;

    if (n != m)
        return n < m ? -1 : 1;
    return n ? memcmp(a->digits.data, b->digits.data, n) : 0;
}

static void strip(struct decimal *d)
{
    size_t zeros = 0;

    while (zeros < d->digits.len && !d->digits.data[zeros])
        zeros++;
    if (zeros)
        memmove(d->digits.data, d->digits.data + zeros, d->digits.len - zeros);
    d->digits.len -= zeros;
}

static int digit(const struct decimal *d, size_t from_end)
{
    return from_end < d->digits.len ? d->digits.data[d->digits.len - 1 - from_end] : 0;
}

/* |a - b|, or the sum of two of different sign, of two that are aligned. */
static int distance(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    bool sum = a->negative != b->negative;
    const struct decimal *large = order(a, b) < 0 ? b : a, *small = large == a ? b : a;
    size_t n = large->digits.len + 1;
    int carry = 0;

    out->exponent = a->exponent;
    if (buf_reserve(&out->digits, n))
        return -1;
    out->digits.len = n;
    for (size_t i = 0; i < n; i++) {
        int v = digit(large, i) + (sum ? digit(small, i) : -digit(small, i)) + carry;

        carry = v > 9 ? 1 : v < 0 ? -1 : 0;
        out->digits.data[n - 1 - i] = (char)(v - 10 * carry);
    }
    strip(out);
    return 0;
}

static int product(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
    size_t n = a->digits.len + b->digits.len;

    out->exponent = a->exponent + b->exponent;
    if (buf_reserve(&out->digits, n + 1))
        return -1;
    memset(out->digits.data, 0, n);
    out->digits.len = n;
    for (size_t i = 0; i < a->digits.len; i++) {
        int carry = 0;

        for (size_t j = 0; j <= b->digits.len && i + j < n; j++) {
            char *at = &out->digits.data[n - 1 - i - j];
            int v = *at + carry + digit(a, i) * digit(b, j);

            *at = (char)(v % 10);
            carry = v / 10;
        }
    }
    strip(out);
    if (!out->digits.len)
        out->exponent = 0;
    return 0;
}

struct work {
    struct decimal a, b, tolerance, distance, limit;
};

static enum decimal_result compare(struct work *w, bool part)
{
    struct decimal *limit = &w->tolerance;

    if (align(&w->a, &w->b) || distance(&w->a, &w->b, &w->distance))
        return DECIMAL_NO_MEMORY;
    if (part) {
        limit = &w->limit;
        if (product(&w->tolerance, order(&w->a, &w->b) < 0 ? &w->b : &w->a, limit))
            return DECIMAL_NO_MEMORY;
    }
    if (align(&w->distance, limit))
        return DECIMAL_NO_MEMORY;
    return order(&w->distance, limit) <= 0 ? DECIMAL_NEAR : DECIMAL_FAR;
}

static enum decimal_result within(struct span a, struct span b, struct span tolerance, bool part)
{
    struct work w = {.a.negative = false};
    struct buf *const all[] = {&w.a.digits, &w.b.digits, &w.tolerance.digits, &w.distance.digits,
                               &w.limit.digits};
    enum decimal_result rc = read_decimal(a, &w.a);

    if (rc == DECIMAL_NEAR)
        rc = read_decimal(b, &w.b);
    if (rc == DECIMAL_NEAR)
        rc = read_decimal(tolerance, &w.tolerance);
    if (rc == DECIMAL_NEAR && w.tolerance.negative && w.tolerance.digits.len)
        rc = DECIMAL_NONE;
    if (rc == DECIMAL_NEAR)
        rc = compare(&w, part);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    return rc;
}

enum decimal_result decimal_within(struct span a, struct span b, struct span tolerance)
{
    return within(a, b, tolerance, false);
}

enum decimal_result decimal_within_part(struct span a, struct span b, struct span tolerance)
{
    return within(a, b, tolerance, true);
}

enum decimal_result decimal_order(struct span a, struct span b, int *out)
{
    struct decimal x = {.negative = false}, y = {.negative = false};
    enum decimal_result rc = read_decimal(a, &x);

    if (rc == DECIMAL_NEAR)
        rc = read_decimal(b, &y);
    if (rc == DECIMAL_NEAR && align(&x, &y))
        rc = DECIMAL_NO_MEMORY;
    if (rc == DECIMAL_NEAR) {
        bool below = x.negative && x.digits.len, under = y.negative && y.digits.len;
        int magnitude = order(&x, &y);

        if (below != under)
            *out = below ? -1 : 1;
        else
            *out = (magnitude > 0) - (magnitude < 0);
        if (below && under)
            *out = -*out;
    }
    buf_free(&x.digits);
    buf_free(&y.digits);
    return rc;
}
