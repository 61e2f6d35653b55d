#include "http/pairing.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "http/hmac.h"
#include "http/secretfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of the file that are locked: one by who reads or writes it, and one by who
 * has a pairing open, which depends on its id, so that the next one need not wait
 * until the one before has gone. */
enum { LOCK_FILE = 0, LOCK_OPEN = 1 };

enum {
    TRY_WAIT_MS = 5000,
    LOOK_WAIT_MS = 100,
    RECORD = 640,
    SALT_TEXT = 33,
    MAC_TEXT = 2 * HMAC_BYTES + 1
};

#define SUFFIX  "pairing"
#define BEGINS  "lifeboat-pairing1"
#define CODES   1000000u
#define NO_NAME "-"

/* What the file has: one line of words, a digest at its end, and spaces up to a size that
 * does not change, so that it is written over in place and a torn one is noticed. */
struct record {
    char state[8]; /* open, paired, over */
    int tries_left;
    int64_t deadline_ms, token_ttl_ms;
    char boot[40];
    char id[PAIRING_ID], kid[KEY_ID];
    char salt[SALT_TEXT], mac[MAC_TEXT];
    char name[2 * PAIRING_NAME_MAX + 1]; /* in hex */
};

static void hex(const void *p, size_t n, char *out)
{
    const uint8_t *bytes = p;

    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* --- the file ----------------------------------------------------------- */

static int write_record(const struct lockfile *l, const struct record *r, struct err *e)
{
    char text[RECORD + 1], check[DIGEST_TEXT];
    int n = snprintf(text, sizeof text, BEGINS " %s %d %" PRId64 " %" PRId64 " %s %s %s %s %s %s ",
                     r->state, r->tries_left, r->deadline_ms, r->token_ttl_ms, r->boot, r->id,
                     r->kid, r->salt, r->mac, *r->name ? r->name : NO_NAME);
    ssize_t done;

    digest_text(hash_bytes(text, (size_t)n), check);
    n += snprintf(text + n, sizeof text - (size_t)n, "%s", check);
    memset(text + n, ' ', (size_t)(RECORD - n));
    text[RECORD - 1] = '\n';
    done = TEMP_FAILURE_RETRY(pwrite(l->fd, text, RECORD, 0));
    if (done >= 0 && done < RECORD) {
        errno = ENOSPC;
        done = -1;
    }
    if (done < 0 || fdatasync(l->fd))
        return err_sys(e, EX_IOERR, "unable to write %s", l->name);
    return 0;
}

/* 1; 0: nothing that can be used is in it. */
static int parse(const char *text, struct record *r)
{
    char check[DIGEST_TEXT], want[DIGEST_TEXT];
    int at = 0, end = 0;

    if (sscanf(text,
               BEGINS " %7[a-z] %d %" SCNd64 " %" SCNd64 " %39[0-9a-z-] %8[0-9a-f] %8[0-9a-f] "
                      "%32[0-9a-f] %64[0-9a-f] %128[0-9a-f-] %n%32[0-9a-f]%n",
               r->state, &r->tries_left, &r->deadline_ms, &r->token_ttl_ms, r->boot, r->id, r->kid,
               r->salt, r->mac, r->name, &at, check, &end) != 11 ||
        end - at != DIGEST_TEXT - 1)
        return 0;
    digest_text(hash_bytes(text, (size_t)at), want);
    if (!strcmp(r->name, NO_NAME))
        *r->name = '\0';
    return !strcmp(check, want);
}

static int read_record(const struct lockfile *l, struct record *r, struct err *e)
{
    char text[RECORD + 1];
    ssize_t n = TEMP_FAILURE_RETRY(pread(l->fd, text, RECORD, 0));

    *r = (struct record){0};
    if (n < 0)
        return err_sys(e, EX_IOERR, "unable to read %s", l->name);
    text[n] = '\0';
    return parse(text, r);
}

static int lock(struct lockfile *l, struct err *e)
{
    int rc = lockfile_take(l, LOCK_FILE, TRY_WAIT_MS, e);

    if (!rc)
        return err_set(e, EX_TEMPFAIL, "%s: others have it in use", l->name);
    return rc < 0 ? -1 : 0;
}

static int64_t open_byte(const char *id)
{
    return LOCK_OPEN + (int64_t)strtoul(id, NULL, 16);
}

/* Is a code still to be had, by who has it on his console? */
static int is_open(const struct lockfile *l, const struct record *r, struct err *e)
{
    const char *boot = clock_boot_name();

    if (!boot)
        return err_sys(e, EX_IOERR, "unable to read the id of this boot");
    return !strcmp(r->state, "open") && r->tries_left > 0 && !strcmp(r->boot, boot) &&
           r->deadline_ms > clock_boot_ms() && lockfile_taken(l, open_byte(r->id));
}

/* --- codes -------------------------------------------------------------- */

static void mac_of(const struct key *key, const struct record *r, const char *code,
                   uint8_t mac[HMAC_BYTES])
{
    const struct span parts[] = {
        SPAN("lifeboat pairing "), span_of(r->id), span_of(r->salt), {code, PAIRING_DIGITS}};

    hmac_of((struct span){(const char *)key->secret, KEY_BYTES}, parts, 4, mac);
}

/* Six digits, all as likely as any others. */
static int draw_code(char code[static PAIRING_DIGITS + 1], struct err *e)
{
    uint32_t n;

    do
        if (rng_bytes(&n, sizeof n, e))
            return -1;
    while (n >= UINT32_MAX / CODES * CODES);
    snprintf(code, PAIRING_DIGITS + 1, "%06u", (unsigned)(n % CODES));
    return 0;
}

/* Without what people put between the digits. 0, or -1: not six digits. */
static int clean_code(struct span given, char code[static PAIRING_DIGITS + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < given.n; i++) {
        char c = given.p[i];

        if (c == ' ' || c == '-')
            continue;
        if (c < '0' || c > '9' || n == PAIRING_DIGITS)
            return -1;
        code[n++] = c;
    }
    code[n] = '\0';
    return n == PAIRING_DIGITS ? 0 : -1;
}

/* --- on the console ----------------------------------------------------- */

static int draw(struct pairing *p, struct record *r, struct err *e)
{
    uint8_t id[(PAIRING_ID - 1) / 2], salt[(SALT_TEXT - 1) / 2];
    const char *boot = clock_boot_name();

    if (!boot)
        return err_sys(e, EX_IOERR, "unable to read the id of this boot");
    if (rng_bytes(id, sizeof id, e) || rng_bytes(salt, sizeof salt, e) || draw_code(p->code, e))
        return -1;
    hex(id, sizeof id, p->id);
    hex(salt, sizeof salt, r->salt);
    snprintf(r->id, sizeof r->id, "%s", p->id);
    snprintf(r->boot, sizeof r->boot, "%s", boot);
    return 0;
}

static int open_file(struct lockfile *l, const char *store, struct err *e)
{
    if (lockfile_open(l, store, SUFFIX, e))
        return -1;
    if (!secretfile_make(l->fd, l->name, store, e))
        return 0;
    lockfile_close(l);
    return -1;
}

static int write_new(struct pairing *p, const struct record *r, struct err *e)
{
    int rc;

    if (lock(&p->lock, e))
        return -1;
    rc = lockfile_take(&p->lock, open_byte(p->id), 0, e);
    if (!rc)
        rc = err_set(e, EX_TEMPFAIL, "%s: another pairing has this id: try again", p->lock.name);
    if (rc > 0)
        rc = write_record(&p->lock, r, e);
    lockfile_drop(&p->lock, LOCK_FILE);
    return rc < 0 ? -1 : 0;
}

int pairing_open(struct pairing *p, const char *store, const struct keys *k, int64_t ttl_ms,
                 int64_t token_ttl_ms, struct err *e)
{
    struct record r = {.state = "open", .tries_left = PAIRING_TRIES, .token_ttl_ms = token_ttl_ms};
    uint8_t mac[HMAC_BYTES];

    *p = (struct pairing){.lock.fd = -1};
    if (!k->count)
        return err_set(e, EX_NOINPUT, "no key to pair a tablet with");
    if (draw(p, &r, e) || open_file(&p->lock, store, e))
        return -1;
    r.deadline_ms = clock_boot_ms() + ttl_ms;
    memcpy(r.kid, k->key[0].kid, sizeof r.kid);
    mac_of(&k->key[0], &r, p->code, mac);
    hex(mac, sizeof mac, r.mac);
    if (!write_new(p, &r, e))
        return 0;
    lockfile_close(&p->lock);
    explicit_bzero(p->code, sizeof p->code);
    return -1;
}

static void read_name(const struct record *r, char name[static PAIRING_NAME_MAX + 1])
{
    size_t n = strlen(r->name) / 2;

    for (size_t i = 0; i < n; i++) {
        const char pair[] = {r->name[2 * i], r->name[2 * i + 1], '\0'};

        name[i] = (char)strtoul(pair, NULL, 16);
    }
    name[n] = '\0';
}

int pairing_look(struct pairing *p, struct pairing_view *v, struct err *e)
{
    struct record r;
    int rc = lockfile_take(&p->lock, LOCK_FILE, LOOK_WAIT_MS, e);

    if (rc <= 0)
        return rc;
    *v = (struct pairing_view){.state = PAIRING_OVER};
    rc = read_record(&p->lock, &r, e);
    lockfile_drop(&p->lock, LOCK_FILE);
    if (rc <= 0)
        return rc;
    if (strcmp(r.id, p->id)) {
        v->state = PAIRING_REPLACED;
        return 0;
    }
    v->tries_left = r.tries_left;
    v->left_ms = r.deadline_ms - clock_boot_ms();
    snprintf(v->user_id, sizeof v->user_id, "paired-%s", r.id);
    read_name(&r, v->device_name);
    if (!strcmp(r.state, "paired"))
        v->state = PAIRING_PAIRED;
    else if (!strcmp(r.state, "open") && v->left_ms > 0)
        v->state = PAIRING_OPEN;
    return 0;
}

void pairing_end(struct pairing *p)
{
    struct err e = ERR_NONE;
    struct record r;

    if (!p->lock.name)
        return;
    /* Should this fail, the lock that goes now ends the pairing all the same. */
    if (!lock(&p->lock, &e)) {
        if (read_record(&p->lock, &r, &e) == 1 && !strcmp(r.id, p->id) &&
            !strcmp(r.state, "open")) {
            snprintf(r.state, sizeof r.state, "over");
            write_record(&p->lock, &r, &e);
        }
        lockfile_drop(&p->lock, LOCK_FILE);
    }
    lockfile_close(&p->lock);
    explicit_bzero(p, sizeof *p);
    p->lock.fd = -1;
}

/* --- for the tablet ----------------------------------------------------- */

/* Is that the code? The record is as it has to be afterwards. */
static bool judge(struct record *r, const struct key *key, const char *code, struct span name)
{
    char want[MAC_TEXT];
    uint8_t mac[HMAC_BYTES];
    bool right;

    mac_of(key, r, code, mac);
    hex(mac, sizeof mac, want);
    right = strlen(r->mac) == sizeof want - 1 && hmac_same(want, r->mac, sizeof want - 1);
    r->tries_left--;
    if (right) {
        snprintf(r->state, sizeof r->state, "paired");
        hex(name.p, name.n < PAIRING_NAME_MAX ? name.n : PAIRING_NAME_MAX, r->name);
    } else if (!r->tries_left) {
        snprintf(r->state, sizeof r->state, "over");
    }
    return right;
}

static int try_locked(const struct lockfile *l, const struct keys *k, struct span given,
                      struct span name, struct pairing_answer *out, struct err *e)
{
    char code[PAIRING_DIGITS + 1];
    const struct key *key;
    struct record r;
    int rc = read_record(l, &r, e);
    bool right;

    if (rc == 1)
        rc = is_open(l, &r, e);
    if (rc <= 0)
        return rc;
    key = keys_find(k, r.kid);
    if (!key || key_is_retired(key, clock_now_ms()))
        return 0;
    out->result = PAIRING_WRONG;
    out->tries_left = r.tries_left;
    if (clean_code(given, code))
        return 0;
    right = judge(&r, key, code, name);
    if (write_record(l, &r, e))
        return -1;
    out->tries_left = r.tries_left;
    if (!right)
        return 0;
    out->result = PAIRING_YES;
    out->token_ttl_ms = r.token_ttl_ms;
    snprintf(out->user_id, sizeof out->user_id, "paired-%s", r.id);
    return 0;
}

/* Nobody who has no code to try gets a file made. */
static int is_there(const char *store, struct err *e)
{
    char *name;
    int rc;

    if (asprintf(&name, "%s-" SUFFIX, store) < 0)
        return err_memory(e);
    rc = access(name, F_OK) ? 0 : 1;
    if (!rc && errno != ENOENT && errno != ENOTDIR)
        rc = err_sys(e, EX_IOERR, "unable to look at %s", name);
    free(name);
    return rc;
}

int pairing_try(const char *store, const struct keys *k, struct span code, struct span name,
                struct pairing_answer *out, struct err *e)
{
    struct lockfile l;
    int rc = is_there(store, e);

    *out = (struct pairing_answer){.result = PAIRING_GONE};
    if (rc <= 0)
        return rc;
    if (lockfile_open(&l, store, SUFFIX, e))
        return -1;
    rc = secretfile_check(l.fd, l.name, store, e);
    if (!rc)
        rc = lock(&l, e);
    if (!rc) {
        rc = try_locked(&l, k, code, name, out, e);
        lockfile_drop(&l, LOCK_FILE);
    }
    lockfile_close(&l);
    return rc;
}
