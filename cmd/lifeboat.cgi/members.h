/* members: the members of a JSON body that a handler knows; others are passed over. */
#ifndef LIFEBOAT_CGI_MEMBERS_H
#define LIFEBOAT_CGI_MEMBERS_H

#include "base/arena.h"
#include "lifeboat.cgi/front.h"
#include "text/json.h"

enum member_kind {
    MEMBER_TEXT,   /* a string, escapes resolved, 1 to 1024 bytes */
    MEMBER_NAME,   /* the same, or a number as it stands */
    MEMBER_JSON,   /* any value but null, without white space between its parts */
    MEMBER_OBJECT, /* likewise */
    MEMBER_ARRAY,
    MEMBER_NUMBER
};

struct member {
    const char *name;
    enum member_kind kind;
    bool required;
    struct span *out; /* p NULL where it is absent, or null */
};

/* Reads the body, an object, into whole (without white space between its parts).
 * false: what it says is wrong, and the handler ends with front_refused. Spans are
 * the arena's. */
bool members_read(struct exchange *x, const struct member *m, size_t n, struct arena *a,
                  struct span *whole, struct err *e);

/* The same of an object that has been read. why: what is wrong, with its place. */
bool members_of(struct span object, const struct member *m, size_t n, struct arena *a,
                char why[static 256]);

/* Calls take for each element of an array that has been read, until it returns other
 * than 0, which is returned. */
int members_each(struct span array, int (*take)(void *ctx, const struct json_value *v), void *ctx);

#endif
