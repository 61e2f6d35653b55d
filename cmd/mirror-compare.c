/* mirror-compare: what differs between two servers, and since when nothing does. */
#include "base/clock.h"
#include "base/spool.h"
#include "base/stop.h"
#include "mirror-compare/compare.h"
#include "text/utf8.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: mirror-compare [options] [OLD NEW]\n"
    "\n"
    "Compares two sides of JSON lines by key and says what differs. Without OLD and\n"
    "NEW the sides are those of mirror-compare.json, and the result is noted in the\n"
    "status folder.\n"
    "\n"
    "      --old-cmd CMD        the old side is what sh prints for CMD\n"
    "      --new-cmd CMD        the new side, the same\n"
    "      --key NAME,...       the members of the key (tag_id,order_id)\n"
    "      --ts NAME            the member with the time stamp (updated_at)\n"
    "      --fields NAME,...    compare these members only\n"
    "      --ignore NAME,...    do not compare these\n"
    "      --tol NAME=abs:X     numbers that differ by at most X are the same\n"
    "      --tol NAME=rel:X     the same, by at most X of the greater\n"
    "      --ts-tol SPAN        the same for time stamps\n"
    "      --lag SPAN           what is newer than this may still be on its way\n"
    "      --limit N            a side of N records is a window: cut at its old end\n"
    "      --max-diffs N        show at most N differences (1000; 0: all)\n"
    "      --sorted             both sides are in the order of the key\n"
    "      --memory SIZE        at most so much of it (256M)\n"
    "      --timeout SPAN       end commands that take longer (10m)\n"
    "      --config FILE        another configuration file\n"
    "      --status-dir DIR     note the result there\n"
    "      --no-record          note nothing\n"
    "      --zone NAME          whose days count, such as Asia/Tokyo\n"
    "      --gap WHEN           a day without a comparison is to break or hold\n"
    "      --recompute          compare nothing; make ok_counter anew, and print it\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -q, --quiet              no summary, no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_OLD_CMD = OPT_FIRST,
    OPT_NEW_CMD,
    OPT_KEY,
    OPT_TS,
    OPT_FIELDS,
    OPT_IGNORE,
    OPT_TOL,
    OPT_TS_TOL,
    OPT_LAG,
    OPT_LIMIT,
    OPT_MAX_DIFFS,
    OPT_SORTED,
    OPT_MEMORY,
    OPT_TIMEOUT,
    OPT_CONFIG,
    OPT_STATUS_DIR,
    OPT_NO_RECORD,
    OPT_ZONE,
    OPT_GAP,
    OPT_RECOMPUTE
};

static const struct option options[] = {{"old-cmd", required_argument, NULL, OPT_OLD_CMD},
                                        {"new-cmd", required_argument, NULL, OPT_NEW_CMD},
                                        {"key", required_argument, NULL, OPT_KEY},
                                        {"ts", required_argument, NULL, OPT_TS},
                                        {"fields", required_argument, NULL, OPT_FIELDS},
                                        {"ignore", required_argument, NULL, OPT_IGNORE},
                                        {"tol", required_argument, NULL, OPT_TOL},
                                        {"ts-tol", required_argument, NULL, OPT_TS_TOL},
                                        {"lag", required_argument, NULL, OPT_LAG},
                                        {"limit", required_argument, NULL, OPT_LIMIT},
                                        {"max-diffs", required_argument, NULL, OPT_MAX_DIFFS},
                                        {"sorted", no_argument, NULL, OPT_SORTED},
                                        {"memory", required_argument, NULL, OPT_MEMORY},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"config", required_argument, NULL, OPT_CONFIG},
                                        {"status-dir", required_argument, NULL, OPT_STATUS_DIR},
                                        {"no-record", no_argument, NULL, OPT_NO_RECORD},
                                        {"zone", required_argument, NULL, OPT_ZONE},
                                        {"gap", required_argument, NULL, OPT_GAP},
                                        {"recompute", no_argument, NULL, OPT_RECOMPUTE},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct wishes wishes;
static struct plan plan;
static struct compare compare;
static struct lockfile lock = {.fd = -1};
static struct out found = {.fd = -1}; /* differences as lines, until the result is noted */
static int64_t begun;
static bool noted; /* the result is in the ledger */

/* --- the command line ----------------------------------------------------------- */

static const char **text_wish(int c)
{
    switch (c) {
    case OPT_OLD_CMD:
        return &wishes.command[OLD];
    case OPT_NEW_CMD:
        return &wishes.command[NEW];
    case OPT_KEY:
        return &wishes.key;
    case OPT_TS:
        return &wishes.ts;
    case OPT_FIELDS:
        return &wishes.fields;
    case OPT_IGNORE:
        return &wishes.ignore;
    case OPT_TS_TOL:
        return &wishes.ts_tol;
    case OPT_LAG:
        return &wishes.lag;
    case OPT_LIMIT:
        return &wishes.limit;
    case OPT_MAX_DIFFS:
        return &wishes.max_diffs;
    case OPT_MEMORY:
        return &wishes.memory;
    case OPT_TIMEOUT:
        return &wishes.timeout;
    case OPT_CONFIG:
        return &wishes.config;
    case OPT_STATUS_DIR:
        return &wishes.status_dir;
    case OPT_ZONE:
        return &wishes.zone;
    case OPT_GAP:
        return &wishes.gap;
    default:
        return NULL;
    }
}

static void parse_options(int argc, char **argv)
{
    struct err e = ERR_NONE;
    int c;

    wishes.tolerances = calloc((size_t)argc, sizeof *wishes.tolerances);
    if (!wishes.tolerances)
        cli_check(err_memory(&e), &e);
    while ((c = getopt_long(argc, argv, "qhV", options, NULL)) != -1) {
        const char **text = text_wish(c);

        if (text)
            *text = optarg;
        else if (c == OPT_TOL)
            wishes.tolerances[wishes.tolerance_count++] = optarg;
        else if (c == OPT_SORTED)
            wishes.sorted = true;
        else if (c == OPT_NO_RECORD)
            wishes.no_record = true;
        else if (c == OPT_RECOMPUTE)
            wishes.recompute = true;
        else
            cli_option(c, optarg);
    }
    wishes.operands = argv + optind;
    wishes.operand_count = argc - optind;
}

/* --- the result -------------------------------------------------------------------- */

static uint64_t wrong_count(void)
{
    uint64_t n = 0;

    for (int i = 0; i < PENDING; i++)
        n += compare.count[i];
    return n;
}

/* "5 changed, 1 extra", or "all equal". */
static int list_counts(struct buf *b)
{
    bool any = false;

    for (int i = 0; i < DIFFERENCES; i++) {
        if (!compare.count[i])
            continue;
        if (buf_printf(b, "%s%llu %s", any ? ", " : "", (unsigned long long)compare.count[i],
                       difference_names[i]))
            return -1;
        any = true;
    }
    return any ? 0 : buf_adds(b, "no difference");
}

static int say_result(bool same, int streak, struct err *e)
{
    char tail[64] = "";
    struct buf b = {0};
    int rc = list_counts(&b) || buf_term(&b) ? err_memory(e) : 0;

    if (plan.status_dir)
        snprintf(tail, sizeof tail, ", streak %d of %d", streak, STREAK_TARGET);
    if (!rc)
        cli_say("%llu and %llu records: %llu equal, %s: %s%s",
                (unsigned long long)compare.side[OLD].rows,
                (unsigned long long)compare.side[NEW].rows, (unsigned long long)compare.equal,
                b.data, same ? "OK" : "NG", tail);
    buf_free(&b);
    return rc;
}

static void print_summary(enum ledger_result result, struct span rest)
{
    cli_putf("{\"result\":\"%s\",\"config\":\"%s\",", ledger_result_name(result), plan.digest);
    cli_put(rest.p, rest.n);
    cli_put("}\n", 2);
}

static int print_found(struct err *e)
{
    char block[16384];
    off_t at = 0;
    ssize_t n = 0;

    while (found.fd >= 0 &&
           (n = TEMP_FAILURE_RETRY(pread(found.fd, block, sizeof block, at))) > 0) {
        cli_put(block, (size_t)n);
        at += n;
    }
    return n < 0 ? err_sys(e, EX_IOERR, "unable to read a temporary file") : 0;
}

static int add_ms(struct buf *rest)
{
    return buf_printf(rest, ",\"ms\":%lld", (long long)(clock_boot_ms() - begun));
}

static int find_all(uint64_t *wrong_bytes, struct err *e)
{
    found.fd = spool_beside(plan.aside, e);
    if (found.fd < 0 || show_all(&compare, &found, wrong_bytes, e))
        return -1;
    return out_flush(&found) ? err_sys(e, EX_IOERR, "unable to write a temporary file") : 0;
}

/* Noted first, then told: who reads it may have left. */
static int conclude(bool *same, struct err *e)
{
    enum ledger_result result;
    struct buf rest = {0};
    uint64_t wrong_bytes = 0;
    int streak = 0, rc;

    *same = !wrong_count();
    result = *same ? LEDGER_OK : LEDGER_NG;
    if ((compare.wrong.n || compare.other.n) && find_all(&wrong_bytes, e))
        return -1;
    rc = show_counts(&compare, &rest) || add_ms(&rest) ? err_memory(e) : 0;
    if (!rc && stop_signal())
        rc = err_set(e, EX_TEMPFAIL, "stopped before the result was noted");
    if (!rc && plan.status_dir)
        rc = status_note(&compare, result, found.fd, wrong_bytes, buf_span(&rest), &noted, e);
    if (!rc && plan.status_dir)
        rc = status_count(&plan, compare.now_ms, &streak, e);
    if (!rc)
        rc = say_result(*same, streak, e);
    if (!rc)
        rc = print_found(e);
    if (!rc)
        print_summary(result, buf_span(&rest));
    buf_free(&rest);
    return rc;
}

/* --- trouble -------------------------------------------------------------------------- */

/* Noted as an ERROR where results are noted, unless somebody wanted it to end. */
static void note_trouble(const struct err *why)
{
    struct buf text = {0}, rest = {0};
    struct err e = ERR_NONE;

    if (stop_signal())
        return;
    if (utf8_mend(span_of(why->msg), LEDGER_WHY - 16, &text) || buf_adds(&rest, "\"why\":") ||
        json_quote(buf_span(&text), &rest) || add_ms(&rest)) {
        cli_warn("out of memory");
    } else {
        if (lock.fd >= 0 && !noted && status_error(&plan, compare.now_ms, buf_span(&rest), &e))
            cli_warn("%s", e.msg);
        print_summary(LEDGER_ERROR, buf_span(&rest));
    }
    buf_free(&text);
    buf_free(&rest);
}

/* --- the command ------------------------------------------------------------------------ */

static int begin(struct err *e)
{
    int rc;

    compare.now_ms = clock_now_ms();
    compare.wrong.max = compare.other.max = (size_t)plan.max_diffs;
    for (int i = 0; i < SIDES; i++)
        if (record_open(&compare.side[i].reader, &plan.rules) ||
            record_open(&compare.side[i].again, &plan.rules))
            return err_memory(e);
    if (!plan.status_dir)
        return 0;
    rc = status_lock(&plan, &lock, e);
    if (!rc) {
        ledger_unlock(&lock);
        return err_set(e, EX_TEMPFAIL, "%s: another run has not ended yet", plan.status_dir);
    }
    return rc < 0 ? -1 : pending_open(&compare, e);
}

static int run(bool *same, struct err *e)
{
    struct source sources[SIDES];
    int rc;

    if (begin(e))
        return -1;
    rc = sources_open(&plan, sources, e);
    for (int i = 0; i < SIDES; i++)
        compare.side[i].source = sources[i];
    if (!rc)
        rc = scan_compare(&compare, e);
    if (!rc)
        rc = conclude(same, e);
    sources_close(sources);
    return rc;
}

static void close_all(void)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &compare.side[i];

        record_close(&s->reader);
        record_close(&s->again);
        buf_free(&s->line);
        free(s->members.at);
    }
    free(compare.wrong.at);
    free(compare.other.at);
    arena_free(&compare.kept);
    pending_close(&compare);
    if (found.fd >= 0) {
        out_close(&found);
        close(found.fd);
    }
    ledger_unlock(&lock);
    plan_free(&plan);
    free(wishes.tolerances);
}

static void recompute(void)
{
    struct err e = ERR_NONE;
    int streak = 0, rc = status_lock(&plan, &lock, &e);

    if (!rc)
        rc = err_set(&e, EX_TEMPFAIL, "%s: another run has not ended yet", plan.status_dir);
    cli_check(rc < 0 ? rc : status_count(&plan, clock_now_ms(), &streak, &e), &e);
    cli_putf("%d\n", streak);
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    bool same = true;

    cli_start(argv[0], usage);
    begun = clock_boot_ms();
    parse_options(argc, argv);
    compare.plan = &plan;
    cli_check(plan_make(&plan, &wishes, &e), &e);
    if (wishes.recompute) {
        recompute();
    } else if (run(&same, &e)) {
        note_trouble(&e);
        cli_flush();
        cli_die(&e);
    }
    close_all();
    return cli_finish(same ? 0 : 1);
}
