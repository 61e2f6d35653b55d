#include "http/keys.h"

#include "base/clock.h"
#include "base/rng.h"
#include "base/stop.h"
#include "base/whole.h"
#include "http/hmac.h"
#include "http/secretfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* A line has at most 8 + 1 + 64 + 2 * (1 + 19) + 1 bytes. */
enum { FILE_SIZE_MAX = 1024, TIME_MAX_DIGITS = 15 };

/* LeakSanitizer stops the program with ptrace, which this would forbid. */
#if defined(__SANITIZE_ADDRESS__)
#define MAY_BE_TRACED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_BE_TRACED 1
#endif
#endif

void secrets_guard(void)
{
    static const struct rlimit none = {0, 0};

    /* The limit is not asked where cores go to a program (core(5)). */
    setrlimit(RLIMIT_CORE, &none);
#ifndef MAY_BE_TRACED
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* --- keys --------------------------------------------------------------- */

void keys_wipe(struct keys *k)
{
    explicit_bzero(k, sizeof *k);
}

const struct key *keys_find(const struct keys *k, const char *kid)
{
    for (int i = 0; i < k->count; i++)
        if (!*kid || !strcmp(k->key[i].kid, kid))
            return &k->key[i];
    return NULL;
}

int64_t keys_now(int64_t now_ms)
{
    return now_ms < clock_build_ms() ? clock_build_ms() : now_ms;
}

bool key_is_retired(const struct key *key, int64_t now_ms)
{
    return key->retires_at && key->retires_at <= keys_now(now_ms);
}

void keys_name(const uint8_t secret[static KEY_BYTES], char kid[static KEY_ID])
{
    const struct span what = SPAN("lifeboat kid");
    uint8_t sum[HMAC_BYTES];

    hmac_of((struct span){(const char *)secret, KEY_BYTES}, &what, 1, sum);
    snprintf(kid, KEY_ID, "%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3]);
}

/* --- reading ------------------------------------------------------------ */

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The word at *at, of *n bytes or as long as it is (0), and the space behind it, which
 * has to be followed by another. NULL: there is none such. */
static const char *take_word(const char **at, size_t *n)
{
    const char *word = *at;
    size_t length = strcspn(word, " ");

    if (!length || (*n && length != *n) || (word[length] == ' ' && !word[length + 1]))
        return NULL;
    *n = length;
    *at = word + length + (word[length] == ' ');
    return word;
}

static int take_time(const char **at, int64_t *ms)
{
    size_t n = 0;
    const char *word = take_word(at, &n);

    if (!word || n > TIME_MAX_DIGITS || strspn(word, "0123456789") != n)
        return -1;
    *ms = strtoll(word, NULL, 10);
    return 0;
}

static int parse_line(const char *line, struct key *key)
{
    size_t id = KEY_ID - 1, digits = (size_t)2 * KEY_BYTES;
    const char *kid = take_word(&line, &id), *secret = kid ? take_word(&line, &digits) : NULL;

    *key = (struct key){0};
    if (!secret || take_time(&line, &key->made_at) ||
        (*line && (take_time(&line, &key->retires_at) || !key->retires_at || *line)))
        return -1;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = hex_of(secret[2 * i]), low = hex_of(secret[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        key->secret[i] = (uint8_t)(high << 4 | low);
    }
    keys_name(key->secret, key->kid);
    return strncmp(kid, key->kid, id) ? -1 : 0;
}

/* Of the first key there is no end, of the second one there is. */
static int parse(struct keys *k, char *text, const char *path, struct err *e)
{
    char *line = text, *end;

    *k = (struct keys){0};
    for (int number = 1; (end = strchr(line, '\n')); line = end + 1, number++) {
        *end = '\0';
        if (number > KEYS_MAX || parse_line(line, &k->key[k->count++]) ||
            (number > 1) != (k->key[number - 1].retires_at > 0) ||
            (number > 1 && !strcmp(k->key[0].kid, k->key[1].kid)))
            return err_set(e, EX_CONFIG, "%s:%d: not a key as lifeboat-token writes it", path,
                           number);
    }
    if (*line || !k->count)
        return err_set(e, EX_CONFIG, "%s: %s", path, *line ? "its end is missing" : "no key in it");
    return 0;
}

static int read_from(struct keys *k, int fd, const char *path, const char *store, struct err *e)
{
    char text[FILE_SIZE_MAX + 1];
    size_t n = 0;
    ssize_t got = 1;
    int rc;

    if (secretfile_check(fd, path, store, e))
        return -1;
    while (got > 0 && n < FILE_SIZE_MAX) {
        got = TEMP_FAILURE_RETRY(read(fd, text + n, FILE_SIZE_MAX - n));
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
    if (got < 0)
        rc = err_sys(e, EX_IOERR, "unable to read %s", path);
    else if (n == FILE_SIZE_MAX || strlen(text) != n)
        rc = err_set(e, EX_CONFIG, "%s: not a file of keys", path);
    else
        rc = parse(k, text, path, e);
    explicit_bzero(text, sizeof text);
    if (rc)
        keys_wipe(k);
    return rc;
}

int keys_load(struct keys *k, const char *path, const char *store, struct err *e)
{
    /* Neither a link nor a FIFO is a file that nobody else has his hand on. */
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    int rc;

    *k = (struct keys){0};
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 && errno == ELOOP)
        return err_set(e, EX_NOPERM, "%s: a symbolic link: wants the file itself", path);
    if (fd < 0)
        return err_sys(e, EX_NOPERM, "unable to open the key %s", path);
    rc = read_from(k, fd, path, store, e);
    close(fd);
    return rc ? -1 : 1;
}

/* --- writing ------------------------------------------------------------ */

static int print_keys(const struct keys *k, char text[static FILE_SIZE_MAX])
{
    int n = 0;

    for (int i = 0; i < k->count; i++) {
        const struct key *key = &k->key[i];

        n += snprintf(text + n, (size_t)(FILE_SIZE_MAX - n), "%s ", key->kid);
        for (int b = 0; b < KEY_BYTES; b++)
            n += snprintf(text + n, (size_t)(FILE_SIZE_MAX - n), "%02x", key->secret[b]);
        n += snprintf(text + n, (size_t)(FILE_SIZE_MAX - n), " %" PRId64, key->made_at);
        if (key->retires_at)
            n += snprintf(text + n, (size_t)(FILE_SIZE_MAX - n), " %" PRId64, key->retires_at);
        n += snprintf(text + n, (size_t)(FILE_SIZE_MAX - n), "\n");
    }
    return n;
}

static int fill(int fd, const struct keys *k, const char *name, const char *store, struct err *e)
{
    char text[FILE_SIZE_MAX];
    int n = print_keys(k, text), rc = secretfile_make(fd, name, store, e);

    if (!rc && (whole_write(fd, text, (size_t)n) || fsync(fd)))
        rc = err_sys(e, EX_IOERR, "unable to write %s", name);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* Written aside and put in place, by who has the lock on the folder. */
static int write_aside(const struct keys *k, const char *path, const char *aside, int folder,
                       const char *store, struct err *e)
{
    int fd, rc;

    if (unlink(aside) && errno != ENOENT) /* of one who was killed */
        return err_sys(e, EX_CANTCREAT, "unable to remove %s", aside);
    fd = (int)TEMP_FAILURE_RETRY(open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0)
        return err_sys(e, EX_CANTCREAT, "unable to make %s", aside);
    rc = fill(fd, k, aside, store, e);
    if (close(fd) && !rc)
        rc = err_sys(e, EX_IOERR, "unable to write %s", aside);
    if (!rc && rename(aside, path))
        rc = err_sys(e, EX_CANTCREAT, "unable to put %s in place", path);
    if (rc)
        unlink(aside);
    else if (fsync(folder))
        rc = err_sys(e, EX_IOERR, "unable to sync the folder of %s", path);
    return rc;
}

static int replace_file(const struct keys *k, const char *path, int folder, const char *store,
                        struct err *e)
{
    char *aside;
    int rc;

    if (asprintf(&aside, "%s.new", path) < 0)
        return err_memory(e);
    rc = write_aside(k, path, aside, folder, store, e);
    free(aside);
    return rc;
}

/* The folder, locked; -1. */
static int lock_folder(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *name = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd, rc;

    if (!name)
        return err_memory(e);
    fd = (int)TEMP_FAILURE_RETRY(open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) {
        err_sys(e, EX_CANTCREAT, "unable to open the folder of %s", path);
        free(name);
        return -1;
    }
    free(name);
    do
        rc = flock(fd, LOCK_EX);
    while (rc && errno == EINTR && !stop_signal());
    if (!rc)
        return fd;
    if (stop_signal())
        err_set(e, EX_TEMPFAIL, "stopped");
    else
        err_sys(e, EX_IOERR, "unable to lock the folder of %s", path);
    close(fd);
    return -1;
}

static int new_key(struct key *key, int64_t now_ms, struct err *e)
{
    *key = (struct key){.made_at = now_ms};
    if (rng_bytes(key->secret, sizeof key->secret, e))
        return -1;
    keys_name(key->secret, key->kid);
    return 0;
}

/* What a change makes of the keys there are: 1: they are to be written; 0: they are not. */
struct change {
    int64_t now_ms, keep_ms;
    const uint8_t *secret; /* to be imported */
    bool make, replace;
    const char *path;
};

/* Puts a key before the one that is current. */
static void push(struct keys *k, const struct key *key, const struct change *c)
{
    if (k->count) {
        k->key[1] = k->key[0];
        k->key[1].retires_at = keys_now(c->now_ms) + c->keep_ms;
    }
    k->count += k->count < KEYS_MAX;
    k->key[0] = *key;
}

static int apply(struct keys *k, const struct change *c, struct err *e)
{
    struct key key = {.made_at = c->now_ms};
    int rc = 1;

    if (c->make && k->count)
        return 0;
    if (!c->make && !c->secret && !k->count)
        return err_set(e, EX_NOINPUT, "%s: no such key (lifeboat-token key makes one)", c->path);
    if (c->secret) {
        memcpy(key.secret, c->secret, KEY_BYTES);
        keys_name(key.secret, key.kid);
        if (k->count && !strcmp(key.kid, k->key[0].kid))
            rc = 0;
        else if (k->count && !c->replace)
            rc = err_set(e, EX_CANTCREAT,
                         "%s: has another key, %s, not %s: --replace puts this one before it",
                         c->path, k->key[0].kid, key.kid);
    } else if (new_key(&key, c->now_ms, e)) {
        rc = -1;
    }
    if (rc == 1)
        push(k, &key, c);
    explicit_bzero(&key, sizeof key);
    return rc;
}

static int change(struct keys *k, const struct change *c, const char *store, struct err *e)
{
    int folder = lock_folder(c->path, e), rc;

    *k = (struct keys){0};
    if (folder < 0)
        return -1;
    rc = keys_load(k, c->path, store, e) < 0 ? -1 : apply(k, c, e);
    if (rc == 1 && replace_file(k, c->path, folder, store, e))
        rc = -1;
    if (rc < 0)
        keys_wipe(k);
    close(folder);
    return rc;
}

int keys_make(struct keys *k, const char *path, const char *store, int64_t now_ms, struct err *e)
{
    const struct change c = {.now_ms = now_ms, .make = true, .path = path};

    return change(k, &c, store, e);
}

int keys_rotate(struct keys *k, const char *path, const char *store, int64_t now_ms,
                int64_t keep_ms, struct err *e)
{
    const struct change c = {.now_ms = now_ms, .keep_ms = keep_ms, .path = path};

    return change(k, &c, store, e) < 0 ? -1 : 0;
}

int keys_import(struct keys *k, const uint8_t secret[static KEY_BYTES], const char *path,
                const char *store, int64_t now_ms, bool replace, int64_t keep_ms, struct err *e)
{
    const struct change c = {
        .now_ms = now_ms, .keep_ms = keep_ms, .secret = secret, .replace = replace, .path = path};

    return change(k, &c, store, e);
}
