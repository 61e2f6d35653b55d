#include "text/utf8.h"

size_t utf8_length(const char *p, const char *end)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t left = (size_t)(end - p);

    if (s[0] < 0x80)
        return 1;
    if (left >= 2 && s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
        return 2;
    if (left >= 3 && (s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
            return 0;
        return 3;
    }
    if (left >= 4 && s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 &&
        (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80) {
        if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

int utf8_mend(struct span s, size_t most, struct buf *out)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t limit = out->len + most;

    while (p < end && out->len < limit) {
        size_t n = *p ? utf8_length(p, end) : 0;

        if (n ? buf_add(out, p, n) : buf_adds(out, "\xef\xbf\xbd"))
            return -1;
        p += n ? n : 1;
    }
    return 0;
}
