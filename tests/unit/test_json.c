#include "text/json.h"
#include "text/utf8.h"

#include "tap.h"

/* --- what is a JSON text and what is not -------------------------------- */

#define T(literal)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct {
    struct span text;
    enum json_kind kind;
    const char *name;
} taken[] = {
    {T("null"), JSON_NULL, "null"},
    {T("true"), JSON_TRUE, "true"},
    {T("false"), JSON_FALSE, "false"},
    {T(" \t\r\n1 \t\r\n"), JSON_NUMBER, "white space of all four kinds around a value"},
    {T("0"), JSON_NUMBER, "zero"},
    {T("-0"), JSON_NUMBER, "zero with a sign"},
    {T("-12.340E+05"), JSON_NUMBER, "a number of all parts"},
    {T("7e007"), JSON_NUMBER, "zeros in front of an exponent"},
    {T("1e-99999999999999999999"), JSON_NUMBER, "a number no double can hold"},
    {T("1234567890123456789012345678901234567890"), JSON_NUMBER, "40 digits"},
    {T("\"\""), JSON_STRING, "an empty string"},
    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), JSON_STRING, "all short escapes"},
    {T("\"\\u00E9\\u00e9\""), JSON_STRING, "hexadecimal digits of both cases"},
    {T("\"\\u0000\""), JSON_STRING, "an escaped NUL"},
    {T("\"\\ud83d\\ude00\""), JSON_STRING, "an escaped pair of surrogates"},
    {T("\"\\ud800\""), JSON_STRING, "an escaped high surrogate alone"},
    {T("\"\\udc00 \\ud800x\""), JSON_STRING, "escaped surrogates apart"},
    {T("\"\\udc00\\ud800\""), JSON_STRING, "escaped surrogates in the wrong order"},
    {T("\"\x7f\""), JSON_STRING, "DEL as it is"},
    {T("\"/\""), JSON_STRING, "a slash without an escape"},
    {T("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), JSON_STRING,
     "the first and last characters of each UTF-8 length"},
    {T("\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\""), JSON_STRING,
     "line separators and a BOM inside a string"},
    {T("[]"), JSON_ARRAY, "an empty array"},
    {T("[ ]"), JSON_ARRAY, "an empty array with a space in it"},
    {T("[1,[2,[3]],\"\",{},null]"), JSON_ARRAY, "an array of all kinds"},
    {T("{}"), JSON_OBJECT, "an empty object"},
    {T("{\n}"), JSON_OBJECT, "an empty object with a newline in it"},
    {T("{\"\":0}"), JSON_OBJECT, "a member whose name is empty"},
    {T("{\"a\":1,\"a\":2}"), JSON_OBJECT, "a member that is there twice"},
    {T("{ \"a\" : [ 1 , { \"b\" : true } ] , \"c\" : \"\" }"), JSON_OBJECT,
     "white space between all tokens"},
};

static const struct {
    struct span text;
    size_t at;
    const char *name;
} refused[] = {
    /* structure */
    {T(""), 0, "nothing at all"},
    {T(" \n"), 2, "white space alone"},
    {T("\xef\xbb\xbf{}"), 0, "a BOM in front of a value"},
    {T("1 2"), 2, "two values"},
    {T("[]]"), 2, "a closing bracket too many"},
    {T("{}}"), 2, "a closing brace too many"},
    {T("]"), 0, "a closing bracket alone"},
    {T("["), 1, "an opening bracket alone"},
    {T("{"), 1, "an opening brace alone"},
    {T("[1"), 2, "an array that does not end"},
    {T("[1,"), 3, "an array that ends at its comma"},
    {T("{\"a\""), 4, "an object that ends at a name"},
    {T("{\"a\":"), 5, "an object that ends at its colon"},
    {T("{\"a\":1"), 6, "an object that does not end"},
    {T("{\"a\":1,"), 7, "an object that ends at its comma"},
    {T("[1}"), 2, "an array closed by a brace"},
    {T("{\"a\":1]"), 6, "an object closed by a bracket"},
    {T("[1]\0"), 3, "a NUL behind a value"},
    {T("\0"), 0, "a NUL for a value"},
    {T("[\0]"), 1, "a NUL in an array"},
    {T("<json>"), 0, "something else altogether"},
    {T("\xff\xfe[\0]\0"), 0, "UTF-16 with its mark"},
    {T("\0[\0]"), 0, "UTF-16 without"},
    /* arrays */
    {T("[,]"), 1, "an array of a comma"},
    {T("[1,]"), 3, "a comma behind the last value"},
    {T("[,1]"), 1, "a comma in front of the first value"},
    {T("[1,,2]"), 3, "two commas"},
    {T("[1 2]"), 3, "a comma missing"},
    {T("[1;2]"), 2, "a semicolon for a comma"},
    {T("[\"a\":1]"), 4, "a colon in an array"},
    {T("[1\f]"), 2, "a form feed for white space"},
    {T("[\v1]"), 1, "a vertical tab for white space"},
    {T("[\xc2\xa0"
       "1]"),
     1, "a no-break space for white space"},
    {T("[\xe2\x81\xa0]"), 1, "a word joiner for white space"},
    {T("[1,//x\n2]"), 3, "a comment to the end of the line"},
    {T("[1/*x*/]"), 2, "a comment between stars"},
    {T("[1]#"), 3, "a shell's comment"},
    /* objects */
    {T("{,}"), 1, "an object of a comma"},
    {T("{\"a\":1,}"), 7, "a comma behind the last member"},
    {T("{\"a\":1,,\"b\":2}"), 7, "two commas between members"},
    {T("{\"a\" 1}"), 5, "a colon missing"},
    {T("{\"a\"::1}"), 5, "two colons"},
    {T("{\"a\",1}"), 4, "a comma for a colon"},
    {T("{:1}"), 1, "a name missing"},
    {T("{\"a\":}"), 5, "a value missing"},
    {T("{\"a\":1 \"b\":2}"), 7, "a comma missing between members"},
    {T("{1:1}"), 1, "a number for a name"},
    {T("{null:1}"), 1, "null for a name"},
    {T("{[]:1}"), 1, "an array for a name"},
    {T("{a:1}"), 1, "a name without quotes"},
    {T("{'a':1}"), 1, "a name in single quotes"},
    {T("{\"a\"}"), 4, "a name alone"},
    {T("{\"a\xff\":1}"), 3, "a name that is not UTF-8"},
    {T("{\"\\x\":1}"), 2, "a name with a wrong escape"},
    /* words */
    {T("nul"), 0, "a word cut short"},
    {T("nulll"), 4, "a word too long"},
    {T("True"), 0, "a capital letter in a word"},
    {T("NaN"), 0, "NaN"},
    {T("Infinity"), 0, "Infinity"},
    {T("-Infinity"), 1, "-Infinity"},
    {T("undefined"), 0, "undefined"},
    {T("\xc3\xa9"), 0, "a letter beyond ASCII without quotes"},
    /* numbers */
    {T("-"), 1, "a minus alone"},
    {T("+1"), 0, "a plus in front"},
    {T("- 1"), 1, "a space behind the minus"},
    {T("--1"), 1, "two minuses"},
    {T("01"), 0, "a zero in front"},
    {T("-00"), 1, "two zeros"},
    {T("1."), 2, "nothing behind the point"},
    {T("1.e1"), 2, "an exponent right behind the point"},
    {T(".5"), 0, "nothing in front of the point"},
    {T("-.5"), 1, "nothing between minus and point"},
    {T("1.2.3"), 3, "two points"},
    {T("1e"), 2, "an exponent without digits"},
    {T("1e+"), 3, "an exponent of a sign"},
    {T("1E-x"), 3, "an exponent of a letter"},
    {T("1e1.5"), 3, "an exponent with a point"},
    {T("1e+-1"), 3, "two signs in an exponent"},
    {T("1ee1"), 2, "two e"},
    {T("0x1f"), 1, "hexadecimal"},
    {T("1_000"), 1, "an underscore between digits"},
    {T("1,000"), 1, "a comma between digits"},
    {T("1f"), 1, "a letter behind the digits"},
    {T("\xef\xbc\x91"), 0, "a digit of another script"},
    {T("1\xff"), 1, "an invalid byte behind a digit"},
    /* strings */
    {T("\""), 0, "a quote alone"},
    {T("\"abc"), 0, "a string that does not end"},
    {T("\"\\\""), 0, "a string whose last quote is escaped"},
    {T("'a'"), 0, "single quotes"},
    {T("\"a\"b"), 3, "letters behind a string"},
    {T("\"\\"), 1, "a string that ends at its backslash"},
    {T("\"\\a\""), 1, "\\a"},
    {T("\"\\x41\""), 1, "\\x"},
    {T("\"\\0\""), 1, "\\0"},
    {T("\"\\'\""), 1, "\\'"},
    {T("\"\\\n\""), 1, "an escaped newline"},
    {T("\"\\\0\""), 1, "an escaped NUL byte"},
    {T("\"\\\xc3\xa9\""), 1, "an escaped letter beyond ASCII"},
    {T("\"\\U0041\""), 1, "a capital U"},
    {T("\"\\u\""), 1, "\\u without digits"},
    {T("\"\\u004\""), 1, "\\u with three digits"},
    {T("\"\\u00g1\""), 1, "\\u with a letter that is no digit"},
    {T("\"\\u+041\""), 1, "\\u with a sign"},
    {T("\"\\ud800\\u\""), 7, "half an escape behind a surrogate"},
    {T("\"\\ud800\\udc0\""), 7, "half of the second surrogate"},
    {T("\"a\0b\""), 2, "a NUL in a string"},
    {T("\"a\tb\""), 2, "a tab in a string"},
    {T("\"a\nb\""), 2, "a newline in a string"},
    {T("\"\x1f\""), 1, "the last control character in a string"},
    /* UTF-8 */
    {T("\"\x80\""), 1, "a continuation byte alone"},
    {T("\"\xc3\""), 1, "a sequence without its second byte"},
    {T("\"\xe2\x82\""), 1, "a sequence without its third byte"},
    {T("\"\xf0\x9f\x98\""), 1, "a sequence without its fourth byte"},
    {T("\"\xc0\xaf\""), 1, "an overlong sequence of 2 bytes"},
    {T("\"\xc1\xbf\""), 1, "the last overlong sequence of 2 bytes"},
    {T("\"\xe0\x9f\xbf\""), 1, "an overlong sequence of 3 bytes"},
    {T("\"\xf0\x8f\xbf\xbf\""), 1, "an overlong sequence of 4 bytes"},
    {T("\"\xfc\x80\x80\x80\x80\x80\""), 1, "a sequence of 6 bytes"},
    {T("\"\xed\xa0\x80\""), 1, "a raw surrogate"},
    {T("\"\xed\xa0\xbd\xed\xb8\x80\""), 1, "a raw pair of surrogates"},
    {T("\"\xf4\x90\x80\x80\""), 1, "a character beyond U+10FFFF"},
    {T("\"\xe9\""), 1, "Latin-1"},
    {T("\"\xff\""), 1, "a byte no UTF-8 has"},
};

enum { TAKEN = sizeof taken / sizeof *taken, REFUSED = sizeof refused / sizeof *refused };

static void check_grammar(void)
{
    struct json j = {0};
    struct json_value v;

    for (int i = 0; i < TAKEN; i++) {
        int rc = json_whole(&j, taken[i].text, &v);

        if (!ok(!rc && v.kind == taken[i].kind, "taken: %s", taken[i].name))
            printf("# at byte %zu: %s\n", json_offset(&j), rc ? j.why : json_kind_name(v.kind));
    }
    for (int i = 0; i < REFUSED; i++) {
        int rc = json_whole(&j, refused[i].text, &v);

        if (!ok(rc && json_offset(&j) == refused[i].at && j.why && *j.why, "refused: %s",
                refused[i].name))
            printf("# rc %d, at byte %zu: %s\n", rc, json_offset(&j), rc ? j.why : "");
    }
    json_end(&j);
}

/* A byte that ends plain text is seen wherever it stands among the others. */
static void check_places(void)
{
    static const char special[] = "\x1f\x80\xff\\";
    struct json j = {0};
    struct json_value v;
    int wrong = 0;

    for (size_t n = 2; n < 40; n++)
        for (size_t at = 0; at < n - 1; at++)
            for (size_t s = 0; s < sizeof special; s++) {
                char text[64];

                memset(text, "acdeghi~xy"[n % 10], n + 2);
                text[0] = text[n + 1] = '"';
                text[1 + at] = special[s];
                wrong += !json_whole(&j, (struct span){text, n + 2}, &v);
                wrong += json_offset(&j) != 1 + at;
            }
    is_int(wrong, 0, "a special byte is seen at every place of a string");
    json_end(&j);
}

/* The reference: decode, then ask whether the value may be written so. */
static size_t reference_length(const unsigned char *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = s[0];

    if (s[0] >= 0xf8 || len > n)
        return 0;
    if (len > 1)
        c = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (len && (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)))
        return 0;
    return len;
}

static void check_utf8(void)
{
    static const unsigned char thirds[] = {0, 0x7f, 0x80, 0xa5, 0xbf, 0xc0, 0xff};
    int wrong = 0;

    for (unsigned i = 0; i < 65536; i++)
        for (size_t t = 0; t < sizeof thirds; t++)
            for (size_t f = 0; f < sizeof thirds; f++) {
                const unsigned char s[4] = {(unsigned char)(i >> 8), (unsigned char)i, thirds[t],
                                            thirds[f]};

                for (size_t n = 1; n <= 4; n++)
                    wrong +=
                        utf8_length((const char *)s, (const char *)s + n) != reference_length(s, n);
            }
    is_int(wrong, 0, "UTF-8 is told as by decoding it");
}

static void check_depth(void)
{
    enum { DEEP = 201 };
    static const char *const opens[] = {"[", "{\"a\":", "[{\"a\":"};
    static const char *const closes[] = {"]", "}", "}]"};
    static const int levels[] = {1, 1, 2};
    struct json j = {0};
    struct json_value v;

    for (int k = 0; k < 3; k++) {
        struct buf at = {0}, over = {0};

        for (int i = 0; i < JSON_DEPTH; i += levels[k])
            buf_adds(&at, opens[k]);
        buf_add(&over, at.data, at.len);
        buf_adds(&at, "0");
        buf_adds(&over, opens[k]);
        for (int i = 0; i < JSON_DEPTH; i += levels[k])
            buf_adds(&at, closes[k]);
        is_int(json_whole(&j, (struct span){at.data, at.len}, &v), 0, "200 levels of %s are taken",
               opens[k]);
        ok(json_whole(&j, (struct span){over.data, over.len}, &v) &&
               json_offset(&j) == over.len - strlen(opens[k]) && strstr(j.why, "200 levels"),
           "a level more is refused at its bracket");
        buf_free(&at);
        buf_free(&over);
    }
    json_end(&j);
    is_int(JSON_DEPTH, DEEP - 1, "the limit is the one the page names");
}

/* --- digests: the same values, and others ------------------------------- */

static struct digest digest_of(const char *text)
{
    struct json j = {0};
    struct json_value v = {0};

    if (json_whole(&j, span_of(text), &v))
        printf("# not JSON at byte %zu: %s: %s\n", json_offset(&j), j.why, text);
    json_end(&j);
    return v.digest;
}

/* One value a row, in all its spellings; no two rows hold the same value. */
static const char *const values[][10] = {
    {"0", "-0", "0.0", "-0.00", "0e5", "0E-7", "0e99999999999999999999", "-0.0e-1"},
    {"1", "1.0", "10e-1", "0.1e1", "100e-2", "1E0", "1e-0", "1.000e+000", "0.001e3"},
    {"-1", "-1.0", "-10e-1", "-0.1E+1"},
    {"10", "1e1", "1E+01", "100e-1", "0.01e3"},
    {"1.5", "15e-1", "0.15e1", "1.50"},
    {"0.1", "1e-1", "0.10", "10E-2"},
    {"1e400", "10e399", "0.1e401", "1.0e+400"},
    {"1e401"},
    {"1e-400", "10e-401", "0.1e-399"},
    {"9007199254740993", "9007199254740993.0", "9.007199254740993e15"},
    {"9007199254740992", "9007199254740992e0"},
    {"1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890.00",
     "0.1234567890123456789012345678901234567890e40", "123456789012345678901234567890123456789e1"},
    {"1234567890123456789012345678901234567891"},
    {"0.1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890e-40"},
    {"9223372036854775807", "9223372036854775807e0"},
    {"9223372036854775808"},
    {"-9223372036854775808", "-9223372036854775808.0"},
    {"1.000000000000000005"},
    /* exponents that no machine integer holds */
    {"1e1000000000000000000000", "10e999999999999999999999", "0.1e1000000000000000000001",
     "1.0e+0001000000000000000000000", "100e999999999999999999998"},
    {"1e999999999999999999999", "0.01e1000000000000000000001", "10e999999999999999999998"},
    {"1e-1000000000000000000000", "10e-1000000000000000000001", "0.1e-999999999999999999999",
     "100e-1000000000000000000002", "0.01e-999999999999999999998"},
    {"-1e1000000000000000000000", "-10e999999999999999999999"},
    {"1e9999999999999999999999999", "10e9999999999999999999999998",
     "0.1e10000000000000000000000000"},
    {"1e-9999999999999999999999999", "10e-10000000000000000000000000",
     "0.1e-9999999999999999999999998"},
    {"12345678901234567890e1234567890123456789012345",
     "1.234567890123456789e1234567890123456789012364"},
    /* where the exponent grows out of, and back into, 17 and 18 digits */
    {"1e99999999999999999", "10e99999999999999998", "0.1e100000000000000000"},
    {"1e100000000000000000", "10e99999999999999999", "0.1e100000000000000001"},
    {"1e-99999999999999999", "10e-100000000000000000", "0.1e-99999999999999998"},
    {"1e-100000000000000000", "10e-100000000000000001", "0.1e-99999999999999999"},
    {"1e999999999999999999", "10e999999999999999998"},
    {"1e9223372036854775807", "10e9223372036854775806", "0.1e9223372036854775808"},
    {"1e-9223372036854775808", "10e-9223372036854775809", "0.1e-9223372036854775807"},
    {"1e18446744073709551616"},
    /* strings */
    {"\"\""},
    {"\"\xc3\xa9\"", "\"\\u00e9\"", "\"\\u00E9\""},
    {"\"e\xcc\x81\"", "\"e\\u0301\""},
    {"\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""},
    {"\"\\ud83d\""},
    {"\"\\ude00\""},
    {"\"\\ud83d \\ude00\"", "\"\\ud83d\\u0020\\ude00\""},
    {"\"\\ude00\\ud83d\""},
    {"\"\\ud83d\\ud83d\\ude00\"", "\"\\ud83d\xf0\x9f\x98\x80\""},
    {"\"\\u0000\""},
    {"\"\\u0000\\u0000\""},
    {"\"0\"", "\"\\u0030\""},
    {"\"/\"", "\"\\/\"", "\"\\u002f\""},
    {"\"\\\\\"", "\"\\u005c\""},
    {"\"\\\\/\"", "\"\\\\\\/\""},
    {"\"\\n\"", "\"\\u000a\"", "\"\\u000A\""},
    {"\"\\\\n\""},
    {"\"\\b\\f\\r\\t\\\"\"", "\"\\u0008\\u000c\\u000d\\u0009\\u0022\""},
    {"\"a\"", "\"\\u0061\"", " \"a\" "},
    {"\"A\""},
    {"\"a \""},
    {"\"null\""},
    {"\"1\""},
    {"\"+1e0\""},
    {"\"{}\""},
    /* words, and what is empty in other ways */
    {"null", " null\n"},
    {"true"},
    {"false"},
    {"{}", "{ }"},
    {"[]", "[\t]"},
    /* arrays are in order, and are not their values */
    {"[0]"},
    {"[1]", "[1.0]", "[ 10e-1 ]"},
    {"[[1]]"},
    {"[null]"},
    {"[[]]"},
    {"[{}]"},
    {"[\"1\"]"},
    {"[1,2]", "[1.0 , 2e0]"},
    {"[2,1]"},
    {"[1,1]"},
    {"[1,[2]]"},
    {"[[1],2]"},
    {"[[1,2]]"},
    {"[1,2,3]"},
    /* objects are not in order, and count what is there twice */
    {"{\"\":1}"},
    {"{\"1\":1}"},
    {"{\"a\":1}", "{\"\\u0061\":1.0}", "{ \"a\" : 10e-1 }"},
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{\"b\":2.0,\"\\u0061\":1}"},
    {"{\"a\":2,\"b\":1}"},
    {"{\"a\":1,\"a\":1}"},
    {"{\"a\":1,\"a\":1,\"a\":1}"},
    {"{\"a\":1,\"a\":2}", "{\"a\":2,\"a\":1}"},
    {"{\"a\":{\"b\":1}}"},
    {"{\"b\":{\"a\":1}}"},
    {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":2,\"b\":1}}"},
    {"{\"a\":{\"b\":1},\"c\":2}"},
    {"{\"a\":null}"},
    {"{\"a\":\"1\"}"},
    {"{\"a\":[1]}"},
    {"[{\"a\":1},{\"b\":2}]"},
    {"[{\"b\":2},{\"a\":1}]"},
    {"[\"a\",1]"},
    {"{\"e\xcc\x81\":1}"},
    {"{\"\xc3\xa9\":1}", "{\"\\u00e9\":1}"},
    {"{\"\\ud800\":1}"},
};

enum { VALUES = sizeof values / sizeof *values };

static void check_values(void)
{
    static struct digest of[VALUES];

    for (int i = 0; i < VALUES; i++) {
        int other = 0;

        of[i] = digest_of(values[i][0]);
        for (int s = 1; s < 10 && values[i][s]; s++)
            if (!other && !digest_eq(of[i], digest_of(values[i][s])))
                other = s;
        if (!ok(!other, "one value in all spellings: %s", values[i][0]))
            printf("# but not: %s\n", values[i][other]);
    }
    for (int i = 0; i < VALUES; i++) {
        int same = -1;

        for (int k = 0; k < i; k++)
            if (digest_eq(of[i], of[k]))
                same = k;
        if (!ok(same < 0, "unlike all before it: %s", values[i][0]))
            printf("# the same as: %s\n", values[same][0]);
    }
}

/* Version 1 of the digest, worked out by a second program from the
 * definition in lifeboat-event(5): it must never change. */
static const struct {
    const char *text, *digest;
} frozen[] = {
    {"null", "dc32537e27486e2c652e7b35ccc22eda"},
    {"true", "f41296b9e2d38ac855a9a1372b7155c1"},
    {"false", "4f9a6c9c2b463ad812c0396f2c3ab301"},
    {"\"\"", "be7eedfc1711ff1d0c63e40a4136483d"},
    {"\"\xc3\xa9\"", "b7e6825fbd4e1eff9bf62d2e6b4a0df1"},
    {"\"\\ud800\"", "7a56c8eb739eb234b6c9a4ac54296892"},
    {"0", "0c3dbbb535564f4f87b59a1ec46e6c40"},
    {"1", "51954a529f256853d7ec7c1e1bf8a8b3"},
    {"-1.5e3", "0cab266dec450dce0251edafc571181c"},
    {"1e1000000000000000000000", "1d3a17988ce2d303e54f30aa0264e7c0"},
    {"[]", "85ebca77c2b2ae63165667b19e3779f9"},
    {"[1,2]", "7e71b0a36329fbd51eed1d1ffbc06636"},
    {"{}", "f5cdd22a377504b2967bc2da93f76212"},
    {"{\"a\":1,\"b\":[]}", "d9ca0286aeeb9972827dfd6673dcda6a"},
    {"{\"a\":1,\"a\":1}", "82890e153a209cbe9f05bc88b5ce8b9a"},
};

enum { FROZEN = sizeof frozen / sizeof *frozen };

static void check_frozen(void)
{
    for (int i = 0; i < FROZEN; i++) {
        char text[DIGEST_TEXT];

        digest_text(digest_of(frozen[i].text), text);
        is_str(text, frozen[i].digest, "the digest of %s is the one of version 1", frozen[i].text);
    }
}

static void check_digest_parts(void)
{
    static const int64_t ints[] = {0,  1,         -1,        10,        -1000,
                                   99, INT64_MAX, INT64_MIN, 1LL << 53, 1768000000000};
    struct digest sum = {0};
    int wrong = 0;

    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        char text[32];

        snprintf(text, sizeof text, "%" PRId64, ints[i]);
        wrong += !digest_eq(json_digest_int(ints[i]), digest_of(text));
    }
    is_int(wrong, 0, "an integer's digest is that of its text");
    ok(digest_eq(json_digest_string(SPAN("a\0\xc3\xa9")), digest_of("\"a\\u0000\xc3\xa9\"")),
       "a string's digest is that of its text");
    json_digest_member(&sum, json_digest_string(SPAN("b")), digest_of("[]"));
    json_digest_member(&sum, json_digest_string(SPAN("a")), json_digest_int(1));
    ok(digest_eq(json_digest_object(sum, 2), digest_of("{\"a\":1,\"b\":[]}")),
       "an object's digest can be put together from its members");
}

/* A number of many digits against all ways to shift its point. */
static void check_shifts(void)
{
    static const char digits[] = "12345678901234567891";
    struct digest whole = digest_of("12345678901234567891e100000000000000000000");
    int wrong = 0;

    for (int point = 1; point < 20; point++) {
        char text[128];
        unsigned long long exponent = 20u - (unsigned)point;

        snprintf(text, sizeof text, "%.*s.%se1000000000000000000%02llu", point, digits,
                 digits + point, exponent);
        wrong += !digest_eq(digest_of(text), whole);
    }
    is_int(wrong, 0, "the point may stand anywhere if the exponent makes up for it");
}

/* --- integers ----------------------------------------------------------- */

static const struct {
    const char *text;
    int fits;
    int64_t want;
} ints[] = {
    {"0", 1, 0},
    {"-0", 1, 0},
    {"0.000", 1, 0},
    {"0e99999999999999999999", 1, 0},
    {"7", 1, 7},
    {"-7", 1, -7},
    {"1.7e3", 1, 1700},
    {"1.0", 1, 1},
    {"170e-1", 1, 17},
    {"100000e-5", 1, 1},
    {"1e18", 1, 1000000000000000000},
    {"9.223372036854775807e18", 1, INT64_MAX},
    {"9223372036854775807", 1, INT64_MAX},
    {"9223372036854775807.0", 1, INT64_MAX},
    {"-9223372036854775808", 1, INT64_MIN},
    {"-9223372036854775808.00", 1, INT64_MIN},
    {"9223372036854775808", 0, 0},
    {"9223372036854775808.0", 0, 0},
    {"-9223372036854775809", 0, 0},
    {"1e19", 0, 0},
    {"1e20", 0, 0},
    {"99999999999999999999999999999999999999", 0, 0},
    {"1e99999999999999999999", 0, 0},
    {"1e-1", 0, 0},
    {"1e-99999999999999999999", 0, 0},
    {"1.5", 0, 0},
    {"0.1", 0, 0},
    {"15e-1", 0, 0},
    {"\"1\"", 0, 0},
    {"true", 0, 0},
    {"[1]", 0, 0},
    {"null", 0, 0},
};

enum { INTS = sizeof ints / sizeof *ints };

static void check_ints(void)
{
    struct json j = {0};

    for (int i = 0; i < INTS; i++) {
        struct json_value v;
        int64_t n = 0;
        int rc = json_whole(&j, span_of(ints[i].text), &v) ? -2 : json_int(&v, &n);

        if (!ok(rc == (ints[i].fits ? 0 : -1) && (rc || n == ints[i].want), "%s %s", ints[i].text,
                ints[i].fits ? "is an integer that fits" : "is none, or does not fit"))
            printf("# rc %d, %" PRId64 "\n", rc, n);
    }
    json_end(&j);
}

/* --- texts and quotes --------------------------------------------------- */

static const struct {
    struct span plain;
    const char *quoted, *name;
} quotes[] = {
    {T(""), "\"\"", "nothing"},
    {T("a/b"), "\"a/b\"", "a slash stays"},
    {T("\"\\"), "\"\\\"\\\\\"", "quote and backslash"},
    {T("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"", "controls that have a short escape"},
    {T("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\"", "controls that have none"},
    {T("\x7f\xc3\xa9\xe2\x80\xa8"), "\"\x7f\xc3\xa9\xe2\x80\xa8\"",
     "what needs no escape has none"},
    {T("\xed\xa0\x80"), "\"\\ud800\"", "a lone surrogate is an escape again"},
    {T("x\xed\xbf\xbfy"), "\"x\\udfffy\"", "between letters too"},
    {T("\xed\x9f\xbf"), "\"\xed\x9f\xbf\"", "the character before the surrogates is none"},
    {T("12345678\n12345678\"12345678"), "\"12345678\\n12345678\\\"12345678\"",
     "escapes behind plain runs of eight"},
};

enum { QUOTES = sizeof quotes / sizeof *quotes };

static void check_quotes(void)
{
    struct json j = {0};
    struct buf out = {0}, back = {0};

    for (int i = 0; i < QUOTES; i++) {
        struct json_value v;

        out.len = back.len = 0;
        json_quote(quotes[i].plain, &out);
        buf_term(&out);
        is_str(out.data, quotes[i].quoted, "quoted: %s", quotes[i].name);
        ok(!json_whole(&j, (struct span){out.data, out.len}, &v) &&
               span_eq(json_text(&v, &back), quotes[i].plain),
           "and back: %s", quotes[i].name);
    }
    json_end(&j);
    buf_free(&out);
    buf_free(&back);
}

static size_t encode(unsigned c, char *p)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i; i--, c >>= 6)
        p[i] = (char)(0x80 | (c & 0x3f));
    p[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
    return n;
}

static void check_all_characters(void)
{
    struct json j = {0};
    struct buf out = {0}, back = {0}, escape = {0};
    int wrong = 0, escapes = 0;

    for (unsigned c = 0; c <= 0x10ffff; c++) {
        char raw[4];
        struct span s = {raw, encode(c, raw)};
        struct json_value v;

        out.len = back.len = escape.len = 0;
        json_quote(s, &out);
        wrong += json_whole(&j, (struct span){out.data, out.len}, &v) ||
                 !span_eq(json_text(&v, &back), s);
        if (c < 0x10000)
            buf_printf(&escape, "\"\\u%04X\"", c);
        else
            buf_printf(&escape, "\"\\u%04x\\u%04x\"", 0xd800 + ((c - 0x10000) >> 10),
                       0xdc00 + ((c - 0x10000) & 0x3ff));
        back.len = 0;
        escapes += json_whole(&j, (struct span){escape.data, escape.len}, &v) ||
                   !span_eq(json_text(&v, &back), s) || !digest_eq(v.digest, json_digest_string(s));
    }
    is_int(wrong, 0, "every character survives quoting");
    is_int(escapes, 0, "every character can be written as an escape");
    json_end(&j);
    buf_free(&out);
    buf_free(&back);
    buf_free(&escape);
}

static const struct {
    const char *text, *compact;
    bool spaced;
} compacts[] = {
    {"1", "1", false},
    {"[ 1 ,\t2\r\n]", "[1,2]", true},
    {"{ \"a b\" : \" \\\" \" }", "{\"a b\":\" \\\" \"}", true},
    {"{\"a\":1.0,\"a\":\"\\u00e9\"}", "{\"a\":1.0,\"a\":\"\\u00e9\"}", false},
    {"[\"\\\\\" ]", "[\"\\\\\"]", true},
    {"\" \"", "\" \"", false},
};

enum { COMPACTS = sizeof compacts / sizeof *compacts };

static void check_compacts(void)
{
    struct json j = {0};
    struct buf out = {0};

    for (int i = 0; i < COMPACTS; i++) {
        struct json_value v;

        out.len = 0;
        json_whole(&j, span_of(compacts[i].text), &v);
        json_compact(v.raw, &out);
        buf_term(&out);
        is_str(out.data, compacts[i].compact, "without white space: %s", compacts[i].compact);
        ok(v.spaced == compacts[i].spaced, "and whether there was some is known");
    }
    json_end(&j);
    buf_free(&out);
}

static const struct {
    const char *text, *mended;
} mends[] = {
    {"[\"a\\u00e9\\n\",1]", "[\"a\\u00e9\\n\",1]"},
    {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""},
    {"\"\\ud83d\"", "\"\\ufffd\""},
    {"\"\\ude00\\ud83d\"", "\"\\ufffd\\ufffd\""},
    {"\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\""},
    {"\"\\ud83d\\u0041\"", "\"\\ufffd\\u0041\""},
    {"{\"\\ud83d\":\"\\\\ud83d\"}", "{\"\\ufffd\":\"\\\\ud83d\"}"},
    /* What looks like the other half, but is no escape. */
    {"\"\\ud83d_ude00\"", "\"\\ufffd_ude00\""},
    {"\"\\ud83d\\\\ude00\"", "\"\\ufffd\\\\ude00\""},
};

enum { MENDS = sizeof mends / sizeof *mends };

static void check_mends(void)
{
    struct buf out = {0};

    for (int i = 0; i < MENDS; i++) {
        out.len = 0;
        json_mend(span_of(mends[i].text), &out);
        buf_term(&out);
        is_str(out.data, mends[i].mended, "surrogates alone mended: %s", mends[i].text);
    }
    buf_free(&out);
}

/* --- walking ------------------------------------------------------------ */

static int walk(const char *text, struct buf *seen, size_t *at)
{
    struct json j = {0};
    struct json_value name, v;
    bool first = true;
    int rc;

    seen->len = 0;
    json_start(&j, span_of(text));
    rc = json_open(&j);
    while (!rc && (rc = json_member(&j, &first, &name, &v)) == 1) {
        buf_add(seen, name.raw.p, name.raw.n);
        buf_addc(seen, '=');
        buf_add(seen, v.raw.p, v.raw.n);
        buf_addc(seen, ';');
        rc = 0;
    }
    rc = rc || json_finish(&j);
    *at = json_offset(&j);
    buf_term(seen);
    json_end(&j);
    return rc;
}

static void check_walk(void)
{
    struct buf seen = {0};
    size_t at;

    is_int(walk(" { } ", &seen, &at), 0, "an object of no member is walked");
    is_str(seen.data, "", "and none is seen");
    is_int(walk("{\"a\": [1, 2] ,\"\\u0061\":{\"x\":1},\"a\":null}", &seen, &at), 0,
           "an object of three is walked");
    is_str(seen.data, "\"a\"=[1, 2];\"\\u0061\"={\"x\":1};\"a\"=null;",
           "names and values are seen as they stand, repeated ones too");
    ok(walk("[1]", &seen, &at) && at == 0, "an array is not walked");
    ok(walk("{\"a\":1,}", &seen, &at) && at == 7, "a comma at the end is refused");
    ok(walk("{,\"a\":1}", &seen, &at) && at == 1, "a comma at the start is refused");
    ok(walk("{\"a\":1 \"b\":2}", &seen, &at) && at == 7, "a missing comma is refused");
    ok(walk("{\"a\":1}x", &seen, &at) && at == 7, "something behind the object is refused");
    ok(walk("{\"a\":1", &seen, &at) && at == 6, "an object that does not end is refused");
    ok(walk("{\"a\":[1}", &seen, &at) && at == 7, "a bad value is refused where it is bad");
    buf_free(&seen);
}

static const struct {
    const char *text;
    int count; /* of elements before it ends; */
    int rc;    /* with this */
    const char *why, *name;
} arrays[] = {
    {"[]", 0, 0, NULL, "an empty array has no elements"},
    {" [ 1 , [2,3] , {\"a\":[4]} ] ", 3, 0, NULL, "those of an array are its own alone"},
    {"[1,2", 2, -1, "the text ends inside an array", "one that is cut is told"},
    {"[1 2]", 1, -1, "neither a comma nor a closing bracket", "so is a missing comma"},
    {"[1,]", 1, -1, "not a JSON value", "and one too many"},
    {"{}", 0, -1, "not an array", "an object is no array"},
};

enum { ARRAYS = sizeof arrays / sizeof *arrays };

static void check_elements(void)
{
    for (size_t i = 0; i < ARRAYS; i++) {
        struct json_value v;
        struct json j = {0};
        bool first = true;
        int rc, n = 0;

        json_start(&j, span_of(arrays[i].text));
        rc = json_array(&j);
        while (!rc && (rc = json_element(&j, &first, &v)) == 1) {
            rc = 0;
            n++;
        }
        ok(rc == arrays[i].rc && n == arrays[i].count &&
               (!arrays[i].why || !strcmp(j.why, arrays[i].why)),
           "%s", arrays[i].name);
        json_end(&j);
    }
}

int main(void)
{
    struct json j = {0};
    struct json_value v;

    plan(ARRAYS + TAKEN + REFUSED + 2 + 7 + 2 * VALUES + FROZEN + 4 + INTS + 2 * QUOTES + 2 +
         2 * COMPACTS + MENDS + 11 + 1);
    check_grammar();
    check_places();
    check_utf8();
    check_depth();
    check_values();
    check_frozen();
    check_digest_parts();
    check_shifts();
    check_ints();
    check_quotes();
    check_all_characters();
    check_compacts();
    check_mends();
    check_walk();
    check_elements();
    ok(json_whole(&j, (struct span){NULL, 0}, &v), "no text at all is refused without harm");
    json_end(&j);
    return done();
}
