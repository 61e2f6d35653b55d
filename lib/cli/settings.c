#include "cli/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FILE "/etc/lifeboat/lifeboat.env"

/* Every setting there is, and what holds where it is not set; lifeboat(7) explains each. */
static const struct key {
    const char *name, *usual;
} keys[] = {{"DB", "/var/lib/lifeboat/lifeboat.db"},
            {"SITE", "main"},
            {"DEVICE", NULL},
            {"WAIT", "30"},
            {"MEMORY", NULL},
            {"PROJECTORS", NULL},
            {"CONFIG", "/etc/lifeboat"},
            {"HTTP_LOG", NULL},
            {"MIRROR_LOG", NULL},
            {"MIRROR_DIR", "/var/lib/mirror"},
            {"STATUS_DIR", NULL},
            {"BACKUP_TARGETS", "/var/lib/lifeboat-backup"},
            {"BACKUP_RECIPIENTS", NULL},
            {"BACKUP_IDENTITY", NULL},
            {"HUB", NULL},
            {"LED", NULL},
            {"KEY", "/etc/lifeboat/token.key"},
            {"ENV", NULL},
            {"NOW", NULL}};

enum { KEYS = sizeof keys / sizeof *keys };

static struct {
    char *value;
    int line;
} from_file[KEYS];

static int key_of(const char *name, size_t n)
{
    for (int k = 0; k < KEYS; k++)
        if (strlen(keys[k].name) == n && !memcmp(keys[k].name, name, n))
            return k;
    return -1;
}

/* The environment hides the file, even with an empty text. */
bool settings_at(int n, struct setting *s)
{
    char full[64];
    const char *v;

    if (n < 0 || n >= KEYS)
        return false;
    *s = (struct setting){.name = keys[n].name};
    snprintf(full, sizeof full, "LIFEBOAT_%s", s->name);
    v = getenv(full);
    s->from = v ? SETTING_ENVIRONMENT : SETTING_FILE;
    if (!v)
        v = from_file[n].value;
    if (v && *v) {
        s->value = v;
        s->line = from_file[n].line;
    } else {
        s->value = keys[n].usual;
        s->from = s->value ? SETTING_USUAL : SETTING_UNSET;
    }
    return true;
}

const char *settings_get(const char *name)
{
    struct setting s;

    return settings_at(key_of(name, strlen(name)), &s) ? s.value : NULL;
}

const char *settings_file(void)
{
    const char *given = getenv("LIFEBOAT_ENV");

    return given && *given ? given : DEFAULT_FILE;
}

static int check_environment(struct err *e)
{
    extern char **environ;

    for (char **v = environ; v && *v; v++) {
        size_t n = strcspn(*v, "=");

        if (!strncmp(*v, "LIFEBOAT_", 9) && key_of(*v + 9, n - 9) < 0)
            return err_set(e, EX_CONFIG,
                           "environment: no such setting: %.*s (lifeboat(7) lists them)", (int)n,
                           *v);
    }
    return 0;
}

/* The value behind the "=", without quotes and trailing white space. */
static char *unquote(char *v)
{
    size_t n = strlen(v);

    while (n && strchr(" \t\r\n", v[n - 1]))
        v[--n] = '\0';
    if (n >= 2 && (*v == '"' || *v == '\'') && v[n - 1] == *v) {
        v[n - 1] = '\0';
        return v + 1;
    }
    return v;
}

static int take_line(char *line, const char *path, int number, struct err *e)
{
    char *name = line + strspn(line, " \t"), *eq = strchr(name, '=');
    int k;

    if (!strncmp(name, "export ", 7))
        name += 7;
    if (!*name || *name == '#' || *name == '\n' || *name == '\r')
        return 0;
    if (!eq)
        return err_set(e, EX_CONFIG, "%s:%d: not KEY=value", path, number);
    if (strncmp(name, "LIFEBOAT_", 9))
        return 0;
    k = key_of(name + 9, (size_t)(eq - name - 9));
    if (k < 0)
        return err_set(e, EX_CONFIG, "%s:%d: no such setting: %.*s (lifeboat(7) lists them)", path,
                       number, (int)(eq - name), name);
    free(from_file[k].value);
    from_file[k].value = strdup(unquote(eq + 1));
    from_file[k].line = number;
    return from_file[k].value ? 0 : err_memory(e);
}

int settings_load(struct err *e)
{
    const char *given = getenv("LIFEBOAT_ENV"), *path = settings_file();
    char *line = NULL;
    size_t cap = 0;
    int number = 0, rc = 0;
    FILE *f = fopen(path, "re");

    if (!f && (errno != ENOENT || (given && *given)))
        return err_sys(e, EX_CONFIG, "unable to read the settings %s", path);
    while (f && !rc && getline(&line, &cap, f) >= 0)
        rc = take_line(line, path, ++number, e);
    /* A part of the settings is none. */
    if (f && !rc && !feof(f))
        rc = err_sys(e, EX_CONFIG, "unable to read the settings %s", path);
    if (f)
        fclose(f);
    free(line);
    return rc ? rc : check_environment(e);
}
