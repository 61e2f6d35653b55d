/* edit: one member of a JSON object changed, every other byte left alone.
 *
 * For files that people write: their order, white space and spelling stay. A
 * member that is new is put last, in the style of the first one; taking it
 * away again gives the text that was there before. Pure.
 *
 *     why = edit_find(text, SPAN("mirror_mode"), &m, &offset);
 *     rc = edit_set(&m, SPAN("true"), &out);
 */
#ifndef LIFEBOAT_EDIT_H
#define LIFEBOAT_EDIT_H

#include "base/buf.h"
#include "text/json.h"

#include <stdbool.h>

/* Where a member stands in the text of its object, which it points into. */
struct edit {
    struct span text, name;
    bool there;
    struct json_value value; /* when it is there */

    /* offsets in the text */
    size_t own, before, after; /* its name; the end of the value before; the next name */
    size_t open, first, colon, first_value, last; /* of the object: behind its brace, ... */
    bool is_last;
    size_t members;
};

/* Looks for the member. NULL, or why the text is not to be edited: it is no JSON
 * object, or has the member twice; offset says where. json_no_memory is not the
 * text's fault. */
const char *edit_find(struct span text, struct span name, struct edit *out, size_t *offset);

/* Appends the text with the member having this value, which is JSON. 0, or -1 when
 * memory ran out. */
int edit_set(const struct edit *m, struct span value, struct buf *out);

/* The same without the member, which may be absent already. */
int edit_remove(const struct edit *m, struct buf *out);

#endif
