#include "cli/destination.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_MAX = 8192, HEADER_MAX = 8192, HEADERS_MAX = 100, WORDS_MAX = 100, URL_MAX = 2000 };

#define FOLDER "destinations.d"
#define LANE   "{lane}"
#define PATH   "{+lane}"

static char content_type[] = "Content-Type: application/json";

/* --- lists -------------------------------------------------------------- */

static int no_member(struct destination *d, struct span name, const struct json_value *v,
                     struct err *e)
{
    return config_fault(&d->config, v->raw.p, e, "%.*s: no such setting of a destination",
                        (int)name.n, name.p);
}

static int wants(struct destination *d, const struct json_value *v, const char *name,
                 const char *what, struct err *e)
{
    return config_fault(&d->config, v->raw.p, e, "%s: wants %s", name, what);
}

/* Room for count words and the end of the list. */
static char **new_list(struct destination *d, size_t count, struct err *e)
{
    char **list = arena_alloc(&d->config.strings, (count + 1) * sizeof *list);

    if (!list)
        err_memory(e);
    else
        memset(list, 0, (count + 1) * sizeof *list);
    return list;
}

static int take_on_success(struct destination *d, const struct json_value *v, struct err *e)
{
    static const char what[] = "a command: an array of 1 to 100 strings";
    struct json_value word;
    struct json j = {0};
    bool first = true;
    size_t n = 0;
    int rc;

    if (v->kind != JSON_ARRAY)
        return wants(d, v, "on_success", what, e);
    d->on_success = new_list(d, WORDS_MAX, e);
    if (!d->on_success)
        return -1;
    json_start(&j, v->raw);
    rc = json_array(&j);
    while (!rc && (rc = json_element(&j, &first, &word)) == 1)
        rc = n == WORDS_MAX || word.kind != JSON_STRING
                 ? wants(d, v, "on_success", what, e)
                 : config_string(&d->config, SPAN("on_success"), &word, &d->on_success[n++], e);
    if (!rc && !n)
        rc = wants(d, v, "on_success", what, e);
    json_end(&j);
    return rc;
}

static bool header_name_ok(struct span s)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !memchr(marks, s.p[i], sizeof marks - 1))
            return false;
    return s.n > 0;
}

/* What this program says itself, or has to keep right. */
static bool header_is_ours(struct span s)
{
    static const char *const ours[] = {
        "Idempotency-Key", "Content-Length", "Transfer-Encoding", "Host", "Expect", "Connection"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (s.n == strlen(ours[i]) && !strncasecmp(s.p, ours[i], s.n))
            return true;
    return false;
}

static int take_header(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct destination *d = ctx;
    size_t n = 0, room;
    char *value, *line;

    while (d->headers[n])
        n++;
    if (n == HEADERS_MAX)
        return wants(d, v, "headers", "no more than 100 headers", e);
    if (!header_name_ok(name) || header_is_ours(name))
        return config_fault(&d->config, v->raw.p, e, "headers: %.*s: %s", (int)name.n, name.p,
                            header_is_ours(name) ? "is not for you to set" : "not a header's name");
    if (config_string(&d->config, name, v, &value, e))
        return -1;
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            return config_fault(&d->config, v->raw.p, e, "headers: %.*s: wants plain text",
                                (int)name.n, name.p);
    room = name.n + strlen(value) + 3;
    line = room > HEADER_MAX ? NULL : arena_alloc(&d->config.strings, room);
    if (room > HEADER_MAX)
        return wants(d, v, "headers", "values of less than 8 KiB", e);
    if (!line)
        return err_memory(e);
    /* "Name;" is how curl is told to send one that is empty. */
    snprintf(line, room, *value ? "%.*s: %s" : "%.*s;%s", (int)name.n, name.p, value);
    d->headers[n] = line;
    return 0;
}

static int take_headers(struct destination *d, const struct json_value *v, struct err *e)
{
    if (v->kind != JSON_OBJECT)
        return wants(d, v, "headers", "an object of names and values", e);
    d->headers = new_list(d, HEADERS_MAX + 1, e);
    return d->headers ? config_members(&d->config, v->raw, take_header, d, e) : -1;
}

/* --- body --------------------------------------------------------------- */

struct template
{
    struct destination *d;
    struct span whole;
    bool found;
};

static int take_place(struct template *t, const struct json_value *v, struct err *e)
{
    bool item = span_eq(v->raw, SPAN("\"$item\"")), items = span_eq(v->raw, SPAN("\"$items\""));
    const char *behind = v->raw.p + v->raw.n;

    if (!item && !items)
        return 0;
    if (t->found)
        return wants(t->d, v, "body", "\"$item\" or \"$items\" once", e);
    t->found = true;
    t->d->body = item ? BODY_ITEM : BODY_ITEMS;
    t->d->before = (struct span){t->whole.p, (size_t)(v->raw.p - t->whole.p)};
    t->d->after = (struct span){behind, (size_t)(t->whole.p + t->whole.n - behind)};
    return 0;
}

static int take_body_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    (void)name;
    return take_place(ctx, v, e);
}

static int take_body(struct destination *d, const struct json_value *v, struct err *e)
{
    struct template t = {.d = d, .whole = v->raw};
    int rc = v->kind == JSON_OBJECT ? config_members(&d->config, v->raw, take_body_member, &t, e)
                                    : take_place(&t, v, e);

    if (rc)
        return -1;
    return t.found
               ? 0
               : wants(d, v, "body",
                       "\"$items\", or an object with a member that is \"$item\" or \"$items\"", e);
}

/* --- the file ----------------------------------------------------------- */

/* No word in it that curl would take as something else, and no password: those
 * belong where they are not printed. */
const char *destination_url_wrong(const char *url)
{
    const char *host = !strncmp(url, "https://", 8)  ? url + 8
                       : !strncmp(url, "http://", 7) ? url + 7
                                                     : NULL;
    size_t n = host ? strcspn(host, "/?#") : 0;

    if (!n || strlen(url) > URL_MAX)
        return "http:// or https://, a host, at most 2000 bytes";
    if (memchr(host, '@', n))
        return "no user or password in it: there is token_file";
    if (memchr(host, '{', n))
        return LANE " behind the host only";
    for (const char *p = url; *p; p++) {
        if (!strncmp(p, LANE, strlen(LANE)))
            p += strlen(LANE) - 1;
        else if (!strncmp(p, PATH, strlen(PATH)))
            p += strlen(PATH) - 1;
        else if (*p <= ' ' || *p >= 127 || strchr("\"\\{}<>^`|", *p))
            return "characters of a URL; others percent-encoded; in braces only {lane} or {+lane}";
    }
    return NULL;
}

static int take_url(struct destination *d, struct span name, const struct json_value *v,
                    struct err *e)
{
    const char *why;

    if (config_string(&d->config, name, v, &d->url, e))
        return -1;
    why = destination_url_wrong(d->url);
    d->lane_is_path = strstr(d->url, PATH) != NULL;
    d->by_lane = d->lane_is_path || strstr(d->url, LANE) != NULL;
    return why ? wants(d, v, "url", why, e) : 0;
}

static int take_method(struct destination *d, struct span name, const struct json_value *v,
                       struct err *e)
{
    if (config_string(&d->config, name, v, &d->method, e))
        return -1;
    if (strcmp(d->method, "POST") != 0 && strcmp(d->method, "PUT") != 0 &&
        strcmp(d->method, "PATCH") != 0)
        return wants(d, v, "method", "POST, PUT or PATCH", e);
    return 0;
}

static int take_answer(struct destination *d, struct span name, const struct json_value *v,
                       struct err *e)
{
    char *what;

    if (config_string(&d->config, name, v, &what, e))
        return -1;
    d->want_json = !strcmp(what, "json");
    return d->want_json ? 0 : wants(d, v, "answer", "\"json\"", e);
}

/* A file beside this one, unless it says where it is. */
static int take_path(struct destination *d, struct span name, const struct json_value *v,
                     char **out, struct err *e)
{
    char *own, *path;
    size_t room;

    if (config_string(&d->config, name, v, &own, e))
        return -1;
    if (!*own || strpbrk(own, "\n\r"))
        return config_fault(&d->config, v->raw.p, e, "%.*s: wants a file's name", (int)name.n,
                            name.p);
    room = strlen(config_folder()) + strlen(own) + 2;
    path = arena_alloc(&d->config.strings, room);
    if (!path)
        return err_memory(e);
    if (*own == '/')
        snprintf(path, room, "%s", own);
    else
        snprintf(path, room, "%s/%s", config_folder(), own);
    *out = path;
    return 0;
}

static int take_number(struct destination *d, struct span name, const struct json_value *v,
                       struct err *e)
{
    struct config *c = &d->config;

    if (span_eq(name, SPAN("batch")))
        return config_int(c, name, v, 1, 500, &d->batch, e);
    if (span_eq(name, SPAN("max_retries")))
        return config_int(c, name, v, 0, 1000, &d->max_retries, e);
    if (span_eq(name, SPAN("max_pending")))
        return config_int(c, name, v, 0, INT64_MAX / 2, &d->max_pending, e);
    if (span_eq(name, SPAN("timeout_ms")))
        return config_int(c, name, v, 1, 3600000, &d->timeout_ms, e);
    if (span_eq(name, SPAN("connect_timeout_ms")))
        return config_int(c, name, v, 1, 3600000, &d->connect_timeout_ms, e);
    return no_member(d, name, v, e);
}

static int take_member(void *ctx, struct span name, const struct json_value *v, struct err *e)
{
    struct destination *d = ctx;

    if (span_eq(name, SPAN("url")))
        return take_url(d, name, v, e);
    if (span_eq(name, SPAN("method")))
        return take_method(d, name, v, e);
    if (span_eq(name, SPAN("headers")))
        return take_headers(d, v, e);
    if (span_eq(name, SPAN("body")))
        return take_body(d, v, e);
    if (span_eq(name, SPAN("on_success")))
        return take_on_success(d, v, e);
    if (span_eq(name, SPAN("answer")))
        return take_answer(d, name, v, e);
    if (span_eq(name, SPAN("token_file")))
        return take_path(d, name, v, &d->token_file, e);
    if (span_eq(name, SPAN("ca_file")))
        return take_path(d, name, v, &d->ca_file, e);
    if (span_eq(name, SPAN("client_cert")))
        return take_path(d, name, v, &d->client_cert, e);
    if (span_eq(name, SPAN("client_key")))
        return take_path(d, name, v, &d->client_key, e);
    return take_number(d, name, v, e);
}

static bool has_header(const struct destination *d, const char *name)
{
    size_t n = strlen(name);

    for (char **h = d->headers; *h; h++)
        if (!strncasecmp(*h, name, n) && ((*h)[n] == ':' || (*h)[n] == ';'))
            return true;
    return false;
}

/* What is right only together. */
static int complete(struct destination *d, struct err *e)
{
    const char *at = config_whole(&d->config).p;
    size_t n = 0;

    if (!d->url)
        return config_fault(&d->config, at, e, "url: missing");
    if (!d->headers && !(d->headers = new_list(d, HEADERS_MAX + 1, e)))
        return -1;
    if (d->token_file && has_header(d, "Authorization"))
        return config_fault(&d->config, at, e, "token_file: there is an Authorization header");
    if (has_header(d, "Content-Type"))
        return 0;
    while (d->headers[n])
        n++;
    d->headers[n] = content_type;
    return 0;
}

void destination_make(struct destination *d, const char *name, char *url)
{
    static char post[] = "POST", *json[] = {content_type, NULL};

    *d = (struct destination){.name = name,
                              .url = url,
                              .method = post,
                              .headers = json,
                              .batch = 20,
                              .max_retries = 3,
                              .timeout_ms = 30000,
                              .connect_timeout_ms = 10000};
}

int destination_open(struct destination *d, const char *name, struct err *e)
{
    char *file;
    int rc;

    destination_make(d, name, NULL);
    d->headers = NULL;
    if (asprintf(&file, FOLDER "/%s.json", name) < 0)
        return err_memory(e);
    rc = config_open(&d->config, file, e);
    free(file);
    if (rc == 1 &&
        (config_members(&d->config, config_whole(&d->config), take_member, d, e) || complete(d, e)))
        rc = -1;
    if (rc < 1)
        destination_close(d);
    return rc;
}

void destination_close(struct destination *d)
{
    config_close(&d->config);
    if (d->token.data)
        explicit_bzero(d->token.data, d->token.cap);
    buf_free(&d->token);
    *d = (struct destination){0};
}

/* --- which there are ---------------------------------------------------- */

bool destination_exists(const char *name)
{
    char *path;
    bool there;

    if (asprintf(&path, "%s/" FOLDER "/%s.json", config_folder(), name) < 0)
        return false;
    there = !access(path, F_OK);
    free(path);
    return there;
}

/* The name before ".json", or NULL. */
static char *name_in(const char *file)
{
    size_t n = strlen(file);

    return file[0] != '.' && n > 5 && !strcmp(file + n - 5, ".json") ? strndup(file, n - 5) : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int destination_names(char ***names, struct err *e)
{
    char **list = calloc(1, sizeof *list), *path = NULL;
    struct dirent *entry;
    size_t n = 0;
    DIR *dir;

    *names = list;
    if (!list || asprintf(&path, "%s/" FOLDER, config_folder()) < 0)
        return err_memory(e);
    dir = opendir(path);
    if (!dir && errno != ENOENT && errno != ENOTDIR)
        err_sys(e, EX_CONFIG, "unable to open %s", path);
    else
        errno = 0;
    free(path);
    if (!dir)
        return errno ? -1 : 0;
    while ((entry = readdir(dir))) {
        char *name = name_in(entry->d_name);
        char **more = name ? realloc(list, (n + 2) * sizeof *list) : NULL;

        if (!name)
            continue;
        if (!more) {
            free(name);
            closedir(dir);
            return err_memory(e);
        }
        *names = list = more;
        list[n++] = name;
        list[n] = NULL;
    }
    closedir(dir);
    qsort(list, n, sizeof *list, by_name);
    return 0;
}

/* --- the token ---------------------------------------------------------- */

static int read_token(struct destination *d, int fd, struct err *e)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st))
        return err_sys(e, EX_CONFIG, "unable to look at %s", d->token_file);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EX_CONFIG, "%s: not a file", d->token_file);
    if (st.st_mode & 077)
        return err_set(e, EX_CONFIG, "%s: others may use it: chmod 600", d->token_file);
    buf_clear(&d->token);
    if (buf_reserve(&d->token, TOKEN_MAX + 2))
        return err_memory(e);
    n = TEMP_FAILURE_RETRY(read(fd, d->token.data, TOKEN_MAX + 1));
    if (n < 0)
        return err_sys(e, EX_CONFIG, "unable to read %s", d->token_file);
    while (n > 0 && isspace((unsigned char)d->token.data[n - 1]))
        n--;
    d->token.len = (size_t)n;
    if (!n || n > TOKEN_MAX)
        return err_set(e, EX_CONFIG, "%s: wants a token of 1 to %d bytes", d->token_file,
                       TOKEN_MAX);
    for (ssize_t i = 0; i < n; i++)
        if (d->token.data[i] <= ' ' || d->token.data[i] >= 127)
            return err_set(e, EX_CONFIG, "%s: not a token: wants printable ASCII, no spaces",
                           d->token_file);
    return buf_term(&d->token) ? err_memory(e) : 0;
}

int destination_token(struct destination *d, const char **token, struct err *e)
{
    int fd, rc;

    *token = NULL;
    if (!d->token_file)
        return 0;
    fd = (int)TEMP_FAILURE_RETRY(open(d->token_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0)
        return err_set(e, EX_CONFIG, "unable to open %s: %s", d->token_file, strerror(errno));
    rc = read_token(d, fd, e);
    close(fd);
    *token = rc ? NULL : d->token.data;
    return rc;
}

/* --- lanes in the URL --------------------------------------------------- */

static bool is_dots(struct span s)
{
    return span_eq(s, SPAN(".")) || span_eq(s, SPAN(".."));
}

/* Each part between its slashes has to name something. */
static const char *path_wrong(struct span lane)
{
    const char *at = lane.p, *end = lane.p + lane.n;

    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        struct span part = {at, (size_t)((slash ? slash : end) - at)};

        if (!part.n || is_dots(part))
            return "lane: wants parts that are not empty, . or .. between its slashes";
        if (!slash)
            return NULL;
        at = slash + 1;
    }
}

const char *destination_lane_wrong(const struct destination *d, struct span lane)
{
    if (!d->by_lane)
        return NULL;
    if (!lane.p || !lane.n)
        return d->lane_is_path ? "lane: missing: the destination's url is by " PATH
                               : "lane: missing: the destination's url is by " LANE;
    if (d->lane_is_path)
        return path_wrong(lane);
    return is_dots(lane) ? "lane: . and .. name no URL" : NULL;
}

static int percent_encode(struct span s, const char *plain, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        int rc = isalnum(c) || (c && strchr(plain, c)) ? buf_addc(out, (char)c)
                                                       : buf_printf(out, "%%%02X", c);

        if (rc)
            return -1;
    }
    return 0;
}

int destination_url(const struct destination *d, struct span lane, struct buf *out)
{
    const char *at = d->url, *place;

    while ((place = strchr(at, '{'))) {
        bool path = place[1] == '+';

        if (buf_add(out, at, (size_t)(place - at)) ||
            percent_encode(lane, path ? "-._~/" : "-._~", out))
            return -1;
        at = place + strlen(path ? PATH : LANE);
    }
    return buf_adds(out, at) || buf_term(out) ? -1 : 0;
}
