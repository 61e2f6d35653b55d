/* lines: batches of input lines, for commands whose lines are not events.
 *
 * A batch ends at BATCH_ROWS lines, when the reader's buffer is full (8 MiB),
 * or when no complete line is waiting. Each line is given to take, which keeps
 * what it needs (spans stay valid until the batch is stored) or refuses it; then
 * store is called once for all of them. Neither may hold the gate on return. */
#ifndef LIFEBOAT_LINES_H
#define LIFEBOAT_LINES_H

#include "base/arena.h"
#include "cli/rejects.h"
#include "core/store.h"
#include "text/json.h"
#include "text/line.h"

#include <stdint.h>

struct lines {
    /* set by the caller */
    void *ctx;
    int (*take)(void *ctx, const struct line *l, struct err *e);
    int (*store)(void *ctx, struct err *e);
    const char *what; /* for the progress line, "jobs" */
    size_t most;      /* lines a batch; 0: BATCH_ROWS */
    size_t room;      /* bytes of the reader's buffer, unless a line is longer; 0: 8 MiB */

    struct arena arena; /* of the batch, for take */
    struct json json;   /* scratch, for take */
    struct rejects rejects;
    uint64_t received, bytes;
    bool drained; /* for store: no further line was waiting when the batch ended */

    struct line_reader reader;
};

/* Reads operands, standard input if there is none, to their end or until a
 * signal. */
int lines_read(struct lines *in, char **operands, struct err *e);
void lines_close(struct lines *in);

/* A line that is not to be taken: offset in its text, and why. json_no_memory
 * is an error of ours. */
int lines_refuse(struct lines *in, const struct line *l, size_t offset, const char *why,
                 struct err *e);

/* For several transactions to a batch: may this one, begun at this boot ms, go
 * on with item i? */
bool lines_go_on(struct store *st, int64_t begun, size_t i);

#endif
