/* identity: whose store it is, without opening it.
 *
 * FILE-identity has the store's id and device as they were read from the store, and what
 * stat(2) said of its file then: it counts only while stat says the same. Who is asked
 * by strangers, and often, need not open a database each time. A file that changed in
 * the last seconds is not noted: it could change again without stat telling. */
#ifndef LIFEBOAT_IDENTITY_H
#define LIFEBOAT_IDENTITY_H

#include "core/store.h"

enum { IDENTITY_DEVICE_MAX = 256, IDENTITY_MARK = 192 };

struct identity {
    char mark[IDENTITY_MARK]; /* what stat says */
    bool settled;             /* for some seconds already */
    char id[STORE_ID_TEXT], device[IDENTITY_DEVICE_MAX];
};

/* 1: known. 0: the store at path has to be asked. device is the name this box is to
 * have by its settings, NULL: the store's own. */
int identity_read(const char *path, const char *device, struct identity *out);

/* Notes it, if the file is still the one that identity_read has seen. Where that cannot
 * be written the store is asked again the next time. */
void identity_keep(const struct store *st, const char *device, const struct identity *seen);

#endif
