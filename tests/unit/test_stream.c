#include "http/stream.h"

#include "tap.h"

#include <string.h>

#define CURSOR "0123456789abcdef:7:89abcdef"

static const struct {
    const char *text, *name;
} bad[] = {
    {"", "nothing"},
    {"start", "start"},
    {CURSOR, "a cursor alone"},
    {CURSOR "~j1", "no cache change"},
    {CURSOR "~c1", "no job change"},
    {CURSOR "~c1~j1", "the changes in the other order"},
    {CURSOR "~j~c1", "no number of a job change"},
    {CURSOR "~j1~c", "no number of a cache change"},
    {CURSOR "~j-1~c1", "a change below 0"},
    {CURSOR "~j+1~c1", "a change with a sign"},
    {CURSOR "~j 1~c1", "a change with a space"},
    {CURSOR "~j01~c1", "a change with a 0 in front"},
    {CURSOR "~j1~c00", "a change 00"},
    {CURSOR "~j0x1~c1", "a change in hexadecimal"},
    {CURSOR "~j9223372036854775808~c1", "a change beyond 63 bits"},
    {CURSOR "~j1~c99999999999999999999", "a change of 20 digits"},
    {CURSOR "~j1~c1~", "a tilde at the end"},
    {CURSOR "~j1~c1 ", "a space at the end"},
    {CURSOR "~j1~c1\n", "a newline at the end"},
    {CURSOR "~j1~c1\r\nX: y", "a header behind it"},
    {CURSOR "~~j1~c1", "two tildes"},
    {CURSOR "~J1~c1", "a capital J"},
    {" " CURSOR "~j1~c1", "a space in front"},
    {"~j1~c1", "no cursor"},
    {"0123456789ABCDEF:7:89abcdef~j1~c1", "a store in capitals"},
    {"0123456789abcdef:00000000000000000000000000000000000000000000007:89abcdef~j1~c1",
     "a cursor longer than any"},
    {"\xff\xfe~j1~c1", "bytes that are no UTF-8"},
};

enum { BAD = sizeof bad / sizeof *bad };

static void good(const char *text, int64_t job, int64_t cache)
{
    char again[STREAM_ID_TEXT];
    struct stream_place p;

    is_int(stream_place_parse(span_of(text), &p), 0, "%s is an id", text);
    is_str(p.cursor, CURSOR, "its cursor");
    ok(p.job == job && p.cache == cache, "its changes");
    is_int((int64_t)stream_place_text(&p, again), (int64_t)strlen(text), "as long when written");
    is_str(again, text, "and the same");
}

/* What is cut short is no id, but where it is cut behind the first of many digits. */
static void cut(void)
{
    static const char whole[] = CURSOR "~j23~c45";
    struct stream_place p;
    int ids = 0;

    for (size_t n = 0; n < sizeof whole - 1; n++)
        ids += !stream_place_parse((struct span){whole, n}, &p);
    is_int(ids, 1, "of what is cut only the one without its last digit passes");
}

int main(void)
{
    struct stream_place p = {"", INT64_MAX, INT64_MAX};
    char text[STREAM_ID_TEXT];

    plan(BAD + 3 * 5 + 4);
    for (int i = 0; i < BAD; i++)
        is_int(stream_place_parse(span_of(bad[i].text), &p), -1, "%s is no id", bad[i].name);
    good(CURSOR "~j0~c0", 0, 0);
    good(CURSOR "~j12~c7", 12, 7);
    good(CURSOR "~j9223372036854775807~c9223372036854775807", INT64_MAX, INT64_MAX);
    cut();
    is_int(stream_place_parse(SPAN(CURSOR "~j1\0~c1"), &p), -1, "with a NUL in it it is none");
    is_int(stream_place_parse((struct span){NULL, 0}, &p), -1, "nor is what is not there");
    p.job = p.cache = INT64_MAX;
    memset(p.cursor, 'a', CURSOR_TEXT - 1);
    p.cursor[CURSOR_TEXT - 1] = '\0';
    ok(stream_place_text(&p, text) == strlen(text) && strlen(text) < STREAM_ID_TEXT,
       "the longest there can be has room");
    return done();
}
