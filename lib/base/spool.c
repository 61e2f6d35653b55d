#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int unlinked(const char *folder)
{
    char *name;
    int fd;

    if (asprintf(&name, "%s/.lifeboat-XXXXXX", folder) < 0)
        return -1;
    fd = (int)TEMP_FAILURE_RETRY(mkostemp(name, O_CLOEXEC));
    if (fd >= 0)
        unlink(name);
    free(name);
    return fd;
}

int spool_beside(const char *path, struct err *e)
{
    char *copy = strdup(path), *folder = copy ? dirname(copy) : NULL;
    int fd = -1;

    if (folder)
        fd = (int)TEMP_FAILURE_RETRY(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd < 0 && folder)
        fd = unlinked(folder);
    if (fd < 0)
        err_sys(e, EX_CANTCREAT, "unable to make a temporary file beside %s", path);
    free(copy);
    return fd;
}
