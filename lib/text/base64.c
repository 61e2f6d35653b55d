#include "text/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_add(struct span s, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)s.p;

    if (buf_reserve(out, (s.n + 2) / 3 * 4))
        return -1;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t three = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                         (left > 2 ? p[i + 2] : 0);
        char *to = out->data + out->len;

        to[0] = alphabet[three >> 18];
        to[1] = alphabet[three >> 12 & 63];
        to[2] = '=';
        to[3] = '=';
        if (left > 1)
            to[2] = alphabet[three >> 6 & 63];
        if (left > 2)
            to[3] = alphabet[three & 63];
        out->len += 4;
    }
    return 0;
}

/* 0 to 63, or -1. */
static int value_of(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

int64_t base64_decode(struct span text, char *out)
{
    size_t pad = 0;
    char *at = out;

    if (text.n % 4)
        return -1;
    while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.n; i += 4) {
        size_t real = i + 4 == text.n ? 4 - pad : 4;
        uint32_t bits = 0;

        for (size_t k = 0; k < 4; k++) {
            int v = k < real ? value_of(text.p[i + k]) : 0;

            if (v < 0)
                return -1;
            bits = bits << 6 | (uint32_t)v;
        }
        for (size_t k = 0; k + 1 < real; k++)
            *at++ = (char)(bits >> (16 - 8 * k));
    }
    return at - out;
}
