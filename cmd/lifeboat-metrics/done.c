#include "lifeboat-metrics/done.h"

#include "cli/status.h"

#include <stdio.h>
#include <string.h>

#define DONE_FILE "done.json"

/* A failure is told by the time of a file that says it did not go well. */
static const struct {
    const char *name, *file, *member;
    bool failed;
} whats[DONE_WHATS] = {[DONE_HOURLY] = {"hourly", "backup.json", "last_ok.hourly", false},
                       [DONE_DAILY] = {"daily", "backup.json", "last_ok.daily", false},
                       [DONE_WEEKLY] = {"weekly", "backup.json", "last_ok.weekly", false},
                       [DONE_MONTHLY] = {"monthly", "backup.json", "last_ok.monthly", false},
                       [DONE_DRILL] = {"drill", "drill.json", "last_ok", false},
                       [DONE_BACKUP_FAILED] = {"backup_failed", "backup.json", "ts", true},
                       [DONE_DRILL_FAILED] = {"drill_failed", "drill.json", "ts", true}};

/* What is broken says nothing; the metrics tell of it. */
static void read_status(const char *file, struct buf *text)
{
    struct err ignored;

    buf_clear(text);
    if (status_read(file, text, &ignored) != 1)
        buf_clear(text);
}

static int64_t number_at(struct span text, const char *path)
{
    struct json_value v;
    int64_t n;

    return status_member(text, path, &v) && !json_int(&v, &n) ? n : -1;
}

static void take_kept(struct done *d)
{
    struct buf text = {0};
    struct json_value v;
    char path[64];

    read_status(DONE_FILE, &text);
    if (status_member(buf_span(&text), "day", &v) && v.kind == JSON_STRING && !v.escaped &&
        v.raw.n - 2 < sizeof d->day)
        memcpy(d->day, v.raw.p + 1, v.raw.n - 2);
    for (int i = 0; i < DONE_WHATS; i++) {
        int64_t n;

        snprintf(path, sizeof path, "seen.%s", whats[i].name);
        d->seen[i] = number_at(buf_span(&text), path);
        snprintf(path, sizeof path, "count.%s", whats[i].name);
        n = number_at(buf_span(&text), path);
        d->count[i] = n > 0 ? n : 0;
    }
    buf_free(&text);
}

/* Of the first look ever nobody can tell on which day that was. */
static bool count_new(struct done *d)
{
    bool first = !*d->day, changed = false;
    struct buf text = {0};
    struct json_value ok;

    for (int i = 0; i < DONE_WHATS; i++) {
        int64_t at;

        read_status(whats[i].file, &text);
        at = number_at(buf_span(&text), whats[i].member);
        if (at < 0 || at == d->seen[i] ||
            (whats[i].failed &&
             (!status_member(buf_span(&text), "ok", &ok) || ok.kind != JSON_FALSE)))
            continue;
        d->seen[i] = at;
        d->count[i] += !first;
        changed = true;
    }
    buf_free(&text);
    return changed;
}

static int put_numbers(const int64_t n[static DONE_WHATS], struct buf *out)
{
    for (int i = 0; i < DONE_WHATS; i++)
        if (buf_printf(out, "%s\"%s\":%lld", i ? "," : "", whats[i].name, (long long)n[i]))
            return -1;
    return 0;
}

int done_keep(const struct done *d, struct err *e)
{
    struct buf text = {0};
    int rc;

    if (!d->changed)
        return 0;
    rc = buf_printf(&text, "{\"day\":\"%s\",\"seen\":{", d->day) || put_numbers(d->seen, &text) ||
                 buf_adds(&text, "},\"count\":{") || put_numbers(d->count, &text) ||
                 buf_adds(&text, "}}\n")
             ? err_memory(e)
             : status_keep(DONE_FILE, buf_span(&text), e);

    buf_free(&text);
    return rc;
}

int done_look(struct done *d, const char *day, struct buf *out, struct err *e)
{
    bool is_new;

    *d = (struct done){.day = ""};
    take_kept(d);
    /* What was done since the last look counts to that day. */
    d->changed = count_new(d);
    is_new = strcmp(d->day, day) != 0;
    if (is_new && *d->day &&
        (buf_printf(out, ",\"before\":{\"day\":\"%s\",", d->day) || put_numbers(d->count, out) ||
         buf_addc(out, '}')))
        return err_memory(e);
    if (is_new) {
        snprintf(d->day, sizeof d->day, "%s", day);
        memset(d->count, 0, sizeof d->count);
        d->changed = true;
    }
    return 0;
}
