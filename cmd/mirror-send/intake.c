/* intake: scans, one a line, into the outbox of the primary. */
#include "base/clock.h"
#include "cli/lines.h"
#include "mirror-send/mirror-send.h"
#include "store/queue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is held at once: this runs on handhelds. */
enum { ROWS = 200, ROOM = 1 << 18 };

struct scan {
    struct span payload, lane; /* lane.p NULL: none */
};

static struct store store;
static struct queue queue;
static struct lines in;
static struct scan scans[ROWS];
static size_t count;
static uint64_t queued;
static struct buf echo;
static int wake;
static bool alone; /* the leg has ended */

static void roll_back(void)
{
    store_close(&store);
}

/* Those of one device go out in their order, and wait for nobody else's. A name that is
 * none for a lane makes no scan worse. */
static struct span lane_of(struct span device)
{
    if (!device.n || device.n > QUEUE_TEXT_MAX)
        return (struct span){NULL, 0};
    for (size_t i = 0; i < device.n; i++)
        if ((unsigned char)device.p[i] < ' ' || device.p[i] == 127)
            return (struct span){NULL, 0};
    return device;
}

static int find_lane(struct scan *s, struct err *e)
{
    struct json_value name, v;
    bool first = true;

    json_start(&in.json, s->payload);
    if (json_open(&in.json))
        return err_memory(e);
    while (json_member(&in.json, &first, &name, &v) == 1) {
        struct span n = json_text_in(&name, &in.arena), device;

        if (!n.p)
            return err_memory(e);
        if (v.kind != JSON_STRING || !span_eq(n, SPAN("device_id")))
            continue;
        device = json_text_in(&v, &in.arena);
        if (!device.p)
            return err_memory(e);
        s->lane = lane_of(device);
        return 0;
    }
    return 0;
}

static int take_line(void *ctx, const struct line *l, struct err *e)
{
    struct scan *s = &scans[count];
    struct json_value v;

    (void)ctx;
    if (json_whole(&in.json, l->text, &v))
        return lines_refuse(&in, l, json_offset(&in.json), in.json.why, e);
    if (v.kind != JSON_OBJECT)
        return lines_refuse(&in, l, 0, "not an object", e);
    *s = (struct scan){.payload = json_compact_in(&v, &in.arena)};
    if (!s->payload.p)
        return err_memory(e);
    if (find_lane(s, e))
        return -1;
    count++;
    return 0;
}

static int put_one(const struct scan *s, struct err *e)
{
    struct new_job n = {.queue = span_of(leg_queues[PRIMARY]),
                        .lane = s->lane,
                        .payload = s->payload,
                        .priority = 5,
                        .max_retries = ITEM_RETRIES,
                        .timeout_s = 30,
                        .at_ms = -1};
    char key[256];
    int64_t id;

    if (queue_put(&queue, &n, &id, key, e) < 0)
        return -1;
    if (!cli.quiet && buf_printf(&echo, "{\"queued\":true,\"op_id\":\"%s\"}\n", key))
        return err_memory(e);
    return 0;
}

/* From *i on, in one transaction. */
static int put_some(size_t *i, struct err *e)
{
    int64_t begun;

    if (queue_begin(&queue, e))
        return -1;
    begun = clock_boot_ms();
    do
        if (put_one(&scans[*i], e)) {
            queue_rollback(&queue);
            return -1;
        }
    while (++*i < count && lines_go_on(&store, begun, *i));
    return queue_commit(&queue, e);
}

/* What comes in goes on being stored, and to whoever is left to be sent to; but for the
 * rest somebody has to run the command again. */
static void look_after_legs(void)
{
    static bool said;
    siginfo_t ended = {.si_pid = 0};

    if (said || waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) || !ended.si_pid)
        return;
    cli_warn("one of the processes that send has ended: this command wants to be started again");
    said = true;
}

/* All of them, whoever is left to send them. */
static int store_scans(void *ctx, struct err *e)
{
    (void)ctx;
    for (size_t i = 0, from = 0; i < count; from = i) {
        if (put_some(&i, e))
            return -1;
        queued += i - from;
        /* First to the leg: whoever reads our stdout may be slow. */
        alone = alone || (write(wake, "", 1) < 0 && errno == EPIPE);
        cli_put(echo.data, echo.len);
        cli_flush();
        buf_clear(&echo);
    }
    count = 0;
    look_after_legs();
    return alone ? err_set(e, EX_SOFTWARE, "nobody is there to send it") : 0;
}

int intake_run(char **operands, int to, struct intake *out, struct err *e)
{
    int rc;

    wake = to;
    if (opt.rejects)
        rejects_open(&in.rejects, opt.rejects);
    cli_store(&store, STORE_CREATE, false);
    cli_on_exit(roll_back);
    rc = queue_open(&queue, &store, e);
    in.take = take_line;
    in.store = store_scans;
    in.what = "scans";
    in.most = ROWS;
    in.room = ROOM;
    if (!rc)
        rc = lines_read(&in, operands, e);
    *out = (struct intake){.received = in.received, .queued = queued, .rejected = in.rejects.count};
    lines_close(&in);
    buf_free(&echo);
    queue_close(&queue);
    store_close(&store);
    return alone ? 1 : rc;
}
