/* supervise: a command run so that nothing of it outlives its time.
 *
 * A supervisor is a process between the caller, its owner, and the command. It
 * is a child subreaper: whatever the command leaves behind, in a session of its
 * own or in the background, becomes its child. It ends all of them, with TERM
 * and then KILL, when the command's time is over, when it is told to, when the
 * command has ended, and when its owner is gone, by kill -9 as well. It runs
 * one command at a time, any number of them in turn.
 *
 *     supervisor_open(&s, -1, &e);
 *     supervisor_run(&s, &task, &e);
 *     poll for POLLIN on s.fd
 *     supervisor_result(&s, &end, &e);
 *     supervisor_close(&s);
 *
 * Not held: a process that has another user's rights cannot be ended, one that
 * hangs in the kernel only when it comes back; and where both the owner and the
 * supervisor are killed with -9 at once, nobody is left to do it. */
#ifndef LIFEBOAT_SUPERVISE_H
#define LIFEBOAT_SUPERVISE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* From TERM to KILL: of a command, and of what it left behind. */
enum { SUPERVISE_GRACE_MS = 5000, SUPERVISE_LEFT_MS = 1000 };

struct supervisor {
    pid_t pid;
    int fd; /* readable when the command has ended; -1 when not open */
    bool busy;
};

struct task {
    char *const *argv;  /* looked for in PATH, no shell */
    char *const *env;   /* "NAME=value" before those inherited; NULL: none */
    int streams[3];     /* its standard input, output and error */
    int64_t timeout_ms; /* 0: none */
};

struct task_end {
    int status;      /* exit status; 128+n after signal n; 126, 127: could not be run */
    int signal;      /* that ended it, or 0 */
    int error;       /* errno of why it could not be run, or 0 */
    bool timed_out;  /* it was ended for its time was over */
    bool stopped;    /* it was ended for supervisor_stop said so */
    int left_behind; /* processes that had to be ended after it */
};

/* Starts a supervisor; the caller becomes a subreaper as well, for the case
 * that a supervisor is killed. Of the caller's descriptors it keeps one, keep,
 * until all it watches over is gone: a lock on it says that somebody is left.
 * keep may be -1. */
int supervisor_open(struct supervisor *s, int keep, struct err *e);

/* Gives it a command. The streams stay the caller's. */
int supervisor_run(struct supervisor *s, const struct task *t, struct err *e);

/* From now on the command has so many ms, at least 1, whatever was said before. */
void supervisor_allow(struct supervisor *s, int64_t ms);

/* Asks it to end the command now. */
void supervisor_stop(struct supervisor *s);

/* Waits for the end of the command. EX_TEMPFAIL: the supervisor itself was killed;
 * it is closed, and supervise_orphans is called for. */
int supervisor_result(struct supervisor *s, struct task_end *end, struct err *e);

/* Lets it end everything by itself; supervisor_close then only waits. */
void supervisor_leave(struct supervisor *s);

/* Ends the command if there is one, then the supervisor, and waits for both. */
void supervisor_close(struct supervisor *s);

/* Ends what supervisors that were killed left to this process: all of its
 * descendants but the n (at most 256) supervisors given, and theirs. */
void supervise_orphans(const struct supervisor *living, size_t n);

#endif
