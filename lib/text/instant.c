#include "text/instant.h"

#include "text/rfc3339.h"

#include <stdbool.h>
#include <string.h>

enum { SECONDS_TEXT = 19, ROOM = 40 };       /* 2025-02-20T10:15:03 */
enum { WHOLE_DIGITS = 17, FINE_DIGITS = 6 }; /* of a number that is one */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits behind a point, as microseconds; how many bytes, -1: there are none. */
static int read_fraction(const char *p, const char *end, int64_t *us)
{
    const char *begin = p;
    int64_t unit = 100000;

    *us = 0;
    for (; p < end && is_digit(*p); p++, unit /= 10)
        *us += (*p - '0') * unit;
    return p == begin ? -1 : (int)(p - begin);
}

/* Z, +09, +0900 or +09:00, as RFC 3339 has it. */
static int put_zone(const char *p, size_t n, char *out)
{
    if (!n) {
        memcpy(out, "Z", 2);
        return 0;
    }
    if (n == 1) {
        out[0] = *p;
        out[1] = '\0';
        return 0;
    }
    if (n != 3 && n != 5 && n != 6)
        return -1;
    memcpy(out, p, 3);
    out[3] = ':';
    memcpy(out + 4, n == 3 ? "00" : p + n - 2, 2);
    out[6] = '\0';
    return n == 6 && p[3] != ':' ? -1 : 0;
}

static int parse_date(struct span s, int64_t *us)
{
    const char *p = s.p + SECONDS_TEXT, *end = s.p + s.n;
    char text[ROOM];
    int64_t ms, fraction = 0;

    memcpy(text, s.p, SECONDS_TEXT);
    if (text[10] == ' ')
        text[10] = 'T';
    if (p < end && *p == '.') {
        int n = read_fraction(p + 1, end, &fraction);

        if (n < 0)
            return -1;
        p += n + 1;
    }
    if (put_zone(p, (size_t)(end - p), text + SECONDS_TEXT) || rfc3339_parse(span_of(text), &ms))
        return -1;
    *us = ms * 1000 + fraction;
    return 0;
}

static int parse_number(struct span s, int64_t *us)
{
    const char *p = s.p, *end = s.p + s.n;
    bool negative = p < end && *p == '-';
    int64_t n = 0, fraction = 0;

    p += negative;
    if (p == end || !is_digit(*p))
        return -1;
    for (; p < end && is_digit(*p); p++) {
        n = 10 * n + (*p - '0');
        if (n >= INT64_C(100000000000000000)) /* microseconds of the year 5138 */
            return -1;
    }
    if (p < end && (*p++ != '.' || read_fraction(p, end, &fraction) != end - p))
        return -1;
    if (n < INT64_C(100000000000))
        n = n * 1000000 + fraction;
    else if (n < INT64_C(100000000000000))
        n = n * 1000 + fraction / 1000;
    *us = negative ? -n : n;
    return 0;
}

int instant_parse(struct span s, int64_t *us)
{
    if (s.n >= SECONDS_TEXT && s.p[4] == '-')
        return parse_date(s, us);
    return parse_number(s, us);
}

/* --- with an exponent --------------------------------------------------- */

/* 0.digits * 10^point, without zeros in front. */
struct spread {
    char digits[WHOLE_DIGITS + FINE_DIGITS];
    int count; /* of those there is room for */
    int64_t point;
};

static void read_spread(const char *p, const char *end, struct spread *n)
{
    bool whole = true;

    *n = (struct spread){.count = 0};
    for (; p < end; p++) {
        if (*p == '.') {
            whole = false;
            continue;
        }
        n->point += whole - (!n->count && *p == '0');
        if ((n->count || *p != '0') && n->count < (int)sizeof n->digits)
            n->digits[n->count++] = *p;
    }
}

static int64_t exponent_of(const char *p, const char *end)
{
    bool negative = *p == '-';
    int64_t n = 0;

    p += negative || *p == '+';
    for (; p < end; p++)
        n = n < INT64_C(1000000000000) ? 10 * n + (*p - '0') : n;
    return negative ? -n : n;
}

int instant_number(struct span s, int64_t *us)
{
    const char *end = s.p + s.n, *e = s.p;
    bool negative = *s.p == '-';
    char text[1 + WHOLE_DIGITS + 1 + FINE_DIGITS];
    struct spread n;
    size_t at = 0;

    while (e < end && (*e | 32) != 'e')
        e++;
    if (e == end)
        return parse_number(s, us);
    read_spread(s.p + negative, e, &n);
    n.point += exponent_of(e + 1, end);
    if (!n.count || n.point <= -FINE_DIGITS)
        return parse_number(SPAN("0"), us);
    if (n.point > WHOLE_DIGITS)
        return -1;
    if (negative)
        text[at++] = '-';
    for (int64_t i = n.point < 1 ? n.point - 1 : 0; i < n.point + FINE_DIGITS; i++) {
        if (i == n.point)
            text[at++] = '.';
        text[at++] = '0';
        if (i >= 0 && i < n.count)
            text[at - 1] = n.digits[i];
    }
    return parse_number((struct span){text, at}, us);
}
