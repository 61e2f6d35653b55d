/* evstore-trace: what caused what, as a tree or as a Graphviz graph. */
#include "cli/cli.h"
#include "store/trace.h"
#include "text/rfc3339.h"
#include "text/show.h"

#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: evstore-trace [options] --correlation ID | --event ID\n"
    "\n"
    "Prints events under the events that caused them: all with a correlation_id\n"
    "and the causes above them, or the whole tree that one event belongs to.\n"
    "\n"
    "  -d, --db FILE            the store (default $LIFEBOAT_DB)\n"
    "      --correlation ID     events with this correlation_id\n"
    "      --event ID           the tree of this event, which is marked\n"
    "      --dot                Graphviz DOT instead of text\n"
    "  -q, --quiet              (for uniformity; there is no summary)\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

enum { OPT_CORRELATION = OPT_FIRST, OPT_EVENT, OPT_DOT };

static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                        {"correlation", required_argument, NULL, OPT_CORRELATION},
                                        {"event", required_argument, NULL, OPT_EVENT},
                                        {"dot", no_argument, NULL, OPT_DOT},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'V'},
                                        {NULL, 0, NULL, 0}};

/* Below this depth lines are no longer indented, but numbered: a chain of
 * 100,000 events must not be printed as a triangle. */
enum { DEPTH_DRAWN = 32 };

static struct store store;
static struct trace trace;
static const char *correlation, *event;
static bool dot, utf8;

static void close_store(void)
{
    store_close(&store);
}

/* --- one line ----------------------------------------------------------- */

static struct buf line;

static void text(const char *s)
{
    struct err e;

    if (buf_adds(&line, s)) {
        err_memory(&e);
        cli_die(&e);
    }
}

static void shown(struct span s)
{
    struct err e;

    if (show_text(s, utf8, &line)) {
        err_memory(&e);
        cli_die(&e);
    }
}

static void put_line(void)
{
    text("\n");
    cli_put(line.data, line.len);
    line.len = 0;
}

/* What is known of a node; between names the event's members. */
static void describe(const struct trace_node *n, const char *between)
{
    char time[32];

    if (n->missing) {
        text("? ");
        shown(n->id);
        text(" (not in this store)");
        return;
    }
    rfc3339_format(n->ts_device, time);
    shown(n->event_type);
    text(" ");
    shown(n->entity_type);
    text("/");
    shown(n->entity_id);
    text(between);
    shown(n->id);
    text(between);
    text(time);
    text(" ");
    shown(n->actor);
}

/* --- as a tree ---------------------------------------------------------- */

/* At each depth of the line being drawn: do siblings follow below? */
static bool follows[DEPTH_DRAWN + 1];

static void indent(size_t depth, bool last)
{
    static const char *const drawn[2][4] = {{"    ", "|   ", "|-- ", "`-- "},
                                            {"    ", "│   ", "├── ", "└── "}};
    char number[32];

    for (size_t i = 1; i < depth && i <= DEPTH_DRAWN; i++)
        text(drawn[utf8][follows[i]]);
    if (depth > DEPTH_DRAWN) {
        snprintf(number, sizeof number, "[%zu] ", depth);
        text(number);
    } else if (depth) {
        follows[depth] = !last;
        text(drawn[utf8][2 + last]);
    }
}

static void draw(size_t at, size_t depth)
{
    const struct trace_node *n = &trace.nodes[at];
    bool last = n->next == TRACE_NONE &&
                (n->parent == TRACE_NONE || trace.nodes[n->parent].closes == TRACE_NONE);

    indent(depth, last);
    describe(n, " ");
    if (at == trace.marked)
        text(utf8 ? " ◀" : " <--");
    put_line();
}

/* Below the effects of a node: the root it causes in turn. */
static void draw_cycle(size_t at, size_t depth)
{
    const struct trace_node *n = &trace.nodes[at];

    if (n->closes == TRACE_NONE)
        return;
    indent(depth + 1, true);
    text("^ ");
    shown(trace.nodes[n->closes].id);
    text(" (cycle)");
    put_line();
}

/* One step down, along or up, from node to node; no stack. */
static void draw_tree(size_t root)
{
    size_t at = root, depth = 0;

    for (;;) {
        draw(at, depth);
        if (trace.nodes[at].child != TRACE_NONE) {
            at = trace.nodes[at].child;
            depth++;
            continue;
        }
        draw_cycle(at, depth);
        while (at != root && trace.nodes[at].next == TRACE_NONE) {
            at = trace.nodes[at].parent;
            draw_cycle(at, --depth);
        }
        if (at == root)
            return;
        at = trace.nodes[at].next;
    }
}

/* --- as a graph --------------------------------------------------------- */

/* Doubles the backslashes and escapes the quotes of what line holds. */
static void put_quoted(const struct buf *label)
{
    cli_put("\"", 1);
    for (size_t i = 0; i < label->len; i++) {
        char c = label->data[i];

        if (c == '\n') {
            cli_put("\\n", 2);
            continue;
        }
        if (c == '"' || c == '\\')
            cli_put("\\", 1);
        cli_put(&c, 1);
    }
    cli_put("\"", 1);
}

static void print_graph(void)
{
    cli_putf("digraph trace {\n    node [shape=box];\n");
    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_node *n = &trace.nodes[i];

        cli_putf("    n%zu [label=", i);
        describe(n, "\n");
        put_quoted(&line);
        line.len = 0;
        cli_putf("%s%s];\n", n->missing ? ", style=dashed" : "",
                 i == trace.marked ? ", style=bold" : "");
        if (n->parent != TRACE_NONE)
            cli_putf("    n%zu -> n%zu;\n", n->parent, i);
        if (n->closes != TRACE_NONE)
            cli_putf("    n%zu -> n%zu [style=dashed, constraint=false, label=\"cycle\"];\n", i,
                     n->closes);
    }
    cli_putf("}\n");
}

/* --- the command -------------------------------------------------------- */

static void parse_options(int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
        if (c == OPT_CORRELATION)
            correlation = optarg;
        else if (c == OPT_EVENT)
            event = optarg;
        else if (c == OPT_DOT)
            dot = true;
        else
            cli_option(c, optarg);
    }
    if (optind < argc)
        cli_usage_error("%s: operands are not taken", argv[optind]);
    if (!correlation == !event)
        cli_usage_error("wants either --correlation ID or --event ID");
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    int found;

    cli_start(argv[0], usage);
    parse_options(argc, argv);
    setlocale(LC_CTYPE, "");
    utf8 = dot || !strcmp(nl_langinfo(CODESET), "UTF-8");
    cli_store(&store, STORE_READ, false);
    cli_on_exit(close_store);
    cli_check(store_snapshot(&store, &e), &e);
    found = event ? trace_event(&trace, &store, span_of(event), &e)
                  : trace_correlation(&trace, &store, span_of(correlation), &e);
    cli_check(found, &e);
    if (!found)
        cli_warn(event ? "event %s: not in this store" : "correlation %s: no event has it",
                 event ? event : correlation);
    else if (dot)
        print_graph();
    else
        for (size_t r = trace.root; r != TRACE_NONE; r = trace.nodes[r].next)
            draw_tree(r);
    trace_free(&trace);
    buf_free(&line);
    close_store();
    return cli_finish(found ? 0 : 1);
}
