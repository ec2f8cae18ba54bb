#include "logtail/gunzip.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define PACKED_BLOCK 131072   /* bytes read at once */
#define GZIP (MAX_WBITS + 16) /* windowBits of zlib: gzip only, its CRC and length checked */

struct gunzip {
	gunzip_read read;
	void *ctx;
	int fd;     /* -1: not to be read twice */
	gint64 end; /* offset in fd behind `packed` */
	z_stream reader, checker;
	gint64 member; /* where the member begins, for messages */
	gboolean inside, first, ended;
	Bytef packed[PACKED_BLOCK];
	Bytef looked[PACKED_BLOCK]; /* of the check: packed bytes */
	Bytef text[PACKED_BLOCK];   /* and what comes out of them */
};

struct gunzip *gunzip_new(gunzip_read read, void *ctx, int fd, gint64 start)
{
	struct gunzip *gunzip = g_new0(struct gunzip, 1);

	gunzip->read = read;
	gunzip->ctx = ctx;
	gunzip->fd = fd;
	gunzip->end = start;
	gunzip->first = TRUE;
	if (inflateInit2(&gunzip->reader, GZIP) != Z_OK ||
	        inflateInit2(&gunzip->checker, GZIP) != Z_OK)
		g_error("zlib does not start: out of memory");
	return gunzip;
}

void gunzip_free(struct gunzip **gunzip)
{
	if (*gunzip == NULL)
		return;
	inflateEnd(&(*gunzip)->reader);
	inflateEnd(&(*gunzip)->checker);
	g_clear_pointer(gunzip, g_free);
}

/* Bytes at hand: their number, 0 at the end of the file, -1. */
static ssize_t fill(struct gunzip *gunzip, struct error *err)
{
	z_stream *z = &gunzip->reader;

	if (z->avail_in > 0)
		return (ssize_t)z->avail_in;
	ssize_t n = gunzip->read(gunzip->ctx, (char *)gunzip->packed, PACKED_BLOCK, err);
	if (n > 0) {
		z->next_in = gunzip->packed;
		z->avail_in = (uInt)n;
		gunzip->end += n;
	}
	return n;
}

static int damaged(const struct gunzip *gunzip, const z_stream *z, struct error *err)
{
	return error_set(err, "%s in the gzip member that begins at byte %" G_GINT64_FORMAT,
	        z->msg != NULL ? z->msg : "invalid data", gunzip->member);
}

/* More bytes for the check, behind those that the reader holds. */
static ssize_t look_on(struct gunzip *gunzip, gint64 *at, struct error *err)
{
	ssize_t n;

	do {
		n = pread(gunzip->fd, gunzip->looked, PACKED_BLOCK, *at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "cannot read it");
	gunzip->checker.next_in = gunzip->looked;
	gunzip->checker.avail_in = (uInt)n;
	*at += n;
	return n;
}

/* The whole member, from where the reader stands. One that ends too early is told by the reader. */
static int check(struct gunzip *gunzip, struct error *err)
{
	z_stream *z = &gunzip->checker;
	gint64 at = gunzip->end;
	int got = Z_OK;

	inflateReset(z);
	z->next_in = gunzip->reader.next_in;
	z->avail_in = gunzip->reader.avail_in;
	while (got != Z_STREAM_END) {
		ssize_t n = z->avail_in > 0 ? 1 : look_on(gunzip, &at, err);
		if (n <= 0)
			return (int)n;
		do {
			z->next_out = gunzip->text;
			z->avail_out = PACKED_BLOCK;
			got = inflate(z, Z_NO_FLUSH);
		} while (got == Z_OK && z->avail_out == 0);
		if (got != Z_OK && got != Z_BUF_ERROR && got != Z_STREAM_END)
			return damaged(gunzip, z, err);
	}
	return 0;
}

/* To the next member: 1, 0 when there is none, -1. */
static int begin(struct gunzip *gunzip, struct error *err)
{
	z_stream *z = &gunzip->reader;
	ssize_t n;

	while ((n = fill(gunzip, err)) > 0) {
		while (!gunzip->first && z->avail_in > 0 && *z->next_in == 0) {
			z->next_in++;
			z->avail_in--;
		}
		if (z->avail_in > 0)
			break;
	}
	if (n <= 0)
		return (int)n;
	gunzip->member = gunzip->end - z->avail_in;
	gunzip->first = FALSE;
	inflateReset(z);
	if (gunzip->fd >= 0 && check(gunzip, err) < 0)
		return -1;
	gunzip->inside = TRUE;
	return 1;
}

/* Text of the member, which ends with it: 0 as well. */
static ssize_t go_on(struct gunzip *gunzip, char *block, size_t size, struct error *err)
{
	z_stream *z = &gunzip->reader;

	z->next_out = (Bytef *)block;
	z->avail_out = (uInt)MIN(size, G_MAXINT);
	const uInt room = z->avail_out;
	while (z->avail_out == room) {
		/* Text may be left in the window when the input is used up. */
		int got = inflate(z, Z_NO_FLUSH);
		if (got == Z_STREAM_END) {
			gunzip->inside = FALSE;
			break;
		}
		if (got != Z_OK && got != Z_BUF_ERROR)
			return damaged(gunzip, z, err);
		if (z->avail_out < room)
			break;
		ssize_t n = fill(gunzip, err);
		if (n == 0)
			return error_set(err,
			        "the gzip member that begins at byte %" G_GINT64_FORMAT
			        " is cut off",
			        gunzip->member);
		if (n < 0)
			return -1;
	}
	return (ssize_t)(room - z->avail_out);
}

ssize_t gunzip_block(struct gunzip *gunzip, char *block, size_t size, struct error *err)
{
	ssize_t n = 0;

	while (!gunzip->ended && n == 0) {
		int more = gunzip->inside ? 1 : begin(gunzip, err);
		if (more > 0)
			n = go_on(gunzip, block, size, err);
		else
			n = more;
		gunzip->ended = more <= 0 || n < 0;
	}
	return n;
}
