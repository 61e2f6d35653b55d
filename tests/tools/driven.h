/* driven: commands that a tool feeds through one pipe and hears through another. */
#ifndef TOOLS_DRIVEN_H
#define TOOLS_DRIVEN_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct driven {
    pid_t pid;
    int in, out; /* our ends: its stdin and its stdout */
    char text[1 << 16];
    size_t n; /* bytes of text that no line was taken of yet */
};

static inline void die(const char *what)
{
    perror(what);
    exit(74);
}

static inline int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Both of our ends do not block. */
static inline void driven_start(struct driven *d, char *const argv[])
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        die("pipe");
    d->n = 0;
    d->pid = fork();
    if (d->pid < 0)
        die("fork");
    if (!d->pid) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    d->in = in[1];
    d->out = out[0];
    if (fcntl(d->in, F_SETFL, O_NONBLOCK) || fcntl(d->out, F_SETFL, O_NONBLOCK))
        die("fcntl");
}

/* Reads what is there and gives the lines to take. 0 at the end. */
static inline int driven_lines(struct driven *d, void (*take)(void *ctx, const char *line),
                               void *ctx)
{
    ssize_t got = read(d->out, d->text + d->n, sizeof d->text - d->n);
    char *from = d->text, *lf;

    if (got < 0 && errno != EAGAIN && errno != EINTR)
        die("read");
    d->n += got > 0 ? (size_t)got : 0;
    while ((lf = memchr(from, '\n', d->n))) {
        *lf = '\0';
        take(ctx, from);
        d->n -= (size_t)(lf + 1 - from);
        from = lf + 1;
    }
    memmove(d->text, from, d->n);
    return got != 0;
}

/* How it ended, once it has: what it says till then has to fit the pipe. */
static inline int driven_end(struct driven *d)
{
    int status = 0;

    if (d->in >= 0)
        close(d->in);
    if (waitpid(d->pid, &status, 0) < 0)
        die("waitpid");
    if (d->out >= 0)
        close(d->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- figures ------------------------------------------------------------------ */

struct figures {
    int64_t *v;
    size_t n, room;
};

static inline void figures_add(struct figures *f, int64_t v)
{
    if (f->n == f->room) {
        f->room = 2 * f->room + 1024;
        f->v = realloc(f->v, f->room * sizeof *f->v);
        if (!f->v)
            die("realloc");
    }
    f->v[f->n++] = v;
}

static inline int figures_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* "NAME_p50_ms":1.2,… of nanoseconds, which are put in order. */
static inline void figures_print(FILE *out, struct figures *f, const char *name)
{
    static const int percent[] = {50, 99, 100};

    qsort(f->v, f->n, sizeof *f->v, figures_order);
    for (int i = 0; i < 3; i++) {
        size_t at = (f->n * (size_t)percent[i] + 99) / 100;
        double ms = f->n ? (double)f->v[at ? at - 1 : 0] / 1e6 : 0;

        if (percent[i] < 100)
            fprintf(out, ",\"%s_p%d_ms\":%.3f", name, percent[i], ms);
        else
            fprintf(out, ",\"%s_max_ms\":%.3f", name, ms);
    }
}

#endif
