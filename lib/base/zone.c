#include "base/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo/"

enum { DAY_S = 86400 };

/* Of the characters that names of zones have, and no way out of the folder. */
static bool is_name(const char *zone)
{
    size_t n = strlen(zone);

    return n && n < ZONE_NAME && zone[0] != '/' && !strstr(zone, "..") &&
           strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == n;
}

bool zone_exists(const char *zone)
{
    char path[sizeof ZONES + ZONE_NAME], magic[4] = "";
    FILE *f;
    bool is;

    if (!strcmp(zone, "UTC"))
        return true;
    if (!is_name(zone))
        return false;
    snprintf(path, sizeof path, ZONES "%s", zone);
    f = fopen(path, "re"); /* a folder, or a list of zones, is none */
    is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && !memcmp(magic, "TZif", 4);
    if (f)
        fclose(f);
    return is;
}

static bool take(const char *zone, char name[static ZONE_NAME])
{
    if (zone && !strncmp(zone, ZONES, sizeof ZONES - 1))
        zone += sizeof ZONES - 1;
    if (!zone || !zone_exists(zone))
        return false;
    snprintf(name, ZONE_NAME, "%s", zone);
    return true;
}

void zone_here(char name[static ZONE_NAME])
{
    const char *tz = getenv("TZ"), *at;
    char link[256];
    ssize_t n;

    if (tz && take(tz[0] == ':' ? tz + 1 : tz, name))
        return;
    n = tz ? -1 : readlink("/etc/localtime", link, sizeof link - 1);
    link[n > 0 ? n : 0] = '\0';
    at = strstr(link, "zoneinfo/");
    if (!at || !take(at + strlen("zoneinfo/"), name))
        snprintf(name, ZONE_NAME, "UTC");
}

static struct tm time_there(const char *zone, int64_t unix_ms, char *format_too, size_t room,
                            const char *format)
{
    const char *tz = getenv("TZ");
    char *before = tz ? strdup(tz) : NULL, set[ZONE_NAME + 1];
    time_t s = (time_t)((unix_ms - (unix_ms < 0 ? 999 : 0)) / 1000);
    struct tm there = {0};

    snprintf(set, sizeof set, ":%s", zone_exists(zone) ? zone : "UTC");
    setenv("TZ", set, 1);
    tzset();
    localtime_r(&s, &there);
    if (room && !strftime(format_too, room, format, &there))
        format_too[0] = '\0';
    if (before)
        setenv("TZ", before, 1);
    else
        unsetenv("TZ");
    tzset();
    free(before);
    return there;
}

int64_t zone_day(const char *zone, int64_t unix_ms)
{
    struct tm there = time_there(zone, unix_ms, NULL, 0, "");
    struct tm day = {.tm_year = there.tm_year, .tm_mon = there.tm_mon, .tm_mday = there.tm_mday};

    return timegm(&day) / DAY_S;
}

void zone_format(const char *zone, int64_t unix_ms, const char *format, char *out, size_t room)
{
    time_there(zone, unix_ms, out, room, format);
}
