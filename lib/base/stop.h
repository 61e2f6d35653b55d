/* stop: TERM, INT and HUP ask the program to stop; it does so between two
 * transactions. Blocking calls return EINTR, because the handler is set
 * without SA_RESTART. */
#ifndef LIFEBOAT_STOP_H
#define LIFEBOAT_STOP_H

/* Catches the signals; SIGPIPE is ignored from now on. */
void stop_catch(void);

/* The signal that came, or 0. */
int stop_signal(void);

#endif
