/* pairing: a tablet proves by six digits that who holds it stands before the box.
 *
 * FILE-pairing beside the store (0600) has the one pairing there can be: the code's
 * salted HMAC, its deadline by the clock of this boot, how often it may still be
 * tried. It is over when the deadline is reached, when it was tried in vain
 * PAIRING_TRIES times, when a tablet has paired, when another one is opened, and
 * when the process that opened it has ended, however that came (it holds a lock); so
 * a reboot ends it too. A try is counted, and that is on disk, before it is answered;
 * all are counted one after another, by a lock.
 *
 * store is the path of the store, which need not exist. */
#ifndef LIFEBOAT_PAIRING_H
#define LIFEBOAT_PAIRING_H

#include "core/lockfile.h"
#include "http/keys.h"
#include "http/principal.h"

#include "base/buf.h"

enum { PAIRING_TRIES = 5, PAIRING_DIGITS = 6, PAIRING_NAME_MAX = 64, PAIRING_ID = 9 };

/* PAIRING_REPLACED: another one was opened meanwhile. */
enum pairing_state { PAIRING_OPEN, PAIRING_PAIRED, PAIRING_OVER, PAIRING_REPLACED };

/* --- on the console ----------------------------------------------------- */

/* All zeros is none, and pairing_end does nothing then. */
struct pairing {
    struct lockfile lock;
    char id[PAIRING_ID];
    char code[PAIRING_DIGITS + 1];
};

/* Opens one, in the place of any other, for ttl_ms; the token that comes of it is to be good
 * for token_ttl_ms. code is what to show. */
int pairing_open(struct pairing *p, const char *store, const struct keys *k, int64_t ttl_ms,
                 int64_t token_ttl_ms, struct err *e);

struct pairing_view {
    enum pairing_state state;
    int tries_left;
    int64_t left_ms;
    char device_name[PAIRING_NAME_MAX + 1]; /* of who paired; may be empty */
    char user_id[USER_ID_MAX + 1];
};

/* How it stands. v stays as it is while others have the file in use. */
int pairing_look(struct pairing *p, struct pairing_view *v, struct err *e);

/* Revokes the code unless it is over, and forgets it. */
void pairing_end(struct pairing *p);

/* --- for the tablet ----------------------------------------------------- */

struct pairing_answer {
    enum { PAIRING_YES, PAIRING_WRONG, PAIRING_GONE } result;
    int tries_left;                /* PAIRING_WRONG */
    char user_id[USER_ID_MAX + 1]; /* PAIRING_YES: whom to make a token for, role dr, */
    int64_t token_ttl_ms;          /* and for how long */
};

/* Tries a code: six digits, spaces and hyphens between them do not count. What is
 * no six digits is wrong, and not counted. name is what the tablet calls itself, for
 * the console. PAIRING_GONE: there is none, or it is over.
 *
 * PAIRING_YES has used the code up: see that a token can be made (jwt_ready) before.
 * EX_TEMPFAIL: too many try at once. */
int pairing_try(const char *store, const struct keys *k, struct span code, struct span name,
                struct pairing_answer *out, struct err *e);

#endif
