/* keys: the secrets that tokens are signed with, and the file they are in.
 *
 * The file has a line for the current key and, for a while after a rotation, one
 * for the key before:
 *
 *     KID SECRET MADE_AT [RETIRES_AT]
 *
 * KID is 8 hex digits made from the secret, which is 64; times are Unix ms. The
 * file is a regular one that nobody but its owner may read (0600 or less), and
 * the owner is whoever runs this, root, or whoever the store belongs to. Anything
 * else is EX_NOPERM: a key that others may know is not used. It is replaced as a
 * whole: written aside, synced, renamed, its folder synced; who changes it holds a
 * lock on the folder (flock). One that root makes belongs to the store's owner.
 *
 * store is the path of the store; it need not exist, then its folder counts. */
#ifndef LIFEBOAT_KEYS_H
#define LIFEBOAT_KEYS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KEYS_DEFAULT_KEEP (INT64_C(30) * 86400000)

enum { KEY_BYTES = 32, KEY_ID = 9, KEYS_MAX = 2 };

struct key {
    uint8_t secret[KEY_BYTES];
    char kid[KEY_ID];
    int64_t made_at;
    int64_t retires_at; /* 0: it does not */
};

/* All zeros is ready: no keys. The current key is the first. */
struct keys {
    struct key key[KEYS_MAX];
    int count;
};

/* No core file and no debugger gets to see this process's memory from now on, nor a
 * core file that of its children. For programs that hold keys: call it first. */
void secrets_guard(void);

/* 1: loaded; 0: there is no such file; -1. */
int keys_load(struct keys *k, const char *path, const char *store, struct err *e);

/* What a secret is called. */
void keys_name(const uint8_t secret[static KEY_BYTES], char kid[static KEY_ID]);

/* Forgets the secrets. */
void keys_wipe(struct keys *k);

/* The key with that id, NULL if there is none; of "" the current one. */
const struct key *keys_find(const struct keys *k, const char *kid);

/* A wall clock older than this program is wrong; times are judged by the later of both. */
int64_t keys_now(int64_t now_ms);
bool key_is_retired(const struct key *key, int64_t now_ms);

/* A new key where there is no file: 1. 0: there is one, and k has it. */
int keys_make(struct keys *k, const char *path, const char *store, int64_t now_ms, struct err *e);

/* A new key; the one there was is good for keep_ms more. EX_NOINPUT: there is none. */
int keys_rotate(struct keys *k, const char *path, const char *store, int64_t now_ms,
                int64_t keep_ms, struct err *e);

/* This key becomes the current one: 1; 0: it is it already. Where another is
 * there, only with replace, and that one is good for keep_ms more; else EX_CANTCREAT. */
int keys_import(struct keys *k, const uint8_t secret[static KEY_BYTES], const char *path,
                const char *store, int64_t now_ms, bool replace, int64_t keep_ms, struct err *e);

#endif
