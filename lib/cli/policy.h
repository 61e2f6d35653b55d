/* policy: the classes of cached values in cache.json.
 *
 *     { "max_size": "256M",
 *       "policies": { "query": { "ttl": "5m", "namespace": "q", "max_size": "8M" } } } */
#ifndef LIFEBOAT_POLICY_H
#define LIFEBOAT_POLICY_H

#include "cli/config.h"

struct policy {
    struct config file;
    const char *wanted; /* its name; NULL: none, only what holds for all */
    bool found;
    int64_t ttl_ms;        /* 0: it does not say */
    int64_t max_size;      /* bytes a namespace may hold; 0: neither does */
    const char *namespace; /* NULL: it does not say */
};

/* 64: there is no such policy; 78: the file is bad. */
int policy_open(struct policy *p, const char *wanted, struct err *e);
void policy_close(struct policy *p);

/* A size such as 65536, 64K, 8M or 2G, from 1 on. -1: it is none. */
int size_parse(const char *text, int64_t *bytes);

#endif
