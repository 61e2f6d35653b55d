#include "cli/deliver.h"

#include "base/child.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/stop.h"
#include "cli/cli.h"
#include "core/backoff.h"
#include "core/lockfile.h"
#include "core/post.h"
#include "store/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch ends at so many bytes too: curl holds its bodies in memory. on_success
 * is run for so many payloads at once. */
enum { BATCH_BYTES = 8 << 20, OWED_AT_ONCE = 1000, FEED = 1 << 16 };

struct item {
    struct outbox_attempt a;
    int64_t tries, created_at, before_ms;
    char key[129];
};

struct run {
    struct store *st;
    struct destination *d;
    struct delivered *out;
    struct outbox outbox;
    struct lockfile lock;
    struct post_target target;
    struct post post;
    const struct delivery *how;
    bool now, resume;

    struct item items[POST_MOST]; /* of the batch */
    size_t count;
    uint64_t bytes;
    char lane[256]; /* of the batch, where all of it goes to one URL */
    bool has_lane;
    struct buf url, body;
    char first_key[256];
    struct sha256 keys; /* of the items of a batch body */
    int64_t owed;       /* sent and not yet told to on_success */
    bool stopped;       /* nothing more is to be tried now */
    bool outdated;      /* what the caller gave is: d is not to be looked at any more */
    bool failing;       /* the endpoint was, before this batch */
    int64_t again;      /* the item that is to be tried again at once; 0: none */
    int64_t again_n;    /* for so many times by now */
    struct buf answer;
};

/* --- making a batch ----------------------------------------------------- */

static bool same_lane(const struct run *r, struct span lane)
{
    return r->has_lane == (lane.p != NULL) && (!lane.p || span_eq(span_of(r->lane), lane));
}

/* A body of many is refused as one. So what was refused before goes alone: in
 * the end only what is really not wanted is given up. */
static bool ends_batch(const struct run *r, const struct outbox_item *i)
{
    size_t n = i->payload.n;

    if (!r->count)
        return false;
    if (r->count == (size_t)r->d->batch || r->bytes + n > BATCH_BYTES)
        return true;
    if (r->d->body != BODY_ITEMS)
        return false;
    return i->retry_count || r->items[0].a.retry_count || (r->d->by_lane && !same_lane(r, i->lane));
}

static int lane_fault(const struct run *r, const struct outbox_item *i, struct err *e)
{
    const char *why = destination_lane_wrong(r->d, i->lane);

    return why ? err_set(e, EX_CONFIG, "%s: item %.*s: %s", r->d->name, (int)i->key.n, i->key.p,
                         why)
               : 0;
}

static int make_url(struct run *r, struct span lane)
{
    buf_clear(&r->url);
    return destination_url(r->d, lane, &r->url);
}

static int add_span(struct buf *b, struct span s)
{
    return buf_add(b, s.p, s.n);
}

/* A request of its own. */
static int add_request(struct run *r, const struct outbox_item *i, struct err *e)
{
    char own[DELIVER_HEADER];
    bool has_own = r->how->header && r->how->header(r->how->ctx, i, own) == 1;
    struct span body = i->payload;

    if (make_url(r, i->lane))
        return err_memory(e);
    if (r->d->body == BODY_ITEM) {
        buf_clear(&r->body);
        if (add_span(&r->body, r->d->before) || add_span(&r->body, i->payload) ||
            add_span(&r->body, r->d->after))
            return err_memory(e);
        body = buf_span(&r->body);
    }
    return post_add(&r->post, r->url.data, i->key, has_own ? own : NULL, body, e);
}

/* Its place in the one request of the batch. */
static int add_to_body(struct run *r, const struct outbox_item *i, struct err *e)
{
    int rc;

    if (!r->count) {
        buf_clear(&r->body);
        rc = add_span(&r->body, r->d->before) || buf_addc(&r->body, '[') || make_url(r, i->lane);
    } else {
        rc = buf_addc(&r->body, ',');
    }
    if (rc || add_span(&r->body, i->payload))
        return err_memory(e);
    if (sha256_add(&r->keys, i->key.p, i->key.n) || sha256_add(&r->keys, "\n", 1))
        return err_memory(e);
    return 0;
}

static int take_item(void *ctx, const struct outbox_item *i, struct err *e)
{
    struct run *r = ctx;
    struct span lane = i->lane.p ? i->lane : SPAN("");
    struct item *item;

    if (ends_batch(r, i))
        return 1;
    if (lane_fault(r, i, e) ||
        (r->d->body == BODY_ITEMS ? add_to_body(r, i, e) : add_request(r, i, e)))
        return -1;
    if (!r->count) {
        r->has_lane = i->lane.p != NULL;
        snprintf(r->lane, sizeof r->lane, "%.*s", (int)lane.n, lane.p);
        snprintf(r->first_key, sizeof r->first_key, "%.*s", (int)i->key.n, i->key.p);
    }
    item = &r->items[r->count++];
    *item = (struct item){.a = {.id = i->id,
                                .retry_count = i->retry_count,
                                .max_retries = i->max_retries,
                                .has_lane = i->lane.p != NULL},
                          .tries = i->tries,
                          .created_at = i->created_at,
                          .before_ms = i->before_ms};
    snprintf(item->key, sizeof item->key, "%.*s", (int)i->key.n, i->key.p);
    r->bytes += i->payload.n;
    return 0;
}

/* The key of a batch body is made of those of its items: the same items, the
 * same key. Of one item it is that item's own. */
static int end_body(struct run *r, struct err *e)
{
    char key[SHA256_TEXT];
    const char *own = r->count == 1 ? r->first_key : key;

    if (buf_addc(&r->body, ']') || add_span(&r->body, r->d->after))
        return err_memory(e);
    if (sha256_text(&r->keys, key))
        return err_memory(e);
    return post_add(&r->post, r->url.data, span_of(own), NULL, buf_span(&r->body), e);
}

static int make_batch(struct run *r, struct err *e)
{
    r->count = 0;
    r->bytes = 0;
    post_clear(&r->post);
    if (outbox_next(&r->outbox, take_item, r, e))
        return -1;
    return r->count && r->d->body == BODY_ITEMS ? end_body(r, e) : 0;
}

/* --- what came of it ---------------------------------------------------- */

/* A wait the other side asks for is kept to, else it grows with each failure. */
static int wait_for(const struct post_answer *a, int64_t failures, int64_t *ms, struct err *e)
{
    uint64_t random;

    if (rng_bytes(&random, sizeof random, e))
        return -1;
    *ms = a->retry_after_ms > 0 ? a->retry_after_ms : backoff_ms(failures, random);
    return 0;
}

/* Is the item to be tried again at once? */
static bool at_once(const struct run *r, const struct item *i, const struct post_answer *a)
{
    int64_t before = r->again == i->a.id ? r->again_n : 0;
    bool trouble =
        a->verdict == POST_ENDPOINT ||
        (a->verdict == POST_REFUSED && (a->http >= 500 || a->http == 409) && !i->a.retry_count);

    return trouble && a->retry_after_ms < 0 && !r->failing && before + 1 < r->how->attempts &&
           !stop_signal();
}

static int note_unreachable(struct run *r, const struct post_answer *a, struct err *e)
{
    struct outbox_state s;
    int64_t ms;

    if (outbox_state(&r->outbox, &s, e) || wait_for(a, s.failures + 1, &ms, e) ||
        outbox_unreachable(&r->outbox, ms, span_of(a->why), e))
        return -1;
    r->out->status = EX_UNAVAILABLE;
    r->out->again_ms = ms;
    r->stopped = true;
    return 0;
}

static int note_paused(struct run *r, const struct post_answer *a, struct err *e)
{
    char why[POST_WHY + 128];

    snprintf(why, sizeof why, "%s%s", r->how->pause_mark ? r->how->pause_mark : "", a->why);
    if (outbox_pause(&r->outbox, span_of(why), e))
        return -1;
    r->out->status = EX_NOPERM;
    r->stopped = true;
    return 0;
}

static int note_refused(struct run *r, const struct outbox_attempt *c, const struct post_answer *a,
                        struct err *e)
{
    int64_t ms;
    int rc;

    if (wait_for(a, c->retry_count + 1, &ms, e))
        return -1;
    rc = outbox_refused(&r->outbox, c, ms, span_of(a->why), e);
    r->out->failed += rc == 1;
    return rc < 0 ? -1 : 0;
}

static struct attempt attempt_of(const struct item *i, const struct post_answer *a)
{
    return (struct attempt){
        .id = i->a.id,
        .tries = i->tries + 1,
        .created_at = i->created_at,
        .before_ms = i->before_ms,
        .ms = a->ms,
        .key = i->key,
        .why = a->why,
        .verdict = a->verdict,
        .http = a->http,
        .paused = a->verdict == POST_PAUSE,
        .gone = a->verdict == POST_SENT ||
                (a->verdict == POST_REFUSED && i->a.retry_count >= i->a.max_retries)};
}

static int note_sent(struct run *r, const struct item *i, const struct post_answer *a,
                     struct err *e)
{
    const struct delivery *how = r->how;
    struct attempt done = attempt_of(i, a);
    bool owed = r->d->on_success != NULL;
    struct span answer = buf_span(&a->body);

    r->out->sent++;
    r->owed += owed;
    if (how->sent) {
        buf_clear(&r->answer);
        if (how->sent(how->ctx, &r->outbox, &done, &r->answer, e))
            return -1;
        answer = buf_span(&r->answer);
    }
    return outbox_sent(&r->outbox, i->a.id, owed, answer, e);
}

static int note_item(struct run *r, const struct item *i, const struct post_answer *a,
                     struct err *e)
{
    if (a->verdict == POST_UNTRIED)
        return 0;
    if (a->verdict == POST_SENT)
        return note_sent(r, i, a, e);
    if (r->how->tried && outbox_tried(&r->outbox, i->a.id, e))
        return -1;
    return a->verdict == POST_REFUSED && !at_once(r, i, a) ? note_refused(r, &i->a, a, e) : 0;
}

/* The answer that speaks of the destination rather than of an item. */
static int note_destination(struct run *r, struct err *e)
{
    bool alive = false, sent = false;

    for (size_t i = 0; i < r->post.count; i++) {
        alive = alive || r->post.answers[i].verdict == POST_SENT ||
                r->post.answers[i].verdict == POST_REFUSED;
        sent = sent || r->post.answers[i].verdict == POST_SENT;
    }
    if (alive && outbox_alive(&r->outbox, sent, e))
        return -1;
    for (size_t i = 0; i < r->post.count; i++) {
        const struct post_answer *a = &r->post.answers[i];

        if ((a->verdict == POST_ENDPOINT && !at_once(r, &r->items[i], a) &&
             note_unreachable(r, a, e)) ||
            (a->verdict == POST_PAUSE && note_paused(r, a, e)))
            return -1;
    }
    return 0;
}

static const struct post_answer *answer_of(const struct run *r, size_t i)
{
    return &r->post.answers[r->d->body == BODY_ITEMS ? 0 : i];
}

static int note_all(struct run *r, struct err *e)
{
    for (size_t i = 0; i < r->count; i++)
        if (note_item(r, &r->items[i], answer_of(r, i), e))
            return -1;
    return note_destination(r, e);
}

/* Says what somebody has to know. */
static void tell(const struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct post_answer *a = answer_of(r, i);
        const struct outbox_attempt *c = &r->items[i].a;

        if (at_once(r, &r->items[i], a))
            continue;
        if (a->verdict == POST_REFUSED && c->retry_count >= c->max_retries)
            cli_warn("%s: item %lld: given up: %s", r->d->name, (long long)c->id, a->why);
        else if (a->verdict == POST_REFUSED)
            cli_say("%s: item %lld: refused, is tried again: %s", r->d->name, (long long)c->id,
                    a->why);
        if (i >= r->post.count)
            continue;
        if (r->post.answers[i].verdict == POST_ENDPOINT)
            cli_say("%s: not reached, is tried again later: %s", r->d->name,
                    r->post.answers[i].why);
        if (r->post.answers[i].verdict == POST_PAUSE)
            cli_warn("%s: paused: %s (put right what is wrong, then: syncq resume %s)", r->d->name,
                     r->post.answers[i].why, r->d->name);
    }
}

/* What was tried, to who wants to know, and which of it is to be tried again. */
static void look_back(struct run *r)
{
    const struct delivery *how = r->how;
    int64_t again = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct post_answer *a = answer_of(r, i);
        struct attempt done = attempt_of(&r->items[i], a);

        if (a->verdict == POST_UNTRIED)
            continue;
        if (how->tried)
            how->tried(how->ctx, &done);
        if (at_once(r, &r->items[i], a))
            again = done.id;
        else if (a->verdict == POST_SENT || a->verdict == POST_REFUSED)
            r->outbox.after = done.id;
    }
    r->again_n = again && again == r->again ? r->again_n + 1 : again != 0;
    r->again = again;
}

/* In one transaction, before the next batch starts. */
static int commit_batch(struct run *r, struct err *e)
{
    struct delivered before = *r->out;
    int64_t owed = r->owed;

    if (outbox_begin(&r->outbox, e))
        return -1;
    if (note_all(r, e)) {
        outbox_rollback(&r->outbox);
    } else if (!outbox_commit(&r->outbox, e)) {
        tell(r);
        look_back(r);
        return 0;
    }
    r->out->sent = before.sent;
    r->out->failed = before.failed;
    r->owed = owed;
    return -1;
}

/* --- on_success --------------------------------------------------------- */

struct telling {
    struct run *r;
    int64_t id, left;
};

static int feed(void *ctx, struct buf *out, struct err *e)
{
    struct telling *t = ctx;
    int n = outbox_owed(&t->r->outbox, &t->id, t->left, FEED, out, e);

    if (n < 0)
        return -1;
    t->left -= n;
    return n && t->left > 0;
}

static int settle(struct run *r, int64_t up_to, struct err *e)
{
    if (outbox_begin(&r->outbox, e))
        return -1;
    if (outbox_settle(&r->outbox, up_to, e)) {
        outbox_rollback(&r->outbox);
        return -1;
    }
    return outbox_commit(&r->outbox, e);
}

/* Runs on_success for what is owed, some at a time. Where that fails they stay
 * owed: the next run begins with them. 1: it failed. */
static int tell_success(struct run *r, struct err *e)
{
    char *db, *name = NULL;
    int rc = -1;

    if (asprintf(&db, "LIFEBOAT_DB=%s", r->st->path) < 0)
        return err_memory(e);
    if (asprintf(&name, "SYNCQ_DESTINATION=%s", r->d->name) < 0) {
        free(db);
        return err_memory(e);
    }
    for (bool more = true; more;) {
        char *env[] = {db, name, NULL};
        struct buf probe = {0};
        struct telling t = {.r = r, .left = OWED_AT_ONCE};
        struct child c = {.argv = r->d->on_success, .env = env, .ctx = &t, .feed = feed};
        int64_t first = 0;

        rc = outbox_owed(&r->outbox, &first, 1, 1, &probe, e);
        buf_free(&probe);
        if (rc <= 0)
            break;
        rc = child_run(&c, e);
        if (rc || settle(r, t.id, e)) {
            rc = rc ? 1 : -1;
            break;
        }
        more = !t.left;
        rc = 0;
    }
    free(db);
    free(name);
    if (!rc)
        r->owed = 0;
    return rc;
}

/* 0; -1: the store cannot be written. A command that failed is no reason not to
 * send, but there is nothing to be gained by running it for every batch. */
static int pay(struct run *r, bool *failed, struct err *e)
{
    struct err why = ERR_NONE;
    int rc;

    if (!r->d->on_success || *failed)
        return 0;
    rc = tell_success(r, &why);
    if (rc < 0)
        *e = why;
    if (rc == 1) {
        cli_warn("%s: on_success: %s (what it was to be told stays owed)", r->d->name, why.msg);
        *failed = true;
    }
    return rc < 0 ? -1 : 0;
}

/* --- a run -------------------------------------------------------------- */

/* Ends a pause that was made here, and whose cause may be gone. */
static int end_pause(struct run *r, struct outbox_state *s, struct err *e)
{
    const struct delivery *how = r->how;
    bool ours = how->pause_mark && !strncmp(s->why, how->pause_mark, strlen(how->pause_mark));

    if (!s->paused || !ours || (!r->resume && s->since >= how->changed_at))
        return 0;
    if (outbox_begin(&r->outbox, e))
        return -1;
    if (outbox_resume(&r->outbox, e)) {
        outbox_rollback(&r->outbox);
        return -1;
    }
    return outbox_commit(&r->outbox, e) ? -1 : outbox_state(&r->outbox, s, e);
}

/* May it be tried at all? */
static int may_go(struct run *r, struct err *e)
{
    bool silent = r->how->silent;
    struct outbox_state s;

    if (outbox_state(&r->outbox, &s, e) || end_pause(r, &s, e))
        return -1;
    r->failing = s.failures > 0;
    if (s.paused) {
        if (!silent)
            cli_say("%s: paused%s%s", r->d->name, s.why[0] ? ": " : "", s.why);
        r->out->status = EX_NOPERM;
    } else if (s.wait_ms && !r->now) {
        if (!silent)
            cli_say("%s: left alone for another %lld s: %s", r->d->name,
                    (long long)(s.wait_ms + 999) / 1000, s.why);
        r->out->status = EX_UNAVAILABLE;
        r->out->again_ms = s.wait_ms;
    }
    r->now = r->resume = false;
    return r->out->status == EX_OK;
}

static int one_batch(struct run *r, struct err *e)
{
    struct err why = ERR_NONE;
    int rc;

    if (outbox_wake(&r->outbox, e) < 0 || make_batch(r, e))
        return -1;
    if (!r->count) {
        r->stopped = true;
        return 0;
    }
    /* What was answered is true, whatever became of curl. */
    rc = post_run(&r->post, &why);
    if (commit_batch(r, e))
        return -1;
    if (rc)
        *e = why;
    return rc;
}

static int send_all(struct run *r, bool *unpaid, struct err *e)
{
    int rc = 0;

    r->stopped = false;
    if (outbox_rewind(&r->outbox, e))
        return -1;
    while (!rc && !r->stopped && !stop_signal()) {
        if (r->how->go_on && !r->how->go_on(r->how->ctx)) {
            r->outdated = true;
            break;
        }
        if (r->again)
            stop_poll(NULL, 0, r->how->backoff_ms);
        rc = may_go(r, e);
        if (rc <= 0)
            return rc;
        rc = one_batch(r, e);
        if (!rc && r->owed >= OWED_AT_ONCE)
            rc = pay(r, unpaid, e);
    }
    return rc;
}

static int locked(struct run *r, struct err *e)
{
    struct err other = ERR_NONE;
    bool unpaid = false;
    int rc = pay(r, &unpaid, e);

    if (!rc)
        rc = send_all(r, &unpaid, e);
    if (r->owed && pay(r, &unpaid, rc ? &other : e))
        rc = -1;
    if (!rc && unpaid && !r->out->status)
        r->out->status = EX_TEMPFAIL;
    return rc;
}

/* Whoever found the lock taken relies on its holder: so when that one has let go,
 * it looks again. */
static int with_lock(struct run *r, struct err *e)
{
    int rc = lockfile_take(&r->lock, 0, 0, e);

    if (!rc) {
        if (!r->how->silent)
            cli_say("%s: another process is sending there", r->d->name);
        r->out->status = EX_TEMPFAIL;
    }
    while (rc == 1) {
        rc = locked(r, e);
        lockfile_drop(&r->lock, 0);
        if (rc || r->out->status || r->outdated || stop_signal())
            return rc;
        if (outbox_rewind(&r->outbox, e) || make_batch(r, e))
            return -1;
        rc = r->count ? lockfile_take(&r->lock, 0, 0, e) : 0;
    }
    return rc;
}

static int prepare(struct run *r, struct err *e)
{
    struct destination *d = r->d;
    char *suffix;
    int rc;

    r->target = (struct post_target){.method = d->method,
                                     .headers = d->headers,
                                     .ca_file = d->ca_file,
                                     .client_cert = d->client_cert,
                                     .client_key = d->client_key,
                                     .timeout_ms = d->timeout_ms,
                                     .connect_timeout_ms = d->connect_timeout_ms,
                                     .want_json = d->want_json};
    if (destination_token(d, &r->target.token, e) ||
        outbox_open(&r->outbox, r->st, span_of(d->name), e))
        return -1;
    if (asprintf(&suffix, "send-%s", d->name) < 0)
        return err_memory(e);
    rc = lockfile_open(&r->lock, r->st->path, suffix, e);
    free(suffix);
    post_open(&r->post, &r->target, r->lock.fd);
    return rc;
}

static int count_rest(struct run *r, struct err *e)
{
    struct delivered *out = r->out;

    int64_t due;

    if (outbox_remaining(&r->outbox, &out->remaining, e) || outbox_due(&r->outbox, &due, e))
        return -1;
    if (out->status != EX_NOPERM && due > out->again_ms)
        out->again_ms = due;
    if (!out->status && (out->remaining || out->failed))
        out->status = 1;
    return 0;
}

int deliver(struct store *st, struct destination *d, const struct delivery *how,
            struct delivered *out, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    struct err other = ERR_NONE;
    int rc;

    *out = (struct delivered){.again_ms = -1};
    if (!r)
        return err_memory(e);
    *r = (struct run){.st = st,
                      .d = d,
                      .out = out,
                      .how = how,
                      .now = how->now,
                      .resume = how->resume,
                      .lock.fd = -1};
    rc = prepare(r, e);
    if (!rc)
        rc = with_lock(r, e);
    if (r->outbox.sql && count_rest(r, rc ? &other : e))
        rc = -1;
    post_close(&r->post);
    lockfile_close(&r->lock);
    outbox_close(&r->outbox);
    buf_free(&r->url);
    buf_free(&r->body);
    buf_free(&r->answer);
    free(r);
    return rc;
}
