/* event: one record of the log, its JSON line and its digest.
 *
 * event_parse reads a JSON line strictly (text/json.h) into a struct event
 * whose spans point into the line or into the arena; both must outlive it.
 * A span whose p is NULL is an absent member. Nothing is filled in here but
 * what follows from the event alone (event_settle); what happens "here and
 * now" is filled in by store/events.
 *
 * Member order, digest and field rules are version 1 of lifeboat-event(5). */
#ifndef LIFEBOAT_EVENT_H
#define LIFEBOAT_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "text/json.h"

#include <stdbool.h>
#include <stdint.h>

enum { EVENT_ID_MAX = 128, EVENT_TEXT_MAX = 1024 };

/* The envelope's text members, in canonical order. */
enum event_text {
    EVENT_ID,
    EVENT_SITE,
    EVENT_ENTITY_TYPE,
    EVENT_ENTITY_ID,
    EVENT_ACTOR_ID,
    EVENT_ACTOR_NAME,
    EVENT_ACTOR_ROLE,
    EVENT_DEVICE,
    EVENT_HLC,
    EVENT_TYPE,
    EVENT_SCHEMA_VERSION,
    EVENT_CORRELATION,
    EVENT_CAUSATION,
    EVENT_TEXTS
};

/* An integer member that may be absent. */
struct event_int {
    bool set;
    int64_t v;
};

struct event {
    struct span text[EVENT_TEXTS];
    struct event_int entity_version;
    struct event_int ts_device; /* Unix ms */
    struct span payload;        /* JSON without insignificant white space */
    struct span extra;          /* unknown members: a JSON object sorted by name */

    /* Not part of the event's content. */
    struct event_int ts_server; /* Unix ms */
    bool synced, acknowledged;
    struct span created_at;
    int64_t seq;

    struct digest payload_digest;
    struct digest extra_sum; /* of the unknown members, and how many */
    uint64_t extra_count;
    struct digest digest; /* set by event_digest */
};

/* Why a line is not an event: reason and where, bytes from its start. */
struct event_fault {
    size_t offset;
    char why[200];
    bool no_memory; /* then it is not the line's fault */
};

/* Scratch for the parser, reusable from line to line; zeros at first. */
struct event_parser {
    struct json json;
    struct event_unknown *unknown;
    size_t unknown_count, unknown_cap;
};

void event_parser_free(struct event_parser *p);

/* Returns 0, or -1 with the fault. */
int event_parse(struct event_parser *p, struct span line, struct arena *a, struct event *ev,
                struct event_fault *fault);

/* Sets payload from JSON text given on its own. */
int event_set_payload(struct event_parser *p, struct span text, struct arena *a, struct event *ev,
                      struct event_fault *fault);

/* Are the members there that every event must have, and well formed?
 * The id is not asked for: an event that happens here gets one. */
int event_check(const struct event *ev, struct event_fault *fault);

/* Fills in what is absent and the same on every store: hlc from ts_device,
 * site_id, schema_version. For events with ts_device; hlc_room keeps the
 * clock text and must live as long as the event. */
void event_settle(struct event *ev, struct span site, char hlc_room[static 18]);

bool event_id_ok(struct span id);

/* Computes ev->digest from the members. */
void event_digest(struct event *ev);

/* payload_digest, extra_sum and digest again, from the text of the members,
 * as when read from the store. -1: the texts are not what the store wrote. */
int event_redigest(struct event_parser *p, struct event *ev);

/* Has the stored event every member of this newcomer, with equal value? */
bool event_covered(struct event_parser *p, const struct event *newcomer,
                   const struct event *stored);

/* Appends the canonical line, LF included; full adds the store's own members. */
int event_write(const struct event *ev, bool full, struct buf *out);
/* The same, but what stands before the payload and what stands behind it. */
int event_write_around(const struct event *ev, bool full, struct buf *before, struct buf *behind);

const char *event_text_name(enum event_text t);

#endif
