/* evstore-verify: proves that a store, or a backup file, is whole. */
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/projectors.h"
#include "core/filecheck.h"
#include "store/events.h"
#include "store/statecheck.h"
#include "store/verify.h"
#include "text/show.h"
#include "text/utf8.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: evstore-verify [options] [FILE...]\n"
    "\n"
    "Proves that the store is whole, or that files of event lines are, sealed or\n"
    "not. Prints one JSON verdict for each: ok, bad or inconclusive, and exits\n"
    "with 0, 1 or 2 for the worst of them. Changes nothing.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -q, --quiet              no summary, no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

enum { PROBLEMS_LISTED = 20, DRIFT_MS = 86400000 };

enum verdict { VERDICT_OK, VERDICT_BAD, VERDICT_INCONCLUSIVE };

/* What has been found of the thing being checked. */
static struct {
    const char *name;
    uint64_t problem_count;
    struct buf problems; /* the first ones: JSON objects with commas */
    char unsure[1024];   /* why something could not be checked, "" if all could */
    bool cut_short;      /* not read to its end: there is no digest */
    uint64_t events;
    struct digest sum;
    struct progress progress;
} found;

static struct store store = {.gate.fd = -1}; /* not open */

static void close_store(void)
{
    store_close(&store);
}

static _Noreturn void no_memory(void)
{
    struct err e;

    err_memory(&e);
    cli_die(&e);
}

static void begin(const char *name)
{
    found.name = name;
    found.problem_count = found.events = 0;
    found.problems.len = 0;
    found.unsure[0] = '\0';
    found.cut_short = false;
    found.sum = (struct digest){0};
    progress_start(&found.progress, "events", 0);
}

/* --- problems ----------------------------------------------------------- */

/* Says on stderr: NAME, where, why. Texts may be those of a broken store. */
static void say(const char *where, const char *why)
{
    static struct buf line;

    line.len = 0;
    if (show_text(span_of(where), true, &line) || buf_adds(&line, ": ") ||
        show_text(span_of(why), true, &line) || buf_term(&line))
        no_memory();
    cli_warn("%s:%s%s", found.name, *where ? " " : "", line.data + (*where ? 0 : 1));
}

static bool is_utf8(const char *text)
{
    const char *end = text + strlen(text);

    for (size_t n; text < end; text += n) {
        n = utf8_length(text, end);
        if (!n)
            return false;
    }
    return true;
}

/* A JSON string; of text that is not UTF-8, as it would be shown. */
static int quote(const char *text, struct buf *out)
{
    struct buf shown = {0};
    int rc;

    if (is_utf8(text))
        return json_quote(span_of(text), out);
    rc = show_text(span_of(text), true, &shown) ||
         json_quote((struct span){shown.data, shown.len}, out);
    buf_free(&shown);
    return rc;
}

/* Another problem; is there still room for it in the list? */
static bool list_next(void)
{
    if (found.problem_count++ >= PROBLEMS_LISTED)
        return false;
    if (found.problem_count > 1 && buf_addc(&found.problems, ','))
        no_memory();
    return true;
}

static void on_problem(void *ctx, const char *where, const char *why)
{
    struct buf *list = &found.problems;

    (void)ctx;
    say(where, why);
    if (list_next() && (buf_adds(list, "{\"where\":") || quote(where, list) ||
                        buf_adds(list, ",\"why\":") || quote(why, list) || buf_addc(list, '}')))
        no_memory();
}

static void on_oddity(void *ctx, const char *where, const char *why)
{
    char text[600];

    (void)ctx;
    snprintf(text, sizeof text, "warning: %s", why);
    say(where, text);
}

static void on_bad_line(void *ctx, uint64_t line, uint64_t byte, const char *why)
{
    struct buf *list = &found.problems;

    (void)ctx;
    if (!line) {
        on_problem(NULL, "seal", why);
        return;
    }
    cli_warn("%s:%llu: byte %llu: %s", found.name, (unsigned long long)line,
             (unsigned long long)byte, why);
    if (list_next() && (buf_printf(list, "{\"line\":%llu,\"byte\":%llu,\"why\":",
                                   (unsigned long long)line, (unsigned long long)byte) ||
                        quote(why, list) || buf_addc(list, '}')))
        no_memory();
}

static void on_conflict(void *ctx, uint64_t line, const struct event *ev)
{
    (void)ctx;
    cli_warn("%s:%llu: warning: event %.*s: its id came before with other content", found.name,
             (unsigned long long)line, (int)ev->text[EVENT_ID].n, ev->text[EVENT_ID].p);
}

static void on_event(void *ctx, const struct event *ev)
{
    (void)ctx;
    found.events++;
    events_digest_add(&found.sum, ev->text[EVENT_ID], ev->digest);
}

/* Something could not be checked. */
static void unsure(const char *why)
{
    snprintf(found.unsure, sizeof found.unsure, "%s", why);
    cli_warn("%s", why);
}

/* --- verdicts ----------------------------------------------------------- */

/* What kept the check of a store from its end. The thing itself may be the reason: it
 * is no store, has broken pages, or not the tables of a store. */
static void not_finished(const struct err *e)
{
    size_t n = strlen(found.name);

    if (stop_signal())
        cli_die(e);
    if (e->status == EX_DATAERR || e->status == EX_SOFTWARE) {
        bool named = !strncmp(e->msg, found.name, n) && !strncmp(e->msg + n, ": ", 2);

        on_problem(NULL, "database", e->msg + (named ? n + 2 : 0));
    } else {
        unsure(e->msg);
    }
}

/* Begins the JSON object, as far as all kinds have it in common. */
static enum verdict put_verdict(const char *checked)
{
    static const char *const words[] = {"ok", "bad", "inconclusive"};
    enum verdict v = found.problem_count ? VERDICT_BAD
                     : found.unsure[0]   ? VERDICT_INCONCLUSIVE
                                         : VERDICT_OK;
    struct buf name = {0};

    progress_end(&found.progress);
    if (quote(found.name, &name))
        no_memory();
    cli_putf("{\"verdict\":\"%s\",\"checked\":\"%s\",\"name\":", words[v], checked);
    cli_put(name.data, name.len);
    buf_free(&name);
    cli_say("%s: %s: %llu events, %llu problems", found.name, words[v],
            (unsigned long long)found.events, (unsigned long long)found.problem_count);
    return v;
}

static void put_rest(void)
{
    struct buf rest = {0};
    char digest[80];

    events_digest_text(found.events, found.sum, digest);
    if (buf_printf(&rest, ",\"digest\":%s%s%s", found.cut_short ? "" : "\"",
                   found.cut_short ? "null" : digest, found.cut_short ? "" : "\"") ||
        (found.unsure[0] && (buf_adds(&rest, ",\"message\":") || quote(found.unsure, &rest))) ||
        buf_printf(&rest, ",\"problem_count\":%llu,\"problems\":[",
                   (unsigned long long)found.problem_count) ||
        buf_add(&rest, found.problems.data, found.problems.len) || buf_adds(&rest, "]}\n"))
        no_memory();
    cli_put(rest.data, rest.len);
    cli_flush();
    buf_free(&rest);
}

/* --- the store ---------------------------------------------------------- */

static void store_step(void *ctx, uint64_t events)
{
    (void)ctx;
    progress_step(&found.progress, events, 0);
}

static void on_projection(void *ctx, const char *text)
{
    static const char kind[] = "projection ";
    bool named = !strncmp(text, kind, sizeof kind - 1);

    on_problem(ctx, "projection", text + (named ? sizeof kind - 1 : 0));
}

/* Are the projections what a fresh fold of the events gives? */
static int check_projections(struct err *e)
{
    struct projector_paths paths = cli_projectors();
    char why[512];
    int failed;

    if (state_verify(&store, &paths, on_projection, NULL, &failed, e) < 0)
        return -1;
    if (failed) {
        snprintf(why, sizeof why,
                 "%.300s: the projections of %d types could not be compared: see evstore-project "
                 "--status",
                 found.name, failed);
        unsure(why);
    }
    return 0;
}

static enum verdict check_store(void)
{
    struct store_settings set = cli_store_settings(true);
    struct verify v = {.problem = on_problem,
                       .oddity = on_oddity,
                       .event = on_event,
                       .step = store_step,
                       .max_drift_ms = DRIFT_MS};
    struct err e = ERR_NONE;
    enum verdict verdict;

    begin(cli.db);
    found.cut_short =
        store_open(&store, cli.db, STORE_READ, &set, &e) || verify_store(&v, &store, &e);
    if (found.cut_short || check_projections(&e))
        not_finished(&e);
    close_store();
    verdict = put_verdict("store");
    cli_putf(",\"events\":%llu,\"conflicts\":%llu", (unsigned long long)v.events,
             (unsigned long long)v.conflicts);
    put_rest();
    return verdict;
}

/* --- a file ------------------------------------------------------------- */

static void file_step(void *ctx, uint64_t lines, uint64_t bytes)
{
    (void)ctx;
    progress_step(&found.progress, lines, bytes);
}

static int read_file(struct filecheck *c, const char *operand, struct err *e)
{
    int fd = cli_open(operand, e), rc;
    struct line_reader r;
    struct stat st;

    if (fd < 0)
        return -1;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode))
        found.progress.total = (uint64_t)st.st_size;
    cli_lines(&r, fd, found.name);
    rc = filecheck_run(c, &r, e);
    line_close(&r);
    if (fd != STDIN_FILENO)
        close(fd);
    return rc;
}

static enum verdict check_file(const char *operand)
{
    static const char *const seals[] = {"none", "whole", "broken"};
    struct filecheck c = {.site = span_of(cli.site),
                          .prog = cli.prog,
                          .problem = on_bad_line,
                          .conflict = on_conflict,
                          .event = on_event,
                          .step = file_step};
    struct err e = ERR_NONE;
    enum verdict verdict;

    begin(cli_name(operand));
    if (read_file(&c, operand, &e)) {
        found.cut_short = true;
        if (stop_signal())
            cli_die(&e);
        unsure(e.msg);
    } else if (c.seal == SEAL_NONE) {
        char why[512];

        snprintf(why, sizeof why, "%.300s: no seal: nobody can see whether its end is missing",
                 found.name);
        unsure(why);
    }
    verdict = put_verdict("file");
    cli_putf(",\"events\":%llu,\"duplicates\":%llu,\"conflicts\":%llu,\"bad_lines\":%llu,"
             "\"seal\":\"%s\"",
             (unsigned long long)c.events, (unsigned long long)c.duplicates,
             (unsigned long long)c.conflicts, (unsigned long long)c.bad_lines, seals[c.seal]);
    put_rest();
    return verdict;
}

/* Bad outweighs inconclusive, which outweighs ok. */
static enum verdict worse(enum verdict a, enum verdict b)
{
    if (a == VERDICT_BAD || b == VERDICT_BAD)
        return VERDICT_BAD;
    return a > b ? a : b;
}

int main(int argc, char **argv)
{
    enum verdict worst = VERDICT_OK;
    int c;

    cli_start(argv[0], usage);
    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1)
        cli_option(c, optarg);
    cli_on_exit(close_store);
    if (optind == argc)
        worst = check_store();
    for (char **o = argv + optind; *o; o++)
        worst = worse(worst, check_file(*o));
    buf_free(&found.problems);
    return cli_finish((int)worst);
}
