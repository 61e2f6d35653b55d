/* evstore-restore: events from elsewhere, into the store, any number of times. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/ingest.h"
#include "cli/input.h"
#include "cli/projectors.h"
#include "store/projection.h"
#include "store/restorelog.h"
#include "text/doc.h"
#include "text/sealcheck.h"
#include "text/uuid7.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: evstore-restore [options] [FILE...]\n"
    "       evstore-restore [options] --follow --source NAME\n"
    "       evstore-restore [-d FILE] --status SESSION | --list | --cursor-of NAME\n"
    "\n"
    "Stores events that happened elsewhere: a backup, another device's part, a\n"
    "live stream. What is there already stays as it is; run it as often as you\n"
    "like, with parts in any order. Prints one JSON object: what was done.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB); made if missing\n"
    "      --session ID         name of this restore in the log (a UUID)\n"
    "      --source-device ID   where the events come from\n"
    "      --source-name NAME   that device's name for people\n"
    "      --more               more parts of this session will come\n"
    "      --document           the input is the API's JSON document\n"
    "      --require-seal       refuse everything unless every FILE is sealed whole\n"
    "      --keep-flags         take over synced and acknowledged: own backup only\n"
    "      --dry-run            count, change nothing\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --max-drift SPAN     warn of clocks further ahead than this (24h)\n"
    "      --adopt-clock        believe such clocks\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "      --follow             receive a stream from evstore-export --follow\n"
    "      --source NAME        whose stream it is; its cursor is kept\n"
    "      --acks               print each cursor, as it came, once it is stored\n"
    "      --silence SPAN       end with 75 when nothing came for so long\n"
    "      --cursor-of NAME     print how far NAME has been received, or start\n"
    "      --status SESSION     print the log's line about a session\n"
    "      --list               print the whole restore log\n"
    "  -q, --quiet              no result on stdout, no summary\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_SESSION = OPT_FIRST,
    OPT_DEVICE,
    OPT_NAME,
    OPT_MORE,
    OPT_DOCUMENT,
    OPT_REQUIRE_SEAL,
    OPT_KEEP_FLAGS,
    OPT_DRY_RUN,
    OPT_REJECTS,
    OPT_DRIFT,
    OPT_ADOPT,
    OPT_FOLLOW,
    OPT_SOURCE,
    OPT_ACKS,
    OPT_SILENCE,
    OPT_CURSOR_OF,
    OPT_STATUS,
    OPT_LIST
};

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"session", required_argument, NULL, OPT_SESSION},
                                        {"source-device", required_argument, NULL, OPT_DEVICE},
                                        {"source-name", required_argument, NULL, OPT_NAME},
                                        {"more", no_argument, NULL, OPT_MORE},
                                        {"document", no_argument, NULL, OPT_DOCUMENT},
                                        {"require-seal", no_argument, NULL, OPT_REQUIRE_SEAL},
                                        {"keep-flags", no_argument, NULL, OPT_KEEP_FLAGS},
                                        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"max-drift", required_argument, NULL, OPT_DRIFT},
                                        {"adopt-clock", no_argument, NULL, OPT_ADOPT},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"follow", no_argument, NULL, OPT_FOLLOW},
                                        {"source", required_argument, NULL, OPT_SOURCE},
                                        {"acks", no_argument, NULL, OPT_ACKS},
                                        {"silence", required_argument, NULL, OPT_SILENCE},
                                        {"cursor-of", required_argument, NULL, OPT_CURSOR_OF},
                                        {"status", required_argument, NULL, OPT_STATUS},
                                        {"list", no_argument, NULL, OPT_LIST},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct store store;
static bool store_is_open;
static struct ingest in;
static struct restore_run run = {.kind = "restore", .source_device = "unknown"};
static struct seal_check seal; /* of the input being read */
static struct doc document_head;
static struct input *inputs;
static struct projection_report report;
static size_t input_count;
static const char *source, *cursor_of, *status_of;
static char cursor[SEAL_CURSOR_MAX]; /* the last one received, not yet stored */
static char stored[SEAL_CURSOR_MAX]; /* the last one that is */
static int64_t under_cursor;         /* received up to the last cursor stored */
static int64_t silence_ms;           /* 0: a sender may be silent for ever */
static struct lockfile heard = {.fd = -1};
static bool more, document, require_seal, dry_run, follow, acks, list, bad_seal;

static void close_store(void)
{
    if (store_is_open)
        store_close(&store);
    store_is_open = false;
}

/* --- options ------------------------------------------------------------ */

static void set_session(const char *id)
{
    if (!restore_session_ok(id))
        cli_usage_error("session %s: wants 1 to 64 of A-Z a-z 0-9 . _ -", id);
    snprintf(run.session, sizeof run.session, "%s", id);
}

static void text_option(int c, const char *arg)
{
    if (c == OPT_SESSION)
        set_session(arg);
    else if (c == OPT_DEVICE)
        run.source_device = arg;
    else if (c == OPT_NAME)
        run.source_name = arg;
    else if (c == OPT_REJECTS)
        rejects_open(&in.rejects, arg);
    else if (c == OPT_DRIFT)
        in.intake.max_drift_ms = cli_span_ms("--max-drift", arg);
    else if (c == OPT_SOURCE)
        source = arg;
    else if (c == OPT_SILENCE)
        silence_ms = cli_span_ms("--silence", arg);
    else if (c == OPT_CURSOR_OF)
        cursor_of = arg;
    else if (c == OPT_STATUS)
        status_of = arg;
    else
        cli_option(c, arg);
}

static void check_options(int operands)
{
    int modes = follow + list + (cursor_of != NULL) + (status_of != NULL);

    if (modes > 1)
        cli_usage_error("only one of --follow, --list, --status and --cursor-of");
    if (modes && (more || document || require_seal || dry_run))
        cli_usage_error("--more, --document, --require-seal and --dry-run are for restoring");
    if (modes && operands)
        cli_usage_error("operands are for restoring");
    if (follow && !source)
        cli_usage_error("--follow wants --source NAME, whose cursor is kept");
    if (acks && !follow)
        cli_usage_error("--acks goes with --follow");
    if (silence_ms && !follow)
        cli_usage_error("--silence goes with --follow");
    if (source && !follow)
        cli_usage_error("--source goes with --follow");
    if (source && !restore_session_ok(source))
        cli_usage_error("--source: %s: wants 1 to 64 of A-Z a-z 0-9 . _ -", source);
    if (document && (require_seal || operands > 1))
        cli_usage_error("--document takes one input, which has no seal");
    if (more && !run.session[0] && !document)
        cli_usage_error("--more wants --session ID");
}

static void parse_options(int argc, char **argv)
{
    int c;

    in.intake = (struct intake){.expect = -1, .max_drift_ms = 86400000};
    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_MORE)
            more = true;
        else if (c == OPT_DOCUMENT)
            document = true;
        else if (c == OPT_REQUIRE_SEAL)
            require_seal = true;
        else if (c == OPT_KEEP_FLAGS)
            in.intake.keep_flags = true;
        else if (c == OPT_DRY_RUN)
            dry_run = true;
        else if (c == OPT_ADOPT)
            in.intake.adopt_clock = true;
        else if (c == OPT_FOLLOW)
            follow = true;
        else if (c == OPT_ACKS)
            acks = true;
        else if (c == OPT_LIST)
            list = true;
        else
            text_option(c, optarg);
    }
    check_options(argc - optind);
}

/* --- the log, read ------------------------------------------------------ */

static int show_log(void)
{
    struct err e = ERR_NONE;
    struct buf out = {0};
    int rows;

    cli_store(&store, STORE_READ, false);
    store_is_open = true;
    rows = restore_show(&store, status_of, &out, &e);
    cli_check(rows, &e);
    cli_put(out.data, out.len);
    buf_free(&out);
    if (status_of && !rows) {
        cli_warn("%s: no such session in the restore log", status_of);
        return EX_NOINPUT;
    }
    return 0;
}

static int show_cursor(void)
{
    struct store_settings set = cli_store_settings(false);
    struct err e = ERR_NONE;
    char text[64] = "start";

    store_is_open = !store_open(&store, cli.db, STORE_READ, &set, &e);
    if (store_is_open)
        cli_check(source_cursor(&store, cursor_of, text, &e), &e);
    else if (e.status != EX_NOINPUT) /* no store, or one whose maker was killed: start */
        cli_die(&e);
    cli_putf("%s\n", text);
    return 0;
}

/* --- inputs ------------------------------------------------------------- */

static int use_head(const char *name, struct err *e)
{
    const struct doc *d = &document_head;

    if (d->session.data && !run.session[0]) {
        if (!restore_session_ok(d->session.data))
            return err_set(e, EX_DATAERR,
                           "%s: restore_session_id: wants 1 to 64 of A-Z a-z 0-9 . _ -", name);
        set_session(d->session.data);
    }
    if (d->source_device.data && !strcmp(run.source_device, "unknown"))
        run.source_device = d->source_device.data;
    if (d->source_name.data && !run.source_name)
        run.source_name = d->source_name.data;
    more = more || d->more;
    return 0;
}

static int open_document(struct input *i, const char *operand, struct err *e)
{
    struct err ignored;

    in.relative = true;
    if (!input_open(i, operand, INPUT_DOCUMENT, &document_head, e))
        return use_head(i->name, e);
    use_head(i->name, &ignored); /* for the log: whose attempt failed */
    return -1;
}

/* Without a store one is built, and nothing of it counts before its end: seals
 * may wait until then. A dry run takes no slow input for that. */
static enum input_form input_form(void)
{
    bool blank = access(cli.db, F_OK);

    if (require_seal)
        return blank ? INPUT_SEALED_LATER : INPUT_SEALED;
    return dry_run && blank ? INPUT_SPOOLED : INPUT_LINES;
}

/* Everything is open, checked, and complete before anything is stored. */
static int open_inputs(char **operands, int n, struct err *e)
{
    enum input_form form = input_form();
    char *standard_input[] = {"-"};
    int rc = 0;

    if (!n) {
        operands = standard_input;
        n = 1;
    }
    inputs = calloc((size_t)n, sizeof *inputs);
    if (!inputs)
        return err_memory(e);
    for (; !rc && input_count < (size_t)n; input_count++)
        rc = document ? open_document(&inputs[input_count], operands[input_count], e)
                      : input_open(&inputs[input_count], operands[input_count], form, NULL, e);
    return rc;
}

/* --- result ------------------------------------------------------------- */

static void put_result(const char *status, const struct projection_report *r, const char *message)
{
    struct restore_counts c = restore_total(&run);
    struct err e = ERR_NONE;
    struct buf b = {0};
    char digest[80] = "";
    int64_t conflicts = 0;

    if (cli.quiet)
        return;
    /* After a failure these may not be had: then they are not said. */
    if (store_is_open &&
        (events_digest(&store, digest, &e) ||
         db_int(&store.db, "SELECT count(*) FROM conflicts", &conflicts, &e)) &&
        strcmp(status, "FAILED") != 0)
        cli_die(&e);
    if (buf_printf(&b,
                   "{\"status\":\"%s\",\"restore_session_id\":\"%s\",\"attempt\":%lld,"
                   "\"dry_run\":%s,\"events_received\":%lld,\"events_inserted\":%lld,"
                   "\"events_already_present\":%lld,\"events_rejected\":%lld,\"conflicts\":%lld,"
                   "\"ahead_of_clock\":%lld,\"projections_rebuilt\":[%.*s],"
                   "\"projections_failed\":[%.*s],\"store_conflicts\":%lld,\"digest\":\"%s\","
                   "\"message\":",
                   status, run.session, (long long)run.attempt, dry_run ? "true" : "false",
                   (long long)c.received, (long long)c.inserted, (long long)c.present,
                   (long long)c.rejected, (long long)c.conflicts, (long long)c.ahead,
                   (int)r->rebuilt.len, r->rebuilt.data ? r->rebuilt.data : "", (int)r->failed.len,
                   r->failed.data ? r->failed.data : "", (long long)conflicts, digest) ||
        json_quote(span_of(message), &b) || buf_adds(&b, "}\n")) {
        err_memory(&e);
        cli_die(&e);
    }
    cli_put(b.data, b.len);
    buf_free(&b);
}

/* Nothing, or not all, could be carried out: the log says so where it can. */
static _Noreturn void give_up(const struct err *why)
{
    struct store_settings set = cli_store_settings(false);
    struct projection_report none = {0};
    struct err e;

    if (!run.session[0])
        uuid7_new(run.session, &e);
    if (store_is_open && store.aside) { /* what was built there comes to nothing */
        close_store();
        run.attempt = 0;
        run.now = (struct restore_counts){0};
    }
    store_is_open = store_is_open || !store_open(&store, cli.db, STORE_WRITE, &set, &e);
    if (store_is_open && !dry_run) {
        if (store.in_transaction)
            store_rollback(&store);
        if (!store_begin(&store, &e)) {
            if ((run.attempt || !restore_begin(&store, &run, &e)) &&
                !restore_fail(&store, &run, why->msg, &e))
                store_commit(&store, &e);
            else
                store_rollback(&store);
        }
    }
    put_result("FAILED", &none, why->msg);
    cli_flush();
    cli_die(why);
}

/* --- storing ------------------------------------------------------------ */

static struct restore_counts counts_now(void)
{
    const struct intake *t = &in.intake;

    return (struct restore_counts){(int64_t)in.received,  (int64_t)t->inserted,
                                   (int64_t)t->present,   (int64_t)ingest_rejected(&in),
                                   (int64_t)t->conflicts, (int64_t)t->ahead};
}

static int put_ack(struct buf *out)
{
    return buf_printf(out, "{\"lifeboat_cursor\":\"%s\"}\n", stored);
}

/* FILE-NAME-SOURCE */
static const char *suffix_of(const char *what)
{
    static char suffix[80];

    snprintf(suffix, sizeof suffix, "%s-%s", what, source);
    return suffix;
}

/* A sender that has nothing to say here, such as a box whose place was taken, is not one
 * to be missed: the file comes with the first cursor that is one. */
static int note_heard(struct err *e)
{
    if (!acks)
        return 0;
    if (heard.fd < 0 && lockfile_open(&heard, cli.db, suffix_of("heard"), e))
        return -1;
    futimens(heard.fd, NULL);
    return 0;
}

static int before_commit(struct ingest *ingest, struct err *e)
{
    run.now = counts_now();
    /* A cursor stands behind its events: not before the last of them is here. */
    if (ingest->whole_batch) {
        in.pending = false;
        if (cursor[0]) {
            if (source_advance(&store, source, cursor, run.now.received - under_cursor, e))
                return -1;
            under_cursor = run.now.received;
            snprintf(stored, sizeof stored, "%s", cursor);
            cursor[0] = '\0';
            if (acks && put_ack(&ingest->echo)) /* printed when this is committed */
                return err_memory(e);
        }
    }
    return restore_renew(&store, &run, e);
}

static int on_line(struct ingest *ingest, const struct line *l, struct err *e)
{
    (void)ingest;
    return document || !seal_check_read(&seal, l) ? 0 : err_memory(e);
}

/* A cursor that is stored already says only that the sender lives: that is answered,
 * and noted by the time of a file, but no reason to write to the store. */
static int on_heartbeat(void)
{
    struct buf line = {0};
    struct err e;

    if (!acks)
        return 0;
    if (put_ack(&line)) {
        err_memory(&e);
        cli_die(&e);
    }
    cli_put(line.data, line.len);
    cli_flush();
    buf_free(&line);
    return 0;
}

/* The cursor goes into the store together with the events before it. */
static int on_control(struct ingest *ingest, const char *reached)
{
    struct err e;

    if (!follow)
        return 0;
    if (note_heard(&e))
        cli_die(&e);
    if (!ingest->batch.count && !cursor[0] && !strcmp(reached, stored))
        return on_heartbeat();
    snprintf(cursor, sizeof cursor, "%s", reached);
    ingest->pending = true;
    return 1;
}

static int transact(int (*step)(struct store *, struct restore_run *, struct err *), struct err *e)
{
    if (dry_run)
        return 0;
    if (store_begin(&store, e))
        return -1;
    if (step(&store, &run, e)) {
        store_rollback(&store);
        return -1;
    }
    return store_commit(&store, e);
}

static bool all_replayable(void)
{
    for (size_t i = 0; i < input_count; i++)
        if (!inputs[i].replayable)
            return false;
    return true;
}

/* Seals that were to be checked while a store is built, and none is. */
static int check_inputs(struct err *e)
{
    for (size_t i = 0; i < input_count; i++)
        if (inputs[i].unchecked && input_check(&inputs[i], e))
            return -1;
    return 0;
}

/* A store that does not exist is built beside its place when the input cannot
 * keep the gate waiting; a dry run builds one too, and throws it away. */
static int open_store(struct err *e)
{
    struct store_settings set = cli_store_settings(true);
    int rc = all_replayable() ? store_build(&store, cli.db, &set, e) : 1;

    if (rc == 0)
        in.endless = true;
    else if (rc == 1)
        rc = check_inputs(e) ||
             store_open(&store, cli.db, dry_run ? STORE_WRITE : STORE_CREATE, &set, e);
    store_is_open = rc == 0;
    in.intake.dry = dry_run && !in.endless;
    return rc;
}

static int read_input(struct input *i, struct err *e)
{
    struct line_reader r;
    int rc;

    seal = (struct seal_check){0};
    cli_lines(&r, i->fd, i->name);
    r.whole_only = follow;
    r.patience_ms = silence_ms;
    rc = ingest_lines(&in, &r, e);
    line_close(&r);
    if (!rc && r.cut && !stop_signal())
        rc = err_set(e, EX_TEMPFAIL, "%s: the stream was cut within a line; go on from --cursor-of",
                     i->name);
    if (!rc && stop_signal() && i->unchecked)
        rc = input_stopped(i, e);
    if (!rc && !stop_signal() && (i->sealed[0] || i->unchecked))
        rc = input_whole(i, &seal, e);
    if (!rc && seal.broken) {
        cli_warn("%s: %s", i->name, seal.why);
        bad_seal = true;
    }
    seal_check_free(&seal);
    return rc;
}

static int prepare_intake(struct err *e)
{
    in.intake.st = &store;
    in.intake.site = cli.site;
    in.intake.session = run.session;
    in.elsewhere_only = true;
    in.before_commit = before_commit;
    in.control = on_control;
    in.raw = on_line;
    return ingest_open(&in, e);
}

static int read_inputs(struct err *e)
{
    uint64_t total = 0;

    for (size_t i = 0; i < input_count; i++)
        total += inputs[i].size;
    progress_start(&in.progress, "events", all_replayable() ? total : 0);
    for (size_t i = 0; i < input_count && !stop_signal(); i++)
        if (read_input(&inputs[i], e))
            return -1;
    progress_end(&in.progress);
    run.now = counts_now();
    batch_close(&in.batch);
    return 0;
}

static const char *outcome(const struct projection_report *r, char message[static 256])
{
    struct restore_counts c = restore_total(&run);

    if (stop_signal()) {
        snprintf(message, 256, "stopped by signal %d; run it again", stop_signal());
        return "INTERRUPTED";
    }
    if (c.rejected || bad_seal || r->failures) {
        snprintf(message, 256, "%lld events rejected (%lld in conflict)%s%s", (long long)c.rejected,
                 (long long)c.conflicts, bad_seal ? "; a seal does not match" : "",
                 r->failures ? "; a projection failed" : "");
        return more ? "IN_PROGRESS" : "PARTIAL";
    }
    snprintf(message, 256, "%s",
             dry_run ? "Dry run: nothing was changed"
             : more  ? "Part restored; waiting for more"
                     : "Restore completed successfully");
    return more ? "IN_PROGRESS" : "COMPLETED";
}

static struct {
    const char *status, *message;
} ending;

static int end_run(struct store *st, struct restore_run *r, struct err *e)
{
    return restore_end(st, r, ending.status, ending.message, e);
}

static int catch_up(struct store *st, const struct projector_paths *paths,
                    struct projection_report *r, struct err *e)
{
    return projection_catch_up(st, paths, NULL, false, r, e);
}

/* The events are in; what they fold into can be made later. -1: the store is damaged,
 * and no later run mends that. */
static int project(int (*how)(struct store *, const struct projector_paths *,
                              struct projection_report *, struct err *),
                   struct err *e)
{
    struct projector_paths paths = cli_projectors();

    if (dry_run || stop_signal() || more || !how(&store, &paths, &report, e))
        return 0;
    if (e->status == EX_DATAERR)
        return -1;
    report.failures++;
    snprintf(report.message, sizeof report.message, "projections: %.480s", e->msg);
    return 0;
}

/* What was built beside its place is completed and put there. */
static int publish(struct err *e)
{
    if (dry_run)
        return 0;
    if (store_index(&store, e))
        return -1;
    if (project(projection_build, e) || store_given_up(&store)) /* then e says why */
        return -1;
    return store_publish(&store, e);
}

static int finish(struct err *e)
{
    char message[256];

    if (store_is_open)
        store_bulk_end(&store);
    if (project(catch_up, e))
        return -1;
    if (report.failures)
        cli_warn("%s", report.message);
    ending.status = outcome(&report, message);
    ending.message = message;
    if (transact(end_run, e))
        return -1;
    put_result(ending.status, &report, message);
    cli_say(
        "%lld received: %lld stored, %lld already present, %lld rejected (%lld in conflict): %s",
        (long long)run.now.received, (long long)run.now.inserted, (long long)run.now.present,
        (long long)run.now.rejected, (long long)run.now.conflicts, ending.status);
    projection_report_free(&report);
    return run.now.rejected || bad_seal || report.failures ? 1 : 0;
}

static int restore(char **operands, int n)
{
    struct err e = ERR_NONE;
    struct lockfile lock;
    int status;

    cli_check(restore_lock(&lock, cli.db, "restore", &e), &e);
    if (open_inputs(operands, n, &e)) {
        if (stop_signal())
            cli_die(&e);
        give_up(&e);
    }
    if (!run.session[0])
        cli_check(uuid7_new(run.session, &e), &e);
    if (open_store(&e) || prepare_intake(&e))
        cli_die(&e);
    if (transact(restore_begin, &e))
        cli_die(&e);
    if (read_inputs(&e) || (in.endless && publish(&e))) {
        if (e.status == EX_TEMPFAIL && stop_signal() && require_seal)
            cli_die(&e);
        give_up(&e);
    }
    if (in.endless && dry_run)
        close_store();
    status = finish(&e);
    if (status < 0)
        give_up(&e);
    lockfile_close(&lock);
    return status;
}

/* --- following ---------------------------------------------------------- */

static int receive(void)
{
    struct err e = ERR_NONE;
    struct input i = {.name = "standard input", .fd = STDIN_FILENO};
    struct lockfile lock;
    int status;

    cli_check(restore_lock(&lock, cli.db, suffix_of("source"), &e), &e);
    run.kind = "follow";
    in.live = true;
    run.source_device = source;
    if (!run.session[0])
        cli_check(uuid7_new(run.session, &e), &e);
    cli_store(&store, STORE_CREATE, false);
    store_is_open = true;
    if (source_cursor(&store, source, stored, &e))
        cli_die(&e);
    if (prepare_intake(&e) || transact(restore_begin, &e))
        cli_die(&e);
    progress_start(&in.progress, "events", 0);
    if (read_input(&i, &e))
        give_up(&e);
    progress_end(&in.progress);
    run.now = counts_now();
    status = finish(&e);
    if (status < 0)
        give_up(&e);
    lockfile_close(&heard);
    lockfile_close(&lock);
    return status;
}

int main(int argc, char **argv)
{
    int status;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    cli_on_exit(close_store);
    if (list || status_of)
        status = show_log();
    else if (cursor_of)
        status = show_cursor();
    else if (follow)
        status = receive();
    else
        status = restore(argv + optind, argc - optind);
    ingest_close(&in);
    doc_free(&document_head);
    for (size_t i = 0; i < input_count; i++)
        input_close(&inputs[i]);
    free(inputs);
    close_store();
    return cli_finish(status);
}
