/* timer: the systemd timer of the comparison. */
#include "base/child.h"
#include "mirrorctl/mirrorctl.h"

#include <string.h>

static bool says(const struct child *c, const char *text)
{
    return strcasestr(c->complaint, text) || strcasestr(c->last_words, text);
}

static int judge(const struct child *c, const char *what, struct err *e)
{
    int status = EX_UNAVAILABLE;
    const char *hint = "";

    if (c->timed_out)
        return err_set(e, EX_UNAVAILABLE, "systemctl %s %s: not done within %lld s", what,
                       conf.timer, (long long)(conf.timeout / 1000));
    if (says(c, "denied") || says(c, "authentication required")) {
        status = EX_NOPERM;
        hint = "; run it as root";
    } else if (says(c, "does not exist") || says(c, "not found")) {
        hint = "; are the units installed, and known (systemctl daemon-reload)?";
    } else if (says(c, "booted with systemd")) {
        hint = "; there is no systemd here to run the timer";
    }
    return err_set(e, status, "systemctl %s %s: exit status %d%s%s%s", what, conf.timer, c->status,
                   c->complaint[0] ? ": " : "", c->last_words, hint);
}

int timer_switch(bool on, struct err *e)
{
    const char *verb = on ? "enable" : "disable";
    char *argv[] = {"systemctl", (char *)(uintptr_t)verb, "--now", conf.timer, NULL};
    struct child c = {.argv = argv, .limit_ms = conf.timeout};
    int rc = child_run(&c, e);

    return rc > 0 ? judge(&c, verb, e) : rc;
}

int timer_enabled(struct err *e)
{
    char *argv[] = {"systemctl", "is-enabled", "--quiet", conf.timer, NULL};
    struct child c = {.argv = argv, .limit_ms = conf.timeout};
    int rc = child_run(&c, e);

    if (c.timed_out)
        return judge(&c, argv[1], e);
    return rc > 0 ? 0 : rc < 0 ? -1 : 1;
}
