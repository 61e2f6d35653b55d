#include "lifeboat-metrics/history.h"

#include "lifeboat-metrics/done.h"

#include "base/clock.h"
#include "cli/settings.h"
#include "cli/status.h"
#include "store/overview.h"
#include "store/queueview.h"
#include "text/rfc3339.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { DAY_TEXT = 10, OPEN_FOLDERS = 8, DAY_MS = 86400000 };

/* Of the targets of backups that are folders here. */
struct backups {
    int64_t bytes, free;
    bool there, on_our_disk;
};

static int64_t walked; /* nftw hands nothing on */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)at;
    if (type == FTW_F)
        walked += st->st_size;
    return 0;
}

static void look_at_target(const char *folder, const struct store *st, struct backups *b)
{
    struct statvfs disk;
    struct stat s;
    int64_t room;

    if (stat(folder, &s) || statvfs(folder, &disk))
        return;
    walked = 0;
    nftw(folder, add_size, OPEN_FOLDERS, FTW_PHYS | FTW_MOUNT);
    room = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    b->bytes += walked;
    b->free = b->there && b->free < room ? b->free : room;
    b->there = true;
    b->on_our_disk = b->on_our_disk || s.st_dev == st->dev;
}

static int look_at_backups(const struct store *st, struct backups *b, struct err *e)
{
    char *targets = strdup(settings_get("BACKUP_TARGETS")), *rest = targets;

    if (!targets)
        return err_memory(e);
    for (char *t; (t = strtok_r(rest, " \t", &rest));)
        if (*t == '/')
            look_at_target(t, st, b);
    free(targets);
    return 0;
}

/* What ended in a day: prune leaves no more than a week of it to be asked. */
static int put_queue(const char *name, const struct view_stats *s, bool first, struct buf *out)
{
    return (!first && buf_addc(out, ',')) || json_quote(span_of(name), out) ||
           buf_printf(out,
                      ":{\"well\":%lld,\"badly\":%lld,\"retried\":%lld,\"wait_p95_ms\":%lld,"
                      "\"run_p95_ms\":%lld}",
                      (long long)s->ended_well, (long long)s->ended_badly, (long long)s->retried,
                      (long long)s->wait.p95, (long long)s->run.p95);
}

static int put_queues(struct store *st, struct buf *out, struct err *e)
{
    struct view v = {0};
    struct view_stats s;
    bool first = true;
    int rc = view_open(&v, st, e) ? -1 : view_next_queue(&v, "", e);

    if (rc >= 0 && buf_adds(out, ",\"queues\":{"))
        rc = err_memory(e);
    while (rc == 1) {
        if (view_stats(&v, span_of(v.queue.data), DAY_MS, &s, e))
            rc = -1;
        else if (put_queue(v.queue.data, &s, first, out))
            rc = err_memory(e);
        else
            rc = view_next_queue(&v, v.queue.data, e);
        first = false;
    }
    view_close(&v);
    return rc < 0 ? -1 : buf_addc(out, '}') ? err_memory(e) : 0;
}

static int put_line(struct store *st, const char *day, struct span done, struct buf *out,
                    struct err *e)
{
    struct backups b = {0};
    struct overview o;

    if (overview_read(st, &o, e) || look_at_backups(st, &b, e))
        return -1;
    if (buf_printf(out,
                   "{\"day\":\"%.*s\",\"ts\":%lld,\"events\":%lld,\"store_bytes\":%lld,"
                   "\"disk_free_bytes\":%lld,\"disk_size_bytes\":%lld",
                   DAY_TEXT, day, (long long)clock_now_ms(), (long long)o.events,
                   (long long)o.bytes, (long long)o.free_bytes, (long long)o.disk_bytes) ||
        (b.there &&
         buf_printf(out,
                    ",\"backup_bytes\":%lld,\"backup_free_bytes\":%lld,"
                    "\"backup_on_store_disk\":%s",
                    (long long)b.bytes, (long long)b.free, b.on_our_disk ? "true" : "false")))
        return err_memory(e);
    if (overview_events(st, out, e) || put_queues(st, out, e))
        return -1;
    return buf_add(out, done.p, done.n) || buf_adds(out, "}\n") ? err_memory(e) : 0;
}

/* Without the oldest of them, as far as there is one too many. */
static struct span newest(const struct buf *lines)
{
    struct span s = buf_span(lines);
    int64_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += s.p[i] == '\n';
    for (; count > HISTORY_DAYS; count--) {
        size_t n = (size_t)((const char *)memchr(s.p, '\n', s.n) - s.p) + 1;

        s = (struct span){s.p + n, s.n - n};
    }
    return s;
}

/* There it may be after other lines, or before one that was cut by a loss of power. */
static bool is_noted(const struct buf *lines, const char *day)
{
    char mark[64];

    snprintf(mark, sizeof mark, "{\"day\":\"%.*s\"", DAY_TEXT, day);
    return lines->len && memmem(lines->data, lines->len, mark, strlen(mark));
}

int history_note(struct store *st, struct err *e)
{
    struct buf lines = {0}, before = {0};
    struct done done;
    char day[32];
    int rc;

    if (clock_now_ms() < clock_build_ms())
        return 0;
    rfc3339_format(clock_now_ms(), day);
    day[DAY_TEXT] = '\0';
    rc = done_look(&done, day, &before, e) || status_read(HISTORY_FILE, &lines, e) < 0 ? -1 : 0;
    if (!rc && lines.len && lines.data[lines.len - 1] != '\n' && buf_addc(&lines, '\n'))
        rc = err_memory(e);
    if (!rc && !is_noted(&lines, day)) {
        rc = put_line(st, day, buf_span(&before), &lines, e);
        if (!rc)
            rc = status_write(HISTORY_FILE, newest(&lines), e);
    }
    /* The line has the counts of the day before; only then may they begin anew. */
    if (!rc)
        rc = done_keep(&done, e);
    buf_free(&before);
    buf_free(&lines);
    return rc;
}
