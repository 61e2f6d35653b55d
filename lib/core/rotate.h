/* rotate: a log set aside while others write to it, compressed, and kept for a while.
 *
 * FOLDER/NAME becomes NAME-20250220T020000Z (UTC) and an empty NAME of the same owner
 * and mode takes its place in one step, so that who opens the log for each line loses
 * none. It is compressed to NAME-20250220T020000Z.gz when no process has it open for
 * writing any more; until then it stays as it is, for the next time. Whatever kills this
 * at any point, the next run ends or undoes what was begun: each line is in one of the
 * files, and in one only.
 *
 * Nothing but files of these names is ever deleted. Age is that of the name. Who runs
 * this has a lock against others that do. */
#ifndef LIFEBOAT_ROTATE_H
#define LIFEBOAT_ROTATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rotate {
    /* set by the caller */
    const char *folder, *name;
    int64_t now_ms;   /* Unix ms */
    int64_t keep_ms;  /* of rotated ones */
    int64_t wait_ms;  /* for who has it open */
    int64_t limit_ms; /* for one to be compressed */

    /* what came of it */
    bool set_aside;
    int packed, deleted, in_use; /* files; in_use: left for the next time */
    int64_t bytes, packed_bytes; /* of the packed ones, before and after */
};

/* A log that is not there, or empty, is not set aside. After an error what else can be
 * done is done. */
int rotate_log(struct rotate *r, struct err *e);

/* The rotated ones, the oldest first. */
struct rotated {
    char *path;
    int64_t stamp_ms;
    bool packed; /* .gz */
};

/* Each line once: where one is there packed and not, it is being packed, and only the
 * latter is given; what is still the log under a second name is not. */
int rotate_list(const char *folder, const char *name, struct rotated **list, size_t *n,
                struct err *e);
void rotate_list_free(struct rotated *list, size_t n);

#endif
