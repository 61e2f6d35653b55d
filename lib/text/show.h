/* show: text of unknown origin made fit for a terminal.
 *
 * What could steer a terminal or turn a line around comes out as an escape:
 * control characters, line and paragraph separators, marks of writing
 * direction, bytes that are not UTF-8, and the backslash itself. Where the
 * reader has no UTF-8, whatever is not ASCII as well. Pure. */
#ifndef LIFEBOAT_SHOW_H
#define LIFEBOAT_SHOW_H

#include "base/buf.h"

#include <stdbool.h>

/* Appends s. 0, or -1 when memory ran out. */
int show_text(struct span s, bool utf8, struct buf *out);

#endif
