/* oneshot STORE: the least that one durable event costs where a process is started
 * for it: open, gate, insert a row that is known, commit, close. Nothing but SQLite
 * and an exclusive flock on STORE-gate. The store must be there. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

static sqlite3 *db;

static void ok(int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "oneshot: %s\n", db ? sqlite3_errmsg(db) : "no memory");
    exit(70);
}

static void run(const char *sql)
{
    ok(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(void)
{
    sqlite3_stmt *s;

    ok(sqlite3_prepare_v2(
        db,
        "INSERT INTO events(event_id, digest, site_id, entity_type, entity_id, actor_id, "
        "device_id, ts_device, ts_server, hlc, event_type, schema_version, synced, acknowledged, "
        "payload_json) VALUES(?1, ?2, 'main', 'T', 'a/1', 'me', 'box', ?3, ?3, ?4, 'T', '1.0', 0, "
        "0, ?5)",
        -1, &s, NULL));
    return s;
}

static void bind(sqlite3_stmt *s, struct timespec t)
{
    static char id[40], hlc[20];
    long long ms = t.tv_sec * 1000LL + t.tv_nsec / 1000000;

    snprintf(id, sizeof id, "floor-%lld-%09ld", (long long)t.tv_sec, t.tv_nsec);
    snprintf(hlc, sizeof hlc, "%012llx.0000", ms);
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, "0123456789abcdef", 16, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, ms);
    sqlite3_bind_text(s, 4, hlc, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, "1", 1, SQLITE_STATIC);
}

int main(int argc, char **argv)
{
    struct timespec t;
    sqlite3_stmt *s;
    char gate[4096];
    int fd;

    if (argc != 2 || clock_gettime(CLOCK_REALTIME, &t))
        return 64;
    snprintf(gate, sizeof gate, "%s-gate", argv[1]);
    fd = open(gate, O_RDWR | O_CLOEXEC);
    ok(sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    run("PRAGMA synchronous = FULL");
    s = prepare();
    bind(s, t);
    if (fd < 0 || flock(fd, LOCK_EX))
        return 73;
    run("BEGIN IMMEDIATE");
    ok(sqlite3_step(s));
    ok(sqlite3_reset(s));
    run("COMMIT");
    flock(fd, LOCK_UN);
    sqlite3_finalize(s);
    ok(sqlite3_close(db));
    return 0;
}
