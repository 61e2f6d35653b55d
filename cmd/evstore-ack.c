/* evstore-ack: marks events as synced or acknowledged by the other side. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/rejects.h"
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
static struct rejects rejects;
static struct progress progress;
static struct line_reader reader;
static bool synced_only;

/* The batch: what was read and is not told yet. Spans point into the reader's
 * buffer or the arena. */
static struct mark marks[BATCH_ROWS];
static size_t count;
static struct arena arena;
static struct json json;

static uint64_t received, marked, bytes;

static void roll_back(void)
{
    store_close(&store);
}

/* --- a line ------------------------------------------------------------- */

static struct span text_of(const struct json_value *v)
{
    struct buf room = {0};

    if (!v->escaped)
        return json_text(v, &room);
    room.data = arena_alloc(&arena, v->raw.n);
    room.cap = room.data ? v->raw.n : 0;
    return room.data ? json_text(v, &room) : (struct span){NULL, 0};
}

static const char *bad_json(size_t *offset)
{
    *offset = json_offset(&json);
    return json.why;
}

static const char *id_from_string(struct span text, struct span *id, size_t *offset)
{
    struct json_value v;

    if (json_whole(&json, text, &v))
        return bad_json(offset);
    *id = text_of(&v);
    return id->p ? NULL : json_no_memory;
}

static const char *id_from_object(struct span text, struct span *id, size_t *offset)
{
    struct json_value key, v;
    bool first = true;
    int rc;

    json_start(&json, text);
    if (json_open(&json))
        return bad_json(offset);
    while ((rc = json_member(&json, &first, &key, &v)) == 1) {
        struct span name = text_of(&key);

        if (!name.p)
            return json_no_memory;
        if (!span_eq(name, SPAN("event_id")))
            continue;
        *offset = (size_t)(key.raw.p - text.p);
        if (id->p)
            return "event_id: is there twice";
        if (v.kind != JSON_STRING)
            return "event_id: wants a string";
        *id = text_of(&v);
        if (!id->p)
            return json_no_memory;
    }
    if (rc || json_finish(&json))
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

static int refuse(const struct line *l, size_t offset, const char *why, struct err *e)
{
    return rejects_line(&rejects, reader.name, l, offset + (size_t)(l->text.p - l->raw.p), why, e);
}

static int take_line(const struct line *l, bool too_long, struct err *e)
{
    struct mark *m = &marks[count];
    const char *why;
    size_t offset;

    bytes += l->raw.n;
    if (too_long) {
        char text[80];

        received += l->first;
        snprintf(text, sizeof text, "longer than %zu bytes (--max-line)", reader.max);
        return refuse(l, 0, text, e);
    }
    if (!l->text.n || line_is_control(l->text))
        return 0;
    received++;
    *m = (struct mark){.line = *l};
    why = find_id(l->text, &m->id, &offset);
    if (why)
        return why == json_no_memory ? err_memory(e) : refuse(l, offset, why, e);
    count++;
    return 0;
}

/* Waits for a line, then takes what else is there. 1, or 0 at the end. */
static int fill(struct err *e)
{
    struct line l;

    count = 0;
    arena_reset(&arena);
    line_release(&reader);
    while (count < BATCH_ROWS && !stop_signal()) {
        enum line_result got = line_next(&reader, !count, &l, e);

        if (got == LINE_ERROR)
            return -1;
        if (got == LINE_EOF)
            return 0;
        if (got == LINE_NONE && count)
            break;
        if (got != LINE_NONE && take_line(&l, got == LINE_LONG, e))
            return -1;
    }
    return !stop_signal();
}

/* Marks from *i on; all of them, unless that takes long and others wait. */
static int mark_some(size_t *i, struct err *e)
{
    int64_t until = clock_boot_ms() + BATCH_HOLD_MS;

    do {
        int rc = events_mark(&store, marks[*i].id, !synced_only, e);

        if (rc < 0)
            return -1;
        marks[*i].known = rc == 1;
        ++*i;
    } while (*i < count && (*i % 64 || clock_boot_ms() <= until || !gate_wanted(&store.gate)));
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
        if (refuse(&m->line, 0, why, e))
            return -1;
    }
    return 0;
}

static int store_marks(struct err *e)
{
    for (size_t i = 0, from = 0; i < count; from = i)
        if (store_begin(&store, e) || mark_some(&i, e) || store_commit(&store, e) ||
            tell(from, i, e))
            return -1;
    return rejects_sync(&rejects, e);
}

/* --- the command -------------------------------------------------------- */

static int mark_file(const char *operand, struct err *e)
{
    int fd = cli_open(operand, e), more;

    if (fd < 0)
        return -1;
    line_open(&reader, fd, cli_name(operand), cli.max_line);
    do {
        more = fill(e);
        if (more < 0 || store_marks(e))
            return -1;
        progress_step(&progress, received, bytes);
    } while (more);
    line_close(&reader);
    if (fd != STDIN_FILENO)
        close(fd);
    return 0;
}

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_SYNCED)
            synced_only = true;
        else if (c == OPT_REJECTS)
            rejects_open(&rejects, optarg);
        else
            cli_option(c, optarg);
    }
}

int main(int argc, char **argv)
{
    char *standard_input[] = {"-", NULL};
    struct err e = ERR_NONE;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    cli_store(&store, STORE_WRITE, true);
    cli_on_exit(roll_back);
    progress_start(&progress, "events", 0);
    for (char **o = optind < argc ? argv + optind : standard_input; *o && !stop_signal(); o++)
        cli_check(mark_file(*o, &e), &e);
    progress_end(&progress);
    cli_say("%llu received: %llu marked, %llu rejected", (unsigned long long)received,
            (unsigned long long)marked, (unsigned long long)rejects.count);
    arena_free(&arena);
    json_end(&json);
    store_close(&store);
    rejects_close(&rejects);
    return cli_finish(rejects.count ? 1 : 0);
}
