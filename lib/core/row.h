/* row: an event as a row of the events table. */
#ifndef LIFEBOAT_ROW_H
#define LIFEBOAT_ROW_H

#include "core/db.h"
#include "core/event.h"

/* The columns row_read expects, in its order. */
#define ROW_COLUMNS                                                                                \
    "seq, event_id, digest, site_id, entity_type, entity_id, entity_version, actor_id, "           \
    "actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version, "   \
    "correlation_id, causation_id, synced, acknowledged, created_at, payload_json, extra_json"

/* The spans of ev are valid until the statement is stepped or reset. The
 * digest is the stored one; -1 if it has not 16 bytes. */
int row_read(struct stmt *s, struct event *ev);

#endif
