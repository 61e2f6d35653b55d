/* --status, --drop-mirror: what waits, and that it is not wanted any more. */
#include "cli/cli.h"
#include "mirror-send/mirror-send.h"
#include "store/outbox.h"
#include "store/queueview.h"
#include "text/json.h"

static struct store store;

static void roll_back(void)
{
    store_close(&store);
}

static void open_store(enum store_mode mode)
{
    cli_store(&store, mode, false);
    if (store.version < 2) { /* has no queue yet */
        store_close(&store);
        cli_store(&store, STORE_WRITE, false);
    }
    cli_on_exit(roll_back);
}

static int put_text(struct buf *out, const char *name, struct span text)
{
    return !text.p ? 0 : buf_printf(out, ",\"%s\":", name) || json_quote(text, out);
}

static int put_leg(enum which leg, const struct setup *s, const struct view_stats *q,
                   struct buf *out)
{
    struct span endpoint = s->endpoint[leg] ? span_of(s->endpoint[leg]) : (struct span){NULL, 0};

    return buf_printf(out, "{\"leg\":\"%s\"", leg_names[leg]) ||
           put_text(out, "endpoint", endpoint) ||
           buf_printf(out, ",\"on\":%s,\"waiting\":%lld,\"failed\":%lld",
                      leg == PRIMARY || s->mirror ? "true" : "false",
                      (long long)(q->ready + q->waiting), (long long)q->dead_letters) ||
           (q->oldest_ms >= 0 && buf_printf(out, ",\"oldest_ms\":%lld", (long long)q->oldest_ms)) ||
           (q->last_success_at >= 0 &&
            buf_printf(out, ",\"last_sent_at\":%lld", (long long)q->last_success_at)) ||
           (q->paused && put_text(out, "paused", q->reason.p ? q->reason : SPAN(""))) ||
           (q->endpoint_failures && put_text(out, "error", q->endpoint_error)) ||
           (q->endpoint_held_ms > 0 &&
            buf_printf(out, ",\"left_alone_ms\":%lld", (long long)q->endpoint_held_ms)) ||
           buf_adds(out, "}\n");
}

int show_status(void)
{
    struct err e = ERR_NONE;
    struct buf out = {0};
    int status = 0;
    struct setup s;
    struct view v;

    cli_check(setup_open(&s, opt.config, &e), &e);
    open_store(STORE_READ);
    cli_check(view_open(&v, &store, &e), &e);
    for (int i = 0; i < LEGS; i++) {
        struct view_stats q;

        if (opt.leg && i != (opt.leg[0] == 'm'))
            continue;
        cli_check(view_stats(&v, span_of(leg_queues[i]), 0, &q, &e), &e);
        buf_clear(&out);
        if (put_leg((enum which)i, &s, &q, &out))
            cli_check(err_memory(&e), &e);
        cli_put(out.data, out.len);
        if (q.ready + q.waiting + q.dead_letters > 0)
            status = 1;
    }
    buf_free(&out);
    view_close(&v);
    store_close(&store);
    setup_close(&s);
    return status;
}

int drop_mirror(void)
{
    struct err e = ERR_NONE;
    struct outbox o;
    int64_t all = 0;
    int n;

    open_store(STORE_WRITE);
    cli_check(outbox_open(&o, &store, span_of(leg_queues[MIRROR]), &e), &e);
    do {
        cli_check(outbox_begin(&o, &e), &e);
        n = outbox_give_up(&o, SPAN("given up by mirror-send --drop-mirror"), &e);
        if (n < 0)
            outbox_rollback(&o);
        cli_check(n, &e);
        cli_check(outbox_commit(&o, &e), &e);
        all += n;
    } while (n);
    outbox_close(&o);
    store_close(&store);
    cli_say("%lld given up", (long long)all);
    return 0;
}
