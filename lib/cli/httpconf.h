/* httpconf: what the HTTP front is told in http.json and licence.json. lifeboat-http(7)
 *
 *     { "automatic_keys": ["/api/v1/scans"] }
 *     { "state": "TRIAL", "expires_at": "2027-01-31T00:00:00Z", "closed": ["EXPIRED"] } */
#ifndef LIFEBOAT_HTTPCONF_H
#define LIFEBOAT_HTTPCONF_H

#include "cli/config.h"

#include <stdbool.h>
#include <stdint.h>

/* EXPIRED is what any of the others becomes when its time is over. */
enum licence_state { LICENCE_FULL, LICENCE_TRIAL, LICENCE_BASIC, LICENCE_EXPIRED, LICENCES };

struct httpconf {
    enum licence_state state; /* as the file says it, without a file FULL */
    int64_t expires_at;       /* Unix ms; -1: never */
    unsigned closed;          /* 1 << state: in which of them ordinary writes are closed */
    char **automatic;         /* paths whose writes have a key of their own; ended by NULL */
    int automatic_count;
    struct config http, licence;
};

/* 78: a file says something wrong. */
int httpconf_open(struct httpconf *c, struct err *e);
void httpconf_close(struct httpconf *c);

/* A clock that stands before this program was made has no say in it. */
enum licence_state licence_now(const struct httpconf *c, int64_t now_ms);
const char *licence_name(enum licence_state s);

/* Is this path among those with automatic keys? */
bool httpconf_automatic(const struct httpconf *c, const char *path);

#endif
