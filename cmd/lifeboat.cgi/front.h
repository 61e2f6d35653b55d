/* front: what the handlers of lifeboat.cgi share: one request and its answer.
 *
 * A handler fills in x->answer and returns 0, or returns -1 with e, whose status
 * front_fail turns into a problem. Spans and texts of the request live as long as
 * the process, which answers just one. */
#ifndef LIFEBOAT_CGI_FRONT_H
#define LIFEBOAT_CGI_FRONT_H

#include "cli/httpconf.h"
#include "core/store.h"
#include "http/answer.h"
#include "http/body.h"
#include "http/keys.h"
#include "http/principal.h"
#include "http/replay.h"
#include "http/request.h"
#include "http/route.h"

struct exchange;
typedef int handler(struct exchange *x, struct err *e);

/* Who may, by role; the rest of it is the handler's: what is his own. */
enum {
    BY_USER = 1 << ROLE_USER,
    BY_DEVICE = 1 << ROLE_DEVICE,
    BY_DR = 1 << ROLE_DR,
    BY_ADMIN = 1 << ROLE_ADMIN,
    BY_ANYBODY = 1 << ROLES /* without a token */
};

enum {
    LICENSED = 1, /* an ordinary write, which a licence may close */
    STREAMS = 2   /* the handler writes the answer itself */
};

struct route {
    unsigned method;
    const char *pattern;
    unsigned who;
    unsigned flags;
    const char *params; /* that it takes, with blanks between them */
    int64_t body_max;   /* bytes; 0: it takes none */
    handler *run;
};

enum { BODY_SMALL = 1 << 20, BODY_LARGE = 16 << 20 };
#define BODY_ANY INT64_MAX /* as much as the server lets in */

struct exchange {
    struct request rq;
    const struct route *route; /* of an empty pattern: no such resource */
    struct route_match at;
    struct keys keys;
    struct principal who;
    struct httpconf conf;
    struct body body;
    struct answer answer;
    struct replay replay;
    struct store store;
    char correlation[REQUEST_ID_MAX + 1];
    bool has_keys; /* there is a key file */
    bool is_known; /* who is set */
    bool has_conf; /* front_conf has read conf */
    bool keyed;    /* under an idempotency key */
    bool store_open;
};

/* Reads what the front is told in its files, if that has not been done. */
int front_conf(struct exchange *x, struct err *e);

/* Opens the store if it is not open yet; for writing it is made if need be. */
int front_store(struct exchange *x, enum store_mode mode, struct err *e);

/* Each returns 0 when the answer is ready, -1 when there is no memory for it. */
int front_problem(struct exchange *x, int status, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* With a type "/problems/..." of its own, and further members (",..." or ""). */
int front_problem_of(struct exchange *x, int status, const char *type, const char *members,
                     struct err *e, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
int front_fail(struct exchange *x, const struct err *why);

/* The body of the answer has been put together; failed: there was no memory for it. */
int front_done(struct exchange *x, int status, int failed, struct err *e);

/* A parameter as a number; where it is not given *out stays. false: it is none, and
 * the handler ends with front_refused. */
bool front_number(struct exchange *x, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *e);
/* 0 where a problem is the answer already, -1 where even that failed. */
int front_refused(const struct exchange *x);

/* May who see and change what is this user's? */
bool front_is_own(const struct exchange *x, const char *user_id);
bool front_is(const struct exchange *x, enum role role);

/* The handlers, by the file they are in. */
handler health_brief, health_full, health_stats;            /* health.c */
handler metrics_show;                                       /* metrics.c */
handler dr_export, dr_export_entity, dr_restore, dr_status; /* dr.c */
handler dr_pair;                                            /* pair.c */
handler events_list, events_add, events_stream;             /* events.c */
handler scans_add;                                          /* scans.c */
handler settings_put, settings_get_one;                     /* cloud.c */
handler history_add, history_list;
handler commands_add, commands_rate, commands_list, commands_get; /* commands.c */
handler trash_list, node_restore, node_purge;                     /* trash.c */

#endif
