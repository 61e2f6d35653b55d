/* endpoint: does the mirror answer? */
#include "base/child.h"
#include "mirrorctl/mirrorctl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CONNECT and ANSWER in s are curl's; what it does not keep is ended here. */
enum { LIMIT_MS = 20000 };

struct look {
    const char *url;
    int http;
};

/* On stdin, since a URL may hold a password. */
static int feed(void *ctx, struct buf *out, struct err *e)
{
    const struct look *l = ctx;

    if (buf_adds(out, "silent\noutput = \"/dev/null\"\nwrite-out = \"%{http_code}\\n\"\n"
                      "connect-timeout = 5\nmax-time = 10\nnoproxy = \"*\"\ngloboff\n"
                      "proto = \"=http,https\"\nurl = \""))
        return err_memory(e);
    for (const char *p = l->url; *p; p++)
        if (((*p == '"' || *p == '\\') && buf_addc(out, '\\')) || buf_addc(out, *p))
            return err_memory(e);
    return buf_adds(out, "\"\n") ? err_memory(e) : 0;
}

static int take(void *ctx, struct span line, struct err *e)
{
    struct look *l = ctx;
    char text[16];

    (void)e;
    snprintf(text, sizeof text, "%.*s", (int)line.n, line.p);
    l->http = atoi(text); // NOLINT(bugprone-unchecked-string-to-number-conversion,cert-err34-c)
    return 0;
}

/* The URL as it may be shown: without what stands before an @. */
static const char *shown(const char *url, char *out, size_t room)
{
    const char *host = strstr(url, "://"), *at, *end;

    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(end - host));
    snprintf(out, room, "%.*s%s", (int)(host - url), url, at ? at + 1 : host);
    return out;
}

static const char *of_curl(int status)
{
    switch (status) {
    case 6:
        return "its name is not known here: is it spelt right, and does the name service "
               "(or mDNS, for .local) answer?";
    case 7:
        return "nobody listens there: is the new server's HTTP front running, at this port? "
               "systemctl status lighttpd";
    case 28:
        return "no answer within 10 s: is the box on and in this network, or does a firewall "
               "drop what comes?";
    case 35:
    case 51:
    case 58:
    case 60:
    case 77:
        return "no TLS connection: its certificate is not trusted here, or it speaks no TLS there";
    case 52:
    case 56:
        return "it hung up without an answer: that port may not speak HTTP; see its log";
    default:
        return "no answer";
    }
}

static const char *of_http(int http)
{
    if (http >= 500)
        return "it is broken or overloaded: see the log of the new server";
    if (http == 404)
        return "it answers, but has nothing at this path: see the path of mirror_endpoint, and "
               "whether the HTTP front is set up there";
    if (http >= 300)
        return "it sends elsewhere, where mirror-send does not follow: put the final address "
               "into mirror_endpoint";
    return NULL;
}

static int refuse_url(const char *url)
{
    for (const char *p = url; *p; p++)
        if (iscntrl((unsigned char)*p) || *p == ' ')
            return 1;
    return strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0;
}

int endpoint_check(const char *url, struct err *e)
{
    char *argv[] = {"curl", "-q", "-K", "-", NULL}, name[256];
    struct look l = {.url = url};
    struct child c = {.argv = argv, .ctx = &l, .feed = feed, .line = take, .limit_ms = LIMIT_MS};
    int rc;

    shown(url, name, sizeof name);
    if (refuse_url(url))
        return err_set(e, EX_CONFIG, "mirror_endpoint: %s: wants a URL with http:// or https://",
                       name);
    rc = child_run(&c, e);
    if (rc < 0)
        return -1;
    if (c.timed_out)
        return err_set(e, EX_UNAVAILABLE, "%s does not answer: %s", name, of_curl(28));
    if (rc)
        return err_set(e, EX_UNAVAILABLE, "%s does not answer: %s (curl: %d)", name,
                       of_curl(c.status), c.status);
    if (of_http(l.http) && (l.http < 400 || l.http == 404 || l.http >= 500))
        return err_set(e, EX_UNAVAILABLE, "%s answers %d: %s", name, l.http, of_http(l.http));
    return l.http ? 0 : err_set(e, EX_UNAVAILABLE, "%s: no answer", name);
}
