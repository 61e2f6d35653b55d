#include "cli/cli.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cli/settings.h"
#include "core/event.h"
#include "text/line.h"
#include "text/rfc3339.h"
#include "text/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_BLOCK = 1 << 20, SMALL_ROOM = 2 << 20 };

struct cli cli;
struct out cli_out = {.fd = STDOUT_FILENO};

static const char *usage_text;
static void (*exit_hook)(void);

/* --- ending ------------------------------------------------------------- */

void cli_on_exit(void (*hook)(void))
{
    exit_hook = hook;
}

static _Noreturn void leave(int status)
{
    if (exit_hook)
        exit_hook();
    exit(cli.failure && status >= EX__BASE && status <= EX__MAX ? cli.failure : status);
}

/* Without memory of its own, to be able to say that there is none. */
static void complain(const char *fmt, va_list ap)
{
    char line[2304];
    size_t n, at = 0;

    snprintf(line, 256, "%.250s: ", cli.prog);
    n = strlen(line);
    vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    n = strlen(line);
    line[n++] = '\n';
    /* One write a line, if it is taken whole: several processes may share this
     * stderr. A reader of it that has left changes nothing. */
    while (at < n) {
        ssize_t done = write(STDERR_FILENO, line + at, n - at);

        if (done > 0)
            at += (size_t)done;
        else if (!done || errno != EINTR || stop_signal())
            return;
    }
}

void cli_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
}

void cli_say(const char *fmt, ...)
{
    va_list ap;

    if (cli.quiet)
        return;
    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
}

void cli_usage_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
    cli_warn("try %s --help", cli.prog);
    leave(EX_USAGE);
}

void cli_die(const struct err *e)
{
    int number = stop_signal();
    int status = e->status ? e->status : EX_SOFTWARE; /* a failure never looks like success */

    cli_warn("%s", e->msg);
    leave(number && status == EX_TEMPFAIL ? 128 + number : status);
}

void cli_check(int64_t rc, const struct err *e)
{
    if (rc < 0)
        cli_die(e);
}

/* --- stdout ------------------------------------------------------------- */

static _Noreturn void stdout_failed(void)
{
    if (cli_out.failed == EINTR)
        leave(128 + stop_signal());
    if (cli_out.failed == EPIPE) {
        if (exit_hook)
            exit_hook();
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    cli_warn("unable to write to standard output: %s", strerror(cli_out.failed));
    leave(cli_out.failed == ENOMEM ? EX_TEMPFAIL : EX_IOERR);
}

void cli_reader_left(void)
{
    cli_out.failed = EPIPE;
    stdout_failed();
}

void cli_put(const void *p, size_t n)
{
    if (out_add(&cli_out, p, n))
        stdout_failed();
}

void cli_putf(const char *fmt, ...)
{
    va_list ap;
    char text[4096];
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cli_put(text, n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

void cli_flush(void)
{
    if (out_flush(&cli_out))
        stdout_failed();
}

int cli_finish(int status)
{
    int number = stop_signal();

    cli_flush();
    if (out_close(&cli_out) || (close(STDOUT_FILENO) && errno != EBADF)) {
        cli_out.failed = errno;
        stdout_failed();
    }
    return number ? 128 + number : status;
}

/* --- options ------------------------------------------------------------ */

int64_t cli_number(const char *option, const char *arg, int64_t min, int64_t max)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(arg, &end, 10);
    if (errno || end == arg || *end || n < min || n > max)
        cli_usage_error("%s: %s: wants a number from %lld to %lld", option, arg, (long long)min,
                        (long long)max);
    return n;
}

int cli_span_parse(const char *arg, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'\0', 1000}};
    char *end;
    long long n;

    errno = 0;
    n = strtoll(arg, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!errno && end != arg && *end == units[i].unit && (!*end || !end[1]) && n >= 0 &&
            n < INT64_MAX / 86400000) {
            *ms = n * units[i].ms;
            return 0;
        }
    return -1;
}

int64_t cli_span_ms(const char *option, const char *arg)
{
    int64_t ms;

    if (!cli_span_parse(arg, &ms))
        return ms;
    cli_usage_error("%s: %s: wants a span of time, such as 90, 15m, 24h or 7d", option, arg);
}

int64_t cli_time_ms(const char *option, const char *arg)
{
    int64_t ms;
    char *end;

    if (!rfc3339_parse(span_of(arg), &ms))
        return ms;
    errno = 0;
    ms = strtoll(arg, &end, 10);
    if (errno || end == arg || *end)
        cli_usage_error("%s: %s: wants Unix milliseconds or a time such as 2026-01-26T09:30:00Z",
                        option, arg);
    return ms;
}

static enum progress_when parse_progress(const char *arg)
{
    static const char *const names[] = {"auto", "json", "none"};

    for (int i = 0; i < 3; i++)
        if (!strcmp(arg, names[i]))
            return (enum progress_when)i;
    cli_usage_error("--progress: %s: wants auto, json or none", arg);
}

void cli_option(int c, const char *arg)
{
    switch (c) {
    case 'h':
        cli_put(usage_text, strlen(usage_text));
        leave(cli_finish(0));
    case 'V':
        cli_putf("%s (lifeboat) %s\n", cli.prog, LIFEBOAT_VERSION);
        leave(cli_finish(0));
    case 'd':
        cli.db = arg;
        break;
    case 'q':
        cli.quiet = true;
        break;
    case OPT_PROGRESS:
        cli.progress = parse_progress(arg);
        break;
    case OPT_MAX_LINE:
        cli.max_line = (size_t)cli_number("--max-line", arg, 1, 1 << 30);
        break;
    default: /* getopt has said what is wrong */
        cli_warn("try %s --help", cli.prog);
        leave(EX_USAGE);
    }
}

/* --- starting ----------------------------------------------------------- */

/* A closed standard descriptor must not become the number of the store or its
 * gate: it is opened the wrong way round, so that using it fails. */
static void keep_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            _exit(EX_IOERR);
}

/* A name that goes into events must be fit for one. */
static const char *checked_name(const char *setting)
{
    const char *v = settings_get(setting);

    if (!v)
        return NULL;
    for (const char *p = v, *end = v + strlen(v); p < end;) {
        size_t n = utf8_length(p, end);

        if (!n || end - v > EVENT_TEXT_MAX) {
            cli_warn("LIFEBOAT_%s: %s", setting, n ? "longer than 1024 bytes" : "not valid UTF-8");
            leave(EX_CONFIG);
        }
        p += n;
    }
    return v;
}

static int64_t number_setting(const char *name, int64_t min, int64_t max, int64_t otherwise)
{
    const char *v = settings_get(name);
    char *end;
    long long n;

    if (!v)
        return otherwise;
    errno = 0;
    n = strtoll(v, &end, 10);
    if (errno || end == v || *end || n < min || n > max) {
        cli_warn("LIFEBOAT_%s: %s: wants a number from %lld to %lld", name, v, (long long)min,
                 (long long)max);
        leave(EX_CONFIG);
    }
    return n;
}

static bool memory_is_short(void)
{
    const char *v = settings_get("MEMORY");

    if (v && strcmp(v, "small") && strcmp(v, "large")) {
        cli_warn("LIFEBOAT_MEMORY: %s: wants small or large", v);
        leave(EX_CONFIG);
    }
    return v && !strcmp(v, "small");
}

void cli_start(const char *argv0, const char *usage)
{
    const char *slash = strrchr(argv0, '/');
    struct err e = ERR_NONE;

    cli = (struct cli){
        .prog = slash ? slash + 1 : argv0, .max_line = LINE_MAX_DEFAULT, .failure = cli.failure};
    usage_text = usage;
    /* Fixed, or the first long line freed would make all later ones stay in the heap. */
    mallopt(M_MMAP_THRESHOLD, LONG_BLOCK);
    keep_standard_descriptors();
    stop_catch();
    cli_check(settings_load(&e), &e);
    cli.db = settings_get("DB");
    cli.site = checked_name("SITE");
    cli.device = checked_name("DEVICE");
    cli.projectors = settings_get("PROJECTORS");
    cli.wait_s = (int)number_setting("WAIT", 0, 86400, 0);
    cli.small = memory_is_short();
    clock_fix_ms(number_setting("NOW", 0, (INT64_C(1) << 48) - 1, -1));
}

void cli_lines(struct line_reader *r, int fd, const char *name)
{
    line_open(r, fd, name, cli.max_line);
    if (cli.small)
        r->room = SMALL_ROOM;
}

const char *cli_name(const char *operand)
{
    return strcmp(operand, "-") ? operand : "standard input";
}

int cli_open(const char *operand, struct err *e)
{
    int fd;

    if (!strcmp(operand, "-"))
        return STDIN_FILENO;
    do
        fd = open(operand, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR && !stop_signal());
    if (fd < 0)
        err_sys(e, EX_NOINPUT, "unable to open %s", operand);
    return fd;
}
