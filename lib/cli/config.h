/* config: the JSON files of the configuration folder.
 *
 * A file NAME is looked for in $LIFEBOAT_CONFIG, or /etc/lifeboat where that is not
 * set, and then where the shipped one is: the installed share folder, or the
 * sources when the program runs from where it was built. Members nobody
 * knows, and ones that stand there twice, are errors (78) that say where: what
 * is misspelt must not be without effect. */
#ifndef LIFEBOAT_CONFIG_H
#define LIFEBOAT_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
    char *path;      /* of the file that was read; NULL: there is none */
    struct buf text; /* of it; values point into it */
    struct arena strings;
};

/* Reads the file; 1: read, 0: there is none anywhere. A c of all zeros is closed. */
int config_open(struct config *c, const char *name, struct err *e);
/* The file at this path and no other. 1, or 0: it is not there. */
int config_open_file(struct config *c, const char *path, struct err *e);
void config_close(struct config *c);

/* The folder where the site's own files are, $LIFEBOAT_CONFIG or /etc/lifeboat. */
const char *config_folder(void);

/* Hands each member of an object to member, which returns -1 (e set, by
 * config_fault) for one that is wrong or not known. The whole text is
 * config_whole(c). */
int config_members(struct config *c, struct span object,
                   int (*member)(void *ctx, struct span name, const struct json_value *v,
                                 struct err *e),
                   void *ctx, struct err *e);
struct span config_whole(const struct config *c);

/* "FILE:LINE: why", 78. at points into the text. Returns -1. */
int config_fault(const struct config *c, const char *at, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A value as what is wanted there, or a fault that names it. Strings live until
 * config_close. Spans of time are seconds, or "90s", "5m", "24h", "7d". */
int config_string(struct config *c, struct span name, const struct json_value *v, char **out,
                  struct err *e);
int config_int(struct config *c, struct span name, const struct json_value *v, int64_t min,
               int64_t max, int64_t *out, struct err *e);
int config_span_ms(struct config *c, struct span name, const struct json_value *v, int64_t *out,
                   struct err *e);
int config_bool(struct config *c, struct span name, const struct json_value *v, bool *out,
                struct err *e);

#endif
