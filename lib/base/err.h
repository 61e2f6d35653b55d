/* err: what went wrong, and the exit status it deserves.
 *
 * Functions of lib/ never print and never exit. One that can fail takes a
 * struct err, fills it on failure and returns -1; the caller owns the struct.
 * msg reads "WHAT: WHY" and names the file, the object or the line concerned;
 * the command puts its own name before it. status is one of the numbers of
 * sysexits(3). */
#ifndef LIFEBOAT_ERR_H
#define LIFEBOAT_ERR_H

#include <sysexits.h>

struct err {
    int status;
    char msg[1024];
};

#define ERR_NONE                                                                                   \
    {                                                                                              \
        0, ""                                                                                      \
    }

/* Fills e; always returns -1, so that a caller may write return err_set(...). */
int err_set(struct err *e, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the text of errno behind it. A full disk, a file
 * that is missing or forbidden choose their own status: ENOSPC, EDQUOT and
 * EIO give EX_IOERR, EACCES, EPERM and EROFS give EX_NOPERM. */
int err_sys(struct err *e, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "out of memory", EX_TEMPFAIL: the next run may have more. Returns -1. */
int err_memory(struct err *e);

#endif
