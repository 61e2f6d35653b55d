/* writers DB COUNT SECONDS one|many TAG: COUNT processes of evstore-append at full
 * speed on one store. With "one" each gets its next event when the last one is
 * acknowledged; with "many" its pipe is kept full. On stdout the ids that were
 * acknowledged, on descriptor 3 one JSON line:
 *
 *   wait    from an event's last byte written to its acknowledgement read
 *   still   the longest a writer went without any acknowledgement
 *   spread  of the events done in the time: (most - least) / mean
 *
 * The time begins when each writer has acknowledged something.
 * Fails if a writer fails, or if one does not acknowledge all that it was sent. */
#include "driven.h"

#include <signal.h>

enum { WRITERS_MAX = 64, PENDING = 1 << 16 };

struct writer {
    struct driven cmd;
    int number;
    char line[512];
    size_t length, at; /* of the line being written */
    int64_t sent_at[PENDING];
    uint64_t sent, done;
    int64_t done_in_time, last, still;
};

static struct writer writers[WRITERS_MAX];
static struct figures waits;
static const char *tag;
static uint64_t ahead; /* how many events may be waiting */
static int64_t until = INT64_MAX;

static void next_line(struct writer *w)
{
    int n =
        snprintf(w->line, sizeof w->line,
                 "{\"event_id\":\"%s-%d-%llu\",\"entity_type\":\"stress\",\"entity_id\":\"E%llu\","
                 "\"actor_id\":\"writer-%d\",\"event_type\":\"COUNTED\","
                 "\"payload\":{\"n\":%llu,\"text\":\"%.*s\"}}\n",
                 tag, w->number, (unsigned long long)w->sent, (unsigned long long)w->sent % 100,
                 w->number, (unsigned long long)w->sent, (int)(w->sent % 97),
                 "a text of some length that gives the events a size as they "
                 "have it where people work with tablets");

    w->length = (size_t)n;
    w->at = 0;
}

static void feed(struct writer *w)
{
    while (w->cmd.in >= 0 && w->sent - w->done < ahead) {
        ssize_t n;

        if (w->at == w->length) {
            if (now_ns() >= until) {
                close(w->cmd.in);
                w->cmd.in = -1;
                return;
            }
            next_line(w);
        }
        n = write(w->cmd.in, w->line + w->at, w->length - w->at);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("write");
        w->at += (size_t)n;
        if (w->at == w->length)
            w->sent_at[w->sent++ % PENDING] = now_ns();
    }
}

/* Acknowledgements come in the order of the events. */
static void acknowledged(void *ctx, const char *line)
{
    struct writer *w = ctx;
    int64_t now = now_ns();
    char wanted[128];

    snprintf(wanted, sizeof wanted, "{\"event_id\":\"%s-%d-%llu\",", tag, w->number,
             (unsigned long long)w->done);
    if (w->done == w->sent || strncmp(line, wanted, strlen(wanted))) {
        fprintf(stderr, "writer %d: not what was to be acknowledged: %s\n", w->number, line);
        exit(1);
    }
    figures_add(&waits, now - w->sent_at[w->done % PENDING]);
    printf("%s-%d-%llu\n", tag, w->number, (unsigned long long)w->done);
    if (w->last && now - w->last > w->still)
        w->still = now - w->last;
    w->last = now;
    w->done++;
    w->done_in_time += now < until;
}

/* The time begins when all have started: each has an acknowledgement. */
static void begin(int count, double seconds)
{
    for (int i = 0; i < count; i++)
        if (!writers[i].done)
            return;
    until = now_ns() + (int64_t)(seconds * 1e9);
    waits.n = 0;
    for (int i = 0; i < count; i++)
        writers[i].still = writers[i].done_in_time = 0;
}

/* Until every writer has said all it has to say. */
static void run(int count, double seconds)
{
    struct pollfd p[2 * WRITERS_MAX];
    int open = count;

    while (open) {
        for (int i = 0; i < count; i++) {
            struct writer *w = &writers[i];

            feed(w);
            p[2 * i] = (struct pollfd){.fd = w->cmd.out, .events = POLLIN};
            p[2 * i + 1] = (struct pollfd){.fd = w->sent - w->done < ahead ? w->cmd.in : -1,
                                           .events = POLLOUT};
        }
        if (poll(p, (nfds_t)(2 * count), 100) < 0)
            die("poll");
        for (int i = 0; i < count; i++)
            if (p[2 * i].revents && !driven_lines(&writers[i].cmd, acknowledged, &writers[i])) {
                close(writers[i].cmd.out);
                writers[i].cmd.out = -1;
                open--;
            }
        if (until == INT64_MAX)
            begin(count, seconds);
    }
}

static int report(int count, double seconds, const char *mode)
{
    int64_t most = 0, least = INT64_MAX, all = 0, still = 0;
    int bad = 0;
    FILE *f = fdopen(3, "w");

    for (int i = 0; i < count; i++) {
        struct writer *w = &writers[i];
        int status = driven_end(&w->cmd);

        most = w->done_in_time > most ? w->done_in_time : most;
        least = w->done_in_time < least ? w->done_in_time : least;
        all += w->done_in_time;
        still = w->still > still ? w->still : still;
        if (status || w->done != w->sent) {
            fprintf(stderr, "writer %d: status %d, %llu sent, %llu acknowledged\n", i, status,
                    (unsigned long long)w->sent, (unsigned long long)w->done);
            bad = 1;
        }
    }
    if (!f)
        die("descriptor 3");
    fprintf(f, "{\"writers\":%d,\"events\":\"%s\",\"per_s\":%.0f", count, mode,
            (double)all / seconds);
    figures_print(f, &waits, "wait");
    fprintf(f, ",\"still_max_ms\":%.3f,\"spread\":%.4f}\n", (double)still / 1e6,
            all ? (double)((most - least) * count) / (double)all : 0);
    return fclose(f) || fflush(stdout) || bad;
}

int main(int argc, char **argv)
{
    int count = argc == 6 ? atoi(argv[2]) : 0;
    double seconds = argc == 6 ? atof(argv[3]) : 0;

    if (count < 1 || count > WRITERS_MAX || seconds <= 0) {
        fprintf(stderr, "usage: writers DB COUNT SECONDS one|many TAG\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    tag = argv[5];
    ahead = strcmp(argv[4], "one") ? PENDING : 1;
    for (int i = 0; i < count; i++) {
        char *cmd[] = {"evstore-append", "-d", argv[1], NULL};

        writers[i].number = i;
        driven_start(&writers[i].cmd, cmd);
    }
    run(count, seconds);
    return report(count, seconds, argv[4]);
}
