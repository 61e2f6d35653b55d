#include "core/store.h"

#include "base/folder.h"
#include "base/made.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* lib/schema.sql, byte by byte. */
static const char schema[] = {
#include "schema.inc"
    0};

/* What came with this version, from 2 on, and with those behind it, up to the late
 * indexes. */
static const char *since_version(int64_t version)
{
    char mark[40];

    snprintf(mark, sizeof mark, "-- VERSION %lld,", (long long)version);
    return strstr(schema, mark);
}

/* From here on what a store filled from nothing gets last; the index by entity
 * stands first. */
static const char *late_indexes(void)
{
    return strstr(schema, "-- INDEXES");
}

/* --- paths -------------------------------------------------------------- */

/* What cannot be looked at may be there. */
static bool exists(const char *path)
{
    struct stat st;

    return !stat(path, &st) || (errno != ENOENT && errno != ENOTDIR);
}

/* The name is NULL, and the file may be there, when memory is short. */
static bool beside(const char *path, const char *suffix, char **name)
{
    if (asprintf(name, "%s%s", path, suffix) < 0) {
        *name = NULL;
        return true;
    }
    return exists(*name);
}

/* SQLite would replay a stray -wal over whatever store comes to stand beside
 * it: events of another store, or of an older copy. */
static int refuse_leftovers(const char *path, struct err *e)
{
    static const char *const suffixes[] = {"-wal", "-journal"};

    for (size_t i = 0; i < 2; i++) {
        char *name;
        bool there;

        errno = 0;
        there = beside(path, suffixes[i], &name);
        if (!name)
            err_memory(e);
        else if (there && errno)
            err_sys(e, EX_IOERR, "unable to look at %s", name);
        else if (there)
            err_set(e, EX_CANTCREAT,
                    "%s: left behind by a store that is gone; move it away (it may hold that "
                    "store's last events), then run this again",
                    name);
        free(name);
        if (there)
            return -1;
    }
    return 0;
}

/* SQLite's temporary files go beside the store, not to a small /tmp. */
static void temporary_files_beside(const char *path)
{
    char *copy = strdup(path);

    if (copy && !sqlite3_temp_directory)
        sqlite3_temp_directory = sqlite3_mprintf("%s", dirname(copy));
    free(copy);
}

static int remember_place(struct store *st, struct err *e)
{
    struct stat file;

    if (stat(st->path, &file))
        return err_sys(e, EX_NOINPUT, "%s", st->path);
    st->dev = file.st_dev;
    st->ino = file.st_ino;
    return 0;
}

bool store_in_place(const struct store *st)
{
    struct stat file;

    return !stat(st->path, &file) && file.st_dev == st->dev && file.st_ino == st->ino;
}

/* --- identity ----------------------------------------------------------- */

int store_meta_get(struct store *st, const char *key, char **value, struct err *e)
{
    struct stmt get = {.sql = "SELECT value FROM meta WHERE key = ?1"};
    int rc;

    *value = NULL;
    if (stmt_ready(&get, &st->db, e))
        return -1;
    stmt_bind_span(&get, 1, span_of(key));
    rc = stmt_step(&get, e);
    if (rc == 1) {
        struct span v = stmt_span(&get, 0);

        *value = strndup(v.p ? v.p : "", v.n);
        rc = *value ? 0 : err_memory(e);
    }
    stmt_free(&get);
    return rc;
}

int store_meta_set(struct store *st, const char *key, const char *value, struct err *e)
{
    struct stmt set = {.sql = "INSERT INTO meta(key, value) VALUES(?1, ?2) "
                              "ON CONFLICT(key) DO UPDATE SET value = excluded.value"};
    int rc;

    if (stmt_ready(&set, &st->db, e))
        return -1;
    stmt_bind_span(&set, 1, span_of(key));
    stmt_bind_span(&set, 2, span_of(value));
    rc = stmt_run(&set, e);
    stmt_free(&set);
    return rc;
}

/* A blank box must not be taken for the lost one: its name has a random end. */
static int make_identity(struct store *st, struct err *e)
{
    uint8_t random[12];
    char id[STORE_ID_TEXT], host[64] = "box", *device;
    int rc;

    if (rng_bytes(random, sizeof random, e))
        return -1;
    for (size_t i = 0; i < 8; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    if (gethostname(host, sizeof host - 1) || !host[0])
        strcpy(host, "box");
    if (asprintf(&device, "%s-%02x%02x%02x%02x", host, random[8], random[9], random[10],
                 random[11]) < 0)
        return err_memory(e);
    rc = store_meta_set(st, "store_id", id, e) || store_meta_set(st, "device_id", device, e) ||
         store_meta_set(st, "hlc", "000000000000.0000", e);
    free(device);
    return rc ? -1 : 0;
}

static int load_identity(struct store *st, struct err *e)
{
    char *id, *device;

    if (store_meta_get(st, "store_id", &id, e))
        return -1;
    if (!id || strlen(id) != STORE_ID_TEXT - 1) {
        free(id);
        return err_set(e, EX_DATAERR, "%s: its store_id is missing", st->path);
    }
    memcpy(st->id, id, STORE_ID_TEXT);
    free(id);
    if (st->set.device)
        device = strdup(st->set.device);
    else if (store_meta_get(st, "device_id", &device, e))
        return -1;
    st->device = device ? device : strdup("unknown");
    return st->device ? 0 : err_memory(e);
}

/* --- opening ------------------------------------------------------------ */

static int configure(struct store *st, struct err *e)
{
    sqlite3_busy_timeout(st->db.handle, st->set.wait_s * 1000);
    if (db_exec(&st->db,
                "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
                "PRAGMA temp_store = FILE; PRAGMA mmap_size = 0",
                e))
        return db_error(&st->db, e, "open the store");
    if (!st->set.bulk)
        return 0;
    return db_exec(&st->db,
                   st->set.small ? "PRAGMA cache_size = -6144" : "PRAGMA cache_size = -32768", e);
}

/* What is in the file: 1 a store, 0 nothing yet, -1 something else. */
static int look_inside(struct store *st, struct err *e)
{
    int64_t application, version, objects;

    if (db_int(&st->db, "PRAGMA application_id", &application, e))
        return -1;
    if (db_int(&st->db, "PRAGMA user_version", &version, e))
        return -1;
    st->version = version;
    if (application == STORE_APPLICATION && version > STORE_VERSION)
        return err_set(e, EX_CONFIG,
                       "%s: a store of version %lld; this program knows version %d: "
                       "install the newer lifeboat",
                       st->path, (long long)version, STORE_VERSION);
    if (application == STORE_APPLICATION && version >= 1)
        return 1;
    if (db_int(&st->db, "SELECT count(*) FROM sqlite_schema", &objects, e))
        return -1;
    if (application == 0 && version == 0 && objects == 0)
        return 0;
    /* Another may have made it a store between these looks. */
    if (application == 0) {
        if (db_int(&st->db, "PRAGMA application_id", &application, e))
            return -1;
        if (application == STORE_APPLICATION)
            return look_inside(st, e);
    }
    return err_set(e, EX_DATAERR, "%s: a SQLite database, but not a lifeboat store", st->path);
}

/* Parts of the schema, which is too long for a message. */
static int exec_schema(struct store *st, const char *sql, struct err *e)
{
    return db_exec(&st->db, sql, e) ? db_error(&st->db, e, "make its tables") : 0;
}

static int fill_schema(struct store *st, bool indexes, struct err *e)
{
    const char *split = late_indexes();
    char *tables = strndup(schema, (size_t)(split - schema));
    char mark[128];
    int rc;

    if (!tables)
        return err_memory(e);
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION, STORE_VERSION);
    rc = exec_schema(st, tables, e) || make_identity(st, e) || db_exec(&st->db, mark, e) ||
         (indexes && exec_schema(st, split, e));
    free(tables);
    st->version = STORE_VERSION;
    return rc ? -1 : 0;
}

/* What a store of this version lacks. */
static int add_tables(struct store *st, struct err *e)
{
    const char *from = since_version(st->version + 1);
    char *tables = strndup(from, (size_t)(late_indexes() - from));
    char mark[64];
    int rc;

    if (!tables)
        return err_memory(e);
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d", STORE_VERSION);
    rc = exec_schema(st, tables, e) || db_exec(&st->db, mark, e) ? -1 : 0;
    free(tables);
    return rc;
}

/* Gives a store of an older version what it lacks; another may have done so. */
static int migrate(struct store *st, struct err *e)
{
    int rc;

    if (store_begin(st, e))
        return -1;
    rc = look_inside(st, e) == 1 ? 0 : -1;
    if (!rc && st->version < STORE_VERSION)
        rc = add_tables(st, e);
    if (rc)
        store_rollback(st);
    else
        rc = store_commit(st, e);
    if (!rc)
        st->version = STORE_VERSION;
    return rc;
}

int store_look_again(struct store *st, struct err *e)
{
    return st->version < STORE_VERSION && look_inside(st, e) < 0 ? -1 : 0;
}

/* Makes the empty file at the path a store; the gate is held. */
static int initialise(struct store *st, struct err *e)
{
    int rc;

    if (db_exec(&st->db, "PRAGMA journal_mode = WAL", e) || db_exec(&st->db, "BEGIN IMMEDIATE", e))
        return -1;
    rc = look_inside(st, e);
    if (rc == 0)
        rc = fill_schema(st, true, e) ? -1 : 1;
    if (rc < 0 || db_exec(&st->db, "COMMIT", e)) {
        struct err ignored;

        db_exec(&st->db, "ROLLBACK", &ignored);
        return -1;
    }
    return folder_sync_of(st->path, e);
}

static int open_as(struct store *st, const char *name, int flags, struct err *e)
{
    int rc = db_open(&st->db, name, flags, e);

    st->db.path = st->path;
    if (rc || configure(st, e) || remember_place(st, e)) {
        db_close(&st->db);
        return -1;
    }
    return 0;
}

static int open_file(struct store *st, int flags, struct err *e)
{
    return open_as(st, st->path, flags, e);
}

static int create(struct store *st, struct err *e)
{
    struct stat file;
    int rc;

    if (gate_enter(&st->gate, st->path, st->set.wait_s, e))
        return -1;
    if (!stat(st->path, &file))
        rc = 0;
    else if (errno == ENOENT)
        rc = refuse_leftovers(st->path, e);
    else
        rc = err_sys(e, EX_IOERR, "unable to look at %s", st->path);
    if (!rc)
        made_before(st->path);
    if (!rc)
        rc = open_file(st, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
    if (!rc)
        rc = initialise(st, e);
    gate_leave(&st->gate);
    return rc;
}

/* Is there a write-ahead log with something in it? */
static bool has_log(const char *path)
{
    struct stat st;
    char *name;
    bool there = beside(path, "-wal", &name) && (!name || stat(name, &st) || st.st_size > 0);

    free(name);
    return there;
}

/* On read-only media, or on a disk that is full, SQLite cannot make the -shm
 * file it wants even for reading. Nobody can write there either, so if no log
 * is waiting the file may be taken as one that does not change. */
static int open_unchanging(struct store *st, struct err *e)
{
    struct buf uri = {0};
    int rc = -1;

    if (has_log(st->path))
        return -1;
    buf_adds(&uri, "file:");
    for (const char *p = st->path; *p; p++)
        buf_printf(&uri, strchr("%?#", *p) ? "%%%02x" : "%c", (unsigned char)*p);
    if (buf_adds(&uri, "?immutable=1") || buf_term(&uri))
        err_memory(e);
    else
        rc = open_as(st, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, e);
    buf_free(&uri);
    if (!rc && look_inside(st, e) != 1) {
        db_close(&st->db);
        rc = -1;
    }
    return rc;
}

static bool cannot_be_written(const struct err *e)
{
    return e->status == EX_NOPERM || e->status == EX_IOERR || e->status == EX_CANTCREAT;
}

/* What VACUUM INTO, or SQLite's shell, made of a store has no write-ahead log, and without
 * one readers and writers shut each other out. Where that cannot be changed, because
 * somebody reads just now, whoever comes next does so; what else is wrong shows later. */
static void want_log(struct store *st)
{
    struct err ignored;

    db_exec(&st->db, "PRAGMA journal_mode = WAL", &ignored);
}

static int open_existing(struct store *st, enum store_mode mode, struct err *e)
{
    struct err first;
    int inside;

    /* A reader's connection may write only so that the last one to close can
     * tidy the -wal away: a strictly read-only one leaves it lying there. */
    inside = open_file(st, SQLITE_OPEN_READWRITE, e) ? -1 : look_inside(st, e);
    if (inside == 1 && mode == STORE_READ)
        return db_exec(&st->db, "PRAGMA query_only = ON", e);
    if (inside == 1) {
        want_log(st);
        return st->version < STORE_VERSION ? migrate(st, e) : 0;
    }
    db_close(&st->db);
    first = *e;
    if (inside < 0 && mode == STORE_READ && cannot_be_written(e) && !open_unchanging(st, e))
        return 0;
    *e = first;
    if (inside < 0)
        return -1;
    if (mode == STORE_CREATE)
        return create(st, e);
    return err_set(e, EX_NOINPUT, "%s: an empty file, not a store yet", st->path);
}

static int prepare(struct store *st, const char *path, const struct store_settings *set,
                   struct err *e)
{
    *st = (struct store){.set = *set, .gate.fd = -1};
    st->path = strdup(path);
    if (!st->path)
        return err_memory(e);
    temporary_files_beside(path);
    return gate_init(&st->gate, path, e);
}

int store_open(struct store *st, const char *path, enum store_mode mode,
               const struct store_settings *set, struct err *e)
{
    int rc;

    if (prepare(st, path, set, e))
        rc = -1;
    else if (exists(path))
        rc = open_existing(st, mode, e);
    else if (mode == STORE_CREATE)
        rc = create(st, e);
    else
        rc = refuse_leftovers(path, e) ? -1 : err_set(e, EX_NOINPUT, "%s: no such store", path);
    if (!rc)
        rc = load_identity(st, e);
    if (rc)
        store_close(st);
    return rc;
}

/* A store under construction, and what SQLite may have put beside it. */
static void unlink_aside(const struct store *st)
{
    static const char *const suffixes[] = {"-journal", "-wal", "-shm", ""};

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char *name;

        if (beside(st->aside, suffixes[i], &name) && name)
            unlink(name);
        free(name);
    }
}

static void discard_aside(struct store *st)
{
    unlink_aside(st);
    free(st->aside);
    st->aside = NULL;
}

void store_close(struct store *st)
{
    if (!st->path) /* never opened, or closed already */
        return;
    if (st->in_transaction)
        store_rollback(st);
    if (st->db.handle)
        db_close(&st->db);
    if (st->aside)
        discard_aside(st);
    gate_leave(&st->gate);
    gate_free(&st->gate);
    free(st->device);
    free(st->path);
    st->device = st->path = NULL;
}

/* To so many KiB; what it had more goes back to the system. */
static int shrink_cache(struct store *st, int size, struct err *e)
{
    char set[64];

    snprintf(set, sizeof set, "PRAGMA cache_size = -%d; PRAGMA shrink_memory", size);
    /* A page that waits to be written cannot be let go. Of a failure the next write
     * has the reason. */
    if (st->aside)
        sqlite3_db_cacheflush(st->db.handle);
    if (db_exec(&st->db, set, e))
        return -1;
    malloc_trim(0);
    return 0;
}

void store_bulk_end(struct store *st)
{
    struct err ignored;

    st->set.bulk = false;
    shrink_cache(st, 2000, &ignored);
}

/* --- transactions ------------------------------------------------------- */

int store_begin(struct store *st, struct err *e)
{
    if (!st->aside) {
        if (gate_enter(&st->gate, st->path, st->set.wait_s, e))
            return -1;
        if (db_exec(&st->db, "BEGIN IMMEDIATE", e)) {
            gate_leave(&st->gate);
            return -1;
        }
    }
    st->in_transaction = true;
    return 0;
}

void store_rollback(struct store *st)
{
    struct err ignored;

    if (!st->aside) {
        if (!sqlite3_get_autocommit(st->db.handle))
            db_exec(&st->db, "ROLLBACK", &ignored);
        gate_leave(&st->gate);
    }
    st->in_transaction = false;
}

int store_commit(struct store *st, struct err *e)
{
    if (st->aside) {
        st->in_transaction = false;
        return 0;
    }
    if (!store_in_place(st)) {
        store_rollback(st);
        return err_set(e, EX_PROTOCOL,
                       "%s: replaced or removed while it was open; nothing of the last batch was "
                       "kept: run this again",
                       st->path);
    }
    if (db_exec(&st->db, "COMMIT", e)) {
        store_rollback(st);
        return -1;
    }
    st->in_transaction = false;
    gate_touch(&st->gate);
    gate_leave(&st->gate);
    return 0;
}

int store_enter(struct store *st, struct err *e)
{
    if (gate_enter(&st->gate, st->path, st->set.wait_s, e))
        return -1;
    if (store_in_place(st))
        return 0;
    gate_leave(&st->gate);
    return err_set(e, EX_PROTOCOL, "%s: replaced or removed while it was open: run this again",
                   st->path);
}

void store_leave(struct store *st)
{
    gate_leave(&st->gate);
}

int store_snapshot(struct store *st, struct err *e)
{
    int64_t ignored;

    if (db_exec(&st->db, "BEGIN", e))
        return -1;
    return db_int(&st->db, "SELECT max(seq) FROM events", &ignored, e);
}

void store_snapshot_end(struct store *st)
{
    struct err ignored;

    if (!sqlite3_get_autocommit(st->db.handle))
        db_exec(&st->db, "COMMIT", &ignored);
}

/* --- building aside ----------------------------------------------------- */

static int open_aside(struct store *st, struct err *e)
{
    if (asprintf(&st->aside, "%s-building", st->path) < 0) {
        st->aside = NULL;
        return err_memory(e);
    }
    unlink_aside(st); /* of a build that was killed; the gate is ours */
    made_before(st->aside);
    if (db_open(&st->db, st->aside, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e))
        return -1;
    if (configure(st, e) || db_exec(&st->db,
                                    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
                                    "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
                                    e))
        return -1;
    return fill_schema(st, false, e) || load_identity(st, e) ? -1 : 0;
}

int store_build(struct store *st, const char *path, const struct store_settings *set, struct err *e)
{
    int rc = -1;

    if (exists(path))
        return 1;
    if (prepare(st, path, set, e) || gate_enter(&st->gate, path, set->wait_s, e)) {
        store_close(st);
        return -1;
    }
    if (exists(path))
        rc = 1;
    else if (!refuse_leftovers(path, e))
        rc = open_aside(st, e);
    if (rc)
        store_close(st);
    return rc;
}

int store_index_entities(struct store *st, struct err *e)
{
    char *first;
    int rc;

    if (!st->aside || st->entities_indexed)
        return 0;
    first = strndup(late_indexes(), strcspn(late_indexes(), ";"));
    rc = first ? exec_schema(st, first, e) : err_memory(e);
    free(first);
    st->entities_indexed = !rc;
    return rc;
}

int store_index(struct store *st, struct err *e)
{
    bool small = st->set.small;

    /* Sorting takes as much again as the page cache may have. */
    if (st->indexed)
        return 0;
    if (shrink_cache(st, small ? 4096 : 16384, e) || exec_schema(st, late_indexes(), e) ||
        shrink_cache(st, small ? 4096 : 8192, e))
        return -1;
    st->indexed = true;
    return 0;
}

bool store_given_up(const struct store *st)
{
    return st->aside && sqlite3_get_autocommit(st->db.handle);
}

static int sync_file(const char *path, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    int rc = fd < 0 ? -1 : fsync(fd);

    if (rc)
        err_sys(e, EX_IOERR, "%s: unable to sync", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* A rename that never replaces; link and unlink where the file system has none. */
static int put_in_place(const char *from, const char *to, struct err *e)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
        return 0;
    if (errno == EINVAL || errno == ENOSYS) {
        if (!link(from, to)) {
            unlink(from);
            return 0;
        }
    }
    if (errno == EEXIST)
        return err_set(e, EX_PROTOCOL, "%s: another store appeared here meanwhile", to);
    return err_sys(e, EX_CANTCREAT, "%s: unable to put the new store in place", to);
}

int store_publish(struct store *st, struct err *e)
{
    if (store_index(st, e) || db_exec(&st->db, "COMMIT", e) ||
        db_exec(&st->db, "PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL", e))
        return -1;
    db_close(&st->db);
    if (sync_file(st->aside, e) || refuse_leftovers(st->path, e) ||
        put_in_place(st->aside, st->path, e))
        return -1;
    free(st->aside);
    st->aside = NULL;
    st->set.bulk = false;
    if (folder_sync_of(st->path, e) || open_file(st, SQLITE_OPEN_READWRITE, e))
        return -1;
    gate_touch(&st->gate);
    gate_leave(&st->gate);
    return 0;
}
