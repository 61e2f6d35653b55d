/* evstore-maintain: what SQLite wants of a store that lives for years. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/status.h"
#include "store/maintain.h"

#include <getopt.h>
#include <string.h>

static const char usage[] =
    "usage: evstore-maintain [options]\n"
    "\n"
    "Looks after the store: statistics for the query planner, an empty -wal file,\n"
    "and the file written anew where that gives much room back. No event is\n"
    "changed. Prints one JSON object, also kept as maintain.json in the status\n"
    "folder.\n"
    "\n"
    "      --vacuum WHEN        write the file anew: auto, always or never (auto)\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -q, --quiet              no summary, nothing on standard output\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_VACUUM = OPT_FIRST };

static const struct option options[] = {{"vacuum", required_argument, NULL, OPT_VACUUM},
                                        {"db", required_argument, NULL, 'd'},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct store store = {.gate.fd = -1}; /* not open */

static void close_store(void)
{
    store_close(&store);
}

static enum maintain_vacuum when_of(const char *arg)
{
    static const char *const names[] = {"auto", "always", "never"};

    for (int i = 0; i < 3; i++)
        if (!strcmp(arg, names[i]))
            return (enum maintain_vacuum)i;
    cli_usage_error("--vacuum wants auto, always or never, not '%s'", arg);
}

/* why: NULL, or what went wrong. */
static int put_result(const struct maintain *m, const char *why, int64_t ms, struct buf *out)
{
    return buf_printf(out, "{\"ts\":%lld,\"ok\":%s,\"why\":", (long long)clock_now_ms(),
                      why ? "false" : "true") ||
           (why ? json_quote(span_of(why), out) : buf_adds(out, "null")) ||
           buf_printf(out,
                      ",\"vacuumed\":%s,\"vacuum\":\"%s\",\"free_bytes\":%lld,\"bytes\":%lld,"
                      "\"bytes_before\":%lld,\"wal_bytes\":%lld,\"checkpointed\":%s,"
                      "\"vacuum_ms\":%lld,\"ms\":%lld}\n",
                      m->result == MAINTAIN_DONE && !why ? "true" : "false",
                      maintain_result_name(m->result), (long long)m->unused_bytes,
                      (long long)m->bytes, (long long)m->bytes_before, (long long)m->wal_bytes,
                      m->checkpointed ? "true" : "false", (long long)m->vacuum_ms, (long long)ms);
}

static void say(const struct maintain *m)
{
    if (m->result == MAINTAIN_NO_ROOM)
        cli_warn("%s: not written anew: that wants %lld bytes free on its disk", cli.db,
                 (long long)m->room_bytes);
    if (m->result == MAINTAIN_TOO_LONG)
        cli_warn("%s: not written anew: others would have to wait too long; at a quiet time: "
                 "evstore-maintain --vacuum always",
                 cli.db);
    cli_say("%s: %lld bytes, %lld of them unused%s", cli.db, (long long)m->bytes,
            (long long)m->unused_bytes, m->result == MAINTAIN_DONE ? ", written anew" : "");
}

/* The store is looked after, whether or not that can be noted. */
static int keep(const struct buf *result)
{
    struct err e = ERR_NONE;

    if (!status_write("maintain.json", buf_span(result), &e))
        return 0;
    cli_warn("%s", e.msg);
    return e.status;
}

int main(int argc, char **argv)
{
    struct maintain m = {.when = VACUUM_AUTO, .result = MAINTAIN_NOT_ASKED};
    struct err e = ERR_NONE, memory = ERR_NONE;
    int64_t begun = clock_boot_ms();
    struct buf result = {0};
    int c, rc, status;

    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_VACUUM)
            m.when = when_of(optarg);
        else
            cli_option(c, optarg);
    }
    if (optind < argc)
        cli_usage_error("it takes no operands");
    cli_on_exit(close_store);
    /* A store that is not there was not looked after, and needs no status. */
    cli_store(&store, STORE_WRITE, false);
    m.hold_ms = cli.wait_s * INT64_C(1000) / 2;
    rc = maintain_run(&m, &store, &e);
    close_store();
    if (put_result(&m, rc ? e.msg : NULL, clock_boot_ms() - begun, &result)) {
        err_memory(&memory);
        cli_die(&memory);
    }
    status = keep(&result);
    cli_check(rc, &e);
    if (!cli.quiet)
        cli_put(result.data, result.len);
    say(&m);
    buf_free(&result);
    return cli_finish(status);
}
