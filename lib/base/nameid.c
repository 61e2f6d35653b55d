#include "base/nameid.h"

#include <stdio.h>
#include <string.h>

int nameid_hash(const char *const *texts, char out[SHA256_TEXT])
{
    struct sha256 hash = {0};
    int rc = 0;

    for (; *texts && !rc; texts++)
        rc = sha256_add(&hash, *texts, strlen(*texts) + 1);
    return sha256_text(&hash, out) || rc ? -1 : 0;
}

int nameid_uuid(const char *const *texts, char out[static NAMEID_TEXT])
{
    static const char variants[] = "89ab";
    char h[SHA256_TEXT], digit;

    if (nameid_hash(texts, h))
        return -1;
    digit = h[16];
    snprintf(out, NAMEID_TEXT, "%.8s-%.4s-8%.3s-%c%.3s-%.12s", h, h + 8, h + 13,
             variants[(digit <= '9' ? digit - '0' : digit - 'a' + 10) & 3], h + 17, h + 20);
    return 0;
}
