/* syncq: what its parts share. Each command of it is a function that is given
 * its operands and returns an exit status; it may die by cli_die. */
#ifndef SYNCQ_H
#define SYNCQ_H

#include "cli/cli.h"
#include "cli/queues.h"
#include "core/store.h"
#include "store/queue.h"

#include <stdbool.h>
#include <stdint.h>

enum { TYPES_MAX = 32 };

/* -1 or NULL where an option is not given. */
struct options {
    struct span types[TYPES_MAX];
    size_t type_count;
    const char *unique, *token, *result, *error, *reason, *status, *lane, *rejects;
    const char *lane_from, *key_from;
    int64_t priority, max_retries, timeout_s, at_ms, by_ms, older_ms, grace_ms, since_ms, after;
    int64_t count, slots, limit;
    bool json, all, once, drain, dead, release, later, now;
};

extern struct options opt;
extern struct store store;
extern struct queue queue;

/* Opens the store. A reader of one of an older version has it brought up to
 * date. */
void open_store(enum store_mode mode);
/* And the queue on it. */
void open_queue(enum store_mode mode);

/* Is this text fit to stand in JSON? */
bool is_utf8(const char *text);

/* The operand as a queue's name, or a usage error. */
struct span queue_operand(const char *operand);
/* The same, and not of a destination: its items are not for anybody's hands. */
struct span job_queue_operand(const char *operand);
int64_t id_operand(const char *operand);

int syncq_enqueue(char **operands);
int syncq_dequeue(char **operands);
int syncq_complete(char **operands);
int syncq_fail(char **operands);
int syncq_extend(char **operands);
int syncq_work(char **operands);
int syncq_send(char **operands);
int syncq_flush(char **operands);
int syncq_stats(char **operands);
int syncq_list(char **operands);
int syncq_show(char **operands);
int syncq_watch(char **operands);
int syncq_pause(char **operands);
int syncq_resume(char **operands);
int syncq_dead_list(char **operands);
int syncq_dead_requeue(char **operands);
int syncq_dead_purge(char **operands);
int syncq_prune(char **operands);
int syncq_load(char **operands);

#endif
