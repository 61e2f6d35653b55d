#include "core/reducer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REDUCER_MAX = 100 * 1024 };

static int read_reducer(const char *path, struct buf *out, struct err *e)
{
    int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t n = 1;

    /* One that is there and cannot be read must not turn into the default fold. */
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
                   ? 0
                   : err_sys(e, EX_NOPERM, "unable to read %s", path);
    while (n > 0 && out->len <= REDUCER_MAX) {
        if (buf_reserve(out, 65536)) {
            close(fd);
            return err_memory(e);
        }
        n = TEMP_FAILURE_RETRY(read(fd, out->data + out->len, 65536));
        if (n > 0)
            out->len += (size_t)n;
    }
    close(fd);
    if (n < 0)
        return err_sys(e, EX_IOERR, "unable to read %s", path);
    if (out->len > REDUCER_MAX)
        return err_set(e, EX_CONFIG, "%s: longer than %d bytes", path, REDUCER_MAX);
    return buf_term(out) ? err_memory(e) : 1;
}

int reducer_find(const struct projector_paths *p, struct span type, struct buf *out, struct err *e)
{
    if (memchr(type.p, '/', type.n) || type.p[0] == '.')
        return 0;
    for (size_t i = 0; i < sizeof p->folders / sizeof *p->folders; i++) {
        char *path;
        int rc;

        if (!p->folders[i])
            continue;
        if (asprintf(&path, "%s/%.*s.jq", p->folders[i], (int)type.n, type.p) < 0)
            return err_memory(e);
        out->len = 0;
        rc = read_reducer(path, out, e);
        free(path);
        if (rc)
            return rc;
    }
    return 0;
}

void reducer_name(int found, const struct buf *program, char out[DIGEST_TEXT])
{
    if (found)
        digest_text(hash_bytes(program->data, program->len), out);
    else
        out[0] = '\0';
}

int reducer_fold(struct store *st, const struct projector_paths *p, const char *type,
                 const char *id, int64_t upto,
                 int (*take)(void *ctx, const struct fold_row *row, struct err *e), void *ctx,
                 struct err *e)
{
    struct fold f = {.st = st,
                     .type = type,
                     .only_id = id,
                     .after = -1,
                     .upto = upto < 0 ? INT64_MAX : upto,
                     .take = take,
                     .ctx = ctx};
    struct buf reducer = {0};
    int found = reducer_find(p, span_of(type), &reducer, e), rc = -1;

    if (found >= 0) {
        f.reducer = found ? reducer.data : NULL;
        rc = fold_run(&f, e);
    }
    buf_free(&reducer);
    return rc;
}
