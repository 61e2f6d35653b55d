/* stop: TERM, INT and HUP ask the program to stop; it does so between two
 * transactions. Blocking calls return EINTR, because the handler is set
 * without SA_RESTART. */
#ifndef LIFEBOAT_STOP_H
#define LIFEBOAT_STOP_H

#include <poll.h>
#include <stdint.h>

/* Catches the signals; SIGPIPE is ignored from now on. */
void stop_catch(void);

/* The signal that came, or 0. */
int stop_signal(void);

/* poll(2) for at most ms, -1 without end, that no signal can slip past: one that
 * came just before ends it with EINTR as well. */
int stop_poll(struct pollfd *p, nfds_t n, int64_t ms);

#endif
