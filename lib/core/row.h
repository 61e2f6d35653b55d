/* row: an event as a row of the events table. */
#ifndef LIFEBOAT_ROW_H
#define LIFEBOAT_ROW_H

#include "core/db.h"
#include "core/event.h"

/* The columns row_read expects, in its order; the payload by an expression. */
#define ROW_COLUMNS_WITH(payload)                                                                  \
    "seq, event_id, digest, site_id, entity_type, entity_id, entity_version, actor_id, "           \
    "actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version, "   \
    "correlation_id, causation_id, synced, acknowledged, created_at, " payload ", extra_json"
#define ROW_COLUMNS ROW_COLUMNS_WITH("payload_json")

/* Events of long payloads; schema.sql has an index of just these. */
#define ROW_LARGE "length(CAST(payload_json AS BLOB)) > 1048576"
/* NULL in place of a long payload. */
#define ROW_COLUMNS_LARGE_APART                                                                    \
    ROW_COLUMNS_WITH("CASE WHEN seq NOT IN (SELECT seq FROM events WHERE " ROW_LARGE ") "          \
                     "THEN payload_json END AS payload_json")

/* The spans of ev are valid until the statement is stepped or reset. The
 * digest is the stored one; -1 if it has not 16 bytes. */
int row_read(struct stmt *s, struct event *ev);

/* Hands out the payload of an event in pieces of bounded size. */
int row_payload(struct db *db, int64_t seq, void (*take)(const void *p, size_t n), struct err *e);

#endif
