/* line: a reader of lines that can be held in memory together.
 *
 * A batch of lines is taken without copying: the spans handed out stay valid
 * until line_release, because the buffer neither moves nor is refilled over
 * them. line_next therefore has two ways to say "not now":
 *
 *   - asked not to wait, it returns LINE_NONE when no complete line is there
 *     and a read would block, or when the buffer is full;
 *   - asked to wait, it reads until a line is there; the caller must have
 *     released what it held.
 *
 * Lines end with LF or CRLF; the last one need not end at all. A byte order
 * mark at the start is passed over; a blank line has an empty text (seals
 * still count its bytes). A line longer than the limit comes in pieces (LINE_LONG), so that it can
 * be set aside untouched. */
#ifndef LIFEBOAT_LINE_H
#define LIFEBOAT_LINE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { LINE_ROOM = 8 << 20, LINE_MAX_DEFAULT = 16 << 20 };

enum line_result { LINE_ERROR = -1, LINE_EOF, LINE_OK, LINE_NONE, LINE_LONG };

struct line {
    struct span text; /* without its ending */
    struct span raw;  /* with it */
    uint64_t number;  /* from 1 */
    uint64_t offset;  /* of its first byte in the input */
    bool first, last; /* piece of its line; both but for LINE_LONG */
};

struct line_reader {
    int fd;
    const char *name; /* for messages; the caller's */
    size_t max;       /* bytes a line may have */
    size_t room;      /* so large a buffer gets that no line needs: LINE_ROOM, or the caller's */
    char *data;
    size_t cap, begin, end; /* data[begin..end) is not handed out yet */
    size_t scanned;         /* no LF before data[scanned] */
    uint64_t number, offset;
    bool eof, skipping;
    bool whole_only;     /* set by the caller: a last line without LF is a cut one, */
    bool cut;            /* not handed out, and noted here */
    int64_t patience_ms; /* set by the caller: when nothing comes for so long while one
                            waits, that is EX_TEMPFAIL; 0: one waits without end */
};

/* The descriptor stays the caller's. */
void line_open(struct line_reader *r, int fd, const char *name, size_t max);
void line_close(struct line_reader *r);
enum line_result line_next(struct line_reader *r, bool wait, struct line *out, struct err *e);
/* Everything handed out so far may be overwritten. */
void line_release(struct line_reader *r);

#endif
