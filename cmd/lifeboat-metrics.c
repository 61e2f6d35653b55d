/* lifeboat-metrics: what there is to watch, in the text format of Prometheus. */
#include "lifeboat-metrics/history.h"

#include "cli/cli.h"
#include "cli/metrics.h"
#include "cli/settings.h"
#include "cli/status.h"

#include <getopt.h>

static const char usage[] =
    "usage: lifeboat-metrics [options]\n"
    "\n"
    "Prints what there is to watch in the text format of Prometheus: store, queues,\n"
    "cache, restores, requests, mirror, and what backups, drills, the standby and\n"
    "maintenance noted in the status folder.\n"
    "\n"
    "  -o, --output FILE        replace FILE with it, for the textfile collector\n"
    "      --history            once a day, note sizes and counts in history.jsonl\n"
    "                           of the status folder\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_HISTORY = OPT_FIRST };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'}, {"history", no_argument, NULL, OPT_HISTORY},
    {"db", required_argument, NULL, 'd'},     {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0}};

#define HTTP_LOG "/var/log/lifeboat/requests.log"

static struct store store = {.gate.fd = -1}; /* not open */

static void close_store(void)
{
    store_close(&store);
}

/* That there is none is what the first metric says. */
static bool open_store(void)
{
    struct store_settings set = cli_store_settings(false);
    struct err e = ERR_NONE;

    if (!store_open(&store, cli.db, STORE_READ, &set, &e))
        return true;
    if (e.status != EX_NOINPUT)
        cli_die(&e);
    return false;
}

/* What there is to watch is told whether or not that can be noted, as on a full disk. */
static int note(void)
{
    struct err e = ERR_NONE;

    if (!history_note(&store, &e))
        return 0;
    cli_warn("%s", e.msg);
    return e.status;
}

int main(int argc, char **argv)
{
    const char *output = NULL, *log;
    struct metrics m = {.http_most = -1};
    struct err e = ERR_NONE;
    struct buf text = {0};
    bool history = false;
    int c, status = 0;

    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "o:d:hV", options, NULL)) != -1) {
        if (c == 'o')
            output = optarg;
        else if (c == OPT_HISTORY)
            history = true;
        else
            cli_option(c, optarg);
    }
    if (optind < argc)
        cli_usage_error("it takes no operands");
    cli_on_exit(close_store);
    log = settings_get("HTTP_LOG");
    m.http_log = log ? log : HTTP_LOG;
    m.store = open_store() ? &store : NULL;
    if (history && m.store)
        status = note();
    cli_check(metrics_put(&m, &text, &e), &e);
    close_store();
    if (output)
        cli_check(status_replace(output, buf_span(&text), false, &e), &e);
    else
        cli_put(text.data, text.len);
    buf_free(&text);
    return cli_finish(status);
}
