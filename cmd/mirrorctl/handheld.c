/* handheld: its configuration, over ssh.
 *
 * What comes from there stands between a line with its SHA-256 and a line ".", so
 * that neither what a login shell prints before it, nor a stream that was cut, is
 * ever taken for it. */
#include "base/child.h"
#include "base/sha256.h"
#include "mirrorctl/mirrorctl.h"
#include "text/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGINS "mirrorctl-config "

enum { TEXT_MAX = 1 << 20, ARGUMENTS = 40, SSH_FAILED = 255 };

/* Both for a POSIX shell, in one line and without single quotes or "!", since the
 * login shell that hands them on may be any. $1 is the path. */
#define SEE                                                                                        \
    "command -v sha256sum >/dev/null || { echo \"sha256sum is missing there\" >&2; exit 69; }; "   \
    "f=$(readlink -f \"$1\") && [ -f \"$f\" ] || "                                                 \
    "{ echo \"$1: no such file, or its folder is closed to $(id -un)\" >&2; exit 66; }; "          \
    "[ -r \"$f\" ] || { echo \"$f: $(id -un) may not read it\" >&2; exit 77; }; "                  \
    "sum() { set -- $(sha256sum <\"$1\"); echo \"$1\"; }; "                                        \
    "show() { echo \"" BEGINS "$(sum \"$f\")\" && cat \"$f\" && echo .; }; "

/* A push that may still be at work there, behind a connection that is lost, finds nothing
 * to rename any more. */
#define STOP "rm -f \"$f\".mirrorctl.??????; "

/* $2 is the hash of what it must be, $3 of what comes on stdin. The new file is whole
 * and on the disk before it has the name; it takes mode and owner from the old one. */
#define PUT                                                                                        \
    "umask 077; d=${f%/*}/; "                                                                      \
    "[ -w \"$d\" ] || { echo \"$d: $(id -un) may not write there\" >&2; exit 77; }; "              \
    "rm -f \"$f\".mirrorctl.??????; t=$(mktemp \"$f.mirrorctl.XXXXXX\") || exit 74; "              \
    "trap \"rm -f \\\"\\$t\\\"\" EXIT; trap \"exit 129\" HUP INT TERM PIPE; "                      \
    "cp -p \"$f\" \"$t\" && cat >\"$t\" || exit 74; "                                              \
    "[ \"$(sum \"$t\")\" = \"$3\" ] || { echo \"it did not arrive whole\" >&2; exit 74; }; "       \
    "[ \"$(stat -c %u:%g:%a \"$f\")\" = \"$(stat -c %u:%g:%a \"$t\")\" ] || "                      \
    "{ echo \"$f: $(id -un) may not keep its owner and mode\" >&2; exit 77; }; "                   \
    "sync \"$t\" || exit 74; "                                                                     \
    "[ \"$(sum \"$f\")\" = \"$2\" ] || { echo \"$f: somebody changed it meanwhile\" >&2; "         \
    "exit 75; }; "                                                                                 \
    "mv -f \"$t\" \"$f\" || exit 74; trap - EXIT; sync \"$d\" && show || exit 71"

/* --- ssh -------------------------------------------------------------------- */

struct talk {
    struct span input;
    struct buf answer;
    char hash[SHA256_TEXT]; /* that it named */
    bool began;
};

struct ssh {
    char *argv[ARGUMENTS];
    size_t n;
    char port[16];
    char *known_hosts, *identity;
    struct buf command;
};

const char *handheld_name(void)
{
    static char name[512];

    snprintf(name, sizeof name, "%.64s@%.255s:%.160s", conf.ssh_user, conf.pi_zero_host,
             conf.config_path);
    return name;
}

static void add(struct ssh *s, const char *argument)
{
    s->argv[s->n++] = (char *)(uintptr_t)argument;
}

static void add_option(struct ssh *s, const char *option)
{
    add(s, "-o");
    add(s, option);
}

/* A word for a shell, in single quotes. */
static int quote(const char *word, struct buf *out)
{
    if (buf_addc(out, '\''))
        return -1;
    for (; *word; word++)
        if (*word == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, *word))
            return -1;
    return buf_addc(out, '\'');
}

static int put_command(const char *script, const char *const *words, struct buf *out)
{
    if (buf_adds(out, "exec sh -c ") || quote(script, out) || buf_adds(out, " mirrorctl"))
        return -1;
    for (; *words; words++)
        if (buf_addc(out, ' ') || quote(*words, out))
            return -1;
    return buf_term(out);
}

/* No shared connection: its master would keep our pipes open. */
static int arguments(struct ssh *s, const char *script, const char *const *words)
{
    static const char *const always[] = {
        "BatchMode=yes",           "ConnectTimeout=5",      "ConnectionAttempts=1",
        "ServerAliveInterval=5",   "ServerAliveCountMax=2", "StrictHostKeyChecking=yes",
        "ClearAllForwardings=yes", "ForwardAgent=no",       "ForwardX11=no",
        "ControlMaster=no",        "ControlPath=none",      "LogLevel=ERROR"};

    add(s, "ssh");
    add(s, "-T");
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add_option(s, always[i]);
    if (conf.ssh_port) {
        snprintf(s->port, sizeof s->port, "%d", (int)conf.ssh_port);
        add(s, "-p");
        add(s, s->port);
    }
    if (conf.identity_file) {
        add_option(s, "IdentitiesOnly=yes");
        if (asprintf(&s->identity, "IdentityFile=\"%s\"", conf.identity_file) < 0) {
            s->identity = NULL;
            return -1;
        }
        add_option(s, s->identity);
    }
    if (conf.known_hosts_file) {
        if (asprintf(&s->known_hosts, "UserKnownHostsFile=\"%s\"", conf.known_hosts_file) < 0) {
            s->known_hosts = NULL;
            return -1;
        }
        add_option(s, s->known_hosts);
    }
    if (put_command(script, words, &s->command))
        return -1;
    add(s, "-l");
    add(s, conf.ssh_user);
    add(s, "--");
    add(s, conf.pi_zero_host);
    add(s, s->command.data);
    return 0;
}

/* --- why it failed ----------------------------------------------------------- */

static bool says(const struct child *c, const char *text)
{
    return strcasestr(c->complaint, text) || strcasestr(c->last_words, text);
}

static int not_let_in(const struct child *c, struct err *e)
{
    return err_set(e, EX_NOPERM,
                   "%s@%s: it does not accept our key; put the public key of %s into "
                   "~%s/.ssh/authorized_keys there (ssh-copy-id) (ssh: %s)",
                   conf.ssh_user, conf.pi_zero_host,
                   conf.identity_file ? conf.identity_file : "this user", conf.ssh_user,
                   c->last_words);
}

static int not_known(const struct child *c, struct err *e)
{
    if (says(c, "@@@@"))
        return err_set(e, EX_PROTOCOL,
                       "%s: its host key is not the one we know: it was set up anew, or something "
                       "else answers at its address. Compare ssh-keygen -lf "
                       "/etc/ssh/ssh_host_ed25519_key.pub on the device itself; if it is new, "
                       "ssh-keygen -R HOST here and connect once by hand",
                       conf.pi_zero_host);
    return err_set(e, EX_PROTOCOL,
                   "%s: its host key is not known here; connect once by hand as this user and "
                   "compare the key with the device's own: ssh %s@%s (ssh: %s)",
                   conf.pi_zero_host, conf.ssh_user, conf.pi_zero_host, c->complaint);
}

static int not_reached(const struct child *c, struct err *e)
{
    const char *why = "is it on and in this network?";

    if (says(c, "resolve hostname"))
        why = "its name is not known here; is it on, and does the name service (mDNS, for .local) "
              "answer?";
    else if (says(c, "refused"))
        why = "it is there, but no sshd listens at this port; on the device: systemctl enable "
              "--now ssh";
    else if (says(c, "timed out") || c->timed_out)
        why = "no answer in time; is it on, charged, and in this network?";
    return err_set(e, EX_UNAVAILABLE, "%s: not reached: %s (ssh: %s)", conf.pi_zero_host, why,
                   c->timed_out       ? "ended, it took too long"
                   : c->last_words[0] ? c->last_words
                                      : "no word of why");
}

static int ssh_fault(const struct child *c, struct err *e)
{
    if (says(c, "permission denied") || says(c, "too many authentication failures"))
        return not_let_in(c, e);
    if (says(c, "host key verification failed"))
        return not_known(c, e);
    return not_reached(c, e);
}

/* With these the script says that the handheld is as it was. Any other may be that of a
 * signal, which ended ssh or the script at any point. */
static bool is_known(int status)
{
    static const int known[] = {EX_NOINPUT, EX_UNAVAILABLE, EX_IOERR, EX_TEMPFAIL, EX_NOPERM};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (status == known[i])
            return true;
    return false;
}

static int script_fault(const struct child *c, struct err *e)
{
    const char *why = c->complaint[0] ? c->complaint : "it does not say why";

    if (is_known(c->status))
        return err_set(e, c->status, "%s: %s%s", handheld_name(), why,
                       c->status == EX_IOERR      ? " (left as it was; is its disk full?)"
                       : c->status == EX_TEMPFAIL ? "; left as it is, try again"
                                                  : "");
    return err_set(e, EX_UNAVAILABLE, "%s: the script there ended with status %d: %s",
                   handheld_name(), c->status, why);
}

/* --- talking ------------------------------------------------------------------ */

static int feed(void *ctx, struct buf *out, struct err *e)
{
    const struct talk *t = ctx;

    return buf_add(out, t->input.p, t->input.n) ? err_memory(e) : 0;
}

static int take(void *ctx, struct span line, struct err *e)
{
    struct talk *t = ctx;
    size_t head = sizeof BEGINS - 1;

    if (!t->began) {
        if (line.n == head + SHA256_TEXT - 1 && !memcmp(line.p, BEGINS, head)) {
            snprintf(t->hash, sizeof t->hash, "%.*s", SHA256_TEXT - 1, line.p + head);
            t->began = true;
        }
        return 0;
    }
    if (t->answer.len + line.n > TEXT_MAX)
        return err_set(e, EX_DATAERR, "%s: longer than %d bytes", handheld_name(), TEXT_MAX);
    return buf_add(&t->answer, line.p, line.n) || buf_addc(&t->answer, '\n') ? err_memory(e) : 0;
}

static int hash_of(struct span text, char out[SHA256_TEXT], struct err *e)
{
    struct sha256 h = {0};

    return sha256_add(&h, text.p, text.n) || sha256_text(&h, out) ? err_memory(e) : 0;
}

/* Takes the "." off; is what remains what it says it is? */
static int unwrap(struct talk *t, struct err *e)
{
    char hash[SHA256_TEXT];
    struct buf *b = &t->answer;

    if (!t->began || b->len < 2 || memcmp(b->data + b->len - 2, ".\n", 2) != 0)
        return err_set(e, EX_PROTOCOL, "%s: the answer is not whole; does %s have a shell there?",
                       handheld_name(), conf.ssh_user);
    b->len -= 2;
    if (hash_of(buf_span(b), hash, e))
        return -1;
    if (strcmp(hash, t->hash) != 0)
        return err_set(e, EX_TEMPFAIL, "%s: it changed while it was read; try again",
                       handheld_name());
    return 0;
}

/* Why ssh ended as it did. -1: the script says that nothing was changed; 1: who knows. */
static int judge(const struct child *c, struct err *e)
{
    if (c->timed_out || c->status == SSH_FAILED) {
        ssh_fault(c, e);
        return 1;
    }
    script_fault(c, e);
    return is_known(c->status) ? -1 : 1;
}

/* 0; -1; 1: something may have been changed there. */
static int talk(struct talk *t, const char *script, const char *const *words, int64_t limit_ms,
                struct err *e)
{
    struct ssh s = {0};
    struct child c = {.argv = s.argv, .ctx = t, .line = take, .limit_ms = limit_ms};
    int rc;

    c.feed = t->input.p ? feed : NULL;
    if (arguments(&s, script, words)) {
        rc = err_memory(e);
    } else {
        rc = child_run(&c, e);
        if (rc > 0)
            rc = judge(&c, e);
        else if (rc || unwrap(t, e))
            rc = 1;
    }
    free(s.known_hosts);
    free(s.identity);
    buf_free(&s.command);
    return rc;
}

static int read_by(const char *script, int64_t limit_ms, struct buf *text, struct err *e)
{
    const char *const words[] = {conf.config_path, NULL};
    struct talk t = {0};
    int rc = talk(&t, script, words, limit_ms, e);

    buf_free(text);
    if (rc)
        buf_free(&t.answer);
    *text = t.answer;
    return rc ? -1 : 0;
}

int handheld_read(int64_t limit_ms, struct buf *text, struct err *e)
{
    return read_by(SEE "show", limit_ms, text, e);
}

static int same(const struct buf *a, struct span b)
{
    return span_eq(buf_span(a), b);
}

/* The connection was lost on the way: what is there now? */
static int look_again(struct span old, struct span text, struct err *e)
{
    struct buf now = {0};
    struct err own = ERR_NONE;
    int rc = 1;

    if (!read_by(SEE STOP "show", conf.timeout, &now, &own))
        rc = same(&now, text) ? 0 : same(&now, old) ? -1 : 1;
    buf_free(&now);
    if (rc > 0) {
        char why[sizeof e->msg];

        snprintf(why, sizeof why, "%s", e->msg);
        err_set(e, e->status, "%.700s; whether it has been changed is not known", why);
    }
    return rc;
}

int handheld_write(struct span old, struct span text, struct err *e)
{
    char before[SHA256_TEXT], after[SHA256_TEXT];
    const char *const words[] = {conf.config_path, before, after, NULL};
    struct talk t = {.input = text};
    int rc;

    if (hash_of(old, before, e) || hash_of(text, after, e))
        return -1;
    rc = talk(&t, SEE PUT, words, conf.timeout, e);
    if (!rc && !same(&t.answer, text)) {
        err_set(e, EX_PROTOCOL, "%s: read back, it is not what was written", handheld_name());
        rc = 1;
    }
    buf_free(&t.answer);
    return rc > 0 ? look_again(old, text, e) : rc;
}

/* --- what is in it -------------------------------------------------------------- */

static int bad_text(struct span text, const char *why, size_t offset, struct err *e)
{
    int line = 1;

    if (why == json_no_memory)
        return err_memory(e);
    for (size_t i = 0; i < offset && i < text.n; i++)
        line += text.p[i] == '\n';
    return err_set(e, EX_DATAERR, "%s: line %d: %s; mend it there", handheld_name(), line, why);
}

static int find(struct span text, struct span name, struct edit *m, struct err *e)
{
    size_t offset;
    const char *why = edit_find(text, name, m, &offset);

    return why ? bad_text(text, why, offset, e) : 0;
}

int handheld_member(struct span text, struct span name, struct json_value *v, struct err *e)
{
    struct edit m;

    if (find(text, name, &m, e))
        return -1;
    *v = m.value;
    return m.there;
}

/* --- pushing --------------------------------------------------------------------- */

static int change(struct span text, struct span name, struct span value, struct buf *out,
                  struct err *e)
{
    struct edit m;

    buf_clear(out);
    if (find(text, name, &m, e))
        return -1;
    if (value.p ? edit_set(&m, value, out) : edit_remove(&m, out))
        return err_memory(e);
    return 0;
}

static int write_change(struct push *p, struct err *e)
{
    int rc;

    if (same(&p->before, buf_span(&p->after)))
        return 0;
    rc = handheld_write(buf_span(&p->before), buf_span(&p->after), e);
    p->done = rc >= 0;
    return rc ? -1 : 0;
}

int push_mode(struct push *p, bool on, bool without_endpoint, struct err *e)
{
    struct span word = on ? SPAN("true") : SPAN("false");
    struct buf moded = {0};
    int rc;

    if (without_endpoint)
        rc = change(buf_span(&p->before), SPAN("mirror_mode"), word, &moded, e) ||
                     change(buf_span(&moded), SPAN("mirror_endpoint"), (struct span){NULL, 0},
                            &p->after, e)
                 ? -1
                 : 0;
    else
        rc = change(buf_span(&p->before), SPAN("mirror_mode"), word, &p->after, e);
    buf_free(&moded);
    return rc ? -1 : write_change(p, e);
}

/* What somebody else changed since then stays. */
static int undo_in(struct push *p, struct buf *now, struct err *e)
{
    struct json_value was;
    struct buf text = {0};
    int rc;

    if (same(now, buf_span(&p->before)))
        return 0;
    if (same(now, buf_span(&p->after)))
        return handheld_write(buf_span(now), buf_span(&p->before), e) ? -1 : 0;
    rc = handheld_member(buf_span(&p->before), SPAN("mirror_mode"), &was, e);
    if (rc >= 0)
        rc = change(buf_span(now), SPAN("mirror_mode"), rc ? was.raw : (struct span){NULL, 0},
                    &text, e);
    if (!rc && !same(now, buf_span(&text)))
        rc = handheld_write(buf_span(now), buf_span(&text), e) ? -1 : 0;
    buf_free(&text);
    return rc;
}

int push_undo(struct push *p, struct err *e)
{
    struct buf now = {0};
    int rc;

    if (!p->done)
        return 0;
    rc = read_by(SEE STOP "show", conf.timeout, &now, e);
    if (!rc)
        rc = undo_in(p, &now, e);
    buf_free(&now);
    return rc;
}

void push_free(struct push *p)
{
    buf_free(&p->before);
    buf_free(&p->after);
}
