#include "core/rotate.h"

#include "base/buf.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/folder.h"
#include "base/grow.h"
#include "base/stop.h"
#include "text/rfc3339.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Where the kernel cannot say who has a file open, one that was left alone for so
 * long is taken for free: who writes lines does not hold it for hours. */
enum { GRACE_MS = 3600000, LOOK_MS = 10, STAMP = 16 };

enum kind { PLAIN, PACKED, PARTIAL, FRESH, KINDS };

static const char *const suffixes[KINDS] = {"", ".gz", ".gz.tmp", ".new"};

/* --- names -------------------------------------------------------------- */

/* The stamp's time of NAME-20250220T020000Z and what stands behind it, or -1. */
static int64_t stamp_of(const char *entry, const char *name, enum kind *kind)
{
    size_t n = strlen(name);
    const char *at = entry + n + 1;
    char text[32];
    int64_t ms;

    if (strncmp(entry, name, n) != 0 || entry[n] != '-' || strlen(at) < STAMP || at[8] != 'T')
        return -1;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s%.1s", at, at + 4, at + 6, at + 9,
             at + 11, at + 13, at + 15);
    if (at[15] != 'Z' || rfc3339_parse(span_of(text), &ms) || ms < 0)
        return -1;
    for (*kind = PLAIN; *kind < KINDS; ++*kind)
        if (!strcmp(at + STAMP, suffixes[*kind]))
            return ms;
    return -1;
}

static void stamp_text(int64_t ms, char out[static 32])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (!gmtime_r(&s, &tm) || !strftime(out, 32, "%Y%m%dT%H%M%SZ", &tm))
        snprintf(out, 32, "19700101T000000Z");
}

static char *path_of(const struct rotate *r, int64_t stamp_ms, enum kind kind, struct err *e)
{
    char stamp[32], *path;

    stamp_text(stamp_ms, stamp);
    if (asprintf(&path, "%s/%s-%s%s", r->folder, r->name, stamp, suffixes[kind]) < 0) {
        err_memory(e);
        return NULL;
    }
    return path;
}

/* 1: linked, and not yet replaced: it is the log still. 0: it is not. */
static int is_log_itself(const struct rotate *r, const char *path, struct err *e)
{
    struct stat log, st;
    char *name;
    int same;

    if (asprintf(&name, "%s/%s", r->folder, r->name) < 0)
        return err_memory(e);
    same =
        !stat(name, &log) && !stat(path, &st) && log.st_dev == st.st_dev && log.st_ino == st.st_ino;
    free(name);
    return same;
}

/* --- what is there ------------------------------------------------------- */

struct entry {
    int64_t stamp_ms;
    enum kind kind;
};

struct entries {
    struct entry *all;
    size_t n, cap;
};

static int add_entry(struct entries *l, int64_t stamp_ms, enum kind kind, struct err *e)
{
    struct entry *more = grow(l->all, l->n, &l->cap, sizeof *more);

    if (!more)
        return err_memory(e);
    l->all = more;
    l->all[l->n++] = (struct entry){stamp_ms, kind};
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->stamp_ms != y->stamp_ms)
        return x->stamp_ms < y->stamp_ms ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

/* A folder that is not there has none. */
static int look_around(const char *folder, const char *name, struct entries *l, struct err *e)
{
    DIR *d = opendir(folder);
    struct dirent *at;
    int rc = 0;

    *l = (struct entries){0};
    if (!d)
        return errno == ENOENT ? 0 : err_sys(e, EX_IOERR, "unable to read the folder %s", folder);
    while (!rc && (errno = 0, at = readdir(d))) {
        enum kind kind;
        int64_t ms = stamp_of(at->d_name, name, &kind);

        if (ms >= 0)
            rc = add_entry(l, ms, kind, e);
    }
    if (!rc && errno)
        rc = err_sys(e, EX_IOERR, "unable to read the folder %s", folder);
    closedir(d);
    if (l->n)
        qsort(l->all, l->n, sizeof *l->all, by_age);
    return rc;
}

void rotate_list_free(struct rotated *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i].path);
    free(list);
}

static int make_list(const struct rotate *r, const struct entries *l, struct rotated *out,
                     size_t *n, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct entry *x = &l->all[i];
        bool both = *n && !out[*n - 1].packed && out[*n - 1].stamp_ms == x->stamp_ms;
        int same;

        if (x->kind > PACKED || both)
            continue;
        out[*n] =
            (struct rotated){path_of(r, x->stamp_ms, x->kind, e), x->stamp_ms, x->kind == PACKED};
        if (!out[*n].path)
            return -1;
        same = x->kind == PLAIN ? is_log_itself(r, out[*n].path, e) : 0;
        if (same)
            free(out[*n].path);
        if (same < 0)
            return -1;
        *n += !same;
    }
    return 0;
}

int rotate_list(const char *folder, const char *name, struct rotated **list, size_t *n,
                struct err *e)
{
    struct rotate r = {.folder = folder, .name = name};
    struct entries l;
    int rc = look_around(folder, name, &l, e);

    *n = 0;
    *list = NULL;
    if (!rc && l.n) {
        *list = calloc(l.n, sizeof **list);
        rc = *list ? make_list(&r, &l, *list, n, e) : err_memory(e);
    }
    free(l.all);
    if (rc) {
        rotate_list_free(*list, *n);
        *list = NULL;
        *n = 0;
    }
    return rc;
}

/* --- files ------------------------------------------------------------------ */

static int sync_file(const char *path, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    int rc = fd < 0 || fsync(fd) ? err_sys(e, EX_IOERR, "unable to sync %s", path) : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

static int forget(const char *path, struct err *e)
{
    return unlink(path) && errno != ENOENT ? err_sys(e, EX_IOERR, "unable to delete %s", path) : 0;
}

/* Keeps the first of several failures. */
static int keep_first(int rc, struct err *e, const struct err *own)
{
    if (!rc)
        *e = *own;
    return -1;
}

/* --- what an earlier run left, and what is too old --------------------------- */

static int tidy_one(struct rotate *r, const struct entry *x, struct err *e)
{
    char *path = path_of(r, x->stamp_ms, x->kind, e);
    int mere = !path ? -1 : x->kind == PLAIN ? is_log_itself(r, path, e) : x->kind > PACKED;
    int rc = mere < 0 ? -1 : 0;

    if (mere > 0) {
        rc = forget(path, e);
    } else if (!rc && x->stamp_ms < r->now_ms - r->keep_ms) {
        rc = forget(path, e);
        r->deleted += !rc;
    }
    free(path);
    return rc;
}

static int tidy(struct rotate *r, struct err *e)
{
    struct entries l;
    struct err own = ERR_NONE;
    int rc = look_around(r->folder, r->name, &l, e);

    for (size_t i = 0; i < l.n; i++)
        if (tidy_one(r, &l.all[i], &own))
            rc = keep_first(rc, e, &own);
    free(l.all);
    return rc;
}

/* --- setting aside ------------------------------------------------------------ */

/* The empty log that takes the place. 1; 0: it cannot be the writer's own. */
static int make_fresh(const char *path, const struct stat *st, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    struct stat own;
    int rc = 1;

    if (fd < 0)
        return err_sys(e, EX_CANTCREAT, "unable to make %s", path);
    /* Who may not give files away (a service's filter of system calls) need not. */
    if ((fstat(fd, &own) || own.st_uid != st->st_uid || own.st_gid != st->st_gid) &&
        fchown(fd, st->st_uid, st->st_gid))
        rc = 0;
    else if (fchmod(fd, st->st_mode & 07777))
        rc = err_sys(e, EX_CANTCREAT, "unable to set the mode of %s", path);
    close(fd);
    if (rc <= 0)
        unlink(path);
    return rc;
}

static bool unlinkable_here(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK;
}

/* Where no second name can be had, or no second file for the writer, there is no log
 * for a moment: who writes makes one. */
static int move(const char *log, const char *plain, const char *fresh, struct err *e)
{
    if (fresh && !link(log, plain)) {
        if (!rename(fresh, log))
            return 0;
        err_sys(e, EX_CANTCREAT, "unable to put %s in place", fresh);
        unlink(plain);
        return -1;
    }
    if (fresh && !unlinkable_here(errno))
        return err_sys(e, EX_CANTCREAT, "unable to make %s", plain);
    return rename(log, plain) ? err_sys(e, EX_CANTCREAT, "unable to rename %s", log) : 0;
}

static int aside(struct rotate *r, const char *log, const struct stat *st, int64_t stamp_ms,
                 struct err *e)
{
    char *plain = path_of(r, stamp_ms, PLAIN, e);
    char *fresh = plain ? path_of(r, stamp_ms, FRESH, e) : NULL;
    int rc = fresh ? make_fresh(fresh, st, e) : -1;

    if (rc >= 0)
        rc = move(log, plain, rc ? fresh : NULL, e);
    if (fresh)
        unlink(fresh); /* it is gone when all went well */
    free(fresh);
    free(plain);
    return rc ? rc : folder_sync(r->folder, e);
}

/* The first second from now whose name nobody has. */
static int64_t free_stamp(const struct rotate *r, const struct entries *l)
{
    int64_t ms = r->now_ms / 1000 * 1000;

    for (size_t i = 0; i < l->n; i++)
        if (l->all[i].stamp_ms == ms)
            ms += 1000;
    return ms;
}

static int set_aside(struct rotate *r, struct err *e)
{
    struct entries l;
    struct stat st;
    char *log;
    int rc;

    if (asprintf(&log, "%s/%s", r->folder, r->name) < 0)
        return err_memory(e);
    if (lstat(log, &st)) {
        rc = errno == ENOENT ? 0 : err_sys(e, EX_IOERR, "unable to look at %s", log);
    } else if (!S_ISREG(st.st_mode)) {
        rc = err_set(e, EX_IOERR, "%s: not a plain file; it is left alone", log);
    } else if (!st.st_size) {
        rc = 0;
    } else {
        rc = look_around(r->folder, r->name, &l, e);
        if (!rc)
            rc = aside(r, log, &st, free_stamp(r, &l), e);
        free(l.all);
        r->set_aside = !rc;
    }
    free(log);
    return rc;
}

/* --- does anybody write to it? -------------------------------------------------- */

/* 1: nobody has it open for writing; 0: somebody has; -1: the kernel does not say. A
 * read lease is granted only then. SIGURG: what would tell us of the next who opens it
 * is to be ignored, where SIGIO would end the program. */
static int unwritten(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_RDLCK))
        return errno == EAGAIN ? 0 : -1;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return 1;
}

static bool long_alone(const struct rotate *r, const struct stat *st, int64_t stamp_ms)
{
    int64_t before = r->now_ms - GRACE_MS;

    return stamp_ms < before && (int64_t)st->st_mtim.tv_sec * 1000 < before;
}

/* 1: it will not change any more; 0: it is to be left for now. */
static int settled(const struct rotate *r, const char *path, int64_t stamp_ms, struct stat *st,
                   struct err *e)
{
    int64_t until = clock_boot_ms() + r->wait_ms;
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)), rc;

    if (fd < 0)
        return err_sys(e, EX_IOERR, "unable to open %s", path);
    while (!(rc = unwritten(fd)) && clock_boot_ms() < until && !stop_signal())
        poll(NULL, 0, LOOK_MS);
    if (fstat(fd, st))
        rc = err_sys(e, EX_IOERR, "unable to look at %s", path);
    else if (rc < 0)
        rc = long_alone(r, st, stamp_ms);
    close(fd);
    return rc;
}

/* --- packing --------------------------------------------------------------------- */

/* gzip's status 2 is a warning; what it made is looked at in any case. */
static int gzip(const struct rotate *r, const char *how, const char *path, struct err *e)
{
    char *argv[] = {"gzip", (char *)(uintptr_t)how,  "-S", (char *)(uintptr_t)suffixes[PARTIAL],
                    "--",   (char *)(uintptr_t)path, NULL};
    char *const env[] = {"GZIP=", NULL};
    struct child c = {.argv = argv, .env = env, .limit_ms = r->limit_ms};
    int rc = child_run(&c, e);

    if (rc > 0 && c.status == 2 && !c.timed_out)
        return 0;
    if (rc > 0)
        err_set(e, EX_IOERR, "unable to compress %s: %s", path,
                c.timed_out       ? "it took too long"
                : c.last_words[0] ? c.last_words
                                  : "gzip does not say why");
    return rc ? -1 : 0;
}

/* The length that stands at its end is that of what went in. */
static int check_length(const char *path, int64_t size, int64_t *packed, struct err *e)
{
    unsigned char end[4] = {0};
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    struct stat st = {0};
    uint32_t length = 0;
    bool read_it = fd >= 0 && !fstat(fd, &st) && st.st_size >= 4 &&
                   TEMP_FAILURE_RETRY(pread(fd, end, 4, st.st_size - 4)) == 4;

    if (fd >= 0)
        close(fd);
    if (!read_it)
        return err_sys(e, EX_IOERR, "unable to read %s", path);
    for (int i = 3; i >= 0; i--)
        length = length << 8 | end[i];
    *packed = st.st_size;
    return length == (uint32_t)size
               ? 0
               : err_set(e, EX_IOERR, "%s: it is not as long as what was compressed", path);
}

static int unchanged(const char *path, const struct stat *before, struct err *e)
{
    struct stat st;

    if (stat(path, &st))
        return err_sys(e, EX_IOERR, "unable to look at %s", path);
    return st.st_size == before->st_size
               ? 0
               : err_set(e, EX_TEMPFAIL, "%s: it grew while it was compressed", path);
}

static int pack_to(struct rotate *r, const char *plain, const char *partial, const char *packed,
                   const struct stat *st, struct err *e)
{
    int64_t size = 0;
    int rc = forget(partial, e) || gzip(r, "-kf", plain, e) || gzip(r, "-t", partial, e) ||
                     check_length(partial, st->st_size, &size, e) || unchanged(plain, st, e) ||
                     sync_file(partial, e)
                 ? -1
                 : 0;

    if (!rc && rename(partial, packed))
        rc = err_sys(e, EX_CANTCREAT, "unable to put %s in place", packed);
    if (rc) {
        unlink(partial);
        return -1;
    }
    if (folder_sync(r->folder, e) || forget(plain, e) || folder_sync(r->folder, e))
        return -1;
    r->packed++;
    r->bytes += st->st_size;
    r->packed_bytes += size;
    return 0;
}

static int pack(struct rotate *r, int64_t stamp_ms, struct err *e)
{
    char *plain = path_of(r, stamp_ms, PLAIN, e);
    char *partial = plain ? path_of(r, stamp_ms, PARTIAL, e) : NULL;
    char *packed = partial ? path_of(r, stamp_ms, PACKED, e) : NULL;
    struct stat st = {0};
    int rc = packed ? settled(r, plain, stamp_ms, &st, e) : -1;

    if (!rc)
        r->in_use++;
    else if (rc > 0)
        rc = pack_to(r, plain, partial, packed, &st, e);
    free(packed);
    free(partial);
    free(plain);
    return rc;
}

static int pack_all(struct rotate *r, struct err *e)
{
    struct entries l;
    struct err own = ERR_NONE;
    int rc = look_around(r->folder, r->name, &l, e);

    for (size_t i = 0; i < l.n && !stop_signal(); i++)
        if (l.all[i].kind == PLAIN && pack(r, l.all[i].stamp_ms, &own))
            rc = keep_first(rc, e, &own);
    free(l.all);
    return rc;
}

int rotate_log(struct rotate *r, struct err *e)
{
    struct err own = ERR_NONE;
    int rc = tidy(r, e);

    if (set_aside(r, &own))
        rc = keep_first(rc, e, &own);
    if (pack_all(r, &own))
        rc = keep_first(rc, e, &own);
    return rc;
}
