/* floor: the least that SQLite needs for the same work, to measure against.
 *
 *     floor insert STORE EVENTS.jsonl   bind and insert events parsed beforehand
 *     floor read STORE                  step through every row, every column
 *     floor parse EVENTS.jsonl          parse and digest only
 *     floor oneshot STORE               open, gate, insert one row, commit, close
 *     floor spawn N PROGRAM [ARG...]    run a program N times in a row
 *     floor uuid N                      make and print N ids with libuuid
 *
 * Prints "wall cpu" in seconds of the timed part. */
#include "base/clock.h"
#include "core/batch.h"
#include "core/store.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

extern char **environ;

static const char insert_sql[] =
    "INSERT INTO events(event_id, digest, site_id, entity_type, entity_id, entity_version, "
    "actor_id, actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, "
    "schema_version, correlation_id, causation_id, synced, acknowledged, payload_json, "
    "extra_json) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
    "?17, 0, 0, ?20, ?21) ON CONFLICT(event_id) DO NOTHING";

static double wall0, cpu0;

static double wall_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_now(void)
{
    struct rusage a, b;

    getrusage(RUSAGE_SELF, &a);
    getrusage(RUSAGE_CHILDREN, &b);
    return (double)(a.ru_utime.tv_sec + a.ru_stime.tv_sec + b.ru_utime.tv_sec + b.ru_stime.tv_sec) +
           (double)(a.ru_utime.tv_usec + a.ru_stime.tv_usec + b.ru_utime.tv_usec +
                    b.ru_stime.tv_usec) /
               1e6;
}

static void begin(void)
{
    wall0 = wall_now();
    cpu0 = cpu_now();
}

static void end(void)
{
    printf("%.4f %.4f\n", wall_now() - wall0, cpu_now() - cpu0);
}

static void die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(70);
}

static void check(int rc, const struct err *e)
{
    if (rc < 0)
        die(e->msg);
}

static void open_store(struct store *st, const char *path, bool bulk)
{
    struct store_settings set = {.wait_s = 30, .bulk = bulk};
    struct err e = ERR_NONE;

    check(store_open(st, path, STORE_CREATE, &set, &e), &e);
}

static int no_reject(void *ctx, const struct line *l, const struct event_fault *f, struct err *e)
{
    (void)ctx;
    (void)l;
    return err_set(e, 65, "%s", f->why);
}

/* --- insert ------------------------------------------------------------- */

static struct event *events;
static size_t count, room;

static void keep(const char *line, size_t n, struct event_parser *p, struct arena *a)
{
    struct span copy = arena_span(a, (struct span){line, n});
    struct event_fault f;

    if (count == room) {
        room = room ? 2 * room : 4096;
        events = realloc(events, room * sizeof *events);
        if (!events)
            die("out of memory");
    }
    if (!copy.p || event_parse(p, copy, a, &events[count], &f))
        die("an event that is none");
    event_settle(&events[count], SPAN("main"), arena_alloc(a, 18));
    event_digest(&events[count++]);
}

static void load(const char *path, struct arena *a)
{
    struct event_parser p = {0};
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (!f)
        die(path);
    while ((n = getline(&line, &cap, f)) > 0)
        keep(line, (size_t)n - 1, &p, a);
    fclose(f);
    free(line);
}

static void bind_int(struct stmt *s, int at, struct event_int n)
{
    if (n.set)
        stmt_bind_int(s, at, n.v);
    else
        stmt_bind_null(s, at);
}

static void bind_row(struct stmt *s, const struct event *ev, const uint8_t *digest)
{
    static const int at[EVENT_TEXTS] = {1, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16, 17};

    for (int t = 0; t < EVENT_TEXTS; t++)
        stmt_bind_span(s, at[t], ev->text[t]);
    stmt_bind_blob(s, 2, digest, DIGEST_BYTES);
    bind_int(s, 6, ev->entity_version);
    bind_int(s, 11, ev->ts_device);
    stmt_bind_int(s, 12, ev->ts_device.v);
    stmt_bind_span(s, 20, ev->payload);
    stmt_bind_span(s, 21, ev->extra);
}

static void insert_row(struct store *st, struct stmt *s, const struct event *ev)
{
    uint8_t digest[DIGEST_BYTES];
    struct err e = ERR_NONE;

    digest_bytes(ev->digest, digest);
    check(stmt_ready(s, &st->db, &e), &e);
    bind_row(s, ev, digest);
    check(stmt_run(s, &e), &e);
}

static void run_insert(const char *path, const char *jsonl)
{
    struct stmt s = {.sql = insert_sql};
    struct err e = ERR_NONE;
    struct arena a = {0};
    struct store st;

    load(jsonl, &a);
    begin();
    open_store(&st, path, true);
    for (size_t i = 0; i < count; i++) {
        if (i % BATCH_ROWS == 0)
            check(store_begin(&st, &e), &e);
        insert_row(&st, &s, &events[i]);
        if (i % BATCH_ROWS == BATCH_ROWS - 1 || i + 1 == count)
            check(store_commit(&st, &e), &e);
    }
    store_close(&st);
    end();
}

/* --- the others --------------------------------------------------------- */

static void run_read(const char *path)
{
    struct stmt s = {.sql = "SELECT * FROM events ORDER BY seq"};
    struct store_settings set = {.wait_s = 30};
    struct err e = ERR_NONE;
    struct store st;
    size_t bytes = 0;
    int rc, columns;

    begin();
    check(store_open(&st, path, STORE_READ, &set, &e), &e);
    check(stmt_ready(&s, &st.db, &e), &e);
    columns = sqlite3_column_count(s.handle);
    while ((rc = stmt_step(&s, &e)) == 1)
        for (int c = 0; c < columns; c++)
            bytes += stmt_span(&s, c).n;
    check(rc, &e);
    store_close(&st);
    if (!bytes)
        die("nothing was read");
    end();
}

static void run_parse(const char *jsonl)
{
    struct batch_hooks hooks = {.reject = no_reject};
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
        check(batch_fill(&b, &e), &e);
        for (size_t i = 0; i < b.count; i++) {
            char text[18];

            event_settle(&b.items[i].event, SPAN("main"), text);
            event_digest(&b.items[i].event);
        }
    }
    batch_close(&b);
    line_close(&r);
    end();
}

static void run_oneshot(const char *path)
{
    struct stmt s = {.sql = insert_sql};
    struct err e = ERR_NONE;
    struct event ev = {.ts_device = {true, clock_now_ms()}, .payload = SPAN("{\"hr\":72}")};
    char id[40];
    struct store st;

    snprintf(id, sizeof id, "floor-%lld-%d", (long long)clock_boot_ms(), getpid());
    for (int t = 0; t < EVENT_TEXTS; t++)
        ev.text[t] = SPAN("floor");
    ev.text[EVENT_ID] = span_of(id);
    open_store(&st, path, false);
    check(store_begin(&st, &e), &e);
    insert_row(&st, &s, &ev);
    check(store_commit(&st, &e), &e);
    store_close(&st);
}

static void run_spawn(char **argv, int times)
{
    begin();
    for (int i = 0; i < times; i++) {
        pid_t pid;
        int status;

        if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
            waitpid(pid, &status, 0) < 0 || status)
            die(argv[0]);
    }
    end();
}

static void run_uuid(int n)
{
    FILE *f = fopen("/dev/null", "we");
    char text[37];
    uuid_t id;

    if (!f)
        die("/dev/null");
    begin();
    for (int i = 0; i < n; i++) {
        uuid_generate_random(id);
        uuid_unparse_lower(id, text);
        fprintf(f, "%s\n", text);
    }
    fclose(f);
    end();
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "insert"))
        run_insert(argv[2], argv[3]);
    else if (argc == 3 && !strcmp(argv[1], "read"))
        run_read(argv[2]);
    else if (argc == 3 && !strcmp(argv[1], "parse"))
        run_parse(argv[2]);
    else if (argc == 3 && !strcmp(argv[1], "oneshot"))
        run_oneshot(argv[2]);
    else if (argc >= 4 && !strcmp(argv[1], "spawn"))
        run_spawn(argv + 3, atoi(argv[2]));
    else if (argc == 3 && !strcmp(argv[1], "uuid"))
        run_uuid(atoi(argv[2]));
    else
        die("see the head of tests/tools/floor.c");
    return 0;
}
