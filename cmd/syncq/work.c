/* syncq work: runs a command for each job.
 *
 * A slot is a supervisor, which runs one handler at a time, and what is known of
 * the job it has. The loop has two halves: in one transaction what ended is
 * recorded and free slots are filled; then it waits for whatever comes first. */
#include "base/clock.h"
#include "base/rng.h"
#include "base/stop.h"
#include "base/supervise.h"
#include "base/whole.h"
#include "core/watch.h"
#include "syncq/syncq.h"
#include "text/json.h"
#include "text/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLOTS_MAX = 256,
    RESULT_MAX = 64 * 1024,
    TAIL = 1024,            /* bytes kept of what a handler says on stderr */
    LEASE_NEARLY_MS = 5000, /* that is left when it is made longer */
    LOOK_BEFORE_MS = 1000,  /* the end of a handler's time */
    LOOK_FOR_ORPHANS_MS = 2000
};

enum slot_state { FREE, CLAIMED, RUNNING, ENDED };

struct slot {
    int64_t id, timeout_ms;
    int64_t lease_until; /* boot ms */
    int64_t look_at;     /* boot ms: has the handler asked for more time? 0: not again */
    const char *lost;    /* why there is no end to judge by, or NULL */
    struct buf result, tail;
    char *env[8];
    enum slot_state state;
    int in; /* a file in memory, of the payload */
    int out[2], err[2];
    struct task_end end;
    bool cut; /* the result is longer than is kept */
    char token[QUEUE_TOKEN];
};

static struct slot slots[SLOTS_MAX];
static struct supervisor supervisors[SLOTS_MAX];
static size_t slot_count;
static char **command;
static struct lockfile work_lock, look_lock;
static struct watch watch;
static struct claim claim;
static struct err fault;

static uint64_t completed, failed, released, claimed_in_all;
static int64_t look_for_orphans; /* boot ms: what a dead worker may have left */
static bool look = true;         /* something may be ready */
static int ends_with;            /* the worker cannot go on: its exit status */
static int64_t grace_ends;       /* boot ms, once a signal asked to stop */

/* --- slots -------------------------------------------------------------- */

static int open_slot(size_t i)
{
    struct slot *s = &slots[i];

    supervisors[i].fd = -1;
    s->in = memfd_create("payload", MFD_CLOEXEC);
    if (s->in < 0 || pipe2(s->out, O_CLOEXEC) || pipe2(s->err, O_CLOEXEC) ||
        fcntl(s->out[0], F_SETFL, O_NONBLOCK) || fcntl(s->err[0], F_SETFL, O_NONBLOCK))
        return err_sys(&fault, EX_TEMPFAIL, "unable to make the streams of a handler");
    return supervisor_open(&supervisors[i], work_lock.fd, &fault);
}

static size_t free_slots(void)
{
    size_t n = 0;

    for (size_t i = 0; i < slot_count; i++)
        n += slots[i].state == FREE;
    return n;
}

static bool any_in(enum slot_state state)
{
    for (size_t i = 0; i < slot_count; i++)
        if (slots[i].state == state)
            return true;
    return false;
}

static void free_environment(struct slot *s)
{
    for (size_t i = 0; i < sizeof s->env / sizeof *s->env; i++) {
        free(s->env[i]);
        s->env[i] = NULL;
    }
}

static void close_slots(void)
{
    /* All of them end what they have at the same time. */
    for (size_t i = 0; i < slot_count; i++)
        supervisor_leave(&supervisors[i]);
    for (size_t i = 0; i < slot_count; i++) {
        supervisor_close(&supervisors[i]);
        free_environment(&slots[i]);
        buf_free(&slots[i].result);
        buf_free(&slots[i].tail);
    }
}

/* --- claiming ----------------------------------------------------------- */

static int write_payload(struct slot *s, struct span payload)
{
    if (ftruncate(s->in, 0) || lseek(s->in, 0, SEEK_SET) < 0)
        return -1;
    if (whole_write(s->in, payload.p, payload.n) || whole_write(s->in, "\n", 1))
        return -1;
    return lseek(s->in, 0, SEEK_SET) ? -1 : 0;
}

static int set(char **entry, const char *name, struct span v)
{
    return asprintf(entry, "%s=%.*s", name, (int)v.n, v.p ? v.p : "") < 0 ? -1 : 0;
}

static int make_environment(struct slot *s, const struct job *j)
{
    char id[24], attempt[24];

    free_environment(s);
    snprintf(id, sizeof id, "%lld", (long long)j->id);
    snprintf(attempt, sizeof attempt, "%lld", (long long)j->attempt);
    return set(&s->env[0], "SYNCQ_ID", span_of(id)) ||
                   set(&s->env[1], "SYNCQ_ATTEMPT", span_of(attempt)) ||
                   set(&s->env[2], "SYNCQ_TYPE", j->type) ||
                   set(&s->env[3], "SYNCQ_QUEUE", j->queue) ||
                   set(&s->env[4], "SYNCQ_TOKEN", span_of(j->token)) ||
                   set(&s->env[5], "IDEMPOTENCY_KEY", j->idempotency_key) ||
                   set(&s->env[6], "LIFEBOAT_DB", span_of(cli.db))
               ? -1
               : 0;
}

static int take_job(void *ctx, const struct job *j, struct err *e)
{
    struct slot *s = slots;

    (void)ctx;
    while (s->state != FREE)
        s++;
    if (make_environment(s, j))
        return err_memory(e);
    if (write_payload(s, j->payload))
        return err_sys(e, EX_TEMPFAIL, "unable to keep the payload of job %lld in memory",
                       (long long)j->id);
    s->state = CLAIMED;
    s->id = j->id;
    s->timeout_ms = j->timeout_s * 1000;
    s->lease_until = clock_boot_ms() + s->timeout_ms + QUEUE_HOLDER_MS;
    s->look_at = s->lease_until - QUEUE_HOLDER_MS - LOOK_BEFORE_MS;
    memcpy(s->token, j->token, QUEUE_TOKEN);
    return 0;
}

/* A supervisor that was killed while it had nothing to do is no job's fault. */
static int run_supervised(size_t i, const struct task *t, struct err *e)
{
    for (int tries = 0; tries < 2; tries++) {
        if (supervisors[i].fd < 0 && supervisor_open(&supervisors[i], work_lock.fd, e))
            return -1;
        if (!supervisor_run(&supervisors[i], t, e))
            return 0;
        supervisor_close(&supervisors[i]);
    }
    return -1;
}

static void start(size_t i)
{
    struct slot *s = &slots[i];
    const struct task t = {command, s->env, {s->in, s->out[1], s->err[1]}, s->timeout_ms};
    struct err e = ERR_NONE;

    buf_clear(&s->result);
    buf_clear(&s->tail);
    s->end = (struct task_end){0};
    s->cut = false;
    s->lost = NULL;
    s->state = RUNNING;
    if (run_supervised(i, &t, &e)) {
        cli_warn("job %lld: %s", (long long)s->id, e.msg);
        s->lost = "it could not be started";
        s->state = ENDED;
    }
}

/* --- the end of a handler ----------------------------------------------- */

/* JSON is kept as it is, all else as a string. */
static int result_of(struct slot *s, struct buf *out)
{
    struct json json = {0};
    struct json_value v;
    struct span text = buf_span(&s->result);
    int rc = 0;

    while (text.n && strchr(" \t\r\n", text.p[text.n - 1]))
        text.n--;
    if (!text.n) {
        json_end(&json);
        return 0;
    }
    if (!s->cut && !json_whole(&json, text, &v)) {
        rc = json_compact(v.raw, out);
    } else {
        struct buf clean = {0};

        rc = utf8_mend(text, 4 * text.n, &clean) || json_quote(buf_span(&clean), out) ? -1 : 0;
        buf_free(&clean);
    }
    json_end(&json);
    return rc;
}

/* The last line a handler said on stderr that is not empty. */
static struct span last_line(const struct buf *tail)
{
    struct span s = buf_span(tail);
    size_t begin;

    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    for (begin = s.n; begin && s.p[begin - 1] != '\n'; begin--)
        ;
    return (struct span){s.p + begin, s.n - begin};
}

static struct span why_of(const struct slot *s, struct buf *text)
{
    struct span said = last_line(&s->tail);

    if (s->lost)
        buf_adds(text, s->lost);
    else if (s->end.timed_out)
        buf_printf(text, "timed out after %lld s", (long long)(s->timeout_ms / 1000));
    else if (s->end.error)
        buf_printf(text, "unable to run %s: %s", command[0], strerror(s->end.error));
    else if (s->end.signal)
        buf_printf(text, "ended by signal %d", s->end.signal);
    else
        buf_printf(text, "exit status %d", s->end.status);
    if (said.n && !s->lost && !s->end.error) {
        buf_adds(text, ": ");
        buf_add(text, said.p, said.n);
    }
    return buf_span(text);
}

/* design: a handler's exit */
static enum queue_failure kind_of(const struct slot *s)
{
    if (s->lost) /* with its supervisor, or it was never begun */
        return s->end.signal ? QUEUE_CRASH : QUEUE_RELEASE;
    if (s->end.stopped)
        return QUEUE_RELEASE;
    if (s->end.timed_out)
        return QUEUE_RETRY;
    if (s->end.signal)
        return QUEUE_CRASH;
    switch (s->end.status) {
    case EX_USAGE:
    case EX_DATAERR:
    case 100:
        return QUEUE_DEAD;
    case EX_CONFIG:
    case 126:
    case 127:
        return QUEUE_RELEASE;
    default:
        return QUEUE_RETRY;
    }
}

static int record_completed(struct slot *s, struct err *e)
{
    struct buf result = {0};
    int rc;

    if (result_of(s, &result)) {
        buf_free(&result);
        return err_memory(e);
    }
    rc = queue_complete(&queue, s->id, span_of(s->token),
                        result.len ? buf_span(&result) : (struct span){NULL, 0}, e);
    buf_free(&result);
    return rc;
}

static bool went_well(const struct slot *s)
{
    return !s->lost && !s->end.status && !s->end.timed_out && !s->end.stopped;
}

/* --- the transaction ---------------------------------------------------- */

/* What is to be said of a job once its end is committed; its slot may have the
 * next one by then. */
struct verdict {
    int64_t id; /* 0: of none */
    enum queue_failure how;
    bool fresh, begun, well, stopped, cut;
    struct buf why;
};

static bool wanted_more(void)
{
    return !stop_signal() && !ends_with && !(opt.once && claimed_in_all);
}

static int record(struct slot *s, struct verdict *v, struct err *e)
{
    struct span why = why_of(s, &v->why);
    int rc;

    v->id = s->id;
    v->well = went_well(s);
    v->how = kind_of(s);
    v->begun = !s->lost;
    v->stopped = s->end.stopped;
    v->cut = s->cut;
    rc = v->well ? record_completed(s, e)
                 : queue_fail(&queue, s->id, span_of(s->token), v->how, why, e);
    v->fresh = rc == 1;
    s->state = FREE;
    return rc < 0 ? -1 : 0;
}

static void tell(const struct verdict *v)
{
    if (!v->fresh)
        cli_warn("job %lld: its lease was over when it ended: nothing was recorded",
                 (long long)v->id);
    else if (v->well)
        completed++;
    else if (v->how == QUEUE_RELEASE)
        released++;
    else
        failed++;
    if (!v->well)
        cli_warn("job %lld: %.*s", (long long)v->id, (int)v->why.len, v->why.data);
    if (v->cut)
        cli_warn("job %lld: it printed more than %d bytes: the rest was dropped", (long long)v->id,
                 RESULT_MAX);
    if (v->how == QUEUE_RELEASE && !v->well && !v->stopped)
        ends_with = v->begun ? EX_CONFIG : EX_TEMPFAIL;
}

static int claim_some(struct err *e)
{
    int n = opt.once ? 1 : (int)free_slots();

    if (clock_boot_ms() >= look_for_orphans) {
        if (queue_reap(&queue, claim.queue, &look_lock, e) < 0)
            return -1;
        look_for_orphans = clock_boot_ms() + LOOK_FOR_ORPHANS_MS;
    }
    n = queue_claim(&queue, &claim, n, e);
    claimed_in_all += n > 0 ? (uint64_t)n : 0;
    return n < 0 ? -1 : 0;
}

static int record_and_claim(struct verdict *verdicts, struct err *e)
{
    if (queue_begin(&queue, e))
        return -1;
    for (size_t i = 0; i < slot_count; i++)
        if (slots[i].state == ENDED && record(&slots[i], &verdicts[i], e))
            return -1;
    if (wanted_more() && free_slots() && claim_some(e))
        return -1;
    return queue_commit(&queue, e);
}

/* Records what ended and fills what is free. */
static int turn(struct err *e)
{
    static struct verdict verdicts[SLOTS_MAX];

    if (record_and_claim(verdicts, e)) {
        queue_rollback(&queue);
        return -1;
    }
    for (size_t i = 0; i < slot_count; i++)
        if (slots[i].state == CLAIMED)
            start(i);
    for (size_t i = 0; i < slot_count; i++) {
        if (verdicts[i].id)
            tell(&verdicts[i]);
        verdicts[i].id = 0;
        buf_clear(&verdicts[i].why);
    }
    return 0;
}

/* --- waiting ------------------------------------------------------------ */

static void keep_tail(struct buf *tail, const char *p, size_t n)
{
    if (n > TAIL) {
        p += n - TAIL;
        n = TAIL;
    }
    if (tail->len + n > TAIL) {
        size_t drop = tail->len + n - TAIL;

        memmove(tail->data, tail->data + drop, tail->len - drop);
        tail->len -= drop;
    }
    buf_add(tail, p, n); /* what does not fit into memory is not explained */
}

/* Takes in what a handler has printed so far. */
static void read_streams(struct slot *s)
{
    char block[65536];
    ssize_t n;

    while ((n = read(s->out[0], block, sizeof block)) > 0) {
        size_t room = RESULT_MAX - s->result.len, keep = (size_t)n < room ? (size_t)n : room;

        if (buf_add(&s->result, block, keep) || keep < (size_t)n)
            s->cut = true;
    }
    while ((n = read(s->err[0], block, sizeof block)) > 0) {
        keep_tail(&s->tail, block, (size_t)n);
        whole_write(STDERR_FILENO, block, (size_t)n); /* nobody reads it: silence */
    }
}

static void take_end(size_t i)
{
    struct slot *s = &slots[i];
    struct err e = ERR_NONE;

    if (supervisor_result(&supervisors[i], &s->end, &e)) {
        s->lost = "its supervisor was killed";
        s->end.signal = SIGKILL;
        supervise_orphans(supervisors, slot_count);
    }
    read_streams(s);
    s->state = ENDED;
}

/* The handler has had its lease extended: it may go on till QUEUE_HOLDER_MS before
 * the end of that. */
static int grant(size_t i, struct err *e)
{
    struct slot *s = &slots[i];
    int64_t until = queue_lease(&queue, s->id, span_of(s->token), e);

    s->look_at = 0;
    if (until < 0)
        return -1;
    if (until <= s->lease_until)
        return 0;
    s->timeout_ms += until - s->lease_until;
    s->lease_until = until;
    s->look_at = until - QUEUE_HOLDER_MS - LOOK_BEFORE_MS;
    supervisor_allow(&supervisors[i], until - QUEUE_HOLDER_MS - clock_boot_ms());
    return 0;
}

static int lengthen(struct slot *s, struct err *e)
{
    if (queue_begin(&queue, e))
        return -1;
    if (queue_extend(&queue, s->id, span_of(s->token), 0, e) < 0 || queue_commit(&queue, e)) {
        queue_rollback(&queue);
        return -1;
    }
    s->lease_until = clock_boot_ms() + QUEUE_HOLDER_MS;
    return 0;
}

/* Handlers that want more time, and ones that are still being ended when their
 * lease is nearly over. */
static int look_after_leases(struct err *e)
{
    for (size_t i = 0; i < slot_count; i++) {
        struct slot *s = &slots[i];

        if (s->state != RUNNING)
            continue;
        if (s->look_at && s->look_at <= clock_boot_ms() && grant(i, e))
            return -1;
        if (s->lease_until - clock_boot_ms() <= LEASE_NEARLY_MS && lengthen(s, e))
            return -1;
    }
    return 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* How long nothing has to be done but what descriptors say; -1: no end. Sets
 * look when there is something to claim now. */
static int64_t time_to_wait(struct err *e)
{
    int64_t in_ms = -1, wait = -1;

    for (size_t i = 0; i < slot_count; i++)
        if (slots[i].state == RUNNING) {
            const struct slot *s = &slots[i];
            int64_t next = s->look_at ? s->look_at : s->lease_until - LEASE_NEARLY_MS;

            wait = sooner(wait, next > clock_boot_ms() ? next - clock_boot_ms() : 0);
        }
    if (grace_ends)
        wait = sooner(wait, grace_ends - clock_boot_ms());
    if (wanted_more() && free_slots()) {
        int ready = queue_ready(&queue, &claim, &in_ms, e), orphans;

        orphans = ready < 0 ? -1 : queue_orphaned(&queue, claim.queue, &look_lock, claim.holder, e);
        if (orphans < 0)
            return -2;
        if (orphans == 2)
            look_for_orphans = 0;
        look = ready == 1 || in_ms == 0 || orphans == 2;
        wait = sooner(wait, in_ms);
        if (orphans == 1)
            wait = sooner(wait, LOOK_FOR_ORPHANS_MS);
    }
    return look || any_in(ENDED) || wait < -1 ? 0 : wait;
}

/* Waits until a handler has printed or ended, the store has changed, a signal
 * has come or the time is over. */
static int wait_for_something(int64_t ms, struct err *e)
{
    struct pollfd p[3 * SLOTS_MAX + 1];
    size_t n = 0, of[3 * SLOTS_MAX];

    for (size_t i = 0; i < slot_count; i++) {
        const int fds[3] = {supervisors[i].fd, slots[i].out[0], slots[i].err[0]};

        for (int k = 0; k < 3 && slots[i].state == RUNNING; k++) {
            of[n] = i;
            p[n++] = (struct pollfd){.fd = fds[k], .events = POLLIN};
        }
    }
    p[n] = (struct pollfd){.fd = watch.fd, .events = wanted_more() && free_slots() ? POLLIN : 0};
    if ((stop_signal() ? poll(p, (nfds_t)n + 1, ms > INT_MAX ? -1 : (int)ms)
                       : stop_poll(p, n + 1, ms)) < 0)
        return errno == EINTR ? 0 : err_sys(e, EX_TEMPFAIL, "unable to wait for handlers");
    for (size_t k = 0; k < n; k++) {
        if (!p[k].revents || slots[of[k]].state != RUNNING)
            continue;
        if (k % 3 == 0)
            take_end(of[k]);
        else
            read_streams(&slots[of[k]]);
    }
    if (p[n].revents)
        watch_clear(&watch);
    return 0;
}

/* --- stopping ----------------------------------------------------------- */

/* After a signal: what runs has its grace, then it is ended and given back. */
static void wind_up(void)
{
    if (!stop_signal() || !any_in(RUNNING))
        return;
    if (!grace_ends) {
        grace_ends = clock_boot_ms() + opt.grace_ms;
        cli_say("stopping: %zu running, %lld s to end", slot_count - free_slots(),
                (long long)(opt.grace_ms / 1000));
    }
    if (clock_boot_ms() < grace_ends)
        return;
    for (size_t i = 0; i < slot_count; i++)
        if (slots[i].state == RUNNING)
            supervisor_stop(&supervisors[i]);
    grace_ends = INT64_MAX;
}

static bool at_the_end(void)
{
    if (any_in(RUNNING) || any_in(ENDED))
        return false;
    if (!wanted_more())
        return true;
    return !look && (opt.drain || opt.once);
}

static int work(struct err *e)
{
    for (;;) {
        int64_t ms;

        wind_up();
        if (look_after_leases(e))
            return -1;
        if ((look && wanted_more() && free_slots()) || any_in(ENDED)) {
            look = false;
            if (turn(e))
                return -1;
        }
        ms = time_to_wait(e);
        if (ms < -1)
            return -1;
        if (at_the_end())
            return 0;
        if (wait_for_something(ms, e))
            return -1;
    }
}

/* --- the command -------------------------------------------------------- */

/* A byte of FILE-work that says, as long as it is locked, that this worker or one
 * of its supervisors is there. */
static int take_holder(struct err *e)
{
    uint64_t random;
    int rc = 0;

    if (lockfile_open(&work_lock, cli.db, "work", e) ||
        lockfile_open(&look_lock, cli.db, "work", e))
        return -1;
    while (!rc) {
        if (rng_bytes(&random, sizeof random, e))
            return -1;
        claim.holder = (int64_t)(random >> 2) + 1;
        rc = lockfile_take(&work_lock, claim.holder, 0, e);
    }
    return rc < 0 ? -1 : 0;
}

static void end_worker(void)
{
    close_slots();
    store_close(&store);
}

int syncq_work(char **operands)
{
    struct err e = ERR_NONE;

    claim = (struct claim){.queue = job_queue_operand(operands[0]),
                           .types = opt.types,
                           .type_count = opt.type_count,
                           .each = take_job};
    command = operands + 1;
    open_queue(STORE_CREATE);
    cli_on_exit(end_worker);
    cli_check(take_holder(&e), &e);
    for (; slot_count < (size_t)opt.slots; slot_count++)
        cli_check(open_slot(slot_count), &fault);
    cli_check(watch_open(&watch, &store, &e), &e);
    cli_check(work(&e), &e);
    watch_close(&watch);
    close_slots();
    cli_say("%s: %llu completed, %llu failed, %llu given back", operands[0],
            (unsigned long long)completed, (unsigned long long)failed,
            (unsigned long long)released);
    lockfile_close(&work_lock);
    lockfile_close(&look_lock);
    return ends_with ? ends_with : opt.once && !claimed_in_all ? 1 : 0;
}
