#include "core/identity.h"

#include "base/made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Clocks of file systems go in steps, of 2 s on the coarsest ones. */
enum { SETTLED_MS = 4000, TEXT_MAX = IDENTITY_MARK + STORE_ID_TEXT + IDENTITY_DEVICE_MAX };

static int64_t ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* -1: there is no such file, or the name is too long to be kept. */
static int take_mark(const char *path, const char *device, struct identity *out)
{
    struct timespec now;
    struct stat s;
    int n;

    *out = (struct identity){.settled = false};
    if (stat(path, &s) || clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    n = snprintf(out->mark, sizeof out->mark, "lifeboat1 %llx %llx %llx %llx %llx %s ",
                 (unsigned long long)s.st_dev, (unsigned long long)s.st_ino,
                 (unsigned long long)s.st_size, (unsigned long long)ns(s.st_mtim),
                 (unsigned long long)ns(s.st_ctim), device ? "set" : "own");
    out->settled = ns(now) - ns(s.st_mtim) > SETTLED_MS * INT64_C(1000000) &&
                   ns(now) - ns(s.st_ctim) > SETTLED_MS * INT64_C(1000000);
    return n > 0 && (size_t)n < sizeof out->mark ? 0 : -1;
}

static int read_file(const char *path, char text[static TEXT_MAX])
{
    ssize_t n = -1;
    char *name;
    int fd;

    if (asprintf(&name, "%s-identity", path) < 0)
        return -1;
    fd = (int)TEMP_FAILURE_RETRY(open(name, O_RDONLY | O_CLOEXEC));
    if (fd >= 0) {
        n = TEMP_FAILURE_RETRY(read(fd, text, TEXT_MAX - 1));
        close(fd);
    }
    free(name);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? 0 : -1;
}

int identity_read(const char *path, const char *device, struct identity *out)
{
    char text[TEXT_MAX], *id, *name, *end;
    size_t n;

    if (take_mark(path, device, out) || read_file(path, text))
        return 0;
    n = strlen(out->mark);
    if (strncmp(text, out->mark, n) != 0)
        return 0;
    id = text + n;
    name = strchr(id, ' ');
    end = strchr(id, '\n');
    if (!name || !end || end < name || end[1] || name - id != STORE_ID_TEXT - 1 ||
        end - name > IDENTITY_DEVICE_MAX)
        return 0;
    *name++ = *end = '\0';
    memcpy(out->id, id, STORE_ID_TEXT);
    snprintf(out->device, sizeof out->device, "%s", device ? device : name);
    return 1;
}

static int write_text(int fd, const char *text, size_t n)
{
    return TEMP_FAILURE_RETRY(write(fd, text, n)) == (ssize_t)n ? 0 : -1;
}

/* Beside the file and then in its place: nobody reads half of it. */
static void replace(const char *path, const char *text)
{
    char *name = NULL, *aside = NULL;
    int fd = -1;

    if (asprintf(&name, "%s-identity", path) < 0)
        name = NULL;
    if (name && asprintf(&aside, "%s.XXXXXX", name) < 0)
        aside = NULL;
    if (aside)
        fd = (int)TEMP_FAILURE_RETRY(mkostemp(aside, O_CLOEXEC));
    if (fd >= 0) {
        int rc = write_text(fd, text, strlen(text));

        made_give(fd, name);
        close(fd);
        if (rc || rename(aside, name))
            unlink(aside);
    }
    free(aside);
    free(name);
}

void identity_keep(const struct store *st, const char *device, const struct identity *seen)
{
    char text[TEXT_MAX];
    struct identity now;
    int n;

    if (!seen->settled || take_mark(st->path, device, &now) || strcmp(now.mark, seen->mark) != 0)
        return;
    n = snprintf(text, sizeof text, "%s%s %s\n", seen->mark, st->id, st->device);
    if (n > 0 && (size_t)n < sizeof text && !strchr(st->device, '\n'))
        replace(st->path, text);
}
