#include "cli/metrics.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "cli/status.h"
#include "core/ledger.h"
#include "core/tally.h"
#include "http/requests.h"
#include "store/overview.h"
#include "store/queueview.h"
#include "store/restorelog.h"
#include "text/prom.h"

#include <stdlib.h>

#define REQUESTS_STATE "requests.json"

/* Who has the lock reads and writes some KB. */
enum { LOCK_WAIT_MS = 100, HOUR_MS = 3600000 };

/* --- the store ---------------------------------------------------------- */

/* A disk that does not say how large it is has no sample. */
static int put_disk(const struct overview *o, struct buf *out)
{
    if (o->free_bytes < 0)
        return 0;
    return prom_one(out, "disk_free_bytes", "gauge", "Bytes free on the store's disk.",
                    o->free_bytes) ||
           prom_one(out, "disk_size_bytes", "gauge", "Bytes the store's disk has.", o->disk_bytes);
}

static int put_sizes(const struct overview *o, int64_t unsynced, struct buf *out)
{
    return prom_one(out, "events", "gauge", "Events in the log.", o->events) ||
           prom_one(out, "conflicts", "gauge", "Variants kept beside events.", o->conflicts) ||
           prom_one(out, "events_unsynced", "gauge", "Events not marked synced.", unsynced) ||
           prom_one(out, "store_bytes", "gauge", "Bytes of the store's files.", o->bytes) ||
           prom_one(out, "store_wal_bytes", "gauge", "Of these, bytes of the -wal file.",
                    o->wal_bytes) ||
           put_disk(o, out);
}

static int put_store(struct store *st, struct buf *out, struct err *e)
{
    int64_t now = clock_now_ms(), unsynced, unused;
    struct overview o;

    if (overview_read(st, &o, e) ||
        db_int(&st->db, "SELECT count(*) FROM events WHERE synced = 0", &unsynced, e) ||
        db_int(&st->db,
               "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
               &unused, e))
        return -1;
    return put_sizes(&o, unsynced, out) ||
                   prom_one(out, "store_unused_bytes", "gauge",
                            "Bytes of the store's file that hold nothing.", unused) ||
                   prom_one_seconds(out, "hlc_ahead_seconds", "gauge",
                                    "How far the clock of the events is ahead of the box's.",
                                    o.hlc_ahead_ms) ||
                   (o.last_event_at >= 0 &&
                    prom_one(out, "last_event_age_seconds", "gauge",
                             "Since the last event was stored.", (now - o.last_event_at) / 1000))
               ? err_memory(e)
               : 0;
}

/* {"COMPLETED":3,...} as samples. */
static int put_census(struct span object, struct buf *out)
{
    struct json_value name, v;
    bool first = true;
    int64_t n;
    struct json j = {0};
    int failed;

    json_start(&j, object);
    failed = json_open(&j);
    while (!failed && json_member(&j, &first, &name, &v) == 1) {
        const struct prom_label label = {"status", {name.raw.p + 1, name.raw.n - 2}};

        failed = json_int(&v, &n) || prom_sample(out, "restores", "", &label, 1, n);
    }
    json_end(&j);
    return failed;
}

static int put_restores(struct store *st, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT ifnull(max(unixepoch(completed_at)), -1) FROM restore_log "
                            "WHERE kind = 'restore' AND status = 'COMPLETED'"};
    struct buf census = {0};
    struct json_value v;
    int64_t last = -1;
    int rc = stmt_ready(&s, &st->db, e), failed = 0;

    if (!rc)
        rc = stmt_step(&s, e) < 0 ? -1 : 0;
    if (!rc)
        last = stmt_int(&s, 0);
    stmt_free(&s);
    if (rc || buf_adds(&census, "{\"x\":0") || restore_census(st, &census, e) ||
        buf_addc(&census, '}')) {
        buf_free(&census);
        return -1;
    }
    if (status_member(buf_span(&census), "restores_by_status", &v))
        failed = prom_head(out, "restores", "gauge", "Restore sessions in the log, by status.") ||
                 put_census(v.raw, out);
    if (last >= 0 && !failed)
        failed = prom_one(out, "last_restore_age_seconds", "gauge",
                          "Since a restore was completed.", clock_now_ms() / 1000 - last);
    buf_free(&census);
    return failed ? err_memory(e) : 0;
}

/* --- the queue ---------------------------------------------------------- */

/* What is known of each queue, one metric each; a value of -1 is not known. */
static const struct {
    const char *name, *help;
    bool ms; /* the value is in ms, the metric in seconds */
} queue_metrics[] = {
    {"queue_ready", "Jobs and items that may go now.", false},
    {"queue_waiting", "Jobs and items that are held back.", false},
    {"queue_running", "Jobs in hand.", false},
    {"queue_dead_letters", "Given up, and kept.", false},
    {"queue_oldest_age_seconds", "Since the first of what waits was put in.", true},
    {"queue_paused", "1 while nothing of it is given out.", false},
    {"queue_endpoint_failures", "Of a destination's endpoint, in a row.", false},
    {"queue_ended_well_1h", "Ended well in the last hour.", false},
    {"queue_ended_badly_1h", "Given up in the last hour.", false},
    {"queue_retried_1h", "Retries of what ended in the last hour.", false},
    {"queue_wait_p50_seconds", "Waiting time of what ended in the last hour: half of it.", true},
    {"queue_wait_p95_seconds", "Waiting time of what ended in the last hour: 95 of 100.", true},
    {"queue_wait_p99_seconds", "Waiting time of what ended in the last hour: 99 of 100.", true},
    {"queue_run_p50_seconds", "Running time of what ended in the last hour: half of it.", true},
    {"queue_run_p95_seconds", "Running time of what ended in the last hour: 95 of 100.", true},
    {"queue_run_p99_seconds", "Running time of what ended in the last hour: 99 of 100.", true}};

enum { QUEUE_METRICS = sizeof queue_metrics / sizeof *queue_metrics };

struct lines_of {
    struct buf metric[QUEUE_METRICS]; /* the lines of each */
};

static int add_queue(struct lines_of *l, struct span name, const struct view_stats *s)
{
    const struct prom_label label = {"queue", name};
    const int64_t values[QUEUE_METRICS] = {
        s->ready,       s->waiting, s->running,           s->dead_letters,
        s->oldest_ms,   s->paused,  s->endpoint_failures, s->ended_well,
        s->ended_badly, s->retried, s->wait.p50,          s->wait.p95,
        s->wait.p99,    s->run.p50, s->run.p95,           s->run.p99};

    for (int i = 0; i < QUEUE_METRICS; i++) {
        struct buf *b = &l->metric[i];
        const char *metric = queue_metrics[i].name;

        if (values[i] >= 0 &&
            (queue_metrics[i].ms ? prom_sample_seconds(b, metric, "", &label, 1, values[i])
                                 : prom_sample(b, metric, "", &label, 1, values[i])))
            return -1;
    }
    return 0;
}

static int gather_queues(struct store *st, struct lines_of *l, struct err *e)
{
    struct view v = {0};
    struct view_stats s;
    int rc = view_open(&v, st, e) ? -1 : view_next_queue(&v, "", e);

    while (rc == 1) {
        struct span name = span_of(v.queue.data);

        if (view_stats(&v, name, HOUR_MS, &s, e))
            rc = -1;
        else if (add_queue(l, name, &s))
            rc = err_memory(e);
        else
            rc = view_next_queue(&v, v.queue.data, e);
    }
    view_close(&v);
    return rc;
}

static int put_queues(struct store *st, struct buf *out, struct err *e)
{
    struct lines_of l = {0};
    int rc = gather_queues(st, &l, e);

    for (int i = 0; i < QUEUE_METRICS; i++) {
        if (!rc && l.metric[i].len &&
            (prom_head(out, queue_metrics[i].name, "gauge", queue_metrics[i].help) ||
             buf_add(out, l.metric[i].data, l.metric[i].len)))
            rc = err_memory(e);
        buf_free(&l.metric[i]);
    }
    return rc;
}

/* --- the cache ---------------------------------------------------------- */

static int put_namespaces(struct store *st, const char *name, const char *help, int column,
                          struct buf *out, struct err *e)
{
    struct stmt s = {.sql =
                         "SELECT namespace, entries, size FROM cache_namespace ORDER BY namespace"};
    int rc, failed;

    if (stmt_ready(&s, &st->db, e))
        return -1;
    failed = prom_head(out, name, "gauge", help);
    while ((rc = stmt_step(&s, e)) == 1 && !failed) {
        const struct prom_label label = {"namespace", stmt_span(&s, 0)};

        failed = prom_sample(out, name, "", &label, 1, stmt_int(&s, column));
    }
    stmt_free(&s);
    return rc < 0 ? -1 : failed ? err_memory(e) : 0;
}

/* A store of version 1 has none yet. */
static int put_cache(struct store *st, struct buf *out, struct err *e)
{
    if (st->version < 2)
        return 0;
    return put_namespaces(st, "cache_entries", "Values in the cache, by namespace.", 1, out, e) ||
                   put_namespaces(st, "cache_bytes", "Bytes of them and their keys.", 2, out, e)
               ? -1
               : 0;
}

static int put_tallies(struct buf *out)
{
    static const char *const names[TALLIES] = {
        [TALLY_HITS] = "cache_hits_total",           [TALLY_MISSES] = "cache_misses_total",
        [TALLY_SETS] = "cache_sets_total",           [TALLY_DELETES] = "cache_deletes_total",
        [TALLY_EVICTIONS] = "cache_evictions_total", [TALLY_EXPIRED] = "cache_expired_total",
        [TALLY_RUNS] = "cache_runs_total",           [TALLY_REPLAYS] = "cache_replays_total"};
    struct tally t;

    tally_read(cli.db, &t);
    for (int i = 0; i < TALLIES; i++)
        if (prom_one(out, names[i], "counter", "Counted beside the store, in FILE-cache.", t.n[i]))
            return -1;
    return 0;
}

/* --- the mirror --------------------------------------------------------- */

static int put_age(struct buf *out, const char *name, const char *help, int64_t now, int64_t then)
{
    return then < 0 ? 0 : prom_one(out, name, "gauge", help, (now - then) / 1000);
}

/* Nothing where nothing was ever compared, nor where the ledger cannot be read: an
 * absence is what alerts are for. */
static int put_mirror(struct buf *out)
{
    struct err e = ERR_NONE;
    int64_t now = clock_now_ms();
    struct ledger l;

    if (ledger_read(settings_get("MIRROR_DIR"), &l, &e)) {
        cli_warn("%s", e.msg);
        return 0;
    }
    if (!l.lines)
        return 0;
    return prom_one(out, "mirror_enabled", "gauge", "0 once the mirror was disabled.",
                    l.turned != LEDGER_DISABLED) ||
           prom_one(out, "mirror_streak_days", "gauge", "Days running without a difference.",
                    ledger_streak(&l, now)) ||
           prom_one(out, "mirror_target_days", "gauge", "So many of them are wanted.",
                    STREAK_TARGET) ||
           put_age(out, "mirror_compare_age_seconds", "Since the last comparison, or the attempt.",
                   now, l.last == LEDGER_NONE ? -1 : l.last_ms) ||
           put_age(out, "mirror_ok_age_seconds", "Since both sides were found equal.", now,
                   l.last_ok_ms) ||
           put_age(out, "mirror_ng_age_seconds", "Since a difference was found.", now,
                   l.last_ng_ms);
}

/* --- the front ---------------------------------------------------------- */

/* Reads on from where the last one stopped, and keeps the sums. */
static int count_requests(const struct metrics *m, struct requests *r, bool ours, struct err *e)
{
    struct buf text = {0};
    int rc = status_read(REQUESTS_STATE, &text, e);

    if (rc == 1)
        requests_take(r, buf_span(&text));
    buf_clear(&text);
    if (rc >= 0 && ours)
        rc = requests_read(r, m->http_log, m->http_most, e);
    if (rc >= 0 && r->changed) {
        rc = requests_text(r, &text) ? err_memory(e) : 0;
        if (!rc)
            rc = status_keep(REQUESTS_STATE, buf_span(&text), e);
    }
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}

/* While another reads on, what he has kept so far has to do. */
static int put_requests(const struct metrics *m, struct buf *out)
{
    struct lockfile lock = {.fd = -1};
    struct requests r = {0};
    struct err e = ERR_NONE;
    char *state;
    int rc, failed;

    if (!m->http_log)
        return 0;
    state = status_path(REQUESTS_STATE);
    if (!state)
        return -1;
    rc = status_folder(&e) || lockfile_open(&lock, state, "lock", &e)
             ? -1
             : lockfile_take(&lock, 0, LOCK_WAIT_MS, &e);
    if (rc < 0 || count_requests(m, &r, rc == 1, &e))
        cli_warn("%s", e.msg);
    if (lock.name)
        lockfile_close(&lock);
    free(state);
    failed = r.count || *r.now.id ? requests_metrics(&r, out) : 0;
    requests_free(&r);
    return failed;
}

/* --- all of it ---------------------------------------------------------- */

int metrics_put(const struct metrics *m, struct buf *out, struct err *e)
{
    struct store *st = m->store;

    if (prom_one(out, "up", "gauge", "1 while there is a store.", st != NULL))
        return err_memory(e);
    if (st && (store_snapshot(st, e) || put_store(st, out, e) || put_restores(st, out, e) ||
               put_queues(st, out, e) || put_cache(st, out, e)))
        return -1;
    if (st)
        store_snapshot_end(st);
    return (st && put_tallies(out)) || put_mirror(out) || metrics_status(out) ||
                   put_requests(m, out)
               ? err_memory(e)
               : 0;
}
