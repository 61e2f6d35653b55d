/* syncq: durable outbox and job queue. The commands are in cmd/syncq. */
#include "syncq/syncq.h"

#include "cli/destination.h"
#include "text/utf8.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: syncq [options] COMMAND [operand...]\n"
    "\n"
    "A queue of jobs in the store: each is done at least once, and never by two at\n"
    "the same time.\n"
    "\n"
    "  enqueue QUEUE [FILE...]  put jobs in: a JSON payload a line\n"
    "  dequeue QUEUE            take the next one; prints it, with id and token\n"
    "  complete [ID]            it is done (ID with --token, or what dequeue printed)\n"
    "  fail [ID]                it failed: again later, or given up\n"
    "  extend [ID]              it takes longer\n"
    "  work QUEUE -- CMD...     run CMD for each job, its payload on standard input\n"
    "  send DEST [FILE...]      send payloads to a destination, now or when it can be\n"
    "  flush [DEST...]          send what waits\n"
    "  stats [QUEUE...]         how many, how old, how fast: JSON\n"
    "  list [QUEUE]             jobs that are not completed\n"
    "  show ID                  all of one, by its id or its idempotency key\n"
    "  watch [QUEUE]            changes as they are committed\n"
    "  pause QUEUE              give nothing out\n"
    "  resume QUEUE             go on\n"
    "  dead list [QUEUE]        those given up\n"
    "  dead requeue ID...       try them again (--all QUEUE: all of a queue)\n"
    "  dead purge ID...         forget them (--older SPAN [QUEUE]: by age)\n"
    "  prune [QUEUE]            forget what ended long ago\n"
    "  load [FILE...]           take back what list --json --all printed\n"
    "\n"
    "      --type TYPE          of the jobs; may be given several times to take any\n"
    "      --priority N         higher first\n"
    "      --at TIME            not before: Unix ms, or 2026-01-26T09:30:00Z\n"
    "      --max-retries N      how often it is tried again\n"
    "      --timeout SECONDS    how long one attempt may take\n"
    "      --unique KEY         one job with this key at a time\n"
    "  -n, --count N            so many jobs at once (1)\n"
    "      --token TOKEN        the lease, as dequeue printed it\n"
    "      --result JSON        what came of it\n"
    "      --error TEXT         why it failed\n"
    "      --dead               not to be tried again\n"
    "      --release            not the job's fault: as if it had not been taken\n"
    "      --by SPAN            for so long from now (the job's timeout)\n"
    "  -j, --jobs N             so many at the same time (1)\n"
    "      --once               end after one job\n"
    "      --drain              end when nothing is ready or running\n"
    "      --grace SPAN         after TERM, time for what is running (25s)\n"
    "      --lane KEY           items of one lane go out in their order\n"
    "      --lane-from MEMBER   the lane is in this member of the payload\n"
    "      --key-from MEMBER    what was sent with this member's value is not sent twice\n"
    "      --later              do not try at once\n"
    "      --now                try also what is to be left alone for a while\n"
    "      --status STATUS      only pending, running, completed or failed\n"
    "      --limit N            at most so many\n"
    "      --all                completed ones too; all of the queue\n"
    "      --json               JSON lines, on a terminal too\n"
    "      --since SPAN         of what ended since then (24h)\n"
    "      --after N            changes after this one\n"
    "      --reason TEXT        why it is paused\n"
    "      --older SPAN         what ended, or was given up, longer ago\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -q, --quiet              no summary, no echo, no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_TYPE = OPT_FIRST,
    OPT_PRIORITY,
    OPT_AT,
    OPT_MAX_RETRIES,
    OPT_TIMEOUT,
    OPT_UNIQUE,
    OPT_TOKEN,
    OPT_RESULT,
    OPT_ERROR,
    OPT_DEAD,
    OPT_RELEASE,
    OPT_BY,
    OPT_ONCE,
    OPT_DRAIN,
    OPT_GRACE,
    OPT_STATUS,
    OPT_LIMIT,
    OPT_ALL,
    OPT_JSON,
    OPT_SINCE,
    OPT_AFTER,
    OPT_REASON,
    OPT_OLDER,
    OPT_REJECTS,
    OPT_LANE,
    OPT_LANE_FROM,
    OPT_KEY_FROM,
    OPT_LATER,
    OPT_NOW
};

static const struct option options[] = {{"type", required_argument, NULL, OPT_TYPE},
                                        {"priority", required_argument, NULL, OPT_PRIORITY},
                                        {"at", required_argument, NULL, OPT_AT},
                                        {"max-retries", required_argument, NULL, OPT_MAX_RETRIES},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"unique", required_argument, NULL, OPT_UNIQUE},
                                        {"count", required_argument, NULL, 'n'},
                                        {"token", required_argument, NULL, OPT_TOKEN},
                                        {"result", required_argument, NULL, OPT_RESULT},
                                        {"error", required_argument, NULL, OPT_ERROR},
                                        {"dead", no_argument, NULL, OPT_DEAD},
                                        {"release", no_argument, NULL, OPT_RELEASE},
                                        {"by", required_argument, NULL, OPT_BY},
                                        {"jobs", required_argument, NULL, 'j'},
                                        {"once", no_argument, NULL, OPT_ONCE},
                                        {"drain", no_argument, NULL, OPT_DRAIN},
                                        {"grace", required_argument, NULL, OPT_GRACE},
                                        {"lane", required_argument, NULL, OPT_LANE},
                                        {"lane-from", required_argument, NULL, OPT_LANE_FROM},
                                        {"key-from", required_argument, NULL, OPT_KEY_FROM},
                                        {"later", no_argument, NULL, OPT_LATER},
                                        {"now", no_argument, NULL, OPT_NOW},
                                        {"status", required_argument, NULL, OPT_STATUS},
                                        {"limit", required_argument, NULL, OPT_LIMIT},
                                        {"all", no_argument, NULL, OPT_ALL},
                                        {"json", no_argument, NULL, OPT_JSON},
                                        {"since", required_argument, NULL, OPT_SINCE},
                                        {"after", required_argument, NULL, OPT_AFTER},
                                        {"reason", required_argument, NULL, OPT_REASON},
                                        {"older", required_argument, NULL, OPT_OLDER},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"db", required_argument, NULL, 'd'},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

/* What each command takes: its operands, at least and at most, and options. */
static const struct command {
    const char *name;
    int (*run)(char **operands);
    int least, most; /* -1: any number */
    const char *options;
} commands[] = {
    {"enqueue", syncq_enqueue, 1, -1,
     "type priority at max-retries timeout unique rejects max-line"},
    {"dequeue", syncq_dequeue, 1, 1, "type count"},
    {"complete", syncq_complete, 0, 1, "token result rejects max-line"},
    {"fail", syncq_fail, 0, 1, "token error dead release rejects max-line"},
    {"extend", syncq_extend, 0, 1, "token by rejects max-line"},
    {"work", syncq_work, 2, -1, "type jobs once drain grace"},
    {"send", syncq_send, 1, -1, "lane lane-from key-from later rejects max-line"},
    {"flush", syncq_flush, 0, -1, "now"},
    {"stats", syncq_stats, 0, -1, "since"},
    {"list", syncq_list, 0, 1, "status type limit all json"},
    {"show", syncq_show, 1, 1, "json"},
    {"watch", syncq_watch, 0, 1, "after"},
    {"pause", syncq_pause, 1, 1, "reason"},
    {"resume", syncq_resume, 1, 1, ""},
    {"dead list", syncq_dead_list, 0, 1, "type limit json"},
    {"dead requeue", syncq_dead_requeue, 1, -1, "all"},
    {"dead purge", syncq_dead_purge, 0, -1, "older"},
    {"prune", syncq_prune, 0, 1, "older"},
    {"load", syncq_load, 0, -1, "rejects max-line"},
};

struct options opt = {.priority = -1,
                      .max_retries = -1,
                      .timeout_s = -1,
                      .at_ms = -1,
                      .by_ms = -1,
                      .older_ms = -1,
                      .since_ms = 86400000,
                      .after = -1,
                      .grace_ms = 25000,
                      .count = 1,
                      .slots = 1,
                      .limit = -1};
struct store store;
struct queue queue;

static void roll_back(void)
{
    store_close(&store);
}

void open_store(enum store_mode mode)
{
    cli_store(&store, mode, false);
    if (store.version < 2) { /* has no queue yet */
        store_close(&store);
        cli_store(&store, STORE_WRITE, false);
    }
    cli_on_exit(roll_back);
}

void open_queue(enum store_mode mode)
{
    struct err e = ERR_NONE;

    open_store(mode);
    cli_check(queue_open(&queue, &store, &e), &e);
}

struct span queue_operand(const char *operand)
{
    if (!queue_name_ok(span_of(operand)))
        cli_usage_error("%s: not a queue's name: wants 1 to %d of A-Z a-z 0-9 . _ -, the first "
                        "not a dot",
                        operand, QUEUE_NAME_MAX);
    return span_of(operand);
}

/* mirror-send keeps its own outboxes. */
#define OUTBOX_OF_ANOTHER "mirror-send."

struct span job_queue_operand(const char *operand)
{
    struct span name = queue_operand(operand);

    if (destination_exists(operand))
        cli_usage_error("%s: a destination: its items go by send and flush", operand);
    if (!strncmp(operand, OUTBOX_OF_ANOTHER, strlen(OUTBOX_OF_ANOTHER)))
        cli_usage_error("%s: an outbox of mirror-send: its items go by that", operand);
    return name;
}

int64_t id_operand(const char *operand)
{
    return cli_number("ID", operand, 1, INT64_MAX);
}

bool is_utf8(const char *text)
{
    for (const char *end = text + strlen(text); text < end;) {
        size_t n = utf8_length(text, end);

        if (!n)
            return false;
        text += n;
    }
    return true;
}

/* A text that goes into a row, and comes out as JSON. */
static const char *text_option(const char *option, const char *arg)
{
    if (!*arg || strlen(arg) > QUEUE_TEXT_MAX || !is_utf8(arg))
        cli_usage_error("%s: wants 1 to %d bytes of UTF-8", option, QUEUE_TEXT_MAX);
    return arg;
}

static void add_type(const char *arg)
{
    if (opt.type_count == TYPES_MAX)
        cli_usage_error("--type: at most %d of them", TYPES_MAX);
    opt.types[opt.type_count++] = span_of(text_option("--type", arg));
}

static void take_outbox_option(int c)
{
    switch (c) {
    case OPT_LANE:
        opt.lane = text_option("--lane", optarg);
        break;
    case OPT_LANE_FROM:
        opt.lane_from = text_option("--lane-from", optarg);
        break;
    case OPT_KEY_FROM:
        opt.key_from = text_option("--key-from", optarg);
        break;
    case OPT_LATER:
        opt.later = true;
        break;
    case OPT_NOW:
        opt.now = true;
        break;
    default:
        cli_option(c, optarg);
    }
}

static const char *status_option(const char *arg)
{
    static const char *const all[] = {"pending", "running", "completed", "failed"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(arg, all[i]))
            return arg;
    cli_usage_error("--status: %s: wants pending, running, completed or failed", arg);
}

/* Options of those who look at the queue, or after it. */
static void take_view_option(int c)
{
    switch (c) {
    case OPT_STATUS:
        opt.status = status_option(optarg);
        break;
    case OPT_LIMIT:
        opt.limit = cli_number("--limit", optarg, 0, INT64_MAX);
        break;
    case OPT_ALL:
        opt.all = true;
        break;
    case OPT_JSON:
        opt.json = true;
        break;
    case OPT_SINCE:
        opt.since_ms = cli_span_ms("--since", optarg);
        break;
    case OPT_AFTER:
        opt.after = cli_number("--after", optarg, 0, INT64_MAX);
        break;
    case OPT_REASON:
        opt.reason = text_option("--reason", optarg);
        break;
    case OPT_OLDER:
        opt.older_ms = cli_span_ms("--older", optarg);
        break;
    default:
        take_outbox_option(c);
    }
}

static void take_option(int c)
{
    switch (c) {
    case OPT_TYPE:
        add_type(optarg);
        break;
    case OPT_PRIORITY:
        opt.priority = cli_number("--priority", optarg, 0, 1000);
        break;
    case OPT_AT:
        opt.at_ms = cli_time_ms("--at", optarg);
        break;
    case OPT_MAX_RETRIES:
        opt.max_retries = cli_number("--max-retries", optarg, 0, 1000);
        break;
    case OPT_TIMEOUT:
        opt.timeout_s = cli_number("--timeout", optarg, 1, 7 * 86400);
        break;
    case OPT_UNIQUE:
        opt.unique = text_option("--unique", optarg);
        break;
    case 'n':
        opt.count = cli_number("--count", optarg, 1, 10000);
        break;
    case OPT_TOKEN:
        opt.token = optarg;
        break;
    case OPT_RESULT:
        opt.result = optarg;
        break;
    case OPT_ERROR:
        opt.error = optarg;
        break;
    case OPT_DEAD:
        opt.dead = true;
        break;
    case OPT_RELEASE:
        opt.release = true;
        break;
    case OPT_BY:
        opt.by_ms = cli_span_ms("--by", optarg);
        break;
    case 'j':
        opt.slots = cli_number("--jobs", optarg, 1, 256);
        break;
    case OPT_ONCE:
        opt.once = true;
        break;
    case OPT_DRAIN:
        opt.drain = true;
        break;
    case OPT_GRACE:
        opt.grace_ms = cli_span_ms("--grace", optarg);
        break;
    case OPT_REJECTS:
        opt.rejects = optarg;
        break;
    default:
        take_view_option(c);
    }
}

static bool is_word_of(const char *word, const char *list)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ' '))
            return true;
    return false;
}

/* Options stand anywhere before a "--". They are taken before the command is
 * known, so which of them were given is noted. */
static bool given[sizeof options / sizeof *options];

static void parse_options(int argc, char **argv)
{
    int c, index = -1;

    while ((c = getopt_long(argc, argv, "d:n:j:qhV", options, &index)) != -1) {
        for (size_t i = 0; options[i].name; i++)
            if (options[i].val == c)
                given[i] = true;
        take_option(c);
    }
}

/* How many of the operands are this command's name, which may be of two words. */
static int words_of(const char *name, char **operands)
{
    size_t n = strcspn(name, " ");

    if (strncmp(operands[0], name, n) || operands[0][n])
        return 0;
    if (!name[n])
        return 1;
    return operands[1] && !strcmp(operands[1], name + n + 1) ? 2 : 0;
}

static const struct command *find_command(char **operands, int *words)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        *words = words_of(commands[i].name, operands);
        if (*words)
            return &commands[i];
    }
    if (!strcmp(operands[0], "dead"))
        cli_usage_error("dead: wants list, requeue or purge behind it");
    cli_usage_error("%s: no such command", operands[0]);
}

static void check_command(const struct command *c, int operands)
{
    for (size_t i = 0; options[i].name; i++)
        if (given[i] && !is_word_of(options[i].name, c->options) &&
            !is_word_of(options[i].name, "db quiet progress"))
            cli_usage_error("%s: --%s means nothing here", c->name, options[i].name);
    if (operands < c->least)
        cli_usage_error("%s: an operand is missing", c->name);
    if (c->most >= 0 && operands > c->most)
        cli_usage_error("%s: too many operands", c->name);
}

int main(int argc, char **argv)
{
    const struct command *c;
    int words, status;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    if (optind == argc)
        cli_usage_error("a command is missing");
    c = find_command(argv + optind, &words);
    check_command(c, argc - optind - words);
    status = c->run(argv + optind + words);
    queue_close(&queue);
    store_close(&store);
    return cli_finish(status);
}
