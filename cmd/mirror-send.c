/* mirror-send: each record to the primary, then to the mirror. */
#include "mirror-send/mirror-send.h"

#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "usage: mirror-send [options] [FILE...]\n"
    "       mirror-send --flush | --status | --drop-mirror [options]\n"
    "\n"
    "Sends records, JSON objects one a line, to the primary server, and what that has\n"
    "taken to the mirror: the same bytes under the same Idempotency-Key. Each record\n"
    "is made durable first; what cannot be sent now waits in the store.\n"
    "\n"
    "  -c, --config FILE        the configuration (/etc/onsitelogistics/config.json)\n"
    "      --flush              read nothing: send what waits\n"
    "      --now                also where a server is to be left alone for a while\n"
    "      --leg LEG            only primary, or only mirror (with --flush)\n"
    "      --log FILE           append a JSON line for each attempt\n"
    "      --rejects FILE       append lines that are refused to FILE, untouched\n"
    "      --status             say what waits, and send nothing\n"
    "      --drop-mirror        give up what waits for the mirror\n"
    "      --max-line BYTES     longest line accepted (1048576)\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "  -q, --quiet              no echo, no summary, no progress\n"
    "      --progress WHEN      auto, json or none\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_FLUSH = OPT_FIRST, OPT_NOW, OPT_LEG, OPT_LOG, OPT_REJECTS, OPT_STATUS, OPT_DROP };

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"flush", no_argument, NULL, OPT_FLUSH},
                                        {"now", no_argument, NULL, OPT_NOW},
                                        {"leg", required_argument, NULL, OPT_LEG},
                                        {"log", required_argument, NULL, OPT_LOG},
                                        {"rejects", required_argument, NULL, OPT_REJECTS},
                                        {"status", no_argument, NULL, OPT_STATUS},
                                        {"drop-mirror", no_argument, NULL, OPT_DROP},
                                        {"max-line", required_argument, NULL, OPT_MAX_LINE},
                                        {"db", required_argument, NULL, 'd'},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"progress", required_argument, NULL, OPT_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

const char *const leg_names[LEGS] = {"primary", "mirror"};
const char *const leg_queues[LEGS] = {"mirror-send.primary", "mirror-send.mirror"};
struct options opt = {.config = "/etc/onsitelogistics/config.json"};

/* The processes of the legs. */
struct legs {
    struct tally *tally; /* shared with them */
    pid_t pid[LEGS];     /* 0: there is none */
    int wake;            /* the primary's */
    int alive;           /* ends when both have */
};

/* --- starting ----------------------------------------------------------- */

static void make_pipe(int ends[2])
{
    struct err e = ERR_NONE;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
        err_sys(&e, EX_OSERR, "unable to make a pipe");
        cli_die(&e);
    }
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* It ends when the one that was started is gone, however that came about. */
static pid_t start_leg(enum which leg, int wake, int next, struct tally *t, const int *others,
                       size_t n)
{
    pid_t parent = getpid(), pid = fork();
    struct err e = ERR_NONE;

    if (pid < 0) {
        err_sys(&e, EX_OSERR, "unable to start a process");
        cli_die(&e);
    }
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        exit(EX_TEMPFAIL);
    close_all(others, n);
    exit(cli_finish(leg_run(leg, wake, next, t)));
}

static bool wanted(enum which leg)
{
    return !opt.leg || !strcmp(opt.leg, leg_names[leg]);
}

/* Before this process opens the store: SQLite's connections are not to be forked. */
static void start_legs(struct legs *l)
{
    int to_primary[2], to_mirror[2], alive[2];
    struct err e = ERR_NONE;

    l->tally = mmap(NULL, LEGS * sizeof *l->tally, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (l->tally == MAP_FAILED) {
        err_memory(&e);
        cli_die(&e);
    }
    make_pipe(to_primary);
    make_pipe(to_mirror);
    make_pipe(alive);
    if (wanted(PRIMARY))
        l->pid[PRIMARY] = start_leg(PRIMARY, to_primary[0], to_mirror[1], &l->tally[PRIMARY],
                                    (const int[]){to_primary[1], to_mirror[0], alive[0]}, 3);
    if (wanted(MIRROR))
        l->pid[MIRROR] =
            start_leg(MIRROR, to_mirror[0], -1, &l->tally[MIRROR],
                      (const int[]){to_primary[0], to_primary[1], to_mirror[1], alive[0]}, 4);
    close_all((const int[]){to_primary[0], to_mirror[0], to_mirror[1], alive[1]}, 4);
    l->wake = to_primary[1];
    l->alive = alive[0];
}

/* --- ending ------------------------------------------------------------- */

static int end_of(enum which leg, pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EX_SOFTWARE;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    cli_warn("the process that sends to the %s was ended by signal %d", leg_names[leg],
             WTERMSIG(status));
    return EX_SOFTWARE;
}

/* Nothing more comes: they do what they can. Told to stop, they leave it. */
static void wait_for_legs(struct legs *l, int status[LEGS])
{
    struct pollfd p = {.fd = l->alive, .events = POLLIN};

    close(l->wake);
    while (stop_poll(&p, 1, -1) < 0 && !stop_signal())
        ;
    for (int i = 0; i < LEGS; i++)
        if (l->pid[i] && stop_signal())
            kill(l->pid[i], SIGTERM);
    for (int i = 0; i < LEGS; i++)
        status[i] = l->pid[i] ? end_of((enum which)i, l->pid[i]) : 0;
    close(l->alive);
}

/* What the mirror does is not what the primary does: of the usual troubles of its own
 * leg only "not all is sent" is told, unless nothing else was asked for. */
static int status_of(const int status[LEGS], bool rejected)
{
    int mirror = status[MIRROR];

    if (!opt.leg && (mirror == EX_UNAVAILABLE || mirror == EX_TEMPFAIL || mirror == EX_NOPERM))
        mirror = 1;
    if (status[PRIMARY] > 1 || mirror > 1)
        return status[PRIMARY] > 1 ? status[PRIMARY] : mirror;
    return status[PRIMARY] || mirror || rejected;
}

static void say_legs(const struct legs *l, const char *before)
{
    const struct tally *p = &l->tally[PRIMARY], *m = &l->tally[MIRROR];

    cli_say("%sprimary: %lld sent, %lld failed, %lld remain; mirror: %lld sent, %lld failed, "
            "%lld remain",
            before, (long long)p->sent, (long long)p->failed, (long long)p->remaining,
            (long long)m->sent, (long long)m->failed, (long long)m->remaining);
}

/* --- what is asked for -------------------------------------------------- */

static int send_records(char **operands)
{
    struct legs legs = {0};
    struct intake in = {0};
    struct err e = ERR_NONE;
    int status[LEGS], rc;
    char before[128];

    start_legs(&legs);
    rc = intake_run(operands, legs.wake, &in, &e);
    wait_for_legs(&legs, status);
    snprintf(before, sizeof before, "%llu received: %llu queued, %llu rejected; ",
             (unsigned long long)in.received, (unsigned long long)in.queued,
             (unsigned long long)in.rejected);
    say_legs(&legs, before);
    cli_check(rc, &e);
    if (rc == 1 && !status[PRIMARY])
        status[PRIMARY] = EX_SOFTWARE;
    return status_of(status, in.rejected);
}

static int flush(void)
{
    struct legs legs = {0};
    int status[LEGS];

    start_legs(&legs);
    wait_for_legs(&legs, status);
    for (int i = 0; i < LEGS; i++)
        if (legs.pid[i])
            cli_putf("{\"leg\":\"%s\",\"sent\":%lld,\"failed\":%lld,\"remaining\":%lld}\n",
                     leg_names[i], (long long)legs.tally[i].sent, (long long)legs.tally[i].failed,
                     (long long)legs.tally[i].remaining);
    return status_of(status, false);
}

/* Before anything is started, so that what is wrong is said once. */
static void check_setup(void)
{
    struct err e = ERR_NONE;
    struct setup s;

    cli_check(setup_open(&s, opt.config, &e), &e);
    setup_close(&s);
}

static void check_options(char **operands)
{
    if (opt.flush + opt.status + opt.drop_mirror > 1)
        cli_usage_error("--flush, --status, --drop-mirror: one of them");
    if ((opt.flush || opt.status || opt.drop_mirror) && *operands)
        cli_usage_error("%s: nothing is read with --flush, --status or --drop-mirror", *operands);
    if (opt.leg && strcmp(opt.leg, leg_names[PRIMARY]) && strcmp(opt.leg, leg_names[MIRROR]))
        cli_usage_error("--leg: %s: wants primary or mirror", opt.leg);
    if (opt.leg && !strcmp(opt.leg, leg_names[MIRROR]) && !opt.flush && !opt.status)
        cli_usage_error("--leg mirror: only with --flush or --status");
}

static void take_option(int c)
{
    switch (c) {
    case 'c':
        opt.config = optarg;
        break;
    case OPT_FLUSH:
        opt.flush = true;
        break;
    case OPT_NOW:
        opt.now = true;
        break;
    case OPT_LEG:
        opt.leg = optarg;
        break;
    case OPT_LOG:
        opt.log = optarg;
        break;
    case OPT_REJECTS:
        opt.rejects = optarg;
        break;
    case OPT_STATUS:
        opt.status = true;
        break;
    case OPT_DROP:
        opt.drop_mirror = true;
        break;
    default:
        cli_option(c, optarg);
    }
}

int main(int argc, char **argv)
{
    int c;

    cli_start(argv[0], usage);
    cli.max_line = 1 << 20;
    while ((c = getopt_long(argc, argv, "c:d:qhV", options, NULL)) != -1)
        take_option(c);
    check_options(argv + optind);
    check_setup();
    if (opt.status)
        return cli_finish(show_status());
    if (opt.drop_mirror)
        return cli_finish(drop_mirror());
    return cli_finish(opt.flush ? flush() : send_records(argv + optind));
}
