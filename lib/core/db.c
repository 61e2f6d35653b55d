#include "core/db.h"

#include "base/denied.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EX_TEMPFAIL;
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return EX_IOERR;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return EX_DATAERR;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return EX_NOPERM;
    case SQLITE_CANTOPEN:
        return EX_CANTCREAT;
    case SQLITE_NOMEM:
        return EX_TEMPFAIL;
    default:
        return EX_SOFTWARE;
    }
}

#define CORRUPT_HINT ": see lifeboat-recovery(7), THE STORE IS CORRUPT"

enum { DOING_SHOWN = 60 }; /* of a statement, so that the reason is not cut off */

/* SQLite calls a file malformed that the disk refuses to give (EIO). */
static bool unreadable(int code, int number)
{
    return (code & 0xff) == SQLITE_CORRUPT && number == EIO;
}

/* Files, and a folder, that SQLite cannot write: its own words do not say why. */
static int refused(const struct db *db, int code, int number)
{
    switch (code & 0xff) {
    case SQLITE_IOERR:
        return number == EROFS ? number : 0;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return denied_beside(db->path);
    default:
        return 0;
    }
}

int db_error(struct db *db, struct err *e, const char *doing)
{
    int last = errno;
    int code = db->handle ? sqlite3_extended_errcode(db->handle) : SQLITE_NOMEM;
    int number = db->handle ? sqlite3_system_errno(db->handle) : 0;
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : "out of memory";
    const char *cut = strlen(doing) > DOING_SHOWN ? "..." : "";
    bool system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    int why = refused(db, code, number);

    if (why) {
        err_set(e, EX_NOPERM, "%s: unable to %.*s%s: %s", db->path, DOING_SHOWN, doing, cut,
                strerror(why));
        return denied_hint(e, why);
    }
    if (unreadable(code, last)) {
        system = true;
        number = last;
        code = SQLITE_IOERR;
    }
    return err_set(e, status_of(code), "%s: unable to %.*s%s: %s%s%s%s", db->path, DOING_SHOWN,
                   doing, cut, text, system && number ? ": " : "",
                   system && number ? strerror(number) : "",
                   (code & 0xff) == SQLITE_CORRUPT ? CORRUPT_HINT : "");
}

int db_open(struct db *db, const char *path, int flags, struct err *e)
{
    *db = (struct db){.path = path};
    if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db_error(db, e, "open the store");
    sqlite3_extended_result_codes(db->handle, 1);
    return 0;
}

void db_close(struct db *db)
{
    while (db->stmts)
        stmt_free(db->stmts);
    sqlite3_close(db->handle);
    db->handle = NULL;
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return db_error(db, e, sql);
}

int stmt_ready(struct stmt *s, struct db *db, struct err *e)
{
    if (s->handle && s->db == db) {
        sqlite3_reset(s->handle);
        return 0;
    }
    stmt_free(s);
    if (sqlite3_prepare_v3(db->handle, s->sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, NULL) !=
        SQLITE_OK) {
        s->handle = NULL;
        db_error(db, e, s->sql);
        /* The text is ours: what it does not fit is not our schema. */
        if (sqlite3_errcode(db->handle) == SQLITE_ERROR)
            e->status = EX_DATAERR;
        return -1;
    }
    s->db = db;
    s->next = db->stmts;
    db->stmts = s;
    return 0;
}

void stmt_free(struct stmt *s)
{
    if (!s->handle)
        return;
    for (struct stmt **at = &s->db->stmts; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    sqlite3_finalize(s->handle);
    s->handle = NULL;
    s->db = NULL;
}

void stmt_bind_span(struct stmt *s, int at, struct span text)
{
    if (text.p)
        sqlite3_bind_text64(s->handle, at, text.p, text.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(s->handle, at);
}

void stmt_bind_int(struct stmt *s, int at, int64_t n)
{
    sqlite3_bind_int64(s->handle, at, n);
}

void stmt_bind_blob(struct stmt *s, int at, const void *p, size_t n)
{
    sqlite3_bind_blob64(s->handle, at, p, n, SQLITE_STATIC);
}

void stmt_bind_null(struct stmt *s, int at)
{
    sqlite3_bind_null(s->handle, at);
}

int stmt_step(struct stmt *s, struct err *e)
{
    int rc = sqlite3_step(s->handle);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        db_error(s->db, e, sqlite3_stmt_readonly(s->handle) ? "read" : "write");
    sqlite3_reset(s->handle);
    return rc == SQLITE_DONE ? 0 : -1;
}

void stmt_reset(struct stmt *s)
{
    if (s->handle)
        sqlite3_reset(s->handle);
}

struct span stmt_span(struct stmt *s, int column)
{
    /* One thread has the connection, so the value may be asked directly. */
    sqlite3_value *v = sqlite3_column_value(s->handle, column);
    const void *p = sqlite3_value_blob(v);

    if (!p)
        return (struct span){sqlite3_value_type(v) == SQLITE_NULL ? NULL : "", 0};
    return (struct span){p, (size_t)sqlite3_value_bytes(v)};
}

int64_t stmt_int(struct stmt *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

int stmt_run(struct stmt *s, struct err *e)
{
    return stmt_step(s, e) < 0 ? -1 : 0;
}

int db_int(struct db *db, const char *sql, int64_t *out, struct err *e)
{
    struct stmt s = {.sql = sql};
    int rc;

    if (stmt_ready(&s, db, e))
        return -1;
    rc = stmt_step(&s, e);
    *out = rc == 1 ? stmt_int(&s, 0) : 0;
    stmt_free(&s);
    return rc < 0 ? -1 : 0;
}
