/* lifeboat-notify: tells who should know of an event, through notify.d. */
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/notify.h"
#include "text/json.h"
#include "text/utf8.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: lifeboat-notify [-m NAME=TEXT]... [--timeout SPAN] EVENT [JSON]\n"
    "Runs each executable of the folder notify.d in order of name, with EVENT as its\n"
    "argument and a JSON object on its standard input: the members of JSON, else those\n"
    "of standard input, and event, ts and host.\n"
    "\n"
    "  -m, --member NAME=TEXT   a member of the object; JSON is then not read from stdin\n"
    "      --timeout SPAN       how long each may take: 10, 2m (10)\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_TIMEOUT = OPT_FIRST, JSON_MAX = 1 << 20, BLOCK = 65536 };

static const struct option options[] = {{"member", required_argument, NULL, 'm'},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct buf json, members;

static void no_memory(int failed)
{
    struct err e = ERR_NONE;

    if (failed)
        cli_check(err_memory(&e), &e);
}

/* NAME=TEXT as a member, a comma before it. Bytes that are no text are mended. */
static void take_member(const char *arg)
{
    const char *eq = strchr(arg, '=');
    struct buf text = {0};

    if (!eq || eq == arg)
        cli_usage_error("-m %s: wants NAME=TEXT", arg);
    no_memory(buf_addc(&members, ','));
    no_memory(utf8_mend((struct span){arg, (size_t)(eq - arg)}, JSON_MAX, &text));
    no_memory(json_quote(buf_span(&text), &members) || buf_addc(&members, ':'));
    buf_clear(&text);
    no_memory(utf8_mend(span_of(eq + 1), JSON_MAX, &text));
    no_memory(json_quote(buf_span(&text), &members));
    buf_free(&text);
}

static void read_stdin(void)
{
    struct err e = ERR_NONE;
    ssize_t n = 1;

    while (n && !isatty(STDIN_FILENO)) {
        no_memory(buf_reserve(&json, BLOCK));
        n = read(STDIN_FILENO, json.data + json.len, BLOCK);
        if (n < 0 && errno == EINTR && !stop_signal())
            continue;
        if (n < 0)
            cli_check(err_sys(&e, stop_signal() ? EX_TEMPFAIL : EX_IOERR,
                              "unable to read standard input"),
                      &e);
        json.len += (size_t)n;
        if (json.len > JSON_MAX)
            cli_check(
                err_set(&e, EX_DATAERR, "the JSON of the event: longer than %d bytes", JSON_MAX),
                &e);
    }
}

static bool is_blank(const struct buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (!strchr(" \t\r\n", b->data[i]))
            return false;
    return true;
}

/* The members given come behind those of the object. */
static void join_members(void)
{
    struct json_value v;
    struct json j = {0};
    struct err e = ERR_NONE;
    size_t end;

    if (is_blank(&json)) {
        buf_clear(&json);
        no_memory(buf_adds(&json, "{}"));
    }
    if (!members.len)
        return;
    if (json_whole(&j, buf_span(&json), &v) || v.kind != JSON_OBJECT)
        cli_check(err_set(&e, EX_DATAERR, "the JSON of the event: it is no object"), &e);
    json_end(&j);
    for (end = json.len; json.data[end - 1] != '}';)
        end--;
    json.len = end - 1;
    for (end = json.len; strchr(" \t\r\n", json.data[end - 1]);)
        end--;
    no_memory(buf_add(&json, members.data + (json.data[end - 1] == '{'),
                      members.len - (json.data[end - 1] == '{')) ||
              buf_addc(&json, '}'));
}

int main(int argc, char **argv)
{
    int64_t hook_ms = NOTIFY_HOOK_MS;
    struct err e = ERR_NONE;
    int c, rc;

    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "m:hV", options, NULL)) != -1)
        switch (c) {
        case 'm':
            take_member(optarg);
            break;
        case OPT_TIMEOUT:
            hook_ms = cli_span_ms("--timeout", optarg);
            if (hook_ms < 1 || hook_ms > 86400000)
                cli_usage_error("--timeout: %s: wants one second to a day", optarg);
            break;
        default:
            cli_option(c, optarg);
        }
    if (optind >= argc || argc - optind > 2)
        cli_usage_error("wants an EVENT, and perhaps its JSON");
    if (argc - optind == 2)
        no_memory(buf_adds(&json, argv[optind + 1]));
    else if (!members.len)
        read_stdin();
    join_members();
    rc = notify_within(argv[optind], buf_span(&json), hook_ms, &e);
    cli_check(rc, &e);
    buf_free(&json);
    buf_free(&members);
    return cli_finish(rc);
}
