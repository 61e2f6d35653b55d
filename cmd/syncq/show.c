/* syncq stats, list, show, dead list, watch: looking, and changing nothing. */
#include "text/show.h"
#include "base/clock.h"
#include "base/stop.h"
#include "core/watch.h"
#include "store/queueview.h"
#include "syncq/syncq.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static struct view view;
static struct buf line;
static bool for_people, utf8;
static int width; /* of the terminal */

static void close_view(void)
{
    view_close(&view);
    store_close(&store);
}

/* A queue there never was is as good as an empty one; without a store there is
 * nothing to look at. */
static void open_view(void)
{
    struct winsize size;
    struct err e = ERR_NONE;

    open_store(STORE_READ);
    cli_on_exit(close_view);
    cli_check(view_open(&view, &store, &e), &e);
    for_people = !opt.json && isatty(STDOUT_FILENO);
    setlocale(LC_CTYPE, "");
    utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    width = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 40 ? size.ws_col : 80;
}

static int end_view(int status)
{
    view_close(&view);
    buf_free(&line);
    return status;
}

static struct span any_queue(char **operands)
{
    return operands[0] ? queue_operand(operands[0]) : (struct span){NULL, 0};
}

/* --- for programs ------------------------------------------------------- */

static int put_json(struct view *v, struct err *e)
{
    buf_clear(&line);
    if (view_json(v, &line))
        return err_memory(e);
    cli_put(line.data, line.len);
    return 0;
}

/* --- for people --------------------------------------------------------- */

static void add(int rc)
{
    struct err e;

    if (rc) {
        err_memory(&e);
        cli_die(&e);
    }
}

/* How many columns of a terminal the character takes that begins at p, and how
 * many bytes it has. */
static int columns_of(const char *p, const char *end, size_t *bytes)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, p, (size_t)(end - p), &state);
    int columns;

    *bytes = n && n <= (size_t)(end - p) ? n : 1;
    columns = *bytes == n ? wcwidth(c) : 1;
    return columns < 0 ? 1 : columns;
}

/* What of a long text cannot be seen anyway need not be looked at. */
static struct span head_of(struct span s, size_t n)
{
    if (s.n <= n)
        return s;
    while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return (struct span){s.p, n};
}

/* Text of unknown origin in so many columns, cut with a mark where it is
 * longer; filled up with blanks, on the left for a negative number, unless it
 * is the last of its line. */
static void put_cell(struct span s, int columns, bool last)
{
    static struct buf shown;
    int room = abs(columns), used = 0, fits = 0;
    size_t at = 0, cut = 0, n;
    bool whole;

    buf_clear(&shown);
    add(show_text(head_of(s, (size_t)room * 8), utf8, &shown));
    while (at < shown.len) {
        int more = columns_of(shown.data + at, shown.data + shown.len, &n);

        if (used + more > room)
            break;
        used += more;
        at += n;
        if (used < room) {
            cut = at;
            fits = used;
        }
    }
    whole = at == shown.len;
    if (!whole) {
        at = cut;
        used = fits + 1;
    }
    if (columns < 0)
        cli_putf("%*s", room - used, "");
    cli_put(shown.data, at);
    cli_putf("%s", whole ? "" : utf8 ? "\xe2\x80\xa6" : ">");
    if (last)
        cli_put("\n", 1);
    else
        cli_putf("%*s  ", columns < 0 ? 0 : room - used, "");
}

/* A span of time in one word of its largest unit. */
static const char *words(int64_t ms, char text[static 32])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{31536000000, "y"}, {86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    size_t i = 0;

    while (i < 4 && ms < units[i].ms)
        i++;
    snprintf(text, 32, "%lld %s", (long long)(ms > 0 ? ms / units[i].ms : 0), units[i].unit);
    return text;
}

static const char *state_of(struct view *v, char text[static 40])
{
    struct span status = view_span(v, VIEW_STATUS);
    int64_t held = view_held_ms(v);
    char span[32];

    if (!span_eq(status, SPAN("pending")))
        snprintf(text, 40, "%.*s", (int)(status.n < 32 ? status.n : 32), status.p);
    else if (held)
        snprintf(text, 40, "in %s", words(held, span));
    else
        snprintf(text, 40, "ready");
    return text;
}

/* The columns, the last of which takes what is left of the width. */
enum { COL_ID = -7, COL_QUEUE = 18, COL_TYPE = 14, COL_STATE = 9, COL_AGE = -6, COL_TRIES = -5 };

static bool show_queue; /* it has a column of its own */

static int rest_of_width(void)
{
    int used = 7 + 14 + 9 + 6 + 5 + 5 * 2 + (show_queue ? 18 + 2 : 0);

    return width - used > 12 ? width - used : 12;
}

static void put_heading(void)
{
    put_cell(SPAN("ID"), COL_ID, false);
    if (show_queue)
        put_cell(SPAN("QUEUE"), COL_QUEUE, false);
    put_cell(SPAN("TYPE"), COL_TYPE, false);
    put_cell(SPAN("STATE"), COL_STATE, false);
    put_cell(SPAN("AGE"), COL_AGE, false);
    put_cell(SPAN("TRIES"), COL_TRIES, false);
    put_cell(SPAN("PAYLOAD"), rest_of_width(), true);
}

static void put_row(struct view *v)
{
    struct span type = view_span(v, VIEW_TYPE);
    char number[32], state[40], age[32], tries[32];

    snprintf(number, sizeof number, "%lld", (long long)view_int(v, VIEW_ID));
    snprintf(tries, sizeof tries, "%lld", (long long)view_int(v, VIEW_ATTEMPTS));
    put_cell(span_of(number), COL_ID, false);
    if (show_queue)
        put_cell(view_span(v, VIEW_QUEUE), COL_QUEUE, false);
    put_cell(type.p ? type : SPAN("-"), COL_TYPE, false);
    put_cell(span_of(state_of(v, state)), COL_STATE, false);
    put_cell(span_of(words(clock_now_ms() - view_int(v, VIEW_CREATED), age)), COL_AGE, false);
    put_cell(span_of(tries), COL_TRIES, false);
    put_cell(view_span(v, VIEW_PAYLOAD), rest_of_width(), true);
}

/* --- list, dead list ---------------------------------------------------- */

static int each_row(void *ctx, struct view *v, struct err *e)
{
    uint64_t *n = ctx;

    if (stop_signal())
        return 1;
    if (!for_people)
        return put_json(v, e);
    if (!(*n)++)
        put_heading();
    put_row(v);
    return 0;
}

static int list_rows(char **operands, int (*walk)(struct view *, const struct view_filter *,
                                                  view_each *, void *, struct err *))
{
    struct view_filter f = {.queue = any_queue(operands),
                            .status = opt.status ? span_of(opt.status) : (struct span){NULL, 0},
                            .types = opt.types,
                            .type_count = opt.type_count,
                            .all = opt.all,
                            .limit = opt.limit};
    struct err e = ERR_NONE;
    uint64_t n = 0;

    open_view();
    show_queue = !f.queue.p;
    cli_check(store_snapshot(&store, &e), &e);
    cli_check(walk(&view, &f, each_row, &n, &e), &e);
    cli_flush();
    return end_view(0);
}

int syncq_list(char **operands)
{
    return list_rows(operands, view_list);
}

int syncq_dead_list(char **operands)
{
    return list_rows(operands, view_letters);
}

/* --- show --------------------------------------------------------------- */

enum { COL_NAME = 16, SHOWN_MAX = 65536 };

static void put_text(const char *name, struct span s)
{
    static struct buf shown;

    if (!s.p)
        return;
    buf_clear(&shown);
    add(show_text(head_of(s, SHOWN_MAX), utf8, &shown));
    cli_putf("%-*s  ", COL_NAME, name);
    cli_put(shown.data, shown.len);
    if (s.n > SHOWN_MAX)
        cli_putf(" ... (%zu bytes; --json prints all)", s.n);
    cli_put("\n", 1);
}

static void put_time(const char *name, int64_t ms)
{
    int64_t ago = clock_now_ms() - ms;
    char time[32], text[32];

    if (!ms)
        return;
    rfc3339_format(ms, time);
    words(ago < 0 ? -ago : ago, text);
    cli_putf("%-*s  %s (%s%s%s)\n", COL_NAME, name, time, ago < 0 ? "in " : "", text,
             ago < 0 ? "" : " ago");
}

static void put_error(void *ctx, int64_t attempt, int64_t at_ms, struct span error)
{
    char name[32];

    (void)ctx;
    snprintf(name, sizeof name, "  attempt %lld", (long long)attempt);
    put_time(name, at_ms);
    put_text("", error);
}

static int put_job(struct view *v, struct err *e)
{
    char state[40];

    cli_putf("%-*s  %lld\n", COL_NAME, "id", (long long)view_int(v, VIEW_ID));
    put_text("queue", view_span(v, VIEW_QUEUE));
    put_text("type", view_span(v, VIEW_TYPE));
    put_text("lane", view_span(v, VIEW_LANE));
    put_text("state", span_of(state_of(v, state)));
    put_text("dead letter", view_int(v, VIEW_DEAD_LETTER) ? SPAN("yes") : (struct span){NULL, 0});
    cli_putf("%-*s  %lld\n", COL_NAME, "priority", (long long)view_int(v, VIEW_PRIORITY));
    cli_putf("%-*s  %lld, of %lld retries %lld, %lld crashes\n", COL_NAME, "tries",
             (long long)view_int(v, VIEW_ATTEMPTS), (long long)view_int(v, VIEW_MAX_RETRIES),
             (long long)view_int(v, VIEW_RETRIES), (long long)view_int(v, VIEW_CRASHES));
    cli_putf("%-*s  %lld s\n", COL_NAME, "timeout", (long long)view_int(v, VIEW_TIMEOUT));
    put_time("put in", view_int(v, VIEW_CREATED));
    put_time("due", view_int(v, VIEW_SCHEDULED));
    put_time("begun", view_int(v, VIEW_STARTED));
    put_time("ended", view_int(v, VIEW_COMPLETED));
    put_text("unique key", view_span(v, VIEW_UNIQUE));
    put_text("idempotency key", view_span(v, VIEW_KEY));
    put_text("token", view_span(v, VIEW_TOKEN));
    put_text("error", view_span(v, VIEW_ERROR));
    if (view_errors(v, put_error, NULL, e))
        return -1;
    put_text("payload", view_span(v, VIEW_PAYLOAD));
    put_text("result", view_span(v, VIEW_RESULT));
    return 0;
}

static int each_found(void *ctx, struct view *v, struct err *e)
{
    bool *first = ctx;

    if (!for_people)
        return put_json(v, e);
    if (!*first)
        cli_put("\n", 1);
    *first = false;
    return put_job(v, e);
}

int syncq_show(char **operands)
{
    struct err e = ERR_NONE;
    bool first = true;
    int n;

    open_view();
    cli_check(store_snapshot(&store, &e), &e);
    n = view_find(&view, span_of(operands[0]), each_found, &first, &e);
    cli_check(n, &e);
    if (!n)
        cli_warn("%s: no job has this id or idempotency key", operands[0]);
    return end_view(n ? 0 : 1);
}

/* --- stats -------------------------------------------------------------- */

static void put_number(const char *name, int64_t n)
{
    if (n < 0)
        cli_putf(",\"%s\":null", name);
    else
        cli_putf(",\"%s\":%lld", name, (long long)n);
}

static void put_share(const char *name, int64_t part, int64_t whole)
{
    if (whole)
        cli_putf(",\"%s\":%.4f", name, (double)part / (double)whole);
    else
        cli_putf(",\"%s\":null", name);
}

static void put_quoted(const char *name, struct span s)
{
    buf_clear(&line);
    add(s.p ? json_quote(s, &line) : buf_adds(&line, "null"));
    cli_putf(",\"%s\":", name);
    cli_put(line.data, line.len);
}

static void put_spread(const char *name, const struct view_spread *s)
{
    cli_putf(",\"%s\":{\"n\":%lld", name, (long long)s->n);
    put_number("p50", s->p50);
    put_number("p95", s->p95);
    put_number("p99", s->p99);
    cli_put("}", 1);
}

static void put_stats(struct span name, const struct view_stats *s)
{
    int64_t ended = s->ended_well + s->ended_badly;

    buf_clear(&line);
    add(json_quote(name, &line));
    cli_putf("{\"queue_name\":");
    cli_put(line.data, line.len);
    cli_putf(",\"depth\":{\"ready\":%lld", (long long)s->ready);
    put_number("scheduled", s->waiting);
    put_number("running", s->running);
    put_number("completed", s->completed);
    put_number("failed", s->failed);
    put_number("dead_letters", s->dead_letters);
    put_number("owed", s->owed);
    cli_put("}", 1);
    put_number("oldest_ms", s->oldest_ms);
    put_number("since_ms", opt.since_ms);
    put_number("ended_completed", s->ended_well);
    put_number("ended_failed", s->ended_badly);
    put_number("ended_retried", s->retried);
    put_share("failure_rate", s->ended_badly, ended);
    put_share("retry_rate", s->retried, ended);
    put_spread("wait_ms", &s->wait);
    put_spread("run_ms", &s->run);
    cli_putf(",\"paused\":%s", s->paused ? "true" : "false");
    put_quoted("reason", s->reason);
    cli_putf(",\"endpoint\":{\"failures\":%lld", (long long)s->endpoint_failures);
    put_number("retry_in_ms", s->endpoint_held_ms);
    put_quoted("error", s->endpoint_error);
    put_number("last_success_at", s->last_success_at);
    cli_putf("}}\n");
}

static void tell_queue(struct span name)
{
    struct view_stats s;
    struct err e = ERR_NONE;

    cli_check(view_stats(&view, name, opt.since_ms, &s, &e), &e);
    put_stats(name, &s);
}

int syncq_stats(char **operands)
{
    struct err e = ERR_NONE;
    int rc = 0;

    for (char **o = operands; *o; o++)
        queue_operand(*o);
    open_view();
    cli_check(store_snapshot(&store, &e), &e);
    for (char **o = operands; *o; o++)
        tell_queue(span_of(*o));
    if (!operands[0])
        rc = view_next_queue(&view, "", &e);
    while (rc == 1) {
        tell_queue(span_of(view.queue.data));
        rc = view_next_queue(&view, view.queue.data, &e);
    }
    cli_check(rc, &e);
    return end_view(0);
}

/* --- watch -------------------------------------------------------------- */

enum { WAVE_BYTES = 1 << 20 };

/* Into memory, so that no view of the store is held while a slow reader takes
 * it. Returns 1 when that is enough for once. */
static int each_change(void *ctx, struct view *v, struct err *e)
{
    int64_t *last = ctx;

    if (view_json(v, &line))
        return err_memory(e);
    *last = view_int(v, VIEW_CHANGE);
    return line.len >= WAVE_BYTES;
}

static int tell_wave(struct span name, int64_t *last, struct err *e)
{
    int64_t newest;
    int rc;

    if (!store_in_place(&store))
        return err_set(e, EX_PROTOCOL, "%s: replaced or removed while it was watched", cli.db);
    buf_clear(&line);
    if (store_snapshot(&store, e) || view_last_change(&view, &newest, e))
        return -1;
    rc = *last > newest
             ? err_set(e, EX_PROTOCOL, "%s: change %lld is not of this store, whose last is %lld",
                       cli.db, (long long)*last, (long long)newest)
             : view_changes(&view, name, *last, each_change, last, e);
    store_snapshot_end(&store);
    if (rc < 0)
        return -1;
    if (!rc)
        *last = newest;
    cli_put(line.data, line.len);
    cli_flush();
    return rc;
}

int syncq_watch(char **operands)
{
    struct span name = any_queue(operands);
    struct err e = ERR_NONE;
    struct watch w;
    int rc = 1;

    open_view();
    cli_check(watch_open(&w, &store, &e), &e);
    if (opt.after < 0)
        cli_check(view_last_change(&view, &opt.after, &e), &e);
    while (rc > 0 && !stop_signal()) {
        while ((rc = tell_wave(name, &opt.after, &e)) == 1 && !stop_signal())
            ;
        cli_check(rc, &e);
        rc = watch_wait(&w, STDOUT_FILENO, &e);
        if (rc < 0 && errno == EPIPE)
            cli_reader_left();
        cli_check(rc, &e);
    }
    watch_close(&w);
    return end_view(0);
}
