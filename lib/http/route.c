#include "http/route.h"

#include <string.h>

/* Does the pattern's segment at p, n bytes of it, take the request's i-th? */
static bool takes(const char *p, size_t n, const struct request *r, int i, bool *named)
{
    *named = *p == '{';
    if (*named)
        return r->segment[i].n > 0 && (!r->slash[i] || p[n - 2] == '*');
    return span_eq((struct span){p, n}, r->segment[i]);
}

bool route_matches(const char *pattern, const struct request *r, struct route_match *m)
{
    int i = 0, values = 0;

    *m = (struct route_match){{NULL}};
    while (*pattern == '/') {
        size_t n = strcspn(++pattern, "/");
        bool named;

        if (i == r->segments || !takes(pattern, n, r, i, &named))
            return false;
        if (named && values < ROUTE_VALUES)
            m->value[values++] = r->segment[i].p;
        pattern += n;
        i++;
    }
    return i == r->segments;
}

static bool lists(const char *names, struct span name)
{
    while (*names) {
        size_t n = strcspn(names, " ");

        if (span_eq((struct span){names, n}, name))
            return true;
        names += n + (names[n] == ' ');
    }
    return false;
}

bool route_params_ok(const char *names, const struct request *r, const char **unknown)
{
    for (int i = 0; i < r->params; i++)
        if (!lists(names, r->param[i].name)) {
            *unknown = r->param[i].name.p;
            return false;
        }
    return true;
}
