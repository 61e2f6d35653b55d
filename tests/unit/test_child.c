#include "base/child.h"

#include "base/clock.h"
#include "base/stop.h"
#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* What one run is fed and has heard. */
struct talk {
    size_t feed, fed; /* bytes */
    size_t lines, bytes;
    int refuse_line, refuse_feed; /* the number of the call that fails */
    char last[64];
    int limit_ms;
};

static int feed(void *ctx, struct buf *out, struct err *e)
{
    struct talk *t = ctx;

    if (t->refuse_feed && !--t->refuse_feed)
        return err_set(e, EX_SOFTWARE, "feed refused");
    for (size_t i = 0; i < 100 && t->fed < t->feed; i++, t->fed += 8)
        if (buf_add(out, "1234567\n", 8))
            return -1;
    return t->fed < t->feed;
}

static int take(void *ctx, struct span line, struct err *e)
{
    struct talk *t = ctx;

    t->lines++;
    t->bytes += line.n + 1;
    snprintf(t->last, sizeof t->last, "%.*s", (int)line.n, line.p);
    if (t->refuse_line && !--t->refuse_line)
        return err_set(e, EX_SOFTWARE, "line refused");
    return 0;
}

static struct talk talk;
static struct child child;
static struct err e;

static int run(struct talk t, char *const argv[])
{
    talk = t;
    e = (struct err){0};
    child = (struct child){
        .argv = argv, .ctx = &talk, .feed = feed, .line = take, .limit_ms = t.limit_ms};
    return child_run(&child, &e);
}

static int shell(struct talk t, char *script)
{
    char *argv[] = {"sh", "-c", script, NULL};

    return run(t, argv);
}

static void conversations(void)
{
    char *const cat[] = {"cat", NULL}, *const none[] = {"no-such-program", NULL};

    is_int(run((struct talk){.feed = 8000000}, cat), 0, "8 MB go through cat");
    is_int((int64_t)talk.lines, 1000000, "with every line");
    is_int((int64_t)talk.bytes, 8000000, "and every byte");
    is_int(run((struct talk){0}, cat), 0, "nothing goes through cat");
    is_int((int64_t)talk.lines, 0, "without a line");
    is_int(shell((struct talk){0}, "printf 'a\\n\\nlast'"), 0, "a last line without LF");
    is_int((int64_t)talk.lines, 3, "is a line");
    is_str(talk.last, "last", "as it stands");
    is_int(shell((struct talk){0}, "head -c 3000000 /dev/zero; echo; echo z"), 0, "a long line");
    is_int((int64_t)talk.bytes, 3000003, "is whole");
    is_int(run((struct talk){0}, none), -1, "a program that does not exist");
    is_int(e.status, EX_UNAVAILABLE, "is a service that cannot be reached");
    ok(!strncmp(e.msg, "unable to run no-such-program", 29), "and is named");
}

static void endings(void)
{
    is_int(shell((struct talk){0}, "echo 'no\tgood' >&2; echo more >&2; exit 5"), 1,
           "a child that fails");
    is_int(child.status, 5, "hands on its status");
    is_str(e.msg, "sh: exit status 5: no?good", "and the first thing it said");
    is_int(shell((struct talk){0}, "kill -9 $$"), 1, "a child that is killed");
    is_int(child.status, 137, "has a status of 128 and the signal");
    is_int(shell((struct talk){.feed = 8000000}, "read x; exec <&-; echo $x"), 1,
           "a child that does not read on has failed");
    is_int(child.status, 0, "even with status 0");
    is_str(talk.last, "1234567", "and what it said is heard");
    is_int(shell((struct talk){.feed = 8}, "exec >&- 2>&-; read x; read x"), 1,
           "one that shuts its mouth is waited for");
    is_int(shell((struct talk){.feed = 8000000}, "head -c 1000000 /dev/zero >&2; cat"), 0,
           "one that says much on stderr is not blocked");
    is_int((int64_t)talk.bytes, 8000000, "and says all on stdout");
}

static void surroundings(void)
{
    char *const env[] = {"LC_ALL=C", "NEW=1", NULL};
    char *const argv[] = {"sh", "-c",
                          "[ \"$LC_ALL $NEW $OLD\" = 'C 1 2' ] && ls /proc/self/fd | wc -l", NULL};
    char ours[16] = "";
    FILE *f = popen("ls /proc/self/fd | wc -l", "r");

    ok(f && fgets(ours, sizeof ours, f), "descriptors can be counted");
    pclose(f);
    ours[strcspn(ours, "\n")] = '\0';
    setenv("LC_ALL", "de_DE", 1);
    setenv("OLD", "2", 1);
    talk = (struct talk){0};
    child = (struct child){.argv = argv, .env = env, .ctx = &talk, .line = take};
    is_int(child_run(&child, &e), 0, "a child with an environment and no input");
    is_str(talk.last, ours, "has it, and its streams and no more");
    is_int(shell((struct talk){0}, "kill -PIPE $$; sleep 9"), 1,
           "signals are as a program expects them");
    is_int(child.status, 128 + SIGPIPE, "SIGPIPE too");
    close(0);
    is_int(shell((struct talk){.feed = 16}, "cat"), 0, "with stdin closed here");
    is_int((int64_t)talk.lines, 2, "it still gets its input");
}

static void limits(void)
{
    int64_t begun = clock_boot_ms();

    is_int(shell((struct talk){.limit_ms = 100}, "trap '' TERM; while :; do sleep 0.05; done"), 1,
           "one whose time is over");
    ok(child.timed_out && clock_boot_ms() - begun < 5000, "is ended, deaf or not");
    is_str(e.msg, "sh: not done within 1 s", "and that is said");
    is_int(shell((struct talk){.limit_ms = 100}, "exec >&- 2>&-; exec sleep 60"), 1,
           "also when it has closed its streams");
    ok(child.timed_out && child.status == 128 + SIGTERM, "it is ended");
    is_int(shell((struct talk){.limit_ms = 60000}, "exit 3"), 1, "one that ends before");
    ok(!child.timed_out && child.status == 3, "has its own status");
}

static void last_words(void)
{
    shell((struct talk){0}, "echo first >&2; echo; echo 'the last' >&2; exit 1");
    is_str(child.complaint, "first", "the first line of its stderr is kept");
    is_str(child.last_words, "the last", "and the last one");
    shell((struct talk){0}, "echo first >&2; seq 100000 >&2; printf 'torn\\r\\n' >&2");
    is_str(child.complaint, "first", "however much stands between");
    is_str(child.last_words, "torn", "without what ends it");
    shell((struct talk){0}, "echo only >&2");
    is_str(child.last_words, "only", "one line is both");
    shell((struct talk){0}, ":");
    is_str(child.last_words, "", "none is neither");
}

static void interruptions(void)
{
    int64_t begun = clock_boot_ms();
    char kill_parent[64];

    is_int(shell((struct talk){.refuse_line = 1}, "echo a; exec sleep 60"), -1,
           "a line that is refused");
    is_str(e.msg, "line refused", "ends the run with its reason");
    is_int(child.status, 128 + SIGTERM, "and the child");
    is_int(shell((struct talk){.feed = 8000000, .refuse_feed = 3}, "exec cat"), -1,
           "so does a feed");
    is_str(e.msg, "feed refused", "with its reason");
    ok(clock_boot_ms() - begun < 2000, "at once");
    is_int(shell((struct talk){.refuse_line = 1}, "trap '' TERM; echo a; exec sleep 60"), -1,
           "one that is deaf");
    is_int(child.status, 128 + SIGKILL, "is killed");
    snprintf(kill_parent, sizeof kill_parent, "kill -TERM %d; exec sleep 60", (int)getpid());
    is_int(shell((struct talk){0}, kill_parent), -1, "TERM to this program ends the run");
    is_int(e.status, EX_TEMPFAIL, "as one to be tried again");
    is_str(e.msg, "stopped while sh was running", "and says so");
}

int main(void)
{
    plan(55);
    stop_catch();
    conversations();
    endings();
    surroundings();
    limits();
    last_words();
    interruptions();
    return done();
}
