/* settings: /etc/lifeboat/lifeboat.env and the environment.
 *
 * The file holds KEY=value lines that both systemd's EnvironmentFile and a
 * shell understand: # comments, blank lines, single or double quotes around a
 * value. The environment wins. A LIFEBOAT_ key that nobody knows is an error:
 * a misspelt setting must not be silently without effect. */
#ifndef LIFEBOAT_SETTINGS_H
#define LIFEBOAT_SETTINGS_H

#include "base/err.h"

#include <stdbool.h>

/* Reads both; later settings_get answers. 78 with file and line on error. */
int settings_load(struct err *e);

/* The value of LIFEBOAT_name. Where it is unset or empty the usual one, NULL if it has
 * none. */
const char *settings_get(const char *name);

enum setting_from { SETTING_UNSET, SETTING_USUAL, SETTING_FILE, SETTING_ENVIRONMENT };

struct setting {
    const char *name;  /* without LIFEBOAT_ */
    const char *value; /* as settings_get has it */
    enum setting_from from;
    int line; /* of the file */
};

/* The nth setting, counted from 0, in the order of lifeboat(7); false behind the last. */
bool settings_at(int n, struct setting *s);

/* The settings file, be it there or not. */
const char *settings_file(void);

#endif
