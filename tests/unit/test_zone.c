#include "base/zone.h"

#include "tap.h"

#include <stdlib.h>

static const char *says(const char *zone, int64_t ms)
{
    static char text[64];

    zone_format(zone, ms, "%Y-%m-%d %H:%M %Z", text, sizeof text);
    return text;
}

int main(void)
{
    char name[ZONE_NAME], small[4] = "x";

    plan(23);
    setenv("TZ", "Asia/Tokyo", 1);
    ok(zone_exists("Asia/Tokyo") && zone_exists("UTC"), "zones there are");
    ok(!zone_exists("Asia/Edo") && !zone_exists("") && !zone_exists("../passwd"), "and are not");
    ok(!zone_exists("/etc/localtime") && !zone_exists("Asia/Tokyo;ls"), "nor what is no name");
    ok(!zone_exists("Asia") && !zone_exists("leapseconds"), "nor a folder, or a list");
    is_int(zone_day("UTC", 0), 0, "the first day");
    is_int(zone_day("UTC", -1), -1, "and the one before it");
    is_int(zone_day("UTC", 86399999), 0, "the last ms of a day");
    is_int(zone_day("UTC", 86400000), 1, "the first of the next");
    is_int(zone_day("Asia/Tokyo", 15 * 3600000 - 1), 0, "midnight in Tokyo is 15:00 in UTC");
    is_int(zone_day("Asia/Tokyo", 15 * 3600000), 1, "and there it is the next day");
    is_int(zone_day("America/New_York", 0), -1, "in New York it was still the year before");
    is_int(zone_day("Nowhere/Else", 15 * 3600000), 0, "a zone nobody knows is UTC");
    ok(!strcmp(says("Asia/Tokyo", 1740046503000), "2025-02-20 19:15 JST"), "what it is there");
    ok(!strcmp(says("UTC", 1740046503000), "2025-02-20 10:15 UTC"), "and in UTC");
    ok(!strcmp(says("Europe/Berlin", 1743296399000), "2025-03-30 01:59 CET"), "before the leap");
    ok(!strcmp(says("Europe/Berlin", 1743296400000), "2025-03-30 03:00 CEST"), "and after it");
    ok(!strcmp(getenv("TZ"), "Asia/Tokyo"), "the zone of the program is as it was");
    zone_format("UTC", 0, "%Y-%m-%d", small, sizeof small);
    ok(!small[0], "what does not fit is nothing");
    zone_here(name);
    ok(!strcmp(name, "Asia/Tokyo"), "the zone here is that of TZ");
    setenv("TZ", ":Europe/Berlin", 1);
    zone_here(name);
    ok(!strcmp(name, "Europe/Berlin"), "with a colon as well");
    setenv("TZ", ":/usr/share/zoneinfo/Asia/Tokyo", 1);
    zone_here(name);
    ok(!strcmp(name, "Asia/Tokyo"), "or as the path of its file");
    setenv("TZ", "JST-9", 1);
    zone_here(name);
    ok(!strcmp(name, "UTC"), "one that is not named is taken for UTC");
    unsetenv("TZ");
    zone_here(name);
    ok(zone_exists(name), "without it the system's, which there is: %s", name);
    return done();
}
