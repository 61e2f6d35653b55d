/* An event line, as anything at all. What is accepted must come out canonical:
 * written, read and written again it is the same bytes with the same digest. */
#include "core/event.h"

#include <stdlib.h>
#include <string.h>

static void settle(struct event *ev, char room[18])
{
    if (ev->ts_device.set)
        event_settle(ev, SPAN("main"), room);
    event_digest(ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_parser p = {0};
    struct arena a = {0};
    struct buf once = {0}, twice = {0};
    struct event_fault fault;
    struct event first, second;
    char room[2][18];

    if (event_parse(&p, (struct span){(const char *)data, size}, &a, &first, &fault)) {
        if (!fault.why[0] || fault.offset > size)
            abort();
    } else {
        settle(&first, room[0]);
        if (event_write(&first, false, &once))
            abort();
        if (event_parse(&p, (struct span){once.data, once.len - 1}, &a, &second, &fault))
            abort();
        settle(&second, room[1]);
        if (event_write(&second, false, &twice) || once.len != twice.len ||
            memcmp(once.data, twice.data, once.len) || !digest_eq(first.digest, second.digest))
            abort();
        if (event_redigest(&p, &second) || !digest_eq(first.digest, second.digest) ||
            !event_covered(&p, &first, &second))
            abort();
    }
    event_parser_free(&p);
    arena_free(&a);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
