/* metrics: what there is to watch, in the text format of Prometheus. */
#include "base/clock.h"
#include "cli/cli.h"
#include "core/tally.h"
#include "lifeboat.cgi/front.h"
#include "lifeboat.cgi/mirror.h"
#include "store/overview.h"
#include "store/queueview.h"

#include <stdlib.h>
#include <string.h>

static int put_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    return buf_printf(out, "# HELP lifeboat_%s %s\n# TYPE lifeboat_%s %s\n", name, help, name,
                      kind);
}

static int put_one(struct buf *out, const char *name, const char *kind, const char *help, int64_t n)
{
    return put_head(out, name, kind, help) ||
           buf_printf(out, "lifeboat_%s %lld\n", name, (long long)n);
}

/* A label's value: backslash, quote and line feed are escaped. */
static int put_label(struct buf *out, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (c == '\n'               ? buf_adds(out, "\\n")
            : c == '\\' || c == '"' ? buf_addc(out, '\\') || buf_addc(out, c)
                                    : buf_addc(out, c))
            return -1;
    }
    return 0;
}

/* --- the store ---------------------------------------------------------- */

static int put_store(struct exchange *x, struct buf *out, struct err *e)
{
    struct overview o;
    int64_t now = clock_now_ms(), unsynced;

    if (overview_read(&x->store, &o, e) ||
        db_int(&x->store.db, "SELECT count(*) FROM events WHERE synced = 0", &unsynced, e))
        return -1;
    return put_one(out, "events", "gauge", "Events in the log.", o.events) ||
                   put_one(out, "conflicts", "gauge", "Variants kept beside events.",
                           o.conflicts) ||
                   put_one(out, "events_unsynced", "gauge", "Events not marked synced.",
                           unsynced) ||
                   put_one(out, "store_bytes", "gauge", "Bytes of the store's files.", o.bytes) ||
                   put_one(out, "disk_free_bytes", "gauge", "Bytes free on the store's disk.",
                           o.free_bytes) ||
                   put_one(out, "hlc_ahead_milliseconds", "gauge",
                           "How far the clock of the events is ahead of the box's.",
                           o.hlc_ahead_ms) ||
                   (o.last_event_at >= 0 &&
                    put_one(out, "last_event_age_seconds", "gauge",
                            "Since the last event was stored.", (now - o.last_event_at) / 1000))
               ? err_memory(e)
               : 0;
}

static int put_restores(struct exchange *x, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT status, count(*) FROM restore_log GROUP BY status"};
    int rc, failed;

    if (stmt_ready(&s, &x->store.db, e))
        return -1;
    failed = put_head(out, "restores", "gauge", "Restores in the log, by status.");
    while ((rc = stmt_step(&s, e)) == 1 && !failed)
        failed = buf_adds(out, "lifeboat_restores{status=\"") || put_label(out, stmt_span(&s, 0)) ||
                 buf_printf(out, "\"} %lld\n", (long long)stmt_int(&s, 1));
    stmt_free(&s);
    return rc < 0 ? -1 : failed ? err_memory(e) : 0;
}

/* --- the queue ---------------------------------------------------------- */

/* What is known of each queue, one metric each. */
static const struct {
    const char *name, *help;
} queue_metrics[] = {{"queue_ready", "Jobs and items that may go now."},
                     {"queue_waiting", "Jobs and items that are held back."},
                     {"queue_running", "Jobs in hand."},
                     {"queue_dead_letters", "Given up, and kept."},
                     {"queue_oldest_age_seconds", "Since the first of what waits was put in."},
                     {"queue_paused", "1 while nothing of it is given out."},
                     {"queue_endpoint_failures", "Of a destination's endpoint, in a row."},
                     {"queue_ended_well_1h", "Ended well in the last hour."},
                     {"queue_ended_badly_1h", "Given up in the last hour."},
                     {"queue_retried_1h", "Retries of what ended in the last hour."},
                     {"queue_wait_p95_milliseconds", "Waiting time of what ended in an hour."},
                     {"queue_run_p95_milliseconds", "Running time of what ended in an hour."}};

enum { QUEUE_METRICS = sizeof queue_metrics / sizeof *queue_metrics };

struct lines_of {
    struct buf metric[QUEUE_METRICS]; /* the lines of each */
};

static int add_queue(struct lines_of *l, struct span name, const struct view_stats *s)
{
    const int64_t values[QUEUE_METRICS] = {s->ready,
                                           s->waiting,
                                           s->running,
                                           s->dead_letters,
                                           s->oldest_ms < 0 ? -1 : s->oldest_ms / 1000,
                                           s->paused,
                                           s->endpoint_failures,
                                           s->ended_well,
                                           s->ended_badly,
                                           s->retried,
                                           s->wait.p95,
                                           s->run.p95};

    for (int i = 0; i < QUEUE_METRICS; i++) {
        struct buf *b = &l->metric[i];

        if (values[i] < 0)
            continue;
        if (buf_printf(b, "lifeboat_%s{queue=\"", queue_metrics[i].name) || put_label(b, name) ||
            buf_printf(b, "\"} %lld\n", (long long)values[i]))
            return -1;
    }
    return 0;
}

static int gather_queues(struct exchange *x, struct lines_of *l, struct err *e)
{
    struct view v = {0};
    struct view_stats s;
    int rc = view_open(&v, &x->store, e) ? -1 : view_next_queue(&v, "", e);

    while (rc == 1) {
        struct span name = span_of(v.queue.data);

        if (view_stats(&v, name, 3600000, &s, e))
            rc = -1;
        else if (add_queue(l, name, &s))
            rc = err_memory(e);
        else
            rc = view_next_queue(&v, v.queue.data, e);
    }
    view_close(&v);
    return rc;
}

static int put_queues(struct exchange *x, struct buf *out, struct err *e)
{
    struct lines_of l = {0};
    int rc = gather_queues(x, &l, e);

    for (int i = 0; i < QUEUE_METRICS; i++) {
        if (!rc && l.metric[i].len &&
            (put_head(out, queue_metrics[i].name, "gauge", queue_metrics[i].help) ||
             buf_add(out, l.metric[i].data, l.metric[i].len)))
            rc = err_memory(e);
        buf_free(&l.metric[i]);
    }
    return rc;
}

/* --- the cache ---------------------------------------------------------- */

static int put_cache(struct buf *out)
{
    static const char *const names[TALLIES] = {
        [TALLY_HITS] = "cache_hits_total",           [TALLY_MISSES] = "cache_misses_total",
        [TALLY_SETS] = "cache_sets_total",           [TALLY_DELETES] = "cache_deletes_total",
        [TALLY_EVICTIONS] = "cache_evictions_total", [TALLY_EXPIRED] = "cache_expired_total",
        [TALLY_RUNS] = "cache_runs_total",           [TALLY_REPLAYS] = "cache_replays_total"};
    struct tally t;

    tally_read(cli.db, &t);
    for (int i = 0; i < TALLIES; i++)
        if (put_one(out, names[i], "counter", "Counted beside the store, in FILE-cache.", t.n[i]))
            return -1;
    return 0;
}

/* --- the mirror --------------------------------------------------------- */

static int put_age(struct buf *out, const char *name, const char *help, int64_t now, int64_t then)
{
    return then < 0 ? 0 : put_one(out, name, "gauge", help, (now - then) / 1000);
}

/* Nothing where nothing was ever compared, nor where the ledger cannot be read: an
 * absence is what alerts are for. */
static int put_mirror(struct buf *out)
{
    struct err e = ERR_NONE;
    int64_t now = clock_now_ms();
    struct ledger l;

    if (mirror_ledger(&l, &e)) {
        cli_warn("%s", e.msg);
        return 0;
    }
    if (!l.lines)
        return 0;
    return put_one(out, "mirror_enabled", "gauge", "0 once the mirror was disabled.",
                   l.turned != LEDGER_DISABLED) ||
           put_one(out, "mirror_streak_days", "gauge", "Days running without a difference.",
                   ledger_streak(&l, now)) ||
           put_one(out, "mirror_target_days", "gauge", "So many of them are wanted.",
                   STREAK_TARGET) ||
           put_age(out, "mirror_compare_age_seconds", "Since the last comparison, or the attempt.",
                   now, l.last == LEDGER_NONE ? -1 : l.last_ms) ||
           put_age(out, "mirror_ok_age_seconds", "Since both sides were found equal.", now,
                   l.last_ok_ms) ||
           put_age(out, "mirror_ng_age_seconds", "Since a difference was found.", now,
                   l.last_ng_ms);
}

int metrics_show(struct exchange *x, struct err *e)
{
    struct buf *out = &x->answer.body;
    bool there = !front_store(x, STORE_READ, e);

    if (!there && e->status != EX_NOINPUT)
        return -1;
    x->answer.type = "text/plain; version=0.0.4";
    if (put_one(out, "up", "gauge", "1 while there is a store.", there))
        return err_memory(e);
    if (there && (store_snapshot(&x->store, e) || put_store(x, out, e) || put_restores(x, out, e) ||
                  put_queues(x, out, e)))
        return -1;
    return front_done(x, 200, (there && put_cache(out)) || put_mirror(out), e);
}
