/* destination: where an outbox sends to. For syncq that is what destinations.d/NAME.json
 * of the configuration folder says, lifeboat-destination(5); a program that knows by
 * itself makes one. */
#ifndef LIFEBOAT_DESTINATION_H
#define LIFEBOAT_DESTINATION_H

#include "cli/config.h"

#include <stdbool.h>
#include <stdint.h>

enum destination_body {
    BODY_PAYLOAD, /* the payload as it is */
    BODY_ITEM,    /* one payload within a template */
    BODY_ITEMS,   /* an array of all payloads of the batch within a template */
};

/* Strings live until destination_close. NULL: not given. */
struct destination {
    const char *name;
    char *url, *method, *token_file, *ca_file, *client_cert, *client_key;
    char **headers;    /* "Name: value", ended by NULL */
    char **on_success; /* the words of a command, ended by NULL */
    int64_t batch, max_retries, max_pending, timeout_ms, connect_timeout_ms;
    enum destination_body body;
    struct span before, after; /* of the template */
    bool by_lane;              /* {lane} or {+lane} is in the url */
    bool lane_is_path;         /* {+lane} */
    bool want_json;            /* an answer has to be JSON, and is kept */
    struct config config;
    struct buf token;
};

/* One without a file, each request the payload as it is. name and url are kept, as is
 * whatever the caller sets from there on; token, which destination_token fills, is not
 * his. */
void destination_make(struct destination *d, const char *name, char *url);

/* NULL, or what a URL has to be. */
const char *destination_url_wrong(const char *url);

/* 1: read; 0: there is no such file; 78: what it says is wrong. name is kept. */
int destination_open(struct destination *d, const char *name, struct err *e);
void destination_close(struct destination *d);

/* Is there a file of this name? */
bool destination_exists(const char *name);

/* The names of all destinations of the configuration folder, sorted and ended
 * by NULL; the array and each of them are the caller's. */
int destination_names(char ***names, struct err *e);

/* Reads the token file anew; *token is NULL where there is none. 78: it is
 * missing, others may read it, or it is no token. */
int destination_token(struct destination *d, const char **token, struct err *e);

/* Appends the URL for a lane, which is percent-encoded, for {+lane} but for its
 * slashes, and a NUL. */
int destination_url(const struct destination *d, struct span lane, struct buf *out);

/* NULL, or why nothing of this lane can be sent there. */
const char *destination_lane_wrong(const struct destination *d, struct span lane);

#endif
