/* The log of requests, counted as it grows, is rotated, and is cut anywhere. */
#include "http/requests.h"

#include "tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/test_requests.XXXXXX", path[64], rotated[80];

static void add(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
}

static char line[512];

static const char *request(const char *route, int status, int ms, int id)
{
    snprintf(line, sizeof line,
             "{\"ts\":\"2026-01-26T10:15:03.120Z\",\"method\":\"GET\",\"route\":\"%s\","
             "\"status\":%d,\"ms\":%d,\"bytes\":7,\"correlation_id\":\"%d\"}\n",
             route, status, ms, id);
    return line;
}

/* What a process that only has the text does. */
static int64_t again(struct buf *text, int64_t most, struct requests *r)
{
    struct err e = ERR_NONE;
    int64_t n = 0;

    requests_take(r, buf_span(text));
    if (requests_read(r, path, most, &e))
        return -1;
    buf_clear(text);
    if (requests_text(r, text))
        abort();
    for (size_t i = 0; i < r->count; i++)
        for (int c = 0; c < REQUESTS_CODES; c++)
            n += r->series[i].codes[c];
    return n;
}

static int64_t total(struct buf *text)
{
    struct requests r = {0};
    int64_t n = again(text, -1, &r);

    requests_free(&r);
    return n;
}

static void growing(struct buf *text)
{
    ok(total(text) == 0, "no log, no requests");
    add(path, request("/a", 200, 3, 1));
    ok(total(text) == 1, "one");
    ok(total(text) == 1, "which counts once");
    add(path, "{\"ts\":\"2026-01-26T10:15:03.120Z\",\"method\":\"GET\",\"route\":");
    ok(total(text) == 1, "a line that is being written is not read yet");
    add(path, "\"/a\",\"status\":500,\"ms\":1,\"bytes\":0}\n");
    ok(total(text) == 2, "when it is there it is");
}

static void rotation(struct buf *text)
{
    char second[80];

    rename(path, rotated);
    ok(total(text) == 2, "put away, and no new one yet");
    add(rotated, request("/a", 200, 3, 2));
    ok(total(text) == 3, "who had it open writes on");
    add(path, request("/a", 200, 3, 3));
    add(rotated, request("/a", 200, 3, 4));
    ok(total(text) == 5, "a new one, and another late line in the one before");
    add(rotated, request("/a", 200, 3, 5));
    ok(total(text) == 6, "and one more");
    snprintf(second, sizeof second, "%s.2", path);
    rename(rotated, second);
    rename(path, rotated);
    add(path, request("/b", 200, 3, 6));
    ok(total(text) == 7, "rotated again");
    unlink(second);
    unlink(rotated);
    unlink(path);
    add(path, request("/b", 200, 3, 7));
    ok(total(text) == 8, "another file of the same name and length is another file");
    rename(path, second);
    for (int i = 8; i < 20; i++)
        add(rotated, request("/b", 200, 3, i));
    add(path, request("/b", 200, 3, 20));
    ok(total(text) == 9, "rotated twice between two looks: the one in between is not mixed up");
    unlink(second);
    unlink(rotated);
}

static void bad(struct buf *text)
{
    static const char *const lines[] = {
        "{}",
        "[]",
        "x",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":600,\"ms\":1}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":99,\"ms\":1}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":200,\"ms\":-1}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":200,\"ms\":1.5}",
        "{\"method\":\"GET\",\"route\":7,\"status\":200,\"ms\":1}",
        "{\"method\":\"GET\",\"route\":\"\\u0061\",\"status\":200,\"ms\":1}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":200}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":200,\"ms\":1} {}",
        "{\"method\":\"GET\",\"route\":\"/a\",\"status\":200,\"ms\":1"};
    struct requests r = {0};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ok(!requests_line(&r, span_of(lines[i])), "no line of a log: %s", lines[i]);
    ok(r.count == 0, "nothing is counted of them");
    add(path, "no line\n\n");
    ok(total(text) == 9, "nor of one in the log");
    requests_take(&r, buf_span(text));
    ok(r.bad_lines == 1, "but that one is counted, and the blank one is not");
    requests_free(&r);
}

static void limits(struct buf *text)
{
    struct requests r = {0};
    int64_t n = total(text), last = n;
    char *route = calloc(1, 300);

    for (int i = 0; i < 10000; i++)
        add(path, request("/c", 200, i, i));
    /* A block is a quarter of a MiB. */
    for (int i = 0; i < 4; i++) {
        n = again(text, 1, &r);
        ok(n > last, "as much as it may, and then more");
        last = n;
        requests_free(&r);
    }
    ok(total(text) == 10009, "all of it in the end");
    for (int i = 0; i < 400; i++) {
        snprintf(route, 300, "/many/%d", i);
        requests_line(&r, (struct span){line, strlen(request(route, 200, 1, i)) - 1});
    }
    memset(route, 'x', 299);
    ok(requests_line(&r, (struct span){line, strlen(request(route, 200, 1, 1)) - 1}),
       "a name that is too long");
    ok(r.count == REQUESTS_SERIES + 1, "so many kinds, and one for the rest");
    n = 0;
    for (size_t i = 0; i < r.count; i++)
        n += r.series[i].codes[1];
    ok(n == 401 && !strcmp(r.series[REQUESTS_SERIES].route, "other") &&
           r.series[REQUESTS_SERIES].codes[1] == 401 - REQUESTS_SERIES,
       "which has all that had no room");
    requests_free(&r);
    free(route);
}

/* The sums are a file that may be damaged: then they begin anew, and never crash. */
static void damage(struct buf *text)
{
    struct requests r = {0};
    int wrong = 0;

    ok(!requests_take(&r, buf_span(text)), "as it was kept");
    requests_free(&r);
    for (size_t n = 0; n + 1 < text->len; n++) {
        wrong += !requests_take(&r, (struct span){text->data, n});
        requests_free(&r);
    }
    ok(wrong == 0, "cut anywhere it is none");
    for (size_t n = 0; n < text->len; n++) {
        text->data[n] ^= 1;
        requests_take(&r, buf_span(text));
        requests_free(&r);
        text->data[n] ^= 1;
    }
}

static void times(void)
{
    struct requests r = {0};
    struct buf out = {0};

    requests_line(&r, span_of(request("/t", 200, 5, 1)));
    requests_line(&r, span_of(request("/t", 404, 6, 1)));
    requests_line(&r, span_of(request("", 200, 10001, 1)));
    ok(!requests_metrics(&r, &out) && !buf_term(&out), "as metrics");
    ok(strstr(out.data, "_bucket{route=\"/t\",method=\"GET\",le=\"0.005\"} 1\n"),
       "5 ms is 0.005 s");
    ok(strstr(out.data, "_bucket{route=\"/t\",method=\"GET\",le=\"0.01\"} 2\n"), "they add up");
    ok(strstr(out.data, "_bucket{route=\"none\",method=\"GET\",le=\"10\"} 0\n") &&
           strstr(out.data, "_bucket{route=\"none\",method=\"GET\",le=\"+Inf\"} 1\n"),
       "longer than all bounds");
    ok(strstr(out.data, "_sum{route=\"/t\",method=\"GET\"} 0.011\n") &&
           strstr(out.data, "_count{route=\"/t\",method=\"GET\"} 2\n"),
       "sum and count");
    ok(strstr(out.data, "_total{route=\"/t\",method=\"GET\",code=\"4xx\"} 1\n"),
       "by class of status");
    buf_free(&out);
    requests_free(&r);
}

int main(void)
{
    struct buf text = {0};

    plan(43);
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(rotated, sizeof rotated, "%s.1", path);
    growing(&text);
    rotation(&text);
    bad(&text);
    limits(&text);
    damage(&text);
    times();
    buf_free(&text);
    unlink(path);
    rmdir(folder);
    return done();
}
