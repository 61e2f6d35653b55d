#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int folder_sync(const char *folder, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int rc = fd < 0 || fsync(fd) ? err_sys(e, EX_IOERR, "unable to sync the folder %s", folder) : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

int folder_sync_of(const char *path, struct err *e)
{
    char *copy = strdup(path);
    int rc = copy ? folder_sync(dirname(copy), e) : err_memory(e);

    free(copy);
    return rc;
}
