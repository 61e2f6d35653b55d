/* jwt: bearer tokens (RFC 7519), signed with HMAC-SHA-256 and nothing else.
 *
 * Claims: user_id, role, exp; nbf and iat if they are there. Times are in seconds,
 * whole ones. The header's kid names the key.
 *
 * libjwt is loaded with dlopen when the first token with a true signature is to be
 * read, or one is to be made. Linked it would cost each start of the CGI the loading
 * of libcrypto.so, most of which serve no token at all, and would bring a second
 * libcrypto beside the static one the programs have; loaded, its symbols stay its
 * own. The signature is compared before it sees the token: libjwt 1.10 parses what
 * it has not verified, and compares with strcmp. */
#ifndef LIFEBOAT_HTTP_JWT_H
#define LIFEBOAT_HTTP_JWT_H

#include "http/keys.h"
#include "http/principal.h"

enum { JWT_MAX = 4096, JWT_WHY = 128 };

/* Is libjwt there? -1, EX_UNAVAILABLE: it is not. For who is about to do something
 * that cannot be undone before he makes a token of it. */
int jwt_ready(struct err *e);

/* 1: the token is good, and out says whose it is. 0: refused; why is a short text
 * fit for an answer or a log, and has nothing of the token in it. -1: trouble, EX_UNAVAILABLE
 * where libjwt is not to be had.
 *
 * now_ms is the wall clock. While it is older than this program (a box that came up
 * in 1970) exp is judged by the program's age, nbf and iat are not judged. */
int jwt_check(const struct keys *k, struct span token, int64_t now_ms, struct principal *out,
              char why[static JWT_WHY], struct err *e);

/* The claims of a token that was found good, as JSON, appended. */
int jwt_claims(struct span token, struct buf *out, struct err *e);

/* Appends a token for who, signed with the current key. It is good until
 * who->expires_at, in whole seconds. */
int jwt_issue(const struct keys *k, const struct principal *who, int64_t now_ms, struct buf *out,
              struct err *e);

#endif
