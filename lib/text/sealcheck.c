#include "text/sealcheck.h"

#include <stdio.h>
#include <string.h>

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
    if (kind == -2)
        return -1;
    if (kind < 0)
        broken(c, why);
    c->count += !is_control && text.n > 0;
    c->after += raw.n;
    return sha256_add(&c->hash, raw.p, raw.n);
}

int seal_check_read(struct seal_check *c, const struct line *l)
{
    struct span text = l->first ? l->text : (struct span){"", 0};

    return seal_check_line(c, l->raw, text, l->first && l->last && line_is_control(l->text));
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
