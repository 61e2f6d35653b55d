/* followlag DB COUNT IDLE: how long a running evstore-export --follow needs for
 * an event. COUNT events go one by one to evstore-append; the next one is sent
 * when the last has come out of both. Then both are left alone for IDLE seconds.
 * Prints one JSON line:
 *
 *   lag   from the acknowledgement (which follows the commit at once) to the
 *         follower's line; 0 where the line came first
 *   whole from the event's last byte written to the follower's line
 *   idle_cpu_ms  what the follower used while nothing happened */
#include "driven.h"

#include <signal.h>

struct heard {
    const char *wanted; /* how the line begins */
    int64_t at;         /* 0: not yet */
};

static void hear(void *ctx, const char *line)
{
    struct heard *h = ctx;

    if (!h->at && !strncmp(line, h->wanted, strlen(h->wanted)))
        h->at = now_ns();
}

static void append(struct driven *writer, struct driven *follower, int i, struct figures *lag,
                   struct figures *whole)
{
    char text[256], wanted[64];
    struct heard echo = {wanted, 0}, line = {wanted, 0};
    int n = snprintf(text, sizeof text,
                     "{\"event_id\":\"lag-%d\",\"entity_type\":\"lag\",\"entity_id\":\"E\","
                     "\"actor_id\":\"A\",\"event_type\":\"T\",\"payload\":{\"n\":%d}}\n",
                     i, i);
    int64_t sent;

    snprintf(wanted, sizeof wanted, "{\"event_id\":\"lag-%d\",", i);
    if (write(writer->in, text, (size_t)n) != n)
        die("write");
    sent = now_ns();
    while (!echo.at || !line.at) {
        struct pollfd p[2] = {{.fd = writer->out, .events = POLLIN},
                              {.fd = follower->out, .events = POLLIN}};
        int rc = poll(p, 2, 30000);

        if (rc <= 0 || (p[0].revents && !driven_lines(writer, hear, &echo)) ||
            (p[1].revents && !driven_lines(follower, hear, &line))) {
            fprintf(stderr, "event %d: %s%s\n", i, echo.at ? "" : "not acknowledged ",
                    line.at ? "" : "not followed");
            kill(writer->pid, SIGKILL);
            kill(follower->pid, SIGKILL);
            exit(1);
        }
    }
    figures_add(lag, line.at > echo.at ? line.at - echo.at : 0);
    figures_add(whole, line.at - sent);
}

static double cpu_ms(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        die("the follower's clock");
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double idle(const struct driven *follower, double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    double before;

    nanosleep(&(struct timespec){0, 200000000}, NULL); /* it may have to print its cursor yet */
    before = cpu_ms(follower->pid);
    nanosleep(&t, NULL);
    return cpu_ms(follower->pid) - before;
}

int main(int argc, char **argv)
{
    char *append_cmd[] = {"evstore-append", "-d", argv[1], NULL};
    char *follow_cmd[] = {"evstore-export", "--follow", "-d", argv[1], NULL};
    static struct driven writer, follower;
    struct figures lag = {0}, whole = {0};
    int count = argc == 4 ? atoi(argv[2]) : 0, status;
    double used;

    if (count < 1) {
        fprintf(stderr, "usage: followlag DB COUNT IDLE\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    driven_start(&writer, append_cmd);
    driven_start(&follower, follow_cmd);
    for (int i = 0; i < count; i++)
        append(&writer, &follower, i, &lag, &whole);
    used = idle(&follower, atof(argv[3]));
    kill(follower.pid, SIGTERM);
    status = driven_end(&follower) != 128 + SIGTERM;
    status |= driven_end(&writer);
    printf("{\"events\":%d", count);
    figures_print(stdout, &lag, "lag");
    figures_print(stdout, &whole, "whole");
    printf(",\"idle_s\":%s,\"idle_cpu_ms\":%.3f}\n", argv[3], used);
    return fflush(stdout) || status ? 1 : 0;
}
