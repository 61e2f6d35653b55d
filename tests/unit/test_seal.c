#include "text/sealcheck.h"

#include "core/batch.h"

#include "tap.h"

#define SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define GOOD                                                                                       \
    "{\"lifeboat_end\":{\"count\":0,\"sha256\":\"" SUM "\",\"from\":\"start\",\"to\":\"x\"}}"

/* --- reading one line --------------------------------------------------- */

static const struct {
    const char *name, *line;
    int want;
} lines[] = {
    {"a seal", GOOD, 1},
    {"a seal with white space",
     " { \"lifeboat_end\" : { \"sha256\" : \"" SUM "\" , \"count\" : 0 } } ", 1},
    {"a seal with members of a later version",
     "{\"lifeboat_end\":{\"count\":0,\"sha256\":\"" SUM "\",\"more\":[1]}}", 1},
    {"an event", "{\"event_id\":\"e\"}", 0},
    {"a cursor", "{\"lifeboat_cursor\":\"start\"}", 0},
    {"a seal cut short", "{\"lifeboat_end\":{\"count\":0,\"sha256\":\"" SUM "\"}", -1},
    {"a seal that is no object", "{\"lifeboat_end\":1}", -1},
    {"a seal without count", "{\"lifeboat_end\":{\"sha256\":\"" SUM "\"}}", -1},
    {"a seal without sha256", "{\"lifeboat_end\":{\"count\":0}}", -1},
    {"a seal with half a sha256", "{\"lifeboat_end\":{\"count\":0,\"sha256\":\"e3b0\"}}", -1},
    {"a seal with a count below 0", "{\"lifeboat_end\":{\"count\":-1,\"sha256\":\"" SUM "\"}}", -1},
    {"a seal with a count that is no number",
     "{\"lifeboat_end\":{\"count\":\"0\",\"sha256\":\"" SUM "\"}}", -1},
    {"a seal with two counts",
     "{\"lifeboat_end\":{\"count\":0,\"count\":0,\"sha256\":\"" SUM "\"}}", -1},
    {"a seal with another member beside it",
     "{\"lifeboat_end\":{\"count\":0,\"sha256\":\"" SUM "\"},\"x\":1}", -1},
    {"a seal with something behind it", GOOD "x", -1},
    {"no object", "[]", -1},
};

enum { LINES = sizeof lines / sizeof *lines };

static void check_lines(void)
{
    for (int i = 0; i < LINES; i++) {
        const char *why = NULL;
        struct seal s;
        int got = seal_read(span_of(lines[i].line), &s, &why);

        ok(got == lines[i].want && (got >= 0 || why), "%s is %s", lines[i].name,
           lines[i].want > 0 ? "one"
           : lines[i].want   ? "malformed"
                             : "another line");
    }
}

static void check_round_trip(void)
{
    struct seal s = {.count = 12345678901234567u,
                     .sha256 = SUM,
                     .from = "0123456789abcdef:7:89abcdef",
                     .to = "0123456789abcdef:12:00000000"},
                back;
    struct buf line = {0};
    const char *why;

    ok(!seal_write(&s, &line) && line.data[line.len - 1] == '\n', "a seal is written as a line");
    ok(seal_read((struct span){line.data, line.len - 1}, &back, &why) == 1 &&
           back.count == s.count && !strcmp(back.sha256, s.sha256) && !strcmp(back.from, s.from) &&
           !strcmp(back.to, s.to),
       "and read back as it was");
    buf_free(&line);
}

static void check_cursor_line(void)
{
    char out[SEAL_CURSOR_MAX];

    ok(seal_read_cursor(SPAN("{\"lifeboat_cursor\":\"a:1:b\"}"), out) == 1 && !strcmp(out, "a:1:b"),
       "a cursor's line is read");
    is_int(seal_read_cursor(SPAN("{\"lifeboat_cursor\":1}"), out), -1,
           "one of a number is malformed");
    is_int(seal_read_cursor(SPAN("{\"lifeboat_cursor\":\"a\",\"x\":1}"), out), -1,
           "one with another member is malformed");
    is_int(seal_read_cursor(SPAN("{\"lifeboat_cursor\":\"0123456789012345678901234567890123456789"
                                 "012345678901234567890123\"}"),
                            out),
           -1, "one that is too long is malformed");
    is_int(seal_read_cursor(SPAN(GOOD), out), 0, "a seal is none");
}

/* --- checking an input -------------------------------------------------- */

/* Lets text go by line by line; is it sealed and whole? */
static bool whole(struct span text, struct seal_check *c)
{
    const char *p = text.n ? text.p : "", *end = p + text.n;
    bool good;

    *c = (struct seal_check){0};
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct span raw = {p, (size_t)((lf ? lf + 1 : end) - p)}, body = {p, raw.n - (lf != NULL)};

        if (seal_check_line(c, raw, body, line_is_control(body)))
            return false;
        p += raw.n;
    }
    good = seal_check_whole(c);
    seal_check_free(c);
    return good;
}

static void add_sealed(struct buf *out, const char *const *events, uint64_t count)
{
    struct sha256 hash = {0};
    struct seal s = {.count = count, .from = "start", .to = "end"};

    for (uint64_t i = 0; i < count; i++) {
        buf_adds(out, events[i]);
        sha256_add(&hash, events[i], strlen(events[i]));
    }
    sha256_text(&hash, s.sha256);
    seal_write(&s, out);
}

static const char *const events[] = {"{\"event_id\":\"a\"}\n", "{\"event_id\":\"b\"}\n",
                                     "{\"event_id\":\"c\"}\n"};

static void check_cuts(void)
{
    struct buf text = {0};
    struct seal_check c;
    int through = 0, changed = 0;

    add_sealed(&text, events, 3);
    ok(whole((struct span){text.data, text.len}, &c) && c.last.count == 3,
       "three sealed lines are whole");
    ok(whole((struct span){text.data, text.len - 1}, &c), "without the seal's own LF too");
    for (size_t n = 0; n < text.len - 1; n++)
        through += whole((struct span){text.data, n}, &c);
    is_int(through, 0, "cut at any other byte they are not");
    for (size_t n = 0; n < 3 * strlen(events[0]); n++) {
        text.data[n] ^= 1;
        changed += whole((struct span){text.data, text.len}, &c);
        text.data[n] ^= 1;
    }
    is_int(changed, 0, "nor with any byte changed");
    buf_free(&text);
}

static bool whole_text(const char *before, int sealed, const char *after, struct seal_check *c)
{
    struct buf text = {0};
    bool good;

    buf_adds(&text, before);
    for (int i = 0; i < sealed; i++)
        add_sealed(&text, events, 3);
    buf_adds(&text, after);
    good = whole((struct span){text.data, text.len}, c);
    buf_free(&text);
    return good;
}

static void check_joins(void)
{
    struct seal_check c;

    ok(whole_text("", 1, "", &c), "one export is whole");
    ok(!whole_text("", 0, "", &c) && strstr(c.why, "no seal"), "nothing at all has no seal");
    ok(!whole_text("", 0, events[0], &c) && strstr(c.why, "no seal"), "an event has no seal");
    ok(!whole_text("", 2, "", &c) && strstr(c.why, "more than one"),
       "two exports joined are not one");
    ok(!whole_text("", 1, events[0], &c) && strstr(c.why, "behind"),
       "an event behind the seal shows");
    ok(!whole_text("", 1, "\n", &c), "so does a blank line");
    ok(!whole_text(events[0], 1, "", &c) && strstr(c.why, "3 events") && strstr(c.why, "4"),
       "an event added in front is counted");
    ok(!whole_text("\n", 1, "", &c) && strstr(c.why, "sha256"), "a blank line in front is hashed");
    ok(!whole_text("", 1, "{\"lifeboat_end\":{", &c), "a second seal cut short shows");
    ok(!whole_text("{\"lifeboat_end\":1}\n", 1, "", &c) && strstr(c.why, "malformed"),
       "a malformed seal in front shows");
}

int main(void)
{
    plan(LINES + 2 + 5 + 4 + 10);
    check_lines();
    check_round_trip();
    check_cursor_line();
    check_cuts();
    check_joins();
    return done();
}
