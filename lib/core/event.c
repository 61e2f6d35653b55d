#include "core/event.h"

#include "base/grow.h"
#include "text/hlc.h"
#include "text/rfc3339.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Members by their place in struct event. The texts come first, so that an
 * enum event_text is an enum member too. */
enum member {
    M_ENTITY_VERSION = EVENT_TEXTS,
    M_TS_DEVICE,
    M_PAYLOAD,
    M_TS_SERVER,
    M_SYNCED,
    M_ACKNOWLEDGED,
    M_CREATED_AT,
    M_SEQ,
    M_KNOWN, /* below: input aliases, known only when they are of use */
    M_PAYLOAD_JSON = M_KNOWN,
    M_TARGET_TYPE,
    M_TARGET_ID,
    M_TIMESTAMP,
    M_VERSION,
    M_COUNT
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct span names[M_COUNT] = {
    [EVENT_ID] = NAME("event_id"),
    [EVENT_SITE] = NAME("site_id"),
    [EVENT_ENTITY_TYPE] = NAME("entity_type"),
    [EVENT_ENTITY_ID] = NAME("entity_id"),
    [EVENT_ACTOR_ID] = NAME("actor_id"),
    [EVENT_ACTOR_NAME] = NAME("actor_name"),
    [EVENT_ACTOR_ROLE] = NAME("actor_role"),
    [EVENT_DEVICE] = NAME("device_id"),
    [EVENT_HLC] = NAME("hlc"),
    [EVENT_TYPE] = NAME("event_type"),
    [EVENT_SCHEMA_VERSION] = NAME("schema_version"),
    [EVENT_CORRELATION] = NAME("correlation_id"),
    [EVENT_CAUSATION] = NAME("causation_id"),
    [M_ENTITY_VERSION] = NAME("entity_version"),
    [M_TS_DEVICE] = NAME("ts_device"),
    [M_PAYLOAD] = NAME("payload"),
    [M_TS_SERVER] = NAME("ts_server"),
    [M_SYNCED] = NAME("synced"),
    [M_ACKNOWLEDGED] = NAME("acknowledged"),
    [M_CREATED_AT] = NAME("created_at"),
    [M_SEQ] = NAME("seq"),
    [M_PAYLOAD_JSON] = NAME("payload_json"),
    [M_TARGET_TYPE] = NAME("target_type"),
    [M_TARGET_ID] = NAME("target_id"),
    [M_TIMESTAMP] = NAME("timestamp"),
    [M_VERSION] = NAME("version"),
};

struct event_unknown {
    struct span name; /* escapes resolved */
    struct json_value value;
};

/* What one line has shown so far. */
struct reading {
    struct event_parser *p;
    struct arena *arena;
    struct event *ev;
    struct event_fault *fault;
    uint32_t seen;
    bool payload_null;
    struct json_value alias[M_COUNT - M_KNOWN];
};

const char *event_text_name(enum event_text t)
{
    return names[t].p;
}

void event_parser_free(struct event_parser *p)
{
    json_end(&p->json);
    free(p->unknown);
    *p = (struct event_parser){0};
}

static int fault_at(struct event_fault *f, size_t offset, const char *name, const char *why)
{
    f->offset = offset;
    f->no_memory = why == json_no_memory;
    snprintf(f->why, sizeof f->why, "%s%s%s", name, *name ? ": " : "", why);
    return -1;
}

static int json_fault(struct event_fault *f, const struct json *j, size_t base)
{
    return fault_at(f, base + json_offset(j), "", j->why);
}

static int bad_member(struct reading *r, enum member m, const char *why)
{
    return fault_at(r->fault, 0, names[m].p, why);
}

static int out_of_memory(struct reading *r)
{
    return fault_at(r->fault, 0, "", json_no_memory);
}

/* The member a name means, M_COUNT for an unknown one. */
static enum member member_of(struct span name)
{
    for (int m = 0; m < M_COUNT; m++)
        if (names[m].n == name.n && names[m].p[0] == name.p[0] &&
            !memcmp(names[m].p, name.p, name.n))
            return (enum member)m;
    return M_COUNT;
}

bool event_id_ok(struct span id)
{
    if (id.n < 1 || id.n > EVENT_ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        unsigned char c = (unsigned char)id.p[i], low = c | 32;

        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= ':') && c != '.' && c != '_' &&
            c != '-')
            return false;
    }
    return true;
}

/* --- one member --------------------------------------------------------- */

static int set_text(struct reading *r, enum event_text t, const struct json_value *v)
{
    struct span s;

    if (v->kind != JSON_STRING) {
        snprintf(r->fault->why, sizeof r->fault->why, "%s: wants a string, not %s", names[t].p,
                 json_kind_name(v->kind));
        return -1;
    }
    s = json_text_in(v, r->arena);
    if (!s.p)
        return out_of_memory(r);
    if (s.n > EVENT_TEXT_MAX)
        return bad_member(r, (enum member)t, "longer than 1024 bytes");
    if (memchr(s.p, '\0', s.n))
        return bad_member(r, (enum member)t, "has a NUL in it");
    r->ev->text[t] = s;
    return 0;
}

static int set_int(struct reading *r, enum member m, const struct json_value *v)
{
    struct event_int *at = m == M_ENTITY_VERSION ? &r->ev->entity_version
                           : m == M_TS_DEVICE    ? &r->ev->ts_device
                                                 : &r->ev->ts_server;

    if (json_int(v, &at->v))
        return bad_member(r, m, "wants an integer");
    at->set = true;
    if (m != M_ENTITY_VERSION && (at->v < 0 || at->v >= HLC_MS_END))
        return bad_member(r, m, "not Unix milliseconds between 1970 and the year 10889");
    return 0;
}

static int set_flag(struct reading *r, enum member m, const struct json_value *v)
{
    bool *at = m == M_SYNCED ? &r->ev->synced : &r->ev->acknowledged;
    int64_t n = -1;

    if (v->kind == JSON_TRUE || v->kind == JSON_FALSE)
        n = v->kind == JSON_TRUE;
    else if (json_int(v, &n))
        n = -1;
    if (n != 0 && n != 1)
        return bad_member(r, m, "wants 0 or 1");
    *at = n == 1;
    return 0;
}

static int set_payload(struct reading *r, const struct json_value *v)
{
    r->ev->payload = json_compact_in(v, r->arena);
    r->ev->payload_digest = v->digest;
    return r->ev->payload.p ? 0 : out_of_memory(r);
}

static int set_member(struct reading *r, enum member m, const struct json_value *v)
{
    if (m < (enum member)EVENT_TEXTS)
        return set_text(r, (enum event_text)m, v);
    switch (m) {
    case M_ENTITY_VERSION:
    case M_TS_DEVICE:
    case M_TS_SERVER:
        return set_int(r, m, v);
    case M_SYNCED:
    case M_ACKNOWLEDGED:
        return set_flag(r, m, v);
    case M_PAYLOAD:
        return set_payload(r, v);
    default: /* seq and created_at are every store's own */
        return 0;
    }
}

/* --- unknown members ---------------------------------------------------- */

static int add_unknown(struct reading *r, struct span name, const struct json_value *v)
{
    struct event_parser *p = r->p;
    struct event_unknown *u;

    if (name.n >= 9 && !memcmp(name.p, "lifeboat_", 9))
        return fault_at(r->fault, 0, "", "member names beginning lifeboat_ are reserved");
    u = grow(p->unknown, p->unknown_count, &p->unknown_cap, sizeof *u);
    if (!u)
        return out_of_memory(r);
    p->unknown = u;
    p->unknown[p->unknown_count++] = (struct event_unknown){name, *v};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return span_cmp(((const struct event_unknown *)a)->name,
                    ((const struct event_unknown *)b)->name);
}

/* Writes the unknown members as an object sorted by name, and digests them. */
static int gather_unknown(struct reading *r)
{
    struct event_parser *p = r->p;
    struct buf out = {0};
    size_t n = p->unknown_count;

    if (!n)
        return 0;
    qsort(p->unknown, n, sizeof *p->unknown, by_name);
    for (size_t i = 0; i < n; i++) {
        const struct event_unknown *u = &p->unknown[i];

        if (i && span_eq(u[-1].name, u->name)) {
            buf_free(&out);
            return fault_at(r->fault, (size_t)(u->value.raw.p - p->json.start), "",
                            "a member that is there twice");
        }
        if (buf_addc(&out, i ? ',' : '{') || json_quote(u->name, &out) || buf_addc(&out, ':') ||
            json_compact(u->value.raw, &out)) {
            buf_free(&out);
            return out_of_memory(r);
        }
        json_digest_member(&r->ev->extra_sum, json_digest_string(u->name), u->value.digest);
    }
    r->ev->extra_count = n;
    if (!buf_addc(&out, '}'))
        r->ev->extra = arena_span(r->arena, (struct span){out.data, out.len});
    buf_free(&out);
    return r->ev->extra.p ? 0 : out_of_memory(r);
}

/* --- aliases ------------------------------------------------------------ */

/* payload_json: an object, or a string that holds JSON. 1: of no use. */
static int payload_from(struct reading *r, const struct json_value *v)
{
    struct json inner = {0};
    struct json_value payload;
    struct span text;
    int rc;

    if (v->kind == JSON_OBJECT)
        return set_payload(r, v);
    if (v->kind != JSON_STRING)
        return 1;
    text = json_text_in(v, r->arena);
    if (!text.p)
        return out_of_memory(r);
    rc = json_whole(&inner, text, &payload) ? 1 : set_payload(r, &payload);
    json_end(&inner);
    return rc;
}

/* timestamp: RFC 3339, or Unix ms. 1: of no use. */
static int ts_device_from(struct reading *r, const struct json_value *v)
{
    int64_t ms;

    if (v->kind == JSON_STRING) {
        struct span s = json_text_in(v, r->arena);

        if (!s.p)
            return out_of_memory(r);
        if (rfc3339_parse(s, &ms))
            return 1;
    } else if (json_int(v, &ms)) {
        return 1;
    }
    if (ms < 0 || ms >= HLC_MS_END)
        return 1;
    r->ev->ts_device = (struct event_int){true, ms};
    return 0;
}

static int text_from(struct reading *r, enum event_text t, const struct json_value *v)
{
    return v->kind == JSON_STRING ? set_text(r, t, v) : 1;
}

static int version_from(struct reading *r, const struct json_value *v)
{
    struct event_int *at = &r->ev->entity_version;

    at->set = !json_int(v, &at->v);
    return at->set ? 0 : 1;
}

static int use_alias(struct reading *r, enum member alias, const struct json_value *v)
{
    const struct event *ev = r->ev;

    switch (alias) {
    case M_PAYLOAD_JSON:
        return ev->payload.p ? 1 : payload_from(r, v);
    case M_TARGET_TYPE:
        return ev->text[EVENT_ENTITY_TYPE].p ? 1 : text_from(r, EVENT_ENTITY_TYPE, v);
    case M_TARGET_ID:
        return ev->text[EVENT_ENTITY_ID].p ? 1 : text_from(r, EVENT_ENTITY_ID, v);
    case M_TIMESTAMP:
        return ev->ts_device.set ? 1 : ts_device_from(r, v);
    default:
        return ev->entity_version.set ? 1 : version_from(r, v);
    }
}

/* Aliases fill what their canonical member left absent; those of no use are
 * unknown members like any other. */
static int resolve_aliases(struct reading *r)
{
    for (int m = M_KNOWN; m < M_COUNT; m++) {
        const struct json_value *v = &r->alias[m - M_KNOWN];
        int rc;

        if (!(r->seen & 1u << m))
            continue;
        rc = use_alias(r, (enum member)m, v);
        if (rc < 0 || (rc == 1 && add_unknown(r, names[m], v)))
            return -1;
    }
    return 0;
}

/* --- the line ----------------------------------------------------------- */

static int take_member(struct reading *r, const struct json_value *key, const struct json_value *v)
{
    struct span name = json_text_in(key, r->arena);
    enum member m;

    if (!name.p)
        return out_of_memory(r);
    m = name.n ? member_of(name) : M_COUNT;
    if (m == M_COUNT)
        return add_unknown(r, name, v);
    if (r->seen & 1u << m)
        return bad_member(r, m, "is there twice");
    r->seen |= 1u << m;
    if (m >= M_KNOWN) {
        r->alias[m - M_KNOWN] = *v;
        return 0;
    }
    if (v->kind == JSON_NULL) {
        r->payload_null |= m == M_PAYLOAD;
        return 0;
    }
    return set_member(r, m, v);
}

static int read_members(struct reading *r)
{
    struct json *j = &r->p->json;
    struct json_value key, v;
    bool first = true;
    int rc;

    if (json_open(j))
        return json_fault(r->fault, j, 0);
    while ((rc = json_member(j, &first, &key, &v)) == 1) {
        if (take_member(r, &key, &v)) {
            r->fault->offset = (size_t)(key.raw.p - j->start);
            return -1;
        }
    }
    return rc || json_finish(j) ? json_fault(r->fault, j, 0) : 0;
}

int event_parse(struct event_parser *p, struct span line, struct arena *a, struct event *ev,
                struct event_fault *fault)
{
    static const struct json_value json_null = {.kind = JSON_NULL, .raw = {"null", 4}};
    struct reading r = {.p = p, .arena = a, .ev = ev, .fault = fault};

    *ev = (struct event){0};
    *fault = (struct event_fault){0};
    p->unknown_count = 0;
    json_start(&p->json, line);
    if (read_members(&r) || resolve_aliases(&r) || gather_unknown(&r))
        return -1;
    if (r.payload_null && !ev->payload.p) {
        ev->payload = json_null.raw;
        ev->payload_digest = hash_bytes("null", 4);
    }
    return event_check(ev, fault);
}

int event_set_payload(struct event_parser *p, struct span text, struct arena *a, struct event *ev,
                      struct event_fault *fault)
{
    struct reading r = {.p = p, .arena = a, .ev = ev, .fault = fault};
    struct json_value v;

    if (json_whole(&p->json, text, &v))
        return json_fault(fault, &p->json, 0);
    return set_payload(&r, &v);
}

int event_check(const struct event *ev, struct event_fault *fault)
{
    static const enum event_text required[] = {EVENT_ENTITY_TYPE, EVENT_ENTITY_ID, EVENT_TYPE,
                                               EVENT_ACTOR_ID};
    const struct span *id = &ev->text[EVENT_ID], *clock = &ev->text[EVENT_HLC];
    struct hlc hlc;

    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (!ev->text[required[i]].p)
            return fault_at(fault, 0, names[required[i]].p, "missing");
        if (!ev->text[required[i]].n)
            return fault_at(fault, 0, names[required[i]].p, "empty");
    }
    if (!ev->payload.p)
        return fault_at(fault, 0, "payload", "missing");
    if (id->p && !event_id_ok(*id))
        return fault_at(fault, 0, "event_id", "wants 1 to 128 of A-Z a-z 0-9 . _ : -");
    if (clock->p && hlc_parse(*clock, &hlc))
        return fault_at(fault, 0, "hlc", "wants 12 lowercase hex digits, a dot and 4 more");
    if (clock->p && !ev->ts_device.set)
        return fault_at(fault, 0, "ts_device", "missing, though there is an hlc");
    if (ev->ts_device.set && !id->p)
        return fault_at(fault, 0, "event_id",
                        "missing, though ts_device says that the event happened elsewhere");
    return 0;
}

void event_settle(struct event *ev, struct span site, char hlc_room[static 18])
{
    if (!ev->text[EVENT_HLC].p) {
        hlc_format((struct hlc){ev->ts_device.v, 0}, hlc_room);
        ev->text[EVENT_HLC] = (struct span){hlc_room, 17};
    }
    if (!ev->text[EVENT_SITE].p)
        ev->text[EVENT_SITE] = site;
    if (!ev->text[EVENT_SCHEMA_VERSION].p)
        ev->text[EVENT_SCHEMA_VERSION] = SPAN("1.0");
}

/* --- digest ------------------------------------------------------------- */

static struct digest name_digest(enum member m)
{
    static struct digest cache[M_COUNT];
    static bool known[M_COUNT];

    if (!known[m]) {
        cache[m] = json_digest_string(names[m]);
        known[m] = true;
    }
    return cache[m];
}

void event_digest(struct event *ev)
{
    struct digest sum = ev->extra_sum;
    uint64_t count = ev->extra_count;

    for (int t = 0; t < EVENT_TEXTS; t++) {
        if (!ev->text[t].p)
            continue;
        json_digest_member(&sum, name_digest((enum member)t), json_digest_string(ev->text[t]));
        count++;
    }
    if (ev->entity_version.set) {
        json_digest_member(&sum, name_digest(M_ENTITY_VERSION),
                           json_digest_int(ev->entity_version.v));
        count++;
    }
    if (ev->ts_device.set) {
        json_digest_member(&sum, name_digest(M_TS_DEVICE), json_digest_int(ev->ts_device.v));
        count++;
    }
    json_digest_member(&sum, name_digest(M_PAYLOAD), ev->payload_digest);
    ev->digest = json_digest_object(sum, count + 1);
}

static int extra_digest(struct json *j, struct span extra, struct digest *sum, uint64_t *count)
{
    struct json_value name, v;
    struct buf room = {0};
    bool first = true;
    int rc;

    *sum = (struct digest){0};
    *count = 0;
    if (!extra.p)
        return 0;
    json_start(j, extra);
    if (json_open(j))
        return -1;
    while ((rc = json_member(j, &first, &name, &v)) == 1) {
        struct span text;

        room.len = 0;
        text = json_text(&name, &room);
        if (!text.p)
            break;
        json_digest_member(sum, json_digest_string(text), v.digest);
        ++*count;
    }
    buf_free(&room);
    return rc || json_finish(j) ? -1 : 0;
}

int event_redigest(struct event_parser *p, struct event *ev)
{
    struct json_value v;

    if (!ev->payload.p || json_whole(&p->json, ev->payload, &v))
        return -1;
    ev->payload_digest = v.digest;
    if (extra_digest(&p->json, ev->extra, &ev->extra_sum, &ev->extra_count))
        return -1;
    event_digest(ev);
    return 0;
}

static bool int_covered(struct event_int newcomer, struct event_int stored)
{
    return !newcomer.set || (stored.set && stored.v == newcomer.v);
}

/* Is every member of the object few also in many? */
static bool extra_covered(struct span few, struct span many)
{
    struct json a = {0}, b = {0};
    struct json_value an, av, bn, bv;
    bool afirst = true, covered = true;

    if (!few.p)
        return true;
    json_start(&a, few);
    covered = many.p && !json_open(&a);
    while (covered && json_member(&a, &afirst, &an, &av) == 1) {
        bool bfirst = true, found = false;

        json_start(&b, many);
        if (json_open(&b))
            break;
        while (!found && json_member(&b, &bfirst, &bn, &bv) == 1)
            found = span_eq(an.raw, bn.raw) && digest_eq(av.digest, bv.digest);
        covered = found;
    }
    json_end(&a);
    json_end(&b);
    return covered;
}

bool event_covered(struct event_parser *p, const struct event *newcomer, const struct event *stored)
{
    struct json_value v;

    for (int t = 0; t < EVENT_TEXTS; t++)
        if (newcomer->text[t].p && !span_eq(newcomer->text[t], stored->text[t]))
            return false;
    if (!int_covered(newcomer->entity_version, stored->entity_version) ||
        !int_covered(newcomer->ts_device, stored->ts_device))
        return false;
    if (json_whole(&p->json, stored->payload, &v) || !digest_eq(v.digest, newcomer->payload_digest))
        return false;
    return extra_covered(newcomer->extra, stored->extra);
}

/* --- writing ------------------------------------------------------------ */

/* Room for all that stands around the texts and the payload. */
enum { FRAME_MAX = 1024 };

static size_t written_max(const struct event *ev)
{
    size_t n = FRAME_MAX + ev->payload.n + ev->extra.n + JSON_QUOTED_MAX(ev->created_at.n);

    for (int t = 0; t < EVENT_TEXTS; t++)
        n += JSON_QUOTED_MAX(ev->text[t].n);
    return n;
}

static char *put_span(char *at, struct span s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

/* ,"NAME": */
static char *put_name(char *at, enum member m)
{
    *at++ = ',';
    *at++ = '"';
    at = put_span(at, names[m]);
    *at++ = '"';
    *at++ = ':';
    return at;
}

static char *put_text(char *at, enum member m, struct span s)
{
    return s.p ? json_quote_at(s, put_name(at, m)) : at;
}

static char *put_texts(char *at, const struct event *ev, int from, int to)
{
    for (int t = from; t <= to; t++)
        at = put_text(at, (enum member)t, ev->text[t]);
    return at;
}

static char *put_int(char *at, enum member m, struct event_int n)
{
    return n.set ? buf_put_int(put_name(at, m), n.v) : at;
}

static char *put_own(char *at, const struct event *ev)
{
    at = put_int(at, M_TS_SERVER, ev->ts_server);
    at = put_int(at, M_SYNCED, (struct event_int){true, ev->synced});
    at = put_int(at, M_ACKNOWLEDGED, (struct event_int){true, ev->acknowledged});
    at = put_text(at, M_CREATED_AT, ev->created_at);
    return put_int(at, M_SEQ, (struct event_int){true, ev->seq});
}

static char *put_before(char *begin, const struct event *ev)
{
    char *at = put_texts(begin, ev, EVENT_ID, EVENT_ENTITY_ID);

    at = put_int(at, M_ENTITY_VERSION, ev->entity_version);
    at = put_texts(at, ev, EVENT_ACTOR_ID, EVENT_DEVICE);
    at = put_int(at, M_TS_DEVICE, ev->ts_device);
    at = put_texts(at, ev, EVENT_HLC, EVENT_CAUSATION);
    *begin = '{'; /* in place of the first comma */
    return put_name(at, M_PAYLOAD);
}

static char *put_behind(char *at, const struct event *ev, bool full)
{
    if (ev->extra.n > 2) {
        *at++ = ',';
        at = put_span(at, (struct span){ev->extra.p + 1, ev->extra.n - 2});
    }
    if (full)
        at = put_own(at, ev);
    *at++ = '}';
    *at++ = '\n';
    return at;
}

int event_write(const struct event *ev, bool full, struct buf *out)
{
    char *at;

    if (buf_reserve(out, written_max(ev)))
        return -1;
    at = put_before(out->data + out->len, ev);
    at = put_behind(put_span(at, ev->payload), ev, full);
    out->len = (size_t)(at - out->data);
    return 0;
}

int event_write_around(const struct event *ev, bool full, struct buf *before, struct buf *behind)
{
    if (buf_reserve(before, written_max(ev)) || buf_reserve(behind, written_max(ev)))
        return -1;
    before->len = (size_t)(put_before(before->data + before->len, ev) - before->data);
    behind->len = (size_t)(put_behind(behind->data + behind->len, ev, full) - behind->data);
    return 0;
}
