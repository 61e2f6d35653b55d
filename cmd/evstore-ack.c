/* evstore-ack: marks events as synced or acknowledged by the other side. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "core/batch.h"
#include "store/events.h"
#include "text/seal.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: evstore-ack [options] [FILE...]\n"
    "\n"
    "Marks events as synced and acknowledged. Each line names one: by its id, as\n"
    "it is or as a JSON string, or as a JSON object with a member event_id, such\n"
    "as evstore-export prints.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --synced             mark as synced only, not as acknowledged\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -q, --quiet              no summary, no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_SYNCED = OPT_FIRST, OPT_REJECTS };

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"synced", no_argument, NULL, OPT_SYNCED},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

/* A line that names an event. */
struct mark {
    struct line line;
    struct span id;
    bool known; /* to the store */
};

static struct store store;
static struct lines in;
static bool synced_only;

/* The batch: what was read and is not told yet. */
static struct mark marks[BATCH_ROWS];
static size_t count;

static uint64_t marked;

static void roll_back(void)
{
    store_close(&store);
}

/* --- a line ------------------------------------------------------------- */

static const char *bad_json(size_t *offset)
{
    *offset = json_offset(&in.json);
    return in.json.why;
}

static const char *id_from_string(struct span text, struct span *id, size_t *offset)
{
    struct json_value v;

    if (json_whole(&in.json, text, &v))
        return bad_json(offset);
    *id = json_text_in(&v, &in.arena);
    return id->p ? NULL : json_no_memory;
}

static const char *id_from_object(struct span text, struct span *id, size_t *offset)
{
    struct json_value key, v;
    bool first = true;
    int rc;

    json_start(&in.json, text);
    if (json_open(&in.json))
        return bad_json(offset);
    while ((rc = json_member(&in.json, &first, &key, &v)) == 1) {
        struct span name = json_text_in(&key, &in.arena);

        if (!name.p)
            return json_no_memory;
        if (!span_eq(name, SPAN("event_id")))
            continue;
        *offset = (size_t)(key.raw.p - text.p);
        if (id->p)
            return "event_id: is there twice";
        if (v.kind != JSON_STRING)
            return "event_id: wants a string";
        *id = json_text_in(&v, &in.arena);
        if (!id->p)
            return json_no_memory;
    }
    if (rc || json_finish(&in.json))
        return bad_json(offset);
    return id->p ? NULL : "event_id: missing";
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The id a line names. Returns NULL, or why it names none, and where. */
static const char *find_id(struct span text, struct span *id, size_t *offset)
{
    const char *why = NULL;
    size_t lead = 0;

    *id = (struct span){NULL, 0};
    *offset = 0;
    while (text.n && is_space(text.p[text.n - 1]))
        text.n--;
    while (lead < text.n && is_space(text.p[lead]))
        lead++;
    text = (struct span){text.p + lead, text.n - lead};
    if (text.p[0] == '{')
        why = id_from_object(text, id, offset);
    else if (text.p[0] == '"')
        why = id_from_string(text, id, offset);
    else
        *id = text;
    if (!why && !event_id_ok(*id))
        why = "not an event_id: wants 1 to 128 of A-Z a-z 0-9 . _ : -";
    *offset += lead;
    return why;
}

/* --- a batch ------------------------------------------------------------ */

static int take_line(void *ctx, const struct line *l, struct err *e)
{
    struct mark *m = &marks[count];
    const char *why;
    size_t offset;

    (void)ctx;
    if (line_is_control(l->text)) {
        in.received--;
        return 0;
    }
    *m = (struct mark){.line = *l};
    why = find_id(l->text, &m->id, &offset);
    if (why)
        return lines_refuse(&in, l, offset, why, e);
    count++;
    return 0;
}

/* Marks from *i on; all of them, unless that takes long and others wait. */
static int mark_some(size_t *i, struct err *e)
{
    int64_t begun = clock_boot_ms();

    do {
        int rc = events_mark(&store, marks[*i].id, !synced_only, e);

        if (rc < 0)
            return -1;
        marks[*i].known = rc == 1;
        ++*i;
    } while (*i < count && lines_go_on(&store, begun, *i));
    return 0;
}

/* Says what there is to say about the marks just committed. */
static int tell(size_t from, size_t to, struct err *e)
{
    for (size_t i = from; i < to; i++) {
        const struct mark *m = &marks[i];
        char why[200];

        if (m->known) {
            marked++;
            continue;
        }
        snprintf(why, sizeof why, "event %.*s: not in this store", (int)m->id.n, m->id.p);
        if (lines_refuse(&in, &m->line, 0, why, e))
            return -1;
    }
    return 0;
}

static int store_marks(void *ctx, struct err *e)
{
    (void)ctx;
    for (size_t i = 0, from = 0; i < count; from = i)
        if (store_begin(&store, e) || mark_some(&i, e) || store_commit(&store, e) ||
            tell(from, i, e))
            return -1;
    count = 0;
    return 0;
}

/* --- the command -------------------------------------------------------- */

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_SYNCED)
            synced_only = true;
        else if (c == OPT_REJECTS)
            rejects_open(&in.rejects, optarg);
        else
            cli_option(c, optarg);
    }
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    cli_store(&store, STORE_WRITE, true);
    cli_on_exit(roll_back);
    in.take = take_line;
    in.store = store_marks;
    in.what = "events";
    cli_check(lines_read(&in, argv + optind, &e), &e);
    cli_say("%llu received: %llu marked, %llu rejected", (unsigned long long)in.received,
            (unsigned long long)marked, (unsigned long long)in.rejects.count);
    store_close(&store);
    lines_close(&in);
    return cli_finish(in.rejects.count ? 1 : 0);
}
