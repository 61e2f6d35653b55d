/* checkpoint: preloaded into a command, has each of its connections to SQLite
 * checkpoint whenever the log has CHECKPOINT_PAGES pages (10), a hundredth of
 * what is usual, so that checkpoints meet commits all the time. */
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdlib.h>

int sqlite3_open_v2(const char *name, sqlite3 **db, int flags, const char *vfs)
{
    int (*open)(const char *, sqlite3 **, int, const char *);
    const char *pages = getenv("CHECKPOINT_PAGES");
    int rc;

    *(void **)&open = dlsym(RTLD_NEXT, "sqlite3_open_v2");
    rc = open(name, db, flags, vfs);
    if (rc == SQLITE_OK)
        sqlite3_wal_autocheckpoint(*db, pages ? atoi(pages) : 10);
    return rc;
}
