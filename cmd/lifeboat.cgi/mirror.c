#include "lifeboat.cgi/mirror.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "text/json.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIRROR_LOG "/srv/rpi-server/logs/mirror_requests.log"

/* --- the log of requests ------------------------------------------------ */

static int put_line(const struct exchange *x, struct span device, struct span payload, int64_t ms,
                    struct buf *out)
{
    char when[32];

    rfc3339_format(clock_now_ms(), when);
    if (buf_printf(out, "{\"timestamp\":\"%s\",\"device_id\":", when) || json_quote(device, out) ||
        buf_adds(out, ",\"payload\":") || buf_add(out, payload.p, payload.n) ||
        buf_printf(out, ",\"response_ms\":%lld,\"status\":200", (long long)ms))
        return -1;
    if (x->rq.primary_ms >= 0 &&
        buf_printf(out, ",\"primary_ms\":%lld", (long long)x->rq.primary_ms))
        return -1;
    return buf_adds(out, "}\n");
}

/* One write, into a file opened for it alone: one that was rotated meanwhile is left. */
void mirror_log_scan(const struct exchange *x, struct span device, struct span payload, int64_t ms)
{
    const char *path = settings_get("MIRROR_LOG");
    struct buf line = {0};
    int fd;

    if (!path)
        path = MIRROR_LOG;
    fd = (int)TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (fd < 0) {
        /* Without the folder nobody has asked for it. */
        if (errno != ENOENT || settings_get("MIRROR_LOG"))
            cli_warn("unable to open %s: %s", path, strerror(errno));
        return;
    }
    if (put_line(x, device, payload, ms, &line) ||
        TEMP_FAILURE_RETRY(write(fd, line.data, line.len)) != (ssize_t)line.len)
        cli_warn("unable to write to %s: %s", path, strerror(errno));
    close(fd);
    buf_free(&line);
}

/* --- the state ---------------------------------------------------------- */

static int put_days(const struct ledger *l, int64_t now, struct buf *out)
{
    int64_t today = ledger_today(l, now);

    for (int64_t day = today - STREAK_TARGET + 1; day <= today; day++) {
        char date[LEDGER_DATE];

        ledger_date(day, date);
        if (buf_printf(out, "%s{\"day\":\"%s\",\"result\":\"%s\"}",
                       day > today - STREAK_TARGET + 1 ? "," : "", date,
                       ledger_result_name(ledger_of_day(l, day))))
            return -1;
    }
    return 0;
}

static int put_ledger(const struct ledger *l, struct buf *out)
{
    int64_t now = clock_now_ms();

    if (buf_printf(out, "{\"enabled\":%s,\"streak\":%d,\"target\":%d,\"last_result\":",
                   l->turned == LEDGER_DISABLED ? "false" : "true", ledger_streak(l, now),
                   STREAK_TARGET))
        return -1;
    if (l->last == LEDGER_NONE ? buf_adds(out, "null,\"last_at\":null")
                               : buf_printf(out, "\"%s\",\"last_at\":%lld",
                                            ledger_result_name(l->last), (long long)l->last_ms))
        return -1;
    return buf_adds(out, ",\"days\":[") || put_days(l, now, out) || buf_adds(out, "]}") ? -1 : 0;
}

int mirror_ledger(struct ledger *l, struct err *e)
{
    return ledger_read(settings_get("MIRROR_DIR"), l, e);
}

int mirror_put(struct buf *out, char problem[static 256])
{
    struct err e = ERR_NONE;
    struct ledger l;

    problem[0] = '\0';
    if (mirror_ledger(&l, &e)) {
        snprintf(problem, 256, "the mirror: %s", e.msg);
        return buf_adds(out, "null");
    }
    if (l.unreadable)
        snprintf(problem, 256, "the mirror: line %lld of its ledger cannot be read",
                 (long long)l.first_unreadable);
    return l.lines ? put_ledger(&l, out) : buf_adds(out, "null");
}
