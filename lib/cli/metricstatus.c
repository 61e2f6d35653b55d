/* The metrics of the status folder: what periodic jobs noted there. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/metrics.h"
#include "cli/status.h"
#include "text/prom.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum kind { IS_TRUE, AGE, SECONDS, NUMBER };

/* Of FILE the member, as a metric; its samples have a label where a file stands for one of
 * several, or its member is an object or an array. */
struct metric {
    const char *file; /* with "*" for what becomes the label */
    const char *label;
    const char *member;
    enum kind kind;
    const char *name, *help;
};

static const struct metric metrics[] = {
    {"backup.json", NULL, "ok", IS_TRUE, "backup_ok", "1 if the last backup was made."},
    {"backup.json", "kind", "last_ok", AGE, "backup_age_seconds", "Since the last good backup."},
    {"backup.json", NULL, "oldest_restorable", AGE, "backup_oldest_restorable_age_seconds",
     "How far back backups can restore."},
    {"backup.json", NULL, "bytes", NUMBER, "backup_bytes", "Bytes of the last backup."},
    {"backup.json", NULL, "events", NUMBER, "backup_events", "Events in the last backup."},
    {"backup.json", NULL, "ms", SECONDS, "backup_duration_seconds", "How long it took."},
    {"backup.json", "target", "targets.ok", IS_TRUE, "backup_target_ok",
     "1 if the last backup got to this target."},
    {"backup.json", "target", "targets.last_ok", AGE, "backup_target_age_seconds",
     "Since a backup got to this target."},
    {"drill.json", NULL, "ok", IS_TRUE, "drill_ok",
     "1 if the last drill gave back what the store had."},
    {"drill.json", NULL, "ts", AGE, "drill_age_seconds", "Since the last drill."},
    {"drill.json", NULL, "last_ok", AGE, "drill_ok_age_seconds", "Since the last good drill."},
    {"drill.json", NULL, "backup_at", AGE, "drill_backup_age_seconds",
     "Since the backup that it restored was made."},
    {"drill.json", NULL, "rto_ms", SECONDS, "drill_rto_seconds", "How long its restore took."},
    {"drill.json", NULL, "rpo_ms", SECONDS, "drill_rpo_seconds", "What would have been lost."},
    {"follow-*.json", "host", "connected", IS_TRUE, "follow_connected",
     "1 while the standby is reached."},
    {"follow-*.json", "host", "ts", AGE, "follow_age_seconds", "Since this was noted."},
    {"follow-*.json", "host", "behind", NUMBER, "follow_behind_events",
     "Events that the standby does not have yet."},
    {"follow-*.json", "host", "lag_ms", SECONDS, "follow_lag_seconds",
     "How far the standby is behind."},
    {"heard-*.json", "source", "heard_at", AGE, "heard_age_seconds",
     "Here is the standby: since the other end was heard of."},
    {"heard-*.json", "source", "gone", IS_TRUE, "heard_gone",
     "1 while the other end is taken to be gone."},
    {"hub.json", NULL, "ok", IS_TRUE, "hub_ok", "1 if the last push to the hub went well."},
    {"hub.json", NULL, "last_ok", AGE, "hub_age_seconds",
     "Since the last push to the hub that went well."},
    {"hub.json", NULL, "conflicts", NUMBER, "hub_conflicts", "Conflicts that the last push met."},
    {"maintain.json", NULL, "ok", IS_TRUE, "maintain_ok",
     "1 if the last maintenance of the store went well."},
    {"maintain.json", NULL, "ts", AGE, "maintain_age_seconds", "Since the last maintenance."},
    {"maintain.json", NULL, "ms", SECONDS, "maintain_duration_seconds", "How long it took."},
    {"report.json", NULL, "growth_bytes_a_day", NUMBER, "growth_bytes_per_day",
     "How much store and backups grow in a day, by the last report."},
    {"report.json", NULL, "days_until_full", NUMBER, "days_until_full",
     "Until the disk is full, by the last report."}};

enum { METRICS = sizeof metrics / sizeof *metrics };

struct lines_of {
    struct buf metric[METRICS], unreadable;
    int64_t now;
};

static int put_value(struct lines_of *l, size_t i, struct span label, const struct json_value *v)
{
    const struct metric *m = &metrics[i];
    const struct prom_label at = {m->label, label};
    struct buf *b = &l->metric[i];
    int64_t n;

    if (m->kind == IS_TRUE)
        return v->kind != JSON_TRUE && v->kind != JSON_FALSE
                   ? 0
                   : prom_sample(b, m->name, "", &at, m->label != NULL, v->kind == JSON_TRUE);
    if (json_int(v, &n))
        return 0;
    if (m->kind == AGE)
        n = (l->now - n) / 1000;
    return m->kind == SECONDS ? prom_sample_seconds(b, m->name, "", &at, m->label != NULL, n)
                              : prom_sample(b, m->name, "", &at, m->label != NULL, n);
}

/* A text of the file as a label; where it has escapes they are resolved. */
static int put_labelled(struct lines_of *l, size_t i, const struct json_value *label,
                        const struct json_value *v)
{
    struct buf text = {0};
    struct span name = json_text(label, &text);
    int failed = !name.p || put_value(l, i, name, v);

    buf_free(&text);
    return failed;
}

/* {"hourly":MS,...} */
static int put_members(struct lines_of *l, size_t i, struct span object)
{
    struct json_value name, v;
    bool first = true;
    struct json j = {0};
    int failed = 0;

    json_start(&j, object);
    if (!json_open(&j))
        while (!failed && json_member(&j, &first, &name, &v) == 1)
            failed = put_labelled(l, i, &name, &v);
    json_end(&j);
    return failed;
}

/* [{"target":NAME,...},...], of each the member behind the dot */
static int put_elements(struct lines_of *l, size_t i, struct span array, const char *member)
{
    struct json_value v, label, at;
    bool first = true;
    struct json j = {0};
    int failed = 0;

    json_start(&j, array);
    if (!json_array(&j))
        while (!failed && json_element(&j, &first, &v) == 1)
            if (status_member(v.raw, metrics[i].label, &label) && label.kind == JSON_STRING &&
                status_member(v.raw, member, &at))
                failed = put_labelled(l, i, &label, &at);
    json_end(&j);
    return failed;
}

static int put_metric(struct lines_of *l, size_t i, struct span label, struct span text)
{
    const struct metric *m = &metrics[i];
    const char *dot = strchr(m->member, '.');
    char head[32];
    struct json_value v;

    memcpy(head, m->member, strlen(m->member) + 1);
    if (dot)
        head[dot - m->member] = '\0';
    if (!status_member(text, head, &v))
        return 0;
    if (dot)
        return put_elements(l, i, v.raw, dot + 1);
    if (m->label && !label.p)
        return put_members(l, i, v.raw);
    return put_value(l, i, label, &v);
}

/* Does the file's name fit, and what stands for the "*"? */
static bool fits(const char *pattern, const char *name, struct span *label)
{
    const char *star = strchr(pattern, '*');
    size_t before, after, n = strlen(name);

    *label = (struct span){0};
    if (!star)
        return !strcmp(pattern, name);
    before = (size_t)(star - pattern);
    after = strlen(star + 1);
    if (n <= before + after || strncmp(name, pattern, before) != 0 ||
        strcmp(name + n - after, star + 1) != 0)
        return false;
    *label = (struct span){name + before, n - before - after};
    return true;
}

/* One that is no JSON object, or cannot be read, is not taken for one that says nothing. */
static int put_file(struct lines_of *l, const char *name)
{
    const struct prom_label file = {"file", span_of(name)};
    struct json_value v = {.kind = JSON_NULL};
    struct err e = ERR_NONE;
    struct buf text = {0};
    int rc = status_read(name, &text, &e), failed = 0;
    struct span label;
    bool good = false;
    struct json j = {0};

    if (rc == 1) {
        json_start(&j, buf_span(&text));
        good = !json_whole(&j, buf_span(&text), &v) && v.kind == JSON_OBJECT;
        json_end(&j);
    }
    if (rc)
        failed = prom_sample(&l->unreadable, "status_unreadable", "", &file, 1, !good);
    for (size_t i = 0; i < METRICS && good && !failed; i++)
        if (fits(metrics[i].file, name, &label))
            failed = put_metric(l, i, label, v.raw);
    buf_free(&text);
    return failed;
}

static int is_ours(const struct dirent *d)
{
    struct span label;

    for (size_t i = 0; i < METRICS; i++)
        if (fits(metrics[i].file, d->d_name, &label))
            return 1;
    return 0;
}

/* No folder: nothing has run yet. */
static int gather(struct lines_of *l)
{
    char *folder = status_path(".");
    struct dirent **names = NULL;
    int n = folder ? scandir(folder, &names, is_ours, alphasort) : 0, failed = !folder;

    for (int i = 0; i < n; i++) {
        failed = failed || put_file(l, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    free(folder);
    return failed;
}

int metrics_status(struct buf *out)
{
    struct lines_of l = {.now = clock_now_ms()};
    int failed = gather(&l);

    for (size_t i = 0; i < METRICS; i++) {
        struct buf *b = &l.metric[i];

        if (b->len && !failed)
            failed = prom_head(out, metrics[i].name, "gauge", metrics[i].help) ||
                     buf_add(out, b->data, b->len);
        buf_free(b);
    }
    if (l.unreadable.len && !failed)
        failed = prom_head(out, "status_unreadable", "gauge",
                           "1 where a file of the status folder is broken.") ||
                 buf_add(out, l.unreadable.data, l.unreadable.len);
    buf_free(&l.unreadable);
    return failed ? -1 : 0;
}
