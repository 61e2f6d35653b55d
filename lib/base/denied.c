#include "base/denied.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is not there is no hindrance. */
static int denied(const char *path)
{
    if (!access(path, W_OK))
        return 0;
    return errno == EROFS || errno == EACCES || errno == EPERM ? errno : 0;
}

int denied_beside(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    const char *slash = strrchr(path, '/');
    char name[PATH_MAX];
    int number = 0;

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !number; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        number = denied(name);
    }
    if (number)
        return number;
    snprintf(name, sizeof name, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    return denied(name);
}

int denied_hint(struct err *e, int number)
{
    size_t n = strlen(e->msg);
    const char *hint = "";

    if (number == EROFS)
        hint = ": the disk is mounted read-only: see dmesg and lifeboat-recovery(7), THE DISK IS "
               "READ-ONLY";
    else if (number == EACCES || number == EPERM)
        hint = ": made by root? it has to belong to the user of the service: see "
               "lifeboat-recovery(7), PERMISSION DENIED";
    snprintf(e->msg + n, sizeof e->msg - n, "%s", hint);
    return -1;
}
