/* made: what root makes in somebody's folder is theirs.
 *
 * A folder that a service works in as its own user is also worked in by root, by hand.
 * A file that root made there would be closed to the service from then on. */
#ifndef LIFEBOAT_MADE_H
#define LIFEBOAT_MADE_H

#include <sys/types.h>

/* Gives a file that was just made to the owner of its folder, if root made it. */
void made_give(int fd, const char *path);

/* Opens the file, and makes it with this mode, whatever the umask, where there is none.
 * flags as for open, close-on-exec is added. Root does not follow a link that the folder's
 * owner may have put there. A descriptor, or -1 with errno set. */
int made_open(const char *path, int flags, mode_t mode);

/* For a file that another library will make: where root would make it in somebody's folder
 * it is there already, empty and theirs. Nobody has it open: to close it here would drop
 * locks. What fails is for that library to say. */
void made_before(const char *path);

#endif
