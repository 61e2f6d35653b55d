/* The small parsers: cursors, seals, clocks, ids, places in a stream, dates. What one
 * accepts and writes again must be what it read; dates are what the C library says. */
#include "core/cursor.h"
#include "http/stream.h"
#include "text/hlc.h"
#include "text/rfc3339.h"
#include "text/seal.h"
#include "text/uuid7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From and to which ms the years have four digits. */
#define YEAR_1     INT64_C(-62135596800000)
#define YEAR_10000 INT64_C(253402300800000)

/* What a date that was accepted means, by the C library. */
static int64_t date_ms(struct span s)
{
    char text[64] = "", zone[2] = "";
    int hours = 0, minutes = 0, at = 0;
    int64_t ms = 0, unit = 100;
    struct tm t = {0};
    const char *p;

    memcpy(text, s.p, s.n < sizeof text ? s.n : sizeof text - 1);
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday,
               &t.tm_hour, &t.tm_min, &t.tm_sec, &at) != 6)
        abort();
    t.tm_year -= 1900;
    t.tm_mon--;
    p = text + at;
    for (p += *p == '.'; *p >= '0' && *p <= '9'; p++, unit /= 10)
        ms += unit * (*p - '0');
    if (sscanf(p, "%1[+-]%2d:%2d", zone, &hours, &minutes) == 3 && zone[0] == '-') {
        hours = -hours;
        minutes = -minutes;
    }
    return ms + 1000 * ((int64_t)timegm(&t) - 3600 * hours - 60 * minutes);
}

static void dates(struct span s)
{
    int64_t ms, again;
    char date[32];

    if (rfc3339_parse(s, &ms))
        return;
    if (s.n < 64 && ms != date_ms(s))
        abort();
    rfc3339_format(ms, date);
    if (ms >= YEAR_1 && ms < YEAR_10000 && (rfc3339_parse(span_of(date), &again) || again != ms))
        abort();
}

static void clocks(struct span s)
{
    struct hlc h;
    char text[18];

    if (!hlc_parse(s, &h)) {
        hlc_format(h, text);
        if (!span_eq(s, span_of(text)))
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

static void places(struct span s)
{
    char text[STREAM_ID_TEXT];
    struct stream_place p;

    if (stream_place_parse(s, &p))
        return;
    if (!span_eq(s, (struct span){text, stream_place_text(&p, text)}) || p.job < 0 || p.cache < 0)
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
    dates(s);
    ids(s);
    places(s);
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
