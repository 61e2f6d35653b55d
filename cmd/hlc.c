/* hlc: tick, merge, parse, compare and sort by Hybrid Logical Clock. */
#include "text/hlc.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/rejects.h"
#include "core/batch.h"
#include "text/hlc.h"
#include "text/json.h"
#include "text/line.h"
#include "text/rfc3339.h"
#include "text/seal.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: hlc [-d FILE] send\n"
    "       hlc [-d FILE] [--max-drift SPAN] [--adopt-clock] recv HLC\n"
    "       hlc [-d FILE] now\n"
    "       hlc parse HLC...\n"
    "       hlc compare A B\n"
    "       hlc sort [--rejects FILE] [FILE...]\n"
    "\n"
    "send ticks the store's clock and prints its reading; recv does so past the\n"
    "reading of a message; now prints it as it stands. compare prints <, = or >\n"
    "and exits with 0 for the same, 1 for different ones, 2 or more for trouble.\n"
    "sort prints JSON lines in the order of (hlc, event_id).\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --max-drift SPAN     recv: do not follow clocks further ahead (24h)\n"
    "      --adopt-clock        recv: follow them\n"
    "      --rejects FILE       sort: append lines that are refused to FILE\n"
    "      --max-line BYTES     sort: longest line accepted (16777216)\n"
    "  -q, --quiet              no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_REJECTS = OPT_FIRST, OPT_DRIFT, OPT_ADOPT };

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"max-drift", required_argument, NULL, OPT_DRIFT},
                                        {"adopt-clock", no_argument, NULL, OPT_ADOPT},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct store store = {.gate.fd = -1}; /* not open */
static int64_t max_drift_ms = 86400000;
static bool adopt_clock;

static void close_store(void)
{
    store_close(&store);
}

/* An operand that must be a reading; otherwise the program ends. */
static struct hlc reading(const char *operand, int status)
{
    struct err e = ERR_NONE;
    struct hlc h = {0};

    if (hlc_parse(span_of(operand), &h)) {
        err_set(&e, status, "%s: not an HLC", operand);
        cli_die(&e);
    }
    return h;
}

static void print_reading(struct hlc h)
{
    char text[18];

    hlc_format(h, text);
    cli_putf("%s\n", text);
}

/* --- the store's clock -------------------------------------------------- */

static int read_clock(struct hlc *clock, struct err *e)
{
    char *text;
    int rc;

    if (store_meta_get(&store, "hlc", &text, e))
        return -1;
    rc = text ? hlc_parse(span_of(text), clock) : -1;
    free(text);
    return rc ? err_set(e, EX_DATAERR, "%s: the clock in its meta table is not one", store.path)
              : 0;
}

static int write_clock(struct hlc clock, struct err *e)
{
    char text[18];

    hlc_format(clock, text);
    return store_meta_set(&store, "hlc", text, e);
}

/* May the clock follow a message from far ahead? A blank store, or one whose
 * wall clock is plainly wrong, has nothing better to go by. */
static int may_follow(bool *may, struct err *e)
{
    int64_t any = 0;

    *may = adopt_clock || clock_now_ms() < clock_build_ms();
    if (!*may && db_int(&store.db, "SELECT EXISTS(SELECT 1 FROM events)", &any, e))
        return -1;
    *may = *may || !any;
    return 0;
}

struct tick {
    const struct hlc *msg; /* NULL: nothing was received */
    struct hlc clock;      /* afterwards */
    bool ahead, followed;
};

static int move_clock(struct tick *t, struct err *e)
{
    int64_t now = clock_now_ms(), latest;

    if (read_clock(&t->clock, e))
        return -1;
    latest = now > t->clock.ms ? now : t->clock.ms;
    t->followed = t->msg != NULL;
    t->ahead = t->msg && t->msg->ms - latest > max_drift_ms;
    if (t->ahead && may_follow(&t->followed, e))
        return -1;
    if (t->followed ? hlc_recv(&t->clock, *t->msg, now) : hlc_send(&t->clock, now))
        return err_set(e, EX_DATAERR, "the clock cannot go past the end of its range");
    return write_clock(t->clock, e);
}

static void tick(struct tick *t)
{
    struct err e = ERR_NONE;

    cli_store(&store, STORE_CREATE, false);
    cli_check(store_begin(&store, &e), &e);
    cli_check(move_clock(t, &e), &e);
    cli_check(store_commit(&store, &e), &e);
    print_reading(t->clock);
}

static int run_send(char **operands)
{
    struct tick t = {0};

    (void)operands;
    tick(&t);
    return 0;
}

static int run_recv(char **operands)
{
    struct hlc msg = reading(operands[0], EX_DATAERR);
    struct tick t = {.msg = &msg};

    tick(&t);
    if (t.ahead)
        cli_warn("%s: warning: far ahead of the clock here; %s", operands[0],
                 t.followed ? "followed" : "not followed (see --adopt-clock)");
    return 0;
}

static int run_now(char **operands)
{
    struct err e = ERR_NONE;
    struct hlc clock = {0};

    (void)operands;
    cli_store(&store, STORE_READ, false);
    cli_check(read_clock(&clock, &e), &e);
    print_reading(clock);
    return 0;
}

/* --- texts -------------------------------------------------------------- */

static int run_parse(char **operands)
{
    int status = 0;

    for (char **o = operands; *o; o++) {
        struct hlc h;
        char time[32];

        if (hlc_parse(span_of(*o), &h)) {
            cli_warn("%s: not an HLC", *o);
            status = 1;
            continue;
        }
        rfc3339_format(h.ms, time);
        cli_putf("{\"hlc\":\"%s\",\"unix_ms\":%lld,\"counter\":%u,\"time\":\"%s\"}\n", *o,
                 (long long)h.ms, (unsigned)h.counter, time);
    }
    return status;
}

static int run_compare(char **operands)
{
    struct hlc a = reading(operands[0], 2), b = reading(operands[1], 2);
    int order = hlc_cmp(a, b);

    cli_putf("%s\n", order < 0 ? "<" : order > 0 ? ">" : "=");
    return order != 0;
}

/* --- sorting ------------------------------------------------------------ */

/* What a line is sorted by. Spans point into it, or into room. */
struct place {
    struct span hlc, event_id;
    struct event_int ts_device, timestamp;
    unsigned seen;
    struct buf room;
};

/* Where the lines come from. */
static struct {
    char **operands; /* the next one first */
    int fd;          /* of the current one, -1: none */
    struct line_reader reader;
    struct json json;
    struct place place;
    struct progress progress;
    uint64_t lines, bytes;
} input = {.fd = -1};

static struct rejects rejects;
static struct child sorter;

static int take_text(struct place *p, const struct json_value *v, struct span *text)
{
    if (v->kind != JSON_STRING)
        return -1;
    *text = json_text(v, &p->room);
    return text->p ? 0 : -1;
}

static int take_ms(const struct json_value *v, struct event_int *at)
{
    at->set = !json_int(v, &at->v) && at->v >= 0 && at->v < HLC_MS_END;
    return at->set ? 0 : -1;
}

/* The alias of ts_device, RFC 3339 or Unix ms; of use only if it fits. */
static void take_timestamp(struct place *p, const struct json_value *v)
{
    struct event_int *at = &p->timestamp;
    struct span text;

    if (v->kind != JSON_STRING)
        take_ms(v, at);
    else if (!take_text(p, v, &text) && !rfc3339_parse(text, &at->v))
        at->set = at->v >= 0 && at->v < HLC_MS_END;
}

/* Returns why the member will not do, or NULL. */
static const char *take_member(struct place *p, const struct json_value *key,
                               const struct json_value *v)
{
    static const char *const names[] = {"hlc", "event_id", "ts_device", "timestamp"};
    struct span name = json_text(key, &p->room);
    struct hlc h;
    size_t m = 0;

    while (m < 4 && !span_eq(name, span_of(names[m])))
        m++;
    if (m == 4)
        return NULL;
    if (p->seen & 1u << m)
        return "a member that is there twice";
    p->seen |= 1u << m;
    if (v->kind == JSON_NULL)
        return NULL;
    switch (m) {
    case 0:
        return take_text(p, v, &p->hlc) || hlc_parse(p->hlc, &h) ? "hlc: not an HLC" : NULL;
    case 1:
        return take_text(p, v, &p->event_id) || !event_id_ok(p->event_id)
                   ? "event_id: wants 1 to 128 of A-Z a-z 0-9 . _ : -"
                   : NULL;
    case 2:
        return take_ms(v, &p->ts_device)
                   ? "ts_device: not Unix milliseconds between 1970 and the year 10889"
                   : NULL;
    default:
        take_timestamp(p, v);
        return NULL;
    }
}

/* Finds the line's place, or says why it has none; *offset is where. */
static const char *find_place(struct json *j, struct place *p, struct span line, size_t *offset)
{
    struct json_value key, v;
    const char *why = NULL;
    bool first = true;
    int rc;

    *p = (struct place){.room = p->room};
    p->room.len = *offset = 0;
    /* What json_text hands out must not move. */
    if (buf_reserve(&p->room, line.n))
        return json_no_memory;
    json_start(j, line);
    rc = json_open(j) ? -1 : 1;
    while (rc == 1 && !why && (rc = json_member(j, &first, &key, &v)) == 1) {
        why = take_member(p, &key, &v);
        *offset = why ? (size_t)(key.raw.p - line.p) : 0;
    }
    if (!why && (rc || json_finish(j))) {
        *offset = json_offset(j);
        return j->why;
    }
    if (!why && !p->hlc.p && !p->ts_device.set && !p->timestamp.set)
        return "hlc: missing, and ts_device as well";
    return why;
}

/* Writes the line behind what sort(1) is to compare: HLC, TAB, id, TAB. */
static int decorate(const struct place *p, struct span line, struct buf *out)
{
    const struct event_int *ms = p->ts_device.set ? &p->ts_device : &p->timestamp;
    struct span hlc = p->hlc;
    char text[18];

    if (!hlc.p) {
        hlc_format((struct hlc){ms->v, 0}, text);
        hlc = span_of(text);
    }
    return buf_add(out, hlc.p, hlc.n) || buf_addc(out, '\t') ||
                   buf_add(out, p->event_id.p, p->event_id.n) || buf_addc(out, '\t') ||
                   buf_add(out, line.p, line.n) || buf_addc(out, '\n')
               ? -1
               : 0;
}

static int refuse(const struct line *l, size_t offset, const char *why, struct err *e)
{
    return rejects_line(&rejects, input.reader.name, l, offset + (size_t)(l->text.p - l->raw.p),
                        why, e);
}

static int take_line(const struct line *l, bool too_long, struct buf *out, struct err *e)
{
    const char *why;
    size_t offset = 0;
    char text[80];

    input.bytes += l->raw.n;
    input.lines += l->first;
    if (too_long) {
        snprintf(text, sizeof text, "longer than %zu bytes (--max-line)", cli.max_line);
        return refuse(l, 0, text, e);
    }
    if (!l->text.n || line_is_control(l->text))
        return 0;
    why = find_place(&input.json, &input.place, l->text, &offset);
    if (why)
        return why == json_no_memory ? err_memory(e) : refuse(l, offset, why, e);
    return decorate(&input.place, l->text, out) ? err_memory(e) : 0;
}

/* The next operand. 1, 0 after the last, -1. */
static int next_input(struct err *e)
{
    if (input.fd >= 0) {
        line_close(&input.reader);
        if (input.fd != STDIN_FILENO)
            close(input.fd);
        input.fd = -1;
    }
    if (!*input.operands)
        return 0;
    input.fd = cli_open(*input.operands, e);
    if (input.fd < 0)
        return -1;
    line_open(&input.reader, input.fd, cli_name(*input.operands++), cli.max_line);
    return 1;
}

/* Feeds sort(1), a block at a time. */
static int feed(void *ctx, struct buf *out, struct err *e)
{
    struct line l;
    int more = 1;

    (void)ctx;
    while (more > 0 && out->len < 64 * 1024) {
        enum line_result got = input.fd < 0 ? LINE_EOF : line_next(&input.reader, true, &l, e);

        if (stop_signal())
            return err_set(e, EX_TEMPFAIL, "stopped; nothing was printed");
        if (got == LINE_EOF)
            more = next_input(e);
        else if (got == LINE_ERROR || (got != LINE_NONE && take_line(&l, got == LINE_LONG, out, e)))
            return -1;
    }
    progress_step(&input.progress, input.lines, input.bytes);
    return more;
}

static int print_line(void *ctx, struct span line, struct err *e)
{
    const char *end = line.p + line.n, *p = line.p;

    (void)ctx;
    for (int tabs = 0; tabs < 2; tabs++) {
        p = memchr(p, '\t', (size_t)(end - p));
        if (!p++)
            return err_set(e, EX_SOFTWARE, "sort: gave back a line it was not given");
    }
    cli_put(p, (size_t)(end - p));
    cli_put("\n", 1);
    return 0;
}

static void end_sorter(void)
{
    child_end(&sorter);
}

static int run_sort(char **operands)
{
    static char *standard_input[] = {"-", NULL};
    char *const argv[] = {"sort", "-s", "-t\t", "-k1,1", "-k2,2", "-S64M", "--batch-size=64", NULL};
    char *const env[] = {"LC_ALL=C", NULL};
    struct err e = ERR_NONE;
    int rc;

    input.operands = *operands ? operands : standard_input;
    sorter = (struct child){.argv = argv, .env = env, .feed = feed, .line = print_line};
    cli_on_exit(end_sorter);
    progress_start(&input.progress, "lines", 0);
    rc = child_run(&sorter, &e);
    progress_end(&input.progress);
    if (!rc)
        rc = rejects_sync(&rejects, &e);
    if (rc == 1)
        e.status = EX_IOERR; /* of its temporary files */
    if (rc)
        cli_die(&e);
    json_end(&input.json);
    buf_free(&input.place.room);
    rejects_close(&rejects);
    return rejects.count ? 1 : 0;
}

/* --- the command -------------------------------------------------------- */

static const struct command {
    const char *name;
    int (*run)(char **operands);
    int min, max;          /* operands; -1: any number */
    bool of_recv, of_sort; /* options it takes */
} commands[] = {
    {"send", run_send, 0, 0, false, false},       {"recv", run_recv, 1, 1, true, false},
    {"now", run_now, 0, 0, false, false},         {"parse", run_parse, 1, -1, false, false},
    {"compare", run_compare, 2, 2, false, false}, {"sort", run_sort, 0, -1, false, true},
};

/* The kinds of options given. */
static struct {
    const char *recv, *sort;
} given;

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_DRIFT) {
            max_drift_ms = cli_span_ms("--max-drift", optarg);
            given.recv = "--max-drift";
        } else if (c == OPT_ADOPT) {
            adopt_clock = true;
            given.recv = "--adopt-clock";
        } else if (c == OPT_REJECTS) {
            rejects_open(&rejects, optarg);
            given.sort = "--rejects";
        } else {
            given.sort = c == OPT_MAX_LINE ? "--max-line" : given.sort;
            cli_option(c, optarg);
        }
    }
}

static void check(const struct command *c, int count)
{
    static const char *const wanted[] = {"no operands", "one operand", "two operands"};

    if (count < c->min || (c->max >= 0 && count > c->max))
        cli_usage_error("%s: wants %s", c->name,
                        c->max < 0 ? "at least one operand" : wanted[c->max]);
    if (given.recv && !c->of_recv)
        cli_usage_error("%s: has no %s", c->name, given.recv);
    if (given.sort && !c->of_sort)
        cli_usage_error("%s: has no %s", c->name, given.sort);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    cli_usage_error("wants one of send, recv, now, parse, compare and sort");
}

int main(int argc, char **argv)
{
    const struct command *command;
    int status;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    command = find_command(argv[optind]);
    check(command, argc - optind - 1);
    cli_on_exit(close_store);
    status = command->run(argv + optind + 1);
    close_store();
    return cli_finish(status);
}
