#include "lifeboat.cgi/upkeep.h"

#include "base/clock.h"
#include "cli/status.h"
#include "text/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)

enum { WHY_SHOWN = 240 };

/* How old the newest may become: of those made so often, one was missed, and there was
 * time to make up for it. The first that was ever made counts. */
static const struct {
    const char *kind, *path;
    int64_t limit;
} kinds[] = {{"hourly", "last_ok.hourly", 3 * HOUR},
             {"daily", "last_ok.daily", 30 * HOUR},
             {"weekly", "last_ok.weekly", 9 * 24 * HOUR},
             {"monthly", "last_ok.monthly", 33 * 24 * HOUR}};

static const int64_t drill_limit = 9 * 24 * HOUR;

__attribute__((format(printf, 2, 3))) static void tell(char problem[static UPKEEP_PROBLEM],
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(problem, UPKEEP_PROBLEM, format, args);
    va_end(args);
}

/* The object of the file, in out from start on: 1; 0: null is; -1. */
static int put_object(const char *name, struct buf *out, char problem[static UPKEEP_PROBLEM])
{
    struct buf text = {0};
    struct err e = ERR_NONE;
    struct json j = {0};
    struct json_value v;
    char file[32];
    int rc;

    snprintf(file, sizeof file, "%s.json", name);
    rc = status_read(file, &text, &e);
    if (rc < 0)
        tell(problem, "the last %s: %s", name, e.msg);
    if (rc == 1 && (json_whole(&j, buf_span(&text), &v) || v.kind != JSON_OBJECT)) {
        tell(problem, "the last %s: what it left cannot be read: %s", name,
             j.why ? j.why : "not an object");
        rc = 0;
    }
    if (rc == 1 ? json_compact(v.raw, out) : buf_adds(out, "null"))
        rc = -2;
    json_end(&j);
    buf_free(&text);
    return rc == -2 ? -1 : rc == 1;
}

static bool member_time(struct span object, const char *path, int64_t *ms)
{
    struct json_value v;

    return status_member(object, path, &v) && !json_int(&v, ms);
}

/* The run itself says that it failed. */
static bool has_failed(struct span object, const char *what, char problem[static UPKEEP_PROBLEM])
{
    struct json_value ok, why;
    struct buf text = {0}, part = {0};
    struct span said;

    if (!status_member(object, "ok", &ok) || ok.kind != JSON_FALSE)
        return false;
    said = status_member(object, "why", &why) && why.kind == JSON_STRING ? json_text(&why, &text)
                                                                         : SPAN("");
    if (said.n && !utf8_mend(said, WHY_SHOWN, &part))
        tell(problem, "the last %s failed: %.*s", what, (int)part.len, part.data);
    else
        tell(problem, "the last %s failed", what);
    buf_free(&text);
    buf_free(&part);
    return true;
}

static void find_old_backup(struct span object, char problem[static UPKEEP_PROBLEM])
{
    int64_t newest = -1, limit = 0, now = clock_now_ms(), ms;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!member_time(object, kinds[i].path, &ms))
            continue;
        if (!limit)
            limit = kinds[i].limit;
        newest = ms > newest ? ms : newest;
    }
    if (limit && now - newest > limit)
        tell(problem, "the newest backup is %lld hours old", (long long)((now - newest) / HOUR));
}

int upkeep_backup(struct buf *out, char problem[static UPKEEP_PROBLEM])
{
    size_t start = out->len;
    struct span object;
    int rc;

    problem[0] = '\0';
    rc = put_object("backup", out, problem);
    object = (struct span){out->data + start, out->len - start};
    if (rc == 1 && !has_failed(object, "backup", problem))
        find_old_backup(object, problem);
    return rc < 0 ? -1 : 0;
}

int upkeep_drill(struct buf *out, char problem[static UPKEEP_PROBLEM])
{
    size_t start = out->len;
    struct span object;
    int64_t ms;
    int rc;

    problem[0] = '\0';
    rc = put_object("drill", out, problem);
    object = (struct span){out->data + start, out->len - start};
    if (rc == 1 && !has_failed(object, "drill", problem) && member_time(object, "ts", &ms) &&
        clock_now_ms() - ms > drill_limit)
        tell(problem, "the last drill was %lld days ago",
             (long long)((clock_now_ms() - ms) / (24 * HOUR)));
    return rc < 0 ? -1 : 0;
}
