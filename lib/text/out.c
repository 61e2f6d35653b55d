#include "text/out.h"

#include "base/stop.h"

#include <errno.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 };

static int fail(struct out *o, int number)
{
    if (!o->failed)
        o->failed = number;
    errno = o->failed;
    return -1;
}

static int write_all(struct out *o, const char *p, size_t n)
{
    while (n && !o->failed) {
        ssize_t done = write(o->fd, p, n);

        if (done < 0 && errno == EINTR && !stop_signal())
            continue;
        if (done <= 0)
            return fail(o, done ? errno : EIO);
        p += done;
        n -= (size_t)done;
    }
    return o->failed ? fail(o, o->failed) : 0;
}

int out_flush(struct out *o)
{
    int rc = write_all(o, o->buf.data, o->buf.len);

    o->buf.len = 0;
    return rc;
}

int out_add(struct out *o, const void *p, size_t n)
{
    if (o->failed)
        return fail(o, o->failed);
    if (o->tap && o->tap(o->tap_ctx, p, n))
        return fail(o, ENOMEM);
    if (o->buf.len + n > BLOCK && out_flush(o))
        return -1;
    if (n >= BLOCK)
        return write_all(o, p, n);
    if (buf_add(&o->buf, p, n))
        return fail(o, ENOMEM);
    return 0;
}

int out_close(struct out *o)
{
    int rc = out_flush(o);
    int number = errno;

    buf_free(&o->buf);
    errno = number;
    return rc;
}
