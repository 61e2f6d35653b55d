#include "core/post.h"

#include "base/clock.h"
#include "base/rng.h"
#include "base/stop.h"
#include "base/whole.h"
#include "text/json.h"
#include "text/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* PATIENCE: curl ends by its own limits; one that
 * hangs beyond them (in a look-up of a name, for instance) is killed. */
enum { BLOCK = 16384, PATIENCE_MS = 10000, SECRET_MIN = 6 };

/* curl's exit codes, those that need a name. */
enum { CURL_NO_MEMORY = 27, CURL_HTTP_ERROR = 22, CURL_REDIRECTED = 47, CURL_RECEIVE = 56 };

/* --- what an answer means ----------------------------------------------- */

/* What no later attempt can mend: the options, the URL, a file of certificates. */
static bool wrong_here(int curl)
{
    static const int codes[] = {1,  2,  3,  4,  23, 26, CURL_NO_MEMORY, 41, 43, 48, 53,
                                54, 58, 59, 66, 77, 82};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (curl == codes[i])
            return true;
    return false;
}

static enum post_verdict of_status(int http)
{
    switch (http) {
    case 401:
    case 404:
    case 405:
    case 407:
        return POST_PAUSE;
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504:
        return POST_ENDPOINT;
    default:
        break;
    }
    if (http >= 200 && http < 300)
        return POST_SENT;
    if (http >= 300 && http < 400)
        return POST_PAUSE;
    return http >= 400 ? POST_REFUSED : POST_ENDPOINT;
}

/* curl's exit comes first: a transfer that timed out may have a status of 200. */
int post_judge(int curl, int http, int connect)
{
    if (curl == CURL_RECEIVE && connect == 407)
        return POST_PAUSE;
    if (wrong_here(curl))
        return -1;
    if (curl == CURL_HTTP_ERROR || curl == CURL_REDIRECTED) {
        enum post_verdict v = of_status(http);

        return v == POST_SENT ? POST_ENDPOINT : (int)v;
    }
    return curl ? POST_ENDPOINT : (int)of_status(http);
}

static int read_date(struct span s, time_t *out)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    char text[64];

    if (!s.n || s.n >= sizeof text)
        return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);

        if (end && !*end) {
            *out = timegm(&tm);
            return 0;
        }
    }
    return -1;
}

int64_t post_retry_after_ms(struct span value, struct span date, int64_t now_ms)
{
    time_t then, now = (time_t)(now_ms / 1000);
    int64_t s = 0;
    size_t i = 0;

    for (; i < value.n && value.p[i] >= '0' && value.p[i] <= '9'; i++)
        if (s <= POST_RETRY_AFTER_MAX_MS)
            s = 10 * s + (value.p[i] - '0');
    if (!value.n || i < value.n) {
        if (read_date(value, &then))
            return -1;
        read_date(date, &now);
        s = then > now ? (int64_t)then - now : 0;
    }
    return s < POST_RETRY_AFTER_MAX_MS / 1000 ? 1000 * s : POST_RETRY_AFTER_MAX_MS;
}

/* --- requests ----------------------------------------------------------- */

void post_open(struct post *p, const struct post_target *t, int keep)
{
    *p = (struct post){.target = t, .keep = keep};
}

void post_clear(struct post *p)
{
    for (size_t i = 0; i < p->count; i++) {
        close(p->bodies[i]);
        buf_free(&p->answers[i].body);
    }
    p->count = 0;
    p->bytes = 0;
    buf_clear(&p->config);
}

void post_close(struct post *p)
{
    post_clear(p);
    free(p->bodies);
    free(p->answers);
    buf_free(&p->config);
    buf_free(&p->lines);
    buf_free(&p->shown);
    *p = (struct post){0};
}

/* A file in memory, read from its start. */
static int in_memory(struct span text, struct err *e)
{
    int fd = memfd_create("lifeboat-post", MFD_CLOEXEC);

    if (fd >= 0 && whole_write(fd, text.p, text.n)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        if (fd >= 0)
            close(fd);
        return err_sys(e, EX_TEMPFAIL, "unable to keep a request in memory");
    }
    return fd;
}

static int grow(struct post *p, struct err *e)
{
    size_t cap = p->cap ? 2 * p->cap : 32;
    struct post_answer *answers;
    int *bodies;

    if (p->count < p->cap)
        return 0;
    bodies = realloc(p->bodies, cap * sizeof *bodies);
    if (bodies)
        p->bodies = bodies;
    answers = realloc(p->answers, cap * sizeof *answers);
    if (answers)
        p->answers = answers;
    if (!bodies || !answers)
        return err_memory(e);
    p->cap = cap;
    return 0;
}

/* A line of curl's configuration: name = "text", or the name alone. */
static int option(struct buf *b, const char *name, const char *text)
{
    if (buf_adds(b, name) || (text && buf_adds(b, " = \"")))
        return -1;
    for (; text && *text; text++)
        if (((*text == '"' || *text == '\\') && buf_addc(b, '\\')) || buf_addc(b, *text))
            return -1;
    return buf_adds(b, text ? "\"\n" : "\n");
}

static int option_file(struct buf *b, const char *name, const char *file)
{
    return file ? option(b, name, file) : 0;
}

static int seconds(struct buf *b, const char *name, int64_t ms)
{
    return buf_printf(b, "%s = %lld.%03lld\n", name, (long long)(ms / 1000),
                      (long long)(ms % 1000));
}

static int headers(struct post *p, struct span key, const char *own)
{
    const struct post_target *t = p->target;
    struct buf line = {0}, *b = &p->config;
    int rc;

    rc = buf_adds(&line, "Idempotency-Key: ") || buf_add(&line, key.p, key.n) || buf_term(&line) ||
         option(b, "header", line.data);
    if (!rc && t->token) {
        buf_clear(&line);
        rc = buf_adds(&line, "Authorization: Bearer ") || buf_adds(&line, t->token) ||
             buf_term(&line) || option(b, "header", line.data);
    }
    for (char *const *h = t->headers; !rc && h && *h; h++)
        rc = option(b, "header", *h);
    if (!rc && own)
        rc = option(b, "header", own);
    buf_free(&line);
    return rc;
}

/* Redirects are not followed but are failures, which is what -L with none
 * allowed says: nothing may be sent behind one. Without "Expect:" curl would
 * wait a second before each large body. */
static int describe(struct post *p, const char *url, struct span key, const char *header, int body)
{
    struct buf *b = &p->config;
    const struct post_target *t = p->target;

    if (p->count && buf_adds(b, "next\n"))
        return -1;
    return option(b, "url", url) || option(b, "request", t->method) ||
           buf_adds(b, "globoff\nsilent\nfail-with-body\nlocation\nmax-redirs = 0\n"
                       "proto = \"=http,https\"\nheader = \"Expect:\"\n") ||
           headers(p, key, header) || seconds(b, "max-time", t->timeout_ms) ||
           seconds(b, "connect-timeout", t->connect_timeout_ms) ||
           option_file(b, "cacert", t->ca_file) || option_file(b, "cert", t->client_cert) ||
           option_file(b, "key", t->client_key) ||
           buf_printf(b, "data-binary = \"@/dev/fd/%d\"\n", body) ||
           buf_printf(b,
                      "write-out = \"%%{stderr}%s\\t%zu\\t%%{exitcode}\\t%%{http_code}\\t"
                      "%%{http_connect}\\t%%{time_total}\\t%%header{retry-after}\\t"
                      "%%header{date}\\t%%{errormsg}\\n"
                      "%%{stdout}%s\"\n",
                      p->mark, p->count, p->mark);
}

static int make_mark(struct post *p, struct err *e)
{
    uint8_t random[POST_MARK / 2];

    if (rng_bytes(random, sizeof random, e))
        return -1;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(p->mark + 2 * i, 3, "%02x", random[i]);
    return 0;
}

int post_add(struct post *p, const char *url, struct span key, const char *header, struct span body,
             struct err *e)
{
    size_t before = p->config.len;
    int fd;

    if (grow(p, e) || (!p->count && make_mark(p, e)))
        return -1;
    fd = in_memory(body, e);
    if (fd < 0)
        return -1;
    if (describe(p, url, key, header, fd)) {
        p->config.len = before;
        close(fd);
        return err_memory(e);
    }
    p->answers[p->count] = (struct post_answer){0};
    p->bodies[p->count++] = fd;
    p->bytes += body.n;
    return 0;
}

/* --- what comes back ---------------------------------------------------- */

/* The next word of a line, up to a tab. */
static struct span word(struct span *line)
{
    const char *tab = memchr(line->p, '\t', line->n);
    struct span w = {line->p, tab ? (size_t)(tab - line->p) : line->n};

    line->p += tab ? w.n + 1 : w.n;
    line->n -= tab ? w.n + 1 : w.n;
    return w;
}

static long number(struct span s)
{
    char text[16] = "";

    memcpy(text, s.p, s.n < sizeof text - 1 ? s.n : 0);
    return strtol(text, NULL, 10);
}

/* The first line of text, behind what is in why already. */
static void add_why(char why[static POST_WHY], const char *between, struct span text)
{
    size_t at = strlen(why);
    const char *p = text.p, *end = text.p + text.n;

    while (p < end && (unsigned char)*p <= ' ')
        p++;
    if (p < end)
        at += (size_t)snprintf(why + at, POST_WHY - at, "%s", between);
    while (p < end && *p != '\n' && *p != '\r' && at < POST_WHY - 5) {
        size_t n = utf8_length(p, end);
        bool plain = n > 1 || (n == 1 && *p >= ' ' && *p != 127);

        memcpy(why + at, plain ? p : "?", plain ? n : 1);
        at += plain ? n : 1;
        p += n ? n : 1;
    }
    why[at] = '\0';
}

static bool has_text(struct span in, const char *text)
{
    size_t n = text ? strlen(text) : 0;

    return n >= SECRET_MIN && memmem(in.p, in.n, text, n);
}

/* Servers are known to repeat what they were sent. */
static bool tells_secret(const struct post *p, struct span text)
{
    if (has_text(text, p->target->token))
        return true;
    for (char *const *h = p->target->headers; h && *h; h++) {
        const char *value = strchr(*h, ':');

        if (value && has_text(text, value + 1 + strspn(value + 1, " ")))
            return true;
    }
    return false;
}

/* ms of seconds as curl writes them, 1.234567; the decimal point is a locale's. */
static int64_t milliseconds(struct span s)
{
    int64_t ms = 0;
    int digits = -1; /* behind the point */

    for (size_t i = 0; i < s.n && digits < 3 && ms < INT64_MAX / 100; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            ms = 10 * ms + (s.p[i] - '0');
            digits += digits >= 0;
        } else {
            digits = 0;
        }
    }
    for (digits = digits < 0 ? 0 : digits; digits < 3; digits++)
        ms *= 10;
    return ms;
}

static void take_result(struct post *p, struct span line)
{
    struct post_answer *a;
    struct span retry, date;
    long i = number(word(&line));
    int curl = (int)number(word(&line)), http = (int)number(word(&line));
    int connect = (int)number(word(&line)), verdict = post_judge(curl, http, connect);
    int64_t ms = milliseconds(word(&line));

    if (i < 0 || (size_t)i >= p->count)
        return;
    retry = word(&line);
    date = word(&line);
    if (verdict < 0) {
        p->fault = curl;
        add_why(p->fault_why, "", line);
        return;
    }
    a = &p->answers[i];
    a->verdict = (enum post_verdict)verdict;
    a->http = http;
    a->ms = ms;
    a->retry_after_ms = post_retry_after_ms(retry, date, clock_now_ms());
    if (verdict == POST_SENT)
        return;
    if (curl == CURL_HTTP_ERROR || curl == CURL_REDIRECTED || !curl)
        snprintf(a->why, sizeof a->why, "HTTP %d", http);
    else
        add_why(a->why, "", line);
    if (!a->why[0])
        snprintf(a->why, sizeof a->why, "curl: exit status %d", curl);
}

/* Whole lines of what was read are taken. */
static void take_results(struct post *p)
{
    struct buf *b = &p->lines;
    size_t begin = 0, mark = strlen(p->mark);
    char *lf;

    if (!b->len)
        return;
    while ((lf = memchr(b->data + begin, '\n', b->len - begin))) {
        struct span line = {b->data + begin, (size_t)(lf - b->data) - begin};

        if (line.n > mark && !memcmp(line.p, p->mark, mark))
            take_result(p, (struct span){line.p + mark + 1, line.n - mark - 1});
        begin += line.n + 1;
    }
    memmove(b->data, b->data + begin, b->len - begin);
    b->len -= begin;
    if (b->len > BLOCK) /* no line of ours */
        b->len = 0;
}

/* The last one is that of the request that was not taken. The others count only
 * if they have to be JSON; of one that is too long more than it may have is kept. */
static void take_body(struct post *p, struct span body)
{
    struct post_answer *a = p->bodies_seen < p->count ? &p->answers[p->bodies_seen] : NULL;

    if (a && p->target->want_json)
        a->ended = !buf_add(&a->body, body.p, body.n);
    p->bodies_seen++;
    p->body_bytes = body.n < sizeof p->body ? body.n : sizeof p->body;
    memcpy(p->body, body.p, p->body_bytes);
}

static void explain(struct post *p)
{
    struct span body = {p->body, p->body_bytes};
    struct post_answer *a;

    if (!p->bodies_seen || p->bodies_seen > p->count)
        return;
    a = &p->answers[p->bodies_seen - 1];
    if (a->verdict < POST_ENDPOINT || strncmp(a->why, "HTTP", 4) != 0)
        return;
    if (tells_secret(p, body))
        body = SPAN("(the answer repeats what is secret)");
    add_why(a->why, ": ", body);
}

/* Who answers 2xx without the JSON that was wanted is somebody else, such as a
 * portal that asks for a name first. An answer that was not read to its end is as
 * good as none. */
static int check_json(struct post *p, struct post_answer *a, struct err *e)
{
    struct span body = buf_span(&a->body);
    struct json json = {0};
    struct json_value v;
    struct buf compact = {0};
    int rc = 0;

    if (!a->ended) {
        a->verdict = POST_UNTRIED;
    } else if (body.n > POST_ANSWER_MAX || json_whole(&json, body, &v)) {
        a->verdict = POST_PAUSE;
        snprintf(a->why, sizeof a->why, "HTTP %d, but the answer is no JSON%s", a->http,
                 body.n > POST_ANSWER_MAX ? " of at most 64 KiB" : "");
        if (!tells_secret(p, body))
            add_why(a->why, ": ", body);
    } else if (!tells_secret(p, body)) {
        rc = json_compact(v.raw, &compact);
    }
    json_end(&json);
    buf_free(&a->body);
    a->body = compact;
    return rc ? err_memory(e) : 0;
}

static int check_answers(struct post *p, struct err *e)
{
    for (size_t i = 0; p->target->want_json && i < p->count; i++) {
        struct post_answer *a = &p->answers[i];

        if (a->verdict != POST_SENT)
            buf_free(&a->body);
        else if (check_json(p, a, e))
            return -1;
    }
    return 0;
}

/* Bodies are ended by the mark. Of a long one only the beginning is kept. */
static void take_bodies(struct post *p)
{
    struct buf *b = &p->shown;
    size_t mark = strlen(p->mark), begin = 0;
    size_t most = p->target->want_json ? POST_ANSWER_MAX + 1 : POST_SHOWN;
    char *end;

    if (!b->len)
        return;
    while ((end = memmem(b->data + begin, b->len - begin, p->mark, mark))) {
        take_body(p, (struct span){b->data + begin, (size_t)(end - b->data) - begin});
        begin = (size_t)(end - b->data) + mark;
    }
    memmove(b->data, b->data + begin, b->len - begin);
    b->len -= begin;
    if (b->len > most + mark) {
        memmove(b->data + most, b->data + b->len - mark, mark);
        b->len = most + mark;
    }
}

/* --- running ------------------------------------------------------------ */

struct run {
    pid_t pid;
    int out, err;  /* descriptors, -1 when closed */
    int64_t until; /* boot ms */
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void inherit(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

/* In the child. The descriptors of bodies keep their numbers. */
static _Noreturn void become_curl(const struct post *p, const int streams[3], pid_t parent)
{
    static char *const argv[] = {"curl", "-q", "--fail-early", "-K", "-", NULL};
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    for (int i = 0; i < 3; i++)
        dup2(streams[i], i);
    for (size_t i = 0; i < p->count; i++)
        inherit(p->bodies[i]);
    inherit(p->keep);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    _exit(127);
}

/* Pipes have both ends beyond the standard streams: cli_start sees to it that
 * those are open. */
static int start(struct post *p, struct run *r, struct err *e)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, config = in_memory(buf_span(&p->config), e);
    pid_t parent = getpid();

    if (config < 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || (r->pid = fork()) < 0) {
        err_sys(e, EX_UNAVAILABLE, "unable to run curl");
        r->pid = -1;
    } else if (!r->pid) {
        const int streams[3] = {config, out[1], err[1]};

        become_curl(p, streams, parent);
    }
    shut(&config);
    shut(&out[1]);
    shut(&err[1]);
    r->out = out[0];
    r->err = err[0];
    return r->pid < 0 ? -1 : 0;
}

/* Reads once; at the end of the stream the descriptor is shut. */
static int take(int *fd, struct buf *into, struct err *e)
{
    ssize_t n;

    if (buf_reserve(into, BLOCK))
        return err_memory(e);
    n = read(*fd, into->data + into->len, BLOCK);
    if (n < 0 && errno != EINTR)
        return err_sys(e, EX_IOERR, "unable to read from curl");
    if (n == 0)
        shut(fd);
    into->len += n > 0 ? (size_t)n : 0;
    return 0;
}

/* Until both streams have ended, the time is over, or a signal says stop. */
static int listen_to(struct post *p, struct run *r, struct err *e)
{
    while (r->out >= 0 || r->err >= 0) {
        struct pollfd f[] = {{.fd = r->err, .events = POLLIN}, {.fd = r->out, .events = POLLIN}};
        int64_t left = r->until - clock_boot_ms();

        if (stop_signal())
            return 0;
        if (left <= 0)
            return err_set(e, EX_TEMPFAIL, "curl: killed: it went on beyond its limits of time");
        if (stop_poll(f, 2, left) < 0) {
            if (errno != EINTR)
                return err_sys(e, EX_IOERR, "unable to wait for curl");
            continue;
        }
        if (f[0].revents && take(&r->err, &p->lines, e))
            return -1;
        take_results(p);
        if (f[1].revents && take(&r->out, &p->shown, e))
            return -1;
        take_bodies(p);
    }
    return 0;
}

static int judge_run(struct post *p, int status, struct err *e)
{
    bool answered = p->count && p->answers[0].verdict != POST_UNTRIED;

    if (p->fault == CURL_NO_MEMORY)
        return err_memory(e);
    if (p->fault)
        return err_set(e, EX_CONFIG, "curl: exit status %d%s%s", p->fault,
                       p->fault_why[0] ? ": " : "", p->fault_why);
    if (WIFSIGNALED(status))
        return err_set(e, EX_TEMPFAIL, "curl: ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 127 && !answered)
        return err_set(e, EX_UNAVAILABLE, "unable to run curl");
    if (!answered)
        return err_set(e, EX_UNAVAILABLE,
                       "curl: exit status %d before the first request (7.84 or later is needed)",
                       WEXITSTATUS(status));
    return 0;
}

int post_run(struct post *p, struct err *e)
{
    /* When even the slowest transfers must be over. */
    struct run r = {-1, -1, -1,
                    clock_boot_ms() + (int64_t)p->count * p->target->timeout_ms + PATIENCE_MS};
    struct err other = ERR_NONE;
    int rc, status = 0;

    for (size_t i = 0; i < p->count; i++) {
        buf_free(&p->answers[i].body);
        p->answers[i] = (struct post_answer){.retry_after_ms = -1};
    }
    buf_clear(&p->lines);
    buf_clear(&p->shown);
    p->bodies_seen = p->body_bytes = 0;
    p->fault = 0;
    p->fault_why[0] = '\0';
    rc = start(p, &r, e) || listen_to(p, &r, e) ? -1 : 0;
    if (r.pid > 0) {
        bool ended_here = rc || stop_signal();

        if (ended_here)
            kill(r.pid, SIGKILL);
        while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (!ended_here)
            rc = judge_run(p, status, e);
    }
    shut(&r.out);
    shut(&r.err);
    explain(p);
    return check_answers(p, rc ? &other : e) ? -1 : rc;
}
