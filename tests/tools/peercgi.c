/* peercgi: a CGI program that does the least there is with SQLite, by the path behind
 * its name: /read opens the store and tells its newest event; /write commits the body to
 * a table of its own, durably. For tests/bench-http.sh. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sqlite3 *db;

static void ok(int rc)
{
    if (rc == SQLITE_OK)
        return;
    fprintf(stderr, "peercgi: %s\n", db ? sqlite3_errmsg(db) : "no memory");
    exit(70);
}

static int answer(int status, const char *text, int n)
{
    printf("Status: %d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%.*s", status,
           n, n, text);
    return fflush(stdout) ? 74 : 0;
}

static void open_store(const char *name)
{
    ok(sqlite3_open_v2(getenv(name), &db,
                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    ok(sqlite3_busy_timeout(db, 10000));
}

static int read_one(void)
{
    sqlite3_stmt *s;

    open_store("LIFEBOAT_DB");
    ok(sqlite3_prepare_v2(db, "SELECT payload_json FROM events ORDER BY seq DESC LIMIT 1", -1, &s,
                          NULL));
    if (sqlite3_step(s) != SQLITE_ROW)
        return 70;
    answer(200, (const char *)sqlite3_column_text(s, 0), sqlite3_column_bytes(s, 0));
    ok(sqlite3_finalize(s));
    ok(sqlite3_close(db));
    return 0;
}

static int write_one(void)
{
    static char body[65536];
    ssize_t n = read(STDIN_FILENO, body, sizeof body);
    sqlite3_stmt *s;

    open_store("PEER_DB");
    ok(sqlite3_exec(db,
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                    "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body TEXT)",
                    NULL, NULL, NULL));
    ok(sqlite3_prepare_v2(db, "INSERT INTO t(body) VALUES (?1)", -1, &s, NULL));
    ok(sqlite3_bind_text(s, 1, body, (int)n, SQLITE_STATIC));
    if (sqlite3_step(s) != SQLITE_DONE)
        return 70;
    ok(sqlite3_finalize(s));
    ok(sqlite3_close(db));
    return answer(201, "{}", 2);
}

int main(void)
{
    const char *path = getenv("PATH_INFO");

    return path && !strcmp(path, "/read") ? read_one() : write_one();
}
