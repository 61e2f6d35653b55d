#include "http/secretfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or -1: not to be told, errno says why. */
static int look_at_owner(const char *store, struct stat *st)
{
    const char *slash;
    char *folder;
    int rc;

    if (!stat(store, st))
        return 0;
    slash = strrchr(store, '/');
    folder = !slash           ? strdup(".")
             : slash == store ? strdup("/")
                              : strndup(store, (size_t)(slash - store));
    rc = folder ? stat(folder, st) : -1;
    free(folder);
    return rc;
}

static bool is_trusted(uid_t owner, const char *store)
{
    struct stat st;

    return owner == geteuid() || owner == 0 || (!look_at_owner(store, &st) && owner == st.st_uid);
}

int secretfile_check(int fd, const char *name, const char *store, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st))
        return err_sys(e, EX_IOERR, "unable to look at %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EX_NOPERM, "%s: not a regular file", name);
    if (st.st_mode & 07177)
        return err_set(e, EX_NOPERM,
                       "%s: mode %04o: others may have read or changed it: wants 0600 "
                       "(chmod 600; and a new key, if it has been so for long)",
                       name, (unsigned)(st.st_mode & 07777));
    if (!is_trusted(st.st_uid, store))
        return err_set(e, EX_NOPERM,
                       "%s: belongs to user %u: wants the user who runs this, root, or the "
                       "owner of the store",
                       name, (unsigned)st.st_uid);
    return 0;
}

int secretfile_make(int fd, const char *name, const char *store, struct err *e)
{
    struct stat st;

    if (fchmod(fd, 0600))
        return err_sys(e, EX_CANTCREAT, "unable to keep %s to its owner", name);
    if (geteuid() == 0 && !look_at_owner(store, &st) && fchown(fd, st.st_uid, st.st_gid))
        return err_sys(e, EX_CANTCREAT, "unable to give %s to the owner of the store", name);
    return 0;
}
