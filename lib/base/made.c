#include "base/made.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool look_at_folder(const char *path, struct stat *st)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + (slash == path) : 0;

    if (n >= sizeof folder)
        return false;
    snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    return !stat(n ? folder : ".", st);
}

void made_give(int fd, const char *path)
{
    struct stat st;

    /* Where it may not, it is root's: as it was without this. */
    if (!geteuid() && look_at_folder(path, &st) && st.st_uid && fchown(fd, st.st_uid, st.st_gid))
        return;
}

void made_before(const char *path)
{
    struct stat st;
    int fd;

    if (geteuid() || !look_at_folder(path, &st) || !st.st_uid)
        return;
    fd = (int)TEMP_FAILURE_RETRY(
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (fd < 0)
        return;
    made_give(fd, path);
    close(fd);
}

int made_open(const char *path, int flags, mode_t mode)
{
    int fd;

    flags |= O_CLOEXEC | (geteuid() ? 0 : O_NOFOLLOW);
    fd = (int)TEMP_FAILURE_RETRY(open(path, flags));
    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = (int)TEMP_FAILURE_RETRY(open(path, flags | O_CREAT | O_EXCL, mode));
    if (fd >= 0) {
        fchmod(fd, mode);
        made_give(fd, path);
    } else if (errno == EEXIST) {
        fd = (int)TEMP_FAILURE_RETRY(open(path, flags));
    }
    return fd;
}
