/* A leg: a process that sends what waits for one of the two servers. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/deliver.h"
#include "cli/queues.h"
#include "mirror-send/mirror-send.h"
#include "store/queuekeep.h"
#include "text/json.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* LOOK: as long as something waits, the configuration is looked at so often, and what
 * went wrong here tried again. BUSY: the same where another process is sending. */
enum { LOOK_MS = 5000, BUSY_MS = 500, PRUNE_MS = 3600000 };

static const char pause_mark[] = "until the configuration or a token changes: ";

struct leg {
    enum which which;
    int wake, next; /* pipes, -1: none */
    struct tally *t;
    struct setup setup;
    struct store store;
    struct outbox outbox; /* beside the one that deliver opens */
    struct keep keep;
    bool set_up_anew; /* since the last pass */
    bool now;
    int status;
    int64_t again_ms;
    int64_t pruned; /* boot ms; 0: not yet */
    char said[sizeof((struct err *)0)->msg];
};

/* --- the log ------------------------------------------------------------ */

static int put_line(const struct leg *l, const struct attempt *a, struct buf *out)
{
    int64_t now = clock_now_ms(), age = now > a->created_at ? now - a->created_at : 0;
    char when[32];

    rfc3339_format(now, when);
    if (buf_printf(out, "{\"ts\":\"%s\",\"key\":\"%s\",\"leg\":\"%s\",\"attempt\":%lld,", when,
                   a->key, leg_names[l->which], (long long)a->tries) ||
        (a->http && buf_printf(out, "\"status\":%d,", a->http)) ||
        buf_printf(out, "\"ms\":%lld,\"queue_ms\":%lld,\"result\":\"%s\"", (long long)a->ms,
                   (long long)age,
                   a->verdict == POST_SENT ? "sent"
                   : a->gone               ? "given up"
                   : a->paused             ? "paused"
                                           : "waits"))
        return -1;
    if (a->verdict != POST_SENT &&
        (buf_adds(out, ",\"error\":") || json_quote(span_of(a->why), out)))
        return -1;
    return buf_adds(out, "}\n");
}

/* One write into a file opened for it alone: one that was rotated meanwhile is left. What
 * it tells of is done; a log that cannot be written changes nothing of that. */
static void log_attempt(const struct leg *l, const struct attempt *a)
{
    struct buf line = {0};
    int fd;

    if (!opt.log)
        return;
    fd = (int)TEMP_FAILURE_RETRY(open(opt.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (fd < 0 || put_line(l, a, &line) ||
        TEMP_FAILURE_RETRY(write(fd, line.data, line.len)) != (ssize_t)line.len)
        cli_warn("unable to write to %s: %s", opt.log, strerror(errno));
    if (fd >= 0)
        close(fd);
    buf_free(&line);
}

/* --- what deliver asks and tells ---------------------------------------- */

/* Between two batches: is what was begun still what is wanted? */
static bool go_on(void *ctx)
{
    struct leg *l = ctx;

    if (!setup_look(&l->setup, l->which == PRIMARY || opt.leg))
        return true;
    l->set_up_anew = true;
    return false;
}

static int header(void *ctx, const struct outbox_item *i, char out[static DELIVER_HEADER])
{
    const struct leg *l = ctx;

    if (l->which != MIRROR || i->before_ms < 0)
        return 0;
    snprintf(out, DELIVER_HEADER, "X-Primary-Response-Ms: %lld", (long long)i->before_ms);
    return 1;
}

/* What the primary has, and nothing else, is for the mirror. */
static int sent(void *ctx, struct outbox *o, const struct attempt *a, struct buf *answer,
                struct err *e)
{
    struct leg *l = ctx;

    if (l->which == PRIMARY && l->setup.mirror &&
        outbox_pass_on(o, a->id, span_of(leg_queues[MIRROR]), ITEM_RETRIES, a->ms, e))
        return -1;
    if (buf_printf(answer, "{\"status\":%d,\"ms\":%lld,\"tries\":%lld", a->http, (long long)a->ms,
                   (long long)a->tries) ||
        (a->before_ms >= 0 && buf_printf(answer, ",\"before_ms\":%lld", (long long)a->before_ms)) ||
        buf_addc(answer, '}'))
        return err_memory(e);
    return 0;
}

static void wake_next(const struct leg *l)
{
    /* A full pipe wakes as well; one without a reader is nobody's loss. */
    if (l->next >= 0 && write(l->next, "", 1) < 0)
        return;
}

static void tried(void *ctx, const struct attempt *a)
{
    struct leg *l = ctx;

    log_attempt(l, a);
    l->t->sent += a->verdict == POST_SENT;
    l->t->failed += a->gone && a->verdict != POST_SENT;
    if (a->verdict == POST_SENT)
        wake_next(l);
}

/* --- a pass ------------------------------------------------------------- */

static int send_waiting(struct leg *l, struct delivered *out, struct err *e)
{
    const struct setup *s = &l->setup;
    const struct delivery how = {.now = l->now,
                                 .silent = true,
                                 .attempts = s->max_attempts,
                                 .backoff_ms = s->backoff_ms,
                                 .pause_mark = pause_mark,
                                 .resume = l->set_up_anew,
                                 .changed_at = setup_changed_at(s, l->which),
                                 .ctx = l,
                                 .go_on = go_on,
                                 .header = header,
                                 .sent = sent,
                                 .tried = tried};
    struct destination d;
    int rc;

    destination_make(&d, leg_queues[l->which], s->endpoint[l->which]);
    d.token_file = s->token_file[l->which];
    d.timeout_ms = d.connect_timeout_ms = s->timeout_ms;
    l->now = l->set_up_anew = false;
    rc = deliver(&l->store, &d, &how, out, e);
    destination_close(&d);
    return rc;
}

static int send_or_not(struct leg *l, struct delivered *out, struct err *e)
{
    if (l->which == PRIMARY || l->setup.mirror)
        return send_waiting(l, out, e);
    l->set_up_anew = false;
    *out = (struct delivered){.again_ms = -1}; /* it may have been on a pass ago */
    return outbox_remaining(&l->outbox, &out->remaining, e);
}

/* What was sent long ago need not be kept. */
static int prune(struct leg *l, struct err *e)
{
    struct span name = span_of(leg_queues[l->which]);
    int64_t now = clock_boot_ms();
    struct queue_defaults q;
    bool more = true;

    if (l->pruned && now - l->pruned < PRUNE_MS)
        return 0;
    if (queues_read(name, &q, e))
        return -1;
    while (more && !stop_signal()) {
        if (outbox_begin(&l->outbox, e))
            return -1;
        if (keep_prune(&l->keep, name, clock_now_ms() - q.keep_ms, &more, e) < 0) {
            outbox_rollback(&l->outbox);
            return -1;
        }
        if (outbox_commit(&l->outbox, e))
            return -1;
    }
    l->pruned = now ? now : 1;
    return 0;
}

/* Nothing but the store itself being another one ends a leg: whatever else is wrong may
 * be put right while records keep coming in. It is said once. */
static void note_error(struct leg *l, const struct err *e)
{
    l->status = e->status;
    l->again_ms = LOOK_MS;
    if (strcmp(l->said, e->msg) != 0)
        cli_warn("%s", e->msg);
    snprintf(l->said, sizeof l->said, "%s", e->msg);
}

static void pass(struct leg *l)
{
    struct delivered out = {.again_ms = -1};
    struct err e = ERR_NONE;
    int rc = 0;

    if (setup_look(&l->setup, l->which == PRIMARY || opt.leg))
        l->set_up_anew = true;
    do
        rc = send_or_not(l, &out, &e);
    while (!rc && l->set_up_anew && !stop_signal());
    l->t->remaining = out.remaining;
    if (!rc && !stop_signal())
        rc = prune(l, &e);
    if (rc < 0) {
        note_error(l, &e);
        return;
    }
    l->said[0] = '\0';
    l->status = l->t->failed && !out.status ? 1 : out.status;
    l->again_ms = out.again_ms;
    if (out.remaining && (l->again_ms < 0 || l->again_ms > LOOK_MS))
        l->again_ms = LOOK_MS;
    if (out.status == EX_TEMPFAIL && l->again_ms < BUSY_MS)
        l->again_ms = BUSY_MS;
}

/* --- its life ----------------------------------------------------------- */

/* Takes what has come to wake it; 1 when nothing more will, -1 when that cannot be known. */
static int last_call(const struct leg *l)
{
    char calls[512];
    ssize_t n;

    do
        n = read(l->wake, calls, sizeof calls);
    while (n > 0 || (n < 0 && errno == EINTR && !stop_signal()));
    return !n ? 1 : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

int leg_run(enum which leg, int wake, int next, struct tally *t)
{
    static struct leg l;
    struct pollfd p = {.fd = wake, .events = POLLIN};
    struct err e = ERR_NONE;
    int last = 0;

    l = (struct leg){.which = leg, .wake = wake, .next = next, .t = t, .now = opt.now};
    cli_check(setup_open(&l.setup, opt.config, &e), &e);
    cli_store(&l.store, STORE_CREATE, false);
    cli_check(outbox_open(&l.outbox, &l.store, span_of(leg_queues[leg]), &e), &e);
    cli_check(keep_open(&l.keep, &l.outbox.jobs, &e), &e);
    while (!last && !stop_signal()) {
        last = last_call(&l);
        if (last < 0)
            cli_warn("unable to hear of new records: %s", strerror(errno));
        pass(&l);
        if (l.status == EX_PROTOCOL || l.status == EX_SOFTWARE)
            break;
        if (!last)
            stop_poll(&p, 1, l.again_ms);
    }
    keep_close(&l.keep);
    outbox_close(&l.outbox);
    store_close(&l.store);
    setup_close(&l.setup);
    return last < 0 && !l.status ? EX_IOERR : l.status;
}
