/* whole: all of it is written, however many calls that takes. */
#ifndef LIFEBOAT_WHOLE_H
#define LIFEBOAT_WHOLE_H

#include <stddef.h>

/* 0, or -1 with errno set; part of it may be written then. A signal does not end it. */
int whole_write(int fd, const void *p, size_t n);

#endif
