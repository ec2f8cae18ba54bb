/* Unpacking gzip (RFC 1952): members one after the other, each with a CRC and a length of its text.
 */
#ifndef PW_LOGTAIL_GUNZIP_H
#define PW_LOGTAIL_GUNZIP_H

#include <sys/types.h>

#include <glib.h>

#include "base/error.h"

struct gunzip;

/* Where the packed bytes come from: as read(2), -1 with *err. */
typedef ssize_t (*gunzip_read)(void *ctx, char *block, size_t size, struct error *err);

/* `fd` is the file whose byte `start` is the first that `read` gives; each member is checked as a
 * whole before any of its text is given. -1: it can be read only once (a pipe), and is not. */
struct gunzip *gunzip_new(gunzip_read read, void *ctx, int fd, gint64 start);
void gunzip_free(struct gunzip **gunzip);

/* Up to `size` bytes of text: their number, 0 at the end, -1 with *err saying what is damaged. Of a
 * member that does not fit its CRC or length nothing is given; one that is cut off, which cannot be
 * checked, is given as far as it goes. NUL bytes behind the last member (padding) are no damage. */
ssize_t gunzip_block(struct gunzip *gunzip, char *block, size_t size, struct error *err);

#endif
