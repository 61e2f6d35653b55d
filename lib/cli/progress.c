#include "base/clock.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SILENT_MS = 1000, BETWEEN_MS = 250 };

void progress_start(struct progress *p, const char *what, uint64_t total_bytes)
{
    bool wanted = cli.progress == PROGRESS_JSON ||
                  (cli.progress == PROGRESS_AUTO && !cli.quiet && isatty(STDERR_FILENO));

    *p = (struct progress){.what = what, .total = total_bytes, .active = wanted};
    p->begun = p->shown = wanted ? clock_boot_ms() : 0;
}

static void draw_json(const struct progress *p, uint64_t count, uint64_t bytes, int64_t ms)
{
    dprintf(STDERR_FILENO,
            "{\"progress\":\"%s\",\"count\":%llu,\"bytes\":%llu,\"total_bytes\":%llu,"
            "\"elapsed_ms\":%lld}\n",
            p->what, (unsigned long long)count, (unsigned long long)bytes,
            (unsigned long long)p->total, (long long)ms);
}

static void draw_line(const struct progress *p, uint64_t count, uint64_t bytes, int64_t ms)
{
    char share[64] = "";
    double part = p->total ? (double)bytes / (double)p->total : 0;

    if (part > 0 && part <= 1)
        snprintf(share, sizeof share, ", %.0f %%, %.0f s left", part * 100,
                 (double)ms / 1000 * (1 - part) / part);
    dprintf(STDERR_FILENO, "\r%s: %llu %s, %.0f a second%s\033[K", cli.prog,
            (unsigned long long)count, p->what, (double)count * 1000 / (double)ms, share);
}

void progress_step(struct progress *p, uint64_t count, uint64_t bytes)
{
    int64_t now;

    if (!p->active)
        return;
    now = clock_boot_ms();
    if (now - p->begun < SILENT_MS || now - p->shown < BETWEEN_MS)
        return;
    p->shown = now;
    p->drawn = true;
    if (cli.progress == PROGRESS_JSON)
        draw_json(p, count, bytes, now - p->begun);
    else
        draw_line(p, count, bytes, now - p->begun);
}

void progress_end(struct progress *p)
{
    if (p->drawn && cli.progress != PROGRESS_JSON)
        dprintf(STDERR_FILENO, "\r\033[K");
    p->drawn = false;
}
