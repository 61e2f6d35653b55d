/* db: SQLite with errors that say what failed.
 *
 * Statements are struct stmt, prepared on first use from a complete SQL text
 * beside the code that runs it, and kept until db_close. Results of columns
 * belong to SQLite until the next step or reset. */
#ifndef LIFEBOAT_DB_H
#define LIFEBOAT_DB_H

#include "base/buf.h"
#include "base/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct db {
    sqlite3 *handle;
    const char *path;   /* the caller's */
    struct stmt *stmts; /* prepared on it, to be finalised with it */
};

struct stmt {
    const char *sql;
    sqlite3_stmt *handle;
    struct db *db;
    struct stmt *next;
};

int db_open(struct db *db, const char *path, int flags, struct err *e);
void db_close(struct db *db);

/* Fills e from the last failure: a full disk, an I/O error, a lock, a
 * corrupt or foreign file each have their status. */
int db_error(struct db *db, struct err *e, const char *doing);

/* Runs SQL that returns no rows. */
int db_exec(struct db *db, const char *sql, struct err *e);

/* Makes s ready to be bound and stepped (prepares it the first time). */
int stmt_ready(struct stmt *s, struct db *db, struct err *e);
void stmt_bind_span(struct stmt *s, int at, struct span text); /* p NULL: NULL; not copied */
void stmt_bind_int(struct stmt *s, int at, int64_t n);
void stmt_bind_blob(struct stmt *s, int at, const void *p, size_t n); /* not copied */
void stmt_bind_null(struct stmt *s, int at);

/* 1: a row, 0: done (and reset), -1: failed (and reset). */
int stmt_step(struct stmt *s, struct err *e);
void stmt_reset(struct stmt *s);
struct span stmt_span(struct stmt *s, int column); /* p NULL for NULL */
int64_t stmt_int(struct stmt *s, int column);
void stmt_free(struct stmt *s);

/* Runs a statement without rows, already bound. */
int stmt_run(struct stmt *s, struct err *e);

/* The one integer of a query without parameters. */
int db_int(struct db *db, const char *sql, int64_t *out, struct err *e);

#endif
