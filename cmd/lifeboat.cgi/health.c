/* health: is this box well, and what is in it? */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/destination.h"
#include "core/identity.h"
#include "lifeboat.cgi/front.h"
#include "lifeboat.cgi/mirror.h"
#include "lifeboat.cgi/upkeep.h"
#include "store/overview.h"
#include "store/queueview.h"
#include "store/restorelog.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

/* Less than this on the disk is something to see to. */
#define LITTLE_ROOM (INT64_C(64) << 20)

/* What is put together. */
struct health {
    struct exchange *x;
    struct buf *out;      /* the answer */
    struct buf problems;  /* JSON strings, with commas */
    struct overview seen; /* all zeros where there is no store */
};

/* 1: there is a store, and it is open; 0: there is none. */
static int open_if_there(struct exchange *x, struct err *e)
{
    if (!front_store(x, STORE_READ, e))
        return 1;
    return e->status == EX_NOINPUT ? 0 : -1;
}

static int put_text(struct buf *out, const char *text)
{
    return text ? json_quote(span_of(text), out) : buf_adds(out, "null");
}

static int put_time(struct buf *out, int64_t ms)
{
    return ms < 0 ? buf_adds(out, "null") : buf_addi(out, ms);
}

static int add_problem(struct health *h, const char *text)
{
    return (h->problems.len && buf_addc(&h->problems, ',')) ||
           json_quote(span_of(text), &h->problems);
}

/* The first five; the object stays open. NULL: not known. */
static int put_identity(const char *status, const char *id, const char *device, struct buf *out)
{
    return buf_printf(out, "{\"status\":\"%s\",\"version\":\"" LIFEBOAT_VERSION "\",\"site_id\":",
                      status) ||
           put_text(out, cli.site) || buf_adds(out, ",\"device_id\":") || put_text(out, device) ||
           buf_adds(out, ",\"store_id\":") || put_text(out, id);
}

/* Asked by anybody, and often: the store is opened only if its file is not as it was. */
int health_brief(struct exchange *x, struct err *e)
{
    struct buf *out = &x->answer.body;
    struct identity seen;
    bool known = identity_read(cli.db, cli.device, &seen) == 1;
    const char *id = seen.id, *device = seen.device;
    int failed;

    if (!known) {
        int there = open_if_there(x, e);

        if (there < 0) /* the reason is for those who may know */
            cli_warn("%s", e->msg);
        if (there == 1)
            identity_keep(&x->store, cli.device, &seen);
        id = there == 1 ? x->store.id : NULL;
        device = there == 1 ? x->store.device : NULL;
    }
    failed = put_identity(id ? "healthy" : "degraded", id, device, out) || buf_adds(out, "}\n");
    return front_done(x, 200, failed, e);
}

/* --- the queue ---------------------------------------------------------- */

/* A destination: configured here, or one that has been sent to, by whatever
 * configuration. */
static bool is_destination(char **names, const char *name, const struct view_stats *s)
{
    for (char **n = names; n && *n; n++)
        if (!strcmp(*n, name))
            return true;
    return s->last_success_at >= 0 || s->endpoint_failures || s->endpoint_error.p;
}

static int put_destination(struct health *h, const char *name, const struct view_stats *s,
                           struct err *e)
{
    struct buf *out = h->out;
    bool first = out->data[out->len - 1] == '[';

    if ((!first && buf_addc(out, ',')) || buf_adds(out, "{\"name\":") || put_text(out, name) ||
        buf_printf(out, ",\"pending\":%lld,\"failed\":%lld,\"paused\":%s,\"reason\":",
                   (long long)(s->ready + s->waiting), (long long)s->dead_letters,
                   s->paused ? "true" : "false") ||
        (s->reason.p           ? json_quote(s->reason, out)
         : s->endpoint_error.p ? json_quote(s->endpoint_error, out)
                               : buf_adds(out, "null")) ||
        buf_adds(out, ",\"last_success_at\":") || put_time(out, s->last_success_at) ||
        buf_addc(out, '}'))
        return err_memory(e);
    if (s->paused && add_problem(h, "a destination is paused"))
        return err_memory(e);
    return 0;
}

/* Those that have anything in the store; their sum, and a row for each destination. */
static int put_known(struct health *h, struct view *v, char **names, struct view_stats *sum,
                     struct err *e)
{
    struct view_stats s;
    int rc = view_next_queue(v, "", e);

    while (rc == 1) {
        if (view_stats(v, span_of(v->queue.data), 0, &s, e))
            return -1;
        sum->ready += s.ready + s.waiting;
        sum->running += s.running;
        sum->failed += s.failed;
        sum->dead_letters += s.dead_letters;
        if (is_destination(names, v->queue.data, &s) && put_destination(h, v->queue.data, &s, e))
            return -1;
        for (char **n = names; n && *n; n++)
            if (!strcmp(*n, v->queue.data))
                **n = '\0'; /* it has its row */
        rc = view_next_queue(v, v->queue.data, e);
    }
    return rc;
}

static int put_unused(struct health *h, char **names, struct err *e)
{
    const struct view_stats none = {.last_success_at = -1};

    for (char **n = names; n && *n; n++)
        if (**n && put_destination(h, *n, &none, e))
            return -1;
    return 0;
}

static int put_queue(struct health *h, struct err *e)
{
    char **names = NULL;
    struct view v = {0};
    struct view_stats sum = {0};
    int rc = view_open(&v, &h->x->store, e) || destination_names(&names, e) ? -1 : 0;

    if (!rc && buf_adds(h->out, ",\"queue\":{\"destinations\":["))
        rc = err_memory(e);
    rc = rc || put_known(h, &v, names, &sum, e) || put_unused(h, names, e) ? -1 : 0;
    if (!rc && buf_printf(h->out,
                          "],\"pending\":%lld,\"running\":%lld,\"failed\":%lld,"
                          "\"dead_letters\":%lld}",
                          (long long)sum.ready, (long long)sum.running, (long long)sum.failed,
                          (long long)sum.dead_letters))
        rc = err_memory(e);
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
    view_close(&v);
    return rc;
}

/* --- all of it ---------------------------------------------------------- */

static int put_store(struct health *h, struct err *e)
{
    const struct overview *o = &h->seen;

    return buf_printf(h->out, ",\"events_count\":%lld,\"conflicts\":%lld,\"last_event_at\":",
                      (long long)o->events, (long long)o->conflicts) ||
                   put_time(h->out, o->last_event_at) ||
                   buf_printf(h->out, ",\"hlc_ahead_ms\":%lld,\"bytes\":%lld,\"free_bytes\":",
                              (long long)o->hlc_ahead_ms, (long long)o->bytes) ||
                   put_time(h->out, o->free_bytes)
               ? err_memory(e)
               : 0;
}

static int put_restore(struct health *h, struct err *e)
{
    static const char in_progress[] = "\"status\":\"IN_PROGRESS\"";
    struct buf last = {0};
    bool busy;
    int rc = h->x->store_open ? restore_last(&h->x->store, &last, e) : 0;

    if (rc < 0)
        return -1;
    while (last.len && last.data[last.len - 1] == '\n')
        last.len--;
    busy = rc && memmem(last.data, last.len, in_progress, sizeof in_progress - 1);
    rc = buf_printf(h->out,
                    ",\"restore_in_progress\":%s,\"last_restore\":", busy ? "true" : "false") ||
         (rc ? buf_add(h->out, last.data, last.len) : buf_adds(h->out, "null"));
    buf_free(&last);
    return rc ? err_memory(e) : 0;
}

static int put_licence(struct health *h, struct err *e)
{
    const struct httpconf *c = &h->x->conf;
    enum licence_state now = licence_now(c, clock_now_ms());
    bool expired = now == LICENCE_EXPIRED;

    return buf_printf(h->out,
                      ",\"licence\":{\"state\":\"%s\",\"expires_at\":", licence_name(c->state)) ||
                   put_time(h->out, c->expires_at) ||
                   buf_printf(h->out, ",\"expired\":%s,\"writes_closed\":%s}",
                              expired ? "true" : "false", c->closed & 1U << now ? "true" : "false")
               ? err_memory(e)
               : 0;
}

static int put_mirror(struct health *h, struct err *e)
{
    char problem[256];

    return buf_adds(h->out, ",\"mirror\":") || mirror_put(h->out, problem) ||
                   (problem[0] && add_problem(h, problem))
               ? err_memory(e)
               : 0;
}

static int put_upkeep(struct health *h, struct err *e)
{
    char backup[UPKEEP_PROBLEM], drill[UPKEEP_PROBLEM];

    return buf_adds(h->out, ",\"backup\":") || upkeep_backup(h->out, backup) ||
                   buf_adds(h->out, ",\"drill\":") || upkeep_drill(h->out, drill) ||
                   (backup[0] && add_problem(h, backup)) || (drill[0] && add_problem(h, drill))
               ? err_memory(e)
               : 0;
}

static int find_problems(struct health *h, bool there, struct err *e)
{
    const struct overview *o = &h->seen;
    int failed = 0;

    if (!there)
        failed = add_problem(h, "there is no store yet: the first event makes one, or a restore");
    else if (o->free_bytes >= 0 && o->free_bytes < LITTLE_ROOM)
        failed = add_problem(h, "the disk is nearly full");
    if (o->hlc_ahead_ms > 86400000)
        failed |= add_problem(h, "the clock of the events is more than a day ahead of this box's");
    return failed ? err_memory(e) : 0;
}

int health_full(struct exchange *x, struct err *e)
{
    struct buf rest = {0};
    struct health h = {.x = x, .out = &rest};
    int there = open_if_there(x, e), rc, failed;

    if (there < 0)
        return -1;
    if (front_conf(x, e) && add_problem(&h, e->msg))
        return err_memory(e);
    rc = (there && (store_snapshot(&x->store, e) || overview_read(&x->store, &h.seen, e))) ||
                 (!there && (h.seen.last_event_at = h.seen.free_bytes = -1, 0)) ||
                 put_store(&h, e) || put_restore(&h, e) || put_licence(&h, e) ||
                 put_mirror(&h, e) || put_upkeep(&h, e) || (there && put_queue(&h, e)) ||
                 find_problems(&h, there, e)
             ? -1
             : 0;
    failed =
        put_identity(h.problems.len ? "degraded" : "healthy", there ? x->store.id : NULL,
                     there ? x->store.device : NULL, &x->answer.body) ||
        buf_add(&x->answer.body, rest.data, rest.len) ||
        buf_printf(&x->answer.body, "%s,\"problems\":[%.*s]}\n", there ? "" : ",\"queue\":null",
                   (int)h.problems.len, h.problems.data ? h.problems.data : "");
    buf_free(&rest);
    buf_free(&h.problems);
    return rc ? -1 : front_done(x, 200, failed, e);
}

/* --- statistics --------------------------------------------------------- */

static int put_minutes(struct exchange *x, struct buf *out, struct err *e)
{
    int64_t minutes[OVERVIEW_MINUTES];

    if (overview_minutes(&x->store, clock_now_ms(), minutes, e))
        return -1;
    if (buf_adds(out, ",\"per_minute\":["))
        return err_memory(e);
    for (int i = 0; i < OVERVIEW_MINUTES; i++)
        if ((i && buf_addc(out, ',')) || buf_addi(out, minutes[i]))
            return err_memory(e);
    return buf_addc(out, ']') ? err_memory(e) : 0;
}

int health_stats(struct exchange *x, struct err *e)
{
    struct buf *out = &x->answer.body;
    struct overview o;
    int there = open_if_there(x, e);

    if (there < 0)
        return -1;
    if (!there)
        return front_done(x, 200,
                          buf_adds(out, "{\"events_count\":0,\"conflicts\":0,\"bytes\":0,"
                                        "\"events_by_type\":{},\"entities_by_type\":{},"
                                        "\"conflicts_by_type\":{},\"oldest_ts\":null,"
                                        "\"newest_ts\":null,\"unsynced\":0,"
                                        "\"restores_by_status\":{},\"per_minute\":[]}\n"),
                          e);
    if (store_snapshot(&x->store, e) || overview_read(&x->store, &o, e))
        return -1;
    if (buf_printf(out, "{\"events_count\":%lld,\"conflicts\":%lld,\"bytes\":%lld",
                   (long long)o.events, (long long)o.conflicts, (long long)o.bytes))
        return err_memory(e);
    if (overview_types(&x->store, out, e) || restore_census(&x->store, out, e) ||
        put_minutes(x, out, e))
        return -1;
    return front_done(x, 200, buf_adds(out, "}\n"), e);
}
