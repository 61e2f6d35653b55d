/* mishap: preloaded into a command, lets something go wrong at its n-th call of
 * a kind.
 *
 *     MISHAP=CALLS:N:WHAT[:on] LD_PRELOAD=mishap.so CMD
 *
 * CALLS  change   those that change a file: write, sync, truncate, rename, ...
 *        write, read, sync, open, map       what their names say
 *        look     stat and access
 *        lock     SQLite's locks, which are those of fcntl
 *        slow     those that a signal may cut short: read, write, open, poll, ...
 *        memory   malloc, calloc, realloc, and what the C library gets by them
 *        told     writes to stderr, which count as no other kind
 * WHAT   kill     SIGKILL just before the call
 *        tear     SIGKILL when half of the write is done
 *        stop     SIGSTOP just before the call, which is then made
 *        half     half of the bytes are read or written
 *        NUMBER   the call fails with this errno
 * on     all later ones go wrong as well; of EINTR, which is tried again, one in
 *        two
 *
 * MISHAP_MARK=FILE gets a byte when it has happened; with N = 0 nothing happens,
 * and FILE gets the number of calls there are. With MISHAP_HURRY the boot clock
 * goes on by 60 ms with every look at it, so that each limit of time is met at
 * once, and somebody else is always waiting at the gate. Who hangs for 5 s is
 * ended by SIGXCPU. Only CMD itself is meant: all is taken out of the
 * environment that its children get. Those it forks have counts of their own, from
 * what it had come to; with MISHAP_FAMILY all have one, and it happens to one of them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHANGE = 1,
    WRITE = 2,
    READ = 4,
    SYNC = 8,
    OPEN = 16,
    MAP = 32,
    LOOK = 64,
    WAIT = 128,
    MEMORY = 256,
    TOLD = 512,
    MAKE = 1024,
    LOCK = 2048
};

enum { NOTHING, FAIL, HALF, TEAR };

static const struct {
    const char *name;
    int calls;
} kinds[] = {{"change", CHANGE}, {"write", WRITE},      {"read", READ},
             {"sync", SYNC},     {"open", OPEN | MAKE}, {"map", MAP},
             {"look", LOOK},     {"lock", LOCK},        {"slow", READ | WRITE | OPEN | WAIT},
             {"memory", MEMORY}, {"told", TOLD}};

static int calls;    /* those that count */
static long at = -1; /* the one at which it happens; 0: only count, -1: over */
static long own_seen, *seen = &own_seen;
static int does = FAIL, number;
static int on;
static long hurry = -1;
static char mark[4096];

static void watch_dog(void)
{
    struct sigevent end = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGXCPU};
    const struct itimerspec limit = {.it_value.tv_sec = 5};
    timer_t timer;

    if (!timer_create(CLOCK_MONOTONIC, &end, &timer))
        timer_settime(timer, 0, &limit, NULL);
}

static void plan(const char *text)
{
    char kind[16], what[16], more[8] = "";

    if (sscanf(text, "%15[^:]:%ld:%15[^:]:%7s", kind, &at, what, more) < 3)
        _exit(70);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name))
            calls = kinds[i].calls;
    if (!strcmp(what, "kill"))
        number = -SIGKILL;
    else if (!strcmp(what, "stop"))
        number = -SIGSTOP;
    else if (!strcmp(what, "tear"))
        does = TEAR;
    else if (!strcmp(what, "half"))
        does = HALF;
    else
        number = (int)strtol(what, NULL, 10);
    on = !strcmp(more, "on");
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("MISHAP"), *file = getenv("MISHAP_MARK");

    snprintf(mark, sizeof mark, "%s", file ? file : "/dev/null");
    if (getenv("MISHAP_HURRY"))
        hurry = 0;
    if (getenv("MISHAP_FAMILY")) {
        long shared = syscall(SYS_mmap, NULL, sizeof *seen, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        seen = shared == -1 ? seen : (long *)shared;
    }
    watch_dog();
    if (text)
        plan(text);
    unsetenv("MISHAP");
    unsetenv("MISHAP_MARK");
    unsetenv("MISHAP_HURRY");
    unsetenv("MISHAP_FAMILY");
    unsetenv("LD_PRELOAD");
}

/* By system calls of its own, so that it does not count itself. */
static void leave_mark(const char *text, size_t n)
{
    long fd = syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

    if (fd >= 0 && syscall(SYS_write, fd, text, n) >= 0)
        syscall(SYS_close, fd);
}

static void leave_count(long n)
{
    char text[24];

    leave_mark(text, (size_t)snprintf(text, sizeof text, "%ld", n));
}

/* One in two, always the same: a strict alternation would meet the same call of a
 * loop of two for ever. */
static int by_chance(void)
{
    static unsigned state = 42;

    state = state * 1103515245 + 12345;
    return state >> 16 & 1;
}

/* What is to become of a call of these kinds. FAIL: errno is set. */
static int mishap(int kind)
{
    int before = errno;
    long n;

    if (at < 0 || !(kind & calls))
        return NOTHING;
    n = __atomic_add_fetch(seen, 1, __ATOMIC_SEQ_CST);
    if (!at)
        leave_count(n);
    errno = before;
    if (!at || n < at || (!on && n > at) || (number == EINTR && on && !by_chance()))
        return NOTHING;
    leave_mark("x", 1);
    if (!on)
        at = -1;
    if (number < 0) {
        raise(-number);
        return NOTHING;
    }
    errno = does == FAIL ? number : before;
    return does;
}

/* Can half of n bytes be read or written, if that is what is to happen? */
static int divisible(size_t n)
{
    return n >= 2 || (does != HALF && does != TEAR);
}

/* The C library's own function of this name. */
#define REAL(type, name, params)                                                                   \
    static type(*real) params;                                                                     \
    if (!real)                                                                                     \
    real = (type(*) params)dlsym(RTLD_NEXT, #name)

#define COUNTED(kind, type, name, params, args)                                                    \
    type name params                                                                               \
    {                                                                                              \
        REAL(type, name, params);                                                                  \
        return mishap(kind) ? (type)-1 : real args;                                                \
    }

/* One whose parameter n is a number of bytes, of which half may be done. */
#define HALVED(kind, type, name, params, args)                                                     \
    type name params                                                                               \
    {                                                                                              \
        REAL(type, name, params);                                                                  \
        int what = divisible(n) ? mishap(kind) : NOTHING;                                          \
        if (what == FAIL)                                                                          \
            return -1;                                                                             \
        n = what ? n / 2 : n;                                                                      \
        if (what == TEAR) {                                                                        \
            real args;                                                                             \
            raise(SIGKILL);                                                                        \
        }                                                                                          \
        return real args;                                                                          \
    }

#define WRITES (CHANGE | WRITE)

HALVED(fd == 2 ? TOLD : WRITES, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
HALVED(WRITES, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
HALVED(WRITES, ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
COUNTED(WRITES, ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))

COUNTED(CHANGE | SYNC, int, fsync, (int fd), (fd))
COUNTED(CHANGE | SYNC, int, fdatasync, (int fd), (fd))
COUNTED(CHANGE, int, ftruncate, (int fd, off_t n), (fd, n))
COUNTED(CHANGE, int, ftruncate64, (int fd, off_t n), (fd, n))
COUNTED(CHANGE, int, rename, (const char *a, const char *b), (a, b))
COUNTED(CHANGE, int, renameat2, (int c, const char *a, int d, const char *b, unsigned f),
        (c, a, d, b, f))
COUNTED(CHANGE, int, link, (const char *a, const char *b), (a, b))
COUNTED(CHANGE, int, unlink, (const char *a), (a))
COUNTED(CHANGE, int, futimens, (int fd, const struct timespec t[2]), (fd, t))

HALVED(READ, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
HALVED(READ, ssize_t, pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
HALVED(READ, ssize_t, pread64, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
HALVED(READ, ssize_t, getrandom, (void *p, size_t n, unsigned f), (p, n, f))

COUNTED(LOOK, int, stat, (const char *a, struct stat *s), (a, s))
COUNTED(LOOK, int, stat64, (const char *a, struct stat64 *s), (a, s))
COUNTED(LOOK, int, fstat, (int fd, struct stat *s), (fd, s))
COUNTED(LOOK, int, fstat64, (int fd, struct stat64 *s), (fd, s))
COUNTED(LOOK, int, access, (const char *a, int how), (a, how))

COUNTED(WAIT, int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
COUNTED(WAIT, int, ppoll,
        (struct pollfd * p, nfds_t n, const struct timespec *t, const sigset_t *set),
        (p, n, t, set))
COUNTED(WAIT, int, flock, (int fd, int how), (fd, how))
COUNTED(WAIT, pid_t, waitpid, (pid_t pid, int *status, int how), (pid, status, how))

COUNTED(MAP, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t o),
        (p, n, prot, flags, fd, o))
COUNTED(MAP, void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, off_t o),
        (p, n, prot, flags, fd, o))

COUNTED(OPEN, int, mkostemp, (char *name, int flags), (name, flags))
COUNTED(MAKE, int, pipe2, (int ends[2], int flags), (ends, flags))
COUNTED(MAKE, int, inotify_init1, (int flags), (flags))

#define OPENS(name)                                                                                \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        REAL(int, name, (const char *, int, ...));                                                 \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                    \
        va_end(ap);                                                                                \
        return mishap(OPEN) ? -1 : real(path, flags, mode);                                        \
    }

#define FCNTLS(name)                                                                               \
    int name(int fd, int what, ...)                                                                \
    {                                                                                              \
        REAL(int, name, (int, int, ...));                                                          \
        va_list ap;                                                                                \
        va_start(ap, what);                                                                        \
        void *argument = va_arg(ap, void *);                                                       \
        va_end(ap);                                                                                \
        if (hurry >= 0 && what == F_OFD_GETLK) {                                                   \
            ((struct flock *)argument)->l_type = F_WRLCK;                                          \
            return 0;                                                                              \
        }                                                                                          \
        return what == F_SETLK && mishap(LOCK) ? -1 : real(fd, what, argument);                    \
    }

FCNTLS(fcntl)
FCNTLS(fcntl64)

OPENS(open)
OPENS(open64)

/* Not by dlsym, which allocates itself. */
extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    return mishap(MEMORY) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return mishap(MEMORY) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return mishap(MEMORY) ? NULL : __libc_realloc(p, n);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    REAL(int, clock_gettime, (clockid_t, struct timespec *));
    int rc = real(id, ts);

    if (hurry >= 0 && id == CLOCK_BOOTTIME) {
        ts->tv_nsec += ++hurry * 60 % 1000 * 1000000;
        ts->tv_sec += hurry * 60 / 1000 + ts->tv_nsec / 1000000000;
        ts->tv_nsec %= 1000000000;
    }
    return rc;
}
