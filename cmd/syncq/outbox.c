/* syncq send, flush. */
#include "store/outbox.h"
#include "base/clock.h"
#include "base/spawn.h"
#include "base/stop.h"
#include "cli/deliver.h"
#include "cli/lines.h"
#include "core/batch.h"
#include "syncq/syncq.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A line of input. */
struct item {
    struct line line;
    struct span payload, lane, key; /* p NULL: none */
    const char *why;                /* it is not taken */
};

enum { KEY_MAX = 128 };

static struct destination destination;
static struct outbox outbox;
static struct lines in;
static struct item items[BATCH_ROWS];
static size_t count;
static struct buf echo;
static struct json other; /* scratch: a payload that is there already */

static uint64_t queued, known;
static int64_t first_id; /* of what this run has put in; 0: nothing yet */
static bool put_in;      /* something, since a flush was last begun */
static struct delivered total;

/* --- a line ------------------------------------------------------------- */

/* A lane is quoted in messages and in URLs. */
static const char *lane_wrong(struct span lane)
{
    if (!lane.n || lane.n > QUEUE_TEXT_MAX)
        return "lane: wants 1 to 255 bytes";
    for (size_t i = 0; i < lane.n; i++)
        if ((unsigned char)lane.p[i] < ' ' || lane.p[i] == 127)
            return "lane: has control characters in it";
    return destination_lane_wrong(&destination, lane);
}

/* A key stands in a header. */
static const char *key_wrong(struct span key)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";

    if (!key.n || key.n > KEY_MAX)
        return "key: wants 1 to 128 of A-Z a-z 0-9 . _ : -";
    for (size_t i = 0; i < key.n; i++)
        if (!memchr(allowed, key.p[i], sizeof allowed - 1))
            return "key: wants 1 to 128 of A-Z a-z 0-9 . _ : -";
    return NULL;
}

/* Of a member that names a lane or a key: a string, or a number as it is spelt. */
static const char *text_of(const struct json_value *v, struct span *out)
{
    if (out->p)
        return "the member of --lane-from or --key-from is there twice";
    if (v->kind == JSON_NUMBER)
        *out = v->raw;
    else if (v->kind == JSON_STRING)
        *out = json_text_in(v, &in.arena);
    else
        return "the member of --lane-from or --key-from wants a string or a number";
    return out->p ? NULL : json_no_memory;
}

static const char *read_members(struct span payload, struct item *item)
{
    struct json_value name, v;
    const char *why = NULL;
    bool first = true;

    json_start(&in.json, payload);
    if (json_open(&in.json))
        return "not an object: --lane-from and --key-from name a member of one";
    while (!why && json_member(&in.json, &first, &name, &v) == 1) {
        struct span n = json_text_in(&name, &in.arena);

        if (!n.p)
            return json_no_memory;
        if (opt.lane_from && span_eq(n, span_of(opt.lane_from)))
            why = text_of(&v, &item->lane);
        if (!why && opt.key_from && span_eq(n, span_of(opt.key_from)))
            why = text_of(&v, &item->key);
    }
    if (!why && opt.lane_from && !item->lane.p)
        why = "the member of --lane-from is missing";
    if (!why && opt.key_from && !item->key.p)
        why = "the member of --key-from is missing";
    return why;
}

static const char *read_item(struct item *item)
{
    const char *why = NULL;

    if (opt.lane)
        item->lane = span_of(opt.lane);
    if (opt.lane_from || opt.key_from)
        why = read_members(item->payload, item);
    if (!why && item->key.p)
        why = key_wrong(item->key);
    if (!why)
        why = item->lane.p ? lane_wrong(item->lane)
                           : destination_lane_wrong(&destination, item->lane);
    return why;
}

static int take_line(void *ctx, const struct line *l, struct err *e)
{
    struct item *item = &items[count];
    struct json_value v;
    const char *why;

    (void)ctx;
    if (json_whole(&in.json, l->text, &v))
        return lines_refuse(&in, l, json_offset(&in.json), in.json.why, e);
    *item = (struct item){.line = *l, .payload = json_compact_in(&v, &in.arena)};
    if (!item->payload.p)
        return err_memory(e);
    why = read_item(item);
    if (why)
        return lines_refuse(&in, l, 0, why, e);
    count++;
    return 0;
}

/* --- into the outbox ---------------------------------------------------- */

static int add_echo(struct span key, const char *status)
{
    if (cli.quiet)
        return 0;
    return buf_printf(&echo, "{\"queued\":%s,\"op_id\":", status ? "false" : "true") ||
           json_quote(key, &echo) || (status && buf_printf(&echo, ",\"status\":\"%s\"", status)) ||
           buf_adds(&echo, "}\n");
}

/* The same value, however it is spelt? */
static bool same_payload(struct span a, struct span b)
{
    struct json_value v;
    struct digest d;

    if (span_eq(a, b))
        return true;
    if (json_whole(&other, a, &v))
        return false;
    d = v.digest;
    return !json_whole(&other, b, &v) && digest_eq(d, v.digest);
}

/* 1: what has this key is there, and told or refused. 0: it is new. */
static int is_known(struct item *item, struct err *e)
{
    struct span payload;
    char status[16];
    int rc;

    if (!item->key.p)
        return 0;
    rc = outbox_find(&outbox, item->key, status, &payload, e);
    if (rc < 1)
        return rc;
    if (!same_payload(item->payload, payload)) {
        item->why = "another payload was sent or queued under this key";
        return 1;
    }
    known++;
    return add_echo(item->key, status) ? err_memory(e) : 1;
}

static int put_one(struct item *item, struct err *e)
{
    struct new_job n = {.queue = span_of(destination.name),
                        .lane = item->lane,
                        .unique = item->key,
                        .idempotency_key = item->key,
                        .payload = item->payload,
                        .priority = OUTBOX_PRIORITY,
                        .max_retries = destination.max_retries,
                        .timeout_s = (destination.timeout_ms + 999) / 1000,
                        .at_ms = -1};
    char key[256];
    int64_t id;

    if (queue_put(&queue, &n, &id, key, e) < 0)
        return -1;
    if (!first_id)
        first_id = id;
    put_in = true;
    queued++;
    return add_echo(span_of(key), NULL) ? err_memory(e) : 0;
}

/* Puts items from *i on, in one transaction; leaves *i behind the last. */
static int put_some(size_t *i, bool *full, struct err *e)
{
    int64_t begun, room = 0;

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    if (queue_room(&queue, span_of(destination.name), destination.max_pending, &room, e))
        return -1;
    do {
        int rc = is_known(&items[*i], e);

        *full = !rc && !room;
        if (rc < 0 || (!rc && room-- && put_one(&items[*i], e)))
            return -1;
    } while (!*full && ++*i < count && lines_go_on(&store, begun, *i));
    return queue_commit(&queue, e);
}

/* Says what was committed. */
static int tell(size_t from, size_t to, struct err *e)
{
    if (echo.len) {
        cli_put(echo.data, echo.len);
        cli_flush();
    }
    buf_clear(&echo);
    for (size_t i = from; i < to; i++)
        if (items[i].why && lines_refuse(&in, &items[i].line, 0, items[i].why, e))
            return -1;
    return 0;
}

static int refuse_full(const struct item *item, struct err *e)
{
    return err_set(e, EX_TEMPFAIL,
                   "%s:%llu: %s is full: %lld items wait (max_pending): this line and what comes "
                   "after it was not queued",
                   in.reader.name, (unsigned long long)item->line.number, destination.name,
                   (long long)destination.max_pending);
}

static int put_all(struct err *e)
{
    bool full = false;

    for (size_t i = 0, from = 0; i < count; from = i) {
        uint64_t before[2] = {queued, known};

        if (put_some(&i, &full, e)) {
            queue_rollback(&queue);
            queued = before[0];
            known = before[1];
            return -1;
        }
        if (tell(from, i, e))
            return -1;
        if (full)
            return refuse_full(&items[i], e);
    }
    count = 0;
    return 0;
}

/* --- trying at once ----------------------------------------------------- */

/* A flush is a process of its own: while it waits for the network, what comes
 * in here becomes durable. */
static pid_t flusher;
static int report = -1; /* its stdout */

/* It reads nothing: its standard input is a pipe that has ended. */
static int spawn_flush(int out)
{
    char program[4096];
    char *argv[] = {program,
                    "flush",
                    "-q",
                    "-d",
                    (char *)(uintptr_t)cli.db,
                    (char *)(uintptr_t)destination.name,
                    NULL};
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    int nothing[2], rc;

    if (n < 0 || pipe2(nothing, O_CLOEXEC))
        return -1;
    program[n] = '\0';
    close(nothing[1]);
    rc = spawn_with(&flusher, argv, environ, (const int[]){nothing[0], out, STDERR_FILENO});
    close(nothing[0]);
    return rc;
}

static void start_flush(void)
{
    int ends[2];

    put_in = false;
    if (pipe2(ends, O_CLOEXEC))
        return;
    if (spawn_flush(ends[1])) {
        flusher = 0;
        close(ends[0]);
        cli_warn("unable to run syncq flush: what was queued waits for one");
    } else {
        report = ends[0];
    }
    close(ends[1]);
}

static void count_member(struct span name, const struct json_value *v)
{
    int64_t n;

    if (v->kind != JSON_NUMBER || json_int(v, &n))
        return;
    if (span_eq(name, SPAN("\"sent\"")))
        total.sent += n;
    if (span_eq(name, SPAN("\"failed\"")))
        total.failed += n;
}

/* The one line it prints. */
static void read_report(void)
{
    struct json_value name, v;
    struct buf text = {0};
    bool first = true;
    ssize_t n = 1;

    while (n > 0 && !buf_reserve(&text, 4096)) {
        n = TEMP_FAILURE_RETRY(read(report, text.data + text.len, 4096));
        text.len += n > 0 ? (size_t)n : 0;
    }
    json_start(&other, buf_span(&text));
    if (!json_open(&other))
        while (json_member(&other, &first, &name, &v) == 1)
            count_member(name.raw, &v);
    buf_free(&text);
}

/* Takes in a flush that has ended; with wait, waits for that. */
static void end_flush(bool wait)
{
    pid_t gone = 0;

    while (flusher && (gone = waitpid(flusher, NULL, wait ? 0 : WNOHANG)) < 0 && errno == EINTR)
        if (stop_signal())
            kill(flusher, SIGTERM);
    if (!gone)
        return;
    flusher = 0;
    read_report();
    close(report);
    report = -1;
}

/* The next flush begins when this one has ended, or after more has come in. */
static void await_flush(void)
{
    while (flusher && put_in) {
        struct pollfd p[] = {{.fd = in.reader.fd, .events = POLLIN},
                             {.fd = report, .events = POLLIN}};

        if (stop_poll(p, 2, -1) < 0 || p[0].revents)
            return;
        end_flush(true);
        start_flush();
    }
}

/* Older items go first, and whoever queued those has tried, or did not want to. */
static int try_now(struct err *e)
{
    int older;

    end_flush(false);
    if (flusher && in.drained)
        await_flush();
    if (!put_in || flusher)
        return 0;
    older = outbox_ready(&outbox, first_id, e);
    if (!older)
        start_flush();
    return older < 0 ? -1 : 0;
}

static bool input_waits(void)
{
    struct pollfd p = {.fd = in.reader.fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static int store_items(void *ctx, struct err *e)
{
    (void)ctx;
    if (put_all(e))
        return -1;
    return opt.later || input_waits() ? 0 : try_now(e);
}

/* --- send --------------------------------------------------------------- */

static void check_send(void)
{
    const char *why;

    if (opt.lane && opt.lane_from)
        cli_usage_error("--lane and --lane-from: one or the other");
    why = opt.lane ? lane_wrong(span_of(opt.lane)) : NULL;
    if (why)
        cli_usage_error("%s", why);
}

static void open_destination(const char *name)
{
    struct err e = ERR_NONE;
    int rc;

    queue_operand(name);
    rc = destination_open(&destination, name, &e);
    cli_check(rc, &e);
    if (!rc) {
        err_set(&e, EX_NOINPUT, "%s: no such destination: %s/destinations.d/%s.json is not there",
                name, config_folder(), name);
        cli_die(&e);
    }
}

/* What was queued is durable whatever happens now. */
static void finish_trying(void)
{
    struct err e = ERR_NONE;

    if (flusher && stop_signal())
        kill(flusher, SIGTERM);
    end_flush(true);
    if (opt.later || stop_signal())
        return;
    if (try_now(&e))
        cli_warn("%s", e.msg);
    end_flush(true);
}

static void say_what_was_done(void)
{
    struct err e = ERR_NONE;

    if (cli.quiet || outbox_remaining(&outbox, &total.remaining, &e))
        return;
    cli_say("%s: %llu received: %llu queued, %llu there already, %llu rejected; %lld sent, "
            "%lld failed, %lld remain",
            destination.name, (unsigned long long)in.received, (unsigned long long)queued,
            (unsigned long long)known, (unsigned long long)in.rejects.count, (long long)total.sent,
            (long long)total.failed, (long long)total.remaining);
}

int syncq_send(char **operands)
{
    struct err e = ERR_NONE;
    int rc;

    open_destination(operands[0]);
    check_send();
    if (opt.rejects)
        rejects_open(&in.rejects, opt.rejects);
    open_queue(STORE_CREATE);
    cli_check(outbox_open(&outbox, &store, span_of(destination.name), &e), &e);
    in.take = take_line;
    in.store = store_items;
    in.what = "items";
    rc = lines_read(&in, operands + 1, &e);
    finish_trying();
    cli_check(rc, &e);
    say_what_was_done();
    rc = in.rejects.count ? 1 : 0;
    lines_close(&in);
    json_end(&other);
    buf_free(&echo);
    outbox_close(&outbox);
    destination_close(&destination);
    return rc;
}

/* --- flush -------------------------------------------------------------- */

/* Of several destinations the one that is worst off gives the status. */
static int worse(int a, int b)
{
    static const int order[] = {EX_OK, 1, EX_TEMPFAIL, EX_UNAVAILABLE, EX_NOPERM, EX_NOINPUT};
    int rank[2] = {100, 100};

    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++) {
        if (a == order[i])
            rank[0] = i;
        if (b == order[i])
            rank[1] = i;
    }
    return rank[0] >= rank[1] ? a : b;
}

/* What it comes to is printed even if it was broken off. */
static int flush_one(const char *name)
{
    struct err e = ERR_NONE; /* its status tells */
    const struct delivery how = {.now = opt.now};
    struct delivered d = {0};
    int rc;

    if (!queue_name_ok(span_of(name))) {
        cli_warn("%s/destinations.d/%s.json: not a destination's name", config_folder(), name);
        return EX_CONFIG;
    }
    rc = destination_open(&destination, name, &e);
    if (!rc)
        err_set(&e, EX_NOINPUT, "%s: no such destination: %s/destinations.d/%s.json is not there",
                name, config_folder(), name);
    if (rc == 1) {
        deliver(&store, &destination, &how, &d, &e);
        cli_putf("{\"destination\":\"%s\",\"sent\":%lld,\"failed\":%lld,\"remaining\":%lld}\n",
                 name, (long long)d.sent, (long long)d.failed, (long long)d.remaining);
        cli_flush();
        destination_close(&destination);
    }
    if (e.status)
        cli_warn("%s", e.msg);
    return e.status ? e.status : d.status;
}

int syncq_flush(char **operands)
{
    struct err e = ERR_NONE;
    char **names = NULL;
    int status = 0;

    for (char **o = operands; *o; o++)
        queue_operand(*o);
    if (!*operands) {
        cli_check(destination_names(&names, &e), &e);
        operands = names;
    }
    open_queue(STORE_WRITE);
    for (char **o = operands; *o && !stop_signal(); o++)
        status = worse(status, flush_one(*o));
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
    return status;
}
