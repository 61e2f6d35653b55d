#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int status, const char *fmt, ...)
{
    va_list ap;

    e->status = status;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    return -1;
}

static int status_of_errno(int number, int otherwise)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
        return EX_IOERR;
    case EACCES:
    case EPERM:
    case EROFS:
        return EX_NOPERM;
    case ENOMEM:
        return EX_TEMPFAIL;
    default:
        return otherwise;
    }
}

int err_sys(struct err *e, int status, const char *fmt, ...)
{
    int number = errno;
    va_list ap;
    size_t n;

    e->status = status_of_errno(number, status);
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    n = strlen(e->msg);
    snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerror(number));
    return -1;
}

int err_memory(struct err *e)
{
    return err_set(e, EX_TEMPFAIL, "out of memory");
}
