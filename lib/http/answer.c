#include "http/answer.h"

#include "base/whole.h"
#include "text/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const struct {
    int status;
    const char *text;
} texts[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Unknown";
}

void answer_free(struct answer *a)
{
    buf_free(&a->body);
    *a = (struct answer){0};
}

int answer_problem(struct answer *a, int status, const char *type, const char *correlation,
                   const char *members, const char *fmt, ...)
{
    char detail[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    a->status = status;
    a->type = "application/problem+json";
    buf_clear(&a->body);
    return buf_printf(&a->body, "{\"type\":\"%s\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                      type ? type : "about:blank", http_status_text(status), status) ||
                   json_quote(span_of(detail), &a->body) ||
                   buf_printf(&a->body, "%s,\"correlation_id\":\"%s\"}\n", members, correlation)
               ? -1
               : 0;
}

static int put_all(int fd, const struct buf *b, struct err *e)
{
    return whole_write(fd, b->data, b->len) ? err_sys(e, EX_IOERR, "unable to answer") : 0;
}

static int put_head(const struct answer *a, const char *correlation, int64_t length,
                    struct buf *head)
{
    if (buf_printf(head,
                   "Status: %d %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
                   "X-Content-Type-Options: nosniff\r\nX-Correlation-ID: %s\r\n",
                   a->status, http_status_text(a->status), a->type ? a->type : "application/json",
                   correlation))
        return -1;
    if (length >= 0 && buf_printf(head, "Content-Length: %lld\r\n", (long long)length))
        return -1;
    if (a->allow && buf_printf(head, "Allow: %s\r\n", a->allow))
        return -1;
    if (a->location && buf_printf(head, "Location: %s\r\n", a->location))
        return -1;
    if (a->status == 401 && buf_adds(head, "WWW-Authenticate: Bearer\r\n"))
        return -1;
    if (a->retry_after_s && buf_printf(head, "Retry-After: %d\r\n", a->retry_after_s))
        return -1;
    if (a->replayed && buf_adds(head, "Idempotent-Replayed: true\r\n"))
        return -1;
    return buf_adds(head, "\r\n");
}

int answer_begin(struct answer *a, int fd, const char *correlation, int64_t length, struct err *e)
{
    struct buf head = {0};
    int rc;

    a->begun = true;
    rc = put_head(a, correlation, length, &head) ? err_memory(e) : put_all(fd, &head, e);
    buf_free(&head);
    return rc;
}

int answer_send(struct answer *a, int fd, const char *correlation, bool head_only, struct err *e)
{
    struct buf head = {0};
    int rc = 0;

    if (a->begun)
        return 0;
    a->begun = true;
    if (put_head(a, correlation, (int64_t)a->body.len, &head) ||
        (!head_only && buf_add(&head, a->body.data, a->body.len)))
        rc = err_memory(e);
    if (!rc)
        rc = put_all(fd, &head, e);
    if (!rc && !head_only)
        a->bytes = (int64_t)a->body.len;
    buf_free(&head);
    return rc;
}
