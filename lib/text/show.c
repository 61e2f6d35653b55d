#include "text/show.h"

#include "text/json.h"
#include "text/utf8.h"

static unsigned code_point(const char *p, size_t n)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned c = (unsigned char)p[0] & lead[n];

    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

static bool harmless(unsigned c, bool utf8)
{
    if (c < 0x80)
        return c >= ' ' && c != 0x7f && c != '\\';
    return utf8 && c >= 0xa0 && c != 0x061c && c != 0x200e && c != 0x200f &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff;
}

int show_text(struct span s, bool utf8, struct buf *out)
{
    const char *end = s.p + s.n;
    int rc = 0;

    for (const char *p = s.p; p < end && !rc;) {
        size_t n = utf8_length(p, end);
        unsigned c = n ? code_point(p, n) : (unsigned char)*p;

        if (!n)
            rc = buf_printf(out, "\\x%02x", c);
        else if (harmless(c, utf8))
            rc = buf_add(out, p, n);
        else if (c == '\\')
            rc = buf_adds(out, "\\\\");
        else
            rc = buf_printf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
        p += n ? n : 1;
    }
    return rc;
}
