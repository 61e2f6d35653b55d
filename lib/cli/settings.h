/* settings: /etc/lifeboat/lifeboat.env and the environment.
 *
 * The file holds KEY=value lines that both systemd's EnvironmentFile and a
 * shell understand: # comments, blank lines, single or double quotes around a
 * value. The environment wins. A LIFEBOAT_ key that nobody knows is an error:
 * a misspelt setting must not be silently without effect. */
#ifndef LIFEBOAT_SETTINGS_H
#define LIFEBOAT_SETTINGS_H

#include "base/err.h"

/* Reads both; later settings_get answers. 78 with file and line on error. */
int settings_load(struct err *e);

/* The value of LIFEBOAT_name, NULL if unset or empty. */
const char *settings_get(const char *name);

#endif
