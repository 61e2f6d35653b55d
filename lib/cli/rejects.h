/* rejects: lines that are refused are named, counted and set aside untouched. */
#ifndef LIFEBOAT_REJECTS_H
#define LIFEBOAT_REJECTS_H

#include "core/event.h"
#include "text/line.h"
#include "text/out.h"

struct rejects {
    const char *path; /* of --rejects; NULL: nowhere */
    struct out out;
    uint64_t count;
};

/* Creates the file of --rejects, or dies with 73. An existing one is appended
 * to: a rerun loses nothing. */
void rejects_open(struct rejects *r, const char *path);

/* Names the line on stderr, counts it, sets it aside. For an over-long line
 * this is called with each of its pieces. -1: the file cannot be written. */
int rejects_line(struct rejects *r, const char *input, const struct line *l, size_t offset,
                 const char *why, struct err *e);

/* Makes what was set aside durable; -1 if that failed. */
int rejects_sync(struct rejects *r, struct err *e);
void rejects_close(struct rejects *r);

#endif
