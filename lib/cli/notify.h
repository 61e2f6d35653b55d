/* notify: tells who should know, through the executables of notify.d.
 *
 * In the folder notify.d of the configuration folder each executable is run, in order
 * of name. It has the event's name as its argument and on its standard input one JSON
 * object: the caller's members, and event, ts (RFC 3339) and host; a ts or host of the
 * caller's stays. What it prints goes to stderr. One that takes longer than it may is
 * ended with all it started; one that fails does not stop the next.
 *
 * Passed over: what is no file or not executable, hidden files, names that end with ~
 * or with .dpkg- and more. Refused, and a failure: one that somebody else may write. */
#ifndef LIFEBOAT_NOTIFY_H
#define LIFEBOAT_NOTIFY_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum { NOTIFY_HOOK_MS = 10000, NOTIFY_EVENT_MAX = 64 };

/* event: small letters, digits and "-", a letter first. 0: all hooks are content, or
 * there are none; 1: one failed, which is said on stderr. -1: none was run: 64 event is
 * none, 65 json is no object, 77 and 78 the folder; or a signal asked to stop (75). For
 * most callers that, too, is only worth a warning. */
int notify(const char *event, struct span json, struct err *e);

/* The same; each hook may take so many ms. */
int notify_within(const char *event, struct span json, int64_t hook_ms, struct err *e);

#endif
