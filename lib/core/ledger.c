#include "core/ledger.h"

#include "base/folder.h"
#include "base/made.h"
#include "base/stop.h"
#include "base/whole.h"
#include "text/json.h"
#include "text/line.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_MS = 86400000, DAYS_SEEN = 32, LINE_LIMIT = 1 << 20 };

static const char *const names[] = {
    [LEDGER_NONE] = "NONE",   [LEDGER_OK] = "OK",           [LEDGER_NG] = "NG",
    [LEDGER_ERROR] = "ERROR", [LEDGER_ENABLED] = "ENABLED", [LEDGER_DISABLED] = "DISABLED"};

const char *ledger_result_name(enum ledger_result r)
{
    return names[r];
}

void ledger_date(int64_t day, char out[static LEDGER_DATE])
{
    char when[32];

    rfc3339_format(day * DAY_MS, when);
    snprintf(out, LEDGER_DATE, "%.10s", when);
}

static char *in_folder(const char *dir, const char *name, struct err *e)
{
    char *path;

    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        err_memory(e);
        return NULL;
    }
    return path;
}

/* --- the lock ----------------------------------------------------------- */

int ledger_lock(struct lockfile *l, const char *dir, int64_t wait_ms, struct err *e)
{
    char *path = in_folder(dir, LEDGER_FILE, e);
    int rc = path ? lockfile_open(l, path, "lock", e) : -1;

    free(path);
    if (!rc)
        rc = lockfile_take(l, 0, wait_ms, e);
    else
        *l = (struct lockfile){.fd = -1};
    return rc;
}

void ledger_unlock(struct lockfile *l)
{
    lockfile_close(l);
}

/* --- adding ------------------------------------------------------------- */

static int put_line(const struct ledger_entry *en, struct buf *out)
{
    char when[32], date[LEDGER_DATE];

    rfc3339_format(en->ts_ms, when);
    ledger_date(zone_day(en->zone, en->ts_ms), date);
    if (buf_printf(out, "{\"ts\":\"%s\",\"day\":\"%s\",\"zone\":\"%s\",\"result\":\"%s\"", when,
                   date, en->zone, names[en->result]) ||
        (en->config && buf_printf(out, ",\"config\":\"%s\"", en->config)) ||
        (en->hold && buf_adds(out, ",\"gap\":\"hold\"")))
        return -1;
    if (en->rest.n && (buf_addc(out, ',') || buf_add(out, en->rest.p, en->rest.n)))
        return -1;
    return buf_adds(out, "}\n");
}

/* A line that a power cut left half written is ended: it stands alone. */
static int end_torn(int fd, off_t size, struct buf *out)
{
    char last = '\n';

    if (size && TEMP_FAILURE_RETRY(pread(fd, &last, 1, size - 1)) != 1)
        return -1;
    return last == '\n' ? 0 : buf_addc(out, '\n');
}

static int append_to(int fd, const char *path, const struct ledger_entry *en, struct err *e)
{
    struct buf text = {0};
    struct stat st;
    int rc = 0;

    if (fstat(fd, &st))
        return err_sys(e, EX_IOERR, "unable to look at %s", path);
    if (end_torn(fd, st.st_size, &text))
        rc = err_sys(e, EX_IOERR, "unable to read %s", path);
    else if (put_line(en, &text))
        rc = err_memory(e);
    else if (whole_write(fd, text.data, text.len) || fsync(fd)) {
        rc = err_sys(e, EX_IOERR, "unable to write to %s", path);
        if (ftruncate(fd, st.st_size))
            rc = -1; /* half a line: it breaks the streak, which is the safe side */
    }
    buf_free(&text);
    return rc;
}

int ledger_append(const char *dir, const struct ledger_entry *en, struct err *e)
{
    char *path = in_folder(dir, LEDGER_FILE, e);
    int fd, rc;

    if (!path)
        return -1;
    fd = made_open(path, O_RDWR | O_APPEND, 0644);
    if (fd < 0) {
        rc = err_sys(e, EX_CANTCREAT, "unable to open %s", path);
    } else {
        /* The folder first: a line that is there must not be called a failure. */
        rc = folder_sync(dir, e);
        if (!rc)
            rc = append_to(fd, path, en, e);
        close(fd);
    }
    free(path);
    return rc;
}

/* --- reading ------------------------------------------------------------ */

/* What a line says, as far as anybody asks. */
struct note {
    enum ledger_result result;
    int64_t ts_ms, day, differences;
    char zone[ZONE_NAME], config[STREAK_CONFIG], why[LEDGER_WHY];
    bool has_ts, has_day, has_zone, hold;
};

static bool is_count_of_differences(struct span name)
{
    static const char *const counts[] = {"missing", "extra", "changed", "duplicate", "bad"};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (span_eq(name, span_of(counts[i])))
            return true;
    return false;
}

static void copy_text(struct span s, char *out, size_t room)
{
    snprintf(out, room, "%.*s", (int)s.n, s.p);
}

static bool take_result(struct span s, struct note *n)
{
    for (size_t i = LEDGER_OK; i < sizeof names / sizeof *names; i++)
        if (span_eq(s, span_of(names[i]))) {
            n->result = (enum ledger_result)i;
            return true;
        }
    return false;
}

static bool take_day(struct span s, struct note *n)
{
    char text[32];
    int64_t ms;

    snprintf(text, sizeof text, "%.*sT00:00:00Z", (int)s.n, s.p);
    if (s.n != 10 || rfc3339_parse(span_of(text), &ms))
        return false;
    n->day = (ms < 0 ? ms - DAY_MS + 1 : ms) / DAY_MS;
    return n->has_day = true;
}

static bool take_text(struct span name, struct span s, struct note *n)
{
    if (span_eq(name, SPAN("result")))
        return take_result(s, n);
    if (span_eq(name, SPAN("ts")))
        return n->has_ts = !rfc3339_parse(s, &n->ts_ms);
    if (span_eq(name, SPAN("day")))
        return take_day(s, n);
    if (span_eq(name, SPAN("zone"))) {
        copy_text(s, n->zone, sizeof n->zone);
        return n->has_zone = s.n && s.n < sizeof n->zone;
    }
    if (span_eq(name, SPAN("config"))) {
        copy_text(s, n->config, sizeof n->config);
        return s.n == STREAK_CONFIG - 1;
    }
    if (span_eq(name, SPAN("gap")))
        n->hold = span_eq(s, SPAN("hold"));
    if (span_eq(name, SPAN("why")))
        copy_text(s, n->why, sizeof n->why);
    return true;
}

static bool take_member(const struct json_value *name, const struct json_value *v,
                        struct buf scratch[2], struct note *n)
{
    struct span what = json_text(name, &scratch[0]), text;
    int64_t count;

    if (v->kind == JSON_STRING) {
        buf_clear(&scratch[1]);
        text = json_text(v, &scratch[1]);
        return what.p && text.p && take_text(what, text, n);
    }
    if (is_count_of_differences(what)) {
        if (json_int(v, &count) || count < 0)
            return false;
        n->differences += count;
    }
    return true;
}

/* Is it a line of a ledger? */
static bool read_note(struct json *j, struct span line, struct buf scratch[2], struct note *n)
{
    struct json_value name, v;
    bool first = true;
    int rc;

    *n = (struct note){0};
    json_start(j, line);
    rc = json_open(j) ? -1 : 1;
    while (rc == 1 && (rc = json_member(j, &first, &name, &v)) == 1) {
        buf_clear(&scratch[0]);
        if (!take_member(&name, &v, scratch, n))
            return false;
    }
    return !rc && !json_finish(j) && n->result && n->has_ts && n->has_day && n->has_zone;
}

static int worth(enum ledger_result r)
{
    return r == LEDGER_NG ? 3 : r == LEDGER_OK ? 2 : r == LEDGER_ERROR;
}

static void see_day(struct ledger *l, int64_t day, enum ledger_result result)
{
    size_t at = (size_t)(((day % DAYS_SEEN) + DAYS_SEEN) % DAYS_SEEN);

    if (l->seen[at].day != day || worth(result) > worth(l->seen[at].result)) {
        l->seen[at].day = day;
        l->seen[at].result = result;
    }
}

static void fold_run(struct ledger *l, const struct note *n)
{
    l->last = n->result;
    l->last_ms = n->ts_ms;
    snprintf(l->last_why, sizeof l->last_why, "%s", n->why);
    see_day(l, n->day, n->result);
    if (n->result == LEDGER_OK)
        l->last_ok_ms = n->ts_ms;
    if (n->result == LEDGER_NG) {
        l->last_ng_ms = n->ts_ms;
        l->last_ng_records = n->differences;
    }
}

static void fold(struct ledger *l, const struct note *n)
{
    static const enum streak_note as[] = {[LEDGER_OK] = STREAK_OK,
                                          [LEDGER_NG] = STREAK_NG,
                                          [LEDGER_ERROR] = STREAK_ERROR,
                                          [LEDGER_ENABLED] = STREAK_ENABLED,
                                          [LEDGER_DISABLED] = STREAK_DISABLED};

    if (n->result != LEDGER_ENABLED && n->result != LEDGER_DISABLED)
        streak_hold(&l->streak, n->hold, n->day);
    streak_add(&l->streak, as[n->result], n->day, n->config[0] ? n->config : NULL);
    snprintf(l->zone, sizeof l->zone, "%s", n->zone);
    if (n->result == LEDGER_ENABLED || n->result == LEDGER_DISABLED) {
        l->turned = n->result;
        l->turned_ms = n->ts_ms;
    } else {
        fold_run(l, n);
    }
}

static void fold_unreadable(struct ledger *l, uint64_t number)
{
    streak_add(&l->streak, STREAK_UNREADABLE, 0, NULL);
    if (!l->unreadable++)
        l->first_unreadable = (int64_t)number;
}

static int read_lines(int fd, const char *path, struct ledger *l, struct err *e)
{
    struct line_reader in;
    struct json j = {0};
    struct buf scratch[2] = {{0}, {0}};
    struct line line;
    enum line_result got;

    line_open(&in, fd, path, LINE_LIMIT);
    while ((got = line_next(&in, true, &line, e)) != LINE_EOF && got != LINE_ERROR) {
        struct note n;

        if (got == LINE_NONE && stop_signal()) {
            err_set(e, EX_TEMPFAIL, "stopped while %s was read", path);
            break;
        }
        if (got == LINE_NONE)
            continue;
        if (got == LINE_LONG ? line.last : line.text.n > 0) {
            l->lines = (int64_t)line.number;
            if (got == LINE_OK && read_note(&j, line.text, scratch, &n))
                fold(l, &n);
            else
                fold_unreadable(l, line.number);
        }
        line_release(&in);
    }
    line_close(&in);
    json_end(&j);
    buf_free(&scratch[0]);
    buf_free(&scratch[1]);
    return got == LINE_EOF ? 0 : -1;
}

int ledger_read(const char *dir, struct ledger *out, struct err *e)
{
    char *path = in_folder(dir, LEDGER_FILE, e);
    int fd, rc = 0;

    *out = (struct ledger){.last_ok_ms = -1, .last_ng_ms = -1};
    if (!path)
        return -1;
    fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    if (fd >= 0) {
        rc = read_lines(fd, path, out, e);
        close(fd);
    } else if (errno != ENOENT) {
        rc = err_sys(e, EX_NOINPUT, "unable to open %s", path);
    }
    free(path);
    return rc;
}

/* --- what follows from it ----------------------------------------------- */

int64_t ledger_today(const struct ledger *l, int64_t now_ms)
{
    return zone_day(l->zone[0] ? l->zone : "UTC", now_ms);
}

int ledger_streak(const struct ledger *l, int64_t now_ms)
{
    return streak_at(&l->streak, ledger_today(l, now_ms));
}

enum ledger_result ledger_of_day(const struct ledger *l, int64_t day)
{
    size_t at = (size_t)(((day % DAYS_SEEN) + DAYS_SEEN) % DAYS_SEEN);

    return l->seen[at].day == day ? l->seen[at].result : LEDGER_NONE;
}

static int write_counter(const char *aside, const char *path, int count, struct err *e)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d\n", count), rc = 0;
    int fd;

    unlink(aside); /* of one that was killed, and may have been another user */
    fd = made_open(aside, O_WRONLY, 0644);
    if (fd < 0)
        return err_sys(e, EX_CANTCREAT, "unable to make %s", aside);
    if (whole_write(fd, text, (size_t)n) || fsync(fd))
        rc = err_sys(e, EX_IOERR, "unable to write %s", aside);
    close(fd);
    if (!rc && rename(aside, path))
        rc = err_sys(e, EX_CANTCREAT, "unable to put %s in place", path);
    if (rc)
        unlink(aside);
    return rc;
}

int ledger_count(const char *dir, const struct ledger *l, int64_t now_ms, struct err *e)
{
    char *path = in_folder(dir, LEDGER_COUNTER, e);
    char *aside = path ? in_folder(dir, LEDGER_COUNTER ".new", e) : NULL;
    int rc = aside ? write_counter(aside, path, ledger_streak(l, now_ms), e) : -1;

    free(aside);
    free(path);
    return rc ? rc : folder_sync(dir, e);
}
