/* Unpacks gzip (RFC 1952) from memory, a piece at a time, with a bound on what comes out. */
#ifndef PW_BASE_GUNZIP_H
#define PW_BASE_GUNZIP_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* Gets the pieces in order; -1 with *err ends the unpacking. */
typedef int gunzip_piece(void *ctx, struct slice bytes, struct error *err);

/* Unpacks all members of `packed`; at most `most` bytes. Zeros behind the last one are passed over,
 * as by gzip(1). -1 with *err where it is no gzip, is cut off, damaged, followed by something else,
 * or holds more (number EFBIG); pieces handed out before
 * that must not be relied upon. */
int gunzip(struct slice packed, uint64_t most, gunzip_piece *piece, void *ctx, struct error *err);

#endif
