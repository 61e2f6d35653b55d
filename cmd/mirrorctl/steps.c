/* steps: what mirrorctl does is noted, what fails is made known. */
#include "base/clock.h"
#include "base/made.h"
#include "base/whole.h"
#include "cli/cli.h"
#include "cli/notify.h"
#include "mirrorctl/mirrorctl.h"
#include "text/json.h"
#include "text/rfc3339.h"
#include "text/show.h"
#include "text/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 10000 };

static const char *command;
static bool told_of_log; /* one complaint about the log is enough */
static bool for_stderr;  /* failures are, alone */

void steps_of(const char *name, bool quiet)
{
    command = name;
    for_stderr = quiet;
    openlog("mirrorctl", LOG_PID, LOG_DAEMON);
}

/* --- mirrorctl.log --------------------------------------------------------- */

static int write_line(const char *path, const struct buf *line)
{
    int fd = made_open(path, O_WRONLY | O_APPEND, 0640);
    int rc = fd < 0 || whole_write(fd, line->data, line->len) ? -1 : 0;

    if (fd >= 0 && close(fd))
        rc = -1;
    return rc;
}

static void log_line(const char *name, const char *result)
{
    struct buf line = {0};
    char when[32], path[PATH_MAX];

    if (!conf.logs_dir || for_stderr)
        return;
    rfc3339_format(clock_now_ms(), when);
    snprintf(path, sizeof path, "%s/mirrorctl.log", conf.logs_dir);
    if ((buf_printf(&line, "%s %s %s: ", when, command, name) ||
         show_text(span_of(result), true, &line) || buf_addc(&line, '\n') ||
         write_line(path, &line)) &&
        !told_of_log) {
        told_of_log = true;
        cli_warn("unable to write to %s: %s", path, strerror(errno));
    }
    buf_free(&line);
}

/* --- notification ---------------------------------------------------------- */

static void tell(const char *name, const struct err *e)
{
    struct buf json = {0}, why = {0};
    struct err own = ERR_NONE;

    /* It may be what another program said, in any coding, cut anywhere. */
    if (!utf8_mend(span_of(e->msg), sizeof e->msg, &why) &&
        !buf_printf(&json, "{\"command\":\"%s\",\"step\":\"%s\",\"status\":%d,\"error\":", command,
                    name, e->status) &&
        !json_quote(buf_span(&why), &json) && !buf_addc(&json, '}') &&
        notify("mirrorctl-failed", buf_span(&json), &own) < 0)
        cli_warn("nobody is told: %s", own.msg);
    buf_free(&why);
    buf_free(&json);
}

/* --- steps ----------------------------------------------------------------- */

int step(const char *name, int rc, const struct err *e)
{
    char text[sizeof e->msg + 32];

    if (rc >= 0) {
        log_line(name, "ok");
        return rc;
    }
    cli_warn("%s", e->msg);
    if (for_stderr)
        return rc;
    snprintf(text, sizeof text, "failed (%d): %s", e->status, e->msg);
    log_line(name, text);
    syslog(LOG_ERR, "%s: %s: %s (exit status %d)", command, name, e->msg, e->status);
    tell(name, e);
    return rc;
}

void step_note(const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_line(name, text);
}

/* --- alone ----------------------------------------------------------------- */

int take_lock(struct lockfile *l, int64_t at, struct err *e)
{
    char path[PATH_MAX];
    int rc;

    snprintf(path, sizeof path, "%s/mirrorctl", conf.status_dir);
    if (lockfile_open(l, path, "lock", e))
        return -1;
    rc = lockfile_take(l, at, conf.timeout < LOCK_WAIT_MS ? conf.timeout : LOCK_WAIT_MS, e);
    if (!rc)
        rc = err_set(e, EX_TEMPFAIL, "another mirrorctl is at work (it holds %s); try again later",
                     l->name);
    if (rc < 0)
        lockfile_close(l);
    return rc < 0 ? -1 : 0;
}
