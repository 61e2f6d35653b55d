/* post: requests sent one after the other by one curl process.
 *
 * It stops at the first that is not taken; those behind it were not tried. The
 * connection is used again. Neither bodies nor what authorises the requests are
 * on a command line or in a file with a name: curl reads all of it from
 * descriptors. Of an answer its status counts and, when it is a refusal, the
 * first line of its body; of one that has to be JSON all of it.
 *
 *     post_open(&p, &target, lock.fd);
 *     post_add(&p, url, key, body, &e); ...
 *     post_run(&p, &e);
 *     p.answers[0..p.count)
 *     post_clear(&p);
 *
 * curl is killed when this process ends, however that happens. */
#ifndef LIFEBOAT_POST_H
#define LIFEBOAT_POST_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POST_WHY = 400,
    POST_SHOWN = 8192,       /* of a body: more than is quoted, so that a secret in it shows */
    POST_ANSWER_MAX = 65536, /* of an answer that has to be JSON */
    POST_MARK = 33,
    POST_MOST = 500,
    POST_RETRY_AFTER_MAX_MS = 86400000
};

/* What all requests have in common. NULL: none. The caller's. */
struct post_target {
    const char *method;
    char *const *headers; /* "Name: value", ended by NULL */
    const char *token;    /* for Authorization: Bearer */
    const char *ca_file, *client_cert, *client_key;
    int64_t timeout_ms, connect_timeout_ms;
    bool want_json; /* 2xx counts only with JSON behind it, which is handed out */
};

enum post_verdict {
    POST_UNTRIED,  /* curl had not come to it, or was ended meanwhile */
    POST_SENT,     /* 2xx */
    POST_ENDPOINT, /* not reached, or it cannot at the moment: try later */
    POST_PAUSE,    /* as things are set up it will not: somebody has to look */
    POST_REFUSED,  /* this request is not wanted */
};

struct post_answer {
    enum post_verdict verdict;
    int http;               /* status, 0: none */
    int64_t ms;             /* how long the transfer took, however it ended */
    int64_t retry_after_ms; /* -1: not said */
    struct buf body;        /* JSON that was wanted, compact; empty: none, or it tells a secret */
    bool ended;             /* body was read to its end */
    char why[POST_WHY];     /* UTF-8, one line; never what authorises */
};

struct post {
    const struct post_target *target;
    int keep;                    /* a descriptor curl keeps until its end, or -1 */
    char mark[POST_MARK];        /* random: begins the lines that are about transfers */
    int *bodies;                 /* descriptors */
    struct post_answer *answers; /* of the last run */
    size_t count, cap;
    uint64_t bytes; /* of bodies */
    struct buf config;
    struct buf lines, shown; /* being read: of results, of bodies */
    size_t bodies_seen, body_bytes;
    char body[POST_SHOWN]; /* the beginning of the last one */
    int fault;             /* curl's exit code for what is wrong at this end */
    char fault_why[POST_WHY];
};

void post_open(struct post *p, const struct post_target *t, int keep);
void post_close(struct post *p);

/* One more request; url of printable ASCII. header: one of its own, "Name: value", or
 * NULL. All four are copied. */
int post_add(struct post *p, const char *url, struct span key, const char *header, struct span body,
             struct err *e);

/* Sends them. -1: curl cannot be run, is killed, or says that what it was told
 * to do is wrong (78); what was answered before that is in answers all the
 * same. A signal that asks to stop ends it with 0. */
int post_run(struct post *p, struct err *e);

/* Forgets the requests. */
void post_clear(struct post *p);

/* What to make of a transfer. -1: wrong at this end. Pure.
 * connect: the status a proxy gave to CONNECT, 0: none. */
int post_judge(int curl, int http, int connect);

/* ms of a Retry-After header, seconds or a date, 0 to POST_RETRY_AFTER_MAX_MS; -1
 * when there is none. A date is taken against the answer's own date, and where it
 * has none against now_ms: clocks here are often wrong. Pure. */
int64_t post_retry_after_ms(struct span value, struct span date, int64_t now_ms);

#endif
