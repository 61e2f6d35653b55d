/* stream: what is new in a store, as server-sent events (text/event-stream).
 *
 * The body alone is written, not its header. It begins with "retry: 3000"; a
 * message is a line each of id, event and data:
 *
 *   event  an event, as evstore-export --full prints it
 *   job    a job that changed, as syncq watch prints it
 *   cache  {"namespace":N,"key":K} is not valid any more: K null is all of N, N
 *          null is everything. {"all":true}: what was missed is not known any more.
 *   reset  {"store_id":ID}: the id that the reader came with is none of this store's,
 *          which goes on with what is new from now on. ID null: the store was
 *          replaced meanwhile, and the stream ends; a reader comes again with the
 *          id it has, and is told the new one.
 *
 * An id names a place in all that can be told, STORE:SEQ:CHECK~jCHANGE~cCHANGE, so
 * that a reader who comes again with the last one misses nothing and sees nothing
 * twice. A block of an id alone, which a reader keeps without seeing a message, says
 * where the stream begins, and how far it has come where a filter let nothing by.
 * What is not asked for stays, in the id, where it was.
 *
 * One wave of what is new is held in memory, and no view of the store meanwhile. */
#ifndef LIFEBOAT_STREAM_H
#define LIFEBOAT_STREAM_H

#include "core/cursor.h"
#include "core/store.h"

enum stream_topic { STREAM_EVENTS = 1, STREAM_JOBS = 2, STREAM_CACHE = 4 };

enum { STREAM_HEARTBEAT_MS = 15000, STREAM_PATIENCE_MS = 60000 };

/* All set by the caller, and its own, but for bytes. */
struct stream {
    struct store *st;     /* open, STORE_READ is enough; no transaction, no snapshot */
    int out_fd;           /* a pipe, socket or file; it need not be O_NONBLOCK */
    unsigned topics;      /* of enum stream_topic */
    const char *actor;    /* of the events only those of this actor_id; NULL: all */
    const char *last_id;  /* as it came, whatever is in it; NULL or "": only what is new */
    int64_t heartbeat_ms; /* a comment after so long a silence; 0: STREAM_HEARTBEAT_MS */
    int64_t patience_ms;  /* a reader who takes nothing is left; 0: STREAM_PATIENCE_MS */

    int64_t bytes; /* written so far */
};

/* Goes on until the reader has left or is left, a signal asks to stop (base/stop.h:
 * stop_catch must have been called, which also ignores SIGPIPE), or the store was
 * replaced: all of these are 0. -1: the store cannot be read any more. */
int stream_run(struct stream *s, struct err *e);

/* A place, as an id says it. */
enum { STREAM_ID_TEXT = CURSOR_TEXT + 2 * 22 };

struct stream_place {
    char cursor[CURSOR_TEXT]; /* of the events, well formed */
    int64_t job, cache;       /* the last change of each that was told, 0: none */
};

/* 0, or -1: text is not formed like an id. Pure. */
int stream_place_parse(struct span text, struct stream_place *p);
/* Its length, without the NUL. */
size_t stream_place_text(const struct stream_place *p, char out[STREAM_ID_TEXT]);

#endif
