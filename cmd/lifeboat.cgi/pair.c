/* pair: a tablet gets its token for six digits that stand on the box's console. */
#include "base/clock.h"
#include "cli/cli.h"
#include "http/jwt.h"
#include "http/pairing.h"
#include "lifeboat.cgi/members.h"

#include <stdio.h>
#include <string.h>

static int give_token(struct exchange *x, const struct pairing_answer *got, struct err *e)
{
    int64_t now = clock_now_ms();
    struct principal who = {.role = ROLE_DR, .expires_at = keys_now(now) + got->token_ttl_ms};
    struct buf token = {0};
    int failed;

    memcpy(who.user_id, got->user_id, sizeof who.user_id);
    if (jwt_issue(&x->keys, &who, now, &token, e))
        return -1;
    failed = buf_printf(&x->answer.body,
                        "{\"token\":\"%.*s\",\"role\":\"%s\",\"user_id\":\"%s\","
                        "\"expires_at\":%lld}\n",
                        (int)token.len, token.data, role_name(who.role), who.user_id,
                        (long long)who.expires_at);
    explicit_bzero(token.data, token.len);
    buf_free(&token);
    return front_done(x, 200, failed, e);
}

static int try_code(struct exchange *x, struct span code, struct span name, struct err *e)
{
    struct pairing_answer got = {0};
    char members[32];

    /* A code is used up by being right: nothing may go wrong after that. */
    if (jwt_ready(e) || pairing_try(cli.db, &x->keys, code, name, &got, e))
        return -1;
    if (got.result == PAIRING_YES)
        return give_token(x, &got, e);
    if (got.result == PAIRING_GONE)
        return front_problem(x, 410, e,
                             "no pairing is open; on the box's console, run lifeboat-token pair");
    snprintf(members, sizeof members, ",\"tries_left\":%d", got.tries_left);
    return front_problem_of(x, 403, "/problems/wrong-code", members, e, "this is not the code");
}

int dr_pair(struct exchange *x, struct err *e)
{
    struct span code, name, whole;
    const struct member known[] = {{"code", MEMBER_NAME, true, &code},
                                   {"device_name", MEMBER_TEXT, false, &name}};
    struct arena a = {0};
    int rc;

    if (!x->has_keys) /* then whoever sits here needs no token */
        return front_problem(x, 410, e, "this box has no token key yet; run lifeboat-token pair");
    if (!members_read(x, known, 2, &a, &whole, e))
        rc = front_refused(x);
    else
        rc = try_code(x, code, name.p ? name : SPAN(""), e);
    arena_free(&a);
    return rc;
}
