#include "text/edit.h"

#include "tap.h"

static struct buf out;
static const char *why;
static size_t offset;

/* The text with the member set, or without it where value is NULL. */
static const char *edited(const char *text, const char *name, const char *value)
{
    struct edit m;

    buf_clear(&out);
    why = edit_find(span_of(text), span_of(name), &m, &offset);
    if (why)
        return why;
    if (value ? edit_set(&m, span_of(value), &out) : edit_remove(&m, &out))
        return "no memory";
    buf_term(&out);
    return out.data;
}

static void setting(void)
{
    is_str(edited("{\"a\":1,\"m\":false}", "m", "true"), "{\"a\":1,\"m\":true}",
           "a value is replaced");
    is_str(edited(" {\n\t\"m\" : {\"x\": [1, 2]} ,\"a\": 1e+2 }\n", "m", "true"),
           " {\n\t\"m\" : true ,\"a\": 1e+2 }\n", "and nothing around it");
    is_str(edited("{\"\\u006d\":false}", "m", "true"), "{\"\\u006d\":true}",
           "a name is what it says, however it is spelt");
    is_str(edited("{\"a\":{\"m\":false},\"m\":0}", "m", "true"), "{\"a\":{\"m\":false},\"m\":true}",
           "one of the same name further in is another");
    is_str(edited("{\"a\":{\"m\":false}}", "m", "true"), "{\"a\":{\"m\":false},\"m\":true}",
           "also where there is none outside");
    is_str(edited("{}", "m", "true"), "{\"m\":true}", "into an empty object");
    is_str(edited("{ }\n", "m", "true"), "{\"m\":true }\n", "with a space in it, too");
    is_str(edited("{\n  \"a\": 1,\n  \"b\": 2\n}\n", "m", "true"),
           "{\n  \"a\": 1,\n  \"b\": 2,\n  \"m\": true\n}\n",
           "a new one is in the style of the first");
    is_str(edited("{\"a\" : 1, \"b\" : 2}", "m", "true"), "{\"a\" : 1, \"b\" : 2,\"m\" : true}",
           "whatever that is");
    is_str(edited("{\"a\":9007199254740993.10}", "a\"\n", "\"x\""),
           "{\"a\":9007199254740993.10,\"a\\\"\\n\":\"x\"}", "a name is escaped");
}

static void removing(void)
{
    is_str(edited("{\"a\":1,\"m\":2,\"b\":3}", "m", NULL), "{\"a\":1,\"b\":3}", "from the middle");
    is_str(edited("{\n  \"m\": 2,\n  \"b\": 3\n}", "m", NULL), "{\n  \"b\": 3\n}",
           "from the start");
    is_str(edited("{\n  \"a\": 1,\n  \"m\": 2\n}", "m", NULL), "{\n  \"a\": 1\n}", "from the end");
    is_str(edited("{\"m\":2}", "m", NULL), "{}", "the only one");
    is_str(edited("{ \"m\" : [2, 3] }", "m", NULL), "{ }", "the only one, with space around it");
    is_str(edited("{\"a\":1}", "m", NULL), "{\"a\":1}", "one that is not there");
}

static void there_and_back(void)
{
    static const char *const texts[] = {"{}", "{ \n}", "{\"a\":1}",
                                        "{\n  \"a\": 1,\n  \"b\": {\"c\": []}\n}\n",
                                        "\t{ \"a\"\n:\n1 , \"b\" : 2 }  "};
    bool same = true;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char with[256];

        snprintf(with, sizeof with, "%s", edited(texts[i], "m", "true"));
        same = same && strcmp(with, texts[i]) != 0 && !strcmp(edited(with, "m", NULL), texts[i]);
    }
    ok(same, "what was added and taken away again leaves no trace");
}

static void refusals(void)
{
    is_str(edited("{\"m\":1,\n\"m\":2}", "m", "3"), "the member is there twice", "twice");
    is_int((int64_t)offset, 8, "says where");
    is_str(edited("{\"m\":1,\"\\u006d\":2}", "m", NULL), "the member is there twice",
           "twice, in two spellings");
    is_str(edited("[1]", "m", "3"), "not an object", "an array");
    is_str(edited("{\"a\":1}x", "m", "3"), "something behind the value", "more than an object");
    is_str(edited("{\"a\":1", "m", "3"), "the text ends inside an object", "a torn one");
    is_str(edited("{\"m\":1,}", "m", "3"), "a member without a name in quotes", "a comma too many");
    is_str(edited("", "m", "3"), "not an object", "nothing");
}

int main(void)
{
    plan(25);
    setting();
    removing();
    there_and_back();
    refusals();
    buf_free(&out);
    return done();
}
