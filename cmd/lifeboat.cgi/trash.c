/* trash: what was thrown away, taken out again, or ended for good. */
#include "cli/projectors.h"
#include "lifeboat.cgi/members.h"
#include "lifeboat.cgi/write.h"
#include "store/projection.h"
#include "store/state.h"
#include "text/hlc.h"

#include <stdio.h>
#include <string.h>

/* Projections are brought up to date first. Where that cannot be written they are folded
 * for the occasion: 1. No store: 2. */
static int catch_up(struct exchange *x, struct err *e)
{
    struct projector_paths paths = cli_projectors();
    struct projection_report report = {0};
    int rc;

    if (front_store(x, STORE_WRITE, e)) {
        if (e->status == EX_NOINPUT)
            return 2;
        return front_store(x, STORE_READ, e) ? -1 : 1;
    }
    rc = projection_catch_up(&x->store, &paths, NULL, false, &report, e);
    projection_report_free(&report);
    return rc ? 1 : 0;
}

/* Who did an event, and is that the one who asks? */
static int actor_of(struct store *st, struct span event_id, struct buf *out, struct err *e)
{
    struct stmt s = {.sql = "SELECT actor_id FROM events WHERE event_id = ?1"};
    int rc;

    buf_clear(out);
    if (stmt_ready(&s, &st->db, e))
        return -1;
    stmt_bind_span(&s, 1, event_id);
    rc = stmt_step(&s, e);
    if (rc == 1)
        rc = buf_add(out, stmt_span(&s, 0).p, stmt_span(&s, 0).n) || buf_term(out) ? err_memory(e)
                                                                                   : 0;
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* --- GET /api/trash ----------------------------------------------------- */

struct listing {
    struct exchange *x;
    int64_t limit, offset, total, shown;
    struct buf actor;
};

static int put_item(struct listing *l, const struct fold_row *row, struct err *e)
{
    struct buf *out = &l->x->answer.body;
    struct hlc at = {0};

    if (actor_of(&l->x->store, row->last_event, &l->actor, e))
        return -1;
    hlc_parse(row->hlc, &at);
    if ((l->shown++ && buf_addc(out, ',')) || state_write(row, out))
        return err_memory(e);
    out->len -= 2; /* the brace and the line feed: more members follow */
    return buf_printf(out, ",\"deleted_at\":%lld,\"deleted_by\":", (long long)at.ms) ||
                   json_quote(buf_span(&l->actor), out) || buf_addc(out, '}')
               ? err_memory(e)
               : 0;
}

static int take_row(void *ctx, const struct fold_row *row, struct err *e)
{
    struct listing *l = ctx;

    if (row->deleted != 1)
        return 0;
    if (actor_of(&l->x->store, row->first_event, &l->actor, e))
        return -1;
    if (!front_is_own(l->x, l->actor.data ? l->actor.data : ""))
        return 0;
    if (l->total++ < l->offset || l->shown >= l->limit || l->x->answer.body.len > BODY_LARGE)
        return 0;
    return put_item(l, row, e);
}

int trash_list(struct exchange *x, struct err *e)
{
    struct projector_paths paths = cli_projectors();
    struct listing l = {.x = x, .limit = 100};
    int how, rc = 0;

    if (!front_number(x, "limit", 0, 1000, &l.limit, e) ||
        !front_number(x, "offset", 0, INT64_MAX, &l.offset, e))
        return front_refused(x);
    if (buf_adds(&x->answer.body, "{\"items\":["))
        return err_memory(e);
    how = catch_up(x, e);
    if (how == 0)
        rc = state_read(&x->store, NULL, NULL, 1, take_row, &l, e) < 0 ? -1 : 0;
    else if (how == 1)
        rc = state_fold(&x->store, &paths, NULL, NULL, take_row, &l, e) < 0 ? -1 : 0;
    buf_free(&l.actor);
    if (how < 0 || rc)
        return -1;
    return front_done(x, 200,
                      buf_printf(&x->answer.body, "],\"total\":%lld}\n", (long long)l.total), e);
}

/* --- one node ----------------------------------------------------------- */

struct node {
    struct buf type, first_event;
    int deleted, found;
};

/* By its id, and by its type if that is given: how many there are. */
static int find_node(struct exchange *x, struct node *n, struct err *e)
{
    struct stmt s = {.sql = "SELECT entity_type, deleted, first_event_id FROM projections "
                            "WHERE entity_id = ?1 AND (?2 IS NULL OR entity_type = ?2) "
                            "AND deleted < 2"};
    const char *type = request_param(&x->rq, "entity_type");
    int rc;

    if (stmt_ready(&s, &x->store.db, e))
        return -1;
    stmt_bind_span(&s, 1, span_of(x->at.value[0]));
    stmt_bind_span(&s, 2, type ? span_of(type) : (struct span){NULL, 0});
    while ((rc = stmt_step(&s, e)) == 1) {
        struct span t = stmt_span(&s, 0), first = stmt_span(&s, 2);

        buf_clear(&n->type);
        buf_clear(&n->first_event);
        n->deleted = (int)stmt_int(&s, 1);
        n->found++;
        if (buf_add(&n->type, t.p, t.n) || buf_add(&n->first_event, first.p, first.n)) {
            rc = err_memory(e);
            break;
        }
    }
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}

/* 0: it may be done; else a problem is the answer, or that failed. */
static int check_node(struct exchange *x, const struct node *n, struct err *e)
{
    struct buf actor = {0};
    bool own;

    if (!n->found)
        return front_problem(x, 404, e, "there is no such node"), -1;
    if (n->found > 1)
        return front_problem(x, 409, e, "nodes of %d types have this id: say entity_type",
                             n->found),
               -1;
    if (actor_of(&x->store, buf_span(&n->first_event), &actor, e))
        return -1;
    own = front_is_own(x, actor.data ? actor.data : "");
    buf_free(&actor);
    if (!own)
        return front_problem(x, 403, e, "this node is another user's"), -1;
    if (n->deleted != 1)
        return front_problem(x, 409, e, "this node is not in the trash"), -1;
    return 0;
}

static int write_event(struct exchange *x, const struct node *n, const char *type,
                       const char *status, struct err *e)
{
    struct buf *out = &x->answer.body;
    struct event ev = {0};
    struct writing w;
    enum put_result how = PUT_ERROR;
    int failed = 0;

    if (write_open(&w, x, e))
        return -1;
    ev.text[EVENT_ENTITY_TYPE] = buf_span(&n->type);
    ev.text[EVENT_ENTITY_ID] = span_of(x->at.value[0]);
    ev.text[EVENT_TYPE] = span_of(type);
    ev.text[EVENT_ACTOR_ID] = span_of(x->who.user_id);
    if (!write_payload(&w, &ev, SPAN("{}"), e))
        how = write_one(&w, &ev, e);
    if (how == PUT_INSERTED || how == PUT_PRESENT)
        failed = buf_printf(out, "{\"status\":\"%s\",\"entity_type\":", status) ||
                 json_quote(buf_span(&n->type), out) || buf_adds(out, ",\"entity_id\":") ||
                 json_quote(span_of(x->at.value[0]), out) || buf_adds(out, ",\"event_id\":") ||
                 json_quote(ev.text[EVENT_ID], out) || buf_adds(out, "}\n");
    if (how == PUT_CONFLICT || how == PUT_REFUSED)
        failed = write_refused(x, &w, e);
    else if (how != PUT_ERROR)
        failed = front_done(x, 200, failed, e);
    write_close(&w);
    return how == PUT_ERROR || failed ? -1 : 0;
}

static int change_node(struct exchange *x, const char *type, const char *status, struct err *e)
{
    struct node n = {0};
    int how = catch_up(x, e), rc;

    if (how < 0)
        return -1;
    if (how == 1) /* it could not be written there; then no event can be either */
        return err_set(e, EX_TEMPFAIL, "the projections cannot be brought up to date");
    rc = how == 2               ? front_problem(x, 404, e, "there is no such node")
         : find_node(x, &n, e)  ? -1
         : check_node(x, &n, e) ? front_refused(x)
                                : write_event(x, &n, type, status, e);
    buf_free(&n.type);
    buf_free(&n.first_event);
    return rc;
}

int node_restore(struct exchange *x, struct err *e)
{
    return change_node(x, "NODE_RESTORED", "restored", e);
}

int node_purge(struct exchange *x, struct err *e)
{
    return change_node(x, "NODE_PERMANENTLY_DELETED", "purged", e);
}
