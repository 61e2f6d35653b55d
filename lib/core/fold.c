#include "core/fold.h"

#include "base/child.h"
#include "core/row.h"
#include "text/merge.h"

#include <stdlib.h>
#include <string.h>

/* --- which events ------------------------------------------------------- */

/* Only keys are sorted, for the rows may be long: each is read when its turn comes. */
#define KEYS     "SELECT seq, entity_id, hlc, event_id FROM events WHERE entity_type = ?1 AND seq <= ?2"
#define IN_ORDER " ORDER BY entity_id, hlc, event_id"

struct source {
    struct fold *f;
    struct stmt all;     /* keys of every event of the type, or of one entity */
    struct stmt touched; /* ids of entities with new events */
    struct stmt stored, news, history;
    struct stmt row;     /* an event */
    struct stmt *events; /* the keys being read */
    bool waiting;        /* the present one has not been handed out */
    bool done;           /* no row is left in all */
    struct buf id;       /* of the entity being read */
};

/* The state an entity's fold starts from; all empty for its first event. */
struct start {
    struct buf state, first, last, hlc;
    int64_t version;
    int deleted;
    bool stored;
};

static void source_open(struct source *s, struct fold *f)
{
    *s = (struct source){
        .f = f,
        .all = {.sql = f->only_id ? KEYS " AND entity_id = ?3" IN_ORDER : KEYS IN_ORDER},
        .touched =
            {.sql = "SELECT DISTINCT entity_id FROM events NOT INDEXED WHERE entity_type = ?1 AND "
                    "seq <= ?2 AND seq > ?3 AND (?4 IS NULL OR entity_id = ?4)"},
        .stored = {.sql = "SELECT " FOLD_COLUMNS " FROM projections "
                          "WHERE entity_type = ?1 AND entity_id = ?2"},
        .news = {.sql = KEYS " AND +seq > ?4 AND entity_id = ?3" IN_ORDER},
        .history = {.sql = KEYS " AND entity_id = ?3" IN_ORDER},
        .row = {.sql = "SELECT " ROW_COLUMNS " FROM events WHERE seq = ?1"}};
}

static void source_close(struct source *s)
{
    stmt_free(&s->all);
    stmt_free(&s->touched);
    stmt_free(&s->stored);
    stmt_free(&s->news);
    stmt_free(&s->history);
    stmt_free(&s->row);
    buf_free(&s->id);
}

static void start_free(struct start *a)
{
    buf_free(&a->state);
    buf_free(&a->first);
    buf_free(&a->last);
    buf_free(&a->hlc);
}

static int copy(struct buf *b, struct span s)
{
    b->len = 0;
    return buf_add(b, s.p ? s.p : "", s.n);
}

static int start_blank(struct start *a, struct err *e)
{
    a->version = 0;
    a->deleted = 0;
    a->stored = false;
    return copy(&a->state, SPAN("")) || copy(&a->first, SPAN("")) || copy(&a->last, SPAN("")) ||
                   copy(&a->hlc, SPAN(""))
               ? err_memory(e)
               : 0;
}

static int start_from(struct start *a, const struct fold_row *r, struct err *e)
{
    a->version = r->version;
    a->deleted = r->deleted;
    a->stored = true;
    return copy(&a->state, r->state) || copy(&a->first, r->first_event) ||
                   copy(&a->last, r->last_event) || copy(&a->hlc, r->hlc)
               ? err_memory(e)
               : 0;
}

void fold_row_read(struct stmt *s, struct fold_row *row)
{
    *row = (struct fold_row){.type = stmt_span(s, 0),
                             .id = stmt_span(s, 1),
                             .state = stmt_span(s, 2),
                             .version = stmt_int(s, 3),
                             .deleted = (int)stmt_int(s, 4),
                             .first_event = stmt_span(s, 5),
                             .last_event = stmt_span(s, 6),
                             .hlc = stmt_span(s, 7),
                             .covered = stmt_int(s, 8)};
}

/* Binds a query for one entity's events and steps to its first row. */
static int read_entity(struct source *s, struct stmt *q, int64_t after, struct err *e)
{
    int rc;

    if (stmt_ready(q, &s->f->st->db, e))
        return -1;
    stmt_bind_span(q, 1, span_of(s->f->type));
    stmt_bind_int(q, 2, s->f->upto);
    stmt_bind_span(q, 3, buf_span(&s->id));
    if (q == &s->news)
        stmt_bind_int(q, 4, after);
    rc = stmt_step(q, e);
    s->events = q;
    s->waiting = rc == 1;
    return rc < 0 ? -1 : 0;
}

/* Do the new events all come after what the stored row has folded? */
static bool comes_after(struct stmt *news, const struct start *a)
{
    int order = span_cmp(stmt_span(news, 2), buf_span(&a->hlc));

    return order > 0 || (order == 0 && span_cmp(stmt_span(news, 3), buf_span(&a->last)) > 0);
}

static int next_touched(struct source *s, struct start *a, struct err *e)
{
    struct fold_row row;
    int rc = stmt_step(&s->touched, e);

    if (rc != 1)
        return rc;
    if (copy(&s->id, stmt_span(&s->touched, 0)) || start_blank(a, e))
        return err_memory(e);
    if (stmt_ready(&s->stored, &s->f->st->db, e))
        return -1;
    stmt_bind_span(&s->stored, 1, span_of(s->f->type));
    stmt_bind_span(&s->stored, 2, buf_span(&s->id));
    rc = stmt_step(&s->stored, e);
    if (rc < 0)
        return -1;
    if (rc == 1) {
        fold_row_read(&s->stored, &row);
        if (start_from(a, &row, e) || read_entity(s, &s->news, row.covered, e))
            return -1;
        stmt_reset(&s->stored);
        if (s->waiting && comes_after(&s->news, a))
            return 1;
        if (!s->waiting) /* covered already, by a run that was cut short */
            return 1;
        if (start_blank(a, e))
            return -1;
    }
    return read_entity(s, &s->history, 0, e) ? -1 : 1;
}

static int next_of_all(struct source *s, struct start *a, struct err *e)
{
    s->events = &s->all;
    if (!s->waiting) {
        int rc = s->done ? 0 : stmt_step(&s->all, e);

        if (rc != 1)
            return rc;
        s->waiting = true;
    }
    if (start_blank(a, e) || copy(&s->id, stmt_span(&s->all, 1)))
        return err_memory(e);
    return 1;
}

static int source_begin(struct source *s, struct err *e)
{
    struct stmt *q = s->f->after < 0 ? &s->all : &s->touched;

    if (stmt_ready(q, &s->f->st->db, e))
        return -1;
    stmt_bind_span(q, 1, span_of(s->f->type));
    stmt_bind_int(q, 2, s->f->upto);
    if (q == &s->touched) {
        stmt_bind_int(q, 3, s->f->after);
        stmt_bind_span(q, 4, s->f->only_id ? span_of(s->f->only_id) : (struct span){NULL, 0});
    } else if (s->f->only_id) {
        stmt_bind_span(q, 3, span_of(s->f->only_id));
    }
    return 0;
}

/* The next entity: 1 and where its fold starts from, 0 at the end, -1. */
static int next_entity(struct source *s, struct start *a, struct err *e)
{
    return s->f->after < 0 ? next_of_all(s, a, e) : next_touched(s, a, e);
}

/* The event whose key is the present one. */
static int read_event(struct source *s, struct event *ev, struct err *e)
{
    int rc;

    if (stmt_ready(&s->row, &s->f->st->db, e))
        return -1;
    stmt_bind_int(&s->row, 1, stmt_int(s->events, 0));
    rc = stmt_step(&s->row, e);
    if (rc == 1 && !row_read(&s->row, ev))
        return 1;
    if (rc >= 0)
        err_set(e, EX_DATAERR, "%s: event %lld is not whole: run evstore-verify", s->f->st->path,
                (long long)stmt_int(s->events, 0));
    return -1;
}

/* The entity's next event: 1, 0 at its end, -1. */
static int next_event(struct source *s, struct event *ev, struct err *e)
{
    if (!s->waiting) {
        int rc = stmt_step(s->events, e);

        s->done = rc != 1;
        if (rc != 1)
            return rc;
        if (s->events == &s->all && !span_eq(stmt_span(&s->all, 1), buf_span(&s->id))) {
            s->waiting = true;
            return 0;
        }
    }
    s->waiting = false;
    return read_event(s, ev, e);
}

/* --- trash and bookkeeping, for every type ------------------------------ */

enum trash trash_of(struct span event_type)
{
    static const struct {
        const char *name;
        enum trash what;
    } types[] = {{"NODE_SOFT_DELETED", TRASHED},       {"node.trashed", TRASHED},
                 {"NODE_RESTORED", RESTORED},          {"node.restored", RESTORED},
                 {"NODE_PERMANENTLY_DELETED", PURGED}, {"node.purged", PURGED}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_eq(event_type, span_of(types[i].name)))
            return types[i].what;
    return NOT_TRASH;
}

static int account(struct start *a, const struct event *ev, enum trash t, struct err *e)
{
    if (!a->version && copy(&a->first, ev->text[EVENT_ID]))
        return err_memory(e);
    a->version++;
    if (t != NOT_TRASH && a->deleted != 2)
        a->deleted = t == TRASHED ? 1 : t == RESTORED ? 0 : 2;
    return copy(&a->last, ev->text[EVENT_ID]) || copy(&a->hlc, ev->text[EVENT_HLC]) ? err_memory(e)
                                                                                    : 0;
}

static int hand_out(struct fold *f, struct span id, const struct start *a, struct span state,
                    struct err *e)
{
    struct fold_row row = {.type = span_of(f->type),
                           .id = id,
                           .state = a->deleted == 2 ? SPAN("null") : state,
                           .version = a->version,
                           .deleted = a->deleted,
                           .first_event = buf_span(&a->first),
                           .last_event = buf_span(&a->last),
                           .hlc = buf_span(&a->hlc),
                           .covered = f->upto};

    return f->take(f->ctx, &row, e);
}

/* --- the default fold --------------------------------------------------- */

/* By its payload's fault, if that is no JSON. */
static int not_folded(struct source *s, const struct event *ev, struct err *e)
{
    struct json j = {0};
    struct json_value v;
    bool bad = json_whole(&j, ev->payload, &v) && j.why != json_no_memory;

    json_end(&j);
    return !bad ? err_memory(e)
                : err_set(e, EX_DATAERR, "%s: event %.*s: its payload cannot be folded",
                          s->f->st->path, (int)ev->text[EVENT_ID].n, ev->text[EVENT_ID].p);
}

static int fold_entity(struct source *s, struct start *a, struct merge *m, struct err *e)
{
    bool resumed = a->stored && a->deleted != 2;
    struct event ev;
    int rc;

    if (merge_reset(m, resumed ? buf_span(&a->state) : (struct span){NULL, 0}))
        return err_memory(e);
    while ((rc = next_event(s, &ev, e)) == 1) {
        enum trash t = trash_of(ev.text[EVENT_TYPE]);

        if (account(a, &ev, t, e))
            return -1;
        if (t == NOT_TRASH && a->deleted != 2 && merge_apply(m, ev.payload))
            return not_folded(s, &ev, e);
    }
    stmt_reset(&s->row);
    return rc;
}

static int fold_default(struct fold *f, struct source *s, struct err *e)
{
    struct merge m = {0};
    struct start a = {0};
    struct buf state = {0};
    int rc;

    while ((rc = next_entity(s, &a, e)) == 1) {
        if (fold_entity(s, &a, &m, e)) {
            rc = -1;
            break;
        }
        state.len = 0;
        if (merge_write(&m, &state) || merge_reset(&m, (struct span){NULL, 0}))
            rc = err_memory(e);
        else
            rc = hand_out(f, buf_span(&s->id), &a, buf_span(&state), e) ? -1 : 1;
        if (rc < 0)
            break;
    }
    merge_free(&m);
    start_free(&a);
    buf_free(&state);
    return rc;
}

/* --- reducers ----------------------------------------------------------- */

/* One jq process folds all entities of a type. It reads lines
 *     [goes on, state, is complete, event, event, ...]
 * A long history comes in several lines, of which only the last is complete;
 * jq answers each complete one with the entity's state. */
static const char wrapper_head[] = "def reducer($event):\n";
static const char wrapper_tail[] =
    "\n;\nforeach inputs as $line (null; reduce $line[3:][] as $e "
    "(if $line[0] then . else $line[1] end; reducer($e)); if $line[2] then . else empty end)";

enum { CHUNK_EVENTS = 500, CHUNK_BYTES = 256 * 1024 };

/* An entity whose state jq still owes. */
struct owed {
    struct buf id;
    struct start a;
    struct owed *next;
};

struct reduction {
    struct fold *f;
    struct source *s;
    struct owed *first, **last; /* in the order of their questions */
    struct owed *open;          /* the one whose events are being sent */
    bool failed;                /* jq's answers do not fit */
};

static void owed_free(struct owed *o)
{
    buf_free(&o->id);
    start_free(&o->a);
    free(o);
}

/* Starts on the next entity: 1, 0 when there is none, -1. */
static int owe_next(struct reduction *r, struct err *e)
{
    struct owed *o = calloc(1, sizeof *o);
    int rc;

    if (!o) {
        err_memory(e);
        return -1;
    }
    rc = next_entity(r->s, &o->a, e);
    if (rc == 1 && copy(&o->id, buf_span(&r->s->id))) {
        err_memory(e);
        rc = -1;
    }
    if (rc != 1) {
        owed_free(o);
        return rc;
    }
    *r->last = o;
    r->last = &o->next;
    r->open = o;
    return 1;
}

static int put_event(struct buf *out, const struct event *ev)
{
    struct buf line = {0};
    int rc;

    rc = event_write(ev, false, &line) || buf_addc(out, ',') ||
         json_mend((struct span){line.data, line.len - 1}, out);
    buf_free(&line);
    return rc ? -1 : 0;
}

/* Writes one line of the open entity; closes it when its events are through. */
static int put_chunk(struct reduction *r, bool goes_on, struct buf *out, struct err *e)
{
    struct owed *o = r->open;
    struct span state = o->a.stored && o->a.deleted != 2 ? buf_span(&o->a.state) : SPAN("null");
    struct buf events = {0};
    struct event ev;
    int rc = 1, n = 0;

    while (n < CHUNK_EVENTS && events.len < CHUNK_BYTES && (rc = next_event(r->s, &ev, e)) == 1) {
        enum trash t = trash_of(ev.text[EVENT_TYPE]);

        if (account(&o->a, &ev, t, e) ||
            (t == NOT_TRASH && o->a.deleted != 2 && put_event(&events, &ev))) {
            rc = err_memory(e);
            break;
        }
        n++;
    }
    if (rc >= 0 && (buf_printf(out, "[%s,", goes_on ? "true" : "false") ||
                    buf_add(out, state.p, state.n) || buf_adds(out, rc ? ",false" : ",true") ||
                    buf_add(out, events.data, events.len) || buf_adds(out, "]\n")))
        rc = err_memory(e);
    buf_free(&events);
    if (rc == 0)
        r->open = NULL;
    return rc < 0 ? -1 : 0;
}

static int feed(void *ctx, struct buf *out, struct err *e)
{
    struct reduction *r = ctx;
    bool goes_on = r->open != NULL;

    if (!r->open) {
        int rc = owe_next(r, e);

        if (rc != 1)
            return rc;
    }
    return put_chunk(r, goes_on, out, e) ? -1 : 1;
}

static int answer(void *ctx, struct span line, struct err *e)
{
    struct reduction *r = ctx;
    struct owed *o = r->first;
    struct json j = {0};
    struct json_value v;
    int rc;

    if (!o || o == r->open || json_whole(&j, line, &v)) {
        json_end(&j);
        r->failed = true;
        return err_set(e, EX_DATAERR, "it printed something that is not a state");
    }
    json_end(&j);
    rc = hand_out(r->f, buf_span(&o->id), &o->a, line, e);
    r->first = o->next;
    if (!r->first)
        r->last = &r->first;
    owed_free(o);
    return rc;
}

static int fold_reducer(struct fold *f, struct source *s, struct err *e)
{
    struct reduction r = {.f = f, .s = s};
    struct buf program = {0};
    char *argv[] = {"jq", "-nc", NULL, NULL};
    struct child jq = {.argv = argv, .ctx = &r, .feed = feed, .line = answer};
    int rc;

    r.last = &r.first;
    if (buf_adds(&program, wrapper_head) || buf_adds(&program, f->reducer) ||
        buf_adds(&program, wrapper_tail) || buf_term(&program))
        return err_memory(e);
    argv[2] = program.data;
    rc = child_run(&jq, e);
    if (rc == 0 && r.first)
        rc = err_set(e, EX_DATAERR, "it ended without giving every state") + 2;
    else if (rc < 0 && r.failed)
        rc = 1;
    while (r.first) {
        struct owed *o = r.first;

        r.first = o->next;
        owed_free(o);
    }
    child_end(&jq);
    buf_free(&program);
    return rc;
}

int fold_run(struct fold *f, struct err *e)
{
    struct source s;
    int rc;

    source_open(&s, f);
    rc = source_begin(&s, e);
    if (!rc)
        rc = f->reducer ? fold_reducer(f, &s, e) : fold_default(f, &s, e);
    source_close(&s);
    return rc;
}
