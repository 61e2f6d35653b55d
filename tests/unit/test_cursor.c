#include "core/cursor.h"

#include "tap.h"

#define ID "0123456789abcdef"

static const struct {
    const char *text;
    int good;
    int64_t seq;
    const char *name;
} cursors[] = {
    {ID ":0:00000000", 1, 0, "a cursor before the first event"},
    {ID ":7:89abcdef", 1, 7, "a cursor of event 7"},
    {ID ":9223372036854775807:89abcdef", 1, INT64_MAX, "the last cursor there is"},
    {"", 0, 0, "nothing"},
    {"start", 0, 0, "start, which is a word of its own"},
    {ID, 0, 0, "a store alone"},
    {ID ":", 0, 0, "a store and a colon"},
    {ID ":7", 0, 0, "no check"},
    {ID ":7:", 0, 0, "an empty check"},
    {ID "::89abcdef", 0, 0, "an empty seq"},
    {ID ":7:89abcde", 0, 0, "a check of 7 digits"},
    {ID ":7:89abcdef0", 0, 0, "a check of 9 digits"},
    {ID ":7:89ABCDEF", 0, 0, "a check in capitals"},
    {ID ":7:89abcdeg", 0, 0, "a check with a letter that is no digit"},
    {ID ":-7:89abcdef", 0, 0, "a seq below 0"},
    {ID ":+7:89abcdef", 0, 0, "a seq with a sign"},
    {ID ": 7:89abcdef", 0, 0, "a seq with a space"},
    {ID ":7x:89abcdef", 0, 0, "a seq with a letter"},
    {ID ":9223372036854775808:89abcdef", 0, 0, "a seq beyond 63 bits"},
    {ID ":99999999999999999999999:89abcdef", 0, 0, "a seq of 23 digits"},
    {ID ":7:89abcdef ", 0, 0, "a space at the end"},
    {ID ":7:89abcdef\n", 0, 0, "a newline at the end"},
    {" " ID ":7:89abcdef", 0, 0, "a space in front"},
    {"0123456789abcde:7:89abcdef", 0, 0, "a store of 15 digits"},
    {ID "0:7:89abcdef", 0, 0, "a store of 17 digits"},
    {"0123456789ABCDEF:7:89abcdef", 0, 0, "a store in capitals"},
    {"0123456789abcdeg:7:89abcdef", 0, 0, "a store with a letter that is no digit"},
    {ID "-7:89abcdef", 0, 0, "a dash for the colon"},
    {ID ":7-89abcdef", 0, 0, "a dash for the second colon"},
    {ID ":00000000000000000000000000000000000000000000000007:89abcdef", 0, 0,
     "a cursor longer than any"},
};

enum { CURSORS = sizeof cursors / sizeof *cursors };

int main(void)
{
    plan(2 * CURSORS + 1);
    for (int i = 0; i < CURSORS; i++) {
        struct span store = {NULL, 0}, check = {NULL, 0};
        int64_t seq = -1;
        bool got = cursor_wellformed(span_of(cursors[i].text), &store, &seq, &check);

        is_int(got, cursors[i].good, "%s is %s", cursors[i].name,
               cursors[i].good ? "well formed" : "not");
        ok(!got || (seq == cursors[i].seq && span_eq(store, SPAN(ID)) && check.n == 8),
           "and its parts are right");
    }
    {
        struct span store, check;
        int64_t seq;

        ok(!cursor_wellformed(SPAN(ID ":7:89ab\0def"), &store, &seq, &check),
           "a NUL in a cursor is refused");
    }
    return done();
}
