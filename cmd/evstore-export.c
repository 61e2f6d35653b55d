/* evstore-export: the store as JSON lines, whole, in part, or as it grows. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "core/copyrow.h"
#include "core/cursor.h"
#include "core/row.h"
#include "core/watch.h"
#include "store/events.h"
#include "store/query.h"
#include "text/seal.h"
#include "text/uuid7.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: evstore-export [options]\n"
    "\n"
    "Prints the events of the store, one JSON object a line, in the order of\n"
    "their clocks (hlc, event_id).\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --entity-type TYPE   only entities of this type\n"
    "      --entity TYPE/ID     only this entity\n"
    "      --type TYPE          only this event_type\n"
    "      --actor ID           only this actor\n"
    "      --correlation ID     only this correlation_id\n"
    "      --since-ts TIME      ts_device later than TIME (Unix ms or RFC 3339)\n"
    "      --until-ts TIME      ts_device not later than TIME\n"
    "      --unsynced           only events not marked synced\n"
    "      --after CURSOR       only what was committed after CURSOR (or: start)\n"
    "      --up-to CURSOR       only what was committed up to CURSOR\n"
    "      --limit N            at most N, the first in commit order\n"
    "      --order hlc|seq      order of clocks, or of commits (the default with\n"
    "                           --after, --limit and --follow)\n"
    "      --order newest       commits, the last first: --limit takes the last N\n"
    "      --full               ts_server, synced, acknowledged, created_at, seq too\n"
    "      --seal               end with a line that proves the rest whole\n"
    "      --copy               rows for COPY of PostgreSQL: digest, columns, line\n"
    "      --document           one JSON document, as the HTTP API gives it\n"
    "      --follow             go on with new events as they are committed\n"
    "      --heartbeat SPAN     repeat the cursor when so long nothing was printed\n"
    "      --conflicts          the variants kept under ids that were taken\n"
    "      --digest             only the proof: lifeboat1 COUNT DIGEST\n"
    "  -q, --quiet              no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_ENTITY_TYPE = OPT_FIRST,
    OPT_ENTITY,
    OPT_TYPE,
    OPT_ACTOR,
    OPT_CORRELATION,
    OPT_SINCE,
    OPT_UNTIL,
    OPT_UNSYNCED,
    OPT_AFTER,
    OPT_UP_TO,
    OPT_LIMIT,
    OPT_ORDER,
    OPT_HEARTBEAT,
    OPT_FULL,
    OPT_SEAL,
    OPT_COPY,
    OPT_DOCUMENT,
    OPT_FOLLOW,
    OPT_CONFLICTS,
    OPT_DIGEST
};

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"entity-type", required_argument, NULL, OPT_ENTITY_TYPE},
                                        {"entity", required_argument, NULL, OPT_ENTITY},
                                        {"type", required_argument, NULL, OPT_TYPE},
                                        {"actor", required_argument, NULL, OPT_ACTOR},
                                        {"correlation", required_argument, NULL, OPT_CORRELATION},
                                        {"since-ts", required_argument, NULL, OPT_SINCE},
                                        {"until-ts", required_argument, NULL, OPT_UNTIL},
                                        {"unsynced", no_argument, NULL, OPT_UNSYNCED},
                                        {"after", required_argument, NULL, OPT_AFTER},
                                        {"up-to", required_argument, NULL, OPT_UP_TO},
                                        {"limit", required_argument, NULL, OPT_LIMIT},
                                        {"order", required_argument, NULL, OPT_ORDER},
                                        {"heartbeat", required_argument, NULL, OPT_HEARTBEAT},
                                        {"full", no_argument, NULL, OPT_FULL},
                                        {"seal", no_argument, NULL, OPT_SEAL},
                                        {"copy", no_argument, NULL, OPT_COPY},
                                        {"document", no_argument, NULL, OPT_DOCUMENT},
                                        {"follow", no_argument, NULL, OPT_FOLLOW},
                                        {"conflicts", no_argument, NULL, OPT_CONFLICTS},
                                        {"digest", no_argument, NULL, OPT_DIGEST},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

static struct store store;
static struct query query = {.limit = -1};
static const char *after, *up_to;
static const char *order;
static int64_t heartbeat_ms, said_at; /* 0: none; the boot clock at the last cursor */
static bool full, seal, copy, document, follow, conflicts, digest_only, filtered;

static void close_store(void)
{
    query_close(&query);
    store_close(&store);
}

static void take_entity(char *arg)
{
    char *slash = strchr(arg, '/');

    if (!slash || slash == arg || !slash[1])
        cli_usage_error("--entity: %s: wants TYPE/ID", arg);
    *slash = '\0';
    query.entity_type = arg;
    query.entity_id = slash + 1;
}

static bool filter_option(int c, char *arg)
{
    switch (c) {
    case OPT_ENTITY_TYPE:
        query.entity_type = arg;
        break;
    case OPT_ENTITY:
        take_entity(arg);
        break;
    case OPT_TYPE:
        query.event_type = arg;
        break;
    case OPT_ACTOR:
        query.actor = arg;
        break;
    case OPT_CORRELATION:
        query.correlation = arg;
        break;
    case OPT_SINCE:
        query.since = (struct event_int){true, cli_time_ms("--since-ts", arg)};
        break;
    case OPT_UNTIL:
        query.until = (struct event_int){true, cli_time_ms("--until-ts", arg)};
        break;
    case OPT_UNSYNCED:
        query.unsynced = true;
        break;
    case OPT_AFTER:
        after = arg;
        break;
    case OPT_UP_TO:
        up_to = arg;
        break;
    case OPT_LIMIT:
        query.limit = cli_number("--limit", arg, 0, INT64_MAX - 1);
        break;
    default:
        return false;
    }
    return filtered = true;
}

static void form_option(int c, const char *arg)
{
    bool *const flags[] = {&full, &seal, &copy, &document, &follow, &conflicts, &digest_only};

    if (c >= OPT_FULL && c <= OPT_DIGEST)
        *flags[c - OPT_FULL] = true;
    else if (c == OPT_ORDER)
        order = arg;
    else if (c == OPT_HEARTBEAT)
        heartbeat_ms = cli_span_ms("--heartbeat", arg);
    else
        cli_option(c, arg);
}

static void check_options(void)
{
    query.newest = order && !strcmp(order, "newest");
    if (order && !query.newest && strcmp(order, "hlc") && strcmp(order, "seq"))
        cli_usage_error("--order: %s: wants hlc, seq or newest", order);
    if (seal + document + follow + digest_only > 1)
        cli_usage_error("only one of --seal, --document, --follow and --digest");
    if (copy && (document || follow || digest_only))
        cli_usage_error("--copy goes with lines, and with --seal");
    if (conflicts && (filtered || full || copy || document || follow || digest_only || order))
        cli_usage_error("--conflicts goes with --seal only");
    if (follow && (query.limit >= 0 || up_to))
        cli_usage_error("--follow has no end: no --limit, no --up-to");
    if (heartbeat_ms && !follow)
        cli_usage_error("--heartbeat goes with --follow");
    if (follow && order && strcmp(order, "seq"))
        cli_usage_error("--follow is in commit order");
    if (query.newest && (after || seal))
        cli_usage_error("--order newest: a cursor does not go backwards: no --after, no --seal");
    if (query.newest && query.limit >= 0)
        query.limit++;
    query.by_hlc = order ? !strcmp(order, "hlc") : !after && query.limit < 0 && !follow;
    query.ids_only = digest_only;
    query.large_apart = !follow && !digest_only && !copy;
    query.by_hlc = query.by_hlc && !digest_only; /* a sum needs no order */
    full = full || document;
}

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1)
        if (!filter_option(c, optarg))
            form_option(c, optarg);
    if (optind < argc)
        cli_usage_error("%s: operands are not taken", argv[optind]);
    check_options();
}

/* --- one pass over the events ------------------------------------------- */

/* What has been printed, for the control line. */
struct printed {
    uint64_t count;
    int64_t newest; /* the highest seq among them */
    bool more;      /* backwards: the limit left some out */
};

static void print_row(const struct event *ev)
{
    static struct buf line, row;
    struct err e;

    line.len = row.len = 0;
    if (event_write(ev, full, &line) ||
        copyrow_event(ev, (struct span){line.data, line.len - 1}, &row)) {
        err_memory(&e);
        cli_die(&e);
    }
    cli_put(row.data, row.len);
}

static void print_event(const struct event *ev, const struct printed *p)
{
    static struct buf line, behind;
    bool apart = !ev->payload.p;
    struct err e;

    line.len = behind.len = 0;
    if (apart ? event_write_around(ev, full, &line, &behind) : event_write(ev, full, &line)) {
        err_memory(&e);
        cli_die(&e);
    }
    if (document && p->count)
        cli_put(",\n", 2);
    cli_put(line.data, line.len - (document && !apart));
    if (!apart)
        return;
    cli_check(row_payload(&store.db, ev->seq, cli_put, &e), &e);
    cli_put(behind.data, behind.len - document);
}

static struct printed print_all(struct progress *progress)
{
    struct printed p = {0};
    struct err e = ERR_NONE;
    struct event ev;
    int rc;

    cli_check(query_open(&query, &store, &e), &e);
    while ((rc = query_next(&query, &ev, &e)) == 1 && !stop_signal()) {
        p.more = query.newest && query.limit >= 0 && p.count + 1 == (uint64_t)query.limit;
        if (p.more) /* this one was asked for to know that */
            break;
        if (copy)
            print_row(&ev);
        else
            print_event(&ev, &p);
        p.count++;
        if (ev.seq > p.newest)
            p.newest = ev.seq;
        if (p.count % 1024 == 0)
            progress_step(progress, p.count, 0);
    }
    cli_check(rc, &e);
    stmt_reset(&query.stmt);
    return p;
}

/* Up to which seq a reader has seen everything the filters let through. */
static int64_t seen_up_to(const struct printed *p, bool *more)
{
    struct err e = ERR_NONE;
    int64_t newest;
    int rc;

    *more = false;
    cli_check(query_newest(&store, &newest, &e), &e);
    if (query.up_to.set)
        newest = query.up_to.v;
    if (query.newest) { /* it began with the last one there is */
        *more = p->more;
        return newest;
    }
    if (query.limit >= 0 && p->count == (uint64_t)query.limit) {
        int64_t last = p->count ? p->newest : query.after;

        rc = query_more(&query, &store, last, &e);
        cli_check(rc, &e);
        *more = rc == 1;
        return *more ? last : newest;
    }
    return newest;
}

static void cursor_at(int64_t seq, char out[CURSOR_TEXT])
{
    struct err e = ERR_NONE;

    cli_check(cursor_make(&store, seq, out, &e), &e);
}

/* --- forms -------------------------------------------------------------- */

static int add_to_hash(void *ctx, const void *p, size_t n)
{
    return sha256_add(ctx, p, n);
}

static void hash_output(struct sha256 *hash)
{
    cli_out.tap = add_to_hash;
    cli_out.tap_ctx = hash;
}

static void put_seal(uint64_t count, struct sha256 *hash, const char *to)
{
    struct seal s = {.count = count};
    struct buf line = {0}, row = {0};
    struct err e;

    cli_out.tap = NULL;
    snprintf(s.from, sizeof s.from, "%s", after ? after : "start");
    snprintf(s.to, sizeof s.to, "%s", to);
    if (sha256_text(hash, s.sha256) || seal_write(&s, &line) ||
        (copy && copyrow_control((struct span){line.data, line.len - 1}, &row))) {
        err_memory(&e);
        cli_die(&e);
    }
    if (copy)
        cli_put(row.data, row.len);
    else
        cli_put(line.data, line.len);
    buf_free(&line);
    buf_free(&row);
}

static void export_lines(struct progress *progress)
{
    struct sha256 hash = {0};
    char to[CURSOR_TEXT];
    struct printed p;
    bool more;

    if (seal)
        hash_output(&hash);
    p = print_all(progress);
    if (!seal || stop_signal())
        return;
    cursor_at(seen_up_to(&p, &more), to);
    put_seal(p.count, &hash, to);
}

static void export_document(struct progress *progress)
{
    char id[37], to[CURSOR_TEXT];
    struct err e = ERR_NONE;
    struct buf head = {0};
    struct printed p;
    bool more;

    cli_check(uuid7_new(id, &e), &e);
    if (buf_printf(&head, "{\"export_id\":\"%s\",\"exported_at\":%lld,\"site_id\":", id,
                   (long long)clock_now_ms()) ||
        json_quote(span_of(cli.site), &head) || buf_adds(&head, ",\"device_id\":") ||
        json_quote(span_of(store.device), &head) || buf_adds(&head, ",\"events\":[\n")) {
        err_memory(&e);
        cli_die(&e);
    }
    cli_put(head.data, head.len);
    buf_free(&head);
    p = print_all(progress);
    if (stop_signal())
        return;
    cursor_at(seen_up_to(&p, &more), to);
    cli_putf("%s],\"events_count\":%llu,\"has_more\":%s,\"next_cursor\":\"%s\"}\n",
             p.count ? "\n" : "", (unsigned long long)p.count, more ? "true" : "false", to);
}

static void export_digest(void)
{
    struct err e = ERR_NONE;
    struct digest sum = {0};
    uint64_t count = 0;
    struct event ev;
    char text[80];
    int rc;

    cli_check(query_open(&query, &store, &e), &e);
    while ((rc = query_next(&query, &ev, &e)) == 1) {
        events_digest_add(&sum, ev.text[EVENT_ID], ev.digest);
        count++;
    }
    cli_check(rc, &e);
    events_digest_text(count, sum, text);
    cli_putf("%s\n", text);
}

static void export_conflicts(void)
{
    struct stmt all = {.sql = "SELECT event_json FROM conflicts ORDER BY event_id, conflict_id"};
    struct sha256 hash = {0};
    struct err e = ERR_NONE;
    char to[CURSOR_TEXT];
    uint64_t count = 0;
    int64_t newest;
    int rc;

    if (seal)
        hash_output(&hash);
    cli_check(stmt_ready(&all, &store.db, &e), &e);
    while ((rc = stmt_step(&all, &e)) == 1) {
        struct span line = stmt_span(&all, 0);

        cli_put(line.p, line.n);
        cli_put("\n", 1);
        count++;
    }
    cli_check(rc, &e);
    stmt_free(&all);
    if (!seal)
        return;
    cli_check(query_newest(&store, &newest, &e), &e);
    cursor_at(newest, to);
    put_seal(count, &hash, to);
}

/* --- following ---------------------------------------------------------- */

enum { WAVE = 1000, WAVE_BYTES = 1 << 20 };

/* Reads a wave of events into memory, so that no view of the store is held
 * while a slow reader takes them. Returns how many. */
static int read_wave(struct buf *lines, int64_t *last, bool *more, struct err *e)
{
    struct event ev;
    int64_t newest;
    int rc = 1, n = 0;

    lines->len = 0;
    if (store_snapshot(&store, e) || query_newest(&store, &newest, e) ||
        query_open(&query, &store, e))
        return -1;
    while (lines->len < WAVE_BYTES && (rc = query_next(&query, &ev, e)) == 1) {
        if (event_write(&ev, full, lines))
            return err_memory(e);
        *last = ev.seq;
        n++;
    }
    *more = rc == 1 || n == WAVE;
    if (!rc && !*more)
        *last = newest;
    stmt_reset(&query.stmt);
    store_snapshot_end(&store);
    return rc < 0 ? -1 : n;
}

/* Is the store still the one that the last cursor was of? */
static int check_place(const char *cursor, struct err *e)
{
    int64_t seq;

    if (!store_in_place(&store))
        return err_set(e, EX_PROTOCOL, "%s: replaced or removed while it was followed", cli.db);
    return cursor_resolve(&store, cursor, &seq, e);
}

static void say_cursor(const char *cursor)
{
    cli_putf("{\"lifeboat_cursor\":\"%s\"}\n", cursor);
    cli_flush();
    said_at = clock_boot_ms();
}

static int follow_wave(struct buf *lines, char cursor[CURSOR_TEXT], struct err *e)
{
    int64_t last = query.after;
    bool more = false;
    int n;

    if (check_place(cursor, e))
        return -1;
    n = read_wave(lines, &last, &more, e);
    if (n < 0)
        return -1;
    if (last == query.after)
        return 0;
    if (cursor_make(&store, last, cursor, e))
        return -1;
    query.after = last;
    cli_put(lines->data, lines->len);
    if (n)
        say_cursor(cursor);
    return more;
}

/* How long to wait for something to say. A reader who has heard nothing for longer
 * than the heartbeat knows that this end is gone, not idle. */
static int64_t next_beat(const char *cursor)
{
    if (!heartbeat_ms)
        return -1;
    if (clock_boot_ms() - said_at >= heartbeat_ms)
        say_cursor(cursor);
    return said_at + heartbeat_ms - clock_boot_ms();
}

static void follow_store(void)
{
    char cursor[CURSOR_TEXT];
    struct buf lines = {0};
    struct err e = ERR_NONE;
    struct watch w;
    int rc = 1;

    query.limit = WAVE;
    cli_check(watch_open(&w, &store, &e), &e);
    cursor_at(query.after, cursor);
    said_at = clock_boot_ms() - heartbeat_ms;
    while (rc > 0 && !stop_signal()) {
        while ((rc = follow_wave(&lines, cursor, &e)) == 1 && !stop_signal())
            ;
        cli_check(rc, &e);
        rc = watch_wait_within(&w, STDOUT_FILENO, next_beat(cursor), &e);
        if (rc < 0 && errno == EPIPE)
            cli_reader_left();
        cli_check(rc, &e);
    }
    watch_close(&w);
    buf_free(&lines);
}

/* A cursor before the one it begins after: nothing is between them, and the cursor to go
 * on from would lead backwards. */
static void resolve_end(void)
{
    struct err e = ERR_NONE;

    cli_check(cursor_resolve(&store, up_to, &query.up_to.v, &e), &e);
    query.up_to.set = true;
    if (query.up_to.v < query.after)
        cli_usage_error("--up-to: %s is before %s", up_to, after);
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    struct progress progress;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    cli_store(&store, STORE_READ, false);
    cli_on_exit(close_store);
    if (after)
        cli_check(cursor_resolve(&store, after, &query.after, &e), &e);
    if (up_to)
        resolve_end();
    progress_start(&progress, "events", 0);
    if (follow) {
        follow_store();
    } else {
        cli_check(store_snapshot(&store, &e), &e);
        if (conflicts)
            export_conflicts();
        else if (digest_only)
            export_digest();
        else if (document)
            export_document(&progress);
        else
            export_lines(&progress);
    }
    progress_end(&progress);
    close_store();
    return cli_finish(0);
}
