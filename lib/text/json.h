/* json: a strict scanner for RFC 8259 text, which also digests what it reads.
 *
 * It builds no tree: it checks one value, says where it begins and ends, and
 * gives the 128-bit structural digest of its value. Two texts have the same
 * digest exactly when they hold the same values: white space, member order,
 * number spelling (1.0 is 1, -0 is 0, any size, exact decimals) and string
 * escapes do not count; array order and repeated members do.
 *
 * Stricter than the grammar: UTF-8 must be valid, nesting ends at
 * JSON_DEPTH. Accepted on purpose: escapes of lone surrogates (tablets cut
 * strings inside a pair); their value is the three bytes UTF-8 would give
 * them (WTF-8), and json_quote writes them as escapes again.
 *
 * A struct json owns its scratch memory (json_end frees it) and points into
 * the caller's text, which must outlive the spans handed out. */
#ifndef LIFEBOAT_JSON_H
#define LIFEBOAT_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"

#include <stdbool.h>

/* jq 1.6 stops at 256; an envelope around a payload takes two or three. */
enum { JSON_DEPTH = 200 };

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* A reason that is not the text's fault; compared by its address. */
extern const char json_no_memory[];

struct json {
    const char *start, *p, *end;
    const char *why; /* after a failure: the reason; p is where */
    bool spaced;     /* white space was passed since this was last cleared */
    struct buf scratch;
};

struct json_value {
    enum json_kind kind;
    struct span raw; /* as it stands in the text */
    bool spaced;     /* raw has insignificant white space in it */
    bool escaped;    /* a string with escapes in it */
    struct digest digest;
};

void json_start(struct json *j, struct span text);
void json_end(struct json *j);

/* Where a failure is: bytes from the start of the text. */
size_t json_offset(const struct json *j);

/* Scans one value, white space before it included. Returns 0, or -1 with
 * why set. After it, json_finish checks that nothing but white space is left. */
int json_value(struct json *j, struct json_value *v);
int json_finish(struct json *j);
/* Both of these, for a text that is one value. */
int json_whole(struct json *j, struct span text, struct json_value *v);

/* Walks an object member by member: json_open passes its '{'; json_member
 * gives the next name (a string value: raw with its quotes) and value and
 * returns 1, or 0 after the '}', or -1. *first must be true at the start. */
int json_open(struct json *j);
int json_member(struct json *j, bool *first, struct json_value *name, struct json_value *v);

/* The same of an array and its elements. */
int json_array(struct json *j);
int json_element(struct json *j, bool *first, struct json_value *v);

/* The text inside the quotes of a string value, escapes resolved. Points into
 * raw when there is no escape, else into out, which is appended to. p is NULL
 * when memory ran out. */
struct span json_text(const struct json_value *v, struct buf *out);

/* The same, into the arena; and raw without its insignificant white space. p is NULL
 * when memory ran out. */
struct span json_text_in(const struct json_value *v, struct arena *a);
struct span json_compact_in(const struct json_value *v, struct arena *a);

/* An integer value of any spelling (1.7e3) that fits; -1 otherwise. */
int json_int(const struct json_value *v, int64_t *n);

/* Appends raw without its insignificant white space; raw must have been
 * scanned. */
int json_compact(struct span raw, struct buf *out);

/* Appends s as a JSON string with minimal escapes; s is valid UTF-8, lone
 * surrogates as above. */
int json_quote(struct span s, struct buf *out);

/* The same into room for JSON_QUOTED_MAX(s.n) bytes; returns its end. */
#define JSON_QUOTED_MAX(n) (6 * (n) + 2)
char *json_quote_at(struct span s, char *out);

/* Appends raw with every lone surrogate's escape as \ufffd, for readers that
 * take no JSON with one in it (jq 1.6). */
int json_mend(struct span raw, struct buf *out);

/* Digests of values, as json_value computes them. */
struct digest json_digest_string(struct span s);
struct digest json_digest_int(int64_t n);
/* Adds member name:value to an object's running sum, and ends the sum. */
void json_digest_member(struct digest *sum, struct digest name, struct digest value);
struct digest json_digest_object(struct digest sum, uint64_t members);

const char *json_kind_name(enum json_kind kind);

#endif
