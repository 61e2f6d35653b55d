#include "cli/once.h"

#include "base/clock.h"
#include "base/spool.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "core/tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often who waits looks whether the result is there. */
enum { LOOK_MS = 100, SHOWN = 1 << 18 };

/* --- which statuses ----------------------------------------------------- */

static int parse_status(const char **at)
{
    char *end;
    long n = strtol(*at, &end, 10);

    if (end == *at || **at < '0' || **at > '9' || n >= ONCE_STATUSES)
        return -1;
    *at = end;
    return (int)n;
}

int once_parse_keep(const char *text, bool keep[static ONCE_STATUSES])
{
    memset(keep, 0, ONCE_STATUSES * sizeof *keep);
    if (!strcmp(text, "all")) {
        memset(keep, 1, ONCE_STATUSES * sizeof *keep);
        return 0;
    }
    for (;;) {
        int from = parse_status(&text), to = from;

        if (from >= 0 && *text == '-') {
            text++;
            to = parse_status(&text);
        }
        if (from < 0 || to < from)
            return -1;
        for (int n = from; n <= to; n++)
            keep[n] = true;
        if (!*text)
            return 0;
        if (*text++ != ',')
            return -1;
    }
}

/* --- whose turn --------------------------------------------------------- */

static int show_part(void *ctx, struct span part, struct err *e)
{
    (void)ctx;
    (void)e;
    cli_put(part.p, part.n);
    return 0;
}

static void count(const struct once *o, enum tally_what what)
{
    struct tally t = {0};

    t.n[what] = 1;
    tally_add(o->st->path, &t);
}

static const char *key_text(const struct once *o, char room[static 300])
{
    snprintf(room, 300, "%.*s", (int)o->key.key.n, o->key.key.p);
    return room;
}

static int stopped(const struct once *o, struct err *e)
{
    char key[300];

    return err_set(e, EX_TEMPFAIL, "%s: stopped", key_text(o, key));
}

/* Is the key, with its result or in flight, of another fingerprint? */
static bool is_other(struct once *o, const struct run_row *row)
{
    char key[300];

    if (row->state == RUN_NONE || !*o->fingerprint || !strcmp(o->fingerprint, row->fingerprint))
        return false;
    if (row->over && (row->state == RUN_DONE || !lockfile_taken(&o->lock, runonce_place(o->key))))
        return false;
    cli_warn("%s: the key is in use with another fingerprint", key_text(o, key));
    o->status = ONCE_OTHER;
    return true;
}

/* 1: there is a result; it is shown. */
static int replay(struct once *o, const struct run_row *row, struct err *e)
{
    int rc;

    if (row->state != RUN_DONE || row->over)
        return 0;
    rc = runonce_replay(o->st, row, show_part, NULL, e);
    if (rc == 1) {
        count(o, TALLY_REPLAYS);
        o->status = row->exit_status;
    }
    return rc;
}

/* One more look, and one more try to get the key's byte. 1: the status is known;
 * 0: not yet, or the byte is ours now. */
static int look(struct once *o, struct run_row *row, int64_t wait_ms, struct err *e)
{
    int rc;

    if (runonce_look(o->st, o->key, row, e))
        return -1;
    if (is_other(o, row))
        return 1;
    rc = replay(o, row, e);
    if (rc || o->ours)
        return rc;
    rc = lockfile_take(&o->lock, runonce_place(o->key), wait_ms, e);
    o->ours = rc == 1;
    return rc < 0 ? -1 : 0;
}

/* 1: the status is known. 0: it is our turn; row is what was there. */
static int wait_turn(struct once *o, struct run_row *row, struct err *e)
{
    int64_t until = clock_boot_ms() + o->wait_ms;
    char key[300];

    for (;;) {
        int64_t left = until - clock_boot_ms();
        bool last = o->ours;
        int rc = look(o, row, left < 0 ? 0 : left < LOOK_MS ? left : LOOK_MS, e);

        if (rc || last)
            return rc;
        if (stop_signal())
            return stopped(o, e);
        if (!o->ours && left <= 0) {
            cli_warn("%s: still in flight after %lld ms (--wait)", key_text(o, key),
                     (long long)o->wait_ms);
            o->status = ONCE_WAITED;
            return 1;
        }
    }
}

/* What its owner left: he and his command are gone. 1: it is not for us. */
static int take_over(struct once *o, const struct run_row *row)
{
    char key[300];

    if (row->state != RUN_RUNNING || row->over)
        return 0;
    cli_warn("%s: who ran it was killed before its result was recorded; %s", key_text(o, key),
             o->no_takeover ? "it is not run again (--no-takeover)" : "it is run again");
    o->status = ONCE_FAILED;
    return o->no_takeover;
}

/* --- the flight --------------------------------------------------------- */

static int start(struct once *o, struct err *e)
{
    struct buf env = {0};
    char *list[] = {NULL, NULL};
    struct task t = {o->argv, list, {o->in, -1, STDERR_FILENO}, 0};
    int rc;

    o->spool = spool_beside(o->st->path, e);
    if (o->spool < 0)
        return -1;
    if (buf_adds(&env, "IDEMPOTENCY_KEY=") || buf_add(&env, o->key.key.p, o->key.key.n) ||
        buf_term(&env)) {
        buf_free(&env);
        return err_memory(e);
    }
    list[0] = env.data;
    t.streams[1] = o->spool;
    rc = supervisor_open(&o->supervisor, o->lock.fd, e) ||
                 runonce_begin(o->st, o->key, o->fingerprint, o->ttl_ms, &o->id, e) ||
                 supervisor_run(&o->supervisor, &t, e)
             ? -1
             : 0;
    buf_free(&env);
    return rc;
}

static int wait_for_end(struct once *o, struct task_end *end, struct err *e)
{
    struct pollfd p = {.fd = o->supervisor.fd, .events = POLLIN};

    while (stop_poll(&p, 1, -1) < 0) {
        if (errno != EINTR)
            return err_sys(e, EX_TEMPFAIL, "unable to wait for %s", o->argv[0]);
        if (!stop_signal())
            continue;
        supervisor_stop(&o->supervisor);
        break;
    }
    if (!supervisor_result(&o->supervisor, end, e))
        return 0;
    supervise_orphans(NULL, 0);
    return -1;
}

/* The key is free again; if that cannot be said, who comes next is told that its
 * owner died. */
static void forget(struct once *o)
{
    struct err e = ERR_NONE;

    if (o->id && runonce_forget(o->st, o->id, &e))
        cli_warn("%s", e.msg);
    o->id = 0;
}

static int show(struct once *o, struct err *e)
{
    char *room = malloc(SHOWN);
    ssize_t n = room ? 1 : 0;

    if (!room)
        return err_memory(e);
    for (off_t at = 0; n > 0; at += n) {
        n = TEMP_FAILURE_RETRY(pread(o->spool, room, SHOWN, at));
        if (n > 0)
            cli_put(room, (size_t)n);
    }
    free(room);
    return n < 0 ? err_sys(e, EX_IOERR, "unable to read back the output") : 0;
}

static int land(struct once *o, const struct task_end *end, struct err *e)
{
    if (end->stopped) {
        forget(o);
        return stopped(o, e);
    }
    o->status = end->status;
    if (end->error) {
        cli_warn("unable to run %s: %s", o->argv[0], strerror(end->error));
        forget(o);
        return 0;
    }
    if (end->left_behind)
        cli_say("%s left processes behind: they were ended", o->argv[0]);
    count(o, TALLY_RUNS);
    if (!o->keep[end->status & 255])
        forget(o);
    else if (runonce_record(o->st, o->id, o->spool, end->status, o->ttl_ms, e))
        return -1;
    o->id = 0;
    lockfile_close(&o->lock); /* whoever waits need not wait for our reader */
    return show(o, e);
}

static int fly(struct once *o, struct err *e)
{
    struct task_end end = {0};

    if (start(o, e) || wait_for_end(o, &end, e))
        return -1;
    supervisor_close(&o->supervisor);
    return land(o, &end, e);
}

int once_run(struct once *o, struct err *e)
{
    struct run_row row;
    int rc;

    if (lockfile_open(&o->lock, o->st->path, "run", e))
        return -1;
    rc = wait_turn(o, &row, e);
    if (!rc && !take_over(o, &row))
        rc = fly(o, e);
    if (rc >= 0)
        once_end(o);
    return rc < 0 ? -1 : o->status;
}

void once_end(struct once *o)
{
    supervisor_close(&o->supervisor);
    forget(o);
    lockfile_close(&o->lock);
    if (o->spool >= 0)
        close(o->spool);
    o->spool = -1;
}
