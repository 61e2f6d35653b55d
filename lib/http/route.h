/* route: which resource an address means.
 *
 * A pattern is a path with names in braces, "/api/nodes/{id}/restore"; each
 * takes one segment. A name with a star, "{id*}", takes one that has an escaped
 * slash in it as well. Pure. */
#ifndef LIFEBOAT_ROUTE_H
#define LIFEBOAT_ROUTE_H

#include "http/request.h"

enum { ROUTE_VALUES = 3 };

/* What the segments named in the pattern are, in their order; terminated. */
struct route_match {
    const char *value[ROUTE_VALUES];
};

bool route_matches(const char *pattern, const struct request *r, struct route_match *m);

/* Is there no parameter that names, "limit after", does not list? If there is,
 * *unknown is it. */
bool route_params_ok(const char *names, const struct request *r, const char **unknown);

#endif
