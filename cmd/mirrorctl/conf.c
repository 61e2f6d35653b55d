/* conf: /etc/mirrorctl/config.json. */
#include "cli/config.h"
#include "mirrorctl/mirrorctl.h"

#include <ctype.h>
#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 30000, LONGEST_TIMEOUT_MS = 3600000 };

struct conf conf;

static struct config file;

/* --- what a value may be -------------------------------------------------- */

static bool all_of(const char *s, const char *others)
{
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(others, *s))
            return false;
    return true;
}

/* Nothing that ssh could take for an option, and nothing strange. */
static const char *host_fault(const char *s)
{
    return *s && *s != '-' && all_of(s, "._:%-")
               ? NULL
               : "wants a host's name or address, which does not begin with -";
}

static const char *user_fault(const char *s)
{
    return *s && *s != '-' && all_of(s, "._-") ? NULL
                                               : "wants a user's name, which does not begin with -";
}

static const char *path_fault(const char *s)
{
    for (const char *p = s; *p; p++)
        if (iscntrl((unsigned char)*p))
            return "wants a path without control characters";
    return *s == '/' ? NULL : "wants a path that begins with /";
}

/* ssh expands some characters in these. */
static const char *ssh_path_fault(const char *s)
{
    return strpbrk(s, "\"%$\\") ? "wants a path without \", %, $ and \\" : path_fault(s);
}

static const char *timer_fault(const char *s)
{
    size_t n = strlen(s);

    return n > 6 && !strcmp(s + n - 6, ".timer") && *s != '-' && all_of(s, "@:._-")
               ? NULL
               : "wants the name of a timer unit, such as mirror-compare.timer";
}

static const struct {
    const char *name;
    char **value;
    const char *(*fault)(const char *s);
    const char *otherwise; /* NULL: none; "": it has to be there */
} texts[] = {
    {"pi_zero_host", &conf.pi_zero_host, host_fault, ""},
    {"ssh_user", &conf.ssh_user, user_fault, ""},
    {"config_path", &conf.config_path, path_fault, ""},
    {"status_dir", &conf.status_dir, path_fault, "/var/lib/mirror"},
    {"logs_dir", &conf.logs_dir, path_fault, "/srv/rpi-server/logs"},
    {"timer", &conf.timer, timer_fault, "mirror-compare.timer"},
    {"identity_file", &conf.identity_file, ssh_path_fault, NULL},
    {"known_hosts_file", &conf.known_hosts_file, ssh_path_fault, NULL},
};

enum { TEXTS = sizeof texts / sizeof *texts };

/* --- reading it ------------------------------------------------------------ */

static int take_text(size_t i, struct span name, const struct json_value *v, struct err *e)
{
    const char *why;

    if (config_string(&file, name, v, texts[i].value, e))
        return -1;
    why = texts[i].fault(*texts[i].value);
    return why ? config_fault(&file, v->raw.p, e, "%s: %s", texts[i].name, why) : 0;
}

static int take_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    (void)ctx;
    for (size_t i = 0; i < TEXTS; i++)
        if (span_eq(name, span_of(texts[i].name)))
            return take_text(i, name, v, e);
    if (span_eq(name, SPAN("ssh_port")))
        return config_int(&file, name, v, 1, 65535, &conf.ssh_port, e);
    if (!span_eq(name, SPAN("timeout")))
        return config_fault(&file, v->raw.p, e, "%.*s: no such setting", (int)name.n, name.p);
    if (config_span_ms(&file, name, v, &conf.timeout, e))
        return -1;
    return conf.timeout >= 1000 && conf.timeout <= LONGEST_TIMEOUT_MS
               ? 0
               : config_fault(&file, v->raw.p, e, "timeout: wants one second to one hour");
}

int conf_read(const char *path, struct err *e)
{
    int rc;

    conf = (struct conf){.timeout = DEFAULT_TIMEOUT_MS};
    rc = config_open_file(&file, path, e);
    if (rc < 0)
        return -1;
    if (!rc)
        return err_set(e, EX_CONFIG,
                       "%s: no such file; write it, or name another with -c: mirrorctl(1) has an "
                       "example",
                       path);
    if (config_members(&file, config_whole(&file), take_member, NULL, e))
        return -1;
    for (size_t i = 0; i < TEXTS; i++) {
        if (*texts[i].value || !texts[i].otherwise)
            continue;
        if (!*texts[i].otherwise)
            return err_set(e, EX_CONFIG, "%s: %s: is missing", path, texts[i].name);
        *texts[i].value = (char *)(uintptr_t)texts[i].otherwise;
    }
    return 0;
}

void conf_free(void)
{
    config_close(&file);
}
