#include "core/post.h"

#include "tap.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what an answer means ----------------------------------------------- */

static void judgements(void)
{
    static const struct {
        int curl, http, connect, verdict;
        const char *name;
    } rows[] = {
        {0, 200, 0, POST_SENT, "200 is sent"},
        {0, 204, 0, POST_SENT, "204 is sent"},
        {0, 299, 0, POST_SENT, "299 is sent"},
        {0, 300, 0, POST_PAUSE, "300 pauses"},
        {0, 304, 0, POST_PAUSE, "304, which is no redirect to curl, pauses"},
        {47, 302, 0, POST_PAUSE, "302 pauses"},
        {22, 400, 0, POST_REFUSED, "400 is a refusal"},
        {22, 401, 0, POST_PAUSE, "401 pauses"},
        {22, 403, 0, POST_REFUSED, "403 is a refusal"},
        {22, 404, 0, POST_PAUSE, "404 pauses"},
        {22, 405, 0, POST_PAUSE, "405 pauses"},
        {22, 407, 0, POST_PAUSE, "407 pauses"},
        {22, 408, 0, POST_ENDPOINT, "408 is the endpoint's trouble"},
        {22, 422, 0, POST_REFUSED, "422 is a refusal"},
        {22, 425, 0, POST_ENDPOINT, "425 is the endpoint's trouble"},
        {22, 429, 0, POST_ENDPOINT, "429 is the endpoint's trouble"},
        {22, 500, 0, POST_REFUSED, "500 is a refusal"},
        {22, 501, 0, POST_REFUSED, "501 is a refusal"},
        {22, 502, 0, POST_ENDPOINT, "502 is the endpoint's trouble"},
        {22, 503, 0, POST_ENDPOINT, "503 is the endpoint's trouble"},
        {22, 504, 0, POST_ENDPOINT, "504 is the endpoint's trouble"},
        {28, 200, 0, POST_ENDPOINT, "a timeout with status 200 is not sent"},
        {18, 200, 0, POST_ENDPOINT, "a cut answer with status 200 is not sent"},
        {22, 200, 0, POST_ENDPOINT, "a failure with status 200 is not sent"},
        {6, 0, 0, POST_ENDPOINT, "a name that is not found"},
        {7, 0, 0, POST_ENDPOINT, "a connection that is refused"},
        {35, 0, 0, POST_ENDPOINT, "TLS that fails"},
        {52, 0, 0, POST_ENDPOINT, "no answer"},
        {56, 0, 0, POST_ENDPOINT, "a connection that is reset"},
        {60, 0, 0, POST_ENDPOINT, "a certificate that is not trusted"},
        {56, 0, 503, POST_ENDPOINT, "a proxy that cannot"},
        {56, 0, 407, POST_PAUSE, "a proxy that wants a password pauses"},
        {0, 0, 0, POST_ENDPOINT, "no status at all"},
        {0, 101, 0, POST_ENDPOINT, "a status that is no answer"},
        {2, 0, 0, -1, "options are wrong here"},
        {3, 0, 0, -1, "a URL is wrong here"},
        {27, 0, 0, -1, "memory is short here"},
        {58, 0, 0, -1, "a certificate is wrong here"},
        {77, 0, 0, -1, "a file of certificates is wrong here"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        is_int(post_judge(rows[i].curl, rows[i].http, rows[i].connect), rows[i].verdict, "%s",
               rows[i].name);
}

/* --- Retry-After -------------------------------------------------------- */

static int64_t after(const char *value, const char *date)
{
    /* 1994-11-06 08:49:37 */
    return post_retry_after_ms(span_of(value), span_of(date), INT64_C(784111777000));
}

static void retry_after(void)
{
    static const char day[] = "Sun, 06 Nov 1994 08:49:00 GMT";

    is_int(after("", ""), -1, "no header");
    is_int(after("0", ""), 0, "0");
    is_int(after("120", ""), 120000, "seconds");
    is_int(after("86401", ""), 86400000, "a day at most");
    is_int(after("99999999999999999999999999", ""), 86400000, "any number of digits");
    is_int(after("-5", ""), -1, "no negative number");
    is_int(after("1.5", ""), -1, "no fraction");
    is_int(after("5 s", ""), -1, "nothing behind it");
    is_int(after("Sun, 06 Nov 1994 08:50:37 GMT", ""), 60000, "a date by our clock");
    is_int(after("Sunday, 06-Nov-94 08:50:37 GMT", ""), 60000, "as RFC 850 writes it");
    is_int(after("Sun Nov  6 08:50:37 1994", ""), 60000, "as asctime writes it");
    is_int(after("Sun, 06 Nov 1994 08:50:37 GMT", day), 97000, "a date by theirs");
    is_int(after("Sun, 06 Nov 1994 08:00:00 GMT", ""), 0, "a date that is over");
    is_int(after("Sun, 06 Nov 2094 08:00:00 GMT", ""), 86400000, "one far away");
    is_int(after("Sun, 06 Nov 1994", ""), -1, "half a date");
}

/* --- with a curl of our own --------------------------------------------- */

static char folder[] = "/tmp/test_post.XXXXXX";

/* Puts a program in place of curl; in it $m is the mark of the run. */
static void curl_is(const char *body)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "%s/curl", folder);
    f = fopen(path, "w");
    if (!f)
        return;
    fprintf(f,
            "#!/bin/sh\nm=$(sed -n 's/^write-out = \"%%{stderr}\\([0-9a-f]*\\).*/\\1/p' | "
            "head -n 1)\nr() { printf '%%s\\t%%s\\t%%s\\t%%s\\t0\\t1.234567\\t\\t\\t%%s\\n' \"$m\" "
            "\"$@\" >&2; "
            "}\n%s\n",
            body);
    fclose(f);
    chmod(path, 0755);
}

static struct post p;
static struct err e;

static int run(const char *body)
{
    static char *const headers[] = {"X-Key: sesame-opens", NULL};
    static struct post_target target = {.method = "POST",
                                        .headers = headers,
                                        .token = "tok-secret",
                                        .timeout_ms = 5000,
                                        .connect_timeout_ms = 5000};

    curl_is(body);
    e = (struct err){0};
    post_open(&p, &target, -1);
    for (int i = 0; i < 3; i++)
        if (post_add(&p, "http://h/", SPAN("key"), NULL, SPAN("{}"), &e))
            return -1;
    return post_run(&p, &e);
}

static void programs(void)
{
    is_int(
        run("r 0 0 200 ''; printf %s \"$m\"; r 1 22 422 x; printf 'no: \\001\\377 good\\nmore%s' "
            "\"$m\"; exit 22"),
        0, "the first is sent, the second refused");
    is_int(p.answers[0].verdict, POST_SENT, "the first");
    is_int(p.answers[0].ms, 1234, "and how long it took");
    is_int(p.answers[1].ms, 1234, "as of one that is refused");
    is_int(p.answers[1].verdict, POST_REFUSED, "the second");
    is_str(p.answers[1].why, "HTTP 422: no: ?? good",
           "with the first line of its answer, printable");
    is_int(p.answers[2].verdict, POST_UNTRIED, "the third was not tried");
    post_close(&p);

    run("r 0 22 500 x; printf 'you are tok-secret%s' \"$m\"; exit 22");
    is_str(p.answers[0].why, "HTTP 500: (the answer repeats what is secret)",
           "a token is not shown");
    post_close(&p);
    run("r 0 22 500 x; printf 'X-Key: sesame-opens%s' \"$m\"; exit 22");
    is_str(p.answers[0].why, "HTTP 500: (the answer repeats what is secret)", "nor a header");
    post_close(&p);
    run("r 0 22 500 x; head -c 299 /dev/zero | tr '\\0' ' '; printf 'tok-secret%s' \"$m\"; exit "
        "22");
    is_str(p.answers[0].why, "HTTP 500: (the answer repeats what is secret)",
           "nor one that would be cut");
    post_close(&p);

    run("r 0 22 400 x; yes 0123456789 | head -c 9000000; printf %s \"$m\"; exit 22");
    is_str(p.answers[0].why, "HTTP 400: 0123456789", "of a long answer the beginning is shown");
    ok(p.shown.cap < 200000, "and no more is held: %zu bytes", p.shown.cap);
    post_close(&p);

    run("echo 0 0 200 >&2; printf 'deadbeef\\t0\\t0\\t200\\t0\\t\\t\\t\\n' >&2; r 7 0 200 ''; exit "
        "0");
    is_int(p.answers[0].verdict, POST_UNTRIED,
           "lines without the mark, or of no request, say nothing");
    post_close(&p);

    is_int(run("r 0 0 200 ''; kill -9 $$"), -1, "a curl that is killed");
    is_int(e.status, EX_TEMPFAIL, "is for another time");
    is_int(p.answers[0].verdict, POST_SENT, "what it had said before counts");
    post_close(&p);
    is_int(run("r 0 58 0 'no such certificate'; exit 58"), -1, "what is wrong at this end");
    is_int(e.status, EX_CONFIG, "is a bad configuration");
    is_str(e.msg, "curl: exit status 58: no such certificate", "and named");
    post_close(&p);
    is_int(run("exit 2"), -1, "a curl that does not know its options");
    is_int(e.status, EX_UNAVAILABLE, "is no curl");
    post_close(&p);
    ok(!run("r 0 7 0 \"$(printf 'Failed\\tto connect')\"; exit 7"), "a message with a tab");
    is_str(p.answers[0].why, "Failed?to connect", "is one line of text");
    post_close(&p);
}

int main(void)
{
    char command[128], path[4096];

    plan(39 + 15 + 23);
    judgements();
    retry_after();
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s:%s", folder, getenv("PATH"));
    setenv("PATH", path, 1);
    programs();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || done();
}
