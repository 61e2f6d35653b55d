/* ingest: batches of lines into the store, and what is said about them.
 *
 * Shared by the commands that store events. A batch is stored in one or more
 * transactions, none of which keeps it longer than BATCH_HOLD_MS from others;
 * nothing is printed before its transaction is committed, and nothing is
 * read or printed while one is open. */
#ifndef LIFEBOAT_INGEST_H
#define LIFEBOAT_INGEST_H

#include "cli/cli.h"
#include "cli/rejects.h"
#include "core/batch.h"
#include "store/events.h"
#include "text/seal.h"

struct ingest {
    struct intake intake; /* its options are set by the command */
    struct rejects rejects;
    struct batch batch;
    struct progress progress;
    const char *input;   /* name of the input being read */
    uint64_t received;   /* lines that are not control lines */
    uint64_t bytes;      /* of input so far */
    bool elsewhere_only; /* refuse events without ts_device */
    bool endless;        /* a store built aside: no limit to a transaction */
    bool relative;       /* an event's place is given within itself */
    bool live;           /* a control line that is not known ends it: its sender relies on it */
    bool pending;        /* before_commit has something to store without events */
    int64_t commit_ms;   /* about what a commit takes: it keeps the gate too */
    bool whole_batch;    /* for before_commit: no more of the batch is to come */
    /* Inside each transaction, after its events. May be NULL. */
    int (*before_commit)(struct ingest *in, struct err *e);
    /* The lines so far reach up to this cursor. 1: store them with it now. */
    int (*control)(struct ingest *in, const char *reached);
    int (*raw)(struct ingest *in, const struct line *l, struct err *e);

    struct batch_hooks hooks;
    struct note *notes; /* what to say after the commit */
    size_t note_count, note_cap;
    uint64_t warned; /* warnings about clocks so far */
    struct buf echo;
};

/* Call after the options in intake are set and the store is open. */
int ingest_open(struct ingest *in, struct err *e);
void ingest_close(struct ingest *in);

/* Reads one input to its end (or until a signal), storing as it goes. */
int ingest_lines(struct ingest *in, struct line_reader *r, struct err *e);

/* Stores the batch as it stands; ingest_lines calls it for every batch. */
int ingest_store(struct ingest *in, struct err *e);

/* Events that are not stored: bad lines, conflicts, refusals; those of the
 * transaction in hand included. */
uint64_t ingest_rejected(const struct ingest *in);

#endif
