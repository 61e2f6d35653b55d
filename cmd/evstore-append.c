/* evstore-append: events that happen here, into the store. */
#include "base/stop.h"
#include "cli/ingest.h"
#include "text/utf8.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: evstore-append [options] [FILE...]\n"
    "       evstore-append [options] --type TYPE --entity TYPE/ID --actor ID PAYLOAD\n"
    "\n"
    "Stores events, one JSON object a line, and prints each as it is stored.\n"
    "An event without ts_device happens here and now: id, time and clock are\n"
    "filled in. The same event again prints the stored one.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --expect-version N   refuse unless the entity has exactly N events\n"
    "      --max-drift SPAN     warn of clocks further ahead than this (24h)\n"
    "      --adopt-clock        believe such clocks\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -q, --quiet              no events on stdout, no summary\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n"
    "\n"
    "One event from options:\n"
    "      --type TYPE          event_type\n"
    "      --entity TYPE/ID     entity_type and entity_id\n"
    "      --actor ID           actor_id\n"
    "      --actor-name NAME    actor_name\n"
    "      --actor-role ROLE    actor_role\n"
    "      --id ID              event_id: makes a retry harmless\n"
    "      --correlation ID     correlation_id\n"
    "      --causation ID       causation_id: the event that caused this one\n"
    "      --schema-version V   schema_version (1.0)\n"
    "      PAYLOAD              JSON text; - reads it from stdin\n";

enum { OPT_REJECTS = OPT_FIRST, OPT_EXPECT, OPT_DRIFT, OPT_ADOPT, OPT_ENTITY, OPT_MEMBER };

static const struct option options[] = {
    {"db", required_argument, NULL, 'd'},
    {"rejects", required_argument, NULL, OPT_REJECTS},
    {"expect-version", required_argument, NULL, OPT_EXPECT},
    {"max-drift", required_argument, NULL, OPT_DRIFT},
    {"adopt-clock", no_argument, NULL, OPT_ADOPT},
    {"max-line", required_argument, NULL, OPT_MAX_LINE},
    {"quiet", no_argument, NULL, 'q'},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"entity", required_argument, NULL, OPT_ENTITY},
    {"type", required_argument, NULL, OPT_MEMBER + EVENT_TYPE},
    {"actor", required_argument, NULL, OPT_MEMBER + EVENT_ACTOR_ID},
    {"actor-name", required_argument, NULL, OPT_MEMBER + EVENT_ACTOR_NAME},
    {"actor-role", required_argument, NULL, OPT_MEMBER + EVENT_ACTOR_ROLE},
    {"id", required_argument, NULL, OPT_MEMBER + EVENT_ID},
    {"correlation", required_argument, NULL, OPT_MEMBER + EVENT_CORRELATION},
    {"causation", required_argument, NULL, OPT_MEMBER + EVENT_CAUSATION},
    {"schema-version", required_argument, NULL, OPT_MEMBER + EVENT_SCHEMA_VERSION},
    {NULL, 0, NULL, 0}};

static struct store store;
static struct ingest in;
static struct event single; /* the event from options */
static bool from_options;

static void roll_back(void)
{
    store_close(&store);
}

static void take_member(enum event_text t, struct span arg)
{
    if (arg.n > EVENT_TEXT_MAX)
        cli_usage_error("%s: longer than %d bytes", event_text_name(t), EVENT_TEXT_MAX);
    for (const char *p = arg.p, *end = p + arg.n; p < end;) {
        size_t n = utf8_length(p, end);

        if (!n)
            cli_usage_error("%s: not valid UTF-8", event_text_name(t));
        p += n;
    }
    single.text[t] = arg;
    from_options = true;
}

static void take_entity(const char *arg)
{
    const char *slash = strchr(arg, '/');

    if (!slash || slash == arg || !slash[1])
        cli_usage_error("--entity: %s: wants TYPE/ID", arg);
    take_member(EVENT_ENTITY_TYPE, (struct span){arg, (size_t)(slash - arg)});
    take_member(EVENT_ENTITY_ID, span_of(slash + 1));
}

static void parse_options(int argc, char **argv)
{
    int c;

    in.intake = (struct intake){.expect = -1, .max_drift_ms = 86400000};
    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_REJECTS)
            rejects_open(&in.rejects, optarg);
        else if (c == OPT_EXPECT)
            in.intake.expect = cli_number("--expect-version", optarg, 0, INT64_MAX);
        else if (c == OPT_DRIFT)
            in.intake.max_drift_ms = cli_span_ms("--max-drift", optarg);
        else if (c == OPT_ADOPT)
            in.intake.adopt_clock = true;
        else if (c == OPT_ENTITY)
            take_entity(optarg);
        else if (c >= OPT_MEMBER)
            take_member((enum event_text)(c - OPT_MEMBER), span_of(optarg));
        else
            cli_option(c, optarg);
    }
}

static ssize_t read_stdin(char *p, size_t room)
{
    ssize_t n;

    do
        n = read(STDIN_FILENO, p, room);
    while (n < 0 && errno == EINTR && !stop_signal());
    return n;
}

/* All of standard input, for a payload. */
static int read_payload(struct buf *b, struct err *e)
{
    ssize_t n;

    do {
        if (b->len > cli.max_line)
            return err_set(e, EX_DATAERR, "PAYLOAD: longer than %zu bytes", cli.max_line);
        if (buf_reserve(b, 65536))
            return err_memory(e);
        n = read_stdin(b->data + b->len, 65536);
        if (n > 0)
            b->len += (size_t)n;
    } while (n > 0);
    return n < 0 ? err_sys(e, EX_IOERR, "unable to read standard input") : 0;
}

static int append_single(const char *payload, struct err *e)
{
    struct event_fault fault = {0};
    struct buf text = {0};
    struct batch_item item = {.line = {.number = 1, .first = true, .last = true}};
    int rc;

    if (!strcmp(payload, "-") ? read_payload(&text, e) : buf_adds(&text, payload) && err_memory(e))
        return -1;
    if (event_set_payload(&in.batch.parser, (struct span){text.data, text.len}, &in.batch.arena,
                          &single, &fault)) {
        buf_free(&text);
        if (fault.no_memory)
            return err_memory(e);
        return err_set(e, EX_DATAERR, "PAYLOAD: byte %zu: %s", fault.offset, fault.why);
    }
    if (event_check(&single, &fault))
        cli_usage_error("%s", fault.why);
    item.event = single;
    in.input = "event";
    in.batch.items = &item;
    in.batch.count = 1;
    rc = ingest_store(&in, e);
    in.batch.items = NULL;
    buf_free(&text);
    return rc;
}

static int append_file(const char *operand, struct err *e)
{
    struct line_reader r;
    int fd = cli_open(operand, e), rc;

    if (fd < 0)
        return -1;
    cli_lines(&r, fd, cli_name(operand));
    rc = ingest_lines(&in, &r, e);
    line_close(&r);
    if (fd != STDIN_FILENO)
        close(fd);
    return rc;
}

static int append_files(char **operands, struct err *e)
{
    char *standard_input[] = {"-", NULL};

    for (char **o = *operands ? operands : standard_input; *o; o++)
        if (append_file(*o, e))
            return -1;
    return 0;
}

static bool regular(const char *operand)
{
    struct stat st;

    return !(strcmp(operand, "-") ? stat(operand, &st) : fstat(STDIN_FILENO, &st)) &&
           S_ISREG(st.st_mode);
}

static bool all_regular(char **operands)
{
    if (!*operands)
        return regular("-");
    for (; *operands; operands++)
        if (!regular(*operands))
            return false;
    return true;
}

/* A store that does not exist is filled beside its place when nothing is to
 * be printed meanwhile and no input can keep the gate waiting. */
static void open_store(char **operands)
{
    struct store_settings set = cli_store_settings(true);
    struct err e = ERR_NONE;
    int rc = 1;

    if (cli.quiet && !from_options && all_regular(operands))
        rc = store_build(&store, cli.db, &set, &e);
    cli_check(rc, &e);
    in.endless = rc == 0;
    if (rc)
        cli_store(&store, STORE_CREATE, !from_options);
}

static void summarise(void)
{
    const struct intake *t = &in.intake;

    cli_say("%llu received: %llu stored, %llu already present, %llu rejected (%llu in conflict)",
            (unsigned long long)in.received, (unsigned long long)t->inserted,
            (unsigned long long)t->present, (unsigned long long)ingest_rejected(&in),
            (unsigned long long)t->conflicts);
    if (t->ahead)
        cli_say("%llu with clocks far ahead of this store's", (unsigned long long)t->ahead);
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    int status;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    if (from_options && argc - optind != 1)
        cli_usage_error("one event from options wants one PAYLOAD (\"-\" reads it from stdin)");

    cli_on_exit(roll_back);
    open_store(argv + optind);
    in.intake.st = &store;
    in.intake.site = cli.site;
    in.intake.echo = cli.quiet ? NULL : &in.echo;
    progress_start(&in.progress, "events", 0);
    if (ingest_open(&in, &e))
        cli_die(&e);
    if (from_options ? append_single(argv[optind], &e) : append_files(argv + optind, &e))
        cli_die(&e);
    if (in.endless)
        cli_check(store_publish(&store, &e), &e);
    progress_end(&in.progress);
    summarise();
    status = ingest_rejected(&in) ? 1 : 0;
    ingest_close(&in);
    store_close(&store);
    return cli_finish(status);
}
