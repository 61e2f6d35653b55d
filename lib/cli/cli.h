/* cli: what every command does the same way. The only module that may exit.
 *
 *     static const char usage[] = "...";
 *     cli_start(argv[0], usage);
 *     while ((c = getopt_long(...)) != -1)
 *         switch (c) { ...; default: cli_option(c, optarg); }
 *
 * Diagnostics are "PROG: WHAT: WHY" on stderr; exit statuses are those of
 * sysexits(3) and lifeboat(7). */
#ifndef LIFEBOAT_CLI_H
#define LIFEBOAT_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "core/store.h"
#include "text/line.h"
#include "text/out.h"

#include <stdbool.h>
#include <stdint.h>

enum progress_when { PROGRESS_AUTO, PROGRESS_JSON, PROGRESS_NONE };

/* Where and who: /etc/lifeboat/lifeboat.env, then the environment, then
 * options. Strings live as long as the program. */
struct cli {
    const char *prog;
    const char *db;
    const char *site;
    const char *device;     /* NULL: the store's own */
    const char *projectors; /* NULL: the usual folders */
    bool small;             /* memory is short: LIFEBOAT_MEMORY */
    int wait_s;
    bool quiet;
    enum progress_when progress;
    size_t max_line;
    int failure; /* status of what fails here, instead of those of sysexits; 0: none */
};

extern struct cli cli;

/* Loads the settings (78 for an unknown LIFEBOAT_ key), catches signals. Of cli
 * only failure may be set before: who passes another program's status on has one
 * of its own for itself. */
void cli_start(const char *argv0, const char *usage);

/* The options all commands share: -h -V -d -q --progress --max-line; anything
 * else is a usage error. */
void cli_option(int c, const char *arg);
enum { OPT_PROGRESS = 1000, OPT_MAX_LINE, OPT_FIRST };

_Noreturn void cli_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void cli_die(const struct err *e);
/* Dies if rc, the result of what may have filled e, is negative. */
void cli_check(int64_t rc, const struct err *e);
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A summary line: silent under -q. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Option arguments, or a usage error naming the option. */
int64_t cli_number(const char *option, const char *arg, int64_t min, int64_t max);
int cli_span_parse(const char *arg, int64_t *ms);         /* -1: it is none */
int64_t cli_span_ms(const char *option, const char *arg); /* 90, 90s, 15m, 24h, 7d */
int64_t cli_time_ms(const char *option, const char *arg); /* Unix ms or RFC 3339 */

struct store_settings cli_store_settings(bool bulk);
/* Opens the store of -d, or dies. */
void cli_store(struct store *st, enum store_mode mode, bool bulk);

/* Where the sources' FOLDER is when the program runs from build/bin, else NULL.
 * The caller frees. */
char *cli_beside_build(const char *folder);

/* Opens an operand for reading, "-" is stdin, or fails with 66. */
int cli_open(const char *operand, struct err *e);
const char *cli_name(const char *operand); /* for messages */
/* line_open, with the longest line and the room that the command is to have. */
void cli_lines(struct line_reader *r, int fd, const char *name);

/* stdout. A failed write ends the run: by SIGPIPE when the reader has left,
 * else with 74. Whoever has something open gives it to cli_on_exit. */
extern struct out cli_out;
void cli_put(const void *p, size_t n);
void cli_putf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_flush(void);
/* The reader of stdout has left: dies of SIGPIPE. */
_Noreturn void cli_reader_left(void);
/* Called before the program ends early; to roll back what is open. */
void cli_on_exit(void (*hook)(void));

/* The end of main: flushes stdout; 128+n if signal n asked to stop. */
int cli_finish(int status);

/* Progress of long work, on one updating line; silent for the first second. */
struct progress {
    const char *what; /* "events" */
    uint64_t total;   /* bytes of input, 0 if unknown */
    int64_t begun, shown;
    bool active, drawn;
};

void progress_start(struct progress *p, const char *what, uint64_t total_bytes);
void progress_step(struct progress *p, uint64_t count, uint64_t bytes);
void progress_end(struct progress *p);

#endif
