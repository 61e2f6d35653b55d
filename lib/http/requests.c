#include "http/requests.h"

#include "text/json.h"
#include "text/prom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const int64_t requests_bounds[REQUESTS_TIMES] = {5,   10,   25,   50,   100,  250,
                                                 500, 1000, 2500, 5000, 10000};

/* As labels, in seconds. */
static const char *const bounds[REQUESTS_TIMES] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                                   "0.5",   "1",    "2.5",   "5",    "10"};

enum { BLOCK = 1 << 18, FIRST_LINE = 4096 };

void requests_free(struct requests *r)
{
    free(r->series);
    *r = (struct requests){0};
}

/* --- counting ----------------------------------------------------------- */

static struct request_series *find(struct requests *r, struct span route, struct span method)
{
    struct request_series *s;

    for (size_t i = 0; i < r->count; i++) {
        s = &r->series[i];
        if (span_eq(span_of(s->route), route) && span_eq(span_of(s->method), method))
            return s;
    }
    if (route.n >= sizeof s->route || method.n >= sizeof s->method)
        return NULL;
    if (!r->series)
        r->series = malloc((REQUESTS_SERIES + 1) * sizeof *r->series);
    if (!r->series || r->count == REQUESTS_SERIES + 1)
        return NULL;
    s = &r->series[r->count++];
    *s = (struct request_series){0};
    memcpy(s->route, route.p, route.n);
    memcpy(s->method, method.p, method.n);
    return s;
}

/* The series of a request; there is always room for the last one, of all others. */
static struct request_series *series_of(struct requests *r, struct span route, struct span method)
{
    struct request_series *s = NULL;

    if (r->count < REQUESTS_SERIES)
        s = find(r, route, method);
    else
        for (size_t i = 0; i < r->count && !s; i++)
            if (span_eq(span_of(r->series[i].route), route) &&
                span_eq(span_of(r->series[i].method), method))
                s = &r->series[i];
    return s ? s : find(r, SPAN("other"), SPAN("any"));
}

static void count(struct request_series *s, int64_t status, int64_t ms, int64_t bytes)
{
    int at = 0;

    while (at < REQUESTS_TIMES && ms > requests_bounds[at])
        at++;
    s->codes[status / 100 - 1]++;
    s->times[at]++;
    s->ms += ms;
    s->bytes += bytes;
}

/* The text of a member without escapes, which is what the front writes. */
static bool take_text(const struct json_value *v, struct span *out)
{
    if (v->kind != JSON_STRING || v->escaped)
        return false;
    *out = (struct span){v->raw.p + 1, v->raw.n - 2};
    return true;
}

static bool is_name(const struct json_value *name, const char *text)
{
    size_t n = strlen(text);

    return name->raw.n == n + 2 && !memcmp(name->raw.p + 1, text, n);
}

bool requests_line(struct requests *r, struct span line)
{
    struct span route = {0}, method = {0};
    int64_t status = -1, ms = -1, bytes = 0;
    struct json_value name, v;
    bool first = true, good = true;
    struct request_series *s;
    struct json j = {0};
    int rc;

    json_start(&j, line);
    rc = json_open(&j) ? -1 : 1;
    while (good && rc == 1 && (rc = json_member(&j, &first, &name, &v)) == 1) {
        if (is_name(&name, "route"))
            good = take_text(&v, &route);
        else if (is_name(&name, "method"))
            good = take_text(&v, &method);
        else if (is_name(&name, "status"))
            good = !json_int(&v, &status);
        else if (is_name(&name, "ms"))
            good = !json_int(&v, &ms);
        else if (is_name(&name, "bytes"))
            good = !json_int(&v, &bytes);
    }
    good = good && rc == 0 && !json_finish(&j) && route.p && method.p && status >= 100 &&
           status <= 599 && ms >= 0 && bytes >= 0;
    json_end(&j);
    s = good ? series_of(r, route.n ? route : SPAN("none"), method) : NULL;
    if (s)
        count(s, status, ms, bytes);
    return s;
}

/* --- the files ---------------------------------------------------------- */

/* By its first line, which has a time and an id: another file has another one. "": there
 * is no file, or no line in it yet. */
static int64_t identify(int fd, char id[static DIGEST_TEXT])
{
    char first[FIRST_LINE];
    ssize_t n = pread(fd, first, sizeof first, 0);
    struct stat st;
    char *lf = n > 0 ? memchr(first, '\n', (size_t)n) : NULL;

    id[0] = '\0';
    if (fstat(fd, &st) || n <= 0 || (!lf && n < FIRST_LINE))
        return 0;
    digest_text(hash_bytes(first, lf ? (size_t)(lf - first) : (size_t)n), id);
    return st.st_size;
}

/* A descriptor, -1: it is not there, -2: it cannot be read. */
static int open_log(const char *path, char id[static DIGEST_TEXT], int64_t *size, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));

    id[0] = '\0';
    *size = 0;
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
        err_sys(e, EX_IOERR, "unable to open %s", path);
        return -2;
    }
    if (fd >= 0)
        *size = identify(fd, id);
    return fd;
}

/* The whole lines of a block; how many bytes they are. */
static size_t take_lines(struct requests *r, const char *p, size_t n)
{
    size_t at = 0;

    for (const char *lf; (lf = memchr(p + at, '\n', n - at)); at = (size_t)(lf - p) + 1)
        if (lf > p + at && !requests_line(r, (struct span){p + at, (size_t)(lf - p) - at}))
            r->bad_lines++;
    return at;
}

/* What is larger than a block and has no end is no line. */
static int read_on(struct requests *r, struct request_file *f, int fd, int64_t *left, struct err *e)
{
    char *block = malloc(BLOCK);
    ssize_t n = 0;
    int rc = 0;

    if (!block)
        return err_memory(e);
    while (*left != 0 && (n = TEMP_FAILURE_RETRY(pread(fd, block, BLOCK, f->offset))) > 0) {
        size_t taken = take_lines(r, block, (size_t)n);

        if (!taken && n == BLOCK) {
            r->bad_lines++;
            taken = BLOCK;
        }
        if (!taken)
            break;
        r->changed = true;
        f->offset += (int64_t)taken;
        if (*left > 0)
            *left = *left > (int64_t)taken ? *left - (int64_t)taken : 0;
    }
    if (n < 0)
        rc = err_sys(e, EX_IOERR, "unable to read the log of requests");
    free(block);
    return rc;
}

/* Goes on in f where the file at hand is that one. */
static int catch_up(struct requests *r, struct request_file *f, int fd, const char *id,
                    int64_t size, int64_t *left, struct err *e)
{
    if (!*f->id || strcmp(f->id, id) != 0)
        return 0;
    if (size > f->offset && read_on(r, f, fd, left, e))
        return -1;
    if (size > f->offset)
        r->unread += size - f->offset;
    return 0;
}

/* At the first look what was put away already is left out. */
static void look_first(struct requests *r, const char *id, const char *id_before,
                       int64_t size_before)
{
    if (!*r->now.id && !*r->before.id && *id_before) {
        memcpy(r->before.id, id_before, DIGEST_TEXT);
        r->before.offset = size_before;
    }
    if (*id && strcmp(id, r->now.id) != 0) {
        if (*r->now.id)
            r->before = r->now;
        memcpy(r->now.id, id, DIGEST_TEXT);
        r->now.offset = 0;
        r->changed = true;
    }
}

int requests_read(struct requests *r, const char *log, int64_t most, struct err *e)
{
    char id[DIGEST_TEXT], id_before[DIGEST_TEXT], *rotated;
    int64_t size, size_before, left = most;
    int fd, before, rc = -1;

    r->unread = 0;
    if (asprintf(&rotated, "%s.1", log) < 0)
        return err_memory(e);
    /* This one first: what is rotated in between is then looked at twice, not never. */
    fd = open_log(log, id, &size, e);
    before = fd < -1 ? -2 : open_log(rotated, id_before, &size_before, e);
    if (fd >= -1 && before >= -1) {
        look_first(r, id, id_before, size_before);
        rc = catch_up(r, &r->before, before, id_before, size_before, &left, e) ||
                     (*id ? catch_up(r, &r->now, fd, id, size, &left, e)
                          : catch_up(r, &r->now, before, id_before, size_before, &left, e))
                 ? -1
                 : 0;
    }
    if (fd >= 0)
        close(fd);
    if (before >= 0)
        close(before);
    free(rotated);
    return rc;
}

/* --- the sums as text --------------------------------------------------- */

static int put_numbers(const int64_t *n, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        if (buf_addc(out, i ? ',' : '[') || buf_addi(out, n[i]))
            return -1;
    return buf_addc(out, ']');
}

static int put_series(const struct request_series *s, struct buf *out)
{
    const int64_t sums[2] = {s->ms, s->bytes};

    return buf_addc(out, '[') || json_quote(span_of(s->route), out) || buf_addc(out, ',') ||
           json_quote(span_of(s->method), out) || buf_addc(out, ',') ||
           put_numbers(s->codes, REQUESTS_CODES, out) || buf_addc(out, ',') ||
           put_numbers(s->times, REQUESTS_TIMES + 1, out) || buf_addc(out, ',') ||
           put_numbers(sums, 2, out) || buf_addc(out, ']');
}

static int put_file(const struct request_file *f, struct buf *out)
{
    return buf_printf(out, "[\"%s\",%lld]", f->id, (long long)f->offset);
}

int requests_text(const struct requests *r, struct buf *out)
{
    int failed = buf_printf(out, "[\"lifeboat_requests\",1,%lld,", (long long)r->bad_lines) ||
                 put_file(&r->now, out) || buf_addc(out, ',') || put_file(&r->before, out) ||
                 buf_adds(out, ",[");

    for (size_t i = 0; i < r->count && !failed; i++)
        failed = buf_adds(out, i ? ",\n" : "\n") || put_series(&r->series[i], out);
    return failed || buf_adds(out, "]]\n") ? -1 : 0;
}

/* Reads arrays of a known shape; bad once anything is not as it should be. */
struct take {
    struct json j;
    bool first, bad;
};

static struct take open_array(struct span text)
{
    struct take t = {.first = true};

    json_start(&t.j, text);
    t.bad = json_array(&t.j) != 0;
    return t;
}

static bool next(struct take *t, struct json_value *v)
{
    return !t->bad && json_element(&t->j, &t->first, v) == 1;
}

static void take_number(struct take *t, int64_t *n)
{
    struct json_value v;

    t->bad = !next(t, &v) || json_int(&v, n) || *n < 0;
}

static void take_chars(struct take *t, char *out, size_t room)
{
    struct json_value v;
    struct span text;

    t->bad = !next(t, &v) || !take_text(&v, &text) || text.n >= room;
    if (!t->bad)
        snprintf(out, room, "%.*s", (int)text.n, text.p);
}

static void take_numbers(struct take *t, int64_t *n, size_t count)
{
    struct take in = {.bad = true};
    struct json_value v;

    if (next(t, &v))
        in = open_array(v.raw);
    for (size_t i = 0; i < count && !in.bad; i++)
        take_number(&in, &n[i]);
    t->bad = in.bad;
    json_end(&in.j);
}

static void take_file(struct take *t, struct request_file *f)
{
    struct take in = {.bad = true};
    struct json_value v;

    if (next(t, &v))
        in = open_array(v.raw);
    take_chars(&in, f->id, sizeof f->id);
    take_number(&in, &f->offset);
    t->bad = in.bad;
    json_end(&in.j);
}

static void take_series(struct requests *r, struct take *t)
{
    struct request_series s = {0}, *to = NULL;
    int64_t sums[2] = {0};

    take_chars(t, s.route, sizeof s.route);
    take_chars(t, s.method, sizeof s.method);
    take_numbers(t, s.codes, REQUESTS_CODES);
    take_numbers(t, s.times, REQUESTS_TIMES + 1);
    take_numbers(t, sums, 2);
    s.ms = sums[0];
    s.bytes = sums[1];
    if (!t->bad)
        to = find(r, span_of(s.route), span_of(s.method));
    if (to)
        *to = s;
    t->bad = !to;
}

int requests_take(struct requests *r, struct span text)
{
    struct take t = open_array(text), all = {.bad = true};
    struct json_value v;
    char mark[32] = "";
    int64_t version = 0;

    *r = (struct requests){0};
    take_chars(&t, mark, sizeof mark);
    take_number(&t, &version);
    take_number(&t, &r->bad_lines);
    take_file(&t, &r->now);
    take_file(&t, &r->before);
    if (next(&t, &v))
        all = open_array(v.raw);
    while (next(&all, &v)) {
        struct take in = open_array(v.raw);

        take_series(r, &in);
        all.bad = in.bad;
        json_end(&in.j);
    }
    /* Nothing behind them, and not cut. */
    t.bad = t.bad || json_element(&t.j, &t.first, &v) != 0 || json_finish(&t.j);
    if (t.bad || all.bad || strcmp(mark, "lifeboat_requests") != 0 || version != 1)
        requests_free(r);
    json_end(&all.j);
    json_end(&t.j);
    return r->series || *r->now.id ? 0 : -1;
}

/* --- the metrics -------------------------------------------------------- */

static int put_codes(const struct request_series *s, struct buf *out)
{
    int failed = 0;

    for (int c = 0; c < REQUESTS_CODES && !failed; c++) {
        char code[] = {(char)('1' + c), 'x', 'x', '\0'};
        const struct prom_label labels[] = {
            {"route", span_of(s->route)}, {"method", span_of(s->method)}, {"code", span_of(code)}};

        if (s->codes[c])
            failed = prom_sample(out, "http_requests", "_total", labels, 3, s->codes[c]);
    }
    return failed;
}

static int put_times(const struct request_series *s, struct buf *out)
{
    struct prom_label labels[] = {
        {"route", span_of(s->route)}, {"method", span_of(s->method)}, {"le", SPAN("+Inf")}};
    int64_t below = 0;
    int failed = 0;

    for (int i = 0; i <= REQUESTS_TIMES && !failed; i++) {
        below += s->times[i];
        labels[2].value = i < REQUESTS_TIMES ? span_of(bounds[i]) : SPAN("+Inf");
        failed = prom_sample(out, "http_request_duration_seconds", "_bucket", labels, 3, below);
    }
    return failed ||
           prom_sample_seconds(out, "http_request_duration_seconds", "_sum", labels, 2, s->ms) ||
           prom_sample(out, "http_request_duration_seconds", "_count", labels, 2, below);
}

static int put_bytes(const struct request_series *s, struct buf *out)
{
    const struct prom_label labels[] = {{"route", span_of(s->route)},
                                        {"method", span_of(s->method)}};

    return prom_sample(out, "http_response_bytes", "_total", labels, 2, s->bytes);
}

int requests_metrics(const struct requests *r, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        int (*put)(const struct request_series *, struct buf *);
    } metrics[] = {
        {"http_requests_total", "counter", "Requests that were answered.", put_codes},
        {"http_request_duration_seconds", "histogram", "How long the answers took.", put_times},
        {"http_response_bytes_total", "counter", "Bytes of the answers.", put_bytes}};
    int failed = 0;

    for (size_t m = 0; m < 3 && r->count && !failed; m++) {
        failed = prom_head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < r->count && !failed; i++)
            failed = metrics[m].put(&r->series[i], out);
    }
    return failed ||
                   prom_one(out, "http_log_bad_lines_total", "counter",
                            "Lines of the log of requests that are none.", r->bad_lines) ||
                   prom_one(out, "http_log_unread_bytes", "gauge",
                            "Of that log, still to be counted.", r->unread)
               ? -1
               : 0;
}
