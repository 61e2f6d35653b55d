#include "cli/projectors.h"

#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* build/bin/PROG runs with lib/projectors two folders up. */
static const char *beside_build(void)
{
    static char path[PATH_MAX + 64];
    char exe[PATH_MAX], *end;
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
    snprintf(path, sizeof path, "%s/lib/projectors", exe);
    return access(path, R_OK) ? NULL : path;
}

struct projector_paths cli_projectors(void)
{
    return (struct projector_paths){
        {cli.projectors, "/etc/lifeboat/projectors", LIFEBOAT_SHARE "/projectors", beside_build()}};
}
