/* base64: bytes as text, RFC 4648 section 4. */
#ifndef LIFEBOAT_BASE64_H
#define LIFEBOAT_BASE64_H

#include "base/buf.h"

/* Appends s; -1 when memory ran out. */
int base64_add(struct span s, struct buf *out);

/* Decodes text into room for text.n / 4 * 3 bytes. Its padding has to be there,
 * and nothing else but the alphabet. Returns how many bytes; -1: it is none. */
int64_t base64_decode(struct span text, char *out);

#endif
