/* prom: the text format of Prometheus, version 0.0.4.
 *
 * All names begin with lifeboat_, which is not said here. Each returns 0, or -1 when
 * memory ran out. */
#ifndef LIFEBOAT_PROM_H
#define LIFEBOAT_PROM_H

#include "base/buf.h"

#include <stdint.h>

/* The HELP and TYPE lines. */
int prom_head(struct buf *out, const char *name, const char *type, const char *help);

/* A metric of one sample, with its head. */
int prom_one(struct buf *out, const char *name, const char *type, const char *help, int64_t n);
/* The same in seconds, of milliseconds. */
int prom_one_seconds(struct buf *out, const char *name, const char *type, const char *help,
                     int64_t ms);

/* A value in quotes: backslash, quote and line feed are escaped. */
int prom_quote(struct buf *out, struct span value);

/* One sample, the labels as {name="value"}; name NULL: none. suffix: "" or "_sum"... */
struct prom_label {
    const char *name;
    struct span value;
};
int prom_sample(struct buf *out, const char *name, const char *suffix,
                const struct prom_label *labels, size_t count, int64_t n);
int prom_sample_seconds(struct buf *out, const char *name, const char *suffix,
                        const struct prom_label *labels, size_t count, int64_t ms);

#endif
