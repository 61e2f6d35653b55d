/* mirrorctl: the mirror on and off, how it stands, its logs. The commands are in
 * cmd/mirrorctl. */
#include "mirrorctl/mirrorctl.h"

#include "cli/cli.h"

#include <getopt.h>
#include <string.h>

static const char usage[] =
    "usage: mirrorctl [-c FILE] enable\n"
    "       mirrorctl [-c FILE] disable [--remove-endpoint] [--keep SPAN]\n"
    "       mirrorctl [-c FILE] status [--local] [--json]\n"
    "       mirrorctl [-c FILE] rotate [--keep SPAN]\n"
    "\n"
    "enable lets the handheld send to the new server as well, and compares both every\n"
    "day. disable ends that. status prints how it stands, in five lines. rotate\n"
    "compresses the mirror's logs.\n"
    "\n"
    "  -c, --config FILE        the configuration (/etc/mirrorctl/config.json)\n"
    "      --remove-endpoint    disable: take mirror_endpoint from the handheld as well\n"
    "      --local              status: ask nobody, take the ledger's word\n"
    "      --json               status: one line of JSON\n"
    "      --keep SPAN          rotate, disable: delete rotated logs older than this (30d)\n"
    "  -q, --quiet              no summary\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_REMOVE_ENDPOINT = OPT_FIRST, OPT_LOCAL, OPT_JSON, OPT_KEEP };

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"remove-endpoint", no_argument, NULL, OPT_REMOVE_ENDPOINT},
                                        {"local", no_argument, NULL, OPT_LOCAL},
                                        {"json", no_argument, NULL, OPT_JSON},
                                        {"keep", required_argument, NULL, OPT_KEEP},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

#define DEFAULT_KEEP_MS (INT64_C(30) * 86400000)

struct options opt = {.config = "/etc/mirrorctl/config.json", .keep_ms = DEFAULT_KEEP_MS};

static bool kept; /* --keep was given */

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "c:qhV", options, NULL)) != -1)
        switch (c) {
        case 'c':
            opt.config = optarg;
            break;
        case OPT_REMOVE_ENDPOINT:
            opt.remove_endpoint = true;
            break;
        case OPT_LOCAL:
            opt.local = true;
            break;
        case OPT_JSON:
            opt.json = true;
            break;
        case OPT_KEEP:
            opt.keep_ms = cli_span_ms("--keep", optarg);
            kept = true;
            break;
        default:
            cli_option(c, optarg);
        }
}

static const struct command {
    const char *name;
    int (*run)(void);
    bool switches, shows, rotates; /* which options mean something */
} commands[] = {{"enable", mirror_enable, false, false, false},
                {"disable", mirror_disable, true, false, true},
                {"status", mirror_status, false, true, false},
                {"rotate", mirror_rotate, false, false, true}};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    cli_usage_error("%s: no such command; wants enable, disable, status or rotate", name);
}

static void check_options(const struct command *c)
{
    const char *odd = opt.remove_endpoint && !c->switches ? "--remove-endpoint"
                      : opt.local && !c->shows            ? "--local"
                      : opt.json && !c->shows             ? "--json"
                      : kept && !c->rotates               ? "--keep"
                                                          : NULL;

    if (odd)
        cli_usage_error("%s: %s means nothing here", c->name, odd);
}

int main(int argc, char **argv)
{
    const struct command *c;
    struct err e = ERR_NONE;
    int status;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    if (optind == argc)
        cli_usage_error("a command is missing");
    c = find_command(argv[optind]);
    if (optind + 1 < argc)
        cli_usage_error("%s: too many operands", c->name);
    check_options(c);
    steps_of(c->name, c->run == mirror_status);
    if (conf_read(opt.config, &e)) {
        step("configuration", -1, &e);
        status = e.status;
    } else {
        status = c->run();
    }
    conf_free();
    return cli_finish(status);
}
