#include "core/filecheck.h"

#include "base/stop.h"
#include "core/batch.h"
#include "text/foreign.h"

#include <stdio.h>

/* --- ids ---------------------------------------------------------------- */

static int open_ids(struct filecheck *c, struct err *e)
{
    c->find.sql = "SELECT digest FROM seen WHERE event_id = ?1";
    c->keep.sql = "INSERT INTO seen(event_id, digest) VALUES(?1, ?2)";
    /* No name: a file of SQLite's own, gone with the connection. */
    if (db_open(&c->db, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e))
        return -1;
    c->db.path = "temporary database";
    return db_exec(&c->db,
                   "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
                   "PRAGMA cache_size = -57344; BEGIN; "
                   "CREATE TABLE seen(event_id TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID",
                   e);
}

static int keep(struct filecheck *c, const struct event *ev, struct err *e)
{
    uint8_t digest[DIGEST_BYTES];

    digest_bytes(ev->digest, digest);
    if (stmt_ready(&c->keep, &c->db, e))
        return -1;
    stmt_bind_span(&c->keep, 1, ev->text[EVENT_ID]);
    stmt_bind_blob(&c->keep, 2, digest, sizeof digest);
    return stmt_run(&c->keep, e);
}

/* Has its id come before? */
static int meet(struct filecheck *c, const struct line *l, const struct event *ev, struct err *e)
{
    int rc;

    if (stmt_ready(&c->find, &c->db, e))
        return -1;
    stmt_bind_span(&c->find, 1, ev->text[EVENT_ID]);
    rc = stmt_step(&c->find, e);
    if (rc < 0)
        return -1;
    if (rc == 0) {
        c->events++;
        c->event(c->ctx, ev);
        return keep(c, ev, e);
    }
    if (digest_eq(digest_of_bytes((const uint8_t *)stmt_span(&c->find, 0).p), ev->digest)) {
        c->duplicates++;
    } else {
        c->conflicts++;
        c->conflict(c->ctx, l->number, ev);
    }
    stmt_reset(&c->find);
    return 0;
}

/* --- lines -------------------------------------------------------------- */

static int bad_line(struct filecheck *c, const struct line *l, size_t offset, const char *why)
{
    c->bad_lines++;
    c->problem(c->ctx, l->number, l->offset + (size_t)(l->text.p - l->raw.p) + offset, why);
    return 0;
}

static int take_event(struct filecheck *c, const struct line *l, struct err *e)
{
    struct event_fault fault;
    struct event ev;
    char hlc[18];

    arena_reset(&c->arena);
    if (event_parse(&c->parser, l->text, &c->arena, &ev, &fault))
        return fault.no_memory ? err_memory(e) : bad_line(c, l, fault.offset, fault.why);
    if (!ev.ts_device.set)
        return bad_line(c, l, 0, "ts_device: missing");
    event_settle(&ev, c->site, hlc);
    event_digest(&ev);
    return meet(c, l, &ev, e);
}

/* A line of the toolkit's own: a seal, which has been compared by now, or a cursor.
 * What a later version has to say is for that one to check. */
static int take_control(struct filecheck *c, const struct line *l, bool was_broken, struct err *e)
{
    char cursor[SEAL_CURSOR_MAX];
    struct json_value v;
    struct seal s;
    const char *why;
    int kind;

    if (c->check.broken && !was_broken) {
        c->problem(c->ctx, l->number, l->offset, c->check.why);
        return 0;
    }
    if (!c->check.broken && json_whole(&c->parser.json, l->text, &v))
        return c->parser.json.why == json_no_memory
                   ? err_memory(e)
                   : bad_line(c, l, json_offset(&c->parser.json), c->parser.json.why);
    kind = seal_read_cursor(l->text, cursor);
    if (kind == -1)
        return bad_line(c, l, 0, "the cursor is malformed");
    if (kind == 0)
        kind = seal_read(l->text, &s, &why);
    if (kind == -2)
        return err_memory(e);
    return kind == 0 ? bad_line(c, l, 0, CONTROL_UNKNOWN) : 0;
}

static int take_line(struct filecheck *c, const struct line *l, bool too_long, size_t max,
                     struct err *e)
{
    /* Of an over-long line, which comes in pieces, the first one counts. */
    struct span text = too_long && !l->first ? (struct span){l->raw.p, 0} : l->text;
    bool control = !too_long && line_is_control(text), was_broken = c->check.broken;
    char why[80];

    if (seal_check_line(&c->check, l->raw, text, control))
        return err_memory(e);
    c->lines += l->first;
    if (!text.n)
        return 0;
    if (control)
        return take_control(c, l, was_broken, e);
    if (!too_long)
        return take_event(c, l, e);
    snprintf(why, sizeof why, "longer than %zu bytes (--max-line)", max);
    return bad_line(c, l, 0, why);
}

static int read_lines(struct filecheck *c, struct line_reader *r, struct err *e)
{
    struct line l;

    for (;;) {
        enum line_result got = line_next(r, true, &l, e);

        if (stop_signal())
            return err_set(e, EX_TEMPFAIL, "%s: stopped before its end", r->name);
        if (got == LINE_ERROR)
            return -1;
        if (got == LINE_EOF)
            return 0;
        if (got != LINE_NONE && foreign_line(&l, r->name, c->prog, e))
            return -1;
        if (got != LINE_NONE && take_line(c, &l, got == LINE_LONG, r->max, e))
            return -1;
        if (c->lines % 1024 == 0)
            c->step(c->ctx, c->lines, r->offset);
    }
}

static void judge_seal(struct filecheck *c)
{
    bool told = c->check.broken;

    if (!c->check.seals && !told) {
        c->seal = SEAL_NONE;
    } else if (seal_check_whole(&c->check)) {
        c->seal = SEAL_WHOLE;
    } else {
        c->seal = SEAL_BROKEN;
        if (!told)
            c->problem(c->ctx, 0, 0, c->check.why);
    }
}

int filecheck_run(struct filecheck *c, struct line_reader *r, struct err *e)
{
    int rc = open_ids(c, e) ? -1 : read_lines(c, r, e);

    if (!rc)
        judge_seal(c);
    db_close(&c->db);
    seal_check_free(&c->check);
    event_parser_free(&c->parser);
    arena_free(&c->arena);
    return rc;
}
