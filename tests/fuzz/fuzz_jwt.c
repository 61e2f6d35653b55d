/* Tokens: the input as a whole; as the payload of one that we sign, so that what is behind
 * the signature is reached; as its header; and as the page a key was printed on. What is
 * found good says who it is in a form that is fit for a path, and its key made it. */
#include "base/clock.h"
#include "http/hmac.h"
#include "http/jwt.h"
#include "http/paper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct keys keys;
static struct buf token, claims;
static unsigned long tokens, accepted, pages;

static void report(void)
{
    fprintf(stderr, "stat::jwt: %lu tokens, %lu accepted; %lu keys from paper\n", tokens, accepted,
            pages);
}

static void check(bool held)
{
    if (!held)
        abort();
}

static void add_base64(const void *p, size_t n)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *b = p;
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | b[i]) & 0xffff;
        for (held += 8; held >= 6; held -= 6)
            buf_addc(&token, alphabet[bits >> (held - 6) & 63]);
    }
    if (held)
        buf_addc(&token, alphabet[bits << (6 - held) & 63]);
}

static int judge(struct span s)
{
    struct err e = ERR_NONE;
    struct principal who;
    char why[JWT_WHY] = "";
    int rc = jwt_check(&keys, s, clock_build_ms() + 1000, &who, why, &e);

    tokens++;
    check(rc == 0 || rc == 1);
    if (!rc) {
        check(*why && strlen(why) < JWT_WHY && !*who.user_id);
        return rc;
    }
    accepted++;
    check(s.n <= JWT_MAX && user_id_ok(span_of(who.user_id)) && (unsigned)who.role < ROLES);
    check(who.expires_at > clock_build_ms() + 1000);
    buf_clear(&claims);
    check(!jwt_claims(s, &claims, &e));
    return rc;
}

/* A token of these two, signed as it has to be; and then with a bit of it turned. */
static void made_of(struct span header, struct span payload)
{
    uint8_t sum[HMAC_BYTES];
    struct span text;

    buf_clear(&token);
    add_base64(header.p, header.n);
    buf_addc(&token, '.');
    add_base64(payload.p, payload.n);
    text = buf_span(&token);
    hmac_of((struct span){(const char *)keys.key[0].secret, KEY_BYTES}, &text, 1, sum);
    buf_addc(&token, '.');
    add_base64(sum, sizeof sum);
    if (judge(buf_span(&token)) == 1) {
        token.data[token.len / 2] ^= 1;
        check(!judge(buf_span(&token)));
    }
}

static void paper(struct span s)
{
    uint8_t secret[KEY_BYTES], again[KEY_BYTES];
    char why[PAPER_WHY] = "", lines[PAPER_LINES][PAPER_LINE], page[128];

    if (paper_read(s, secret, why)) {
        check(*why != '\0');
        return;
    }
    pages++;
    paper_write(secret, lines);
    snprintf(page, sizeof page, "1:%s\n2:%s\n3:%s\n4:%s\n", lines[0], lines[1], lines[2], lines[3]);
    check(!paper_read(span_of(page), again, why) && !memcmp(secret, again, sizeof secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span whole = {(const char *)data, size}, header = SPAN("{\"alg\":\"HS256\"}"),
                      payload = SPAN("{\"user_id\":\"a\",\"role\":\"dr\",\"exp\":253402300799}");

    if (!keys.count) {
        keys.count = 1;
        memset(keys.key[0].secret, 'k', KEY_BYTES);
        keys_name(keys.key[0].secret, keys.key[0].kid);
        atexit(report);
    }
    judge(whole);
    made_of(header, whole);
    made_of(whole, payload);
    paper(whole);
    return 0;
}
