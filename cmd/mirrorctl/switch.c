/* switch: mirrorctl enable and disable. */
#include "base/clock.h"
#include "cli/cli.h"
#include "mirrorctl/mirrorctl.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* What was begun is ended or undone; each step has its own limit of time. */
static void hold_signals(void)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, NULL);
}

/* --- the ledger -------------------------------------------------------------- */

static const char *zone_of(const struct ledger *l, char here[static ZONE_NAME])
{
    if (l->zone[0])
        return l->zone;
    zone_here(here);
    return here;
}

/* The lock is ours. was: what had been noted last; where nothing is added, what. */
static int append(enum ledger_result what, enum ledger_result *was, struct err *e)
{
    char here[ZONE_NAME];
    struct ledger l;
    struct ledger_entry en = {.result = what, .ts_ms = clock_now_ms()};

    if (ledger_read(conf.status_dir, &l, e))
        return -1;
    en.zone = zone_of(&l, here);
    if (what == LEDGER_DISABLED && l.turned == what)
        return 0; /* it is off already */
    if (ledger_append(conf.status_dir, &en, e))
        return -1;
    *was = l.turned;
    return ledger_read(conf.status_dir, &l, e) || ledger_count(conf.status_dir, &l, en.ts_ms, e)
               ? -1
               : 0;
}

static int note(enum ledger_result what, enum ledger_result *was, struct err *e)
{
    struct lockfile l;
    int rc = ledger_lock(&l, conf.status_dir, conf.timeout, e);

    *was = what;
    if (rc < 0)
        return -1;
    rc = rc ? append(what, was, e)
            : err_set(e, EX_TEMPFAIL,
                      "%s: a comparison is at work; try again when it has ended (systemctl status "
                      "mirror-compare)",
                      conf.status_dir);
    ledger_unlock(&l);
    return rc;
}

/* --- enable ------------------------------------------------------------------ */

static int endpoint_of(struct span text, char *url, size_t room, struct err *e)
{
    struct json_value v;
    struct buf scratch = {0};
    struct span s = {NULL, 0};
    int rc = handheld_member(text, SPAN("mirror_endpoint"), &v, e);

    if (rc < 0)
        return -1;
    if (rc && v.kind == JSON_STRING)
        s = json_text(&v, &scratch);
    if (!s.p || !s.n || s.n >= room || memchr(s.p, '\0', s.n))
        rc = err_set(e, EX_CONFIG,
                     "%s: has no mirror_endpoint; add the new server's address to it, such as "
                     "\"mirror_endpoint\": \"http://raspi-server.local:8501/api/v1/scans\"",
                     handheld_name());
    else
        snprintf(url, room, "%.*s", (int)s.n, s.p);
    buf_free(&scratch);
    return rc < 0 ? -1 : 0;
}

static int reach(struct push *p, struct err *e)
{
    char url[2048];

    if (step("read the handheld", handheld_read(conf.timeout, &p->before, e), e) ||
        step("mirror_endpoint", endpoint_of(buf_span(&p->before), url, sizeof url, e), e))
        return -1;
    return step("ask the endpoint", endpoint_check(url, e), e);
}

static void undo_push(struct push *p)
{
    struct err e = ERR_NONE;

    if (!p->done)
        return;
    if (push_undo(p, &e)) {
        step("undo: handheld", -1, &e);
        cli_warn("NOT UNDONE: the handheld may go on mirroring. Set \"mirror_mode\": false in %s "
                 "by hand, or run mirrorctl disable when it is reached again",
                 handheld_name());
    } else {
        step("undo: handheld", 0, &e);
        cli_warn("undone: %s is as it was", handheld_name());
    }
}

static void undo_ledger(enum ledger_result was)
{
    struct err e = ERR_NONE;

    if (was == LEDGER_ENABLED)
        return;
    if (step("undo: ledger", note(LEDGER_DISABLED, &was, &e), &e))
        cli_warn("NOT UNDONE: the ledger in %s says ENABLED; run mirrorctl disable",
                 conf.status_dir);
}

static void undo_timer(bool was_on)
{
    struct err e = ERR_NONE;

    if (!was_on)
        step_note("undo: timer", "%s", timer_switch(false, &e) ? e.msg : "ok");
}

/* From here on a step that fails takes the earlier ones back. */
static int turn_on(struct push *p, struct err *e)
{
    enum ledger_result was;
    int on;

    if (step("push mirror_mode", push_mode(p, true, false, e), e)) {
        undo_push(p);
        return -1;
    }
    if (step("ledger", note(LEDGER_ENABLED, &was, e), e)) {
        undo_ledger(was); /* the line may stand there, and only the counter not */
        undo_push(p);
        return -1;
    }
    on = timer_enabled(e);
    if (step("timer", on < 0 ? -1 : timer_switch(true, e), e)) {
        undo_timer(on != 0);
        undo_ledger(was);
        undo_push(p);
        return -1;
    }
    return 0;
}

int mirror_enable(void)
{
    struct err e = ERR_NONE;
    struct push p = {0};
    struct lockfile lock;
    int rc;

    if (step("lock", take_lock(&lock, LOCK_SWITCH, &e), &e))
        return e.status;
    rc = reach(&p, &e);
    if (!rc) {
        hold_signals();
        rc = turn_on(&p, &e);
    }
    if (!rc)
        cli_say("enabled: %s has mirror_mode true, %s is on; %d equal days are to come",
                handheld_name(), conf.timer, STREAK_TARGET);
    push_free(&p);
    lockfile_close(&lock);
    return rc ? e.status : 0;
}

/* --- disable ------------------------------------------------------------------ */

static int let_go(struct push *p, struct err *e)
{
    if (handheld_read(conf.timeout, &p->before, e))
        return -1;
    return push_mode(p, false, opt.remove_endpoint, e);
}

/* All of it is tried, whatever fails: here everything is to stop. */
static int turn_off(void)
{
    struct err e = ERR_NONE;
    struct push p = {0};
    enum ledger_result was;
    int status = 0;

    if (step("push mirror_mode", let_go(&p, &e), &e)) {
        status = e.status;
        cli_warn("the handheld goes on as it is: run this again when it is reached, or set "
                 "\"mirror_mode\": false in %s by hand. The rest is stopped now",
                 handheld_name());
    }
    push_free(&p);
    if (step("timer", timer_switch(false, &e), &e) && !status)
        status = e.status;
    if (step("ledger", note(LEDGER_DISABLED, &was, &e), &e) && !status)
        status = e.status;
    if (step("rotate", rotate_logs(&e), &e) && !status)
        status = e.status;
    return status;
}

int mirror_disable(void)
{
    struct err e = ERR_NONE;
    struct lockfile lock;
    int status;

    if (step("lock", take_lock(&lock, LOCK_SWITCH, &e), &e))
        return e.status;
    hold_signals();
    status = turn_off();
    if (!status)
        cli_say("disabled: %s has mirror_mode false%s, %s is off, the logs are archived",
                handheld_name(), opt.remove_endpoint ? " and no mirror_endpoint" : "", conf.timer);
    lockfile_close(&lock);
    return status;
}
