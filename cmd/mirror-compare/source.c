/* source: files, and what commands print, as files that can be read at any place. */
#include "base/clock.h"
#include "base/spool.h"
#include "base/stop.h"
#include "base/supervise.h"
#include "base/whole.h"
#include "mirror-compare/compare.h"
#include "text/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, COMPLAINT = 300, WORD = 40 };

const char *const side_names[SIDES] = {"old", "new"};
static const char *const command_names[SIDES] = {"the old side", "the new side"};

/* --- commands ------------------------------------------------------------- */

struct run {
    const char *name;
    char word[WORD]; /* what is run, for messages */
    struct supervisor by;
    int complaints; /* the reading end of its standard error; -1: not open */
    char complaint[COMPLAINT];
    size_t complained;
    bool running;
    struct task_end end;
};

/* The first word of a command that is the name of a program: what stands before it may
 * be a password. */
static void name_program(const char *command, char word[static WORD])
{
    const char *p = command, *slash;

    for (;;) {
        size_t n;

        p += strspn(p, " \t\n");
        n = strcspn(p, " \t\n");
        if (memchr(p, '=', n) && strcspn(p, "'\"\\$`") < n)
            break; /* a value in quotes may go on behind white space */
        if (!memchr(p, '=', n)) {
            for (slash = p + n; slash > p && slash[-1] != '/'; slash--)
                ;
            n -= (size_t)(slash - p);
            if (!n || n >= WORD ||
                strspn(slash, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                              "WXYZ0123456789._+-") < n)
                break;
            memcpy(word, slash, n);
            word[n] = '\0';
            return;
        }
        p += n;
    }
    strcpy(word, "sh");
}

static int run_start(struct run *r, const struct plan *p, int side, int out, struct err *e)
{
    char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)p->source[side], NULL};
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2] = {-1, -1}, rc = 0;

    r->name = command_names[side];
    name_program(p->source[side], r->word);
    if (nothing < 0 || pipe2(ends, O_CLOEXEC))
        rc = err_sys(e, EX_OSERR, "unable to run %s", r->word);
    if (!rc)
        rc = supervisor_open(&r->by, -1, e);
    if (!rc) {
        struct task t = {
            .argv = argv, .streams = {nothing, out, ends[1]}, .timeout_ms = p->timeout_ms};

        r->complaints = ends[0];
        ends[0] = -1;
        rc = supervisor_run(&r->by, &t, e);
        r->running = !rc;
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (nothing >= 0)
        close(nothing);
    return rc;
}

static void run_close(struct run *r)
{
    if (r->by.fd >= 0)
        supervisor_close(&r->by);
    if (r->complaints >= 0)
        close(r->complaints);
}

/* The first line of what it says is kept, the rest read away. */
static void hear(struct run *r)
{
    char block[4096];
    ssize_t n = read(r->complaints, block, sizeof block);
    size_t room = sizeof r->complaint - 1 - r->complained;

    if (n <= 0) {
        if (!n || (errno != EINTR && errno != EAGAIN)) {
            close(r->complaints);
            r->complaints = -1;
        }
        return;
    }
    memcpy(r->complaint + r->complained, block, (size_t)n < room ? (size_t)n : room);
    r->complained += (size_t)n < room ? (size_t)n : room;
    r->complaint[r->complained] = '\0';
}

static void first_line(char *text)
{
    size_t lead = strspn(text, "\n\r\t ");

    memmove(text, text + lead, strlen(text + lead) + 1);
    text[strcspn(text, "\n\r")] = '\0';
    for (char *p = text; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = '?';
}

static int run_judge(struct run *r, const struct plan *p, struct err *e)
{
    const char *colon;

    first_line(r->complaint);
    colon = r->complaint[0] ? ": " : "";
    if (r->end.timed_out)
        return err_set(e, EX_UNAVAILABLE, "%s: %s: ended, for it took longer than %lld s%s%s",
                       r->name, r->word, (long long)p->timeout_ms / 1000, colon, r->complaint);
    if (r->end.signal)
        return err_set(e, EX_UNAVAILABLE, "%s: %s: ended by signal %d%s%s", r->name, r->word,
                       r->end.signal, colon, r->complaint);
    if (r->end.status)
        return err_set(e, EX_UNAVAILABLE, "%s: %s: exit status %d%s%s", r->name, r->word,
                       r->end.status, colon, r->complaint);
    return 0;
}

/* What a command still says after its end is in the pipe already. */
static int run_end(struct run *r, const struct plan *p, struct err *e)
{
    r->running = false;
    if (supervisor_result(&r->by, &r->end, e))
        return -1;
    while (r->complaints >= 0) {
        struct pollfd more = {.fd = r->complaints, .events = POLLIN};

        if (poll(&more, 1, 0) <= 0)
            break;
        hear(r);
    }
    return run_judge(r, p, e);
}

/* Until both have ended; the first that fails ends the other. */
static int run_wait(struct run runs[SIDES], const struct plan *p, struct err *e)
{
    while (runs[OLD].running || runs[NEW].running) {
        struct pollfd at[2 * SIDES];

        for (int i = 0; i < SIDES; i++) {
            at[i] = (struct pollfd){.fd = runs[i].running ? runs[i].by.fd : -1, .events = POLLIN};
            at[SIDES + i] = (struct pollfd){.fd = runs[i].complaints, .events = POLLIN};
        }
        if (stop_signal())
            return err_set(e, EX_TEMPFAIL, "stopped while both sides were read");
        if (stop_poll(at, 2 * SIDES, -1) < 0) {
            if (errno == EINTR)
                continue;
            return err_sys(e, EX_OSERR, "unable to wait for the commands");
        }
        for (int i = 0; i < SIDES; i++) {
            if (at[SIDES + i].revents)
                hear(&runs[i]);
            if (at[i].revents && run_end(&runs[i], p, e))
                return -1;
        }
    }
    return 0;
}

/* --- files ---------------------------------------------------------------- */

static int copy_all(int from, const char *name, int to, struct err *e)
{
    char *block = malloc(BLOCK);
    ssize_t n = 1;
    int rc = block ? 0 : err_memory(e);

    while (!rc && n > 0) {
        n = read(from, block, BLOCK);
        if (stop_signal())
            rc = err_set(e, EX_TEMPFAIL, "stopped while both sides were read");
        else if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            rc = err_sys(e, EX_IOERR, "unable to read %s", name);
        else if (whole_write(to, block, (size_t)n))
            rc = err_sys(e, EX_IOERR, "unable to write a temporary file");
    }
    free(block);
    return rc;
}

static int open_file(const struct plan *p, const char *operand, struct source *out, struct err *e)
{
    int fd = cli_open(operand, e), rc;
    struct stat st;

    out->name = cli_name(operand);
    if (fd < 0)
        return -1;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
        out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        rc = out->fd < 0 ? err_sys(e, EX_OSERR, "unable to read %s", out->name) : 0;
    } else if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
        rc = err_set(e, EX_NOINPUT, "unable to read %s: it is a folder", out->name);
    } else {
        out->fd = spool_beside(p->aside, e);
        rc = out->fd < 0 ? -1 : copy_all(fd, out->name, out->fd, e);
    }
    if (fd > STDERR_FILENO)
        close(fd);
    return rc;
}

/* --- both ------------------------------------------------------------------- */

static int open_one(const struct plan *p, int side, struct run *r, struct source *out,
                    struct err *e)
{
    if (!p->command[side])
        return open_file(p, p->source[side], out, e);
    out->name = command_names[side];
    out->fd = spool_beside(p->aside, e);
    return out->fd < 0 ? -1 : run_start(r, p, side, out->fd, e);
}

static int rewind_both(struct source s[SIDES], struct err *e)
{
    struct stat st;

    for (int i = 0; i < SIDES; i++) {
        if (fstat(s[i].fd, &st) || lseek(s[i].fd, 0, SEEK_SET) < 0)
            return err_sys(e, EX_IOERR, "unable to read %s", s[i].name);
        s[i].size = (uint64_t)st.st_size;
    }
    return 0;
}

int sources_open(const struct plan *p, struct source out[SIDES], struct err *e)
{
    struct run runs[SIDES] = {{.by = {.fd = -1}, .complaints = -1},
                              {.by = {.fd = -1}, .complaints = -1}};
    /* Commands first: they work while standard input is read. */
    int first = p->command[NEW] ? NEW : OLD, rc = 0;

    for (int i = 0; i < SIDES; i++)
        out[i] = (struct source){.fd = -1};
    for (int i = 0; i < SIDES && !rc; i++) {
        int side = i ? !first : first;

        rc = open_one(p, side, &runs[side], &out[side], e);
    }
    if (!rc)
        rc = run_wait(runs, p, e);
    for (int i = 0; i < SIDES; i++)
        run_close(&runs[i]);
    return rc ? -1 : rewind_both(out, e);
}

void sources_close(struct source s[SIDES])
{
    for (int i = 0; i < SIDES; i++)
        if (s[i].fd >= 0)
            close(s[i].fd);
}
