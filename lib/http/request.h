/* request: what an HTTP client asks, out of the environment of a CGI program.
 *
 * Everything a client can write is checked here, before anything looks at it:
 * the path is taken apart before it is decoded, so that a %2F is never a slash
 * between segments; escapes must be whole, text must be UTF-8 without control
 * characters, a name may stand once. What is not so is refused with a status
 * (400, 401, 404, 414, 431), never mended. Pure. Source: RFC 3875, RFC 9110,
 * RFC 3986. */
#ifndef LIFEBOAT_REQUEST_H
#define LIFEBOAT_REQUEST_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REQUEST_TARGET_MAX = 8192, /* bytes of path and query as sent */
    REQUEST_SEGMENTS = 8,
    REQUEST_PARAMS = 16,
    REQUEST_HEADER_MAX = 8192, /* bytes of one header's value */
    REQUEST_ID_MAX = 128,      /* of a correlation id */
    REQUEST_KEY_MAX = 255      /* of an idempotency key */
};

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_PATCH = 16,
    HTTP_DELETE = 32,
    HTTP_OTHER = 64
};

/* Of Content-Type; what is not said counts as JSON. */
enum body_type { BODY_JSON, BODY_JSONL, BODY_OTHER };

struct param {
    struct span name, value; /* value is terminated */
};

struct request {
    enum http_method method;
    struct span segment[REQUEST_SEGMENTS]; /* decoded, terminated; p NULL behind the last */
    bool slash[REQUEST_SEGMENTS];          /* there is a %2F in it */
    int segments;
    struct param param[REQUEST_PARAMS];
    int params;
    int64_t content_length; /* -1: no body */
    enum body_type body;
    bool wants_lines;                     /* Accept prefers JSON lines */
    const char *token;                    /* of Authorization: Bearer; NULL: none */
    const char *key;                      /* of Idempotency-Key; NULL: none */
    char correlation[REQUEST_ID_MAX + 1]; /* as the client sent it; "" if it did not */
    const char *last_event_id;            /* NULL: none */
    int64_t primary_ms;                   /* of X-Primary-Response-Ms; -1: none */
    const char *remote;                   /* address, "" if unknown */
    bool loopback; /* from this machine, for this machine, through nobody, by no foreign page */
    char room[REQUEST_TARGET_MAX + REQUEST_SEGMENTS + REQUEST_PARAMS + 2];
};

/* The value of a variable, NULL if it is not set; it outlives the request. */
typedef const char *request_env(void *ctx, const char *name);

/* 0, or the status to refuse it with, and why. */
int request_read(struct request *r, request_env *get, void *ctx, const char **why);

/* NULL where it was not given. */
const char *request_param(const struct request *r, const char *name);

const char *http_method_name(enum http_method m);

#endif
