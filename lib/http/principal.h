/* principal: who asks, and what he is. */
#ifndef LIFEBOAT_PRINCIPAL_H
#define LIFEBOAT_PRINCIPAL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum role { ROLE_USER, ROLE_DEVICE, ROLE_DR, ROLE_ADMIN, ROLES };

/* A user id is 1 to 64 of A-Z a-z 0-9 _ -: it may stand in a path, a header, a log. */
enum { USER_ID_MAX = 64 };

struct principal {
    char user_id[USER_ID_MAX + 1];
    enum role role;
    int64_t expires_at; /* Unix ms; 0: never */
};

const char *role_name(enum role role);

/* The role of that name, spelled exactly so; -1: there is none. */
int role_parse(struct span name, enum role *role);

bool user_id_ok(struct span id);

#endif
