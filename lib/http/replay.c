#include "http/replay.h"

#include "base/nameid.h"
#include "base/spool.h"
#include "base/whole.h"
#include "store/runonce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char namespace[] = "http";

static struct run_key key_of(const struct replay *r)
{
    return (struct run_key){SPAN(namespace), span_of(r->key)};
}

int replay_name(struct replay *r, const char *principal, const char *method, const char *path,
                const char *key, struct err *e)
{
    const char *const scope[] = {principal, method, path, key, NULL};

    return nameid_hash(scope, r->key) ? err_memory(e) : 0;
}

/* --- the recorded answer ------------------------------------------------ */

/* The types that answers have: what is kept is one of these. */
static const char *const types[] = {"application/json", "application/problem+json",
                                    "application/jsonl"};

static int add_part(void *ctx, struct span part, struct err *e)
{
    return buf_add(ctx, part.p, part.n) ? err_memory(e) : 0;
}

static int unpack(struct answer *a, const struct buf *kept, struct err *e)
{
    struct span whole = buf_span(kept);
    const char *end = memchr(whole.p, '\n', whole.n);
    struct span type = {whole.p, end ? (size_t)(end - whole.p) : 0};

    a->type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_eq(type, span_of(types[i])))
            a->type = types[i];
    if (!a->type)
        return err_set(e, EX_DATAERR, "the recorded answer is none");
    buf_clear(&a->body);
    return buf_add(&a->body, end + 1, whole.n - type.n - 1) ? err_memory(e) : 0;
}

static int read_back(struct replay *r, const struct run_row *row, struct answer *a, struct err *e)
{
    struct buf kept = {0};
    int rc = runonce_replay(r->st, row, add_part, &kept, e);

    if (rc == 1 && unpack(a, &kept, e))
        rc = -1;
    if (rc == 1) {
        a->status = row->exit_status;
        a->replayed = true;
    }
    buf_free(&kept);
    return rc;
}

/* --- whose turn --------------------------------------------------------- */

/* What stands there: is it for us to answer? */
static enum replay_turn judge(struct replay *r, struct answer *a, bool ours, struct err *e)
{
    struct run_row row;
    bool counts;
    int rc;

    if (runonce_look(r->st, key_of(r), &row, e))
        return REPLAY_ERROR;
    /* A row that is running while its byte is ours was left by one who was killed. */
    counts = !row.over && (row.state == RUN_DONE || (row.state == RUN_RUNNING && !ours));
    if (counts && strcmp(row.fingerprint, r->fingerprint) != 0)
        return REPLAY_OTHER;
    if (!counts || row.state != RUN_DONE)
        return ours ? REPLAY_OURS : REPLAY_BUSY;
    rc = read_back(r, &row, a, e);
    return rc < 0 ? REPLAY_ERROR : rc ? REPLAY_AGAIN : REPLAY_BUSY;
}

enum replay_turn replay_begin(struct replay *r, struct store *st, struct answer *a, struct err *e)
{
    enum replay_turn turn;
    int rc;

    r->st = st;
    if (lockfile_open(&r->lock, st->path, "run", e))
        return REPLAY_ERROR;
    rc = lockfile_take(&r->lock, runonce_place(key_of(r)), 0, e);
    if (rc < 0)
        return REPLAY_ERROR;
    turn = judge(r, a, rc == 1, e);
    if (turn == REPLAY_OURS &&
        runonce_begin(st, key_of(r), r->fingerprint, REPLAY_TTL_MS, &r->id, e))
        return REPLAY_ERROR;
    return turn;
}

static int pack(int fd, const struct answer *a, struct err *e)
{
    const char *type = a->type ? a->type : types[0];
    struct buf kept = {0};
    int rc = 0;

    if (buf_printf(&kept, "%s\n", type) || buf_add(&kept, a->body.data, a->body.len))
        rc = err_memory(e);
    else if (whole_write(fd, kept.data, kept.len))
        rc = err_sys(e, EX_IOERR, "unable to record the answer");
    buf_free(&kept);
    return rc;
}

int replay_record(struct replay *r, const struct answer *a, struct err *e)
{
    int fd = spool_beside(r->st->path, e), rc;

    if (fd < 0)
        return -1;
    rc = pack(fd, a, e) || runonce_record(r->st, r->id, fd, a->status, REPLAY_TTL_MS, e) ? -1 : 0;
    close(fd);
    if (!rc)
        r->id = 0;
    return rc;
}

void replay_end(struct replay *r)
{
    struct err e = ERR_NONE;

    /* Where that cannot be said, whoever comes next finds the byte free all the same. */
    if (r->id)
        runonce_forget(r->st, r->id, &e);
    r->id = 0;
    if (r->lock.name)
        lockfile_close(&r->lock);
}

int replay_event_id(const struct replay *r, uint64_t n, char out[static 37], struct err *e)
{
    char number[24];
    const char *const texts[] = {"event", r->key, number, NULL};

    snprintf(number, sizeof number, "%llu", (unsigned long long)n);
    return nameid_uuid(texts, out) ? err_memory(e) : 0;
}
