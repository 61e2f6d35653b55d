/* store: one SQLite file, opened, created, written and replaced safely.
 *
 * store_begin and store_commit are the one place where writes happen: they
 * hold the gate (core/gate.h) around BEGIN IMMEDIATE ... COMMIT and refuse to
 * commit into a file that is no longer the one at the path. store_build and
 * store_publish are the one place where a file is put in place.
 *
 * A struct store owns its connection, its gate and its strings. */
#ifndef LIFEBOAT_STORE_H
#define LIFEBOAT_STORE_H

#include "base/err.h"
#include "core/db.h"
#include "core/gate.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { STORE_VERSION = 3, STORE_APPLICATION = 0x4c696642, STORE_ID_TEXT = 17 };

/* A store of an older version is brought up to this one when it is opened to be
 * written, in one transaction. A reader takes it as it is: the log is in all. */
enum store_mode {
    STORE_READ,   /* read only; the store must exist */
    STORE_WRITE,  /* the store must exist */
    STORE_CREATE, /* made if it does not exist */
};

struct store_settings {
    const char *device; /* this box's name; NULL: kept in, or made with, the store */
    int wait_s;         /* how long to wait for the gate */
    bool bulk;          /* many events are coming: a large page cache, */
    bool small;         /* or not so large a one: memory is short */
};

struct store {
    char *path;
    struct db db;
    struct gate gate;
    struct store_settings set;
    dev_t dev;
    ino_t ino;
    int64_t version;        /* of its schema */
    char id[STORE_ID_TEXT]; /* random, made with the file */
    char *device;
    char *aside; /* while built aside: the file's name until it is published */
    bool in_transaction;
    bool entities_indexed, indexed; /* of a store built aside */
};

/* 66: no such store. 65: not a lifeboat store. 78: a newer one than this
 * program knows. 73: cannot be created, or a -wal without its store. */
int store_open(struct store *st, const char *path, enum store_mode mode,
               const struct store_settings *set, struct err *e);
void store_close(struct store *st);

/* Has SQLite, short of memory or room, given up what was built aside? */
bool store_given_up(const struct store *st);

/* The many events are in: gives the large page cache back. */
void store_bulk_end(struct store *st);

int store_begin(struct store *st, struct err *e);
/* On failure nothing of the transaction is kept; 76 when the store was
 * replaced or removed meanwhile. Always leaves the gate. */
int store_commit(struct store *st, struct err *e);
void store_rollback(struct store *st);

/* The gate without a transaction, for what SQLite does outside of one: ANALYZE, VACUUM,
 * a checkpoint. 76 as above. Between them nothing but such a statement. */
int store_enter(struct store *st, struct err *e);
void store_leave(struct store *st);

/* For a reader that stays: a writer may have brought the store up to this version
 * since it was opened. Sets version. */
int store_look_again(struct store *st, struct err *e);

/* One unchanging view for several queries of a reader. */
int store_snapshot(struct store *st, struct err *e);
void store_snapshot_end(struct store *st);

/* Is the file at the path still the one that is open? */
bool store_in_place(const struct store *st);

/* Starts a store that does not exist yet beside its place, without journal
 * and indexes, the gate held until store_publish or store_close. Returns 1
 * if there is something at the path already: open it in the ordinary way. */
int store_build(struct store *st, const char *path, const struct store_settings *set,
                struct err *e);
/* Such a store has no index by entity yet: who has to look entities up in it
 * asks for that one first. Does nothing for any other store. */
int store_index_entities(struct store *st, struct err *e);
/* Makes the indexes: the events are in. */
int store_index(struct store *st, struct err *e);
/* Makes the indexes if need be, syncs, and puts the file in place: all or
 * nothing. */
int store_publish(struct store *st, struct err *e);

/* A value of the meta table, NULL if absent; the caller frees. */
int store_meta_get(struct store *st, const char *key, char **value, struct err *e);
int store_meta_set(struct store *st, const char *key, const char *value, struct err *e);

#endif
