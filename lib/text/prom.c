#include "text/prom.h"

int prom_head(struct buf *out, const char *name, const char *type, const char *help)
{
    return buf_printf(out, "# HELP lifeboat_%s %s\n# TYPE lifeboat_%s %s\n", name, help, name,
                      type);
}

int prom_quote(struct buf *out, struct span value)
{
    int failed = buf_addc(out, '"');

    for (size_t i = 0; i < value.n && !failed; i++) {
        char c = value.p[i];

        failed = c == '\n'               ? buf_adds(out, "\\n")
                 : c == '\\' || c == '"' ? buf_addc(out, '\\') || buf_addc(out, c)
                                         : buf_addc(out, c);
    }
    return failed || buf_addc(out, '"') ? -1 : 0;
}

static int put_name(struct buf *out, const char *name, const char *suffix,
                    const struct prom_label *labels, size_t count)
{
    int failed = buf_printf(out, "lifeboat_%s%s", name, suffix);

    for (size_t i = 0; i < count && !failed; i++)
        failed = buf_printf(out, "%c%s=", i ? ',' : '{', labels[i].name) ||
                 prom_quote(out, labels[i].value);
    return failed || buf_adds(out, count ? "} " : " ") ? -1 : 0;
}

static int put_seconds(struct buf *out, int64_t ms)
{
    uint64_t n = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

    return buf_printf(out, "%s%llu.%03llu\n", ms < 0 ? "-" : "", (unsigned long long)(n / 1000),
                      (unsigned long long)(n % 1000));
}

int prom_sample(struct buf *out, const char *name, const char *suffix,
                const struct prom_label *labels, size_t count, int64_t n)
{
    return put_name(out, name, suffix, labels, count) || buf_addi(out, n) || buf_addc(out, '\n')
               ? -1
               : 0;
}

int prom_sample_seconds(struct buf *out, const char *name, const char *suffix,
                        const struct prom_label *labels, size_t count, int64_t ms)
{
    return put_name(out, name, suffix, labels, count) || put_seconds(out, ms) ? -1 : 0;
}

int prom_one(struct buf *out, const char *name, const char *type, const char *help, int64_t n)
{
    return prom_head(out, name, type, help) || prom_sample(out, name, "", NULL, 0, n) ? -1 : 0;
}

int prom_one_seconds(struct buf *out, const char *name, const char *type, const char *help,
                     int64_t ms)
{
    return prom_head(out, name, type, help) || prom_sample_seconds(out, name, "", NULL, 0, ms) ? -1
                                                                                               : 0;
}
