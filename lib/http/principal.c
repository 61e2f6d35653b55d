#include "http/principal.h"

static const char *const names[ROLES] = {"user", "device", "dr", "admin"};

const char *role_name(enum role role)
{
    return names[role];
}

int role_parse(struct span name, enum role *role)
{
    for (int r = 0; r < ROLES; r++)
        if (span_eq(name, span_of(names[r]))) {
            *role = (enum role)r;
            return 0;
        }
    return -1;
}

bool user_id_ok(struct span id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return id.n && id.n <= USER_ID_MAX;
}
