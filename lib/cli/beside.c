#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* build/bin/PROG runs with the sources two folders up. */
char *cli_beside_build(const char *folder)
{
    char exe[PATH_MAX], *end, *path;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    for (int up = 0; up < 3; up++) {
        end = strrchr(exe, '/');
        if (!end)
            return NULL;
        *end = '\0';
    }
    if (asprintf(&path, "%s/%s", exe, folder) < 0)
        return NULL;
    if (!access(path, R_OK))
        return path;
    free(path);
    return NULL;
}
