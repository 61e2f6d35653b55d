/* The small parsers: cursors, seals, clocks, ids, dates. What one accepts and
 * writes again must be what it read. */
#include "core/cursor.h"
#include "text/hlc.h"
#include "text/rfc3339.h"
#include "text/seal.h"
#include "text/uuid7.h"

#include <stdlib.h>
#include <string.h>

static void clocks(struct span s)
{
    struct hlc h;
    char text[18];
    int64_t ms, again;
    char date[32];

    if (!hlc_parse(s, &h)) {
        hlc_format(h, text);
        if (!span_eq(s, span_of(text)))
            abort();
    }
    if (!rfc3339_parse(s, &ms)) {
        rfc3339_format(ms, date);
        if (!rfc3339_parse(span_of(date), &again) && again != ms)
            abort();
    }
}

static void ids(struct span s)
{
    uint8_t id[16], again[16];
    char text[37];

    if (uuid7_parse(s, id))
        return;
    uuid7_format(id, text);
    if (uuid7_parse(span_of(text), again) || memcmp(id, again, sizeof id))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {(const char *)data, size}, store, check;
    char cursor[SEAL_CURSOR_MAX];
    struct buf line = {0};
    struct seal seal, same;
    const char *why;
    int64_t seq;

    clocks(s);
    ids(s);
    if (cursor_wellformed(s, &store, &seq, &check) && (seq < 0 || check.n != 8))
        abort();
    seal_read_cursor(s, cursor);
    if (seal_read(s, &seal, &why) == 1 &&
        (seal_write(&seal, &line) ||
         seal_read((struct span){line.data, line.len - 1}, &same, &why) != 1 ||
         seal.count != same.count || strcmp(seal.to, same.to) || strcmp(seal.sha256, same.sha256)))
        abort();
    buf_free(&line);
    return 0;
}
