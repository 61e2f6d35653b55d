/* syncq pause, resume, dead requeue, dead purge, prune, load: looking after a
 * queue. */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/lines.h"
#include "core/batch.h"
#include "store/queuekeep.h"
#include "store/queueview.h"
#include "syncq/syncq.h"

#include <stddef.h>

static struct keep keep;

static void open_keep(enum store_mode mode)
{
    struct err e = ERR_NONE;

    open_queue(mode);
    cli_check(keep_open(&keep, &queue.jobs, &e), &e);
}

/* Dies of what went wrong between begin and commit; nothing of it is kept. */
static void check(int64_t rc, const struct err *e)
{
    if (rc < 0)
        queue_rollback(&queue);
    cli_check(rc, e);
}

/* --- pause, resume ------------------------------------------------------ */

int syncq_pause(char **operands)
{
    struct span name = queue_operand(operands[0]);
    struct err e = ERR_NONE;

    open_queue(STORE_WRITE);
    cli_check(queue_begin(&queue, &e), &e);
    check(queue_pause(&queue, name, opt.reason, &e), &e);
    cli_check(queue_commit(&queue, &e), &e);
    cli_say("%s: paused", operands[0]);
    return 0;
}

int syncq_resume(char **operands)
{
    struct span name = queue_operand(operands[0]);
    struct err e = ERR_NONE;
    char reason[256];
    int was;

    open_queue(STORE_WRITE);
    cli_check(queue_begin(&queue, &e), &e);
    was = queue_paused(&queue, name, reason, &e);
    check(was, &e);
    check(queue_resume(&queue, name, &e), &e);
    cli_check(queue_commit(&queue, &e), &e);
    cli_say("%s: %s", operands[0], was ? "goes on" : "was not paused");
    return 0;
}

/* --- dead letters ------------------------------------------------------- */

static uint64_t done, missing, taken;

static int requeue_one(int64_t id, struct err *e)
{
    int64_t holder;
    int rc = keep_requeue(&keep, id, &holder, e);

    if (rc < 0)
        return -1;
    done += rc == 1;
    missing += !rc;
    taken += rc == 2;
    if (!rc)
        cli_warn("job %lld: has no dead letter", (long long)id);
    if (rc == 2)
        cli_warn("job %lld: its unique key is taken by job %lld: left dead", (long long)id,
                 (long long)holder);
    return 0;
}

static int purge_one(int64_t id, struct err *e)
{
    int rc = keep_purge(&keep, id, e);

    if (rc < 0)
        return -1;
    done += rc == 1;
    missing += !rc;
    if (!rc)
        cli_warn("job %lld: has no dead letter", (long long)id);
    return 0;
}

/* One transaction's worth of ids from *i on. */
static int take_some(const int64_t *ids, size_t n, size_t *i, int (*one)(int64_t, struct err *),
                     struct err *e)
{
    int64_t begun;

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    do {
        if (one(ids[*i], e)) {
            queue_rollback(&queue);
            return -1;
        }
    } while (++*i < n && (clock_boot_ms() - begun <= BATCH_HOLD_MS || !gate_wanted(&store.gate)));
    return queue_commit(&queue, e);
}

static void take_all(const int64_t *ids, size_t n, int (*one)(int64_t, struct err *))
{
    struct err e = ERR_NONE;

    for (size_t i = 0; i < n && !stop_signal();)
        cli_check(take_some(ids, n, &i, one, &e), &e);
}

/* Those named. */
static void take_operands(char **operands, int (*one)(int64_t, struct err *))
{
    int64_t ids[1000];
    size_t n = 0;

    for (char **o = operands; *o; o++)
        id_operand(*o);
    open_keep(STORE_WRITE);
    for (char **o = operands; *o; o++) {
        ids[n++] = id_operand(*o);
        if (n == 1000 || !o[1]) {
            take_all(ids, n, one);
            n = 0;
        }
    }
}

/* All of a queue that died before a time; queue.p NULL: of all queues. */
static void take_queue(struct span name, int64_t before, int (*one)(int64_t, struct err *))
{
    struct err e = ERR_NONE;
    int64_t ids[1000], after = 0;
    int n = 1;

    open_keep(STORE_WRITE);
    while (n > 0 && !stop_signal()) {
        n = keep_letters(&keep, name, before, after, 1000, ids, &e);
        cli_check(n, &e);
        take_all(ids, (size_t)n, one);
        after = n ? ids[n - 1] : 0;
    }
}

static int end_letters(const char *what)
{
    cli_say("%llu %s, %llu without a dead letter, %llu kept for their unique key",
            (unsigned long long)done, what, (unsigned long long)missing, (unsigned long long)taken);
    keep_close(&keep);
    return missing || taken ? 1 : 0;
}

int syncq_dead_requeue(char **operands)
{
    if (opt.all && operands[1])
        cli_usage_error("dead requeue: --all wants one queue");
    if (opt.all)
        take_queue(queue_operand(operands[0]), INT64_MAX, requeue_one);
    else
        take_operands(operands, requeue_one);
    return end_letters("requeued");
}

int syncq_dead_purge(char **operands)
{
    static const struct span any = {NULL, 0};

    if (opt.older_ms < 0 && !operands[0])
        cli_usage_error("dead purge: wants the IDs of jobs, or --older");
    if (opt.older_ms >= 0 && operands[0] && operands[1])
        cli_usage_error("dead purge: --older wants one queue, or none for all");
    if (opt.older_ms < 0)
        take_operands(operands, purge_one);
    else
        take_queue(operands[0] ? queue_operand(operands[0]) : any, clock_now_ms() - opt.older_ms,
                   purge_one);
    return end_letters("purged");
}

/* --- prune -------------------------------------------------------------- */

static void prune_queue(struct span name)
{
    struct queue_defaults d;
    struct err e = ERR_NONE;
    int64_t older = opt.older_ms, n = 0;
    bool more = true;

    cli_check(queues_read(name, &d, &e), &e);
    older = older >= 0 ? older : d.keep_ms;
    while (more && !stop_signal()) {
        int rc;

        cli_check(queue_begin(&queue, &e), &e);
        rc = keep_prune(&keep, name, clock_now_ms() - older, &more, &e);
        check(rc, &e);
        cli_check(queue_commit(&queue, &e), &e);
        n += rc;
    }
    if (n)
        cli_say("%.*s: %lld removed", (int)name.n, name.p, (long long)n);
    done += (uint64_t)n;
}

int syncq_prune(char **operands)
{
    struct err e = ERR_NONE;
    struct view view;
    int rc;

    if (operands[0])
        queue_operand(operands[0]);
    open_keep(STORE_WRITE);
    cli_check(view_open(&view, &store, &e), &e);
    if (operands[0])
        prune_queue(span_of(operands[0]));
    rc = operands[0] ? 0 : view_next_queue(&view, "", &e);
    while (rc == 1 && !stop_signal()) {
        prune_queue(span_of(view.queue.data));
        rc = view_next_queue(&view, view.queue.data, &e);
    }
    cli_check(rc, &e);
    cli_say("%llu removed", (unsigned long long)done);
    view_close(&view);
    keep_close(&keep);
    return 0;
}

/* --- load --------------------------------------------------------------- */

static struct lines in;
static struct {
    struct line line;
    struct kept_job job;
} items[BATCH_ROWS];
static size_t count;
static uint64_t loaded, present;

/* Where a member of a line goes, by its name. */
static const struct text_member {
    const char *name;
    size_t at, most; /* bytes; 0: any number */
} text_members[] = {
    {"queue_name", offsetof(struct kept_job, queue), QUEUE_NAME_MAX},
    {"job_type", offsetof(struct kept_job, type), QUEUE_TEXT_MAX},
    {"lane", offsetof(struct kept_job, lane), QUEUE_TEXT_MAX},
    {"unique_key", offsetof(struct kept_job, unique), QUEUE_TEXT_MAX},
    {"idempotency_key", offsetof(struct kept_job, idempotency_key), QUEUE_TEXT_MAX},
    {"status", offsetof(struct kept_job, status), 0},
    {"wake_boot_id", offsetof(struct kept_job, wake_boot), 0},
    {"error_message", offsetof(struct kept_job, error), 0},
};

static const struct number_member {
    const char *name;
    size_t at;
    int64_t least, most;
} number_members[] = {
    {"priority", offsetof(struct kept_job, priority), 0, 1000},
    {"max_retries", offsetof(struct kept_job, max_retries), 0, 1000},
    {"timeout_seconds", offsetof(struct kept_job, timeout_s), 1, 7 * 86400},
    {"attempts", offsetof(struct kept_job, attempts), 0, INT64_MAX},
    {"retry_count", offsetof(struct kept_job, retries), 0, INT64_MAX},
    {"crash_count", offsetof(struct kept_job, crashes), 0, INT64_MAX},
    {"scheduled_at", offsetof(struct kept_job, scheduled_at), 0, INT64_MAX},
    {"created_at", offsetof(struct kept_job, created_at), 0, INT64_MAX},
    {"started_at", offsetof(struct kept_job, started_at), 0, INT64_MAX},
    {"completed_at", offsetof(struct kept_job, completed_at), 0, INT64_MAX},
};

/* A reason that names the member, living as long as the batch. */
static const char *fault(const char *name, const char *why)
{
    static struct buf text;

    buf_clear(&text);
    return buf_printf(&text, "%s: %s", name, why) || buf_term(&text) ? json_no_memory : text.data;
}

static const char *take_text(struct kept_job *j, const struct text_member *m,
                             const struct json_value *v)
{
    struct span *out = (struct span *)(void *)((char *)j + m->at);

    if (v->kind != JSON_STRING)
        return fault(m->name, "wants a string");
    *out = json_text_in(v, &in.arena);
    if (!out->p)
        return json_no_memory;
    return m->most && (!out->n || out->n > m->most) ? fault(m->name, "empty or too long") : NULL;
}

static const char *take_number(struct kept_job *j, const struct number_member *m,
                               const struct json_value *v)
{
    int64_t *out = (int64_t *)(void *)((char *)j + m->at);

    if (v->kind != JSON_NUMBER || json_int(v, out) || *out < m->least || *out > m->most)
        return fault(m->name, "not a number that can stand there");
    return NULL;
}

static const char *take_truth(bool *out, const char *name, const struct json_value *v)
{
    if (v->kind != JSON_TRUE && v->kind != JSON_FALSE)
        return fault(name, "wants true or false");
    *out = v->kind == JSON_TRUE;
    return NULL;
}

/* NULL, or why this member will not do. null counts as absent, and what is not
 * known is passed over: a later version may have written it. */
static const char *take_member(struct kept_job *j, struct span name, const struct json_value *v)
{
    if (span_eq(name, SPAN("payload")))
        j->payload = v->raw;
    if (v->kind == JSON_NULL)
        return NULL;
    for (size_t i = 0; i < sizeof text_members / sizeof *text_members; i++)
        if (span_eq(name, span_of(text_members[i].name)))
            return take_text(j, &text_members[i], v);
    for (size_t i = 0; i < sizeof number_members / sizeof *number_members; i++)
        if (span_eq(name, span_of(number_members[i].name)))
            return take_number(j, &number_members[i], v);
    if (span_eq(name, SPAN("owed")))
        return take_truth(&j->owed, "owed", v);
    if (span_eq(name, SPAN("dead_letter")))
        return take_truth(&j->dead_letter, "dead_letter", v);
    if (span_eq(name, SPAN("result")))
        j->result = v->raw;
    if (span_eq(name, SPAN("errors"))) {
        if (v->kind != JSON_ARRAY)
            return "errors: wants an array";
        j->errors = v->raw;
    }
    return NULL;
}

/* What every job has. */
static const char *check_job(struct kept_job *j)
{
    bool waits = span_eq(j->status, SPAN("pending")) || span_eq(j->status, SPAN("running"));

    if (!j->queue.p || !queue_name_ok(j->queue))
        return "queue_name: not a queue's name";
    if (!j->idempotency_key.p)
        return "idempotency_key: missing";
    if (!j->payload.p)
        return "payload: missing";
    if (!waits && !span_eq(j->status, SPAN("completed")) && !span_eq(j->status, SPAN("failed")))
        return "status: wants pending, running, completed or failed";
    if (!waits && j->completed_at < 0)
        return "completed_at: missing";
    if (!span_eq(j->status, SPAN("failed")))
        j->dead_letter = false;
    return NULL;
}

static const char *read_job(struct span text, struct kept_job *j, size_t *offset)
{
    struct json_value name, v;
    const char *why = NULL;
    bool first = true;
    int rc = 1;

    json_start(&in.json, text);
    if (json_open(&in.json))
        rc = -1;
    while (rc == 1 && !why && (rc = json_member(&in.json, &first, &name, &v)) == 1) {
        struct span n = json_text_in(&name, &in.arena);

        why = n.p ? take_member(j, n, &v) : json_no_memory;
        *offset = (size_t)(v.raw.p - text.p);
    }
    if (why)
        return why;
    if (rc < 0 || json_finish(&in.json)) {
        *offset = json_offset(&in.json);
        return in.json.why;
    }
    *offset = 0;
    return check_job(j);
}

static int take_job(void *ctx, const struct line *l, struct err *e)
{
    struct kept_job *j = &items[count].job;
    int64_t now = clock_now_ms();
    size_t offset = 0;
    const char *why;

    (void)ctx;
    items[count].line = *l;
    *j = (struct kept_job){.priority = 5,
                           .max_retries = 3,
                           .timeout_s = 300,
                           .scheduled_at = now,
                           .created_at = now,
                           .started_at = -1,
                           .completed_at = -1,
                           .status = SPAN("pending"),
                           .dead_letter = true};
    why = read_job(l->text, j, &offset);
    if (why)
        return lines_refuse(&in, l, offset, why, e);
    count++;
    return 0;
}

static int load_some(size_t *i, struct err *e)
{
    uint64_t before[2] = {loaded, present};
    int64_t begun;

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    do {
        int rc = keep_load(&keep, &items[*i].job, e);

        if (rc < 0) {
            queue_rollback(&queue);
            return -1;
        }
        loaded += rc == 1;
        present += rc == 0;
    } while (++*i < count && lines_go_on(&store, begun, *i));
    if (!queue_commit(&queue, e))
        return 0;
    loaded = before[0];
    present = before[1];
    return -1;
}

static int load_items(void *ctx, struct err *e)
{
    (void)ctx;
    for (size_t i = 0; i < count;)
        if (load_some(&i, e))
            return -1;
    count = 0;
    return 0;
}

int syncq_load(char **operands)
{
    struct err e = ERR_NONE;

    if (opt.rejects)
        rejects_open(&in.rejects, opt.rejects);
    open_keep(STORE_CREATE);
    in.take = take_job;
    in.store = load_items;
    in.what = "jobs";
    cli_check(lines_read(&in, operands, &e), &e);
    cli_say("%llu received: %llu taken back, %llu there already, %llu rejected",
            (unsigned long long)in.received, (unsigned long long)loaded,
            (unsigned long long)present, (unsigned long long)in.rejects.count);
    lines_close(&in);
    keep_close(&keep);
    return in.rejects.count ? 1 : 0;
}
