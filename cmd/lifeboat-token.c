/* lifeboat-token: keys, tokens and pairing codes for the HTTP front. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "http/jwt.h"
#include "http/pairing.h"
#include "http/paper.h"
#include "text/rfc3339.h"
#include "text/show.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: lifeboat-token [options] key [--paper | --import | --rotate]\n"
    "       lifeboat-token [options] issue --user ID --role ROLE\n"
    "       lifeboat-token [options] check\n"
    "       lifeboat-token [options] pair\n"
    "\n"
    "key makes the key that tokens are signed with, or says which there is. issue\n"
    "prints a token. check says whose the token on standard input is, or why it is\n"
    "no good. pair shows a code by which one tablet gets a token.\n"
    "\n"
    "      --paper              key: print it, for the safe\n"
    "      --import             key: take it back, typed on standard input\n"
    "      --replace            key --import: before the one there is\n"
    "      --rotate             key: make a new one\n"
    "      --keep SPAN          key: how long the one before stays good (30d)\n"
    "      --user ID            issue: whose token, A-Z a-z 0-9 _ -\n"
    "      --role ROLE          issue: user, device, dr or admin\n"
    "      --ttl SPAN           issue: how long it is good: 90, 15m, 24h, 7d (90d)\n"
    "      --ttl-code SPAN      pair: how long the code is good (10m)\n"
    "      --token-ttl SPAN     pair: how long the tablet's token is good (365d)\n"
    "  -k, --key FILE           the key file (default $LIFEBOAT_KEY)\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -q, --quiet              no summary\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_PAPER = OPT_FIRST,
    OPT_IMPORT,
    OPT_REPLACE,
    OPT_ROTATE,
    OPT_KEEP,
    OPT_USER,
    OPT_ROLE,
    OPT_TTL,
    OPT_TTL_CODE,
    OPT_TOKEN_TTL
};

static const struct option options[] = {{"paper", no_argument, NULL, OPT_PAPER},
                                        {"import", no_argument, NULL, OPT_IMPORT},
                                        {"replace", no_argument, NULL, OPT_REPLACE},
                                        {"rotate", no_argument, NULL, OPT_ROTATE},
                                        {"keep", required_argument, NULL, OPT_KEEP},
                                        {"user", required_argument, NULL, OPT_USER},
                                        {"role", required_argument, NULL, OPT_ROLE},
                                        {"ttl", required_argument, NULL, OPT_TTL},
                                        {"ttl-code", required_argument, NULL, OPT_TTL_CODE},
                                        {"token-ttl", required_argument, NULL, OPT_TOKEN_TTL},
                                        {"key", required_argument, NULL, 'k'},
                                        {"db", required_argument, NULL, 'd'},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

#define DAY_MS INT64_C(86400000)
enum { INPUT_MAX = 65536, LOOK_MS = 200, CODE_TTL_MAX_MS = 3600000 };

static struct {
    const char *key_file, *user;
    int64_t keep_ms, ttl_ms, ttl_code_ms, token_ttl_ms;
    enum role role;
    bool has_role, paper, import, replace, rotate;
} opt = {.keep_ms = KEYS_DEFAULT_KEEP,
         .ttl_ms = 90 * DAY_MS,
         .ttl_code_ms = 600000,
         .token_ttl_ms = 365 * DAY_MS};

static struct keys keys;
static struct pairing pairing;
static struct buf text;

/* --- options ------------------------------------------------------------ */

static int64_t span_option(const char *option, const char *arg, int64_t least, int64_t most,
                           const char *range)
{
    int64_t ms = cli_span_ms(option, arg);

    if (ms < least || ms > most)
        cli_usage_error("%s: %s: wants %s", option, arg, range);
    return ms;
}

static int64_t ttl_option(const char *option, const char *arg)
{
    return span_option(option, arg, 1000, 3650 * DAY_MS, "one second to ten years");
}

static void take_time_option(int c)
{
    switch (c) {
    case OPT_KEEP:
        opt.keep_ms =
            span_option("--keep", optarg, 0, 3650 * DAY_MS, "a span of at most ten years");
        break;
    case OPT_TTL:
        opt.ttl_ms = ttl_option("--ttl", optarg);
        break;
    case OPT_TTL_CODE:
        opt.ttl_code_ms =
            span_option("--ttl-code", optarg, 1000, CODE_TTL_MAX_MS, "one second to one hour");
        break;
    case OPT_TOKEN_TTL:
        opt.token_ttl_ms = ttl_option("--token-ttl", optarg);
        break;
    default:
        cli_option(c, optarg);
    }
}

static void take_option(int c)
{
    switch (c) {
    case OPT_PAPER:
        opt.paper = true;
        break;
    case OPT_IMPORT:
        opt.import = true;
        break;
    case OPT_REPLACE:
        opt.replace = true;
        break;
    case OPT_ROTATE:
        opt.rotate = true;
        break;
    case OPT_USER:
        if (!user_id_ok(span_of(optarg)))
            cli_usage_error("--user: wants 1 to %d of A-Z a-z 0-9 _ -", USER_ID_MAX);
        opt.user = optarg;
        break;
    case OPT_ROLE:
        if (role_parse(span_of(optarg), &opt.role))
            cli_usage_error("--role: %s: wants user, device, dr or admin", optarg);
        opt.has_role = true;
        break;
    case 'k':
        opt.key_file = optarg;
        break;
    default:
        take_time_option(c);
    }
}

/* --- what all of them need ---------------------------------------------- */

static void forget(void)
{
    pairing_end(&pairing);
    keys_wipe(&keys);
}

static void load_keys(void)
{
    struct err e = ERR_NONE;
    int there = keys_load(&keys, opt.key_file, cli.db, &e);

    if (!there)
        there =
            err_set(&e, EX_NOINPUT, "%s: no such key (lifeboat-token key makes one)", opt.key_file);
    cli_check(there, &e);
}

/* A key that is on no paper is lost with the box. */
static void say_made(void)
{
    cli_say("made key %s in %s; now print it for the safe: lifeboat-token key --paper",
            keys.key[0].kid, opt.key_file);
}

/* All of standard input, at most INPUT_MAX bytes. */
static char room[INPUT_MAX + 1];

static struct span read_input(void)
{
    struct err e = ERR_NONE;
    size_t n = 0;
    ssize_t got = 1;

    while (got && n < sizeof room) {
        got = read(STDIN_FILENO, room + n, sizeof room - n);
        if (got < 0 && stop_signal())
            cli_check(err_set(&e, EX_TEMPFAIL, "stopped"), &e);
        if (got < 0 && errno != EINTR)
            cli_check(err_sys(&e, EX_IOERR, "unable to read standard input"), &e);
        n += got > 0 ? (size_t)got : 0;
    }
    if (n == sizeof room)
        cli_check(err_set(&e, EX_DATAERR, "standard input: longer than %d bytes", INPUT_MAX), &e);
    return (struct span){room, n};
}

static bool clock_is_wrong(void)
{
    return clock_now_ms() < clock_build_ms();
}

/* --- key ---------------------------------------------------------------- */

static const char *state_of(const struct key *key)
{
    return !key->retires_at                      ? "current"
           : key_is_retired(key, clock_now_ms()) ? "retired"
                                                 : "former";
}

static void list_keys(void)
{
    for (int i = 0; i < keys.count; i++) {
        const struct key *key = &keys.key[i];
        int64_t age = clock_now_ms() - key->made_at;

        cli_putf("{\"kid\":\"%s\",\"state\":\"%s\",\"made_at\":%" PRId64 ",\"age_days\":%" PRId64,
                 key->kid, state_of(key), key->made_at, age < 0 ? 0 : age / DAY_MS);
        if (key->retires_at)
            cli_putf(",\"retires_at\":%" PRId64, key->retires_at);
        cli_putf("}\n");
    }
}

static void say_former(void)
{
    char until[32];

    if (keys.count < 2)
        return;
    rfc3339_format(keys.key[1].retires_at, until);
    cli_say("tokens of key %s are good until %s, those of older keys no longer", keys.key[1].kid,
            until);
}

static void print_paper(void)
{
    char lines[PAPER_LINES][PAPER_LINE], now[32], made[32];
    struct err e = ERR_NONE;

    load_keys();
    paper_write(keys.key[0].secret, lines);
    rfc3339_format(clock_now_ms(), now);
    rfc3339_format(keys.key[0].made_at, made);
    if (show_text(span_of(cli.site), true, &text))
        cli_check(err_memory(&e), &e);
    cli_putf("\n    lifeboat: the token key of site %.*s\n\n", (int)text.len, text.data);
    for (int i = 0; i < PAPER_LINES; i++)
        cli_putf("        %d:  %s\n", i + 1, lines[i]);
    cli_putf("\n        key id  %s\n        made    %.10s\n        printed %.10s%s\n\n",
             keys.key[0].kid, made, now, clock_is_wrong() ? " (the clock was wrong)" : "");
    cli_putf("    Whoever has this can read and change everything at this site: keep it\n"
             "    in the safe. It is needed when the box is lost: with it the tablets go\n"
             "    on with the tokens they have. On the new box type\n\n"
             "        lifeboat-token key --import\n\n"
             "    then the four lines with their numbers, then Ctrl-D. Capital or small\n"
             "    letters and spaces do not matter. There are no letters I, L, O, U: what\n"
             "    looks like one is 1 or 0. A line that was mistyped is named.\n\n");
    explicit_bzero(lines, sizeof lines);
}

static void import_key(void)
{
    uint8_t secret[KEY_BYTES];
    char why[PAPER_WHY];
    struct err e = ERR_NONE;
    int rc;

    if (isatty(STDIN_FILENO))
        cli_say("type the four lines of the printed page, with their numbers; then Ctrl-D");
    if (paper_read(read_input(), secret, why))
        cli_check(err_set(&e, EX_DATAERR, "standard input: %s", why), &e);
    rc = keys_import(&keys, secret, opt.key_file, cli.db, clock_now_ms(), opt.replace, opt.keep_ms,
                     &e);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(room, sizeof room);
    cli_check(rc, &e);
    if (rc)
        cli_say("key %s is in %s now", keys.key[0].kid, opt.key_file);
    else
        cli_say("key %s is in %s already", keys.key[0].kid, opt.key_file);
    if (rc)
        say_former();
}

static void rotate_key(void)
{
    struct err e = ERR_NONE;

    cli_check(keys_rotate(&keys, opt.key_file, cli.db, clock_now_ms(), opt.keep_ms, &e), &e);
    say_made();
    say_former();
}

static int key(void)
{
    struct err e = ERR_NONE;
    int made;

    if (opt.paper + opt.import + opt.rotate > 1)
        cli_usage_error("--paper, --import and --rotate exclude each other");
    if (opt.replace && !opt.import)
        cli_usage_error("--replace goes with --import");
    if (opt.paper) {
        print_paper();
        return 0;
    }
    if (opt.import) {
        import_key();
    } else if (opt.rotate) {
        rotate_key();
    } else {
        made = keys_make(&keys, opt.key_file, cli.db, clock_now_ms(), &e);
        cli_check(made, &e);
        if (made)
            say_made();
    }
    list_keys();
    return 0;
}

/* --- issue, check -------------------------------------------------------- */

static int issue(void)
{
    int64_t now = clock_now_ms();
    struct principal who = {.role = opt.role, .expires_at = keys_now(now) + opt.ttl_ms};
    struct err e = ERR_NONE;
    char until[32];

    if (!opt.user || !opt.has_role)
        cli_usage_error("issue wants --user and --role");
    snprintf(who.user_id, sizeof who.user_id, "%s", opt.user);
    load_keys();
    cli_check(jwt_issue(&keys, &who, now, &text, &e), &e);
    cli_put(text.data, text.len);
    cli_put("\n", 1);
    cli_flush();
    rfc3339_format(who.expires_at, until);
    if (clock_is_wrong())
        cli_warn("the clock of this box is wrong: the token is good until %s", until);
    cli_say("%s, role %s, key %s, until %s", who.user_id, role_name(who.role), keys.key[0].kid,
            until);
    explicit_bzero(text.data, text.len);
    return 0;
}

static int check(void)
{
    struct span token = read_input();
    struct err e = ERR_NONE;
    struct principal who;
    char why[JWT_WHY];
    int good;

    while (token.n && (token.p[token.n - 1] == '\n' || token.p[token.n - 1] == '\r'))
        token.n--;
    load_keys();
    good = jwt_check(&keys, token, clock_now_ms(), &who, why, &e);
    cli_check(good, &e);
    if (!good) {
        cli_warn("standard input: refused: %s", why);
        return 1;
    }
    cli_check(jwt_claims(token, &text, &e), &e);
    cli_put(text.data, text.len);
    cli_put("\n", 1);
    return 0;
}

/* --- pair --------------------------------------------------------------- */

/* Digits of 3 by 5 dots, a row of dots in three bits. */
static const char dots[10][6] = {"75557", "26227", "71747", "71717", "55711",
                                 "74717", "74757", "71111", "75757", "75717"};

static void print_big(const char *code)
{
    for (int row = 0; row < 5; row++) {
        cli_putf("   ");
        for (int i = 0; i < PAIRING_DIGITS; i++) {
            int line = dots[code[i] - '0'][row] - '0';

            cli_putf(i == PAIRING_DIGITS / 2 ? "       " : "  ");
            for (int bit = 4; bit; bit >>= 1)
                cli_putf(line & bit ? "##" : "  ");
        }
        cli_putf("\n");
    }
}

static void show_code(void)
{
    bool minutes = opt.ttl_code_ms % 60000 == 0;
    int64_t count = opt.ttl_code_ms / (minutes ? 60000 : 1000);
    struct err e = ERR_NONE;

    buf_clear(&text);
    if (show_text(span_of(cli.site), true, &text))
        cli_check(err_memory(&e), &e);
    if (!cli.quiet) {
        cli_putf(
            "\nA tablet joins site %.*s: open this box's page there, choose Pair, and type\n\n",
            (int)text.len, text.data);
        print_big(pairing.code);
        cli_putf("\n");
    }
    cli_putf("code %.3s %.3s\n", pairing.code, pairing.code + 3);
    if (!cli.quiet)
        cli_putf("\nFor one tablet, for %" PRId64 " %s%s, with %d tries. Ctrl-C revokes it.\n",
                 count, minutes ? "minute" : "second", count == 1 ? "" : "s", PAIRING_TRIES);
    cli_flush();
}

static int say_paired(const struct pairing_view *v)
{
    struct err e = ERR_NONE;

    buf_clear(&text);
    if (show_text(span_of(v->device_name), true, &text))
        cli_check(err_memory(&e), &e);
    if (text.len)
        cli_say("paired: %.*s is %s, role dr", (int)text.len, text.data, v->user_id);
    else
        cli_say("paired: a tablet is %s, role dr", v->user_id);
    return 0;
}

static int say_over(const struct pairing_view *v)
{
    if (v->state == PAIRING_REPLACED)
        cli_warn("the code is over: another one was shown by another lifeboat-token pair");
    else if (v->left_ms > 0)
        cli_warn("the code is over: wrong ones were tried %d times", PAIRING_TRIES);
    else
        cli_warn("the code is over: no tablet came in time");
    return 1;
}

static int wait_for_tablet(void)
{
    struct pairing_view v = {
        .state = PAIRING_OPEN, .tries_left = PAIRING_TRIES, .left_ms = LOOK_MS};
    int tries = PAIRING_TRIES;
    struct err e = ERR_NONE;

    while (v.state == PAIRING_OPEN) {
        if (stop_signal()) {
            cli_say("stopped: the code is revoked");
            return 1;
        }
        cli_check(pairing_look(&pairing, &v, &e), &e);
        if (v.state == PAIRING_OPEN && v.tries_left < tries)
            cli_say("a wrong code was tried; %d tries left", v.tries_left);
        tries = v.tries_left;
        if (v.state == PAIRING_OPEN)
            stop_poll(NULL, 0, v.left_ms < LOOK_MS ? v.left_ms : LOOK_MS);
    }
    return v.state == PAIRING_PAIRED ? say_paired(&v) : say_over(&v);
}

static int pair(void)
{
    struct err e = ERR_NONE;
    int made = keys_load(&keys, opt.key_file, cli.db, &e), status;

    cli_check(made, &e);
    if (!made) {
        made = keys_make(&keys, opt.key_file, cli.db, clock_now_ms(), &e);
        cli_check(made, &e);
        if (made)
            say_made();
    }
    cli_check(jwt_ready(&e), &e); /* or the code would be used up for nothing */
    cli_check(pairing_open(&pairing, cli.db, &keys, opt.ttl_code_ms, opt.token_ttl_ms, &e), &e);
    show_code();
    status = wait_for_tablet();
    pairing_end(&pairing);
    return status;
}

/* --- the command --------------------------------------------------------- */

static const struct command {
    const char *name;
    int (*run)(void);
    const char *options; /* its own, with a space around each */
} commands[] = {
    {"key", key, " paper import replace rotate keep "},
    {"issue", issue, " user role ttl "},
    {"check", check, " "},
    {"pair", pair, " ttl-code token-ttl "},
};

static const char common[] = " key db quiet ";

static bool given[sizeof options / sizeof *options];

static void note(int c)
{
    for (size_t i = 0; options[i].name; i++)
        if (options[i].val == c)
            given[i] = true;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    cli_usage_error("%s: no such command: wants key, issue, check or pair", name);
}

static void check_options(const struct command *c)
{
    for (size_t i = 0; options[i].name; i++) {
        char word[32];

        snprintf(word, sizeof word, " %s ", options[i].name);
        if (given[i] && !strstr(c->options, word) && !strstr(common, word))
            cli_usage_error("%s: --%s means nothing here", c->name, options[i].name);
    }
}

int main(int argc, char **argv)
{
    const struct command *command;
    int c, status;

    secrets_guard();
    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "k:d:qhV", options, NULL)) != -1) {
        note(c);
        take_option(c);
    }
    if (optind == argc)
        cli_usage_error("wants a command: key, issue, check or pair");
    command = find_command(argv[optind]);
    if (optind + 1 < argc)
        cli_usage_error("%s: too many operands; a token comes on standard input", command->name);
    check_options(command);
    if (!opt.key_file)
        opt.key_file = settings_get("KEY");
    cli_on_exit(forget);
    status = command->run();
    forget();
    buf_free(&text);
    return cli_finish(status);
}
