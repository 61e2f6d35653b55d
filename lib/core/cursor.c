#include "core/cursor.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

static bool all_hex(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdef", s.p[i]) || !s.p[i])
            return false;
    return true;
}

bool cursor_wellformed(struct span text, struct span *store, int64_t *seq, struct span *check)
{
    const char *p = text.p, *end = text.p + text.n;

    *seq = 0;
    if (text.n < STORE_ID_TEXT || text.n >= CURSOR_TEXT)
        return false;
    *store = (struct span){p, STORE_ID_TEXT - 1};
    p += STORE_ID_TEXT - 1;
    if (!all_hex(*store) || *p++ != ':' || p == end || *p == ':')
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*seq, 10, seq) || __builtin_add_overflow(*seq, *p - '0', seq))
            return false;
    if (end - p != 9 || *p++ != ':')
        return false;
    *check = (struct span){p, 8};
    return all_hex(*check);
}

/* The digest check at seq: 1, or 0 if there is no such event. */
static int check_at(struct store *st, int64_t seq, char out[9], struct err *e)
{
    struct stmt get = {.sql = "SELECT digest FROM events WHERE seq = ?1"};
    int rc;

    snprintf(out, 9, "00000000");
    if (seq == 0)
        return 1;
    if (stmt_ready(&get, &st->db, e))
        return -1;
    stmt_bind_int(&get, 1, seq);
    rc = stmt_step(&get, e);
    if (rc == 1 && stmt_span(&get, 0).n == DIGEST_BYTES) {
        char text[DIGEST_TEXT];

        digest_text(digest_of_bytes((const uint8_t *)stmt_span(&get, 0).p), text);
        memcpy(out, text, 8);
    }
    stmt_free(&get);
    return rc;
}

int cursor_resolve(struct store *st, const char *text, int64_t *seq, struct err *e)
{
    struct span store, check;
    char here[9];
    int rc;

    *seq = 0;
    if (!strcmp(text, "start"))
        return 0;
    if (!cursor_wellformed(span_of(text), &store, seq, &check))
        return err_set(e, EX_USAGE, "cursor %s: wants STORE:SEQ:CHECK, or start", text);
    if (!span_eq(store, span_of(st->id)))
        return err_set(e, EX_PROTOCOL,
                       "cursor %s: of another store; this one is %s: its box was replaced or the "
                       "cursor is of another source: go on with \"start\"",
                       text, st->id);
    rc = check_at(st, *seq, here, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(e, EX_PROTOCOL,
                       "cursor %s: beyond the end of this store: it was rolled back to an older "
                       "copy: go on with \"start\"",
                       text);
    if (memcmp(here, check.p, 8))
        return err_set(e, EX_PROTOCOL,
                       "cursor %s: event %lld is another one here (%s): the store was rolled back "
                       "and written anew: go on with \"start\"",
                       text, (long long)*seq, here);
    return 0;
}

int cursor_make(struct store *st, int64_t seq, char out[CURSOR_TEXT], struct err *e)
{
    char check[9];
    int rc = check_at(st, seq, check, e);

    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(e, EX_SOFTWARE, "%s: no event %lld", st->path, (long long)seq);
    snprintf(out, CURSOR_TEXT, "%s:%lld:%s", st->id, (long long)seq, check);
    return 0;
}
