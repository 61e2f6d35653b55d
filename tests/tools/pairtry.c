/* pairtry STORE KEYFILE NAME CODE...: tries codes as a tablet does by the HTTP front,
 * and prints a line for each: "yes TOKEN", "wrong TRIES_LEFT", "gone", "no key" or
 * "error STATUS WHY". */
#include "base/clock.h"
#include "http/jwt.h"
#include "http/pairing.h"

#include <stdio.h>

static int token_for(const struct keys *k, const struct pairing_answer *a, struct buf *out,
                     struct err *e)
{
    int64_t now = clock_now_ms();
    struct principal who = {.role = ROLE_DR, .expires_at = keys_now(now) + a->token_ttl_ms};

    snprintf(who.user_id, sizeof who.user_id, "%s", a->user_id);
    return jwt_issue(k, &who, now, out, e) || buf_term(out) ? -1 : 0;
}

static void try_code(const char *store, const char *file, const char *name, const char *code)
{
    struct pairing_answer a = {.result = PAIRING_GONE};
    struct err e = ERR_NONE;
    struct buf token = {0};
    struct keys k;
    int rc = keys_load(&k, file, store, &e), there = rc;

    if (rc > 0)
        rc = pairing_try(store, &k, span_of(code), span_of(name), &a, &e);
    if (!rc && a.result == PAIRING_YES)
        rc = token_for(&k, &a, &token, &e);
    if (rc < 0)
        printf("error %d %s\n", e.status, e.msg);
    else if (!there)
        puts("no key");
    else if (a.result == PAIRING_WRONG)
        printf("wrong %d\n", a.tries_left);
    else
        printf("%s %s\n", a.result == PAIRING_YES ? "yes" : "gone", token.data ? token.data : "");
    buf_free(&token);
    keys_wipe(&k);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 64;
    for (int i = 4; i < argc; i++)
        try_code(argv[1], argv[2], argv[3], argv[i]);
    return 0;
}
