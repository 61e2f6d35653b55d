#include "text/hlc.h"

enum { MS_DIGITS = 12, COUNTER_DIGITS = 4, TEXT = MS_DIGITS + 1 + COUNTER_DIGITS };

static int read_hex(const char *p, int count, int64_t *value)
{
    int64_t sum = 0;

    for (int i = 0; i < count; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            sum = sum * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            sum = sum * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    *value = sum;
    return 0;
}

static void write_hex(char *p, int count, int64_t value)
{
    while (count-- > 0) {
        p[count] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

int hlc_parse(struct span s, struct hlc *h)
{
    int64_t ms, counter;

    if (s.n != TEXT || s.p[MS_DIGITS] != '.')
        return -1;
    if (read_hex(s.p, MS_DIGITS, &ms) || read_hex(s.p + MS_DIGITS + 1, COUNTER_DIGITS, &counter))
        return -1;
    *h = (struct hlc){ms, (uint32_t)counter};
    return 0;
}

void hlc_format(struct hlc h, char out[static 18])
{
    write_hex(out, MS_DIGITS, h.ms);
    out[MS_DIGITS] = '.';
    write_hex(out + MS_DIGITS + 1, COUNTER_DIGITS, h.counter);
    out[TEXT] = '\0';
}

int hlc_cmp(struct hlc a, struct hlc b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.counter < b.counter ? -1 : a.counter > b.counter;
}

void hlc_merge(struct hlc *clock, struct hlc msg)
{
    if (hlc_cmp(*clock, msg) < 0)
        *clock = msg;
}

int hlc_next(struct hlc *h)
{
    if (h->counter < HLC_COUNTER_MAX) {
        h->counter++;
        return 0;
    }
    if (h->ms >= HLC_MS_END - 1)
        return -1;
    *h = (struct hlc){h->ms + 1, 0};
    return 0;
}

int hlc_send(struct hlc *clock, int64_t pt)
{
    if (pt >= HLC_MS_END)
        return -1;
    if (pt <= clock->ms)
        return hlc_next(clock);
    *clock = (struct hlc){pt, 0};
    return 0;
}

/* The paper's four cases come down to this: the later of the two readings,
 * then a send event. */
int hlc_recv(struct hlc *clock, struct hlc msg, int64_t pt)
{
    struct hlc later = *clock;

    hlc_merge(&later, msg);
    if (hlc_send(&later, pt))
        return -1;
    *clock = later;
    return 0;
}
