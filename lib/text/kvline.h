/* kvline: a cache entry as a line of JSON.
 *
 *     {"key":"k","value":{"any":"JSON"},"ttl":300}
 *     {"key":"k","namespace":"ns","value":"a text","is_json":false}
 *     {"key":"k","value_base64":"AAEC"}
 *
 * A key is 1 to 255 bytes of UTF-8 without control characters, a namespace 0 to
 * 255 of them. Reasons are returned as text, NULL if there is none; offset then
 * says where in the line; json_no_memory is not the line's fault. */
#ifndef LIFEBOAT_KVLINE_H
#define LIFEBOAT_KVLINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "text/json.h"

#include <stdbool.h>
#include <stdint.h>

enum { KV_KEY_MAX = 255, KV_VALUE_MAX = 16 << 20, KV_TTL_MAX_S = 3650 * 86400 };

struct kv_entry {
    struct span ns; /* p NULL: the line does not say */
    struct span key;
    struct span value;
    bool is_json;
    int64_t ttl_s; /* 0: the line does not say */
};

const char *kv_key_fault(struct span key);
const char *kv_namespace_fault(struct span ns);

/* Spans point into the line, or to what the arena keeps. */
const char *kv_parse(struct json *j, struct span line, struct arena *a, struct kv_entry *out,
                     size_t *offset);

/* The line names a key: as it is, as a JSON string, or as an object with a member
 * key; namespace counts too, other members are passed over. */
const char *kv_parse_key(struct json *j, struct span line, struct arena *a, struct kv_entry *out,
                         size_t *offset);

/* Appends the line, with its LF. -1 when memory ran out. */
int kv_write(const struct kv_entry *x, struct buf *out);

#endif
