#include "http/accesslog.h"

#include "base/clock.h"
#include "text/json.h"
#include "text/rfc3339.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int put_line(const struct access_line *l, struct buf *out)
{
    const struct {
        const char *name, *value;
    } texts[] = {{",\"principal\":", l->principal}, {",\"role\":", l->role}};
    char when[32];

    rfc3339_format(clock_now_ms(), when);
    if (buf_printf(out, "{\"ts\":\"%s\",\"method\":\"%s\",\"route\":", when, l->method) ||
        json_quote(span_of(l->route), out) ||
        buf_printf(out, ",\"status\":%d,\"ms\":%lld,\"bytes\":%lld", l->status, (long long)l->ms,
                   (long long)l->bytes))
        return -1;
    for (size_t i = 0; i < 2; i++)
        if (buf_adds(out, texts[i].name) || json_quote(span_of(texts[i].value), out))
            return -1;
    return buf_printf(out, ",\"correlation_id\":\"%s\"%s}\n", l->correlation,
                      l->replayed ? ",\"replayed\":true" : "");
}

int access_log(const char *path, const struct access_line *line, struct err *e)
{
    int fd = STDERR_FILENO, rc = 0;
    struct buf text = {0};

    if (put_line(line, &text)) {
        buf_free(&text);
        return err_memory(e);
    }
    if (path)
        fd = (int)TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (fd < 0)
        rc = err_sys(e, EX_CANTCREAT, "unable to open %s", path);
    else if (TEMP_FAILURE_RETRY(write(fd, text.data, text.len)) != (ssize_t)text.len)
        rc = err_sys(e, EX_IOERR, "unable to write to %s", path ? path : "stderr");
    if (path && fd >= 0)
        close(fd);
    buf_free(&text);
    return rc;
}
