/* compare: what the parts of mirror-compare share. */
#ifndef MIRROR_COMPARE_H
#define MIRROR_COMPARE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "core/join.h"
#include "core/ledger.h"
#include "text/line.h"
#include "text/out.h"
#include "text/record.h"

#include <stdbool.h>
#include <stdint.h>

enum { OLD = JOIN_OLD, NEW = JOIN_NEW, SIDES = 2, COPIES_LISTED = 100 };

extern const char *const side_names[SIDES]; /* "old", "new" */

/* --- plan.c: what is to be compared, and how ------------------------------- */

/* As it stands on the command line; NULL: it does not. */
struct wishes {
    const char *config, *command[SIDES], *key, *ts, *fields, *ignore, *ts_tol, *lag, *limit;
    const char *max_diffs, *memory, *zone, *gap, *timeout, *status_dir;
    const char **tolerances; /* FIELD=abs:X or FIELD=rel:X */
    size_t tolerance_count;
    char *const *operands;
    int operand_count;
    bool sorted, no_record, recompute;
};

struct plan {
    struct config file;
    struct arena strings;
    const char *source[SIDES]; /* a file, "-", or a command for sh */
    bool command[SIDES];
    struct record_rules rules;
    int64_t lag_ms, limit, max_diffs, memory, timeout_ms; /* limit, max_diffs: 0: none */
    bool sorted, hold;
    const char *zone, *status_dir; /* status_dir NULL: nothing is noted */
    char *aside;                   /* temporary files are made beside this path */
    char digest[STREAK_CONFIG];    /* of all that bears on the result */
    char here[ZONE_NAME];
};

int plan_make(struct plan *p, const struct wishes *w, struct err *e);
void plan_free(struct plan *p);

/* --- source.c: where the lines come from ------------------------------------ */

struct source {
    const char *name; /* for messages */
    int fd;           /* a file that can be read at any place; -1: not open */
    uint64_t size;
};

/* Opens both; commands are run to their end, at the same time. */
int sources_open(const struct plan *p, struct source out[SIDES], struct err *e);
void sources_close(struct source s[SIDES]);

/* --- a comparison -------------------------------------------------------------- */

struct side {
    struct source source;
    struct record_reader reader, again; /* again: for what is read a second time */
    struct buf line;                    /* the line read again */
    struct record_members members;      /* of it */
    uint64_t rows;                      /* lines that are not blank */
    bool timed;                         /* there is a time stamp: */
    int64_t oldest_us, newest_us;
};

enum difference { MISSING, EXTRA, CHANGED, DUPLICATE, BAD, PENDING, EDGE, DIFFERENCES };

extern const char *const difference_names[DIFFERENCES];

/* One that will be shown. */
struct diff {
    enum difference class;
    int of; /* DUPLICATE, BAD: the side */
    bool has[SIDES];
    uint32_t line[SIDES];
    uint64_t offset[SIDES]; /* of its line; BAD: of what is wrong */
    uint64_t key, value[SIDES];
    const uint32_t *lines; /* DUPLICATE: the first COPIES_LISTED of them */
    size_t line_count;
    const char *why; /* BAD */
};

/* The first so many, in the order of their lines. */
struct shown {
    struct diff *at;
    size_t n, room, max; /* max 0: all */
};

struct pending;

struct compare {
    const struct plan *plan;
    struct side side[SIDES];
    uint64_t equal, count[DIFFERENCES];
    struct shown wrong, other; /* what is NG, what is not */
    struct arena kept;
    struct pending *pending; /* NULL: nothing is noted */
    int64_t now_ms;
    struct progress progress;
    uint64_t bytes; /* scanned so far */
};

/* --- scan.c: reading both sides ----------------------------------------------- */

/* Finds all differences. */
int scan_compare(struct compare *c, struct err *e);

/* --- judge.c: which difference is what ----------------------------------------- */

int judge_pair(void *ctx, const struct join_entry *old, const struct join_entry *new, bool alike,
               struct err *e);
int judge_copies(void *ctx, int side, const struct join_entry *first, const uint32_t *lines,
                 size_t n, struct err *e);
int judge_bad(struct compare *c, int side, uint32_t line, uint64_t offset, const char *why,
              struct err *e);
/* The line at an offset of a side once more, in side->line, without its ending. */
int side_again(struct compare *c, int side, uint64_t offset, struct err *e);
/* What was read is not what was read before: trouble. Returns -1. */
int side_changed(const struct side *s, struct err *e);
/* Is the window of a side cut at its old end? */
bool side_cut(const struct compare *c, int side);
void shown_sort(struct shown *s);

/* --- show.c: differences as JSON ------------------------------------------------- */

/* Those of wrong, then the others; wrong_bytes is the length of the first. */
int show_all(struct compare *c, struct out *out, uint64_t *wrong_bytes, struct err *e);
/* The counts, as members without braces. */
int show_counts(const struct compare *c, struct buf *out);

/* --- pending.c: what was in flight in the run before ------------------------------- */

int pending_open(struct compare *c, struct err *e);
void pending_close(struct compare *c);
/* Notes a record in flight: the version at since_us, and that of the side that lags, if
 * it has one. True: it was in flight before already, and has not moved. */
int pending_note(struct compare *c, const struct join_entry *key, int64_t since_us,
                 const int64_t *lagging_us, bool *stuck, struct err *e);
/* Was a later version than the one of this time stamp in flight in the run before? Then
 * it is so still. */
int pending_overdue(struct compare *c, const struct join_entry *key, int64_t has_us, bool *overdue,
                    struct err *e);
/* Replaces the file of the run before. */
int pending_keep(struct compare *c, struct err *e);

/* --- status.c: the status folder ------------------------------------------------------ */

int status_lock(const struct plan *p, struct lockfile *l, struct err *e);
/* What came of the comparison: its differences, what is in flight, the ledger. */
int status_note(struct compare *c, enum ledger_result result, int fd, uint64_t wrong_bytes,
                struct span rest, bool *noted, struct err *e);
/* A comparison that did not take place. */
int status_error(const struct plan *p, int64_t now_ms, struct span rest, struct err *e);
/* Makes ok_counter from the ledger. */
int status_count(const struct plan *p, int64_t now_ms, int *streak, struct err *e);

#endif
