#include "http/paper.h"

#include "http/hmac.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CHARS = 16, BYTES = 8, CHECK = 2 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* --- lines -------------------------------------------------------------- */

static void check_of(int line, const uint8_t bytes[static BYTES], uint8_t check[static CHECK])
{
    const char number = (char)('1' + line);
    const struct span parts[] = {{&number, 1}, {(const char *)bytes, BYTES}};
    uint8_t sum[HMAC_BYTES];

    hmac_of(SPAN("lifeboat paper"), parts, 2, sum);
    memcpy(check, sum, CHECK);
}

static void write_line(int line, const uint8_t bytes[static BYTES], char out[static PAPER_LINE])
{
    uint8_t all[BYTES + CHECK];
    char *at = out;

    memcpy(all, bytes, BYTES);
    check_of(line, bytes, all + BYTES);
    for (int i = 0; i < CHARS; i++) {
        int bit = 5 * i, byte = bit / 8;
        unsigned two = (unsigned)all[byte] << 8 | (byte + 1 < BYTES + CHECK ? all[byte + 1] : 0);

        if (i && i % 4 == 0)
            *at++ = ' ';
        *at++ = alphabet[two >> (11 - bit % 8) & 31];
    }
    *at = '\0';
    explicit_bzero(all, sizeof all);
}

void paper_write(const uint8_t secret[static KEY_BYTES], char lines[PAPER_LINES][PAPER_LINE])
{
    for (int i = 0; i < PAPER_LINES; i++)
        write_line(i, secret + (size_t)i * BYTES, lines[i]);
}

/* 0 to 31, or -1. */
static int value_of(char c)
{
    int upper = toupper((unsigned char)c);
    const char *at;

    if (upper == 'I' || upper == 'L')
        return 1;
    if (upper == 'O')
        return 0;
    at = upper ? strchr(alphabet, upper) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static int read_line(int line, const uint8_t values[static CHARS], uint8_t bytes[static BYTES])
{
    uint8_t all[BYTES + CHECK] = {0}, check[CHECK];
    int rc;

    for (int i = 0; i < 5 * CHARS; i++)
        if (values[i / 5] >> (4 - i % 5) & 1)
            all[i / 8] |= (uint8_t)(0x80 >> i % 8);
    memcpy(bytes, all, BYTES);
    check_of(line, bytes, check);
    rc = memcmp(check, all + BYTES, CHECK) ? -1 : 0;
    explicit_bzero(all, sizeof all);
    return rc;
}

/* --- the page ----------------------------------------------------------- */

struct page {
    const char *at, *end;
    char *why;
    uint8_t *secret;
    bool have[PAPER_LINES];
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Does "1:" to "4:" stand at p, at the beginning or behind a space? Which, or -1. */
static int number_at(const struct page *g, const char *begin, const char *p)
{
    if (g->end - p < 2 || *p < '1' || *p > '4' || p[1] != ':' || (p > begin && !is_space(p[-1])))
        return -1;
    return *p - '1';
}

static int fault(struct page *g, int line, const char *why)
{
    snprintf(g->why, PAPER_WHY, "line %d: %s", line + 1, why);
    return -1;
}

static int keep(struct page *g, int line, const uint8_t values[static CHARS])
{
    uint8_t bytes[BYTES];

    if (read_line(line, values, bytes))
        return fault(g, line, "mistyped: its check does not fit");
    if (g->have[line] && memcmp(g->secret + (size_t)line * BYTES, bytes, BYTES))
        return fault(g, line, "is there twice, and not the same");
    memcpy(g->secret + (size_t)line * BYTES, bytes, BYTES);
    g->have[line] = true;
    explicit_bzero(bytes, sizeof bytes);
    return 0;
}

/* The characters behind a number. A line may be broken, and ends where it is full. */
static int take_line(struct page *g, const char *begin, int line)
{
    uint8_t values[CHARS];
    char text[80];
    int n = 0;

    for (; g->at < g->end && number_at(g, begin, g->at) < 0; g->at++) {
        int v = value_of(*g->at);

        if (*g->at == '\n' && n == CHARS)
            break;
        if (is_space(*g->at) || *g->at == '-')
            continue;
        if (v < 0)
            return fault(g, line, "has a character that is not one of a key's");
        if (n == CHARS)
            return fault(g, line, "longer than 16 characters");
        values[n++] = (uint8_t)v;
    }
    if (n == CHARS)
        return keep(g, line, values);
    snprintf(text, sizeof text, "has %d characters, wants 16", n);
    return fault(g, line, text);
}

/* Nothing but the 64 characters. */
static int take_bare(struct page *g, const char *begin)
{
    uint8_t values[PAPER_LINES * CHARS];
    size_t n = 0;

    for (const char *p = begin; p < g->end; p++) {
        if (is_space(*p) || *p == '-')
            continue;
        if (value_of(*p) < 0 || n == sizeof values) {
            n = 0;
            break;
        }
        values[n++] = (uint8_t)value_of(*p);
    }
    if (n != sizeof values) {
        snprintf(g->why, PAPER_WHY, "no key in it: wants the four lines that begin with 1: to 4:");
        return -1;
    }
    for (int i = 0; i < PAPER_LINES; i++)
        if (keep(g, i, values + (size_t)i * CHARS))
            return -1;
    explicit_bzero(values, sizeof values);
    return 0;
}

/* The id that the page names, if it names one. */
static int check_id(struct page *g, const char *begin)
{
    static const char words[] = "key id";
    size_t length = sizeof words - 1;
    char kid[KEY_ID], found[KEY_ID] = "";

    keys_name(g->secret, kid);
    for (const char *p = begin; (size_t)(g->end - p) >= length; p++) {
        const char *at = p + length;
        int n = 0;

        if (strncasecmp(p, words, length))
            continue;
        while (at < g->end && (is_space(*at) || *at == ':'))
            at++;
        for (; n < KEY_ID - 1 && at < g->end && isxdigit((unsigned char)*at); n++, at++)
            found[n] = (char)tolower((unsigned char)*at);
        found[n] = '\0';
        if (n == KEY_ID - 1 && strcmp(found, kid)) {
            snprintf(g->why, PAPER_WHY, "key id: %s is there, but these lines are key %s", found,
                     kid);
            return -1;
        }
    }
    return 0;
}

static int read_page(struct page *g, struct span text)
{
    bool any = false;

    while (g->at < g->end) {
        int line = number_at(g, text.p, g->at);

        if (line < 0) {
            g->at++;
            continue;
        }
        g->at += 2;
        any = true;
        if (take_line(g, text.p, line))
            return -1;
    }
    if (!any && take_bare(g, text.p))
        return -1;
    for (int i = 0; i < PAPER_LINES; i++)
        if (!g->have[i])
            return fault(g, i, "missing");
    return check_id(g, text.p);
}

int paper_read(struct span text, uint8_t secret[static KEY_BYTES], char why[static PAPER_WHY])
{
    struct page g = {.at = text.p, .end = text.p + text.n, .why = why, .secret = secret};
    int rc = read_page(&g, text);

    if (rc)
        explicit_bzero(secret, KEY_BYTES);
    return rc;
}
