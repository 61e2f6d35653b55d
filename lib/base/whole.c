#include "base/whole.h"

#include <errno.h>
#include <unistd.h>

int whole_write(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        ssize_t done = TEMP_FAILURE_RETRY(write(fd, at, n));

        if (done < 0)
            return -1;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}
