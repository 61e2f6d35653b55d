/* kvcache: values with a time to live, and commands that are run once for a key. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/spool.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "cli/once.h"
#include "cli/policy.h"
#include "cli/rejects.h"
#include "core/batch.h"
#include "core/tally.h"
#include "core/watch.h"
#include "store/cache.h"
#include "text/kvline.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: kvcache get [-n NS] [--json] [KEY...]\n"
    "       kvcache set [-n NS] [--ttl SPAN] [--json | --text] [KEY [VALUE]]\n"
    "       kvcache delete [-n NS] [--values | --results] [KEY...]\n"
    "       kvcache clear [-n NS | --all] [--values | --results]\n"
    "       kvcache purge\n"
    "       kvcache stats\n"
    "       kvcache watch [-n NS] [--after N]\n"
    "       kvcache run [-n NS] [--ttl SPAN] [--wait SPAN] [--keep LIST] [--no-takeover]\n"
    "                   [--fingerprint FILE] [--auto] [KEY] -- COMMAND [ARG...]\n"
    "\n"
    "get prints the value of a key as it was set, or JSON lines for several; a key\n"
    "that is not there is status 1. set stores VALUE, else standard input; without\n"
    "KEY, JSON lines {\"key\":K,\"value\":V,\"ttl\":SECONDS}. get and delete without KEY\n"
    "read keys from standard input, one a line. purge deletes what has expired. watch\n"
    "prints a JSON line for each value that is not valid any more, until it is ended.\n"
    "run runs COMMAND once for KEY: whoever runs it again is shown the same output\n"
    "and exit status.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -n, --namespace NS       of the keys (default: the one without a name)\n"
    "      --ttl SPAN           how long it is kept: 90, 15m, 24h, 7d (24h)\n"
    "      --policy NAME        ttl, namespace and max-size as cache.json has them\n"
    "      --max-size SIZE      set: what the namespace may hold, such as 64M\n"
    "      --json               get: JSON lines; set: take nothing but JSON\n"
    "      --text               set: take it for bytes, though it is JSON\n"
    "      --values             delete, clear: no results of run\n"
    "      --results            delete, clear: nothing but results of run\n"
    "      --all                clear: all namespaces\n"
    "      --after N            watch: what came after this change; 0 for all there is\n"
    "      --fingerprint FILE   run: the key is for this content only; - is stdin\n"
    "      --auto               run: make the key from COMMAND and standard input\n"
    "      --wait SPAN          run: wait for another that runs it (60)\n"
    "      --keep LIST          run: record these statuses, such as 0,3-5, or all (0)\n"
    "      --no-takeover        run: not when who ran it was killed\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --max-line BYTES     longest line accepted (16777216)\n"
    "  -q, --quiet              no summary\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum {
    OPT_TTL = OPT_FIRST,
    OPT_POLICY,
    OPT_MAX_SIZE,
    OPT_JSON,
    OPT_TEXT,
    OPT_VALUES,
    OPT_RESULTS,
    OPT_ALL,
    OPT_AFTER,
    OPT_FINGERPRINT,
    OPT_AUTO,
    OPT_WAIT,
    OPT_KEEP,
    OPT_NO_TAKEOVER,
    OPT_REJECTS
};

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"namespace", required_argument, NULL, 'n'},
                                        {"ttl", required_argument, NULL, OPT_TTL},
                                        {"policy", required_argument, NULL, OPT_POLICY},
                                        {"max-size", required_argument, NULL, OPT_MAX_SIZE},
                                        {"json", no_argument, NULL, OPT_JSON},
                                        {"text", no_argument, NULL, OPT_TEXT},
                                        {"values", no_argument, NULL, OPT_VALUES},
                                        {"results", no_argument, NULL, OPT_RESULTS},
                                        {"all", no_argument, NULL, OPT_ALL},
                                        {"after", required_argument, NULL, OPT_AFTER},
                                        {"fingerprint", required_argument, NULL, OPT_FINGERPRINT},
                                        {"auto", no_argument, NULL, OPT_AUTO},
                                        {"wait", required_argument, NULL, OPT_WAIT},
                                        {"keep", required_argument, NULL, OPT_KEEP},
                                        {"no-takeover", no_argument, NULL, OPT_NO_TAKEOVER},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

enum { DEFAULT_TTL_MS = 86400000, DEFAULT_WAIT_MS = 60000 };
#define DEFAULT_MAX_SIZE (INT64_C(256) << 20)

static struct {
    const char *namespace; /* NULL: not given */
    const char *policy, *fingerprint, *rejects;
    int64_t ttl_ms, max_size; /* 0: not given */
    int64_t after;            /* -1: not given */
    bool json, text, values, results, all, automatic;
} opt = {.after = -1};

static struct store store = {.gate.fd = -1}; /* not open */
static struct cache cache;
static struct policy policy;
static struct once once = ONCE_NONE;
static struct rejects rejects;
static struct line_reader reader;
static struct arena arena;
static struct json json;
static struct buf out_line;
static struct tally counted;
static struct span ns = {"", 0};

/* The batch: lines that were read and are not stored yet. */
static struct entry {
    struct line line;
    struct kv_entry kv;
    bool done; /* or refused, or not there */
} entries[BATCH_ROWS];
static size_t count;
static uint64_t received, done;
static bool in_flight; /* something that was to be deleted */

static void roll_back(void)
{
    once_end(&once);
    store_close(&store);
}

static void open_store(enum store_mode mode)
{
    struct err e = ERR_NONE;

    cli_store(&store, mode, false);
    cli_on_exit(roll_back);
    cli_check(cache_open(&cache, &store, &e), &e);
}

/* --- what the options say ------------------------------------------------ */

/* Policy, then options. What set is told besides comes from cache.json as well. */
static void settle(bool all)
{
    struct err e = ERR_NONE;

    if (all || opt.policy)
        cli_check(policy_open(&policy, opt.policy, &e), &e);
    if (!opt.namespace)
        opt.namespace = policy.namespace;
    if (!opt.ttl_ms)
        opt.ttl_ms = policy.ttl_ms ? policy.ttl_ms : DEFAULT_TTL_MS;
    if (!opt.max_size)
        opt.max_size = policy.max_size ? policy.max_size : DEFAULT_MAX_SIZE;
    if (opt.namespace)
        ns = span_of(opt.namespace);
}

static struct span key_operand(const char *operand)
{
    const char *why = kv_key_fault(span_of(operand));

    if (why)
        cli_usage_error("%.300s: %s", operand, why);
    return span_of(operand);
}

static int64_t ttl_option(const char *arg)
{
    int64_t ms = cli_span_ms("--ttl", arg);

    if (ms < 1000 || ms / 1000 > KV_TTL_MAX_S)
        cli_usage_error("--ttl: %s: wants one second to ten years", arg);
    return ms;
}

static void namespace_option(const char *arg)
{
    const char *why = kv_namespace_fault(span_of(arg));

    if (why)
        cli_usage_error("--namespace: %s", why);
    opt.namespace = arg;
}

static void take_option(int c, const char *arg)
{
    switch (c) {
    case 'n':
        namespace_option(arg);
        break;
    case OPT_TTL:
        opt.ttl_ms = ttl_option(arg);
        break;
    case OPT_POLICY:
        opt.policy = arg;
        break;
    case OPT_MAX_SIZE:
        if (size_parse(arg, &opt.max_size))
            cli_usage_error("--max-size: %s: wants bytes, or a size such as 64K or 8M", arg);
        break;
    case OPT_JSON:
        opt.json = true;
        break;
    case OPT_TEXT:
        opt.text = true;
        break;
    case OPT_VALUES:
        opt.values = true;
        break;
    case OPT_RESULTS:
        opt.results = true;
        break;
    case OPT_ALL:
        opt.all = true;
        break;
    case OPT_AFTER:
        opt.after = cli_number("--after", arg, 0, INT64_MAX - 1);
        break;
    case OPT_FINGERPRINT:
        opt.fingerprint = arg;
        break;
    case OPT_AUTO:
        opt.automatic = true;
        break;
    case OPT_WAIT:
        once.wait_ms = cli_span_ms("--wait", arg);
        break;
    case OPT_KEEP:
        if (once_parse_keep(arg, once.keep))
            cli_usage_error("--keep: %s: wants statuses such as 0,3-5, or all", arg);
        break;
    case OPT_NO_TAKEOVER:
        once.no_takeover = true;
        break;
    case OPT_REJECTS:
        opt.rejects = arg;
        break;
    default:
        cli_option(c, arg);
    }
}

/* --- lines --------------------------------------------------------------- */

typedef const char *parser(struct json *j, struct span line, struct arena *a, struct kv_entry *out,
                           size_t *offset);

static int refuse(const struct line *l, size_t offset, const char *why, struct err *e)
{
    return rejects_line(&rejects, reader.name, l, offset + (size_t)(l->text.p - l->raw.p), why, e);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The line's text without the blanks around it; how many stood before it. */
static size_t trim(struct span *text)
{
    size_t lead = 0;

    while (text->n && is_space(text->p[text->n - 1]))
        text->n--;
    while (lead < text->n && is_space(text->p[lead]))
        lead++;
    *text = (struct span){text->p + lead, text->n - lead};
    return lead;
}

static int take_line(const struct line *l, bool too_long, parser *parse, struct err *e)
{
    struct entry *x = &entries[count];
    struct span text = l->text;
    const char *why;
    size_t offset, lead;

    if (too_long) {
        char limit[80];

        received += l->first;
        snprintf(limit, sizeof limit, "longer than %zu bytes (--max-line)", reader.max);
        return refuse(l, 0, limit, e);
    }
    lead = trim(&text);
    if (!text.n)
        return 0;
    received++;
    *x = (struct entry){.line = *l};
    why = parse(&json, text, &arena, &x->kv, &offset);
    if (why)
        return why == json_no_memory ? err_memory(e) : refuse(l, offset + lead, why, e);
    if (!x->kv.ns.p)
        x->kv.ns = ns;
    count++;
    return 0;
}

/* Waits for a line, then takes what else is there. 1, or 0 at the end. */
static int fill(parser *parse, struct err *e)
{
    struct line l;

    count = 0;
    arena_reset(&arena);
    line_release(&reader);
    while (count < BATCH_ROWS && arena.used < LINE_ROOM && !stop_signal()) {
        enum line_result got = line_next(&reader, !count, &l, e);

        if (got == LINE_ERROR)
            return -1;
        if (got == LINE_EOF)
            return 0;
        if (got == LINE_NONE && count)
            break;
        if (got != LINE_NONE && take_line(&l, got == LINE_LONG, parse, e))
            return -1;
    }
    return !stop_signal();
}

/* Each batch of lines of standard input to handle. */
static void each_batch(parser *parse, int (*handle)(struct err *e))
{
    struct err e = ERR_NONE;
    int more;

    rejects_open(&rejects, opt.rejects);
    line_open(&reader, STDIN_FILENO, "standard input", cli.max_line);
    do {
        more = fill(parse, &e);
        cli_check(more, &e);
        cli_check(handle(&e), &e);
        cli_check(rejects_sync(&rejects, &e), &e);
    } while (more);
    line_close(&reader);
    rejects_close(&rejects);
}

/* Changes entries from *i on; all of them, unless that takes long. */
static int change_some(size_t *i, int (*change)(struct entry *x, struct err *e), struct err *e)
{
    int64_t until = clock_boot_ms() + BATCH_HOLD_MS;

    do {
        if (change(&entries[*i], e))
            return -1;
        ++*i;
    } while (*i < count && (*i % 64 || clock_boot_ms() <= until || !gate_wanted(&store.gate)));
    return 0;
}

/* The batch, in transactions, each told when it is committed. */
static int change_all(int (*change)(struct entry *x, struct err *e),
                      int (*tell)(struct entry *x, struct err *e), struct err *e)
{
    for (size_t i = 0, from = 0; i < count; from = i) {
        struct tally before = counted;

        if (store_begin(&store, e) || change_some(&i, change, e) || store_commit(&store, e)) {
            counted = before;
            return -1;
        }
        for (; from < i; from++)
            if (tell(&entries[from], e))
                return -1;
    }
    return 0;
}

/* --- get ----------------------------------------------------------------- */

/* 1, or 0: it is not there. */
static int print_value(struct span space, struct span key, bool line, struct err *e)
{
    struct cache_value v;
    struct kv_entry kv;
    int there = cache_get(&cache, space, key, &v, e);

    if (there < 0)
        return -1;
    counted.n[there ? TALLY_HITS : TALLY_MISSES]++;
    if (there && !line)
        cli_put(v.value.p, v.value.n);
    if (there && line) {
        kv = (struct kv_entry){space, key, v.value, v.is_json, (expiry_left(&v.end) + 999) / 1000};
        buf_clear(&out_line);
        if (kv_write(&kv, &out_line))
            return err_memory(e);
        cli_put(out_line.data, out_line.len);
    }
    return there;
}

static int print_batch(struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int there = print_value(entries[i].kv.ns, entries[i].kv.key, true, e);

        if (there < 0)
            return -1;
        done += there == 1;
    }
    cli_flush(); /* nobody is to wait for an answer while we wait for his next line */
    return 0;
}

static int get(char **keys)
{
    bool lines = opt.json || !*keys || keys[1];
    struct err e = ERR_NONE;

    settle(false);
    for (char **k = keys; *k; k++)
        key_operand(*k);
    open_store(STORE_READ);
    for (char **k = keys; *k && !stop_signal(); k++, received++) {
        int there = print_value(ns, span_of(*k), lines, &e);

        cli_check(there, &e);
        done += there == 1;
    }
    if (!*keys)
        each_batch(kv_parse_key, print_batch);
    tally_add(store.path, &counted);
    return done == received ? 0 : 1;
}

/* --- set ----------------------------------------------------------------- */

static int put_entry(struct entry *x, struct err *e)
{
    struct cache_value v = {
        .ns = x->kv.ns, .key = x->kv.key, .value = x->kv.value, .is_json = x->kv.is_json};
    int rc;

    v.end = expiry_after(x->kv.ttl_s ? x->kv.ttl_s * 1000 : opt.ttl_ms);
    rc = cache_put(&cache, &v, opt.max_size, &counted.n[TALLY_EVICTIONS], e);
    x->done = rc == 1;
    counted.n[TALLY_SETS] += rc == 1;
    return rc < 0 ? -1 : 0;
}

static const char *too_large(char room[static 100])
{
    snprintf(room, 100, "value: larger than the namespace may hold, %lld bytes (--max-size)",
             (long long)opt.max_size);
    return room;
}

static int tell_put(struct entry *x, struct err *e)
{
    char why[100];

    return x->done ? 0 : refuse(&x->line, 0, too_large(why), e);
}

static int store_batch(struct err *e)
{
    return change_all(put_entry, tell_put, e);
}

/* The value of one key: the operand, or all of standard input. */
static struct span read_value(const char *operand, struct buf *room, struct err *e)
{
    ssize_t n = 1;

    if (operand)
        return span_of(operand);
    while (n > 0 && room->len <= KV_VALUE_MAX) {
        cli_check(buf_reserve(room, 65536) ? err_memory(e) : 0, e);
        n = read(STDIN_FILENO, room->data + room->len, 65536);
        if (n < 0 && stop_signal())
            cli_check(err_set(e, EX_TEMPFAIL, "stopped"), e);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            room->len += (size_t)n;
    }
    if (n < 0)
        cli_check(err_sys(e, EX_IOERR, "unable to read standard input"), e);
    return buf_span(room);
}

static void set_one(const char *key, const char *operand)
{
    struct err e = ERR_NONE;
    struct buf room = {0};
    struct json_value v;
    struct kv_entry *kv = &entries[0].kv;
    char why[100];

    *kv = (struct kv_entry){.ns = ns, .key = span_of(key)};
    kv->value = read_value(operand, &room, &e);
    kv->is_json = !opt.text && !json_whole(&json, kv->value, &v);
    if (kv->value.n > KV_VALUE_MAX)
        err_set(&e, EX_DATAERR, "%s: value: longer than 16 MiB", key);
    else if (opt.json && !kv->is_json)
        err_set(&e, EX_DATAERR, "%s: byte %zu: %s", key, json_offset(&json), json.why);
    else if (!opt.text && !kv->is_json && json.why == json_no_memory)
        err_memory(&e);
    if (e.status)
        cli_die(&e);
    if (store_begin(&store, &e) || put_entry(&entries[0], &e))
        cli_die(&e);
    if (!entries[0].done) {
        err_set(&e, EX_DATAERR, "%s: %s", key, too_large(why));
        cli_die(&e);
    }
    cli_check(store_commit(&store, &e), &e);
    received++;
    buf_free(&room);
}

static int set(char **operands)
{
    if (*operands && operands[1] && operands[2])
        cli_usage_error("set wants a key and a value; quote a value of several words");
    if (opt.json && opt.text)
        cli_usage_error("--json and --text exclude each other");
    if (*operands)
        key_operand(operands[0]);
    settle(true);
    open_store(STORE_CREATE);
    if (*operands)
        set_one(operands[0], operands[1]);
    else
        each_batch(kv_parse, store_batch);
    tally_add(store.path, &counted);
    cli_say("%llu received: %lld set, %llu rejected; %lld evicted", (unsigned long long)received,
            (long long)counted.n[TALLY_SETS], (unsigned long long)rejects.count,
            (long long)counted.n[TALLY_EVICTIONS]);
    return rejects.count ? 1 : 0;
}

/* --- delete, clear, purge ------------------------------------------------- */

static int delete_entry(struct entry *x, struct err *e)
{
    int there = cache_delete(&cache, x->kv.ns, x->kv.key, e);

    x->done = there == 1;
    counted.n[TALLY_DELETES] += there == 1;
    return there < 0 ? -1 : 0;
}

/* The result of a run, if there is one. */
static int delete_result(struct entry *x, struct err *e)
{
    struct run_removal r = {.ns = x->kv.ns, .key = x->kv.key};
    struct run_row row;

    if (runonce_look(&store, (struct run_key){r.ns, r.key}, &row, e))
        return -1;
    if (row.state != RUN_NONE && runonce_remove(&store, &once.lock, &r, e))
        return -1;
    if (r.in_flight) {
        cli_warn("%.*s: in flight: its result is not deleted", (int)r.key.n, r.key.p);
        in_flight = true;
    }
    counted.n[TALLY_DELETES] += r.removed;
    x->done |= r.removed > 0;
    return 0;
}

static int count_deleted(struct entry *x, struct err *e)
{
    if (!opt.values && delete_result(x, e))
        return -1;
    done += x->done;
    return 0;
}

static int nothing_to_change(struct entry *x, struct err *e)
{
    (void)e;
    x->done = false;
    return 0;
}

static int delete_batch(struct err *e)
{
    return change_all(opt.results ? nothing_to_change : delete_entry, count_deleted, e);
}

static void open_to_delete(void)
{
    struct err e = ERR_NONE;

    if (opt.values && opt.results)
        cli_usage_error("--values and --results exclude each other");
    settle(false);
    open_store(STORE_WRITE);
    cli_check(lockfile_open(&once.lock, store.path, "run", &e), &e);
}

static int delete (char **keys)
{
    struct err e = ERR_NONE;

    for (char **k = keys; *k; k++)
        key_operand(*k);
    open_to_delete();
    for (char **k = keys; *k; k += count) {
        for (count = 0; count < BATCH_ROWS && k[count]; count++)
            entries[count] = (struct entry){.kv = {.ns = ns, .key = span_of(k[count])}};
        received += count;
        cli_check(delete_batch(&e), &e);
    }
    if (!*keys)
        each_batch(kv_parse_key, delete_batch);
    tally_add(store.path, &counted);
    cli_say("%llu received: %llu deleted, %llu not there, %llu rejected",
            (unsigned long long)received, (unsigned long long)done,
            (unsigned long long)(received - done - rejects.count),
            (unsigned long long)rejects.count);
    return in_flight ? EX_TEMPFAIL : done == received ? 0 : 1;
}

/* Values in transactions that are not long; how many. */
static int64_t remove_values(bool expired, struct err *e)
{
    struct span space = opt.all ? (struct span){NULL, 0} : ns;
    int64_t removed = 0;

    for (int n = 1; n > 0; removed += n) {
        if (store_begin(&store, e))
            return -1;
        n = expired ? cache_purge_some(&cache, e) : cache_clear_some(&cache, space, e);
        if (n < 0 || store_commit(&store, e))
            return -1;
        if (stop_signal())
            return err_set(e, EX_TEMPFAIL, "stopped: not all is deleted");
    }
    return removed;
}

static int remove_many(char **operands, bool expired)
{
    struct run_removal r = {.only_over = expired};
    struct err e = ERR_NONE;
    int64_t values = 0;

    if (*operands)
        cli_usage_error("%s: no operand is wanted", *operands);
    if (opt.all && opt.namespace)
        cli_usage_error("--all and --namespace exclude each other");
    open_to_delete();
    r.ns = opt.all || expired ? (struct span){NULL, 0} : ns;
    if (!opt.results)
        values = remove_values(expired, &e);
    cli_check(values, &e);
    if (!opt.values)
        cli_check(runonce_remove(&store, &once.lock, &r, &e), &e);
    counted.n[expired ? TALLY_EXPIRED : TALLY_DELETES] += values + r.removed;
    tally_add(store.path, &counted);
    cli_say("%lld values and %lld results deleted, %lld results in flight", (long long)values,
            (long long)r.removed, (long long)r.in_flight);
    return 0;
}

/* --- stats ---------------------------------------------------------------- */

static int stats(char **operands)
{
    static const char *const names[TALLIES] = {"hits",      "misses", "sets", "deletes",
                                               "evictions", "purged", "runs", "replays"};
    struct err e = ERR_NONE;
    struct tally t;
    int64_t gets;

    if (*operands)
        cli_usage_error("%s: no operand is wanted", *operands);
    open_store(STORE_READ);
    cli_check(store_snapshot(&store, &e), &e);
    if (buf_addc(&out_line, '{'))
        cli_check(err_memory(&e), &e);
    cli_check(cache_stats(&cache, &out_line, &e), &e);
    if (buf_addc(&out_line, ','))
        cli_check(err_memory(&e), &e);
    cli_check(runonce_stats(&store, &out_line, &e), &e);
    store_snapshot_end(&store);
    cli_put(out_line.data, out_line.len);
    tally_read(store.path, &t);
    for (int i = 0; i < TALLIES; i++)
        cli_putf(",\"%s\":%lld", names[i], (long long)t.n[i]);
    gets = t.n[TALLY_HITS] + t.n[TALLY_MISSES];
    if (gets)
        cli_putf(",\"hit_rate\":%.4f}\n", (double)t.n[TALLY_HITS] / (double)gets);
    else
        cli_putf(",\"hit_rate\":null}\n");
    return 0;
}

/* --- watch ---------------------------------------------------------------- */

enum { WAVE_BYTES = 1 << 20 };

static int put_name(struct span name)
{
    return name.p ? json_quote(name, &out_line) : buf_adds(&out_line, "null");
}

/* Of the namespace that was asked for; a clear of all is of it too. */
static bool is_watched(const struct cache_change *x)
{
    return !opt.namespace || !x->ns.p || span_eq(x->ns, ns);
}

/* Into memory, so that no view of the store is held while a slow reader takes
 * it. Returns 1 when that is enough for once. */
static int add_change(void *ctx, const struct cache_change *x, struct err *e)
{
    int64_t *last = ctx;

    *last = x->change;
    if (!is_watched(x))
        return 0;
    if (buf_printf(&out_line, "{\"change\":%lld,\"namespace\":", (long long)x->change) ||
        put_name(x->ns) || buf_adds(&out_line, ",\"key\":") || put_name(x->key) ||
        buf_printf(&out_line, ",\"changed_at\":%lld}\n", (long long)x->changed_at))
        return err_memory(e);
    return out_line.len >= WAVE_BYTES;
}

/* What came after *last, which becomes the last that was looked at. 1: that is
 * not all. */
static int read_changes(int64_t *last, struct err *e)
{
    int64_t newest;
    int rc;

    if (store_look_again(&store, e) || cache_last_change(&cache, &newest, e))
        return -1;
    if (*last > newest)
        return err_set(e, EX_PROTOCOL, "%s: change %lld is not of this store, whose last is %lld",
                       cli.db, (long long)*last, (long long)newest);
    rc = cache_reaches(&cache, *last, e);
    if (rc)
        return rc < 0 ? -1 : cache_changes(&cache, *last, add_change, last, e);
    *last = newest;
    return buf_printf(&out_line, "{\"change\":%lld,\"all\":true}\n", (long long)newest)
               ? err_memory(e)
               : 0;
}

static int tell_changes(int64_t *last, struct err *e)
{
    int rc;

    if (!store_in_place(&store))
        return err_set(e, EX_PROTOCOL, "%s: replaced or removed while it was watched", cli.db);
    buf_clear(&out_line);
    if (store_snapshot(&store, e))
        return -1;
    rc = read_changes(last, e);
    store_snapshot_end(&store);
    if (rc < 0)
        return -1;
    cli_put(out_line.data, out_line.len);
    cli_flush();
    return rc;
}

static int watch(char **operands)
{
    struct err e = ERR_NONE;
    struct watch w;
    int rc = 1;

    if (*operands)
        cli_usage_error("%s: no operand is wanted", *operands);
    settle(false);
    open_store(STORE_READ);
    cli_check(watch_open(&w, &store, &e), &e);
    if (opt.after < 0)
        cli_check(cache_last_change(&cache, &opt.after, &e), &e);
    while (rc > 0 && !stop_signal()) {
        while ((rc = tell_changes(&opt.after, &e)) == 1 && !stop_signal())
            ;
        cli_check(rc, &e);
        rc = watch_wait(&w, STDOUT_FILENO, &e);
        if (rc < 0 && errno == EPIPE)
            cli_reader_left();
        cli_check(rc, &e);
    }
    watch_close(&w);
    return 0;
}

/* --- run ------------------------------------------------------------------ */

/* Reads fd to its end, into the hashes, and into the file to unless that is -1. */
static void hash_input(int fd, const char *name, struct sha256 *a, struct sha256 *b, int to)
{
    struct out spool = {.fd = to};
    static char room[1 << 16];
    struct err e = ERR_NONE;
    ssize_t n;

    while ((n = read(fd, room, sizeof room)) || stop_signal()) {
        if (n < 0 && errno == EINTR && !stop_signal())
            continue;
        if (stop_signal())
            cli_check(err_set(&e, EX_TEMPFAIL, "stopped"), &e);
        if (n < 0)
            cli_check(err_sys(&e, EX_IOERR, "unable to read %s", name), &e);
        if ((a && sha256_add(a, room, (size_t)n)) || (b && sha256_add(b, room, (size_t)n)))
            cli_check(err_memory(&e), &e);
        if (to >= 0 && out_add(&spool, room, (size_t)n))
            cli_check(err_sys(&e, EX_IOERR, "unable to keep standard input beside %s", cli.db), &e);
    }
    if (to >= 0 && (out_close(&spool) || lseek(to, 0, SEEK_SET)))
        cli_check(err_sys(&e, EX_IOERR, "unable to keep standard input beside %s", cli.db), &e);
}

/* Their number goes before them: none of them is taken for input. */
static void hash_words(struct sha256 *h, char **command)
{
    struct err e = ERR_NONE;
    char number[32];
    int n = 0;

    while (command[n])
        n++;
    snprintf(number, sizeof number, "%d", n);
    for (const char *w = number; w; w = n-- ? *command++ : NULL)
        if (sha256_add(h, w, strlen(w) + 1))
            cli_check(err_memory(&e), &e);
}

/* Fingerprint and automatic key; standard input is kept for COMMAND if they need it. */
static void prepare_key(const char *operand, char **command)
{
    static char key[KV_KEY_MAX + 64];
    bool from_stdin = opt.fingerprint && !strcmp(opt.fingerprint, "-");
    struct sha256 print = {0}, automatic = {0};
    char text[SHA256_TEXT];
    struct err e = ERR_NONE;
    int fd;

    once.in = STDIN_FILENO;
    if (opt.automatic)
        hash_words(&automatic, command);
    if (opt.automatic || from_stdin) {
        once.in = spool_beside(cli.db, &e);
        cli_check(once.in, &e);
        hash_input(STDIN_FILENO, "standard input", opt.automatic ? &automatic : NULL,
                   from_stdin ? &print : NULL, once.in);
    }
    if (opt.fingerprint && !from_stdin) {
        fd = cli_open(opt.fingerprint, &e);
        cli_check(fd, &e);
        hash_input(fd, opt.fingerprint, &print, NULL, -1);
        close(fd);
    }
    if (opt.fingerprint && sha256_text(&print, once.fingerprint))
        cli_check(err_memory(&e), &e);
    if (opt.automatic && sha256_text(&automatic, text))
        cli_check(err_memory(&e), &e);
    if (opt.automatic)
        snprintf(key, sizeof key, "%s%sauto:%.32s", operand ? operand : "", operand ? ":" : "",
                 text);
    once.key = (struct run_key){ns, key_operand(opt.automatic ? key : operand)};
}

static int run(char **operands, char **command)
{
    struct err e = ERR_NONE;
    int status;

    if (!command || !*command)
        cli_usage_error("run wants -- and a command");
    if (!*operands && !opt.automatic)
        cli_usage_error("run wants a key, or --auto");
    if (*operands && operands[1])
        cli_usage_error("%s: run wants one key; the command comes after --", operands[1]);
    if (*operands)
        key_operand(*operands);
    settle(false);
    prepare_key(*operands, command);
    open_store(STORE_CREATE);
    once.st = &store;
    once.ttl_ms = opt.ttl_ms;
    once.argv = command;
    status = once_run(&once, &e);
    cli_check(status, &e);
    return status;
}

/* --- the command ---------------------------------------------------------- */

static int dispatch(const char *what, char **operands, char **command)
{
    if (!strcmp(what, "run"))
        return run(operands, command);
    if (!strcmp(what, "get"))
        return get(operands);
    if (!strcmp(what, "set"))
        return set(operands);
    if (!strcmp(what, "delete"))
        return delete (operands);
    if (!strcmp(what, "clear"))
        return remove_many(operands, false);
    if (!strcmp(what, "purge"))
        return remove_many(operands, true);
    if (!strcmp(what, "stats"))
        return stats(operands);
    if (!strcmp(what, "watch"))
        return watch(operands);
    cli_usage_error(
        "%s: no such command: wants get, set, delete, clear, purge, stats, watch or run", what);
}

/* The first word that is no option says what to do; options may stand on either
 * side of it. Of run what comes after -- is another's: *command. */
static const char *parse(int argc, char **argv, char ***operands, char ***command)
{
    static const char letters[] = "+d:n:qhV";
    const char *what;
    int c;

    while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1)
        take_option(c, optarg);
    if (optind == argc)
        cli_usage_error("wants a command: get, set, delete, clear, purge, stats, watch or run");
    argc -= optind;
    argv += optind;
    what = argv[0];
    if (!strcmp(what, "run"))
        cli.failure = ONCE_FAILED;
    for (int i = 1; cli.failure && i < argc && !*command; i++)
        if (!strcmp(argv[i], "--")) {
            *command = argv + i + 1;
            argv[i] = NULL;
            argc = i;
        }
    argv[0] = (char *)(uintptr_t)cli.prog; /* for getopt's messages */
    optind = 0;
    while ((c = getopt_long(argc, argv, letters + 1, options, NULL)) != -1)
        take_option(c, optarg);
    *operands = argv + optind;
    return what;
}

int main(int argc, char **argv)
{
    char **operands, **command = NULL;
    const char *what;
    int status;

    if (argc > 1 && !strcmp(argv[1], "run")) /* bad settings are no status of a command's */
        cli.failure = ONCE_FAILED;
    cli_start(argv[0], usage);
    once.wait_ms = DEFAULT_WAIT_MS;
    once.keep[0] = true;
    what = parse(argc, argv, &operands, &command);
    status = dispatch(what, operands, command);
    arena_free(&arena);
    buf_free(&out_line);
    json_end(&json);
    if (once.in > STDIN_FILENO)
        close(once.in);
    policy_close(&policy);
    cache_close(&cache);
    lockfile_close(&once.lock);
    store_close(&store);
    return cli_finish(status);
}
