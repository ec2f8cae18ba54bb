/* Lines as one gzip stream that never grows beyond its limit: the size is that of the stream as it
 * is sent, known before a line goes in. */
#ifndef PW_UPLOAD_PACK_H
#define PW_UPLOAD_PACK_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

struct pack;

struct pack *pack_new(size_t limit);
void pack_free(struct pack **pack);

/* False, and the line is not in it: there is no room. */
bool pack_add(struct pack *pack, struct slice line);

/* Ends the stream, whose bytes are the caller's. Equal lines make equal bytes. */
GByteArray *pack_end(struct pack *pack);

#endif
