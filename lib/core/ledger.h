/* ledger: what came of each comparison of two servers, mirror_status.log of the status
 * folder, one line of JSON each, in the order in which it was noted.
 *
 *     {"ts":"…","day":"2025-02-20","zone":"Asia/Tokyo","result":"OK","config":"…",…}
 *
 * Results are OK, NG and ERROR; ENABLED and DISABLED are notes of who turned the mirror
 * on or off. Lines are only ever added. ok_counter, beside it, holds the streak that
 * follows from it, for whom that is enough. Who adds has the lock. */
#ifndef LIFEBOAT_LEDGER_H
#define LIFEBOAT_LEDGER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"
#include "core/lockfile.h"
#include "core/streak.h"

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_FILE    "mirror_status.log"
#define LEDGER_COUNTER "ok_counter"

enum { LEDGER_WHY = 512, LEDGER_DATE = 16 };

enum ledger_result {
    LEDGER_NONE,
    LEDGER_OK,
    LEDGER_NG,
    LEDGER_ERROR,
    LEDGER_ENABLED,
    LEDGER_DISABLED
};

struct ledger_entry {
    enum ledger_result result;
    int64_t ts_ms;      /* Unix ms */
    const char *zone;   /* by whose days it counts */
    const char *config; /* 16 hex digits; NULL: none */
    bool hold;          /* a gap before it does not break the streak: "gap":"hold" */
    struct span rest; /* further members as they are to stand there, without braces; may be empty */
};

/* What the ledger says, all of it. */
struct ledger {
    struct streak streak;
    char zone[ZONE_NAME];           /* of the last line, "" of an empty ledger */
    enum ledger_result last;        /* the last comparison, LEDGER_NONE: there was none */
    int64_t last_ms;                /* its time */
    char last_why[LEDGER_WHY];      /* of an ERROR */
    int64_t last_ok_ms, last_ng_ms; /* -1: never */
    int64_t last_ng_records;        /* differences of it */
    enum ledger_result turned;      /* ENABLED, DISABLED, or NONE where nobody said */
    int64_t turned_ms;
    int64_t lines, unreadable, first_unreadable; /* line numbers from 1 */
    struct {
        int64_t day;
        enum ledger_result result;
    } seen[32]; /* by day modulo 32, what came of the days lately */
};

const char *ledger_result_name(enum ledger_result r);

/* 1: the lock is ours; 0: another's, after wait_ms. ledger_unlock in any case but -1. */
int ledger_lock(struct lockfile *l, const char *dir, int64_t wait_ms, struct err *e);
void ledger_unlock(struct lockfile *l);

/* Adds a line, which lasts when this returns 0; on failure nothing of it is left. */
int ledger_append(const char *dir, const struct ledger_entry *en, struct err *e);

/* Reads it; one that is not there is empty. */
int ledger_read(const char *dir, struct ledger *out, struct err *e);

/* The streak as it stands now, and what came of a day: NG if there was one on it, else
 * OK, ERROR, or LEDGER_NONE. */
int ledger_streak(const struct ledger *l, int64_t now_ms);
int64_t ledger_today(const struct ledger *l, int64_t now_ms);
enum ledger_result ledger_of_day(const struct ledger *l, int64_t day);
void ledger_date(int64_t day, char out[static LEDGER_DATE]);

/* Puts the streak of now into ok_counter. */
int ledger_count(const char *dir, const struct ledger *l, int64_t now_ms, struct err *e);

#endif
