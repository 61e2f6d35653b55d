/* spawn: a program started with three streams, and signals as at the start of any. */
#ifndef LIFEBOAT_SPAWN_H
#define LIFEBOAT_SPAWN_H

#include <sys/types.h>

/* argv[0] is looked for in PATH; no shell. All other descriptors that are not
 * close-on-exec are passed on. Returns 0, or the errno of why it cannot be run. */
int spawn_with(pid_t *pid, char *const *argv, char *const *env, const int streams[3]);

#endif
