/* folder: what was done to the names in a folder lasts. */
#ifndef LIFEBOAT_FOLDER_H
#define LIFEBOAT_FOLDER_H

#include "base/err.h"

int folder_sync(const char *folder, struct err *e);

/* The same of the folder that a path is in. */
int folder_sync_of(const char *path, struct err *e);

#endif
