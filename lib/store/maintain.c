#include "store/maintain.h"

#include "base/clock.h"
#include "base/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* The log and what is folded from it, which only grow. Never the queue and the cache:
 * numbers of a night when they were empty would mislead the planner when they are not. */
#define ANALYZE                                                                                    \
    "PRAGMA analysis_limit = 400; ANALYZE events; ANALYZE conflicts; ANALYZE projections"

/* Who waits at the gate waits for a checkpoint too, so it does not wait for readers. */
enum { READERS_MS = 200 };

/* VACUUM writes three times: row by row into a file of its own, where it can be told to
 * give up; that file's pages into the -wal; and those into the store. The syncs come last. */
enum { COPIES = 4, LOOK_EVERY = 2000 };

struct patience {
    int64_t until; /* by the boot clock; -1: no end */
    bool over;
};

struct pages {
    int64_t all, unused, size;
};

const char *maintain_result_name(enum maintain_result r)
{
    static const char *const names[] = {"done", "not asked for", "not worth it", "no room",
                                        "takes too long"};

    return names[r];
}

bool maintain_worth(int64_t pages, int64_t unused_pages, int64_t page_size)
{
    return unused_pages > pages / MAINTAIN_UNUSED_PART &&
           unused_pages > MAINTAIN_UNUSED_BYTES / page_size;
}

static int count_pages(struct store *st, struct pages *p, struct err *e)
{
    return db_int(&st->db, "PRAGMA page_count", &p->all, e) ||
                   db_int(&st->db, "PRAGMA freelist_count", &p->unused, e) ||
                   db_int(&st->db, "PRAGMA page_size", &p->size, e)
               ? -1
               : 0;
}

static int64_t size_of_wal(const struct store *st)
{
    struct stat s;
    char *name;
    int64_t size = 0;

    if (asprintf(&name, "%s-wal", st->path) < 0)
        return 0;
    if (!stat(name, &s))
        size = s.st_size;
    free(name);
    return size;
}

static int analyze(struct store *st, struct err *e)
{
    int rc;

    if (store_enter(st, e))
        return -1;
    rc = db_exec(&st->db, ANALYZE, e);
    store_leave(st);
    return rc;
}

/* Beside the store is the copy, and in the -wal what goes back into it. */
static bool has_room(const struct store *st, int64_t bytes)
{
    struct statvfs disk;

    return statvfs(st->path, &disk) || (int64_t)disk.f_bavail * (int64_t)disk.f_frsize >= bytes;
}

static int look_at_clock(void *ctx)
{
    struct patience *p = ctx;

    p->over = p->over || stop_signal() || (p->until >= 0 && clock_boot_ms() >= p->until);
    return p->over;
}

/* The gate is held. */
static int write_anew(struct maintain *m, struct store *st, int64_t begun, struct err *e)
{
    bool limited = m->when == VACUUM_AUTO && m->hold_ms >= 0;
    struct patience p = {.until = limited ? begun + m->hold_ms / COPIES : -1};
    int rc;

    sqlite3_progress_handler(st->db.handle, LOOK_EVERY, look_at_clock, &p);
    rc = db_exec(&st->db, "VACUUM", e);
    sqlite3_progress_handler(st->db.handle, 0, NULL, NULL);
    if (rc && p.over && stop_signal())
        return err_set(e, EX_TEMPFAIL, "%s: asked to stop; nothing was changed", st->path);
    if (rc && p.over) {
        m->result = MAINTAIN_TOO_LONG;
        return 0;
    }
    m->result = MAINTAIN_DONE;
    return rc;
}

static int vacuum(struct maintain *m, struct store *st, const struct pages *p, struct err *e)
{
    int64_t begun;
    int rc;

    m->room_bytes = 2 * (p->all - p->unused) * p->size;
    m->result = m->when == VACUUM_NEVER ? MAINTAIN_NOT_ASKED
                : m->when == VACUUM_AUTO && !maintain_worth(p->all, p->unused, p->size)
                    ? MAINTAIN_NOT_WORTH
                : !has_room(st, m->room_bytes) ? MAINTAIN_NO_ROOM
                                               : MAINTAIN_DONE;
    if (m->result == MAINTAIN_NO_ROOM && m->when == VACUUM_ALWAYS)
        return err_set(e, EX_IOERR, "%s: no room on the disk for VACUUM: it wants %lld bytes",
                       st->path, (long long)m->room_bytes);
    if (m->result != MAINTAIN_DONE)
        return 0;
    if (store_enter(st, e))
        return -1;
    begun = clock_boot_ms();
    rc = write_anew(m, st, begun, e);
    store_leave(st);
    m->vacuum_ms = clock_boot_ms() - begun;
    return rc;
}

/* Where a reader is in the way as much as can be is done, and the next one does the rest. */
static int checkpoint(struct maintain *m, struct store *st, struct err *e)
{
    struct stmt s = {.sql = "PRAGMA wal_checkpoint(TRUNCATE)"};
    int rc = -1;

    if (store_enter(st, e))
        return -1;
    sqlite3_busy_timeout(st->db.handle, READERS_MS);
    if (!stmt_ready(&s, &st->db, e))
        rc = stmt_step(&s, e);
    if (rc == 1)
        m->checkpointed = stmt_int(&s, 0) == 0;
    stmt_free(&s);
    sqlite3_busy_timeout(st->db.handle, st->set.wait_s * 1000);
    store_leave(st);
    return rc < 0 ? -1 : 0;
}

int maintain_run(struct maintain *m, struct store *st, struct err *e)
{
    struct pages p;

    if (analyze(st, e) || count_pages(st, &p, e))
        return -1;
    m->bytes_before = p.all * p.size;
    if (vacuum(m, st, &p, e) || checkpoint(m, st, e) || count_pages(st, &p, e))
        return -1;
    m->bytes = p.all * p.size;
    m->unused_bytes = p.unused * p.size;
    m->wal_bytes = size_of_wal(st);
    return 0;
}
