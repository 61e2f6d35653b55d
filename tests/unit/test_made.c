#include "base/made.h"

#include "core/ledger.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOMEBODY = 65534 };

static char dir[] = "/tmp/made.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Owner and mode, as "65534 644"; only what is wanted where only root could tell. */
static const char *look(const char *name)
{
    static char text[64];
    struct stat st;

    if (stat(path_of(name), &st))
        return strerror(errno);
    snprintf(text, sizeof text, "%d %o", geteuid() ? SOMEBODY : (int)st.st_uid,
             (unsigned)st.st_mode & 07777);
    return text;
}

static void opens(void)
{
    int fd = made_open(path_of("new"), O_WRONLY | O_APPEND, 0644);

    ok(fd >= 0 && write(fd, "1\n", 2) == 2, "a file that is not there is made");
    is_str(look("new"), "65534 644", "for the owner of the folder, whatever the umask");
    ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "and is not for children");
    close(fd);
    fd = made_open(path_of("new"), O_WRONLY | O_APPEND, 0600);
    ok(fd >= 0 && write(fd, "2\n", 2) == 2 && lseek(fd, 0, SEEK_END) == 4,
       "one that is there is opened");
    is_str(look("new"), "65534 644", "and stays as it was");
    close(fd);
    ok(made_open(path_of("no/where"), O_WRONLY, 0644) < 0 && errno == ENOENT,
       "without a folder there is no file");
}

static void links(void)
{
    int fd, made = open(path_of("target"), O_WRONLY | O_CREAT, 0600);

    ok(made >= 0 && !symlink(path_of("target"), "link"), "a link is put there");
    fd = made_open(path_of("link"), O_WRONLY, 0644);
    ok(geteuid() ? fd >= 0 : fd < 0 && errno == ELOOP, "root does not follow it");
    if (fd >= 0)
        close(fd);
    close(made);
}

static void ledgers(void)
{
    struct ledger_entry on = {.result = LEDGER_ENABLED, .ts_ms = 1740000000000, .zone = "UTC"};
    struct err e = ERR_NONE;
    struct lockfile lock;
    struct ledger l;

    is_int(ledger_lock(&lock, dir, 0, &e), 1, "the lock of a ledger that is yet to come");
    ok(!ledger_append(dir, &on, &e) && !ledger_read(dir, &l, &e) &&
           !ledger_count(dir, &l, on.ts_ms, &e),
       "and its first line");
    ledger_unlock(&lock);
    is_str(look(LEDGER_FILE), "65534 644", "the ledger is the folder's owner's");
    is_str(look(LEDGER_COUNTER), "65534 644", "so is the counter");
    ok(!strncmp(look(LEDGER_FILE "-lock"), "65534 ", 6), "and the lock");
}

int main(void)
{
    plan(13);
    umask(077);
    if (!mkdtemp(dir) || (!geteuid() && chown(dir, SOMEBODY, SOMEBODY)) || chdir(dir))
        return 1;
    opens();
    links();
    ledgers();
    if (system("rm -rf \"$PWD\""))
        return 1;
    return done();
}
