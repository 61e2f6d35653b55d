/* streamer DB [TOPICS [ID [ACTOR [HEARTBEAT_MS [PATIENCE_MS]]]]]: lib/http/stream on
 * standard output, TOPICS of events,jobs,cache; "" stands for what is not given. What
 * it fails of is on standard error, the status is that of the failure. */
#include "base/stop.h"
#include "http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned topics_of(const char *list)
{
    static const char *const names[] = {"events", "jobs", "cache"};
    unsigned topics = 0;

    for (int i = 0; i < 3; i++)
        topics |= strstr(list, names[i]) ? 1U << i : 0;
    return topics;
}

int main(int argc, char **argv)
{
    const struct store_settings settings = {.wait_s = 10};
    const char *arg[7] = {"", "", "events", "", "", "", ""};
    struct err e = ERR_NONE;
    struct stream s = {.out_fd = STDOUT_FILENO};
    struct store st;
    int rc;

    for (int i = 1; i < argc && i < 7; i++)
        arg[i] = argv[i];
    s.topics = topics_of(arg[2]);
    s.last_id = *arg[3] ? arg[3] : NULL;
    s.actor = *arg[4] ? arg[4] : NULL;
    s.heartbeat_ms = atoll(arg[5]);
    s.patience_ms = atoll(arg[6]);
    stop_catch();
    rc = store_open(&st, arg[1], STORE_READ, &settings, &e);
    if (!rc) {
        s.st = &st;
        rc = stream_run(&s, &e);
        store_close(&st);
    }
    if (rc)
        fprintf(stderr, "streamer: %s\n", e.msg);
    return rc ? e.status : 0;
}
