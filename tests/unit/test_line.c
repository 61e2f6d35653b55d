#include "text/line.h"

#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file in memory that holds text, ready to be read. */
static int file_of(const void *text, size_t n)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    if (fd < 0 || write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET))
        printf("# no file in memory\n");
    return fd;
}

/* --- short inputs ------------------------------------------------------- */

#define T(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* Each line as [number@offset:text], an over-long one's pieces as <...>. */
static const struct {
    const char *name;
    struct span in;
    const char *want;
} inputs[] = {
    {"nothing", T(""), ""},
    {"one line", T("a\n"), "[1@0:a]"},
    {"two lines", T("a\nbc\n"), "[1@0:a][2@2:bc]"},
    {"a last line without its end", T("a\nbc"), "[1@0:a][2@2:bc]"},
    {"CRLF", T("a\r\nbc\r\n"), "[1@0:a][2@3:bc]"},
    {"a last line that ends with CR", T("a\r\nbc\r"), "[1@0:a][2@3:bc]"},
    {"a CR inside a line", T("a\rb\n"), "[1@0:a\rb]"},
    {"two CRs at the end", T("a\r\r\n"), "[1@0:a\r]"},
    {"blank lines", T("\n \t\n\r\na\n\n"), "[1@0:][2@1:][3@4:][4@6:a][5@8:]"},
    {"white space around text", T(" a \n"), "[1@0: a ]"},
    {"a BOM",
     T("\xef\xbb\xbf"
       "a\nb\n"),
     "[1@0:a][2@5:b]"},
    {"a BOM alone", T("\xef\xbb\xbf"), "[1@0:]"},
    {"a BOM and CRLF", T("\xef\xbb\xbf\r\na\n"), "[1@0:][2@5:a]"},
    {"a BOM in a later line",
     T("a\n\xef\xbb\xbf"
       "b\n"),
     "[1@0:a][2@2:\xef\xbb\xbf"
     "b]"},
    {"two BOMs",
     T("\xef\xbb\xbf\xef\xbb\xbf"
       "a\n"),
     "[1@0:\xef\xbb\xbf"
     "a]"},
    {"part of a BOM", T("\xef\xbb\n"), "[1@0:\xef\xbb]"},
    {"a NUL in a line", T("a\0b\n"), "[1@0:a.b]"},
    /* the limit is 8 bytes */
    {"a line at the limit", T("12345678\na\n"), "[1@0:12345678][2@9:a]"},
    {"a line at the limit with CRLF", T("12345678\r\na\n"), "[1@0:12345678][2@10:a]"},
    {"a last line at the limit without its end", T("12345678"), "[1@0:12345678]"},
    {"a line beyond the limit", T("123456789\na\n"), "<1@0:123456789/>[2@10:a]"},
    {"a line beyond the limit with CRLF", T("123456789\r\na\n"), "<1@0:123456789\r/>[2@11:a]"},
    {"a last line beyond the limit without its end", T("a\n123456789"), "[1@0:a]<2@2:123456789>"},
    {"a line far beyond the limit", T("a\n1234567890123456789\nb\n"),
     "[1@0:a]<2@2:1234567890123456789/>[3@22:b]"},
    {"two lines beyond the limit", T("1234567890\n1234567890\n"),
     "<1@0:1234567890/><2@11:1234567890/>"},
    {"a blank line beyond the limit", T("         \n"), "<1@0:         />"},
};

enum { INPUTS = sizeof inputs / sizeof *inputs, LIMIT = 8 };

static void put_bytes(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_addc(out, (char)(s.p[i] == '\n' ? '/' : s.p[i] ? s.p[i] : '.'));
}

/* Reads all and describes it; pieces must follow one upon the other. */
static void describe(struct line_reader *r, struct buf *out, int *wrong)
{
    struct err e = ERR_NONE;
    enum line_result got;
    struct line l;
    bool inside = false;
    uint64_t next = 0;

    while ((got = line_next(r, true, &l, &e)) == LINE_OK || got == LINE_LONG) {
        *wrong += l.offset != next;
        next += l.raw.n;
        if (got == LINE_OK) {
            *wrong += inside || !l.first || !l.last;
            buf_printf(out, "[%d@%d:", (int)l.number, (int)l.offset);
            put_bytes(out, l.text);
            buf_addc(out, ']');
            continue;
        }
        *wrong += l.first == inside;
        if (l.first)
            buf_printf(out, "<%d@%d:", (int)l.number, (int)l.offset);
        put_bytes(out, l.raw);
        inside = !l.last;
        if (l.last)
            buf_addc(out, '>');
    }
    *wrong += got != LINE_EOF || inside;
    buf_term(out);
}

static void check_inputs(void)
{
    for (int i = 0; i < INPUTS; i++) {
        struct line_reader r;
        struct buf out = {0};
        int fd = file_of(inputs[i].in.p, inputs[i].in.n), wrong = 0;

        line_open(&r, fd, "input", LIMIT);
        describe(&r, &out, &wrong);
        is_str(out.data, inputs[i].want, "%s", inputs[i].name);
        is_int(wrong, 0, "every byte is in one line, in order");
        line_close(&r);
        close(fd);
        buf_free(&out);
    }
}

/* However a pipe cuts the bytes, the lines are the same. */
static void check_cuts(void)
{
    int wrong = 0, differ = 0;

    for (int i = 0; i < INPUTS; i++) {
        for (size_t cut = 1; cut < 4; cut++) {
            struct line_reader r;
            struct buf out = {0};
            int ends[2];

            if (pipe(ends))
                return;
            if (!fork()) {
                close(ends[0]);
                for (size_t at = 0; at < inputs[i].in.n; at += cut) {
                    size_t n = inputs[i].in.n - at;

                    if (write(ends[1], inputs[i].in.p + at, n < cut ? n : cut) < 0)
                        _exit(1);
                    usleep(200);
                }
                _exit(0);
            }
            close(ends[1]);
            line_open(&r, ends[0], "pipe", LIMIT);
            describe(&r, &out, &wrong);
            differ += strcmp(out.data, inputs[i].want) != 0;
            line_close(&r);
            close(ends[0]);
            buf_free(&out);
        }
    }
    is_int(differ + wrong, 0, "a pipe that trickles gives the same lines");
}

/* --- waiting and holding ------------------------------------------------ */

static void check_waiting(void)
{
    struct err e = ERR_NONE;
    struct line_reader r;
    struct line l, first;
    int ends[2];

    if (pipe(ends))
        return;
    line_open(&r, ends[0], "pipe", 100);
    is_int(line_next(&r, false, &l, &e), LINE_NONE, "an empty pipe has no line now");
    ok(write(ends[1], "one\ntwo\nthr", 11) == 11, "two lines and a half are written");
    is_int(line_next(&r, false, &first, &e), LINE_OK, "the first is there without waiting");
    is_int(line_next(&r, false, &l, &e), LINE_OK, "so is the second");
    ok(span_eq(l.text, SPAN("two")) && span_eq(l.raw, SPAN("two\n")), "as it was written");
    is_int(line_next(&r, false, &l, &e), LINE_NONE, "the half is not a line yet");
    ok(span_eq(first.text, SPAN("one")), "the first is still in its place");
    line_release(&r);
    ok(write(ends[1], "ee\n", 3) == 3, "the rest of it is written");
    is_int(line_next(&r, true, &l, &e), LINE_OK, "now it is a line");
    ok(span_eq(l.text, SPAN("three")) && l.number == 3 && l.offset == 8,
       "with its number and offset");
    close(ends[1]);
    is_int(line_next(&r, false, &l, &e), LINE_EOF, "the end is seen");
    is_int(line_next(&r, true, &l, &e), LINE_EOF, "and seen again");
    line_close(&r);
    close(ends[0]);
}

/* A flood: the lines of a batch stay where they are until released, and all
 * come, in order. */
static void check_flood(void)
{
    enum { LINES = 300000 };
    struct buf text = {0};
    struct line_reader r;
    struct err e = ERR_NONE;
    struct line l;
    uint64_t next = 0, held = 0, most = 0;
    struct span oldest = {NULL, 0};
    char want[64];
    int wrong = 0, fd, got;
    bool wait = true;

    for (int i = 0; i < LINES; i++)
        buf_printf(&text, "line %d with some text behind it\n", i);
    fd = file_of(text.data, text.len);
    line_open(&r, fd, "flood", LINE_MAX_DEFAULT);
    while ((got = line_next(&r, wait, &l, &e)) != LINE_EOF) {
        if (got == LINE_OK) {
            int n = snprintf(want, sizeof want, "line %d with some text behind it", (int)next++);

            wrong += !span_eq(l.text, (struct span){want, (size_t)n});
            if (!held++)
                oldest = l.text;
            wait = false;
            continue;
        }
        wrong += got != LINE_NONE;
        snprintf(want, sizeof want, "line %d with", (int)(next - held));
        wrong += held && memcmp(oldest.p, want, strlen(want)) != 0;
        most = held > most ? held : most;
        held = 0;
        wait = true;
        line_release(&r);
    }
    ok(!wrong && next == LINES,
       "every line of a flood comes, in order, and stays while it is held");
    ok(most > 100000, "batches of a flood grow large");
    line_close(&r);
    close(fd);
    buf_free(&text);
}

/* A line larger than any buffer, cut into pieces that are the line again. */
static void check_monster(void)
{
    enum { SIZE = 20 << 20 };
    char *text = malloc(SIZE);
    struct line_reader r;
    struct err e = ERR_NONE;
    struct line l;
    size_t sum = 0;
    int fd, got, pieces = 0, wrong = 0;

    if (!text)
        return;
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i % 23);
    text[SIZE - 3] = '\n';
    text[SIZE - 2] = 'z';
    text[SIZE - 1] = '\n';
    fd = file_of(text, SIZE);
    line_open(&r, fd, "monster", 1 << 20);
    while ((got = line_next(&r, true, &l, &e)) == LINE_LONG) {
        wrong += memcmp(l.raw.p, text + sum, l.raw.n) != 0;
        sum += l.raw.n;
        pieces++;
        line_release(&r);
    }
    ok(!wrong && pieces > 1 && sum == SIZE - 2, "the pieces of 20 MiB are the line");
    ok(got == LINE_OK && span_eq(l.text, SPAN("z")) && l.number == 2, "the next line is whole");
    ok(r.cap <= 8u << 20, "and no memory was taken for it");
    line_close(&r);
    close(fd);
    free(text);
}

static void check_errors(void)
{
    struct err e = ERR_NONE;
    struct line_reader r;
    struct line l;
    int fd = open("/", O_RDONLY | O_CLOEXEC);

    line_open(&r, fd, "a folder", 100);
    is_int(line_next(&r, true, &l, &e), LINE_ERROR, "a descriptor that cannot be read is an error");
    ok(e.status == EX_IOERR && strstr(e.msg, "a folder"), "of input, and names it");
    line_close(&r);
    close(fd);
}

int main(void)
{
    plan(2 * INPUTS + 1 + 12 + 2 + 3 + 2);
    check_inputs();
    check_cuts();
    check_waiting();
    check_flood();
    check_monster();
    check_errors();
    return done();
}
