/* buf: a growable run of bytes.
 *
 * A struct buf that is all zeros is empty and ready. data is owned by the buf
 * and moves when it grows; it is not terminated unless buf_term was called.
 * Every function that can grow returns 0, or -1 when memory ran out, and then
 * leaves the contents as they were. */
#ifndef LIFEBOAT_BUF_H
#define LIFEBOAT_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len, cap;
};

/* A run of bytes owned by somebody else. */
struct span {
    const char *p;
    size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

struct span span_of(const char *text);
/* What it holds, as long as it is left alone; p is never NULL. */
struct span buf_span(const struct buf *b);
int span_eq(struct span a, struct span b);
/* Order of bytes, the shorter first where one begins the other. */
int span_cmp(struct span a, struct span b);

void buf_free(struct buf *b);
void buf_clear(struct buf *b);
int buf_reserve(struct buf *b, size_t more);
int buf_add(struct buf *b, const void *p, size_t n);
int buf_addc(struct buf *b, char c);
int buf_adds(struct buf *b, const char *text);
int buf_addu(struct buf *b, uint64_t n);
int buf_addi(struct buf *b, int64_t n);

/* Writes n in decimal into room for BUF_INT_MAX bytes; returns its end. */
enum { BUF_INT_MAX = 20 };
char *buf_put_int(char *at, int64_t n);

int buf_addhex(struct buf *b, const uint8_t *p, size_t n);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends the text with a NUL that len does not count. */
int buf_term(struct buf *b);

#endif
