/* copyrow: an event as a row of the text form that PostgreSQL's COPY reads.
 *
 * Columns are set apart by tabs, an absent one is \N, and a backslash stands before
 * what would otherwise end a column or a row. They are, in this order: the digest in
 * 32 hex digits; event_id, site_id, entity_type, entity_id, entity_version, actor_id,
 * actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type,
 * schema_version, correlation_id, causation_id; and the event's own line, of which the
 * others are only an extract: U+FFFD stands there for what is no UTF-8. Pure. */
#ifndef LIFEBOAT_COPYROW_H
#define LIFEBOAT_COPYROW_H

#include "core/event.h"

/* line is the event's, without its line feed. Appends the row, LF included.
 * Returns 0, or -1 when memory ran out. */
int copyrow_event(const struct event *ev, struct span line, struct buf *out);

/* The row of a line that is no event's: all other columns are absent. Same result. */
int copyrow_control(struct span line, struct buf *out);

#endif
