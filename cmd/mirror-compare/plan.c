/* plan: the configuration file, then what the command line says. */
#include "cli/policy.h"
#include "cli/settings.h"
#include "mirror-compare/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char config_name[] = "mirror-compare.json";
static const char default_key[] = "tag_id,order_id", default_ts[] = "updated_at";

enum { DEFAULT_LIMIT = 1000, DEFAULT_DIFFS = 1000, MEMORY_LEAST = 1 << 20 };

static const char wants_tolerance[] =
    "wants abs: or rel: and a number that is not negative, such as abs:0.01";

/* --- names and tolerances ------------------------------------------------- */

static int add_name(struct plan *p, struct record_names *names, struct span name)
{
    struct span *more = arena_alloc(&p->strings, (names->n + 1) * sizeof *more);

    if (!more)
        return -1;
    if (names->n)
        memcpy(more, names->at, names->n * sizeof *more);
    more[names->n] = arena_span(&p->strings, name);
    if (!more[names->n].p)
        return -1;
    names->at = more;
    names->n++;
    return 0;
}

/* a,b,c. 1: one of them is empty. */
static int split_names(struct plan *p, const char *list, struct record_names *out)
{
    *out = (struct record_names){NULL, 0};
    for (;;) {
        size_t n = strcspn(list, ",");

        if (!n)
            return 1;
        if (add_name(p, out, (struct span){list, n}))
            return -1;
        if (!list[n])
            return 0;
        list += n + 1;
    }
}

static bool is_decimal(const char *text)
{
    struct json j = {.p = NULL};
    struct json_value v;
    bool is = !json_whole(&j, span_of(text), &v) && v.kind == JSON_NUMBER && text[0] != '-' &&
              !v.spaced && v.raw.n == strlen(text);

    json_end(&j);
    return is;
}

/* abs:X or rel:X. 1: it is neither. */
static int add_tolerance(struct plan *p, struct span field, const char *text)
{
    size_t n = p->rules.tolerance_count;
    struct record_tolerance *more = arena_alloc(&p->strings, (n + 1) * sizeof *more);
    bool part = !strncmp(text, "rel:", 4);

    if ((!part && strncmp(text, "abs:", 4) != 0) || !is_decimal(text + 4))
        return 1;
    if (!more)
        return -1;
    if (n)
        memcpy(more, p->rules.tolerances, n * sizeof *more);
    more[n] = (struct record_tolerance){.name = arena_span(&p->strings, field),
                                        .limit = arena_span(&p->strings, span_of(text + 4)),
                                        .part = part};
    if (!more[n].name.p || !more[n].limit.p)
        return -1;
    p->rules.tolerances = more;
    p->rules.tolerance_count = n + 1;
    return 0;
}

/* --- the file --------------------------------------------------------------- */

struct reading {
    struct plan *p;
    char *ts, *status_dir, *zone, *memory, *gap;
    char *file[SIDES], *command[SIDES];
    int64_t ts_tol_ms;
};

/* ["a","b"] or "a,b". */
static int take_names(struct plan *p, struct span name, const struct json_value *v,
                      struct record_names *out, struct err *e)
{
    struct json j = {.p = NULL};
    struct json_value item;
    bool first = true;
    char *text;
    int rc;

    *out = (struct record_names){NULL, 0};
    if (v->kind != JSON_ARRAY) {
        if (config_string(&p->file, name, v, &text, e))
            return -1;
        rc = split_names(p, text, out);
        return rc > 0   ? config_fault(&p->file, v->raw.p, e, "%.*s: a name in it is empty",
                                       (int)name.n, name.p)
               : rc < 0 ? err_memory(e)
                        : 0;
    }
    json_start(&j, v->raw);
    rc = json_array(&j);
    while (!rc && (rc = json_element(&j, &first, &item)) == 1) {
        rc = config_string(&p->file, name, &item, &text, e);
        if (!rc && add_name(p, out, span_of(text)))
            rc = err_memory(e);
    }
    json_end(&j);
    return rc;
}

static int take_tolerance(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct reading *r = ctx;
    char *text;
    int rc;

    if (config_string(&r->p->file, name, v, &text, e))
        return -1;
    rc = add_tolerance(r->p, name, text);
    if (rc > 0)
        return config_fault(&r->p->file, v->raw.p, e, "%.*s: %s", (int)name.n, name.p,
                            wants_tolerance);
    return rc ? err_memory(e) : 0;
}

static int take_tolerances(struct reading *r, struct span name, const struct json_value *v,
                           struct err *e)
{
    if (v->kind != JSON_OBJECT)
        return config_fault(&r->p->file, v->raw.p, e, "%.*s: wants an object of fields",
                            (int)name.n, name.p);
    return config_members(&r->p->file, v->raw, take_tolerance, r, e);
}

static int take_size(struct reading *r, struct span name, const struct json_value *v, struct err *e)
{
    struct config *c = &r->p->file;

    if (config_string(c, name, v, &r->memory, e))
        return -1;
    if (size_parse(r->memory, &r->p->memory) || r->p->memory < MEMORY_LEAST)
        return config_fault(c, v->raw.p, e, "memory: wants a size from 1M on, such as \"256M\"");
    return 0;
}

static int take_gap(struct reading *r, struct span name, const struct json_value *v, struct err *e)
{
    struct config *c = &r->p->file;

    if (config_string(c, name, v, &r->gap, e))
        return -1;
    r->p->hold = !strcmp(r->gap, "hold");
    if (!r->p->hold && strcmp(r->gap, "break") != 0)
        return config_fault(c, v->raw.p, e, "gap: wants \"break\" or \"hold\"");
    return 0;
}

/* 1: it is none of these. */
static int take_text(struct reading *r, struct span name, const struct json_value *v, struct err *e)
{
    const struct {
        struct span name;
        char **to;
    } texts[] = {{SPAN("old"), &r->file[OLD]},
                 {SPAN("new"), &r->file[NEW]},
                 {SPAN("old_cmd"), &r->command[OLD]},
                 {SPAN("new_cmd"), &r->command[NEW]},
                 {SPAN("status_dir"), &r->status_dir},
                 {SPAN("zone"), &r->zone},
                 {SPAN("ts"), &r->ts}};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (span_eq(name, texts[i].name))
            return config_string(&r->p->file, name, v, texts[i].to, e);
    return 1;
}

static int take_lists(struct reading *r, struct span name, const struct json_value *v,
                      struct err *e)
{
    struct plan *p = r->p;

    if (span_eq(name, SPAN("key")))
        return take_names(p, name, v, &p->rules.key, e);
    if (span_eq(name, SPAN("fields")))
        return take_names(p, name, v, &p->rules.fields, e);
    if (span_eq(name, SPAN("ignore")))
        return take_names(p, name, v, &p->rules.ignore, e);
    return span_eq(name, SPAN("tol")) ? take_tolerances(r, name, v, e) : 1;
}

static int take_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct reading *r = ctx;
    struct plan *p = r->p;
    int rc = take_text(r, name, v, e);

    if (rc == 1)
        rc = take_lists(r, name, v, e);
    if (rc != 1)
        return rc;
    if (span_eq(name, SPAN("ts_tol")))
        return config_span_ms(&p->file, name, v, &r->ts_tol_ms, e);
    if (span_eq(name, SPAN("lag")))
        return config_span_ms(&p->file, name, v, &p->lag_ms, e);
    if (span_eq(name, SPAN("timeout")))
        return config_span_ms(&p->file, name, v, &p->timeout_ms, e);
    if (span_eq(name, SPAN("limit")))
        return config_int(&p->file, name, v, 0, INT64_MAX / 2, &p->limit, e);
    if (span_eq(name, SPAN("max_diffs")))
        return config_int(&p->file, name, v, 0, INT64_MAX / 2, &p->max_diffs, e);
    if (span_eq(name, SPAN("sorted")))
        return config_bool(&p->file, name, v, &p->sorted, e);
    if (span_eq(name, SPAN("memory")))
        return take_size(r, name, v, e);
    if (span_eq(name, SPAN("gap")))
        return take_gap(r, name, v, e);
    return config_fault(&p->file, v->raw.p, e, "%.*s: no such member", (int)name.n, name.p);
}

static int file_sources(struct reading *r, struct err *e)
{
    for (int i = 0; i < SIDES; i++) {
        if (!!r->file[i] == !!r->command[i])
            return err_set(e, EX_CONFIG, "%s: wants either %s or %s_cmd", r->p->file.path,
                           side_names[i], side_names[i]);
        r->p->command[i] = r->command[i] != NULL;
        r->p->source[i] = r->command[i] ? r->command[i] : r->file[i];
    }
    return 0;
}

static int read_file(struct plan *p, const struct wishes *w, bool sources, struct err *e)
{
    struct reading r = {.p = p};
    int rc = w->config ? config_open_file(&p->file, w->config, e)
                       : config_open(&p->file, config_name, e);

    if (rc < 0)
        return -1;
    if (!rc && w->config)
        return err_set(e, EX_CONFIG, "unable to open %s: there is no such file", w->config);
    if (!rc && w->recompute)
        return 0;
    if (!rc)
        return err_set(e, EX_CONFIG, "there is no %s/%s, and no OLD and NEW are given",
                       config_folder(), config_name);
    if (sources)
        p->limit = DEFAULT_LIMIT;
    if (config_members(&p->file, config_whole(&p->file), take_member, &r, e))
        return -1;
    p->rules.ts_tolerance_us = r.ts_tol_ms * 1000;
    if (r.ts)
        p->rules.ts = span_of(r.ts);
    if (r.zone)
        p->zone = r.zone;
    if (sources)
        p->status_dir = r.status_dir ? r.status_dir : settings_get("MIRROR_DIR");
    return sources && !w->recompute ? file_sources(&r, e) : 0;
}

/* --- the command line --------------------------------------------------------- */

/* How many sides it names. */
static int sources_given(const struct wishes *w)
{
    return w->operand_count + !!w->command[OLD] + !!w->command[NEW];
}

static void take_sources(struct plan *p, const struct wishes *w)
{
    int operand = 0;

    if (sources_given(w) != SIDES)
        cli_usage_error("wants two sides: OLD and NEW, --old-cmd or --new-cmd for either of "
                        "them, or none and a configuration file");
    for (int i = 0; i < SIDES; i++) {
        p->command[i] = w->command[i] != NULL;
        p->source[i] = p->command[i] ? w->command[i] : w->operands[operand++];
    }
    if (!p->command[OLD] && !p->command[NEW] && !strcmp(p->source[OLD], "-") &&
        !strcmp(p->source[NEW], "-"))
        cli_usage_error("standard input cannot be both sides");
}

static int names_wish(struct plan *p, const char *option, const char *list,
                      struct record_names *out, struct err *e)
{
    int rc = list ? split_names(p, list, out) : 0;

    if (rc > 0)
        cli_usage_error("%s: %s: a name in it is empty", option, list);
    return rc ? err_memory(e) : 0;
}

static int tolerance_wishes(struct plan *p, const struct wishes *w, struct err *e)
{
    for (size_t i = 0; i < w->tolerance_count; i++) {
        const char *text = w->tolerances[i], *equals = strchr(text, '=');
        int rc = equals && equals != text
                     ? add_tolerance(p, (struct span){text, (size_t)(equals - text)}, equals + 1)
                     : 1;

        if (rc > 0)
            cli_usage_error("--tol: %s: FIELD= %s", text, wants_tolerance);
        if (rc)
            return err_memory(e);
    }
    return 0;
}

static void number_wishes(struct plan *p, const struct wishes *w)
{
    if (w->ts_tol)
        p->rules.ts_tolerance_us = 1000 * cli_span_ms("--ts-tol", w->ts_tol);
    if (w->lag)
        p->lag_ms = cli_span_ms("--lag", w->lag);
    if (w->timeout)
        p->timeout_ms = cli_span_ms("--timeout", w->timeout);
    if (w->limit)
        p->limit = cli_number("--limit", w->limit, 0, INT64_MAX / 2);
    if (w->max_diffs)
        p->max_diffs = cli_number("--max-diffs", w->max_diffs, 0, INT64_MAX / 2);
    if (w->memory && (size_parse(w->memory, &p->memory) || p->memory < MEMORY_LEAST))
        cli_usage_error("--memory: %s: wants a size from 1M on, such as 256M", w->memory);
}

static int take_wishes(struct plan *p, const struct wishes *w, struct err *e)
{
    if (names_wish(p, "--key", w->key, &p->rules.key, e) ||
        names_wish(p, "--fields", w->fields, &p->rules.fields, e) ||
        names_wish(p, "--ignore", w->ignore, &p->rules.ignore, e) || tolerance_wishes(p, w, e))
        return -1;
    number_wishes(p, w);
    if (w->ts)
        p->rules.ts = span_of(w->ts);
    if (w->zone)
        p->zone = w->zone;
    if (w->gap && strcmp(w->gap, "hold") != 0 && strcmp(w->gap, "break") != 0)
        cli_usage_error("--gap: %s: wants break or hold", w->gap);
    if (w->gap)
        p->hold = !strcmp(w->gap, "hold");
    if (w->status_dir)
        p->status_dir = w->status_dir;
    if (w->no_record)
        p->status_dir = NULL;
    p->sorted |= w->sorted;
    return 0;
}

static int add_named(struct plan *p, struct span name)
{
    for (size_t i = 0; i < p->rules.named.n; i++)
        if (span_eq(p->rules.named.at[i], name))
            return 0;
    return add_name(p, &p->rules.named, name);
}

static int add_all_named(struct plan *p, const struct record_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (add_named(p, names->at[i]))
            return -1;
    return 0;
}

/* What somebody wrote down has to be in the records; the defaults need not. */
static int collect_named(struct plan *p)
{
    const struct record_rules *r = &p->rules;

    if (add_all_named(p, &r->key) || add_all_named(p, &r->fields))
        return -1;
    for (size_t i = 0; i < r->tolerance_count; i++)
        if (add_named(p, r->tolerances[i].name))
            return -1;
    return r->ts.p && r->ts.p != default_ts ? add_named(p, r->ts) : 0;
}

/* --- all of it ------------------------------------------------------------------ */

static int check(struct plan *p, const struct wishes *w, struct err *e)
{
    int status = p->file.path ? EX_CONFIG : EX_USAGE;

    if (!zone_exists(p->zone))
        return err_set(e, w->zone ? EX_USAGE : EX_CONFIG, "zone: %s: there is none of this name",
                       p->zone);
    if (p->rules.key.n > RECORD_KEYS_MAX)
        return err_set(e, status, "key: more than %d members", RECORD_KEYS_MAX);
    for (size_t i = 0; i < p->rules.key.n; i++)
        for (size_t k = 0; k < i; k++)
            if (span_eq(p->rules.key.at[i], p->rules.key.at[k]))
                return err_set(e, status, "key: %.*s: is there twice", (int)p->rules.key.at[i].n,
                               p->rules.key.at[i].p);
    if (!p->timeout_ms)
        return err_set(e, status, "timeout: wants more than 0 seconds");
    return 0;
}

static int add_text(struct buf *b, const char *what, struct span text)
{
    return buf_printf(b, "%s %zu ", what, text.n) || buf_add(b, text.p, text.n);
}

static int add_names(struct buf *b, const char *what, const struct record_names *names)
{
    if (buf_printf(b, "%s %zu ", what, names->n))
        return -1;
    for (size_t i = 0; i < names->n; i++)
        if (add_text(b, "", names->at[i]))
            return -1;
    return 0;
}

static int add_rules(struct buf *b, const struct record_rules *r)
{
    if (add_names(b, "key", &r->key) || add_names(b, "fields", &r->fields) ||
        add_names(b, "ignore", &r->ignore) || add_text(b, "ts", r->ts) ||
        buf_printf(b, "ts_tol %lld ", (long long)r->ts_tolerance_us))
        return -1;
    for (size_t i = 0; i < r->tolerance_count; i++)
        if (add_text(b, r->tolerances[i].part ? "rel" : "abs", r->tolerances[i].name) ||
            add_text(b, "", r->tolerances[i].limit))
            return -1;
    return 0;
}

/* What was compared, and how: a streak is of one of these. */
static int digest_plan(struct plan *p, struct err *e)
{
    struct buf b = {0};
    int rc = 0;

    for (int i = 0; i < SIDES; i++)
        rc |= add_text(&b, p->command[i] ? "command" : "file", span_of(p->source[i]));
    rc |= add_rules(&b, &p->rules);
    rc |= buf_printf(&b, "limit %lld lag %lld zone %s", (long long)p->limit, (long long)p->lag_ms,
                     p->zone);
    if (!rc)
        snprintf(p->digest, sizeof p->digest, "%016llx",
                 (unsigned long long)hash_seeded64(b.data, b.len, 1));
    buf_free(&b);
    return rc ? err_memory(e) : 0;
}

/* Where there is room: the folder that was named, else not in memory. */
static int choose_aside(struct plan *p, struct err *e)
{
    const char *folder = getenv("TMPDIR");

    if (!folder || !*folder)
        folder = p->status_dir ? p->status_dir : "/var/tmp";
    return asprintf(&p->aside, "%s/mirror-compare", folder) < 0 ? (p->aside = NULL, err_memory(e))
                                                                : 0;
}

int plan_make(struct plan *p, const struct wishes *w, struct err *e)
{
    bool from_file = !sources_given(w);

    if (w->recompute && (!from_file || w->no_record))
        cli_usage_error("--recompute compares nothing: it takes no sides and no --no-record");
    *p = (struct plan){.max_diffs = DEFAULT_DIFFS,
                       .memory = 256 << 20,
                       .timeout_ms = 600000,
                       .zone = p->here,
                       .rules = {.ts = span_of(default_ts)}};
    zone_here(p->here);
    if (!from_file)
        take_sources(p, w);
    if ((from_file || w->config) && read_file(p, w, from_file, e))
        return -1;
    if (w->recompute && !p->status_dir)
        p->status_dir = settings_get("MIRROR_DIR");
    if (take_wishes(p, w, e))
        return -1;
    if (collect_named(p) || (!p->rules.key.n && split_names(p, default_key, &p->rules.key)))
        return err_memory(e);
    if (check(p, w, e) || (!w->recompute && digest_plan(p, e)))
        return -1;
    return choose_aside(p, e);
}

void plan_free(struct plan *p)
{
    config_close(&p->file);
    arena_free(&p->strings);
    free(p->aside);
}
