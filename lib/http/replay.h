/* replay: the recorded answer to a request that comes again under its key.
 *
 * An idempotency key is one principal's, for one method and path. The answer is in
 * the store with those of kvcache run (store/runonce.h), in the namespace "http":
 * its exit status is the status, its output the media type, a line feed, the body.
 * Whoever answers holds the key's byte of FILE-run, so that one who is killed leaves
 * the key free; nothing he did is done twice, since the ids of events made under a
 * key follow from it. */
#ifndef LIFEBOAT_REPLAY_H
#define LIFEBOAT_REPLAY_H

#include "base/sha256.h"
#include "core/lockfile.h"
#include "core/store.h"
#include "http/answer.h"

enum { REPLAY_TTL_MS = 86400000 };

struct replay {
    char key[SHA256_TEXT]; /* what stands in the store for principal, method, path and key */
    char fingerprint[SHA256_TEXT]; /* of the body */
    struct store *st;
    struct lockfile lock;
    int64_t id; /* of the row that is running; 0: none */
};

enum replay_turn {
    REPLAY_ERROR = -1,
    REPLAY_OURS,  /* nobody has answered yet: do it, then replay_record or replay_forget */
    REPLAY_AGAIN, /* the answer is the recorded one */
    REPLAY_BUSY,  /* somebody is at it */
    REPLAY_OTHER  /* the key was used for another body */
};

/* scope is what the key belongs to. -1: no memory. */
int replay_name(struct replay *r, const char *principal, const char *method, const char *path,
                const char *key, struct err *e);

enum replay_turn replay_begin(struct replay *r, struct store *st, struct answer *a, struct err *e);

/* Keeps the answer. */
int replay_record(struct replay *r, const struct answer *a, struct err *e);
/* The key is free again. Harmless at any time; closes as well. */
void replay_end(struct replay *r);

/* The id of the n-th event made under the key: a UUID of version 8 (RFC 9562). */
int replay_event_id(const struct replay *r, uint64_t n, char out[static 37], struct err *e);

#endif
