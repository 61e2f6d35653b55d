/* tap: checks that print the Test Anything Protocol.
 *
 *     plan(2);
 *     ok(list_empty(&l), "a new list is empty");
 *     is_int(list_len(&l), 0, "and its length is nothing");
 *     return done();
 *
 * Every check is named with a sentence, takes its arguments once and returns
 * whether it held. done() returns the exit status: 0 when all held and as
 * many as planned were run, else 1. */
#ifndef LIFEBOAT_TAP_H
#define LIFEBOAT_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_planned, tap_run, tap_failed;

static inline void plan(int count)
{
    tap_planned = count;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%d\n", count);
}

static inline __attribute__((format(printf, 4, 0))) int
tap_check(int held, const char *file, int line, const char *name, va_list ap)
{
    tap_run++;
    printf("%s %d - ", held ? "ok" : "not ok", tap_run);
    vprintf(name, ap);
    putchar('\n');
    if (!held) {
        tap_failed++;
        printf("# at %s:%d\n", file, line);
    }
    return held;
}

static inline __attribute__((format(printf, 4, 5))) int tap_ok(int held, const char *file, int line,
                                                               const char *name, ...)
{
    va_list ap;

    va_start(ap, name);
    tap_check(held, file, line, name, ap);
    va_end(ap);
    return held;
}

static inline __attribute__((format(printf, 5, 6))) int
tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *name, ...)
{
    va_list ap;

    va_start(ap, name);
    tap_check(got == want, file, line, name, ap);
    va_end(ap);
    if (got != want)
        printf("#      got: %" PRId64 "\n# expected: %" PRId64 "\n", got, want);
    return got == want;
}

static inline __attribute__((format(printf, 5, 6))) int
tap_is_str(const char *got, const char *want, const char *file, int line, const char *name, ...)
{
    int held = got == want || (got && want && strcmp(got, want) == 0);
    va_list ap;

    va_start(ap, name);
    tap_check(held, file, line, name, ap);
    va_end(ap);
    if (!held)
        printf("#      got: %s\n# expected: %s\n", got ? got : "(null)", want ? want : "(null)");
    return held;
}

/* The name may be a format of printf with its arguments behind it. */
#define ok(held, ...)          tap_ok((held) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...) tap_is_int((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) tap_is_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)

static inline int done(void)
{
    if (tap_run != tap_planned)
        printf("# planned %d checks, ran %d\n", tap_planned, tap_run);
    if (tap_failed)
        printf("# %d of %d checks failed\n", tap_failed, tap_run);
    return tap_failed || tap_run != tap_planned;
}

#endif
