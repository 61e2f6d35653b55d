/* paper: a key as four lines that a person can type.
 *
 *     1:  9QWJ 6C0M ZK4T 7V1A
 *
 * 16 characters of Crockford's base 32 (no I, L, O, U) a line: 8 bytes of the key
 * and 2 of a check that the line's number goes into. */
#ifndef LIFEBOAT_PAPER_H
#define LIFEBOAT_PAPER_H

#include "http/keys.h"

#include "base/buf.h"

enum { PAPER_LINES = 4, PAPER_LINE = 20, PAPER_WHY = 128 };

/* The lines without their numbers: four groups of four. */
void paper_write(const uint8_t secret[static KEY_BYTES], char lines[PAPER_LINES][PAPER_LINE]);

/* Finds the four lines in text. Case, spaces, hyphens and line breaks inside a line do not
 * count, I and L are 1, O is 0, and what else is on the page is passed over; text that is
 * nothing but the 64 characters needs no numbers. Where "key id" and 8 hex digits stand
 * there they are compared as well. 0, or -1: why names the line. */
int paper_read(struct span text, uint8_t secret[static KEY_BYTES], char why[static PAPER_WHY]);

#endif
