/* An event line, as anything at all. What is accepted must come out canonical:
 * written, read and written again it is the same bytes with the same digest; and
 * the line in another spelling is the same event. */
#include "core/event.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

static void settle(struct event *ev, char room[18])
{
    if (ev->ts_device.set)
        event_settle(ev, SPAN("main"), room);
    event_digest(ev);
}

/* As another program would write it: members in another order, other numerals,
 * other escapes. */
static void check_spelled(struct span line, struct digest wanted)
{
    struct dice d = {.seed = 1 + line.n};
    struct event_parser p = {0};
    struct arena a = {0};
    struct event_fault fault;
    struct buf other = {0};
    struct value *tree;
    struct event ev;
    char room[18];

    value_reset();
    tree = value_parse(line);
    if (!tree)
        value_found("accepted", line, SPAN(""));
    value_spell(tree, &d, &other);
    if (event_parse(&p, (struct span){other.data, other.len}, &a, &ev, &fault))
        value_found("refused in another spelling", line, (struct span){other.data, other.len});
    settle(&ev, room);
    if (!digest_eq(ev.digest, wanted))
        value_found("another event in another spelling", line,
                    (struct span){other.data, other.len});
    event_parser_free(&p);
    arena_free(&a);
    buf_free(&other);
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
        check_spelled((struct span){(const char *)data, size}, first.digest);
    }
    event_parser_free(&p);
    arena_free(&a);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
