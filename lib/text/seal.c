#include "text/seal.h"

#include "text/json.h"

#include <stdio.h>
#include <string.h>

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

int seal_read(struct span line, struct seal *s, const char **why)
{
    struct json j = {0};
    struct json_value v;
    int rc;

    *s = (struct seal){0};
    rc = only_member(&j, line, "lifeboat_end", &v);
    if (rc == 1)
        rc = v.kind == JSON_OBJECT ? read_inner(&j, v.raw, s) : -1;
    json_end(&j);
    if (rc < 0)
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
    json_end(&j);
    return rc;
}

static void broken(struct seal_check *c, const char *why)
{
    if (!c->broken)
        snprintf(c->why, sizeof c->why, "%s", why);
    c->broken = true;
}

/* The line is a seal: compares it with what went by. */
static int judge(struct seal_check *c, const struct seal *s)
{
    char sum[SHA256_TEXT];

    if (sha256_text(&c->hash, sum))
        return -1;
    if (s->count != c->count) {
        broken(c, "");
        snprintf(c->why, sizeof c->why, "the seal speaks of %llu events, but there are %llu",
                 (unsigned long long)s->count, (unsigned long long)c->count);
    } else if (strcmp(sum, s->sha256)) {
        broken(c, "the lines are not those that were sealed (sha256 differs)");
    }
    c->seals++;
    c->count = c->after = 0;
    c->last = *s;
    return 0;
}

int seal_check_line(struct seal_check *c, struct span raw, struct span text, bool is_control)
{
    const char *why = "";
    struct seal s;
    int kind = is_control ? seal_read(text, &s, &why) : 0;

    if (kind == 1)
        return judge(c, &s);
    if (kind < 0)
        broken(c, why);
    c->count += !is_control && text.n > 0;
    c->after += raw.n;
    return sha256_add(&c->hash, raw.p, raw.n);
}

bool seal_check_whole(struct seal_check *c)
{
    if (!c->seals)
        broken(c, "there is no seal: the end is missing, or it was made without --seal");
    else if (c->after)
        broken(c, "there is something behind the seal");
    else if (c->seals > 1)
        broken(c, "there is more than one seal: several exports joined in one file");
    return !c->broken;
}

void seal_check_free(struct seal_check *c)
{
    char ignored[SHA256_TEXT];

    if (c->hash.ctx)
        sha256_text(&c->hash, ignored);
}
