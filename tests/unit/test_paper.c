/* A key on paper: what was typed as it stands there comes back, in whatever form, and what
 * was mistyped is named. */
#include "http/paper.h"

#include "base/rng.h"

#include "tap.h"

#include <ctype.h>
#include <stdlib.h>

static uint8_t secret[KEY_BYTES], back[KEY_BYTES];
static char lines[PAPER_LINES][PAPER_LINE], why[PAPER_WHY], page[2048], kid[KEY_ID];

/* fmt has the four lines as %s. */
static int read_as(const char *fmt)
{
    memset(back, 0, sizeof back);
    snprintf(why, sizeof why, "-");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(page, sizeof page, fmt, lines[0], lines[1], lines[2], lines[3]);
#pragma GCC diagnostic pop
    return paper_read(span_of(page), back, why);
}

static void good(const char *fmt, const char *name)
{
    int rc = read_as(fmt);

    if (!ok(!rc && !memcmp(back, secret, KEY_BYTES), "%s", name))
        printf("# %d: %s\n", rc, why);
}

static void bad(const char *fmt, const char *wanted, const char *name)
{
    static const uint8_t nothing[KEY_BYTES];
    int rc = read_as(fmt);

    if (!ok(rc == -1 && strstr(why, wanted) && !memcmp(back, nothing, KEY_BYTES), "%s", name))
        printf("# %d: %s\n", rc, why);
}

static void forms(void)
{
    char text[64];

    good("1: %s\n2: %s\n3: %s\n4: %s\n", "four lines");
    good("1: %s 2: %s 3: %s 4: %s", "one line, and no end of it");
    good("4: %4$s\n3: %3$s\n2: %2$s\n1: %1$s\n", "in another order");
    good("1:%s\r\n\r\n2:%s\r\n3:\t%s\r\n4:%s\r\n", "with CRLF and empty lines");
    good("%s\n%s\n%s\n%s\n", "without numbers");
    good("  %s - %s - %s - %s ", "without numbers, in one line, with hyphens");
    good("Dear 7 of 9: here is\n 1: %s\n and more\n2: %s\nfoo: bar\n3: %s\n4: %s\nBye, 12:30\n",
         "with other text around");
    good("1: %1$s\n1: %1$s\n2: %2$s\n3: %3$s\n4: %4$s\n", "a line twice");
    snprintf(text, sizeof text, "1: %%s\n2: %%s\n3: %%s\n4: %%s\nkey id  %s\n", kid);
    good(text, "with its id");
    for (char *c = text; *c; c++)
        *c = *c == 's' ? 's' : (char)toupper((unsigned char)*c);
    good(text, "with its id in capital letters");
    bad("1: %s\n2: %s\n3: %s\n4: %s\nkey id  00000000\n", "key id: 00000000 is there",
        "with another key's id");
    bad("1: %s\n2: %s\n4: %4$s\n", "line 3: missing", "three lines");
    bad("1: %2$s\n2: %1$s\n3: %3$s\n4: %4$s\n", "line 1: mistyped", "two lines exchanged");
    bad("%s\n%s\n%4$s\n%3$s\n", "line 3: mistyped", "and without numbers");
    bad("1: %sA\n2: %s\n3: %s\n4: %s\n", "line 1: longer than 16", "a character more");
    bad("1: %s\n2: %.18s\n3: %s\n4: %s\n", "line 2: has 15 characters", "one less");
    bad("1: %s\n2: %s\n3: %s\n4: %.18s", "line 4: has 15 characters", "one less at the end");
    bad("1: %s\n2: %s\n3: U%s\n4: %s\n", "line 3: has a character", "a U");
    bad("1: %s\n2: %s\n3: \x80%s\n4: %s\n", "line 3: has a character", "a byte that is no text");
    bad("%s %s %s %s 0", "no key in it", "65 characters without numbers");
    bad("%s %s %s %.18s", "no key in it", "63 of them");
    bad("", "no key in it", "nothing");
    bad("3", "no key in it", "half a number");
    bad("1:", "line 1: has 0", "a number, and the end");
}

/* Letters for digits, small letters, broken lines. */
static void sloppy(void)
{
    size_t n = 0;
    char text[512];

    for (int i = 0; i < PAPER_LINES; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%d:", i + 1);
        for (const char *c = lines[i]; *c; c++) {
            char typed = *c == '1' ? (i % 2 ? 'l' : 'I') : *c == '0' ? 'o' : *c;

            n +=
                (size_t)snprintf(text + n, sizeof text - n, "%s%c", i == 2 && *c == ' ' ? "\n" : "",
                                 typed == 'I' ? typed : tolower((unsigned char)typed));
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    }
    memset(back, 0, sizeof back);
    ok(!paper_read((struct span){text, n}, back, why) && !memcmp(back, secret, KEY_BYTES),
       "small letters, l and I for 1, o for 0, a line broken at each group");
}

/* One wrong character, or two neighbours exchanged, anywhere: the line is named. */
static void mistakes(void)
{
    int taken = 0, misnamed = 0, tried = 0;
    char want[16];

    for (int i = 0; i < PAPER_LINES; i++)
        for (int at = 0; at < PAPER_LINE - 1; at++)
            for (const char *c = "0123456789ABCDEFGHJKMNPQRSTVWXYZ "; *c; c++) {
                char before = lines[i][at], next = lines[i][at + 1];
                bool swap = *c == ' ';

                if (before == *c || before == ' ' ||
                    (swap && (!next || next == ' ' || next == before)))
                    continue;
                lines[i][at] = swap ? next : *c;
                if (swap)
                    lines[i][at + 1] = before;
                snprintf(want, sizeof want, "line %d: ", i + 1);
                tried++;
                if (!read_as("1: %s\n2: %s\n3: %s\n4: %s\n"))
                    taken++;
                else
                    misnamed += !strstr(why, want);
                lines[i][at] = before;
                lines[i][at + 1] = next;
            }
    ok(tried > 1900, "%d mistakes", tried);
    is_int(taken, 0, "none is taken");
    is_int(misnamed, 0, "each is named by its line");
}

static void many(void)
{
    struct err e = ERR_NONE;
    int wrong = 0;

    for (int i = 0; i < 1000; i++) {
        if (rng_bytes(secret, sizeof secret, &e))
            wrong++;
        paper_write(secret, lines);
        wrong += read_as("1: %s\n2: %s\n3: %s\n4: %s\n") || memcmp(back, secret, KEY_BYTES);
    }
    is_int(wrong, 0, "a thousand keys come back");
}

int main(void)
{
    plan(1 + 24 + 1 + 3 + 1 + 1);
    for (int i = 0; i < KEY_BYTES; i++)
        secret[i] = (uint8_t)(i * 37 + 11);
    paper_write(secret, lines);
    keys_name(secret, kid);
    is_str(lines[3], "GEMC VWGQ 7HGR CZAG", "the form does not change: paper lives long");
    forms();
    sloppy();
    mistakes();
    many();
    memset(secret, 0xff, sizeof secret);
    paper_write(secret, lines);
    good("1: %s\n2: %s\n3: %s\n4: %s\n", "a key of ones");
    return done();
}
