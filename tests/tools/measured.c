/* measured [-n TIMES] COMMAND [ARG...]: runs a command, TIMES in a row, its output
 * to /dev/null, and prints "wall cpu mb": seconds in all, of the clock and of the
 * processor, and the most memory that one process had at a time. Those that the
 * command waited for count as its own. Ends with 70 where the command fails.
 *
 * It is small because a new process counts as having had its parent's memory. */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double wall_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Runs argv and says in r what it used. Its exit status, 127 for one that did not start. */
static int run(char **argv, const posix_spawn_file_actions_t *actions, struct rusage *r)
{
    pid_t pid;
    int status;

    if (posix_spawnp(&pid, argv[0], actions, NULL, argv, environ))
        return 127;
    if (wait4(pid, &status, 0, r) < 0)
        return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    bool many = argc > 2 && !strcmp(argv[1], "-n");
    int times = many ? atoi(argv[2]) : 1;
    char **command = argv + (many ? 3 : 1);
    posix_spawn_file_actions_t actions;
    double began = wall_now(), cpu = 0;
    long kb = 0;

    if (!*command || posix_spawn_file_actions_init(&actions) ||
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0))
        return 64;
    for (int i = 0; i < times; i++) {
        struct rusage r;
        int status = run(command, &actions, &r);

        if (status) {
            fprintf(stderr, "measured: %s: ended with %d\n", *command, status);
            return 70;
        }
        cpu += seconds(r.ru_utime) + seconds(r.ru_stime);
        if (r.ru_maxrss > kb)
            kb = r.ru_maxrss;
    }
    printf("%.4f %.4f %.1f\n", wall_now() - began, cpu, (double)kb / 1024);
    posix_spawn_file_actions_destroy(&actions);
    return fflush(stdout) ? 74 : 0;
}
