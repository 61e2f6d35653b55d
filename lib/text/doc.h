/* doc: the API's restore document, split into its events in bounded memory.
 *
 *     {"restore_session_id":…,"source_device_id":…,"events":[{…},…],
 *      "events_count":N,"more":false}
 *
 * Members may come in any order; unknown ones are passed over. The whole body
 * is read and checked as JSON; memory is one event (at most max bytes). */
#ifndef LIFEBOAT_DOC_H
#define LIFEBOAT_DOC_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct doc {
    struct buf session, source_device, source_name; /* terminated; empty if absent */
    int64_t events_count;
    bool has_count, has_events, more;
    uint64_t events; /* how many there were */
};

/* Reads fd to its end and gives each element of "events", checked as JSON
 * but not as an event, to take; -1 from take ends the reading. On success
 * events_count was there and right. 65 with the byte where it goes wrong. */
int doc_read(struct doc *d, int fd, const char *name, size_t max,
             int (*take)(void *ctx, struct span element, struct err *e), void *ctx, struct err *e);
void doc_free(struct doc *d);

#endif
