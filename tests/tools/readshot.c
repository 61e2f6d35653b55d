/* readshot STORE KEY: the least that one look-up costs where a process is started
 * for it: open, find the value of a key in the cache, print it, close. Nothing but
 * SQLite. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static sqlite3 *db;

static void ok(int rc)
{
    if (rc == SQLITE_OK)
        return;
    fprintf(stderr, "readshot: %s\n", db ? sqlite3_errmsg(db) : "no memory");
    exit(70);
}

int main(int argc, char **argv)
{
    sqlite3_stmt *s;
    int found;

    if (argc != 3)
        return 64;
    ok(sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    ok(sqlite3_prepare_v2(db,
                          "SELECT value FROM django_cache WHERE namespace = '' AND cache_key = ?1",
                          -1, &s, NULL));
    ok(sqlite3_bind_text(s, 1, argv[2], -1, SQLITE_STATIC));
    found = sqlite3_step(s) == SQLITE_ROW;
    if (found && write(STDOUT_FILENO, sqlite3_column_blob(s, 0),
                       (size_t)sqlite3_column_bytes(s, 0)) != sqlite3_column_bytes(s, 0))
        return 74;
    ok(sqlite3_finalize(s));
    ok(sqlite3_close(db));
    return !found;
}
