#include "cli/notify.h"

#include "base/clock.h"
#include "base/stop.h"
#include "base/supervise.h"
#include "base/whole.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/settings.h"
#include "text/json.h"
#include "text/rfc3339.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct notice {
    const char *event;
    int64_t hook_ms;
    struct buf folder, text;    /* of the hooks; what they read */
    struct buf env_config, led; /* what they are told of the settings */
    char *env[3];
    struct dirent **names;
    int count, failed;
    struct supervisor supervisor;
};

/* --- what is said ------------------------------------------------------- */

static bool is_event(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n && n <= NOTIFY_EVENT_MAX && !name[n] && *name >= 'a' && *name <= 'z';
}

/* A host's name may hold any byte; here it has to be text. */
static void host_name(char out[static 256])
{
    if (gethostname(out, 256))
        strcpy(out, "unknown");
    out[255] = '\0';
    for (char *p = out; *p; p++)
        if (*p <= ' ' || *p > '~')
            *p = '?';
}

static int bad_json(struct json *j, struct err *e)
{
    if (j->why == json_no_memory)
        return err_memory(e);
    return err_set(e, EX_DATAERR, "the JSON of the event: byte %zu: %s", json_offset(j), j->why);
}

/* One member of the caller's, with a comma before it, as every reader takes it. */
static int add_member(struct span name, struct span value, struct buf *out)
{
    struct buf compact = {0};
    int rc = buf_addc(out, ',') || json_mend(name, out) || buf_addc(out, ':') ||
                     json_compact(value, &compact) || json_mend(buf_span(&compact), out)
                 ? -1
                 : 0;

    buf_free(&compact);
    return rc;
}

/* The caller's members but for event, whose name is known. */
static int add_members(struct json *j, struct buf *out, bool *has_ts, bool *has_host, struct err *e)
{
    struct json_value name, v;
    struct buf room = {0};
    bool first = true, failed = false;
    int rc = 0;

    while (!failed && (rc = json_member(j, &first, &name, &v)) > 0) {
        struct span text;

        buf_clear(&room);
        text = json_text(&name, &room);
        if (span_eq(text, SPAN("event")))
            continue;
        *has_ts = *has_ts || span_eq(text, SPAN("ts"));
        *has_host = *has_host || span_eq(text, SPAN("host"));
        failed = !text.p || add_member(name.raw, v.raw, out);
    }
    buf_free(&room);
    if (failed)
        return err_memory(e);
    return rc || json_finish(j) ? bad_json(j, e) : 0;
}

static int make_text(struct notice *n, struct span json, struct err *e)
{
    bool has_ts = false, has_host = false;
    char when[32], host[256];
    struct buf rest = {0};
    struct json j = {0};
    int rc;

    json_start(&j, json);
    rc = json_open(&j) ? bad_json(&j, e) : add_members(&j, &rest, &has_ts, &has_host, e);
    json_end(&j);
    rfc3339_format(clock_now_ms(), when);
    host_name(host);
    if (!rc &&
        (buf_printf(&n->text, "{\"event\":\"%s\"", n->event) ||
         (!has_ts && buf_printf(&n->text, ",\"ts\":\"%s\"", when)) ||
         (!has_host && (buf_adds(&n->text, ",\"host\":") || json_quote(span_of(host), &n->text))) ||
         buf_add(&n->text, rest.data, rest.len) || buf_adds(&n->text, "}\n")))
        rc = err_memory(e);
    buf_free(&rest);
    return rc;
}

/* A hook need not know where settings are. */
static int make_env(struct notice *n, struct err *e)
{
    const char *led = settings_get("LED");
    size_t count = 0;

    if (buf_printf(&n->env_config, "LIFEBOAT_CONFIG=%s", config_folder()) ||
        buf_term(&n->env_config) ||
        (led && (buf_printf(&n->led, "LIFEBOAT_LED=%s", led) || buf_term(&n->led))))
        return err_memory(e);
    n->env[count++] = n->env_config.data;
    if (led)
        n->env[count++] = n->led.data;
    n->env[count] = NULL;
    return 0;
}

/* --- the hooks ---------------------------------------------------------- */

static int is_candidate(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t n = strlen(name);

    return *name != '.' && name[n - 1] != '~' && !strstr(name, ".dpkg-");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Why it is not safe to run what this is, or is in; NULL when it is. */
static const char *unsafe(const struct stat *st)
{
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return "others may write to it (chmod go-w)";
    if (st->st_uid && st->st_uid != geteuid())
        return "it belongs to another user";
    return NULL;
}

/* 1: there are hooks; 0: there is no folder. */
static int list_hooks(struct notice *n, struct err *e)
{
    struct stat st;
    const char *why;

    if (buf_printf(&n->folder, "%s/notify.d", config_folder()) || buf_term(&n->folder))
        return err_memory(e);
    if (stat(n->folder.data, &st))
        return errno == ENOENT ? 0 : err_sys(e, EX_CONFIG, "unable to read %s", n->folder.data);
    why = unsafe(&st);
    if (why)
        return err_set(e, EX_CONFIG, "%s: %s: nothing in it is run", n->folder.data, why);
    n->count = scandir(n->folder.data, &n->names, is_candidate, by_name);
    if (n->count >= 0)
        return 1;
    n->count = 0;
    return err_sys(e, EX_CONFIG, "unable to read %s", n->folder.data);
}

/* A file of its own for each: whatever one does to it, the next reads all of it. */
static int input_of(const struct notice *n, struct err *e)
{
    int fd = memfd_create("notify", MFD_CLOEXEC);

    if (fd >= 0 && !whole_write(fd, n->text.data, n->text.len) && !lseek(fd, 0, SEEK_SET))
        return fd;
    err_sys(e, EX_TEMPFAIL, "unable to hand over the event");
    if (fd >= 0)
        close(fd);
    return -1;
}

static void judge(struct notice *n, const char *path, const struct task_end *end)
{
    if (end->error)
        cli_warn("unable to run %s: %s", path, strerror(end->error));
    else if (end->timed_out)
        cli_warn("%s: not done after %g s: it was ended", path, (double)n->hook_ms / 1000);
    else if (end->signal)
        cli_warn("%s: ended by signal %d", path, end->signal);
    else if (end->status)
        cli_warn("%s: exit status %d", path, end->status);
    else
        return;
    n->failed = 1;
}

static int wait_for_end(struct notice *n, struct task_end *end, struct err *e)
{
    struct pollfd p = {.fd = n->supervisor.fd, .events = POLLIN};

    while (stop_poll(&p, 1, -1) < 0) {
        if (errno != EINTR)
            return err_sys(e, EX_TEMPFAIL, "unable to wait for a hook");
        if (!stop_signal())
            continue;
        supervisor_stop(&n->supervisor);
        break;
    }
    if (!supervisor_result(&n->supervisor, end, e))
        return end->stopped ? err_set(e, EX_TEMPFAIL, "stopped while a hook was running") : 0;
    supervise_orphans(NULL, 0);
    return -1;
}

static int run_hook(struct notice *n, char *path, struct err *e)
{
    char *argv[] = {path, (char *)(uintptr_t)n->event, NULL};
    struct task t = {argv, n->env, {-1, STDERR_FILENO, STDERR_FILENO}, n->hook_ms};
    struct task_end end = {0};
    int rc;

    t.streams[0] = input_of(n, e);
    if (t.streams[0] < 0)
        return -1;
    rc = supervisor_run(&n->supervisor, &t, e) || wait_for_end(n, &end, e) ? -1 : 0;
    close(t.streams[0]);
    if (!rc)
        judge(n, path, &end);
    return rc;
}

static int take_hook(struct notice *n, const char *name, struct err *e)
{
    struct stat st;
    const char *why;
    char *path;
    int rc = 0;

    if (asprintf(&path, "%s/%s", n->folder.data, name) < 0)
        return err_memory(e);
    if (stat(path, &st)) {
        cli_warn("unable to run %s: %s", path, strerror(errno));
        n->failed = 1;
    } else if (S_ISREG(st.st_mode) && st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) {
        why = unsafe(&st);
        if (!why) {
            rc = run_hook(n, path, e);
        } else {
            cli_warn("%s: %s: it is not run", path, why);
            n->failed = 1;
        }
    }
    free(path);
    return rc;
}

static void let_go(struct notice *n)
{
    supervisor_close(&n->supervisor);
    for (int i = 0; i < n->count; i++)
        free(n->names[i]);
    free(n->names);
    buf_free(&n->folder);
    buf_free(&n->text);
    buf_free(&n->env_config);
    buf_free(&n->led);
}

int notify_within(const char *event, struct span json, int64_t hook_ms, struct err *e)
{
    struct notice n = {.event = event, .hook_ms = hook_ms, .supervisor.fd = -1};
    int rc;

    if (!is_event(event))
        return err_set(e, EX_USAGE,
                       "%s: an event is named by small letters, digits and \"-\", at most %d",
                       event, NOTIFY_EVENT_MAX);
    rc = make_text(&n, json, e) || make_env(&n, e) ? -1 : list_hooks(&n, e);
    if (rc > 0 && n.count)
        rc = supervisor_open(&n.supervisor, -1, e);
    for (int i = 0; rc >= 0 && i < n.count; i++)
        rc = take_hook(&n, n.names[i]->d_name, e);
    let_go(&n);
    return rc < 0 ? -1 : n.failed;
}

int notify(const char *event, struct span json, struct err *e)
{
    return notify_within(event, json, NOTIFY_HOOK_MS, e);
}
