/* floor: the least that SQLite needs for the same work, to measure against.
 *
 *     floor insert STORE EVENTS.jsonl   bind and insert events parsed beforehand
 *     floor read STORE                  step through every row, every column
 *     floor parse EVENTS.jsonl          parse and digest only
 *     floor uuid N                      make and print N ids with libuuid
 *
 * The first two are SQLite's own interface on lib/schema.sql and nothing else of
 * lifeboat; what prepares the events, and parse, are lifeboat's. Prints "wall cpu
 * mb": seconds of the part that counts, and the peak memory of all of it. */
#include "base/hash.h"
#include "core/batch.h"
#include "core/event.h"
#include "text/line.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

enum { ROWS = 10000, ID_TEXT = 37 };

static const char schema[] = {
#include "schema.inc"
    0};

/* --- time --------------------------------------------------------------- */

static double wall, cpu;

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void begin(void)
{
    wall -= now(CLOCK_MONOTONIC);
    cpu -= now(CLOCK_PROCESS_CPUTIME_ID);
}

static void end(void)
{
    wall += now(CLOCK_MONOTONIC);
    cpu += now(CLOCK_PROCESS_CPUTIME_ID);
}

static void report(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    printf("%.4f %.4f %.1f\n", wall, cpu, (double)r.ru_maxrss / 1024);
}

/* --- SQLite ------------------------------------------------------------- */

static sqlite3 *db;

static void die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(70);
}

static void ok(int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        die(db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

static void run(const char *sql)
{
    ok(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void open_db(const char *path)
{
    ok(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                       NULL));
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *s;

    ok(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
    return s;
}

/* --- insert ------------------------------------------------------------- */

static const char insert_sql[] =
    "INSERT INTO events(event_id, digest, site_id, entity_type, entity_id, entity_version, "
    "actor_id, actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, "
    "schema_version, correlation_id, causation_id, synced, acknowledged, created_at, "
    "payload_json, extra_json) "
    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 0, 0, "
    "'2026-01-01 00:00:00', ?18, ?19)";

struct row {
    struct event event;
    uint8_t digest[DIGEST_BYTES];
    char hlc[18];
};

static struct row rows[ROWS];

/* A span that is absent is NULL, and so is what is bound for it. */
static void bind_text(sqlite3_stmt *s, int at, struct span t)
{
    sqlite3_bind_text64(s, at, t.p, t.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_int(sqlite3_stmt *s, int at, struct event_int n)
{
    if (n.set)
        sqlite3_bind_int64(s, at, n.v);
    else
        sqlite3_bind_null(s, at);
}

static void insert(sqlite3_stmt *s, const struct row *r)
{
    static const int at[EVENT_TEXTS] = {1, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16, 17};
    const struct event *ev = &r->event;

    for (int t = 0; t < EVENT_TEXTS; t++)
        bind_text(s, at[t], ev->text[t]);
    sqlite3_bind_blob(s, 2, r->digest, DIGEST_BYTES, SQLITE_STATIC);
    bind_int(s, 6, ev->entity_version);
    bind_int(s, 11, ev->ts_device);
    bind_int(s, 12, ev->ts_device);
    bind_text(s, 18, ev->payload);
    bind_text(s, 19, ev->extra);
    ok(sqlite3_step(s));
    ok(sqlite3_reset(s));
}

/* The next events, ready to be bound. */
static size_t load(FILE *f, struct event_parser *p, struct arena *a)
{
    static char *line;
    static size_t room;
    struct event_fault fault;
    size_t n = 0;
    ssize_t length;

    arena_reset(a);
    while (n < ROWS && (length = getline(&line, &room, f)) > 0) {
        struct span text = arena_span(a, (struct span){line, (size_t)length - 1});
        struct row *r = &rows[n++];

        if (!text.p || event_parse(p, text, a, &r->event, &fault))
            die("a line that is no event");
        event_settle(&r->event, SPAN("main"), r->hlc);
        event_digest(&r->event);
        digest_bytes(r->event.digest, r->digest);
    }
    return n;
}

static void run_insert(const char *path, const char *jsonl)
{
    FILE *f = fopen(jsonl, "re");
    struct event_parser p = {0};
    struct arena a = {0};
    sqlite3_stmt *s;
    size_t n;

    if (!f)
        die(jsonl);
    begin();
    open_db(path);
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = FILE; "
        "PRAGMA cache_size = -65536");
    run("BEGIN IMMEDIATE");
    run(schema);
    run("COMMIT");
    s = prepare(insert_sql);
    end();
    while ((n = load(f, &p, &a))) {
        begin();
        run("BEGIN IMMEDIATE");
        for (size_t i = 0; i < n; i++)
            insert(s, &rows[i]);
        run("COMMIT");
        end();
    }
    begin();
    sqlite3_finalize(s);
    ok(sqlite3_close(db));
    end();
    report();
}

/* --- the others --------------------------------------------------------- */

/* The value as it is; sqlite3_column_blob() and its like check more. */
static int64_t look_at(sqlite3_value *v)
{
    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        return 0;
    case SQLITE_INTEGER:
        return sqlite3_value_int64(v);
    default:
        return sqlite3_value_blob(v) ? sqlite3_value_bytes(v) : 0;
    }
}

static void run_read(const char *path)
{
    sqlite3_stmt *s;
    int64_t sum = 0;
    int rc, columns;

    begin();
    open_db(path);
    s = prepare("SELECT * FROM events ORDER BY seq");
    columns = sqlite3_column_count(s);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        for (int c = 0; c < columns; c++)
            sum += look_at(sqlite3_column_value(s, c));
    ok(rc);
    sqlite3_finalize(s);
    ok(sqlite3_close(db));
    end();
    if (!sum)
        die("nothing was read");
    report();
}

static int no_event(void *ctx, const struct line *l, const struct event_fault *f, struct err *e)
{
    (void)ctx;
    (void)l;
    return err_set(e, 65, "%s", f->why);
}

static void run_parse(const char *jsonl)
{
    struct batch_hooks hooks = {.reject = no_event};
    struct line_reader r;
    struct err e = ERR_NONE;
    struct batch b;
    int fd = open(jsonl, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        die(jsonl);
    begin();
    batch_open(&b, &hooks);
    line_open(&r, fd, jsonl, LINE_MAX_DEFAULT);
    batch_input(&b, &r);
    while (!b.ended) {
        if (batch_fill(&b, &e) < 0)
            die(e.msg);
        for (size_t i = 0; i < b.count; i++) {
            char text[18];

            event_settle(&b.items[i].event, SPAN("main"), text);
            event_digest(&b.items[i].event);
        }
    }
    batch_close(&b);
    line_close(&r);
    end();
    report();
}

static void run_uuid(int n)
{
    FILE *f = fopen("/dev/null", "we");
    char text[ID_TEXT];
    uuid_t id;

    if (!f)
        die("/dev/null");
    begin();
    for (int i = 0; i < n; i++) {
        uuid_generate_random(id);
        uuid_unparse_lower(id, text);
        text[ID_TEXT - 1] = '\n';
        fwrite(text, 1, sizeof text, f);
    }
    fclose(f);
    end();
    report();
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    if (argc == 4 && !strcmp(what, "insert"))
        run_insert(argv[2], argv[3]);
    else if (argc == 3 && !strcmp(what, "read"))
        run_read(argv[2]);
    else if (argc == 3 && !strcmp(what, "parse"))
        run_parse(argv[2]);
    else if (argc == 3 && !strcmp(what, "uuid"))
        run_uuid(atoi(argv[2]));
    else
        die("see the head of tests/tools/floor.c");
    return fflush(stdout) ? 74 : 0;
}
