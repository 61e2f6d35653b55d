#include "base/supervise.h"

#include "base/clock.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct supervisor s;
static struct task_end end;
static struct err e;
static int null;

static int run_argv(char *const *argv, int out, int64_t timeout_ms)
{
    struct task t = {argv, NULL, {null, out, null}, timeout_ms};

    if (supervisor_run(&s, &t, &e))
        return -1;
    return supervisor_result(&s, &end, &e);
}

static int run(const char *script, int out, int64_t timeout_ms)
{
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};

    return run_argv(argv, out, timeout_ms);
}

static bool alive(pid_t pid)
{
    return !kill(pid, 0);
}

/* Reads a number that a script has written. */
static pid_t pid_from(int fd)
{
    char text[32];
    ssize_t n = read(fd, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return (pid_t)strtol(text, NULL, 10);
}

static bool gone_within(pid_t pid, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;

    while (alive(pid) && clock_boot_ms() < until)
        poll(NULL, 0, 5);
    return !alive(pid);
}

static void ends(void)
{
    char *none[] = {"no-such-command-anywhere", NULL}, *folder[] = {"/", NULL};
    const char *checker = getenv("LIFEBOAT_CHECKER");
    /* vfork is only fork there, and why exec failed is lost with the child. */
    bool told = !checker || strcmp(checker, "valgrind") != 0;

    ok(!run("exit 0", null, 0) && end.status == 0 && !end.signal, "a command that ends well");
    ok(!run("exit 7", null, 0) && end.status == 7, "its exit status");
    ok(!run("kill -9 $$", null, 0) && end.status == 137 && end.signal == 9,
       "the signal it was ended by");
    ok(!run_argv(none, null, 0) && end.status == 127 && (end.error == ENOENT || !told),
       "one that is not there: 127");
    ok(!run_argv(folder, null, 0) && end.status == (told ? 126 : 127),
       "one that cannot be run: 126");
}

static void streams(void)
{
    int out[2];
    char text[64] = "";
    char *env[] = {"GREETING=hello there", "PATH=/usr/bin:/bin", NULL};
    char *argv[] = {"sh", "-c", "echo $GREETING; ls /proc/self/fd | wc -l", NULL};
    struct task t = {argv, env, {null, -1, null}, 0};

    if (pipe2(out, O_CLOEXEC))
        return;
    t.streams[1] = out[1];
    ok(!supervisor_run(&s, &t, &e) && !supervisor_result(&s, &end, &e) && !end.status,
       "a command with an environment of its own");
    close(out[1]);
    poll(&(struct pollfd){.fd = out[0], .events = POLLIN}, 1, 5000);
    ok(read(out[0], text, sizeof text - 1) > 0 && !strncmp(text, "hello there\n4\n", 14),
       "it has that, its three streams and no other descriptor");
    close(out[0]);
}

static void time_over(void)
{
    int64_t began = clock_boot_ms();

    ok(!run("sleep 60", null, 200) && end.timed_out && end.signal == SIGTERM,
       "a command whose time is over gets TERM");
    ok(clock_boot_ms() - began < SUPERVISE_GRACE_MS, "and that is enough");
    ok(!run("trap '' TERM; while :; do sleep 60; done", null, 200) && end.timed_out &&
           end.signal == SIGKILL,
       "one that does not listen gets KILL");
}

/* The script leaves a process behind and writes its pid. */
static void leaves(const char *script, const char *what)
{
    int out[2];
    pid_t pid;

    if (pipe2(out, O_CLOEXEC))
        return;
    ok(!run(script, out[1], 0) && !end.status && end.left_behind > 0, "%s: counted", what);
    close(out[1]);
    pid = pid_from(out[0]);
    ok(pid > 1 && !alive(pid), "%s: gone when the result is told", what);
    close(out[0]);
}

static void told_to_stop(void)
{
    char *argv[] = {"sleep", "60", NULL};
    struct task t = {argv, NULL, {null, null, null}, 0};

    ok(!supervisor_run(&s, &t, &e), "a long one");
    supervisor_stop(&s);
    ok(!supervisor_result(&s, &end, &e) && end.stopped && end.signal == SIGTERM,
       "is ended when it is told to");
    supervisor_stop(&s);
    ok(!run("exit 3", null, 0) && end.status == 3 && !end.stopped,
       "and a word to stop that comes too late does not concern the next");
}

/* A process that owns a supervisor is killed; what the command wrote comes by out. */
static void owner_killed(void)
{
    int out[2];
    pid_t owner, pid;

    if (pipe2(out, O_CLOEXEC))
        return;
    owner = fork();
    if (!owner) {
        struct supervisor own;
        char *argv[] = {"sh", "-c",
                        "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 9; "
                        "done' & wait",
                        NULL};
        struct task t = {argv, NULL, {null, out[1], null}, 0};

        if (supervisor_open(&own, -1, &e) || supervisor_run(&own, &t, &e))
            _exit(1);
        for (;;)
            pause();
    }
    close(out[1]);
    pid = pid_from(out[0]);
    ok(pid > 1 && alive(pid), "a session of its own that ignores TERM");
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    ok(gone_within(pid, 2 * SUPERVISE_GRACE_MS), "is gone after the owner was killed with -9");
    close(out[0]);
}

static void supervisor_killed(void)
{
    int out[2];
    char *argv[] = {"sh", "-c", "setsid sh -c 'echo $$; sleep 60' & wait", NULL};
    struct task t = {argv, NULL, {null, -1, null}, 0};
    struct supervisor other = {.fd = -1};
    pid_t pid;

    if (pipe2(out, O_CLOEXEC))
        return;
    t.streams[1] = out[1];
    ok(!supervisor_open(&other, -1, &e) && !supervisor_run(&s, &t, &e), "two supervisors");
    close(out[1]);
    pid = pid_from(out[0]);
    kill(s.pid, SIGKILL);
    ok(supervisor_result(&s, &end, &e) == -1 && e.status == EX_TEMPFAIL && s.fd < 0,
       "one that was killed says so by its end");
    supervise_orphans(&other, 1);
    ok(pid > 1 && !alive(pid), "what it watched over is ended by the owner");
    s = other;
    ok(!run("exit 4", null, 0) && end.status == 4, "and the other one works on");
    close(out[0]);
}

static void many(void)
{
    int good = 0;

    for (int i = 0; i < 200; i++)
        good += !run("exit 9", null, 10000) && end.status == 9;
    is_int(good, 200, "two hundred in turn");
}

static void keeps(void)
{
    int ends_of[2];
    char c;

    if (pipe2(ends_of, O_CLOEXEC))
        return;
    supervisor_close(&s);
    ok(!supervisor_open(&s, ends_of[1], &e), "a supervisor that keeps a descriptor");
    close(ends_of[1]);
    fcntl(ends_of[0], F_SETFL, O_NONBLOCK);
    ok(read(ends_of[0], &c, 1) < 0 && errno == EAGAIN, "it is open as long as the supervisor is");
    ok(!run("exit 5", null, 0) && end.status == 5, "who works as any other");
    supervisor_close(&s);
    ok(read(ends_of[0], &c, 1) == 0, "and closed after that");
    close(ends_of[0]);
}

int main(void)
{
    plan(28);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (supervisor_open(&s, -1, &e))
        return 1;
    ends();
    streams();
    time_over();
    leaves("sleep 60 & echo $!", "in the background");
    leaves("echo $(setsid sh -c 'echo $$; exec sleep 60 >&-' &)", "in a session of its own");
    told_to_stop();
    owner_killed();
    supervisor_killed();
    many();
    keeps();
    supervisor_close(&s);
    return done();
}
