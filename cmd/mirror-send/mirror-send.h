/* mirror-send: what its parts share.
 *
 * Three processes. The one that was started reads scans and makes them durable; one
 * sends what waits for the primary; one sends what waits for the mirror, which is what
 * the primary has taken. The first wakes the second by a byte in a pipe, the second the
 * third; the end of such a pipe says that nothing more will come. All else they have in
 * common is the store, so that none of them ever waits for another's network. */
#ifndef MIRROR_SEND_H
#define MIRROR_SEND_H

#include "cli/cli.h"
#include "cli/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum which { PRIMARY, MIRROR, LEGS };

/* Of the legs, as people know them, and their outboxes in the store. */
extern const char *const leg_names[LEGS];
extern const char *const leg_queues[LEGS];

enum { ITEM_RETRIES = 3 };

/* What the configuration says; strings live as long as it is open. */
struct setup {
    char *endpoint[LEGS], *token_file[LEGS]; /* NULL: none */
    bool mirror;
    int64_t timeout_ms, max_attempts, backoff_ms;
    struct config config;
    struct stat seen; /* the file, when it was last looked at */
    const char *path;
};

/* 0, or -1: it is not there or wrong (78). */
int setup_open(struct setup *s, const char *path, struct err *e);
/* Reads the file again if it has changed; true if it says something now. One that is
 * wrong changes nothing; loud: and that is said. */
bool setup_look(struct setup *s, bool loud);
void setup_close(struct setup *s);
/* When the configuration, or the token file of this leg, was last changed: Unix ms. */
int64_t setup_changed_at(const struct setup *s, enum which leg);

struct options {
    const char *config, *log, *rejects, *leg;
    bool flush, now, status, drop_mirror;
};

extern struct options opt;

/* What both legs count where the first process can see it. */
struct tally {
    int64_t sent, failed, remaining;
};

/* The process of a leg: ends with its exit status. next: a pipe to the one that comes
 * behind it, or -1. */
int leg_run(enum which leg, int wake, int next, struct tally *t);

/* Reads scans into the store until there are no more, or a signal. wake: a pipe to the
 * leg that sends them. 1: that one has ended; what was read is in the store. */
struct intake {
    uint64_t received, queued, rejected;
};
int intake_run(char **operands, int wake, struct intake *in, struct err *e);

/* --status, --drop-mirror: exit statuses. */
int show_status(void);
int drop_mirror(void);

#endif
