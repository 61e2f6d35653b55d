/* queuefloor: the least that SQLite needs for a queue's work, and what lifeboat's own
 * modules need for the same, to measure one against the other.
 *
 *     queuefloor put STORE N          floor: bind and insert N jobs
 *     queuefloor one STORE            floor: one job by one process, with the gate
 *     queuefloor turn STORE N         floor: claim and complete N jobs, 100 at a time
 *     queuefloor ours STORE N         the same with store/queue.h
 *     queuefloor claims STORE N       store/queue.h, one at a time: prints p50 p99 max ms
 *
 * The floors are SQLite's own interface on the tables of lib/schema.sql, which have
 * to be there, and flock on STORE-gate; nothing else of lifeboat. Jobs are of the queue
 * "q". All but the last print "wall cpu mb"; "one" prints nothing. */
#include "base/clock.h"
#include "store/queue.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 100, ROWS = 10000 };

static sqlite3 *db;
static int gate = -1;

static void die(const char *what)
{
    fprintf(stderr, "queuefloor: %s\n", what);
    exit(70);
}

static void ok(int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        die(db ? sqlite3_errmsg(db) : "no memory");
}

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall, cpu;

static void report(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    printf("%.4f %.4f %.1f\n", now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu,
           (double)r.ru_maxrss / 1024);
}

/* --- the floors --------------------------------------------------------- */

static void open_db(const char *path)
{
    char name[4096];

    snprintf(name, sizeof name, "%s-gate", path);
    gate = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    ok(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    ok(sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *s;

    ok(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
    return s;
}

static void begin(void)
{
    if (flock(gate, LOCK_EX))
        die("flock");
    ok(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

static void commit(void)
{
    ok(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    flock(gate, LOCK_UN);
}

static void put_one(sqlite3_stmt *s, int64_t i, int64_t ms)
{
    char key[40];

    snprintf(key, sizeof key, "01a202b3-8ee5-7397-b495-%012llx", (long long)i);
    sqlite3_bind_text(s, 1, key, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 2, i);
    sqlite3_bind_int64(s, 3, ms);
    sqlite3_bind_text(s, 4, "{\"to\":\"ana@example.org\",\"subject\":\"hello\",\"n\":123456}", -1,
                      SQLITE_STATIC);
    ok(sqlite3_step(s));
    ok(sqlite3_reset(s));
}

static void put(int64_t n)
{
    sqlite3_stmt *s = prepare(
        "INSERT INTO job_queue(queue_name, idempotency_key, change, scheduled_at, created_at, "
        "payload) VALUES('q', ?1, ?2, ?3, ?3, ?4)");
    int64_t ms = clock_now_ms();

    for (int64_t i = 0; i < n; i++) {
        if (i % ROWS == 0)
            begin();
        put_one(s, n == 1 ? ms : i, ms);
        if (i % ROWS == ROWS - 1 || i == n - 1)
            commit();
    }
    sqlite3_finalize(s);
}

/* One transaction: completes the last hundred, takes the next. */
static int turn(sqlite3_stmt *done, sqlite3_stmt *next, sqlite3_stmt *take, int64_t *ids, int n,
                int64_t *change)
{
    int64_t ms = clock_now_ms();
    int taken = 0;

    begin();
    for (int i = 0; i < n; i++) {
        sqlite3_bind_int64(done, 1, ids[i]);
        sqlite3_bind_int64(done, 2, ms);
        sqlite3_bind_int64(done, 3, ++*change);
        ok(sqlite3_step(done));
        ok(sqlite3_reset(done));
    }
    while (taken < BATCH && sqlite3_step(next) == SQLITE_ROW) {
        ids[taken] = sqlite3_column_int64(next, 0);
        (void)sqlite3_column_blob(next, 1);
        ok(sqlite3_reset(next));
        sqlite3_bind_int64(take, 1, ids[taken++]);
        sqlite3_bind_int64(take, 2, ms);
        sqlite3_bind_int64(take, 3, ++*change);
        ok(sqlite3_step(take));
        ok(sqlite3_reset(take));
    }
    sqlite3_reset(next);
    commit();
    return taken;
}

static void turns(int64_t most)
{
    sqlite3_stmt *done =
        prepare("UPDATE job_queue SET status = 'completed', completed_at = ?2, change = ?3, "
                "wake_boot_id = NULL, wake_ms = NULL, lease_token = NULL WHERE id = ?1");
    sqlite3_stmt *next = prepare("SELECT id, payload FROM job_queue WHERE queue_name = 'q' AND "
                                 "status = 'pending' AND wake_ms IS NULL "
                                 "ORDER BY priority DESC, id LIMIT 1");
    sqlite3_stmt *take =
        prepare("UPDATE job_queue SET status = 'running', started_at = ?2, change = ?3, "
                "wake_boot_id = '3d9d3b5c-4a0d-4a52-8d8b-27f2a1d3c0f4', wake_ms = ?2, "
                "lease_token = '0123456789abcdef0123456789abcdef', attempts = attempts + 1 "
                "WHERE id = ?1");
    int64_t ids[BATCH], change = 1 << 30, all = 0;
    int n = 0;

    do
        n = turn(done, next, take, ids, n, &change);
    while (n && (all += n) < most);
    turn(done, next, take, ids, n, &change);
    sqlite3_finalize(done);
    sqlite3_finalize(next);
    sqlite3_finalize(take);
}

/* --- ours --------------------------------------------------------------- */

struct hand {
    int64_t id[BATCH];
    char token[BATCH][QUEUE_TOKEN];
    int n;
};

static int keep(void *ctx, const struct job *j, struct err *e)
{
    struct hand *h = ctx;

    (void)e;
    h->id[h->n] = j->id;
    memcpy(h->token[h->n++], j->token, QUEUE_TOKEN);
    return 0;
}

static struct store st;
static struct queue q;

static void check(int64_t rc, const struct err *e)
{
    if (rc < 0)
        die(e->msg);
}

static int our_turn(struct hand *h, int batch)
{
    struct err e = ERR_NONE;
    struct claim c = {.queue = SPAN("q"), .ctx = h, .each = keep};

    check(queue_begin(&q, &e), &e);
    for (int i = 0; i < h->n; i++)
        check(queue_complete(&q, h->id[i], span_of(h->token[i]), (struct span){NULL, 0}, &e), &e);
    h->n = 0;
    check(queue_claim(&q, &c, batch, &e), &e);
    check(queue_commit(&q, &e), &e);
    return h->n;
}

static void open_ours(const char *path)
{
    struct store_settings set = {.wait_s = 30};
    struct err e = ERR_NONE;

    check(store_open(&st, path, STORE_WRITE, &set, &e), &e);
    check(queue_open(&q, &st, &e), &e);
}

static void our_turns(int64_t most)
{
    struct hand h = {.n = 0};
    int64_t all = 0;

    while (all < most && our_turn(&h, BATCH))
        all += h.n;
    our_turn(&h, BATCH);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void claims(int64_t n)
{
    double *ms = calloc((size_t)n, sizeof *ms);
    struct hand h = {.n = 0};

    if (!ms)
        die("no memory");
    for (int64_t i = 0; i < n; i++) {
        double began = now(CLOCK_MONOTONIC);

        our_turn(&h, 1);
        ms[i] = 1000 * (now(CLOCK_MONOTONIC) - began);
    }
    qsort(ms, (size_t)n, sizeof *ms, by_size);
    printf("%.3f %.3f %.3f\n", ms[n / 2], ms[n * 99 / 100], ms[n - 1]);
    free(ms);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    int64_t n = argc > 3 ? atoll(argv[3]) : 1;

    wall = now(CLOCK_MONOTONIC);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (!strcmp(what, "put") || !strcmp(what, "one") || !strcmp(what, "turn"))
        open_db(argv[2]);
    else if (!strcmp(what, "ours") || !strcmp(what, "claims"))
        open_ours(argv[2]);
    else
        return 64;
    if (!strcmp(what, "turn"))
        turns(n);
    else if (!strcmp(what, "ours"))
        our_turns(n);
    else if (!strcmp(what, "claims"))
        claims(n);
    else
        put(n);
    if (strcmp(what, "one") && strcmp(what, "claims"))
        report();
    queue_close(&q);
    store_close(&st);
    sqlite3_close(db);
    return fflush(stdout) ? 74 : 0;
}
