/* rotate: the mirror's own logs, archived. */
#include "core/rotate.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "mirrorctl/mirrorctl.h"

/* PATIENCE: who writes a line has the log open for microseconds, a comparison for its
 * whole run; that one's log is left for the next time. */
enum { PATIENCE_MS = 2000, GZIP_LIMIT_MS = 3600000 };

static void tell(const struct rotate *r)
{
    if (r->packed)
        cli_say("%s: compressed, %lld bytes to %lld", r->name, (long long)r->bytes,
                (long long)r->packed_bytes);
    if (r->in_use)
        cli_say("%s: a process has it open; it is set aside, and compressed the next time",
                r->name);
    if (r->deleted)
        cli_say("%s: %d deleted, older than %lld days", r->name, r->deleted,
                (long long)(opt.keep_ms / 86400000));
    step_note(r->name, "packed %d (%lld bytes to %lld), deleted %d, in use %d", r->packed,
              (long long)r->bytes, (long long)r->packed_bytes, r->deleted, r->in_use);
}

int rotate_logs(struct err *e)
{
    struct rotate logs[] = {{.folder = conf.logs_dir, .name = "mirror_requests.log"},
                            {.folder = conf.status_dir, .name = "mirror_diff.log"}};
    struct err own = ERR_NONE;
    struct lockfile lock;
    int rc = 0;

    if (take_lock(&lock, LOCK_ROTATE, e))
        return -1;
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        logs[i].now_ms = clock_now_ms();
        logs[i].keep_ms = opt.keep_ms;
        logs[i].wait_ms = PATIENCE_MS;
        logs[i].limit_ms = GZIP_LIMIT_MS;
        if (rotate_log(&logs[i], &own)) {
            *e = rc ? *e : own;
            rc = -1;
        }
        tell(&logs[i]);
    }
    lockfile_close(&lock);
    return rc;
}

int mirror_rotate(void)
{
    struct err e = ERR_NONE;

    return step("rotate", rotate_logs(&e), &e) ? e.status : 0;
}
