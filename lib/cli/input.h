/* input: an operand, complete and checked before anything of it is used.
 *
 * Plain lines are read as they come. A sealed file is read to its end and its
 * seal checked, then read again through the same descriptor (input_same says
 * whether it was the same); what cannot be read twice is copied to a file
 * without a name beside the store. A document is split into lines there.
 *
 * Where nothing is used before the end of the only reading (a store built
 * aside), a sealed file need not be read ahead: INPUT_SEALED_LATER, and
 * input_whole at its end. */
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
    INPUT_SEALED_LATER,
    INPUT_DOCUMENT
};

struct input {
    const char *name;         /* for messages */
    int fd;                   /* owned, but for standard input */
    uint64_t size;            /* bytes, 0 if unknown */
    bool replayable;          /* a file or a spool: it never makes the gate wait */
    char sealed[SHA256_TEXT]; /* sha256 of its seal at the first reading, or "" */
    bool unchecked;           /* its seal is to be checked, and has not been */
};

/* 66: no such operand; 65: not sealed whole, or a bad document; head is filled
 * from a document as far as it was understood, else left alone. */
int input_open(struct input *i, const char *operand, enum input_form form, struct doc *head,
               struct err *e);
void input_close(struct input *i);

/* 75: a signal ended its reading before its seal was seen. */
int input_stopped(const struct input *i, struct err *e);

/* Reads an unchecked input ahead after all. */
int input_check(struct input *i, struct err *e);

/* After the reading that counts of a sealed input, which c has seen: is it
 * whole, and what was read ahead? 65 if not. */
int input_whole(const struct input *i, struct seal_check *c, struct err *e);

#endif
