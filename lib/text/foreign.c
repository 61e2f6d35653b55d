#include "text/foreign.h"

#include <stddef.h>
#include <string.h>

#define MAGIC(text) (text), sizeof(text) - 1

static const struct {
    const char *magic;
    size_t n;
    const char *what, *how; /* how: the command that makes lines of it */
} kinds[] = {
    {MAGIC("\x28\xb5\x2f\xfd"), "packed by zstd", "zstd -dc"},
    {MAGIC("\x1f\x8b\x08"), "packed by gzip", "gzip -dc"},
    {MAGIC("\xfd\x37zXZ"), "packed by xz", "xz -dc"},
    {MAGIC("SQLite format 3"), "a SQLite database, such as a store", "evstore-export --full -d"},
    {MAGIC("age-encryption.org/"), "encrypted by age", "age -d -i IDENTITY"},
    {MAGIC("-----BEGIN AGE"), "encrypted by age", "age -d -i IDENTITY"},
};

int foreign_refuse(struct span start, const char *name, const char *to, struct err *e)
{
    const char *file = strcmp(name, "standard input") ? name : "FILE";

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (start.n >= kinds[i].n && !memcmp(start.p, kinds[i].magic, kinds[i].n))
            return err_set(e, EX_DATAERR, "%s: it is %s, not lines of events: %s %s | %s", name,
                           kinds[i].what, kinds[i].how, file, to);
    return 0;
}

int foreign_line(const struct line *l, const char *name, const char *to, struct err *e)
{
    return l->number == 1 && l->first ? foreign_refuse(l->raw, name, to, e) : 0;
}
