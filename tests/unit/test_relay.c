#include "http/relay.h"

#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct relay r;
static struct err e;
static int begun;

static int begin(void *ctx, struct err *why)
{
    (void)ctx;
    begun++;
    return begun > 1 ? err_set(why, EX_SOFTWARE, "begun twice") : 0;
}

/* Runs a script; out: where its output goes, -1: it is collected. */
static int run(const char *script, int in, int out)
{
    char *argv[] = {"sh", "-c", strdup(script), NULL};
    int rc;

    relay_free(&r);
    begun = 0;
    e = (struct err){0};
    r = (struct relay){.argv = argv, .in = in, .out = out, .begin = begin};
    rc = relay_run(&r, &e);
    free(argv[2]);
    return rc;
}

static void collected(void)
{
    int in = memfd_create("in", MFD_CLOEXEC);

    is_int(run("echo hello", -1, -1), 0, "a command is run");
    ok(r.status == 0 && r.collected.len == 6 && !memcmp(r.collected.data, "hello\n", 6),
       "and its output collected");
    is_int(r.bytes, 6, "and counted");
    ok(!run("exit 65", -1, -1) && r.status == 65, "its status is told");
    ok(!run("kill -9 $$", -1, -1) && r.status == 128 + 9, "and the signal that ended it");
    ok(!run("cat", -1, -1) && !r.collected.len, "without an input it reads nothing");
    ok(write(in, "body", 4) == 4 && !lseek(in, 0, SEEK_SET) && !run("cat", in, -1) &&
           r.collected.len == 4,
       "with one it reads that");
    close(in);
    is_int(run("head -c 6000000 /dev/zero", -1, -1), -1, "who says too much is ended");
    is_int(e.status, EX_SOFTWARE, "which is a mistake of ours");
    ok(!run("exit 0", -1, -1) && !r.collected.len && !*r.complaint, "a silent one says nothing");
}

static void complaints(void)
{
    static const struct {
        const char *script, *complaint, *name;
    } rows[] = {
        {"echo 'prog: file: why' >&2", "file: why", "a complaint is without the program's name"},
        {"printf 'prog: first\\nprog: second\\n' >&2", "first", "the first line counts"},
        {"printf 'prog: cut' >&2", "cut", "one without an end"},
        {"printf 'nothing of ours\\n' >&2", "nothing of ours", "one without a name"},
        {"printf '\\n' >&2", "", "an empty line"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run(rows[i].script, -1, -1);
        is_str(r.complaint, rows[i].complaint, "%s", rows[i].name);
    }
    run("printf 'prog: ' >&2; head -c 100000 /dev/zero | tr '\\0' x >&2", -1, -1);
    is_int((int64_t)strlen(r.complaint), RELAY_COMPLAINT - 1, "a long one is cut");
}

static void passed_on(void)
{
    int ends[2];
    char text[64] = "";

    if (pipe(ends))
        return;
    is_int(run("printf 'one '; printf two", -1, ends[1]), 0, "output is passed on");
    ok(begun == 1 && r.bytes == 7, "and begun once");
    ok(read(ends[0], text, sizeof text) == 7 && !strcmp(text, "one two"), "as it was");
    ok(!run("exit 66", -1, ends[1]) && !begun && r.status == 66, "without output nothing begins");
    ok(!run("sleep 0.05; exit 1", -1, ends[1]) && !begun && r.status == 1, "however late");
    close(ends[0]);
    is_int(run("exec cat /dev/zero", -1, ends[1]), -1, "whose reader has left is ended");
    is_int(e.status, EX_IOERR, "and that is told");
    is_int(run("exec tail -f /dev/null", -1, ends[1]), -1, "also where it says nothing");
    is_int(r.status, 128 + 15, "by TERM");
    close(ends[1]);
}

int main(void)
{
    char *none[] = {"no-such-command-of-ours", NULL};

    plan(10 + 6 + 9 + 1);
    signal(SIGPIPE, SIG_IGN);
    if (!freopen("/dev/null", "w", stderr))
        return 74;
    collected();
    complaints();
    passed_on();
    relay_free(&r);
    r = (struct relay){.argv = none, .in = -1, .out = -1};
    ok(relay_run(&r, &e) || r.status == 127, "what is not there cannot be run");
    relay_free(&r);
    return done();
}
