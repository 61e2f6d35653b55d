/* A restore document, as anything at all, through a pipe-like file: what is
 * accepted has as many events as it says, each of them JSON. */
#include "text/doc.h"
#include "text/json.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int take(void *ctx, struct span element, struct err *e)
{
    struct json j = {0};
    struct json_value v;

    (void)e;
    if (json_whole(&j, element, &v))
        abort();
    json_end(&j);
    ++*(uint64_t *)ctx;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct err e = ERR_NONE;
    uint64_t taken = 0;
    struct doc d;

    if (fd < 0)
        fd = memfd_create("doc", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size ||
        lseek(fd, 0, SEEK_SET))
        abort();
    if (!doc_read(&d, fd, "doc", 1 << 16, take, &taken, &e)) {
        if (taken != d.events || d.events_count != (int64_t)taken)
            abort();
    } else if (!e.msg[0]) {
        abort();
    }
    doc_free(&d);
    return 0;
}
