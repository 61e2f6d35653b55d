/* mirror: what this server has to do with being tried beside another one. */
#ifndef LIFEBOAT_CGI_MIRROR_H
#define LIFEBOAT_CGI_MIRROR_H

#include "core/ledger.h"
#include "lifeboat.cgi/front.h"

/* Adds the line of a scan that was stored, after ms, to the log. The scan is safe, and
 * who waits for the answer need not know of the log: what fails is said on stderr. */
void mirror_log_scan(const struct exchange *x, struct span device, struct span payload, int64_t ms);

/* The ledger of the comparisons; one without lines where there is none. */
int mirror_ledger(struct ledger *l, struct err *e);

/* Appends how the comparisons of the last days went, as JSON; null where there is no
 * ledger, or none that can be read: then problem says so, else it is "". */
int mirror_put(struct buf *out, char problem[static 256]);

#endif
