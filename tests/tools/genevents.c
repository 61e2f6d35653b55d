/* genevents COUNT [SEED [BIG]]: random event lines, always the same for the
 * same arguments. Strings of odd Unicode, numbers of 40 digits and more,
 * repeated keys, members nobody knows; event number BIG (default: the middle
 * one) has a payload of 1 MB. An event holding something that other programs
 * are known to change, or not to read at all, has the member "wild":true; and
 * "keys":true for repeated keys, "lone":true for a surrogate on its own. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state;

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(next() % n);
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* What this event holds that others may change. */
static bool wild, keys, lone;
static bool may_be_wild;

static void put_utf8(unsigned c)
{
    if (c < 0x80) {
        putchar((int)c);
    } else if (c < 0x800) {
        putchar((int)(0xc0 | c >> 6));
        putchar((int)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        putchar((int)(0xe0 | c >> 12));
        putchar((int)(0x80 | (c >> 6 & 63)));
        putchar((int)(0x80 | (c & 63)));
    } else {
        putchar((int)(0xf0 | c >> 18));
        putchar((int)(0x80 | (c >> 12 & 63)));
        putchar((int)(0x80 | (c >> 6 & 63)));
        putchar((int)(0x80 | (c & 63)));
    }
}

static void put_escape(unsigned c)
{
    static const char *const forms[] = {"\\u%04x", "\\u%04X"};
    const char *form = forms[below(2)];

    if (c < 0x10000) {
        printf(form, c);
    } else {
        printf(form, 0xd800 + ((c - 0x10000) >> 10));
        printf(form, 0xdc00 + ((c - 0x10000) & 0x3ff));
    }
}

static unsigned character(void)
{
    /* Marks of direction, joiners, the BOM, the last of each length, a
     * letter in two parts, emoji, private use, what is no character. */
    static const unsigned odd[] = {0x7f,     0x80,   0x7ff,  0x800,  0xffff,  0x10000,
                                   0x10ffff, 0x200d, 0x200f, 0x202e, 0x2028,  0xfeff,
                                   0xfffd,   0xfffe, 0x301,  0xe9,   0x1f600, 0x1f9d1,
                                   0xe000,   0xd7ff, 0x5bff, 0x624b, 0x3a9,   0xdf};
    unsigned c;

    if (one_in(3))
        return odd[below(sizeof odd / sizeof *odd)];
    if (!one_in(4))
        return ' ' + below(95);
    do
        c = 0x20 + below(0x10ffe0);
    while (c >= 0xd800 && c < 0xe000);
    return c;
}

static void put_string(unsigned most, bool payload)
{
    unsigned n = below(most + 1);

    putchar('"');
    for (unsigned i = 0; i < n; i++) {
        unsigned c = character();

        if (payload && may_be_wild && one_in(200)) {
            wild = lone = true;
            put_escape(0xd800 + below(0x800));
            putchar(' ');
        } else if (payload && one_in(50)) {
            put_escape(below(0x20)); /* a control, NUL among them */
        } else if (c == '"' || c == '\\') {
            printf("\\%c", (int)c);
        } else if (one_in(8)) {
            put_escape(c);
        } else {
            put_utf8(c);
        }
    }
    putchar('"');
}

static void put_digits(unsigned n)
{
    putchar((int)('1' + below(9)));
    for (unsigned i = 1; i < n; i++)
        putchar((int)('0' + below(10)));
}

static void put_number(void)
{
    static const char *const spelt[] = {"-0",    "0.0",       "1.0",  "1E3",   "100e-2",
                                        "-1.50", "1.000e+02", "12e0", "0.5e1", "-0.25"};

    if (may_be_wild && one_in(4)) {
        wild = true;
        if (one_in(2))
            putchar('-');
        put_digits(17 + below(30));
        if (one_in(2)) {
            putchar('.');
            put_digits(1 + below(30));
        }
        if (one_in(2)) {
            printf("e%s", one_in(2) ? "-" : "+");
            put_digits(1 + below(25));
        }
    } else if (one_in(3)) {
        printf("%s", spelt[below(sizeof spelt / sizeof *spelt)]);
    } else {
        printf("%d", (int)below(1000000) - 500000);
    }
}

static void put_space(void)
{
    if (one_in(10))
        putchar(' ');
}

static void put_value(unsigned depth);

static void put_object(unsigned depth)
{
    unsigned n = below(6);

    putchar('{');
    for (unsigned i = 0; i < n; i++) {
        if (i)
            putchar(',');
        put_space();
        if (may_be_wild && i && one_in(20)) {
            wild = keys = true;
            printf("\"k0\":%u,\"k0\"", i + 1);
        } else {
            printf("\"k%u\"", i);
        }
        put_space();
        putchar(':');
        put_value(depth - 1);
    }
    putchar('}');
}

static void put_array(unsigned depth)
{
    unsigned n = below(5);

    putchar('[');
    for (unsigned i = 0; i < n; i++) {
        if (i)
            putchar(',');
        put_value(depth - 1);
    }
    put_space();
    putchar(']');
}

static void put_value(unsigned depth)
{
    static const char *const words[] = {"null", "true", "false"};

    put_space();
    switch (below(depth ? 7 : 4)) {
    case 0:
        printf("%s", words[below(3)]);
        break;
    case 1:
        put_number();
        break;
    case 2:
    case 3:
        put_string(12, true);
        break;
    case 4:
        put_array(depth);
        break;
    default:
        put_object(depth);
    }
    put_space();
}

static void put_text(const char *name, unsigned most)
{
    printf(",\"%s\":", name);
    put_string(most, false);
}

static void put_big(void)
{
    printf("{\"image\":\"");
    for (int i = 0; i < 1000000; i++)
        putchar("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[below(64)]);
    printf("\"}");
}

static void put_event(unsigned long n, bool big)
{
    static const char *const types[] = {"T", "NODE_SOFT_DELETED", "手術", "x.y"};
    unsigned late = one_in(5) ? below(100000) : 0;
    uint64_t ms = 1768000000000u + 10 * (uint64_t)n - late;

    wild = keys = lone = false;
    may_be_wild = one_in(2);
    printf("{\"event_id\":\"evt_%lu.%c:%x\"", n, (int)('A' + below(26)), below(65536));
    printf(",\"entity_type\":\"t%u\",\"entity_id\":\"E-%u\"", below(4), below(50));
    printf(",\"actor_id\":\"a%u\",\"event_type\":\"%s\"", below(9), types[below(4)]);
    printf(",\"ts_device\":%" PRIu64, ms);
    if (one_in(2))
        printf(",\"hlc\":\"%012" PRIx64 ".%04x\"", ms + below(3), below(65536));
    if (one_in(2))
        put_text("actor_name", 10);
    if (one_in(3))
        put_text("actor_role", 4);
    if (one_in(2))
        put_text("device_id", 6);
    if (one_in(4))
        put_text("site_id", 3);
    if (one_in(4))
        put_text("correlation_id", 5);
    if (one_in(4))
        printf(",\"causation_id\":\"evt_%lu\"", n / 2);
    if (one_in(5))
        printf(",\"entity_version\":%u", below(100));
    printf(",\"payload\":");
    if (big)
        put_big();
    else
        put_value(5);
    for (unsigned u = below(4); u; u--) {
        printf(",\"u%u\":", u);
        put_value(2);
    }
    if (wild)
        printf(",\"wild\":true");
    if (keys)
        printf(",\"keys\":true");
    if (lone)
        printf(",\"lone\":true");
    printf("}\n");
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long big = argc > 3 ? strtoul(argv[3], NULL, 10) : count / 2;

    if (!count) {
        fprintf(stderr, "usage: genevents COUNT [SEED [BIG]]\n");
        return 64;
    }
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (unsigned long n = 1; n <= count; n++)
        put_event(n, n == big);
    return ferror(stdout) || fclose(stdout) ? 74 : 0;
}
