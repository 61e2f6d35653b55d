/* input: an operand, complete and checked before anything of it is used.
 *
 * Plain lines are read as they come. A sealed file is read to its end and its
 * seal checked, then read again through the same descriptor (input_same says
 * whether it was the same); what cannot be read twice is copied to a file
 * without a name beside the store. A document is split into lines there. */
#ifndef LIFEBOAT_INPUT_H
#define LIFEBOAT_INPUT_H

#include "base/err.h"
#include "base/sha256.h"
#include "text/doc.h"
#include "text/sealcheck.h"

#include <stdbool.h>
#include <stdint.h>

enum input_form {
    INPUT_LINES,
    INPUT_SPOOLED, /* lines that must not keep anybody waiting */
    INPUT_SEALED,
    INPUT_DOCUMENT
};

struct input {
    const char *name;         /* for messages */
    int fd;                   /* owned, but for standard input */
    uint64_t size;            /* bytes, 0 if unknown */
    bool replayable;          /* a file or a spool: it never makes the gate wait */
    char sealed[SHA256_TEXT]; /* sha256 of its seal at the first reading, or "" */
};

/* 66: no such operand; 65: not sealed whole, or a bad document; head is filled
 * from a document as far as it was understood, else left alone. */
int input_open(struct input *i, const char *operand, enum input_form form, struct doc *head,
               struct err *e);
void input_close(struct input *i);

/* After the second reading of a sealed input, which c has seen. */
bool input_same(const struct input *i, struct seal_check *c);

#endif
