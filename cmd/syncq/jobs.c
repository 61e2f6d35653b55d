/* syncq enqueue, dequeue, complete, fail, extend. */
#include "base/clock.h"
#include "cli/lines.h"
#include "core/batch.h"
#include "syncq/syncq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of input: a payload, or a job that is named. */
struct item {
    struct line line;
    struct span payload; /* enqueue */
    int64_t id;          /* the others */
    struct span token, text;
    bool dead;
};

static struct lines in;
static struct item items[BATCH_ROWS];
static size_t count;
static uint64_t done, duplicates, stale;
static struct buf echo;

static void end_lines(void)
{
    lines_close(&in);
    buf_free(&echo);
}

/* Prints what was committed. */
static void tell(void)
{
    if (!cli.quiet && echo.len) {
        cli_put(echo.data, echo.len);
        cli_flush();
    }
    buf_clear(&echo);
}

/* --- enqueue ------------------------------------------------------------ */

static struct new_job model; /* every job of this run but for its payload */
static int64_t max_pending;

static int take_payload(void *ctx, const struct line *l, struct err *e)
{
    struct json_value v;

    (void)ctx;
    if (json_whole(&in.json, l->text, &v))
        return lines_refuse(&in, l, json_offset(&in.json), in.json.why, e);
    items[count] = (struct item){.line = *l, .payload = json_compact_in(&v, &in.arena)};
    if (!items[count].payload.p)
        return err_memory(e);
    count++;
    return 0;
}

static int add_echo(int64_t id, const char *key, bool is_new)
{
    if (cli.quiet)
        return 0;
    if (buf_printf(&echo, "{\"id\":%lld,\"queue_name\":", (long long)id) ||
        json_quote(model.queue, &echo) || buf_adds(&echo, ",\"idempotency_key\":") ||
        json_quote(span_of(key), &echo))
        return -1;
    return buf_adds(&echo, is_new ? "}\n" : ",\"duplicate\":true}\n");
}

static int put_one(size_t i, struct err *e)
{
    char key[256];
    int64_t id;
    int rc;

    model.payload = items[i].payload;
    rc = queue_put(&queue, &model, &id, key, e);
    if (rc < 0)
        return -1;
    done += rc == 1;
    duplicates += rc == 0;
    return add_echo(id, key, rc == 1) ? err_memory(e) : 0;
}

static int refuse_full(const struct item *item, struct err *e)
{
    return err_set(e, EX_TEMPFAIL,
                   "%s:%llu: %.*s is full: %lld jobs wait (max_pending in queues.json); this line "
                   "and what comes after it was not put in",
                   in.reader.name, (unsigned long long)item->line.number, (int)model.queue.n,
                   model.queue.p, (long long)max_pending);
}

/* Puts jobs from *i on, in one transaction; leaves *i behind the last. */
static int put_some(size_t *i, bool *full, struct err *e)
{
    int64_t begun, room = 0;
    uint64_t before[2] = {done, duplicates};

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    *full = false;
    if (queue_room(&queue, model.queue, max_pending, &room, e))
        return -1;
    do {
        if (!room--) {
            *full = true;
            break;
        }
        if (put_one(*i, e))
            return -1;
    } while (++*i < count && lines_go_on(&store, begun, *i));
    if (!queue_commit(&queue, e))
        return 0;
    done = before[0];
    duplicates = before[1];
    return -1;
}

static int store_payloads(void *ctx, struct err *e)
{
    bool full = false;

    (void)ctx;
    for (size_t i = 0; i < count && !full;) {
        if (put_some(&i, &full, e)) {
            queue_rollback(&queue);
            return -1;
        }
        tell();
        if (full)
            return refuse_full(&items[i], e);
    }
    count = 0;
    return 0;
}

static void set_model(struct span name)
{
    static const struct span none = {NULL, 0};
    struct queue_defaults d;
    struct err e = ERR_NONE;

    cli_check(queues_read(name, &d, &e), &e);
    if (opt.type_count > 1)
        cli_usage_error("enqueue: a job has one --type");
    max_pending = d.max_pending;
    model = (struct new_job){.queue = name,
                             .type = opt.type_count ? opt.types[0] : none,
                             .unique = opt.unique ? span_of(opt.unique) : none,
                             .priority = opt.priority >= 0 ? opt.priority : d.priority,
                             .max_retries = opt.max_retries >= 0 ? opt.max_retries : d.max_retries,
                             .timeout_s = opt.timeout_s >= 0 ? opt.timeout_s : d.timeout_s,
                             .at_ms = opt.at_ms};
}

int syncq_enqueue(char **operands)
{
    struct err e = ERR_NONE;

    set_model(job_queue_operand(operands[0]));
    if (opt.rejects)
        rejects_open(&in.rejects, opt.rejects);
    open_queue(STORE_CREATE);
    in.take = take_payload;
    in.store = store_payloads;
    in.what = "jobs";
    cli_check(lines_read(&in, operands + 1, &e), &e);
    cli_say("%s: %llu received: %llu put in, %llu there already, %llu rejected", operands[0],
            (unsigned long long)in.received, (unsigned long long)done,
            (unsigned long long)duplicates, (unsigned long long)in.rejects.count);
    end_lines();
    return in.rejects.count ? 1 : 0;
}

/* --- dequeue ------------------------------------------------------------ */

static struct buf given; /* ids and tokens of what was taken */

static int add_member(struct buf *b, const char *name, struct span text)
{
    if (!text.p)
        return 0;
    return buf_printf(b, ",\"%s\":", name) || json_quote(text, b) ? -1 : 0;
}

static int add_job(void *ctx, const struct job *j, struct err *e)
{
    (void)ctx;
    if (buf_printf(&echo, "{\"id\":%lld,\"token\":\"%s\"", (long long)j->id, j->token) ||
        add_member(&echo, "queue_name", j->queue) || add_member(&echo, "job_type", j->type) ||
        add_member(&echo, "lane", j->lane) ||
        buf_printf(&echo,
                   ",\"priority\":%lld,\"attempt\":%lld,\"timeout_seconds\":%lld,"
                   "\"created_at\":%lld",
                   (long long)j->priority, (long long)j->attempt, (long long)j->timeout_s,
                   (long long)j->created_at) ||
        add_member(&echo, "idempotency_key", j->idempotency_key) ||
        buf_adds(&echo, ",\"payload\":") || buf_add(&echo, j->payload.p, j->payload.n) ||
        buf_adds(&echo, "}\n") || buf_printf(&given, "%lld %s\n", (long long)j->id, j->token))
        return err_memory(e);
    return 0;
}

/* Nobody has seen them: they go back as if they had not been taken. */
static void give_all_back(void)
{
    struct err e = ERR_NONE;
    char token[QUEUE_TOKEN];
    long long id;
    int n;

    if (buf_term(&given) || queue_begin(&queue, &e))
        return;
    for (const char *p = given.data; sscanf(p, "%lld %32s\n%n", &id, token, &n) == 2; p += n)
        if (queue_fail(&queue, id, span_of(token), QUEUE_RELEASE,
                       SPAN("taken, but standard output could not be written"), &e) < 0) {
            queue_rollback(&queue);
            return;
        }
    queue_commit(&queue, &e);
}

static void say_nothing_ready(const char *name)
{
    struct err e = ERR_NONE;
    char reason[256];

    if (queue_paused(&queue, span_of(name), reason, &e) == 1)
        cli_say("%s: paused%s%s", name, *reason ? ": " : "", reason);
    else
        cli_say("%s: nothing is ready", name);
}

/* What workers that died have held comes back with the claim. */
static int claim_some(struct claim *c, struct err *e)
{
    struct lockfile work;
    int n;

    if (lockfile_open(&work, cli.db, "work", e))
        return -1;
    n = queue_begin(&queue, e);
    if (!n) {
        n = queue_reap(&queue, c->queue, &work, e) < 0 ? -1
                                                       : queue_claim(&queue, c, (int)opt.count, e);
        if (n < 0)
            queue_rollback(&queue);
        else if (queue_commit(&queue, e))
            n = -1;
    }
    lockfile_close(&work);
    return n;
}

int syncq_dequeue(char **operands)
{
    struct err e = ERR_NONE;
    struct claim c = {.queue = job_queue_operand(operands[0]),
                      .types = opt.types,
                      .type_count = opt.type_count,
                      .each = add_job};
    int n;

    open_queue(STORE_WRITE);
    n = claim_some(&c, &e);
    cli_check(n, &e);
    if (!n)
        say_nothing_ready(operands[0]);
    else if (out_add(&cli_out, echo.data, echo.len) || out_flush(&cli_out))
        give_all_back();
    cli_flush();
    buf_free(&given);
    end_lines();
    return n ? 0 : 1;
}

/* --- complete, fail, extend --------------------------------------------- */

static int (*finish)(const struct item *item, struct err *e);
static struct span said; /* by --result or --error, where a line says nothing itself */

static int finish_complete(const struct item *item, struct err *e)
{
    return queue_complete(&queue, item->id, item->token, item->text, e);
}

static int finish_fail(const struct item *item, struct err *e)
{
    enum queue_failure how = item->dead || opt.dead ? QUEUE_DEAD
                             : opt.release          ? QUEUE_RELEASE
                                                    : QUEUE_RETRY;

    return queue_fail(&queue, item->id, item->token, how,
                      item->text.p ? item->text : SPAN("it failed"), e);
}

static int finish_extend(const struct item *item, struct err *e)
{
    return queue_extend(&queue, item->id, item->token, opt.by_ms, e);
}

/* NULL, or why this member of a line will not do. */
static const char *take_member(struct item *item, struct span name, const struct json_value *v)
{
    if (span_eq(name, SPAN("id")))
        return v->kind == JSON_NUMBER && !json_int(v, &item->id) && item->id > 0
                   ? NULL
                   : "id: wants a job's number";
    if (span_eq(name, SPAN("token"))) {
        if (v->kind != JSON_STRING)
            return "token: wants a string";
        item->token = json_text_in(v, &in.arena);
        return item->token.p ? NULL : json_no_memory;
    }
    if (span_eq(name, SPAN("result")) && finish == finish_complete)
        item->text = v->raw;
    if (span_eq(name, SPAN("error")) && finish == finish_fail && v->kind == JSON_STRING) {
        item->text = json_text_in(v, &in.arena);
        return item->text.p ? NULL : json_no_memory;
    }
    if (span_eq(name, SPAN("dead")) && finish == finish_fail)
        item->dead = v->kind == JSON_TRUE;
    return NULL;
}

static const char *read_item(struct span text, struct item *item, size_t *offset)
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

        why = n.p ? take_member(item, n, &v) : json_no_memory;
        *offset = (size_t)(v.raw.p - text.p);
    }
    if (why)
        return why;
    if (rc < 0 || json_finish(&in.json)) {
        *offset = json_offset(&in.json);
        return in.json.why;
    }
    *offset = 0;
    return !item->id ? "id: missing" : !item->token.p ? "token: missing" : NULL;
}

static int take_item(void *ctx, const struct line *l, struct err *e)
{
    struct item *item = &items[count];
    size_t offset = 0;
    const char *why;

    (void)ctx;
    *item = (struct item){.line = *l, .text = said};
    why = read_item(l->text, item, &offset);
    if (why)
        return lines_refuse(&in, l, offset, why, e);
    count++;
    return 0;
}

static void say_stale(int64_t id)
{
    cli_warn("job %lld: the lease of this token is over: nothing was changed", (long long)id);
    stale++;
}

static int finish_some(size_t *i, struct err *e)
{
    static bool fresh[BATCH_ROWS];
    size_t from = *i;
    int64_t begun;

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    do {
        int rc = finish(&items[*i], e);

        if (rc < 0) {
            queue_rollback(&queue);
            return -1;
        }
        fresh[*i] = rc == 1;
    } while (++*i < count && lines_go_on(&store, begun, *i));
    if (queue_commit(&queue, e))
        return -1;
    for (size_t k = from; k < *i; k++) {
        done += fresh[k];
        if (!fresh[k])
            say_stale(items[k].id);
    }
    return 0;
}

static int finish_items(void *ctx, struct err *e)
{
    (void)ctx;
    for (size_t i = 0; i < count;)
        if (finish_some(&i, e))
            return -1;
    count = 0;
    return 0;
}

/* JSON stays what it is, all else becomes a string. */
static struct span result_json(const char *text)
{
    static struct buf quoted;
    struct json_value v;
    int rc = -1;

    if (!is_utf8(text))
        cli_usage_error("--result: not valid UTF-8");
    if (!json_whole(&in.json, span_of(text), &v))
        rc = json_compact(v.raw, &quoted);
    else if (in.json.why != json_no_memory)
        rc = json_quote(span_of(text), &quoted);
    if (!rc)
        return buf_span(&quoted);
    cli_die(&(struct err){EX_TEMPFAIL, "out of memory"});
}

static void one_item(const char *operand, struct err *e)
{
    struct item *item = &items[0];

    if (!opt.token)
        cli_usage_error("--token is missing");
    *item = (struct item){.id = id_operand(operand), .token = span_of(opt.token), .text = said};
    count = 1;
    cli_check(finish_items(NULL, e), e);
}

static int finish_jobs(char **operands, const char *what)
{
    struct err e = ERR_NONE;

    if (opt.token && !operands[0])
        cli_usage_error("--token: wants the ID of the job before it");
    if (opt.dead && opt.release)
        cli_usage_error("--dead and --release: one or the other");
    if (opt.rejects)
        rejects_open(&in.rejects, opt.rejects);
    open_queue(STORE_WRITE);
    if (opt.result)
        said = result_json(opt.result);
    if (opt.error)
        said = span_of(opt.error);
    in.take = take_item;
    in.store = finish_items;
    in.what = "jobs";
    if (operands[0])
        one_item(operands[0], &e);
    else
        cli_check(lines_read(&in, operands, &e), &e);
    cli_say("%llu %s, %llu too late, %llu rejected", (unsigned long long)done, what,
            (unsigned long long)stale, (unsigned long long)in.rejects.count);
    end_lines();
    return stale ? EX_TEMPFAIL : in.rejects.count ? 1 : 0;
}

int syncq_complete(char **operands)
{
    finish = finish_complete;
    return finish_jobs(operands, "completed");
}

int syncq_fail(char **operands)
{
    finish = finish_fail;
    return finish_jobs(operands, "failed");
}

int syncq_extend(char **operands)
{
    finish = finish_extend;
    return finish_jobs(operands, "extended");
}
