/* status: five lines, or one of JSON. */
#include "base/clock.h"
#include "cli/cli.h"
#include "mirrorctl/mirrorctl.h"
#include "text/rfc3339.h"

#include <stdio.h>
#include <string.h>

enum { DAY_MS = 86400000, ASK_LIMIT_MS = 10000 };

enum mode { MODE_UNKNOWN = -1, MODE_OFF, MODE_ON };

struct status {
    enum mode mode;
    char why[1024]; /* it is not known */
    struct ledger ledger;
    struct latency latency;
    const char *zone;
    int64_t now_ms;
};

/* --- finding out ----------------------------------------------------------------- */

static enum mode of_ledger(struct status *s)
{
    if (s->ledger.turned == LEDGER_NONE)
        snprintf(s->why, sizeof s->why, "never enabled or disabled here");
    return s->ledger.turned == LEDGER_ENABLED    ? MODE_ON
           : s->ledger.turned == LEDGER_DISABLED ? MODE_OFF
                                                 : MODE_UNKNOWN;
}

static enum mode of_handheld(struct status *s)
{
    struct buf text = {0};
    struct json_value v = {0};
    struct err e = ERR_NONE;
    enum mode mode = MODE_UNKNOWN;
    int rc = handheld_read(conf.timeout < ASK_LIMIT_MS ? conf.timeout : ASK_LIMIT_MS, &text, &e);

    if (rc) {
        snprintf(s->why, sizeof s->why, "handheld not reached: %.900s", e.msg);
    } else {
        rc = handheld_member(buf_span(&text), SPAN("mirror_mode"), &v, &e);
        if (rc < 0)
            snprintf(s->why, sizeof s->why, "%.900s", e.msg);
        else if (rc && v.kind != JSON_TRUE && v.kind != JSON_FALSE)
            snprintf(s->why, sizeof s->why, "mirror_mode is neither true nor false in %s",
                     handheld_name());
        else
            mode = rc && v.kind == JSON_TRUE ? MODE_ON : MODE_OFF;
    }
    buf_free(&text);
    return mode;
}

/* What does not fit is said, not decided. */
static void warn(const struct status *s)
{
    const struct ledger *l = &s->ledger;

    if (l->unreadable)
        cli_warn("%s/%s: line %lld cannot be read (%lld in all): the count begins anew behind it",
                 conf.status_dir, LEDGER_FILE, (long long)l->first_unreadable,
                 (long long)l->unreadable);
    if (s->latency.bad)
        cli_warn("%s: %lld lines of the mirror log cannot be read; they do not count",
                 conf.logs_dir, (long long)s->latency.bad);
    if (s->mode == MODE_OFF && l->turned == LEDGER_ENABLED)
        cli_warn("the mirror was enabled here, but mirror_mode is not true in %s: run mirrorctl "
                 "enable, or disable",
                 handheld_name());
    if (s->mode == MODE_ON && l->turned == LEDGER_DISABLED)
        cli_warn("the mirror was disabled here, but mirror_mode is still true in %s: run mirrorctl "
                 "disable again",
                 handheld_name());
}

static void find_out(struct status *s)
{
    static char here[ZONE_NAME];
    struct err e = ERR_NONE;

    s->now_ms = clock_now_ms();
    cli_check(ledger_read(conf.status_dir, &s->ledger, &e), &e);
    if (!s->ledger.zone[0])
        zone_here(here);
    s->zone = s->ledger.zone[0] ? s->ledger.zone : here;
    if (!zone_exists(s->zone))
        s->zone = "UTC";
    if (latency_read(s->now_ms - DAY_MS, &s->latency, &e))
        cli_warn("%s", e.msg);
    s->mode = opt.local ? of_ledger(s) : of_handheld(s);
    warn(s);
}

/* --- five lines -------------------------------------------------------------------- */

static void put_time(const struct status *s, int64_t ms)
{
    char when[64];

    zone_format(s->zone, ms, "%Y-%m-%d %H:%M %Z", when, sizeof when);
    cli_putf("%s", when);
}

static long long mean(int64_t sum, int64_t n)
{
    return n ? (long long)((sum + n / 2) / n) : 0;
}

static void put_latency(const struct latency *l)
{
    cli_putf("Avg Latency   : ");
    if (!l->samples)
        cli_putf("none");
    else if (!l->primaries)
        cli_putf("primary - / mirror %lld ms", mean(l->mirror_ms, l->samples));
    else
        cli_putf("primary %lld ms / mirror %lld ms", mean(l->primary_ms, l->primaries),
                 mean(l->mirror_ms, l->samples));
    cli_putf(" (24h)\n");
}

static void put_lines(const struct status *s)
{
    const struct ledger *l = &s->ledger;
    int streak = ledger_streak(l, s->now_ms);

    if (s->mode == MODE_UNKNOWN)
        cli_putf("Mirror Mode   : unknown (%s)\n", s->why);
    else
        cli_putf("Mirror Mode   : %s\n", s->mode == MODE_ON ? "enabled" : "disabled");
    cli_putf("OK Streak     : %d day%s (target %d)\n", streak, streak == 1 ? "" : "s",
             STREAK_TARGET);
    cli_putf("Last Compare  : ");
    if (l->last == LEDGER_NONE) {
        cli_putf("never\n");
    } else {
        put_time(s, l->last_ms);
        cli_putf(" (%s)\n", ledger_result_name(l->last));
    }
    cli_putf("Last Diff     : ");
    if (l->last_ng_ms < 0) {
        cli_putf("never\n");
    } else {
        put_time(s, l->last_ng_ms);
        cli_putf(" (%lld record%s)\n", (long long)l->last_ng_records,
                 l->last_ng_records == 1 ? "" : "s");
    }
    put_latency(&s->latency);
}

/* --- JSON ---------------------------------------------------------------------------- */

static void put_string(const char *name, const char *text)
{
    struct buf b = {0};
    struct err e = ERR_NONE;

    if (json_quote(span_of(text), &b))
        cli_check(err_memory(&e), &e);
    cli_putf(",\"%s\":", name);
    cli_put(b.data, b.len);
    buf_free(&b);
}

static void put_instant(const char *name, bool known, int64_t ms)
{
    char when[32];

    rfc3339_format(ms, when);
    if (known)
        put_string(name, when);
    else
        cli_putf(",\"%s\":null", name);
}

static void put_mean(const char *name, int64_t sum, int64_t n)
{
    if (n)
        cli_putf("\"%s\":%lld,", name, mean(sum, n));
    else
        cli_putf("\"%s\":null,", name);
}

static void put_days(const struct status *s)
{
    int64_t today = zone_day(s->zone, s->now_ms);

    cli_putf(",\"days\":[");
    for (int64_t day = today - STREAK_TARGET + 1; day <= today; day++) {
        char date[LEDGER_DATE];

        ledger_date(day, date);
        cli_putf("%s{\"day\":\"%s\",\"result\":\"%s\"}", day > today - STREAK_TARGET + 1 ? "," : "",
                 date, ledger_result_name(ledger_of_day(&s->ledger, day)));
    }
    cli_putf("]");
}

static void put_json(const struct status *s)
{
    static const char *const words[] = {"false", "true"};
    const struct ledger *l = &s->ledger;

    if (s->mode == MODE_UNKNOWN)
        cli_warn("%s", s->why);
    cli_putf("{\"mirror_mode\":%s", s->mode == MODE_UNKNOWN ? "null" : words[s->mode]);
    if (l->turned == LEDGER_NONE)
        cli_putf(",\"switched\":null");
    else
        put_string("switched", ledger_result_name(l->turned));
    put_instant("switched_at", l->turned != LEDGER_NONE, l->turned_ms);
    cli_putf(",\"streak\":%d,\"target\":%d", ledger_streak(l, s->now_ms), STREAK_TARGET);
    put_instant("last_compare", l->last != LEDGER_NONE, l->last_ms);
    if (l->last == LEDGER_NONE)
        cli_putf(",\"last_result\":null");
    else
        put_string("last_result", ledger_result_name(l->last));
    if (l->last == LEDGER_ERROR)
        put_string("last_why", l->last_why);
    else
        cli_putf(",\"last_why\":null");
    put_instant("last_diff", l->last_ng_ms >= 0, l->last_ng_ms);
    cli_putf(",\"last_diff_records\":%lld,\"latency\":{", (long long)l->last_ng_records);
    put_mean("primary_ms", s->latency.primary_ms, s->latency.primaries);
    put_mean("mirror_ms", s->latency.mirror_ms, s->latency.samples);
    cli_putf("\"samples\":%lld}", (long long)s->latency.samples);
    put_days(s);
    cli_putf("}\n");
}

int mirror_status(void)
{
    static struct status s;

    find_out(&s);
    if (opt.json)
        put_json(&s);
    else
        put_lines(&s);
    return 0;
}
