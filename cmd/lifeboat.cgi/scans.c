/* scans: what the handhelds of a workshop scan. */
#include "base/clock.h"
#include "lifeboat.cgi/members.h"
#include "lifeboat.cgi/mirror.h"
#include "lifeboat.cgi/write.h"

/* What a scan says that the log of events has to know. */
struct scan {
    struct span tag, order, lot, device, whole;
};

/* A part of the key: ":" stands between parts, so it and "%" are escaped within one. */
static int put_part(struct buf *out, struct span part)
{
    if (out->len && buf_addc(out, ':'))
        return -1;
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];

        if (c == ':' || c == '%' ? buf_printf(out, "%%%02X", (unsigned)c) : buf_addc(out, c))
            return -1;
    }
    return 0;
}

/* tag_id and order_id; the lot where there is no order. */
static int put_key(const struct scan *s, struct buf *out)
{
    struct span last = s->order.p ? s->order : s->lot;

    return (s->tag.p && put_part(out, s->tag)) || (last.p && put_part(out, last)) ? -1 : 0;
}

static struct span device_of(const struct exchange *x, const struct scan *s)
{
    if (front_is(x, ROLE_DEVICE))
        return span_of(x->who.user_id);
    return s->device.p ? s->device : SPAN("unknown");
}

/* --- POST /api/v1/scans ------------------------------------------------- */

static int answer(struct exchange *x, struct span event_id, struct span entity_id,
                  const char *status, struct err *e)
{
    struct buf *out = &x->answer.body;
    int failed = buf_printf(out, "{\"status\":\"%s\",\"event_id\":", status) ||
                 json_quote(event_id, out) || buf_adds(out, ",\"entity_id\":") ||
                 json_quote(entity_id, out) || buf_adds(out, "}\n");

    return front_done(x, 200, failed, e);
}

static int store_scan(struct writing *w, const struct scan *s, struct span key, struct err *e)
{
    struct exchange *x = w->x;
    struct event ev = {0};
    int64_t begun = clock_boot_ms();
    enum put_result how;
    int rc;

    ev.text[EVENT_ENTITY_TYPE] = SPAN("scan");
    ev.text[EVENT_ENTITY_ID] = key;
    ev.text[EVENT_TYPE] = SPAN("SCAN_RECORDED");
    ev.text[EVENT_ACTOR_ID] = ev.text[EVENT_DEVICE] = device_of(x, s);
    if (write_payload(w, &ev, s->whole, e))
        return -1;
    how = write_one(w, &ev, e);
    if (how == PUT_ERROR)
        return -1;
    if (how != PUT_INSERTED && how != PUT_PRESENT)
        return write_refused(x, w, e);
    rc = answer(x, ev.text[EVENT_ID], key, "ok", e);
    mirror_log_scan(x, device_of(x, s), s->whole, clock_boot_ms() - begun);
    return rc;
}

int scans_add(struct exchange *x, struct err *e)
{
    struct scan s;
    const struct member known[] = {{"tag_id", MEMBER_NAME, false, &s.tag},
                                   {"order_id", MEMBER_NAME, false, &s.order},
                                   {"lot", MEMBER_NAME, false, &s.lot},
                                   {"device_id", MEMBER_NAME, false, &s.device}};
    struct buf key = {0};
    struct writing w;
    int rc;

    if (write_open(&w, x, e))
        return -1;
    if (!members_read(x, known, 4, &w.arena, &s.whole, e))
        rc = front_refused(x);
    else if (put_key(&s, &key))
        rc = err_memory(e);
    else if (!key.len || key.len > EVENT_TEXT_MAX)
        rc = front_problem(x, 422, e, "wants tag_id, order_id or lot, of 1024 bytes in all");
    else
        rc = store_scan(&w, &s, buf_span(&key), e);
    write_close(&w);
    buf_free(&key);
    return rc;
}
