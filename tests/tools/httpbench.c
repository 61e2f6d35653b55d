/* httpbench PORT PID TIMES CONNECTIONS METHOD TARGET [HEADER...] <BODY: asks for the
 * same thing TIMES times over kept CONNECTIONS to 127.0.0.1, and prints "wall cpu mb":
 * seconds of the clock; seconds that the server PID and the processes it has waited for
 * used of the processor; the most memory the server itself had. BODY is a file, or
 * empty. Ends with 70 at an answer that is not 2xx. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char head[16384];
static off_t body;
static uint16_t port;

static void die(const char *what)
{
    perror(what);
    exit(74);
}

static double wall_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- what the server used ------------------------------------------------ */

static size_t read_proc(int pid, const char *name, char *text, size_t room)
{
    char path[64];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    f = fopen(path, "re");
    if (!f)
        die(path);
    n = fread(text, 1, room - 1, f);
    text[n] = '\0';
    fclose(f);
    return n;
}

/* Once all that it started have ended: only then it knows what they used. */
static double cpu_of(int pid)
{
    char text[8192], name[64];
    const char *p;
    double ticks = 0;

    snprintf(name, sizeof name, "task/%d/children", pid);
    while (read_proc(pid, name, text, sizeof text))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    read_proc(pid, "stat", text, sizeof text);
    p = strrchr(text, ')');
    for (int field = 2; p && field < 17; field++) {
        p = strchr(p + 1, ' ');
        if (p && field >= 13) /* utime, stime, cutime, cstime */
            ticks += strtod(p, NULL);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double peak_mb(int pid)
{
    char text[8192];
    const char *p;

    read_proc(pid, "status", text, sizeof text);
    p = strstr(text, "VmHWM:");
    return p ? strtod(p + 6, NULL) / 1024 : 0;
}

/* --- one connection ------------------------------------------------------ */

static int connected(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_request(int fd)
{
    off_t at = 0;

    if (send(fd, head, strlen(head), body ? MSG_MORE : 0) != (ssize_t)strlen(head))
        die("send");
    while (at < body)
        if (sendfile(fd, STDIN_FILENO, &at, (size_t)(body - at)) <= 0)
            die("sendfile");
}

/* Is all of the answer there? Its body is of a length, or in chunks. */
static bool is_whole(const char *text, size_t n)
{
    const char *end = strstr(text, "\r\n\r\n"), *length;

    if (!end)
        return false;
    length = strcasestr(text, "\r\nContent-Length:");
    if (length && length < end)
        return n >= (size_t)(end + 4 - text) + (size_t)strtoul(length + 17, NULL, 10);
    return n >= 5 && !strcmp(text + n - 5, "0\r\n\r\n");
}

/* True: the connection is kept. */
static bool take_answer(int fd)
{
    static char text[1 << 16];
    size_t n = 0;

    do {
        ssize_t got = recv(fd, text + n, sizeof text - n - 1, 0);

        if (got <= 0)
            die("answer");
        n += (size_t)got;
        text[n] = '\0';
    } while (!is_whole(text, n));
    if (strncmp(text, "HTTP/1.1 2", 10) != 0) {
        fprintf(stderr, "httpbench: %.*s\n", (int)n, text);
        exit(70);
    }
    return !strcasestr(text, "\r\nConnection: close");
}

static void ask(long times)
{
    int fd = -1;

    for (long i = 0; i < times; i++) {
        if (fd < 0)
            fd = connected();
        send_request(fd);
        if (!take_answer(fd)) {
            close(fd);
            fd = -1;
        }
    }
}

int main(int argc, char **argv)
{
    struct stat st;
    double began, used;
    long times, connections;
    int pid, status, failed = 0;

    if (argc < 7 || fstat(STDIN_FILENO, &st))
        return 64;
    port = (uint16_t)atoi(argv[1]);
    pid = atoi(argv[2]);
    times = atol(argv[3]);
    connections = atol(argv[4]);
    body = S_ISREG(st.st_mode) ? st.st_size : 0;
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n", argv[5], argv[6]);
    for (int i = 7; i < argc; i++)
        snprintf(head + strlen(head), sizeof head - strlen(head), "%s\r\n", argv[i]);
    if (body)
        snprintf(head + strlen(head), sizeof head - strlen(head), "Content-Length: %lld\r\n",
                 (long long)body);
    strcat(head, "\r\n");
    used = cpu_of(pid);
    began = wall_now();
    for (long i = 0; i < connections; i++)
        if (!fork()) {
            ask(times / connections);
            exit(0);
        }
    while (wait(&status) > 0)
        failed |= status;
    began = wall_now() - began;
    printf("%.4f %.4f %.1f\n", began, cpu_of(pid) - used, peak_mb(pid));
    return failed ? 70 : 0;
}
