#include "base/supervise.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PASSES = 16, AGAIN_MS = 50, LOOK_MS = 5, PROCESSES_MAX = 32768, SPARED_MAX = 256 };

/* What the owner sends: this, three descriptors, then the words of argv and of
 * env, each with its NUL. Without any word: the command there is has so much time
 * from now on, or, with none, is to be ended. */
struct request {
    int64_t timeout_ms;
    uint64_t bytes;
    uint32_t argc, envc;
};

/* --- whole messages ----------------------------------------------------- */

static int send_whole(int fd, const void *p, size_t n)
{
    for (const char *at = p; n;) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

        if (done < 0 && errno != EINTR)
            return -1;
        at += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* 0, or -1 at the end of the stream as well. */
static int receive_whole(int fd, void *p, size_t n)
{
    for (char *at = p; n;) {
        ssize_t done = recv(fd, at, n, 0);

        if (!done || (done < 0 && errno != EINTR))
            return -1;
        at += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

union rights {
    struct cmsghdr align;
    char room[CMSG_SPACE(3 * sizeof(int))];
};

static int send_request(int fd, const struct request *r, const int streams[3])
{
    struct iovec io = {(void *)(uintptr_t)r, sizeof *r};
    union rights rights = {.room = {0}};
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = rights.room,
                       .msg_controllen = sizeof rights.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ssize_t done;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), streams, 3 * sizeof(int));
    done = TEMP_FAILURE_RETRY(sendmsg(fd, &m, MSG_NOSIGNAL));
    if (done < 0)
        return -1;
    return send_whole(fd, (const char *)r + done, sizeof *r - (size_t)done);
}

/* The descriptors of a request to stop are none: -1. */
static int receive_request(int fd, struct request *r, int streams[3])
{
    struct iovec io = {r, sizeof *r};
    union rights rights;
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = rights.room,
                       .msg_controllen = sizeof rights.room};
    struct cmsghdr *c;
    ssize_t done = TEMP_FAILURE_RETRY(recvmsg(fd, &m, MSG_CMSG_CLOEXEC));

    streams[0] = streams[1] = streams[2] = -1;
    if (done <= 0)
        return -1;
    c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(3 * sizeof(int)))
        memcpy(streams, CMSG_DATA(c), 3 * sizeof(int));
    return receive_whole(fd, (char *)r + done, sizeof *r - (size_t)done);
}

/* --- the family --------------------------------------------------------- */

struct process {
    pid_t pid, parent;
    bool ours;
};

/* All processes there are, as far as there is room. It is needed most when there is no
 * memory to be had. */
static struct {
    struct process all[PROCESSES_MAX];
    size_t n;
} seen;

/* Of /proc/PID/stat the fourth word; the second may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char name[32], text[512], *end;
    ssize_t n;
    int fd;

    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    fd = (int)TEMP_FAILURE_RETRY(open(name, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return 0;
    n = TEMP_FAILURE_RETRY(read(fd, text, sizeof text - 1));
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    end = strrchr(text, ')');
    return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* A folder's entries as the kernel gives them; opendir would ask for memory. */
static void list_processes(void)
{
    static _Alignas(struct dirent64) char block[32768];
    int fd = (int)TEMP_FAILURE_RETRY(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ssize_t got;

    seen.n = 0;
    while (fd >= 0 && (got = getdents64(fd, block, sizeof block)) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(block + at);
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

            at += entry->d_reclen;
            if (pid > 0 && seen.n < PROCESSES_MAX)
                seen.all[seen.n++] = (struct process){pid, parent_of(pid), false};
        }
    }
    if (fd >= 0)
        close(fd);
}

static bool is_spared(pid_t pid, const pid_t *spared, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pid == spared[i])
            return true;
    return false;
}

static bool is_ours(pid_t pid)
{
    for (size_t i = 0; i < seen.n; i++)
        if (seen.all[i].pid == pid)
            return seen.all[i].ours;
    return false;
}

/* Marks the descendants of this process, but for those spared and theirs. */
static void find_family(const pid_t *spared, size_t n)
{
    pid_t self = getpid();
    bool more = true;

    list_processes();
    while (more) {
        more = false;
        for (size_t i = 0; i < seen.n; i++) {
            struct process *p = &seen.all[i];

            if (p->ours || is_spared(p->pid, spared, n))
                continue;
            if (p->parent == self || is_ours(p->parent))
                p->ours = more = true;
        }
    }
}

/* How many it was sent to. */
static int signal_family(int number, const pid_t *spared, size_t n)
{
    int sent = 0;

    find_family(spared, n);
    for (size_t i = 0; i < seen.n; i++)
        if (seen.all[i].ours && !kill(seen.all[i].pid, number))
            sent++;
    return sent;
}

/* Nobody forks away from this: all are stopped before the first is killed. How
 * many there were. */
static int kill_family(const pid_t *spared, size_t n)
{
    for (int pass = 0, before = -1, now; pass < PASSES; pass++, before = now) {
        now = signal_family(SIGSTOP, spared, n);
        if (now == before)
            break;
    }
    return signal_family(SIGKILL, spared, n);
}

/* --- the supervisor ----------------------------------------------------- */

/* One command and what comes of it. */
struct watch_over {
    int owner; /* its socket */
    sigset_t before;
    pid_t pid; /* of the command, 0 once it has ended */
    struct task_end end;
    int64_t until; /* boot ms; 0: no limit */
    bool owner_gone;
};

static void on_child(int number)
{
    (void)number;
}

/* Takes in who has ended. True when nobody at all is left. */
static bool reap(struct watch_over *w)
{
    int status;
    pid_t pid;

    while ((pid = (pid_t)TEMP_FAILURE_RETRY(waitpid(-1, &status, WNOHANG))) > 0) {
        if (pid != w->pid)
            continue;
        w->pid = 0;
        w->end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        w->end.status = w->end.signal ? 128 + w->end.signal : WEXITSTATUS(status);
    }
    return pid < 0 && errno == ECHILD;
}

/* Waits for a child's end, the owner or the time. */
static void wait_a_while(struct watch_over *w, int64_t ms)
{
    const struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
    struct pollfd p = {.fd = w->owner_gone ? -1 : w->owner, .events = POLLIN};
    struct request r;
    int ignored[3];

    if (ppoll(&p, 1, ms < 0 ? NULL : &limit, &w->before) <= 0 || !p.revents)
        return;
    if (receive_request(w->owner, &r, ignored))
        w->owner_gone = true;
    else if (r.timeout_ms)
        w->until = clock_boot_ms() + r.timeout_ms;
    else
        w->end.stopped = w->pid > 0;
}

/* Ends whoever is left: TERM, and KILL when that has had its time. */
static void end_all(struct watch_over *w, int64_t grace_ms)
{
    int64_t until = clock_boot_ms() + grace_ms;
    int asked;

    if (reap(w))
        return;
    asked = signal_family(SIGTERM, NULL, 0);
    if (!w->pid)
        w->end.left_behind += asked;
    while (!reap(w)) {
        int64_t left = until - clock_boot_ms();

        if (left <= 0) {
            kill_family(NULL, 0);
            left = AGAIN_MS;
        }
        wait_a_while(w, left);
    }
}

static void watch_over(struct watch_over *w)
{
    while (!reap(w) && w->pid) {
        int64_t left = w->until ? w->until - clock_boot_ms() : -1;

        if (w->until && left <= 0) {
            w->end.timed_out = true;
            break;
        }
        if (w->owner_gone || w->end.stopped)
            break;
        wait_a_while(w, left);
    }
    end_all(w, w->pid ? SUPERVISE_GRACE_MS : SUPERVISE_LEFT_MS);
}

/* Splits the words that came behind a request; NULL: they do not add up. */
static char **split_words(char *text, size_t bytes, uint32_t count)
{
    char **words = calloc((size_t)count + 1, sizeof *words);
    char *at = text, *end = text + bytes;

    for (uint32_t i = 0; words && i < count; i++) {
        if (at >= end) {
            free(words);
            return NULL;
        }
        words[i] = at;
        at += strlen(at) + 1;
    }
    return words;
}

/* Who cannot be run at all has the status that a shell gives. */
static void run_command(struct watch_over *w, const struct request *r, char *words,
                        const int streams[3])
{
    char **all = split_words(words, r->bytes, r->argc + r->envc);
    char **argv = all ? calloc(r->argc + 1, sizeof *argv) : NULL;
    int rc = ENOMEM;

    if (argv) {
        memcpy(argv, all, r->argc * sizeof *argv);
        rc = spawn_with(&w->pid, argv, all + r->argc, streams);
    }
    free(argv);
    free(all);
    for (int i = 0; i < 3; i++)
        close(streams[i]);
    if (rc) {
        w->pid = 0;
        w->end.error = rc;
        w->end.status = rc == ENOENT ? 127 : 126;
        return;
    }
    w->until = r->timeout_ms ? clock_boot_ms() + r->timeout_ms : 0;
    watch_over(w);
}

/* The owner's next word; false when it is gone. */
static bool serve_one(struct watch_over *w)
{
    struct request r;
    int streams[3];
    char *words;

    if (receive_request(w->owner, &r, streams))
        return false;
    if (!r.argc) /* for a command that has ended meanwhile */
        return true;
    words = malloc(r.bytes + 1);
    if (!words || receive_whole(w->owner, words, r.bytes)) {
        free(words);
        return false;
    }
    words[r.bytes] = '\0';
    w->end = (struct task_end){0};
    run_command(w, &r, words, streams);
    free(words);
    return !w->owner_gone && !send_whole(w->owner, &w->end, sizeof w->end);
}

/* Of the owner's descriptors only these two stay; its signals are not ours. */
static void leave_the_owner(int owner, int *keep)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int from = 3;

    setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    /* owner and keep are brought to 3 and 4, all others are closed. */
    if (*keep >= 0)
        *keep = dup3(*keep, 4, O_CLOEXEC) < 0 ? -1 : 4;
    from = *keep >= 0 ? 5 : 4;
    if (owner != 3)
        dup3(owner, 3, O_CLOEXEC);
    close_range((unsigned)from, ~0U, 0);
}

static _Noreturn void supervise(int owner, int keep)
{
    struct watch_over w = {.owner = 3};
    struct sigaction child = {.sa_handler = on_child};
    sigset_t blocked;

    leave_the_owner(owner, &keep);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "lifeboat-superv");
    sigaction(SIGCHLD, &child, NULL);
    sigemptyset(&w.before);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    while (serve_one(&w))
        ;
    _exit(0);
}

/* --- the owner ---------------------------------------------------------- */

/* A pair beyond 4: the supervisor moves its end to 3 and what it keeps to 4. */
static int high_socket_pair(int ends[2])
{
    int low[2], rc = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, low))
        return -1;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 5);
        rc |= ends[i];
        close(low[i]);
    }
    return rc < 0 ? -1 : 0;
}

int supervisor_open(struct supervisor *s, int keep, struct err *e)
{
    int ends[2] = {-1, -1};
    pid_t pid;

    *s = (struct supervisor){.fd = -1};
    if (high_socket_pair(ends) || prctl(PR_SET_CHILD_SUBREAPER, 1)) {
        if (ends[0] >= 0)
            close(ends[0]);
        if (ends[1] >= 0)
            close(ends[1]);
        return err_sys(e, EX_TEMPFAIL, "unable to start a supervisor");
    }
    pid = fork();
    if (!pid)
        supervise(ends[1], keep);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_sys(e, EX_TEMPFAIL, "unable to start a supervisor");
    }
    s->pid = pid;
    s->fd = ends[0];
    return 0;
}

static int add_words(struct buf *b, char *const *words, uint32_t *count)
{
    for (; words && *words; words++, ++*count)
        if (buf_add(b, *words, strlen(*words) + 1))
            return -1;
    return 0;
}

static bool is_named_in(const char *entry, char *const *own)
{
    size_t n = strcspn(entry, "=") + 1;

    for (; own && *own; own++)
        if (!strncmp(entry, *own, n))
            return true;
    return false;
}

/* The caller's words, then the inherited ones it does not name. */
static int add_environment(struct buf *b, char *const *own, uint32_t *count)
{
    if (add_words(b, own, count))
        return -1;
    for (char **v = environ; v && *v; v++) {
        char *one[] = {*v, NULL};

        if (!is_named_in(*v, own) && add_words(b, one, count))
            return -1;
    }
    return 0;
}

int supervisor_run(struct supervisor *s, const struct task *t, struct err *e)
{
    struct request r = {.timeout_ms = t->timeout_ms};
    struct buf words = {0};
    int rc;

    if (add_words(&words, t->argv, &r.argc) || add_environment(&words, t->env, &r.envc)) {
        buf_free(&words);
        return err_memory(e);
    }
    r.bytes = words.len;
    rc = send_request(s->fd, &r, t->streams) || send_whole(s->fd, words.data, words.len) ? -1 : 0;
    buf_free(&words);
    if (rc)
        return err_sys(e, EX_TEMPFAIL, "unable to give a supervisor %s to run", t->argv[0]);
    s->busy = true;
    return 0;
}

static void tell(struct supervisor *s, int64_t ms)
{
    const struct request r = {.timeout_ms = ms};

    if (s->busy)
        send_whole(s->fd, &r, sizeof r); /* one that is gone needs no telling */
}

void supervisor_allow(struct supervisor *s, int64_t ms)
{
    tell(s, ms);
}

void supervisor_stop(struct supervisor *s)
{
    tell(s, 0);
}

int supervisor_result(struct supervisor *s, struct task_end *end, struct err *e)
{
    if (receive_whole(s->fd, end, sizeof *end)) {
        supervisor_close(s);
        return err_set(e, EX_TEMPFAIL, "the supervisor of a command was killed");
    }
    s->busy = false;
    return 0;
}

void supervisor_leave(struct supervisor *s)
{
    if (s->fd >= 0)
        shutdown(s->fd, SHUT_RDWR);
}

void supervisor_close(struct supervisor *s)
{
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    s->busy = false;
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void supervise_orphans(const struct supervisor *living, size_t n)
{
    pid_t spared[SPARED_MAX];
    size_t count = 0;

    for (size_t i = 0; i < n && i < SPARED_MAX; i++)
        if (living[i].fd >= 0)
            spared[count++] = living[i].pid;
    while (kill_family(spared, count))
        for (poll(NULL, 0, LOOK_MS); waitpid(-1, NULL, WNOHANG) > 0;)
            ;
}
