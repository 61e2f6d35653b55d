#include "core/event.h"

#include "tap.h"

#include <stdlib.h>

/* The members every event must have, and how they are written. */
#define WHO "\"entity_type\":\"a\",\"entity_id\":\"1\",\"event_type\":\"T\",\"actor_id\":\"m\""
#define MIN WHO ",\"payload\":{}"
#define C1  "\"entity_type\":\"a\",\"entity_id\":\"1\","
#define C2  "\"actor_id\":\"m\",\"event_type\":\"T\","

static struct event_parser parser;
static struct arena arena;
static struct event ev;
static struct event_fault fault;

static int parse_span(struct span line)
{
    return event_parse(&parser, line, &arena, &ev, &fault);
}

static int parse(const char *line)
{
    return parse_span(span_of(line));
}

/* The canonical line of what was parsed last. */
static const char *written(bool full)
{
    static struct buf line;

    line.len = 0;
    if (event_write(&ev, full, &line) || buf_term(&line))
        return "(out of memory)";
    if (line.len && line.data[line.len - 1] == '\n')
        line.data[line.len - 1] = '\0';
    return line.data;
}

/* --- what is read, and how it is written again -------------------------- */

static const struct {
    const char *name, *line, *want;
} taken[] = {
    {"the least event", "{" MIN "}", "{" C1 C2 "\"payload\":{}}"},
    {"all members, in whatever order they came",
     "{\"payload\":1,\"causation_id\":\"k\",\"correlation_id\":\"c\",\"schema_version\":\"2\","
     "\"event_type\":\"T\",\"hlc\":\"0000000000ff.000a\",\"ts_device\":255,\"device_id\":\"d\","
     "\"actor_role\":\"r\",\"actor_name\":\"n\",\"actor_id\":\"m\",\"entity_version\":3,"
     "\"entity_id\":\"1\",\"entity_type\":\"a\",\"site_id\":\"s\",\"event_id\":\"e\"}",
     "{\"event_id\":\"e\",\"site_id\":\"s\"," C1 "\"entity_version\":3,\"actor_id\":\"m\","
     "\"actor_name\":\"n\",\"actor_role\":\"r\",\"device_id\":\"d\",\"ts_device\":255,"
     "\"hlc\":\"0000000000ff.000a\",\"event_type\":\"T\",\"schema_version\":\"2\","
     "\"correlation_id\":\"c\",\"causation_id\":\"k\",\"payload\":1}"},
    {"unknown members, sorted by the bytes of their names",
     "{\"zz\":1,\"z\":2,\"\xc3\xa9\":3,\"A\":4,\"\":5," MIN ",\"a\":[ 1 ]}",
     "{" C1 C2 "\"payload\":{},\"\":5,\"A\":4,\"a\":[1],\"z\":2,\"zz\":1,\"\xc3\xa9\":3}"},
    {"an unknown member's value as it was spelt, its name in one spelling",
     "{" MIN ",\"\\u0062\\u002f\":{\"y\":1.50,\"x\":\"\\u00e9\",\"x\":-0}}",
     "{" C1 C2 "\"payload\":{},\"b/\":{\"y\":1.50,\"x\":\"\\u00e9\",\"x\":-0}}"},
    {"an unknown member that is null is kept", "{" MIN ",\"x\":null}",
     "{" C1 C2 "\"payload\":{},\"x\":null}"},
    {"a payload's spelling, order, repeats and escapes",
     "{" WHO ",\"payload\": { \"b\" : 1.0 , \"a\":[1e2,\"\\u00e9 \\/\"], \"b\":-0 } }",
     "{" C1 C2 "\"payload\":{\"b\":1.0,\"a\":[1e2,\"\\u00e9 \\/\"],\"b\":-0}}"},
    {"a payload of 40 digits", "{" WHO ",\"payload\":1234567890123456789012345678901234567890}",
     "{" C1 C2 "\"payload\":1234567890123456789012345678901234567890}"},
    {"a payload that is null", "{" WHO ",\"payload\":null}", "{" C1 C2 "\"payload\":null}"},
    {"a payload that is a string", "{" WHO ",\"payload\":\"\"}", "{" C1 C2 "\"payload\":\"\"}"},
    {"a payload that is false", "{" WHO ",\"payload\":false}", "{" C1 C2 "\"payload\":false}"},
    {"envelope strings with the fewest escapes",
     "{\"entity_type\":\"\\u0061\",\"entity_id\":\"\\u0031\",\"event_type\":\"\\u0054\","
     "\"actor_id\":\"\\u006d\",\"actor_name\":\"\\u00e9\\/\\\"\\ud83d\\ude00\\ud800\","
     "\"payload\":{}}",
     "{" C1 "\"actor_id\":\"m\",\"actor_name\":\"\xc3\xa9/\\\"\xf0\x9f\x98\x80\\ud800\","
     "\"event_type\":\"T\",\"payload\":{}}"},
    {"a known name that is written with escapes",
     "{" WHO ",\"\\u0070ayload\":1,\"\\u0061ctor_name\":\"n\"}",
     "{" C1 "\"actor_id\":\"m\",\"actor_name\":\"n\",\"event_type\":\"T\",\"payload\":1}"},
    {"null for absent, in every known member but payload",
     "{" MIN ",\"event_id\":null,\"site_id\":null,\"entity_version\":null,\"actor_name\":null,"
     "\"actor_role\":null,\"device_id\":null,\"ts_device\":null,\"hlc\":null,"
     "\"schema_version\":null,\"correlation_id\":null,\"causation_id\":null,\"ts_server\":null,"
     "\"synced\":null,\"acknowledged\":null,\"created_at\":null,\"seq\":null}",
     "{" C1 C2 "\"payload\":{}}"},
    {"the store's own members are read and not part of the event",
     "{" MIN ",\"ts_server\":5,\"synced\":1,\"acknowledged\":true,\"created_at\":\"x\",\"seq\":9}",
     "{" C1 C2 "\"payload\":{}}"},
    {"integers in other spellings",
     "{" MIN ",\"event_id\":\"e\",\"ts_device\":1.7e3,\"entity_version\":20e-1}",
     "{\"event_id\":\"e\"," C1 "\"entity_version\":2,\"actor_id\":\"m\",\"ts_device\":1700,"
     "\"event_type\":\"T\",\"payload\":{}}"},
    {"the first and the last ms there is, 1", "{" MIN ",\"event_id\":\"e\",\"ts_device\":0}",
     "{\"event_id\":\"e\"," C1 "\"actor_id\":\"m\",\"ts_device\":0,\"event_type\":\"T\","
     "\"payload\":{}}"},
    {"the first and the last ms there is, 2",
     "{" MIN ",\"event_id\":\"e\",\"ts_device\":281474976710655}",
     "{\"event_id\":\"e\"," C1 "\"actor_id\":\"m\",\"ts_device\":281474976710655,"
     "\"event_type\":\"T\",\"payload\":{}}"},
    {"an entity_version of any sign", "{" MIN ",\"entity_version\":-9223372036854775808}",
     "{" C1 "\"entity_version\":-9223372036854775808," C2 "\"payload\":{}}"},
    {"an empty text where it may be empty", "{" MIN ",\"actor_name\":\"\"}",
     "{" C1 "\"actor_id\":\"m\",\"actor_name\":\"\",\"event_type\":\"T\",\"payload\":{}}"},
    {"white space everywhere", " { \"payload\" : { } , " WHO " } ", "{" C1 C2 "\"payload\":{}}"},
    {"a name that only begins like a reserved one", "{" MIN ",\"lifeboat\":1}",
     "{" C1 C2 "\"payload\":{},\"lifeboat\":1}"},

    /* aliases */
    {"payload_json that is an object", "{" WHO ",\"payload_json\":{ \"x\":1}}",
     "{" C1 C2 "\"payload\":{\"x\":1}}"},
    {"payload_json that holds JSON in a string",
     "{" WHO ",\"payload_json\":\" {\\\"x\\\": 1.0, \\\"\\\\u00e9\\\":\\\"\\u00e9\\\"} \"}",
     "{" C1 C2 "\"payload\":{\"x\":1.0,\"\\u00e9\":\"\xc3\xa9\"}}"},
    {"payload_json that holds a number in a string", "{" WHO ",\"payload_json\":\"5\"}",
     "{" C1 C2 "\"payload\":5}"},
    {"payload_json beside a payload is unknown", "{" MIN ",\"payload_json\":{\"x\":1}}",
     "{" C1 C2 "\"payload\":{},\"payload_json\":{\"x\":1}}"},
    {"payload_json beside a payload of null is the payload",
     "{" WHO ",\"payload\":null,\"payload_json\":\"[1]\"}", "{" C1 C2 "\"payload\":[1]}"},
    {"payload_json of no use beside a payload of null is unknown",
     "{" WHO ",\"payload\":null,\"payload_json\":5}",
     "{" C1 C2 "\"payload\":null,\"payload_json\":5}"},
    {"payload_json of no JSON beside a payload of null is unknown",
     "{" WHO ",\"payload_json\":\"{x\",\"payload\":null}",
     "{" C1 C2 "\"payload\":null,\"payload_json\":\"{x\"}"},
    {"target_type and target_id",
     "{\"target_type\":\"a\",\"target_id\":\"\\u0031\",\"event_type\":\"T\",\"actor_id\":\"m\","
     "\"payload\":{}}",
     "{" C1 C2 "\"payload\":{}}"},
    {"target_type beside an entity_type of null",
     "{\"target_type\":\"a\",\"entity_type\":null,\"entity_id\":\"1\",\"event_type\":\"T\","
     "\"actor_id\":\"m\",\"payload\":{}}",
     "{" C1 C2 "\"payload\":{}}"},
    {"target_type and target_id beside the canonical names are unknown",
     "{" MIN ",\"target_id\":\"y\",\"target_type\":\"x\"}",
     "{" C1 C2 "\"payload\":{},\"target_id\":\"y\",\"target_type\":\"x\"}"},
    {"timestamp in milliseconds", "{" MIN ",\"event_id\":\"e\",\"timestamp\":255}",
     "{\"event_id\":\"e\"," C1 "\"actor_id\":\"m\",\"ts_device\":255,\"event_type\":\"T\","
     "\"payload\":{}}"},
    {"timestamp as a date",
     "{" MIN ",\"event_id\":\"e\",\"timestamp\":\"1970-01-01T01:00:00.255+01:00\"}",
     "{\"event_id\":\"e\"," C1 "\"actor_id\":\"m\",\"ts_device\":255,\"event_type\":\"T\","
     "\"payload\":{}}"},
    {"timestamp beside ts_device is unknown",
     "{" MIN ",\"event_id\":\"e\",\"timestamp\":1,\"ts_device\":255}",
     "{\"event_id\":\"e\"," C1 "\"actor_id\":\"m\",\"ts_device\":255,\"event_type\":\"T\","
     "\"payload\":{},\"timestamp\":1}"},
    {"timestamp of another kind is unknown", "{" MIN ",\"timestamp\":\"yesterday\"}",
     "{" C1 C2 "\"payload\":{},\"timestamp\":\"yesterday\"}"},
    {"timestamp of part of a ms is unknown", "{" MIN ",\"timestamp\":1.5}",
     "{" C1 C2 "\"payload\":{},\"timestamp\":1.5}"},
    {"timestamp before 1970 is unknown", "{" MIN ",\"timestamp\":\"1969-12-31T23:59:59Z\"}",
     "{" C1 C2 "\"payload\":{},\"timestamp\":\"1969-12-31T23:59:59Z\"}"},
    {"timestamp beyond 48 bits is unknown", "{" MIN ",\"timestamp\":281474976710656}",
     "{" C1 C2 "\"payload\":{},\"timestamp\":281474976710656}"},
    {"version that is an integer", "{" MIN ",\"version\":2.0}",
     "{" C1 "\"entity_version\":2," C2 "\"payload\":{}}"},
    {"version of another kind is unknown", "{" MIN ",\"version\":\"1.0\"}",
     "{" C1 C2 "\"payload\":{},\"version\":\"1.0\"}"},
    {"version of a fraction is unknown", "{" MIN ",\"version\":1.5}",
     "{" C1 C2 "\"payload\":{},\"version\":1.5}"},
    {"version beside entity_version is unknown", "{" MIN ",\"version\":2,\"entity_version\":1}",
     "{" C1 "\"entity_version\":1," C2 "\"payload\":{},\"version\":2}"},
    {"aliases that are null are unknown members",
     "{" MIN ",\"version\":null,\"timestamp\":null,\"payload_json\":null,\"target_id\":null}",
     "{" C1 C2 "\"payload\":{},\"payload_json\":null,\"target_id\":null,\"timestamp\":null,"
     "\"version\":null}"},
    {"aliases beside their canonical names that are null",
     "{" MIN ",\"version\":2,\"entity_version\":null,\"timestamp\":255,\"ts_device\":null,"
     "\"event_id\":\"e\"}",
     "{\"event_id\":\"e\"," C1 "\"entity_version\":2,\"actor_id\":\"m\",\"ts_device\":255,"
     "\"event_type\":\"T\",\"payload\":{}}"},
};

static const struct {
    const char *name, *line;
    size_t at;
    const char *why;
} refused[] = {
    {"no JSON", "hello", 0, "not an object"},
    {"an array", "[" WHO "]", 0, "not an object"},
    {"a string",
     "\""
     "x\"",
     0, "not an object"},
    {"nothing", "", 0, "not an object"},
    {"JSON that ends too early", "{\"a\":1", 6, "ends"},
    {"something behind the object", "{" MIN "} x", sizeof("{" MIN "} ") - 1, "behind"},
    {"invalid UTF-8", "{\"actor_id\":\"a\xff\"}", 14, "UTF-8"},
    {"invalid UTF-8 in a name", "{\"a\xff\":1}", 3, "UTF-8"},
    {"no entity_type",
     "{\"entity_id\":\"1\",\"event_type\":\"T\",\"actor_id\":\"m\",\"payload\":1}", 0,
     "entity_type: missing"},
    {"no entity_id",
     "{\"entity_type\":\"1\",\"event_type\":\"T\",\"actor_id\":\"m\",\"payload\":1}", 0,
     "entity_id: missing"},
    {"no event_type",
     "{\"entity_type\":\"1\",\"entity_id\":\"T\",\"actor_id\":\"m\",\"payload\":1}", 0,
     "event_type: missing"},
    {"no actor_id",
     "{\"entity_type\":\"1\",\"entity_id\":\"T\",\"event_type\":\"m\",\"payload\":1}", 0,
     "actor_id: missing"},
    {"no payload", "{" WHO "}", 0, "payload: missing"},
    {"an actor_id of null",
     "{\"entity_type\":\"1\",\"entity_id\":\"T\",\"event_type\":\"m\",\"payload\":1,"
     "\"actor_id\":null}",
     0, "actor_id: missing"},
    {"an empty entity_type",
     "{\"entity_type\":\"\",\"entity_id\":\"1\",\"event_type\":\"T\",\"actor_id\":\"m\","
     "\"payload\":1}",
     0, "entity_type: empty"},
    {"an empty entity_id by its alias",
     "{\"entity_type\":\"a\",\"target_id\":\"\",\"event_type\":\"T\",\"actor_id\":\"m\","
     "\"payload\":1}",
     0, "entity_id: empty"},
    {"a target_id that is a number does not stand in",
     "{\"entity_type\":\"a\",\"target_id\":1,\"event_type\":\"T\",\"actor_id\":\"m\",\"payload\":"
     "1}",
     0, "entity_id: missing"},
    {"a payload_json that holds no JSON", "{" WHO ",\"payload_json\":\"{x\"}", 0,
     "payload: missing"},
    {"a payload_json that is an array", "{" WHO ",\"payload_json\":[1]}", 0, "payload: missing"},
    {"a number for a text", "{\"actor_id\":5," MIN "}", 1, "actor_id: wants a string"},
    {"an object for a text", "{" MIN ",\"site_id\":{}}", sizeof("{" MIN ",") - 1,
     "site_id: wants a string"},
    {"a text for an integer", "{\"ts_device\":\"5\"," MIN "}", 1, "ts_device: wants an integer"},
    {"a fraction for an integer", "{\"ts_device\":5.5," MIN "}", 1, "ts_device: wants an integer"},
    {"an integer too large for 64 bits", "{\"entity_version\":9223372036854775808," MIN "}", 1,
     "entity_version: wants an integer"},
    {"a ts_device before 1970", "{\"ts_device\":-1," MIN "}", 1, "ts_device: not Unix"},
    {"a ts_device of more than 48 bits", "{\"ts_device\":281474976710656," MIN "}", 1,
     "ts_device: not Unix"},
    {"a ts_server of more than 48 bits", "{\"ts_server\":281474976710656," MIN "}", 1,
     "ts_server: not Unix"},
    {"synced that is 2", "{\"synced\":2," MIN "}", 1, "synced: wants 0 or 1"},
    {"acknowledged that is a text", "{\"acknowledged\":\"yes\"," MIN "}", 1,
     "acknowledged: wants 0 or 1"},
    {"a NUL in a text", "{\"actor_name\":\"a\\u0000b\"," MIN "}", 1, "actor_name: has a NUL"},
    {"a NUL in an alias",
     "{\"target_type\":\"\\u0000\",\"entity_id\":\"1\",\"event_type\":\"T\",\"actor_id\":\"m\","
     "\"payload\":1}",
     0, "entity_type: has a NUL"},
    {"an event_id of a slash", "{\"event_id\":\"a/b\"," MIN "}", 0, "event_id: wants 1 to 128"},
    {"an event_id of a space", "{\"event_id\":\"a b\"," MIN "}", 0, "event_id: wants 1 to 128"},
    {"an event_id beyond ASCII", "{\"event_id\":\"\xc3\xa9\"," MIN "}", 0,
     "event_id: wants 1 to 128"},
    {"an empty event_id", "{\"event_id\":\"\"," MIN "}", 0, "event_id: wants 1 to 128"},
    {"an hlc in capitals",
     "{\"event_id\":\"e\",\"ts_device\":1,\"hlc\":\"0000000000FF.0000\"," MIN "}", 0, "hlc: wants"},
    {"an hlc cut short",
     "{\"event_id\":\"e\",\"ts_device\":1,\"hlc\":\"0000000000ff.000\"," MIN "}", 0, "hlc: wants"},
    {"an hlc that is empty", "{\"event_id\":\"e\",\"ts_device\":1,\"hlc\":\"\"," MIN "}", 0,
     "hlc: wants"},
    {"an hlc that is a number", "{\"hlc\":1," MIN "}", 1, "hlc: wants a string"},
    {"an hlc without ts_device", "{\"event_id\":\"e\",\"hlc\":\"0000000000ff.0000\"," MIN "}", 0,
     "ts_device: missing"},
    {"a ts_device without event_id", "{\"ts_device\":1," MIN "}", 0, "event_id: missing"},
    {"a timestamp without event_id", "{\"timestamp\":1," MIN "}", 0, "event_id: missing"},

    {"a known member twice", "{\"actor_id\":\"m\"," MIN "}",
     sizeof("{\"actor_id\":\"m\"," WHO) - sizeof("\"actor_id\":\"m\""), "actor_id: is there twice"},
    {"a known member twice, once in escapes", "{" MIN ",\"\\u0061ctor_id\":\"m\"}",
     sizeof("{" MIN ",") - 1, "actor_id: is there twice"},
    {"a known member twice, both null", "{" MIN ",\"hlc\":null,\"hlc\":null}",
     sizeof("{" MIN ",\"hlc\":null,") - 1, "hlc: is there twice"},
    {"payload twice", "{" MIN ",\"payload\":1}", sizeof("{" MIN ",") - 1,
     "payload: is there twice"},
    {"an alias twice", "{" MIN ",\"version\":\"x\",\"version\":1}",
     sizeof("{" MIN ",\"version\":\"x\",") - 1, "version: is there twice"},
    {"an unknown member twice", "{\"x\":1,\"y\":2,\"x\":1," MIN "}", 17, "twice"},
    {"an unknown member twice, once in escapes", "{\"x\":1,\"\\u0078\":2," MIN "}", 16, "twice"},
    {"a reserved name", "{\"lifeboat_x\":1," MIN "}", 1, "reserved"},
    {"a reserved name in escapes", "{\"\\u006cifeboat_\":1," MIN "}", 1, "reserved"},
};

enum { TAKEN = sizeof taken / sizeof *taken, REFUSED = sizeof refused / sizeof *refused };

static void check_lines(void)
{
    for (int i = 0; i < TAKEN; i++) {
        int rc = parse(taken[i].line);

        if (!is_str(rc ? fault.why : written(false), taken[i].want, "%s", taken[i].name))
            printf("# %s\n", taken[i].line);
        /* The canonical line is its own canonical line. */
        if (!rc) {
            char *again = strdup(written(false));

            rc = parse(again);
            is_str(rc ? fault.why : written(false), again, "and again: %s", taken[i].name);
            free(again);
        } else {
            ok(0, "and again");
        }
        arena_reset(&arena);
    }
    for (int i = 0; i < REFUSED; i++) {
        int rc = parse(refused[i].line);

        if (!ok(rc == -1 && fault.offset == refused[i].at && strstr(fault.why, refused[i].why),
                "refused: %s", refused[i].name))
            printf("# rc %d, at byte %zu, not %zu: %s\n", rc, fault.offset, refused[i].at,
                   fault.why);
        arena_reset(&arena);
    }
}

/* --- limits ------------------------------------------------------------- */

static int parse_long(const char *member, const char *piece, size_t count, const char *end)
{
    struct buf line = {0};
    int rc;

    buf_printf(&line, "{\"%s\":\"", member);
    for (size_t i = 0; i < count; i++)
        buf_adds(&line, piece);
    buf_printf(&line, "%s\",%s}", end,
               strcmp(member, "entity_id") ? MIN
                                           : "\"entity_type\":\"a\",\"event_type\":\"T\","
                                             "\"actor_id\":\"m\",\"payload\":{}");
    rc = parse_span((struct span){line.data, line.len});
    buf_free(&line);
    return rc;
}

static void check_limits(void)
{
    char alphabet[] = "ABYZabyz0189._:-";
    struct span id = {alphabet, sizeof alphabet - 1};
    int wrong = 0;

    is_int(parse_long("event_id", "x", 128, ""), 0, "an event_id of 128 bytes is taken");
    is_int(parse_long("event_id", "x", 129, ""), -1, "one of 129 is refused");
    is_int(parse_long("entity_id", "x", 1024, ""), 0, "a text of 1024 bytes is taken");
    ok(parse_long("entity_id", "x", 1025, "") && strstr(fault.why, "longer than 1024"),
       "one of 1025 is refused");
    is_int(parse_long("actor_name", "\\u00e9", 512, ""), 0,
           "of an escaped text it is its own bytes that count");
    is_int(parse_long("actor_name", "\\u00e9", 512, "x"), -1, "and one more is refused");
    ok(event_id_ok(id), "all of the alphabet may be in an id");
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool want = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c && strchr("._:-", c));

        wrong += event_id_ok((struct span){&one, 1}) != want;
    }
    is_int(wrong, 0, "and nothing else");
}

/* --- digest ------------------------------------------------------------- */

#define E1                                                                                         \
    "\"event_id\":\"e1\",\"site_id\":\"s\",\"ts_device\":1768000000000,"                           \
    "\"hlc\":\"019ba5000000.0000\",\"schema_version\":\"1.0\"," WHO

static struct digest digest_of(const char *line)
{
    if (parse(line))
        printf("# %s: %s\n", fault.why, line);
    event_digest(&ev);
    return ev.digest;
}

static const struct {
    const char *name, *line;
} same[] = {
    {"members in another order", "{\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1]," E1 "}"},
    {"numbers and strings spelt otherwise",
     "{" E1 ",\"payload\":{\"b\":\"\\u00e9\",\"a\":1.0},\"x\":[10e-1]}"},
    {"a ts_device spelt otherwise",
     "{\"event_id\":\"e1\",\"site_id\":\"s\",\"ts_device\":1.768e12,\"hlc\":\"019ba5000000.0000\","
     "\"schema_version\":\"1.0\"," WHO ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1]}"},
    {"a payload by its alias",
     "{" E1 ",\"payload_json\":\"{\\\"a\\\":1,\\\"b\\\":\\\"\\u00e9\\\"}\",\"x\":[1]}"},
    {"what is null in the known members",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"actor_name\":null}"},
    {"the store's own members",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"ts_server\":1,\"synced\":1,"
     "\"acknowledged\":1,\"created_at\":\"now\",\"seq\":77}"},
};

static const struct {
    const char *name, *line;
} others[] = {
    {"another payload", "{" E1 ",\"payload\":{\"a\":2,\"b\":\"\xc3\xa9\"},\"x\":[1]}"},
    {"another unknown member", "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[2]}"},
    {"no unknown member", "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"}}"},
    {"one unknown member more",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"y\":null}"},
    {"an actor_name",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"actor_name\":\"\"}"},
    {"an entity_version",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"entity_version\":0}"},
    {"a correlation_id",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"correlation_id\":\"c\"}"},
    {"the same as causation_id",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"causation_id\":\"c\"}"},
    {"a device_id",
     "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1],\"device_id\":\"c\"}"},
    {"a payload in the string form",
     "{" E1 ",\"payload\":\"{\\\"a\\\":1,\\\"b\\\":\\\"\xc3\xa9\\\"}\",\"x\":[1]}"},
};

enum { SAME = sizeof same / sizeof *same, OTHERS = sizeof others / sizeof *others };

static void check_digests(void)
{
    static const char line[] = "{" E1 ",\"payload\":{\"a\":1,\"b\":\"\xc3\xa9\"},\"x\":[1]}";
    struct digest of = digest_of(line), as_json;
    struct json j = {0};
    struct json_value v = {0};
    char text[DIGEST_TEXT];

    for (int i = 0; i < SAME; i++)
        ok(digest_eq(digest_of(same[i].line), of), "do not count: %s", same[i].name);
    for (int i = 0; i < OTHERS; i++)
        ok(!digest_eq(digest_of(others[i].line), of), "counts: %s", others[i].name);
    digest_of(line);
    ok(!json_whole(&j, span_of(written(false)), &v), "the canonical line is JSON");
    as_json = v.digest;
    ok(digest_eq(as_json, of), "and its digest as JSON is the event's");
    digest_text(of, text);
    is_str(text, "bf68dadd9499f532a650ae972463270e", "the digest is the one of version 1");
    json_end(&j);
    arena_reset(&arena);
}

/* As when read from the store: texts only. */
static void check_redigest(void)
{
    static const char line[] = "{" E1 ",\"payload\":{\"a\":1.0},\"x\\u00e9\":[1,{}],\"y\":null}";
    struct digest of = digest_of(line);

    ev.digest = ev.payload_digest = ev.extra_sum = (struct digest){1, 2};
    ev.extra_count = 9;
    ok(!event_redigest(&parser, &ev) && digest_eq(ev.digest, of),
       "the digest comes out the same from the texts alone");
    ev.payload = SPAN("{\"a\":2}");
    ok(!event_redigest(&parser, &ev) && !digest_eq(ev.digest, of), "a changed payload shows");
    ev.payload = SPAN("{\"a\":1.0");
    is_int(event_redigest(&parser, &ev), -1, "a payload that is no JSON is told");
    ev.payload = SPAN("{\"a\":1}");
    ev.extra = SPAN("{\"x\":");
    is_int(event_redigest(&parser, &ev), -1, "as are unknown members that are none");
    arena_reset(&arena);
}

/* --- newcomers ---------------------------------------------------------- */

static const struct {
    const char *name, *line;
    int covered;
} newcomers[] = {
    {"with fewer members", "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1}}", 1},
    {"with a payload spelt otherwise",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"\\u0061\":1.0}}", 1},
    {"with an unknown member of equal value",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"x\":[ 1.0 ]}", 1},
    {"with an equal optional member",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"site_id\":\"s\"}", 1},
    {"with another payload", "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":2}}", 0},
    {"with another text", "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"site_id\":\"t\"}",
     0},
    {"with a text the stored one lacks",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"actor_name\":\"n\"}", 0},
    {"with a version the stored one lacks",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"entity_version\":1}", 0},
    {"with another value of an unknown member",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"x\":[2]}", 0},
    {"with an unknown member the stored one lacks",
     "{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"z\":1}", 0},
};

enum { NEWCOMERS = sizeof newcomers / sizeof *newcomers };

static void check_newcomers(void)
{
    struct event stored;

    parse("{" E1 ",\"payload\":{\"a\":1},\"w\":null,\"x\":[1]}");
    stored = ev;
    for (int i = 0; i < NEWCOMERS; i++) {
        parse(newcomers[i].line);
        is_int(event_covered(&parser, &ev, &stored), newcomers[i].covered, "a newcomer %s %s",
               newcomers[i].name, newcomers[i].covered ? "is the same event" : "is another");
    }
    stored.extra = (struct span){NULL, 0};
    parse("{\"event_id\":\"e1\"," WHO ",\"payload\":{\"a\":1},\"x\":1}");
    ok(!event_covered(&parser, &ev, &stored), "an unknown member against none is another");
    arena_reset(&arena);
}

/* --- completing --------------------------------------------------------- */

static void check_settle(void)
{
    char room[18];

    parse("{\"event_id\":\"e\",\"ts_device\":255," MIN "}");
    event_settle(&ev, SPAN("here"), room);
    is_str(written(false),
           "{\"event_id\":\"e\",\"site_id\":\"here\"," C1 "\"actor_id\":\"m\",\"ts_device\":255,"
           "\"hlc\":\"0000000000ff.0000\",\"event_type\":\"T\",\"schema_version\":\"1.0\","
           "\"payload\":{}}",
           "hlc, site and schema version are filled in, nothing else");
    parse("{\"event_id\":\"e\",\"ts_device\":255,\"hlc\":\"000000000001.0002\",\"site_id\":\"\","
          "\"schema_version\":\"9\"," MIN "}");
    event_settle(&ev, SPAN("here"), room);
    is_str(written(false),
           "{\"event_id\":\"e\",\"site_id\":\"\"," C1 "\"actor_id\":\"m\",\"ts_device\":255,"
           "\"hlc\":\"000000000001.0002\",\"event_type\":\"T\",\"schema_version\":\"9\","
           "\"payload\":{}}",
           "and what is there stays");
}

static void check_full(void)
{
    parse("{" MIN ",\"x\":1,\"ts_server\":5,\"synced\":true,\"acknowledged\":0,\"seq\":99}");
    ev.created_at = SPAN("2026-01-26 09:30:00");
    ev.seq = 7;
    is_str(written(true),
           "{" C1 C2 "\"payload\":{},\"x\":1,\"ts_server\":5,\"synced\":1,\"acknowledged\":0,"
           "\"created_at\":\"2026-01-26 09:30:00\",\"seq\":7}",
           "the store's own members come last, in their order, seq its own");
    ok(ev.ts_server.set && ev.ts_server.v == 5 && ev.synced && !ev.acknowledged,
       "ts_server and the flags are read");
}

static void check_payload_alone(void)
{
    parse("{" MIN "}");
    ok(!event_set_payload(&parser, SPAN(" [ 1 ] "), &arena, &ev, &fault) &&
           span_eq(ev.payload, SPAN("[1]")),
       "a payload may come on its own");
    ok(event_set_payload(&parser, SPAN("[1] x"), &arena, &ev, &fault) && fault.offset == 4 &&
           strstr(fault.why, "behind"),
       "and is refused with its byte");
    ok(event_set_payload(&parser, (struct span){NULL, 0}, &arena, &ev, &fault) && fault.offset == 0,
       "an empty one too");
}

static void check_many_unknown(void)
{
    struct buf line = {0};
    int wrong = 0;

    buf_adds(&line, "{" MIN);
    for (int i = 999; i >= 0; i--)
        buf_printf(&line, ",\"u%03d\":%d", i, i);
    buf_addc(&line, '}');
    wrong += parse_span((struct span){line.data, line.len});
    for (int i = 0; i < 1000; i++) {
        char want[32];

        snprintf(want, sizeof want, "\"u%03d\":%d%s", i, i, i < 999 ? "," : "}");
        wrong += !strstr(written(false), want);
    }
    ok(!wrong && ev.extra_count == 1000, "a thousand unknown members are kept and sorted");
    buf_free(&line);
}

int main(void)
{
    plan(2 * TAKEN + REFUSED + 8 + SAME + OTHERS + 3 + 4 + NEWCOMERS + 1 + 2 + 2 + 3 + 1);
    check_lines();
    check_limits();
    check_digests();
    check_redigest();
    check_newcomers();
    check_settle();
    check_full();
    check_payload_alone();
    check_many_unknown();
    event_parser_free(&parser);
    arena_free(&arena);
    return done();
}
