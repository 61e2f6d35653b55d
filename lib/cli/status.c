#include "cli/status.h"

#include "base/folder.h"
#include "base/made.h"
#include "base/whole.h"
#include "cli/cli.h"
#include "cli/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *status_path(const char *file)
{
    const char *set = settings_get("STATUS_DIR"), *slash = strrchr(cli.db, '/');
    char *path;
    int n;

    if (set)
        n = asprintf(&path, "%s/%s", set, file);
    else
        n = asprintf(&path, "%.*sstatus/%s", slash ? (int)(slash + 1 - cli.db) : 0, cli.db, file);
    return n < 0 ? NULL : path;
}

/* A service may write only where its unit says. */
static const char *hint(void)
{
    return errno == EROFS ? " (a service wants ReadWritePaths= for it: lifeboat(7), LIFEBOAT_DB)"
                          : "";
}

/* Others read it, whatever our umask. */
int status_folder(struct err *e)
{
    char *path = status_path(".");
    int fd, rc = 0;

    if (!path)
        return err_memory(e);
    path[strlen(path) - 2] = '\0';
    if (mkdir(path, 0755)) {
        rc = errno == EEXIST
                 ? 0
                 : err_sys(e, EX_CANTCREAT, "unable to make the folder %s%s", path, hint());
    } else {
        fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (fd >= 0) {
            fchmod(fd, 0755);
            made_give(fd, path);
            close(fd);
        }
    }
    free(path);
    return rc;
}

static int fill(int fd, const char *path, struct span text, bool lasting, struct err *e)
{
    fchmod(fd, 0644);
    made_give(fd, path);
    if (whole_write(fd, text.p, text.n) || (lasting && fsync(fd)))
        return err_sys(e, EX_IOERR, "unable to write %s", path);
    return 0;
}

int status_replace(const char *path, struct span text, bool lasting, struct err *e)
{
    char *aside;
    int fd, rc;

    if (asprintf(&aside, "%s.XXXXXX", path) < 0)
        return err_memory(e);
    fd = (int)TEMP_FAILURE_RETRY(mkostemp(aside, O_CLOEXEC));
    if (fd < 0) {
        rc = err_sys(e, EX_CANTCREAT, "unable to make %s%s", aside, hint());
    } else {
        rc = fill(fd, path, text, lasting, e);
        close(fd);
        if (!rc && rename(aside, path))
            rc = err_sys(e, EX_CANTCREAT, "unable to put %s in place", path);
        if (rc)
            unlink(aside);
    }
    free(aside);
    return rc || !lasting ? rc : folder_sync_of(path, e);
}

static int write_as(const char *file, struct span text, bool lasting, struct err *e)
{
    char *path;
    int rc;

    if (status_folder(e))
        return -1;
    path = status_path(file);
    rc = path ? status_replace(path, text, lasting, e) : err_memory(e);
    free(path);
    return rc;
}

int status_write(const char *file, struct span text, struct err *e)
{
    return write_as(file, text, true, e);
}

int status_keep(const char *file, struct span text, struct err *e)
{
    return write_as(file, text, false, e);
}

/* The file's size may change meanwhile, and is 0 for what is no file. */
static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
    for (;;) {
        ssize_t n;

        if (buf_reserve(out, 16384))
            return err_memory(e);
        n = TEMP_FAILURE_RETRY(read(fd, out->data + out->len, 16384));
        if (n < 0)
            return err_sys(e, EX_IOERR, "unable to read %s", path);
        if (!n)
            return 1;
        out->len += (size_t)n;
        if (out->len > STATUS_MAX)
            return err_set(e, EX_DATAERR, "%s: larger than %d bytes", path, STATUS_MAX);
    }
}

int status_read(const char *file, struct buf *out, struct err *e)
{
    char *path = status_path(file);
    int fd, rc;

    if (!path)
        return err_memory(e);
    fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        rc = errno == ENOENT || errno == ENOTDIR ? 0
                                                 : err_sys(e, EX_IOERR, "unable to open %s", path);
    else
        rc = read_all(fd, path, out, e);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static bool step_into(struct span text, const char *name, size_t n, struct json_value *out)
{
    struct json_value key;
    bool first = true, found = false;
    struct json j = {0};

    json_start(&j, text);
    if (json_open(&j) == 0)
        while (!found && json_member(&j, &first, &key, out) == 1)
            found = key.raw.n == n + 2 && !memcmp(key.raw.p + 1, name, n);
    json_end(&j);
    return found;
}

bool status_member(struct span text, const char *path, struct json_value *out)
{
    for (;;) {
        size_t n = strcspn(path, ".");

        if (!step_into(text, path, n, out))
            return false;
        if (!path[n])
            return true;
        text = out->raw;
        path += n + 1;
    }
}
