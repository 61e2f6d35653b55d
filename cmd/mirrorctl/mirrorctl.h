/* What the parts of mirrorctl share. */
#ifndef MIRRORCTL_H
#define MIRRORCTL_H

#include "base/buf.h"
#include "base/err.h"
#include "core/ledger.h"
#include "text/json.h"

#include <stdbool.h>
#include <stdint.h>

/* The configuration: what config.json says, in its words. */
struct conf {
    char *pi_zero_host, *ssh_user, *config_path, *status_dir;
    char *logs_dir, *timer, *identity_file, *known_hosts_file;
    int64_t ssh_port; /* 0: ssh's own */
    int64_t timeout;  /* ms that one step may take */
};

extern struct conf conf;

struct options {
    const char *config;
    int64_t keep_ms;
    bool remove_endpoint, local, json;
};

extern struct options opt;

/* Reads it; 78 when it is not there or not right. */
int conf_read(const char *path, struct err *e);
void conf_free(void);

/* --- steps ---------------------------------------------------------------
 * Each is a line of mirrorctl.log; one that failed is on stderr, in the journal,
 * and a notification mirrorctl-failed, too. */

/* Of the command that runs; quiet: failures are for stderr alone. */
void steps_of(const char *command, bool quiet);
/* Notes how it went; rc is given back. e counts where rc is negative. */
int step(const char *name, int rc, const struct err *e);
void step_note(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The lock of mirrorctl, byte at of it: enable and disable are alone, so is rotate. */
enum { LOCK_SWITCH, LOCK_ROTATE };
int take_lock(struct lockfile *l, int64_t at, struct err *e);

/* --- the handheld ------------------------------------------------------- */

/* USER@HOST:PATH, for messages. */
const char *handheld_name(void);

/* Its configuration, in no more than limit_ms. 66: there is none; 69: not reached;
 * 76: not the handheld we know; 77: it does not let us. */
int handheld_read(int64_t limit_ms, struct buf *text, struct err *e);

/* Replaces it, if it is old still (75), and reads it back. 0: done; -1: it is as it was;
 * 1: nobody knows, e says why. */
int handheld_write(struct span old, struct span text, struct err *e);

/* A member's value in a configuration: 1, 0: it is not there; 65: that is no JSON object. */
int handheld_member(struct span text, struct span name, struct json_value *v, struct err *e);

/* What was pushed, for taking it back. */
struct push {
    struct buf before, after;
    bool done; /* something was written, or may have been */
};

/* Sets mirror_mode in p->before, and takes mirror_endpoint away if asked to, there. */
int push_mode(struct push *p, bool on, bool without_endpoint, struct err *e);
int push_undo(struct push *p, struct err *e);
void push_free(struct push *p);

/* --- the others ---------------------------------------------------------- */

/* Does the mirror's endpoint answer? 69 says why not, in words for who has to mend it. */
int endpoint_check(const char *url, struct err *e);

/* systemctl VERB [--now] TIMER; timer_enabled: 1, 0. */
int timer_switch(bool on, struct err *e);
int timer_enabled(struct err *e);

/* Averages over the mirror log, of what it noted since then. */
struct latency {
    int64_t primary_ms, mirror_ms; /* sums */
    int64_t primaries, samples;    /* of how many */
    int64_t bad;                   /* lines that cannot be read */
};
int latency_read(int64_t since_ms, struct latency *out, struct err *e);

/* --- commands: the exit status ------------------------------------------- */

int mirror_enable(void);
int mirror_disable(void);
int mirror_status(void);
int mirror_rotate(void);

/* Rotates both logs. 0, or -1: e is of the first that could not be. */
int rotate_logs(struct err *e);

#endif
