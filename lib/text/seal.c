#include "text/seal.h"

#include "text/json.h"

#include <stdio.h>
#include <string.h>

bool line_is_control(struct span s)
{
    static const char mark[] = "{\"lifeboat_";
    size_t matched = 0;

    for (size_t i = 0; i < s.n && matched < sizeof mark - 1; i++) {
        if (s.p[i] == mark[matched])
            matched++;
        else if (matched > 1 || (s.p[i] != ' ' && s.p[i] != '\t'))
            return false;
    }
    return matched == sizeof mark - 1;
}

int seal_write(const struct seal *s, struct buf *out)
{
    return buf_printf(out,
                      "{\"lifeboat_end\":{\"count\":%llu,\"sha256\":\"%s\",\"from\":\"%s\","
                      "\"to\":\"%s\"}}\n",
                      (unsigned long long)s->count, s->sha256, s->from, s->to);
}

static bool is_name(const struct json_value *name, const char *wanted)
{
    return name->raw.n == strlen(wanted) + 2 && !memcmp(name->raw.p + 1, wanted, strlen(wanted));
}

/* A plain string without escapes that fits. */
static int copy_text(const struct json_value *v, char *out, size_t room)
{
    if (v->kind != JSON_STRING || v->escaped || v->raw.n - 2 >= room)
        return -1;
    memcpy(out, v->raw.p + 1, v->raw.n - 2);
    out[v->raw.n - 2] = '\0';
    return 0;
}

static int take_member(struct seal *s, const struct json_value *name, const struct json_value *v)
{
    int64_t count;

    if (is_name(name, "count")) {
        if (json_int(v, &count) || count < 0)
            return -1;
        s->count = (uint64_t)count;
        return 1;
    }
    if (is_name(name, "sha256"))
        return copy_text(v, s->sha256, sizeof s->sha256) ? -1 : 2;
    if (is_name(name, "from"))
        return copy_text(v, s->from, sizeof s->from) ? -1 : 4;
    if (is_name(name, "to"))
        return copy_text(v, s->to, sizeof s->to) ? -1 : 8;
    return 0;
}

static int read_inner(struct json *j, struct span inner, struct seal *s)
{
    struct json_value name, v;
    bool first = true;
    int seen = 0, rc;

    json_start(j, inner);
    if (json_open(j))
        return -1;
    while ((rc = json_member(j, &first, &name, &v)) == 1) {
        int bit = take_member(s, &name, &v);

        if (bit < 0 || (seen & bit))
            return -1;
        seen |= bit;
    }
    return rc || json_finish(j) || (seen & 3) != 3 || strlen(s->sha256) != SHA256_TEXT - 1 ? -1 : 1;
}

/* The value of a line {"NAME":value}; 1, or 0 for another line, or -1. */
static int only_member(struct json *j, struct span line, const char *wanted, struct json_value *v)
{
    struct json_value name, more;
    bool first = true;

    json_start(j, line);
    if (json_open(j) || json_member(j, &first, &name, v) != 1)
        return -1;
    if (!is_name(&name, wanted))
        return 0;
    return json_member(j, &first, &name, &more) || json_finish(j) ? -1 : 1;
}

/* Nothing is wrong with a line for which there was no memory. */
static int finish(struct json *j, int rc)
{
    if (rc < 0 && j->why == json_no_memory)
        rc = -2;
    json_end(j);
    return rc;
}

int seal_read(struct span line, struct seal *s, const char **why)
{
    struct json j = {0};
    struct json_value v;
    int rc;

    *s = (struct seal){0};
    rc = only_member(&j, line, "lifeboat_end", &v);
    if (rc == 1)
        rc = v.kind == JSON_OBJECT ? read_inner(&j, v.raw, s) : -1;
    rc = finish(&j, rc);
    if (rc == -1)
        *why = "the seal is malformed";
    return rc;
}

int seal_read_cursor(struct span line, char out[SEAL_CURSOR_MAX])
{
    struct json j = {0};
    struct json_value v;
    int rc = only_member(&j, line, "lifeboat_cursor", &v);

    if (rc == 1 && copy_text(&v, out, SEAL_CURSOR_MAX))
        rc = -1;
    return finish(&j, rc);
}
