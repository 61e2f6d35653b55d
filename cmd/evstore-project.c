/* evstore-project: the events folded into the current state of each entity. */
#include "cli/cli.h"
#include "cli/projectors.h"
#include "store/projection.h"
#include "store/state.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: evstore-project [options] [--catch-up]\n"
    "       evstore-project [options] --rebuild [TYPE...]\n"
    "       evstore-project [options] --list TYPE | --get TYPE/ID | --trash [TYPE]\n"
    "       evstore-project [options] --status\n"
    "\n"
    "Folds events into projections: one current state for each entity. Reading\n"
    "brings them up to date first.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --catch-up           fold what is new (the default)\n"
    "      --rebuild            fold everything anew, or only the TYPEs named\n"
    "      --list TYPE          print the entities of a type, one a line\n"
    "      --deleted            with --list: those in the trash too\n"
    "      --get TYPE/ID        print one entity; 1 if there is none\n"
    "      --trash              print what is in the trash\n"
    "      --state              with --list, --get, --trash: the states alone\n"
    "      --status             print each type's watermark, reducer and state\n"
    "  -q, --quiet              no summary\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_CATCH_UP = OPT_FIRST,
    OPT_REBUILD,
    OPT_LIST,
    OPT_DELETED,
    OPT_GET,
    OPT_TRASH,
    OPT_STATE,
    OPT_STATUS
};

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"catch-up", no_argument, NULL, OPT_CATCH_UP},
                                        {"rebuild", no_argument, NULL, OPT_REBUILD},
                                        {"list", required_argument, NULL, OPT_LIST},
                                        {"deleted", no_argument, NULL, OPT_DELETED},
                                        {"get", required_argument, NULL, OPT_GET},
                                        {"trash", no_argument, NULL, OPT_TRASH},
                                        {"state", no_argument, NULL, OPT_STATE},
                                        {"status", no_argument, NULL, OPT_STATUS},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct store store;
static struct projector_paths paths;
static int mode = OPT_CATCH_UP;
static char *wanted; /* TYPE or TYPE/ID */
static bool deleted, state_alone, stale;

static void close_store(void)
{
    store_close(&store);
}

static void set_mode(int c, char *arg)
{
    if (mode != OPT_CATCH_UP && mode != c)
        cli_usage_error("only one of --rebuild, --list, --get, --trash and --status");
    mode = c;
    wanted = arg;
}

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_DELETED)
            deleted = true;
        else if (c == OPT_STATE)
            state_alone = true;
        else if (c >= OPT_FIRST)
            set_mode(c, optarg);
        else
            cli_option(c, optarg);
    }
    if (deleted && mode != OPT_LIST)
        cli_usage_error("--deleted goes with --list");
    if (state_alone && mode != OPT_LIST && mode != OPT_GET && mode != OPT_TRASH)
        cli_usage_error("--state goes with --list, --get or --trash");
    if (optind < argc && mode != OPT_REBUILD && mode != OPT_TRASH)
        cli_usage_error("%s: operands are not taken", argv[optind]);
}

/* --- folding ------------------------------------------------------------ */

static int tell(struct projection_report *r)
{
    int status = r->failures ? 1 : 0;

    if (r->failures)
        cli_warn("%s", r->message);
    if (r->rows || r->rebuilt.len)
        cli_say("%llu projections written: %.*s", (unsigned long long)r->rows, (int)r->rebuilt.len,
                r->rebuilt.data ? r->rebuilt.data : "");
    projection_report_free(r);
    return status;
}

static int fold_types(char **types, bool rebuild)
{
    struct err e = ERR_NONE;
    int status = 0;

    do {
        struct projection_report r = {0};

        cli_check(projection_catch_up(&store, &paths, *types, rebuild, &r, &e), &e);
        if (rebuild && *types && !r.rebuilt.len && !r.failures) {
            cli_warn("%s: no events of this type", *types);
            status = 1;
        }
        status |= tell(&r);
    } while (*types && *++types);
    return status;
}

/* --- reading ------------------------------------------------------------ */

struct listing {
    int deleted; /* as state_read takes it */
    int64_t rows;
};

static int print_row(void *ctx, const struct fold_row *row, struct err *e)
{
    struct listing *l = ctx;
    static struct buf line;

    if (l->deleted < 0 ? row->deleted > 1 : row->deleted != l->deleted)
        return 0;
    l->rows++;
    if (state_alone) {
        cli_put(row->state.p, row->state.n);
        cli_put("\n", 1);
        return 0;
    }
    line.len = 0;
    if (state_write(row, &line))
        return err_memory(e);
    cli_put(line.data, line.len);
    return 0;
}

/* Up to date first; where that cannot be written, the answer is folded in
 * memory, and is the same. */
static int64_t read_rows(const char *type, const char *id, int which)
{
    struct projection_report r = {0};
    struct listing l = {.deleted = which};
    struct err e = ERR_NONE;
    bool written = !projection_catch_up(&store, &paths, type, false, &r, &e);

    if (!written && e.status == EX_PROTOCOL)
        cli_die(&e);
    if (r.failures)
        cli_warn("%s", r.message);
    stale = r.failures > 0;
    projection_report_free(&r);
    if (written) {
        cli_check(state_read(&store, type, id, which, print_row, &l, &e), &e);
    } else {
        cli_warn("%s; answering from memory", e.msg);
        if (state_fold(&store, &paths, type, id, print_row, &l, &e))
            cli_die(&e);
    }
    return l.rows;
}

static int get(void)
{
    char *slash = strchr(wanted, '/');

    if (!slash || slash == wanted || !slash[1])
        cli_usage_error("--get: %s: wants TYPE/ID", wanted);
    *slash = '\0';
    if (read_rows(wanted, slash + 1, -1))
        return 0;
    cli_warn("%s/%s: no such entity", wanted, slash + 1);
    return 1;
}

static int show_status(void)
{
    struct err e = ERR_NONE;
    struct buf out = {0};

    cli_check(state_of_types(&store, &out, &e), &e);
    cli_put(out.data, out.len);
    buf_free(&out);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    paths = cli_projectors();
    cli_store(&store, STORE_READ, false);
    cli_on_exit(close_store);
    if (mode == OPT_LIST)
        read_rows(wanted, NULL, deleted ? -1 : 0);
    else if (mode == OPT_GET)
        status = get();
    else if (mode == OPT_TRASH)
        read_rows(argv[optind], NULL, 1);
    else if (mode == OPT_STATUS)
        status = show_status();
    else
        status = fold_types(argv + optind, mode == OPT_REBUILD);
    close_store();
    return cli_finish(stale ? 1 : status);
}
