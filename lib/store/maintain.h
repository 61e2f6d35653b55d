/* maintain: what SQLite wants of a store that lives for years.
 *
 * Statistics of the log for the query planner, a -wal file that is small again, and the
 * file written anew where much of it is unused. Each holds the gate for itself alone,
 * and none changes an event. */
#ifndef LIFEBOAT_MAINTAIN_H
#define LIFEBOAT_MAINTAIN_H

#include "core/store.h"

/* So much has to be unused for VACUUM to be worth it: a quarter, and not little. */
enum { MAINTAIN_UNUSED_PART = 4 };
#define MAINTAIN_UNUSED_BYTES (INT64_C(16) << 20)

enum maintain_vacuum { VACUUM_AUTO, VACUUM_ALWAYS, VACUUM_NEVER };

enum maintain_result {
    MAINTAIN_DONE,
    MAINTAIN_NOT_ASKED,
    MAINTAIN_NOT_WORTH, /* too little is unused */
    MAINTAIN_NO_ROOM,   /* the disk has not twice what will be left */
    MAINTAIN_TOO_LONG   /* given up after hold_ms: nothing was changed */
};

struct maintain {
    /* set by the caller */
    enum maintain_vacuum when;
    int64_t hold_ms; /* with VACUUM_AUTO: others are not kept waiting any longer; -1: no limit */

    /* found */
    enum maintain_result result;
    int64_t bytes_before, bytes; /* of the file, without its -wal */
    int64_t unused_bytes;        /* in it, afterwards */
    int64_t wal_bytes;           /* of the -wal, afterwards */
    int64_t room_bytes;          /* that VACUUM wants of the disk */
    int64_t vacuum_ms;           /* so long the gate was held for it */
    bool checkpointed;           /* all of the -wal is in the file; else a reader needs it still */
};

/* Of a store that is open for writing. 74: the disk is full, or failing; with
 * VACUUM_ALWAYS also where there is no room. 75: a signal asked to stop. In any case the
 * events are what they were. */
int maintain_run(struct maintain *m, struct store *st, struct err *e);

const char *maintain_result_name(enum maintain_result r);

/* Is it worth it, by the pages of a file? Pure. */
bool maintain_worth(int64_t pages, int64_t unused_pages, int64_t page_size);

#endif
