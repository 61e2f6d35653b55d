/* upkeep: what the jobs that look after this box found when they ran last. */
#ifndef LIFEBOAT_CGI_UPKEEP_H
#define LIFEBOAT_CGI_UPKEEP_H

#include "base/buf.h"

enum { UPKEEP_PROBLEM = 320 };

/* Appends what the last backup, or the last drill, left in the status folder, as JSON;
 * null where it never ran, or where that cannot be read. What somebody should see to is
 * in problem, else it is "". -1: no memory. */
int upkeep_backup(struct buf *out, char problem[static UPKEEP_PROBLEM]);
int upkeep_drill(struct buf *out, char problem[static UPKEEP_PROBLEM]);

#endif
