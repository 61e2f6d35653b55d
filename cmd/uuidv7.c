/* uuidv7: print or parse RFC 9562 version-7 UUIDs. */
#include "base/clock.h"
#include "base/rng.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "text/line.h"
#include "text/rfc3339.h"
#include "text/uuid7.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

/* BLOCK ids share one look at the clock: 10 microseconds' worth. */
enum { BLOCK = 256, TEXT = 36, SHOWN = 64, LONGEST_LINE = 1024 };

static struct uuid7_gen generator;
static bool refused;

static void make_block(int64_t ms, size_t count, char lines[static BLOCK * (TEXT + 1)])
{
    uint8_t random[UUID7_RANDOM_NEW], id[16];
    struct err e = ERR_NONE;

    for (size_t i = 0; i < count; i++) {
        char *line = lines + i * (TEXT + 1);

        if (rng_bytes(random, uuid7_need(&generator, ms), &e))
            cli_die(&e);
        if (uuid7_next(&generator, ms, random, id)) {
            err_set(&e, EX_SOFTWARE, "no UUID can hold the time %lld ms", (long long)ms);
            cli_die(&e);
        }
        uuid7_format(id, line);
        line[TEXT] = '\n';
    }
}

/* ms is -1 for the time it is at each moment. */
static void print_new(int64_t count, int64_t ms)
{
    char lines[BLOCK * (TEXT + 1)];
    struct progress p;
    uint64_t made = 0, wanted = (uint64_t)count;

    progress_start(&p, "UUIDs", wanted < UINT64_MAX / (TEXT + 1) ? wanted * (TEXT + 1) : 0);
    while (made < wanted && !stop_signal()) {
        size_t n = wanted - made < BLOCK ? (size_t)(wanted - made) : BLOCK;

        make_block(ms < 0 ? clock_now_ms() : ms, n, lines);
        cli_put(lines, n * (TEXT + 1));
        made += n;
        progress_step(&p, made, made * (TEXT + 1));
    }
    progress_end(&p);
}

/* Why the text is no version-7 UUID; NULL when it is one. */
static const char *fault(struct span text, uint8_t id[static 16])
{
    static char version[] = "version x, not 7";
    static const uint8_t nil[16];

    if (uuid7_parse(text, id))
        return "not a UUID";
    if (!memcmp(id, nil, sizeof nil))
        return "the nil UUID, not version 7";
    if (id[8] >> 6 != 2)
        return "the variant is not that of RFC 9562";
    version[8] = "0123456789abcdef"[id[6] >> 4];
    return uuid7_check(id) ? version : NULL;
}

/* For a message: bytes a terminal might act on are shown as question marks. */
static void shorten(struct span text, char out[static SHOWN + 4])
{
    size_t n = text.n < SHOWN ? text.n : SHOWN;

    memcpy(out, text.p, n);
    for (size_t i = 0; i < n; i++)
        if (out[i] < ' ' || out[i] > '~')
            out[i] = '?';
    memcpy(out + n, n < text.n ? "..." : "\0\0\0", 4);
}

/* number is that of the line, 0 for an operand. */
static void parse(struct span text, uint64_t number)
{
    char uuid[TEXT + 1], time[32], shown[SHOWN + 4];
    uint8_t id[16];
    const char *why = fault(text, id);

    if (!why) {
        uuid7_format(id, uuid);
        rfc3339_format(uuid7_ms(id), time);
        cli_putf("{\"uuid\":\"%s\",\"unix_ms\":%lld,\"time\":\"%s\"}\n", uuid,
                 (long long)uuid7_ms(id), time);
        return;
    }
    refused = true;
    shorten(text, shown);
    if (number)
        cli_warn("-:%llu: %s: %s", (unsigned long long)number, shown, why);
    else
        cli_warn("%s: %s", shown, why);
}

static void parse_stdin(void)
{
    struct line_reader r;
    struct line line;
    struct err e = ERR_NONE;
    enum line_result got;

    line_open(&r, STDIN_FILENO, cli_name("-"), LONGEST_LINE);
    do {
        got = line_next(&r, false, &line, &e);
        if (got == LINE_NONE) {
            /* Whoever types or trickles sees each answer at once. */
            cli_flush();
            line_release(&r);
            got = line_next(&r, true, &line, &e);
        }
        if (got == LINE_ERROR)
            cli_die(&e);
        if ((got == LINE_OK && line.text.n) || (got == LINE_LONG && line.first))
            parse(line.text, line.number);
    } while (got != LINE_EOF && !stop_signal());
    line_close(&r);
}

static void parse_operands(char **operands)
{
    for (; *operands && !stop_signal(); operands++) {
        if (strcmp(*operands, "-"))
            parse(span_of(*operands), 0);
        else
            parse_stdin();
    }
}

static const char usage[] =
    "usage: uuidv7 [-n COUNT] [-t MS]\n"
    "       uuidv7 -p [UUID...]\n"
    "Print version-7 UUIDs (RFC 9562), or tell the time in some.\n"
    "\n"
    "  -n, --count COUNT    print COUNT of them, not one\n"
    "  -t, --time MS        for this time, in Unix milliseconds, not for now\n"
    "  -p, --parse          parse the operands, or the lines of standard input, to JSONL\n"
    "  -q, --quiet          no progress on standard error\n"
    "      --progress HOW   of long work: auto (on a terminal), json or none\n"
    "  -h, --help           print this\n"
    "  -V, --version        print the version\n"
    "\n"
    "Exit status: 0 done, 1 some input was no version-7 UUID, 64 wrong usage.\n";

static const struct option options[] = {
    {"count", required_argument, NULL, 'n'},
    {"time", required_argument, NULL, 't'},
    {"parse", no_argument, NULL, 'p'},
    {"quiet", no_argument, NULL, 'q'},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

int main(int argc, char **argv)
{
    int64_t count = -1, ms = -1;
    bool parsing = false;
    int c;

    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "n:t:pqhV", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            count = cli_number("-n", optarg, 0, INT64_MAX);
            break;
        case 't':
            ms = cli_number("-t", optarg, 0, UUID7_MS_END - 1);
            break;
        case 'p':
            parsing = true;
            break;
        default:
            cli_option(c, optarg);
        }
    }
    if (parsing && (count >= 0 || ms >= 0))
        cli_usage_error("-p takes neither -n nor -t");
    if (!parsing && optind < argc)
        cli_usage_error("%s: operands are for -p", argv[optind]);
    if (!parsing)
        print_new(count < 0 ? 1 : count, ms);
    else if (optind < argc)
        parse_operands(argv + optind);
    else
        parse_stdin();
    return cli_finish(refused);
}
