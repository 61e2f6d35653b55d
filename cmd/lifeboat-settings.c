/* lifeboat-settings: what holds on this box, and where it was said. */
#include "cli/cli.h"
#include "cli/settings.h"
#include "cli/status.h"
#include "text/json.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: lifeboat-settings [--json | --sh]\n"
    "       lifeboat-settings SETTING...\n"
    "       lifeboat-settings --store | --ever\n"
    "Prints each setting, its value and where that was said. Of SETTINGs, such as\n"
    "LIFEBOAT_DB, only the values, a line each; 1 if one has none.\n"
    "\n"
    "      --json    as an object\n"
    "      --sh      as assignments, for a shell to eval\n"
    "      --store   prints nothing: 0 if there is a store, 254 if not, 255 if that\n"
    "                cannot be told; for ExecCondition= in units\n"
    "      --ever    the same, 0 too if one was ever backed up here\n"
    "  -h, --help    this text\n"
    "  -V, --version the version\n";

enum { OPT_JSON = OPT_FIRST, OPT_SH, OPT_STORE, OPT_EVER };

static const struct option options[] = {{"json", no_argument, NULL, OPT_JSON},
                                        {"sh", no_argument, NULL, OPT_SH},
                                        {"store", no_argument, NULL, OPT_STORE},
                                        {"ever", no_argument, NULL, OPT_EVER},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

/* As systemd takes them: not now, and trouble. SuccessExitStatus= of a unit, where 1 may
 * stand, is about ExecCondition= too. */
enum { NOT_NOW = 254, CANNOT_TELL = 255 };

/* The nth setting. The status folder is beside the store where nothing else was said. */
static bool setting_at(int n, struct setting *s)
{
    static char *status;

    if (!settings_at(n, s))
        return false;
    if (s->from == SETTING_UNSET && !strcmp(s->name, "STATUS_DIR")) {
        status = status ? status : status_path("");
        if (!status)
            cli_die(&(struct err){.status = EX_OSERR, .msg = "out of memory"});
        status[strlen(status) - (status[strlen(status) - 1] == '/')] = '\0';
        s->value = status;
        s->from = SETTING_USUAL;
    }
    return true;
}

/* --- forms ---------------------------------------------------------------- */

static void put_source(const struct setting *s)
{
    static const char *const said[] = {[SETTING_UNSET] = "not set",
                                       [SETTING_USUAL] = "as usual",
                                       [SETTING_ENVIRONMENT] = "the environment"};

    if (s->from == SETTING_FILE)
        cli_putf("%s:%d", settings_file(), s->line);
    else
        cli_putf("%s", said[s->from]);
}

static void put_table(void)
{
    struct setting s;

    for (int n = 0; setting_at(n, &s); n++) {
        cli_putf("LIFEBOAT_%-18s %-31s ", s.name, s.value ? s.value : "-");
        put_source(&s);
        cli_put("\n", 1);
    }
}

static void put_json(void)
{
    struct buf text = {0};
    struct setting s;

    for (int n = 0; setting_at(n, &s); n++) {
        cli_putf("%s\"LIFEBOAT_%s\":{\"value\":", n ? "," : "{", s.name);
        text.len = 0;
        if (!s.value)
            cli_putf("null");
        else if (json_quote((struct span){s.value, strlen(s.value)}, &text))
            cli_die(&(struct err){.status = EX_OSERR, .msg = "out of memory"});
        else
            cli_put(text.data, text.len);
        cli_putf(",\"from\":\"");
        put_source(&s);
        cli_putf("\"}");
    }
    cli_putf("}\n");
    buf_free(&text);
}

/* A quote ends the quotes, stands by itself, and begins new ones. */
static void put_quoted(const char *v)
{
    cli_put("'", 1);
    for (; *v; v++)
        if (*v == '\'')
            cli_put("'\\''", 4);
        else
            cli_put(v, 1);
    cli_put("'\n", 2);
}

static void put_assignments(void)
{
    struct setting s;

    for (int n = 0; setting_at(n, &s); n++)
        if (s.value) {
            cli_putf("LIFEBOAT_%s=", s.name);
            put_quoted(s.value);
        }
}

static int put_values(char **names)
{
    struct setting s;
    int status = 0;

    for (; *names; names++) {
        const char *name = strncmp(*names, "LIFEBOAT_", 9) ? *names : *names + 9;
        int n = 0;

        while (setting_at(n, &s) && strcmp(s.name, name))
            n++;
        if (!setting_at(n, &s))
            cli_usage_error("%s: no such setting: lifeboat(7) lists them", *names);
        cli_putf("%s\n", s.value ? s.value : "");
        status = s.value ? status : 1;
    }
    return status;
}

/* --- is there a store? ----------------------------------------------------- */

static bool there(const char *path)
{
    struct err e = ERR_NONE;

    if (!access(path, F_OK))
        return true;
    if (errno != ENOENT && errno != ENOTDIR) {
        err_sys(&e, EX_NOPERM, "unable to look at %s", path);
        cli_die(&e);
    }
    return false;
}

static int condition(bool ever)
{
    char *backed_up = status_path("backup.json");
    int status = there(cli.db) || (ever && backed_up && there(backed_up)) ? 0 : NOT_NOW;

    free(backed_up);
    return status;
}

/* Before the settings are read, whose faults would else pass for "not now". */
static bool is_condition(char **argv)
{
    return argv[0] && argv[1] && (!strcmp(argv[1], "--store") || !strcmp(argv[1], "--ever"));
}

int main(int argc, char **argv)
{
    int c, form = 0, status = 0;

    cli.failure = is_condition(argv) ? CANNOT_TELL : 0;
    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
        if (c < OPT_FIRST)
            cli_option(c, optarg);
        if (form && form != c)
            cli_usage_error("one of --json, --sh, --store, --ever");
        form = c;
    }
    if (form && optind < argc)
        cli_usage_error("%s: no operand goes with an option", argv[optind]);
    if (form == OPT_STORE || form == OPT_EVER)
        status = condition(form == OPT_EVER);
    else if (form == OPT_JSON)
        put_json();
    else if (form == OPT_SH)
        put_assignments();
    else if (optind < argc)
        status = put_values(argv + optind);
    else
        put_table();
    return cli_finish(status);
}
