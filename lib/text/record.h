/* record: a line of JSON as one side of a comparison sees it.
 *
 * By its rules each member of an object is part of the key, is compared, or does not
 * count. A record becomes two digests, of its key and of what is compared, that are
 * the same exactly when the values are (but for accidents of 2^-64): neither the
 * order of members nor the spelling of numbers and strings counts, while null, an
 * empty string and a member that is not there are three things. The time stamp is
 * compared as the instant it names.
 *
 * Tolerances cannot be told from digests: where these differ, record_same decides by
 * the members themselves. */
#ifndef LIFEBOAT_RECORD_H
#define LIFEBOAT_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "text/json.h"

#include <stdbool.h>

enum { RECORD_KEYS_MAX = 16 };

struct record_names {
    struct span *at;
    size_t n;
};

struct record_tolerance {
    struct span name, limit; /* limit: a decimal that is not negative */
    bool part;               /* limit is a part of the greater of the two */
};

/* All of it is the caller's, and outlives the reader. */
struct record_rules {
    struct record_names key;    /* 1 to RECORD_KEYS_MAX */
    struct record_names fields; /* only these are compared; none: all that are not in the key */
    struct record_names ignore;
    struct record_names named; /* of which record_met is asked */
    struct span ts;            /* p is NULL: none */
    int64_t ts_tolerance_us;
    const struct record_tolerance *tolerances;
    size_t tolerance_count;
};

/* Is anything compared with a tolerance? */
bool record_tolerant(const struct record_rules *rules);

struct record {
    struct digest key;
    uint64_t value;
    bool timed; /* it has a time stamp that is an instant: */
    int64_t ts_us;
};

/* A name of a member, and what the rules say of it. */
struct record_name {
    struct span text;
    struct span begins; /* as it begins a member: quoted, with its colon */
    uint64_t seed;
    int key; /* which part of the key, or -1 */
    bool compared, ts;
    const struct record_tolerance *tolerance; /* or NULL */
    uint64_t seen;                            /* in the record of this number */
    struct record_name *next;
};

/* A part of a key; text is the inside of a string, or the value as it stands. */
struct record_part {
    bool present;
    enum json_kind kind;
    struct span text;
};

struct record_member {
    const struct record_name *name;
    struct json_value value;
};

struct record_reader {
    const struct record_rules *rules;
    /* Of the record read last, until the next one: */
    struct record_part parts[RECORD_KEYS_MAX];
    const char *why; /* it is bad: the reason, and where in its text */
    size_t offset;

    /* inside */
    struct json json;
    struct buf text, complaint;
    struct arena names, keys;
    struct record_name **buckets, **shape;
    size_t bucket_count, name_count, shape_room;
    bool *met; /* by the place in rules->named */
    uint64_t number;
};

enum record_result { RECORD_NO_MEMORY = -1, RECORD_OK, RECORD_BAD };

/* 0, or -1 when memory ran out. */
int record_open(struct record_reader *r, const struct record_rules *rules);
void record_close(struct record_reader *r);

enum record_result record_read(struct record_reader *r, struct span text, struct record *out);

/* The same without the short cuts for lines that are plainly written: what these are
 * held against. */
enum record_result record_read_slowly(struct record_reader *r, struct span text,
                                      struct record *out);

/* Did any record so far have the member of this place in rules->named? */
bool record_met(const struct record_reader *r, size_t at);

/* All members of a record, into an array of the caller's that grows. They hold until
 * the reader's next record. */
struct record_members {
    struct record_member *at;
    size_t n, room;
};
enum record_result record_list(struct record_reader *r, struct span text,
                               struct record_members *out, struct record *digests);
const struct record_member *record_find(const struct record_members *m, struct span name);

/* Are these the same by the rules? Either may be NULL: not there. 1, 0, or -1: no memory. */
int record_same(struct record_reader *r, const struct record_member *a,
                const struct record_member *b);

/* The order of two keys, part by part: what is not there, null, false, true, numbers by
 * value, strings by their bytes. NULL, or what has no order. */
const char *record_key_order(const struct record_part *a, const struct record_part *b, size_t parts,
                             int *order);

#endif
