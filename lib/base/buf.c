#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span buf_span(const struct buf *b)
{
    return (struct span){b->data ? b->data : "", b->len};
}

struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

int span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    if (c)
        return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

int buf_reserve(struct buf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 64;
    char *p;

    if (more <= b->cap - b->len)
        return 0;
    if (more > SIZE_MAX / 2 - b->len)
        return -1;
    while (cap < b->len + more)
        cap *= 2;
    p = realloc(b->data, cap);
    if (!p)
        return -1;
    b->data = p;
    b->cap = cap;
    return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    if (buf_reserve(b, n))
        return -1;
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    return 0;
}

int buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_adds(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

static char *put_unsigned(char *at, uint64_t n)
{
    char digits[BUF_INT_MAX];
    size_t i = sizeof digits;

    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(at, digits + i, sizeof digits - i);
    return at + (sizeof digits - i);
}

char *buf_put_int(char *at, int64_t n)
{
    if (n >= 0)
        return put_unsigned(at, (uint64_t)n);
    *at = '-';
    return put_unsigned(at + 1, 0 - (uint64_t)n);
}

int buf_addu(struct buf *b, uint64_t n)
{
    if (buf_reserve(b, BUF_INT_MAX))
        return -1;
    b->len = (size_t)(put_unsigned(b->data + b->len, n) - b->data);
    return 0;
}

int buf_addi(struct buf *b, int64_t n)
{
    if (buf_reserve(b, BUF_INT_MAX))
        return -1;
    b->len = (size_t)(buf_put_int(b->data + b->len, n) - b->data);
    return 0;
}

int buf_addhex(struct buf *b, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";

    if (buf_reserve(b, 2 * n))
        return -1;
    for (size_t i = 0; i < n; i++) {
        b->data[b->len++] = hex[p[i] >> 4];
        b->data[b->len++] = hex[p[i] & 15];
    }
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || buf_reserve(b, (size_t)n + 1))
        return -1;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

int buf_term(struct buf *b)
{
    if (buf_reserve(b, 1))
        return -1;
    b->data[b->len] = '\0';
    return 0;
}
