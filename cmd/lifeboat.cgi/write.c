#include "lifeboat.cgi/write.h"

#include "base/clock.h"
#include "base/nameid.h"
#include "cli/cli.h"
#include "core/batch.h"
#include "text/rfc3339.h"

#include <string.h>

int write_open(struct writing *w, struct exchange *x, struct err *e)
{
    *w = (struct writing){.x = x};
    if (front_store(x, STORE_CREATE, e))
        return -1;
    w->intake = (struct intake){.st = &x->store,
                                .site = cli.site,
                                .max_drift_ms = 86400000,
                                .expect = -1,
                                .echo = &w->stored};
    return intake_open(&w->intake, e);
}

int write_begin(struct writing *w, struct err *e)
{
    w->stored.len = 0;
    w->begun = clock_boot_ms();
    if (store_begin(&w->x->store, e))
        return -1;
    if (!intake_begin(&w->intake, e))
        return 0;
    store_rollback(&w->x->store);
    return -1;
}

int write_commit(struct writing *w, struct err *e)
{
    if (!intake_end(&w->intake, e))
        return store_commit(&w->x->store, e);
    store_rollback(&w->x->store);
    return -1;
}

int write_breathe(struct writing *w, struct err *e)
{
    if (clock_boot_ms() - w->begun < BATCH_HOLD_MS)
        return 0;
    return write_commit(w, e) || write_begin(w, e) ? -1 : 0;
}

void write_rollback(struct writing *w)
{
    if (w->x->store.in_transaction)
        store_rollback(&w->x->store);
}

void write_close(struct writing *w)
{
    write_rollback(w);
    intake_close(&w->intake);
    arena_free(&w->arena);
    buf_free(&w->stored);
}

int write_payload(struct writing *w, struct event *ev, struct span text, struct err *e)
{
    struct event_fault f = {0};

    if (!event_set_payload(&w->intake.parser, text, &w->arena, ev, &f))
        return 0;
    return f.no_memory ? err_memory(e) : err_set(e, EX_USAGE, "payload: %s", f.why);
}

int write_known(struct writing *w, struct span id, struct err *e)
{
    struct stmt s = {.sql = "SELECT 1 FROM events WHERE event_id = ?1"};
    int rc;

    if (stmt_ready(&s, &w->x->store.db, e))
        return -1;
    stmt_bind_span(&s, 1, id);
    rc = stmt_step(&s, e);
    stmt_free(&s);
    return rc;
}

/* The id under the key. */
static int give_id(struct writing *w, struct event *ev, struct err *e)
{
    char id[NAMEID_TEXT];

    if (ev->text[EVENT_ID].p || !w->x->keyed)
        return 0;
    if (replay_event_id(&w->x->replay, w->made, id, e))
        return -1;
    ev->text[EVENT_ID] = arena_span(&w->arena, span_of(id));
    return ev->text[EVENT_ID].p ? 0 : err_memory(e);
}

/* One that is known already keeps the correlation id it has: the request that brings it
 * again may well name another. */
static int give_correlation(struct writing *w, struct event *ev, struct err *e)
{
    int known = 0;

    if (ev->text[EVENT_CORRELATION].p || !*w->x->rq.correlation)
        return 0;
    if (ev->text[EVENT_ID].p && (known = write_known(w, ev->text[EVENT_ID], e)) < 0)
        return -1;
    if (!known)
        ev->text[EVENT_CORRELATION] = span_of(w->x->rq.correlation);
    return 0;
}

enum put_result write_put(struct writing *w, struct event *ev, struct err *e)
{
    if (give_id(w, ev, e) || give_correlation(w, ev, e))
        return PUT_ERROR;
    w->made++;
    return intake_put(&w->intake, ev, &w->arena, e);
}

enum put_result write_one(struct writing *w, struct event *ev, struct err *e)
{
    enum put_result how;

    if (write_begin(w, e))
        return PUT_ERROR;
    how = write_put(w, ev, e);
    if (how == PUT_ERROR)
        write_rollback(w);
    else if (write_commit(w, e))
        how = PUT_ERROR;
    return how;
}

void write_time_text(int64_t ms, char out[static 32])
{
    rfc3339_format(ms, out);
    memcpy(out + 19, "Z", 2); /* without the milliseconds */
}

int write_time(struct writing *w, char out[static 32], struct err *e)
{
    struct span line = buf_span(&w->stored);
    struct event_fault f;
    struct event ev;

    if (line.n)
        line.n--;
    if (event_parse(&w->intake.parser, line, &w->arena, &ev, &f))
        return err_set(e, EX_SOFTWARE, "the stored event is none: %s", f.why);
    write_time_text(ev.ts_device.v, out);
    return 0;
}

int write_refused(struct exchange *x, const struct writing *w, struct err *e)
{
    return front_problem_of(x, 409, "/problems/conflict", "", e, "%s", w->intake.why);
}
