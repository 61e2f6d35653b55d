/* A configuration file is taken exactly when it is an object in which, as deep as
 * objects go, no name stands twice; and its values are what they are: integers in
 * any spelling, strings without NUL, spans of time, true and false. */
#include "cli/config.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

static struct config config;
static char path[] = "fuzz.json";
static struct span text;

static void check_integer(const struct json_value *v, struct span name, const struct value *tree)
{
    struct err e = ERR_NONE;
    int64_t got = 0, want = 0;
    bool is = tree->kind == V_NUMBER && value_int(tree, &want) && want >= -1000 && want <= 1000;

    if (config_int(&config, name, v, -1000, 1000, &got, &e) != (is ? 0 : -1) ||
        (is && got != want) || (!is && e.status != EX_CONFIG))
        value_found("an integer taken otherwise", v->raw, text);
}

static void check_text(const struct json_value *v, struct span name, const struct value *tree)
{
    struct err e = ERR_NONE;
    char *got = NULL;
    bool is = tree->kind == V_STRING;

    for (size_t i = 0; is && i < tree->nchars; i++)
        is = tree->chars[i] != 0;
    if (config_string(&config, name, v, &got, &e) != (is ? 0 : -1) || (is && !got))
        value_found("a string taken otherwise", v->raw, text);
}

static void check_truth(const struct json_value *v, struct span name, const struct value *tree)
{
    struct err e = ERR_NONE;
    bool got = false, is = tree->kind == V_TRUE || tree->kind == V_FALSE;

    if (config_bool(&config, name, v, &got, &e) != (is ? 0 : -1) ||
        (is && got != (tree->kind == V_TRUE)))
        value_found("true or false taken otherwise", v->raw, text);
}

static void check_span(const struct json_value *v, struct span name)
{
    struct err e = ERR_NONE;
    int64_t ms = -1;

    if (!config_span_ms(&config, name, v, &ms, &e) && (ms < 0 || ms % 1000))
        value_found("a span of time that is none", v->raw, text);
}

/* Every member is taken; objects are walked. */
static int take(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    const struct value *tree = value_parse(v->raw);

    (void)ctx;
    if (!tree)
        value_found("a value that is none", v->raw, text);
    check_integer(v, name, tree);
    check_text(v, name, tree);
    check_truth(v, name, tree);
    check_span(v, name);
    return v->kind == JSON_OBJECT ? config_members(&config, v->raw, take, NULL, e) : 0;
}

/* Does any object that is reached by objects alone have a name twice? */
static bool has_doubles(const struct value *v)
{
    for (size_t i = 0; i < v->count; i++) {
        for (size_t k = 0; k < i; k++)
            if (value_equal(v->names[i], v->names[k]))
                return true;
        if (v->items[i]->kind == V_OBJECT && has_doubles(v->items[i]))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_NONE;
    const struct value *tree;
    bool good;

    value_reset();
    text = value_keep((struct span){(const char *)data, size});
    config = (struct config){.path = path};
    if (buf_add(&config.text, text.p, text.n))
        abort();
    tree = value_parse(text);
    good = tree && tree->kind == V_OBJECT && !has_doubles(tree);
    if (config_members(&config, config_whole(&config), take, NULL, &e) != (good ? 0 : -1))
        value_found(good ? "refused" : "taken", text, text);
    if (!good && (e.status != EX_CONFIG || strncmp(e.msg, "fuzz.json:", 10)))
        value_found(e.msg, text, text);
    config.path = NULL; /* not its own */
    config_close(&config);
    return 0;
}
