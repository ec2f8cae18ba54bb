#include "base/gunzip.h"

#include <errno.h>
#include <zlib.h>

#define PIECE (64 * 1024)
#define GZIP_ONLY (16 + MAX_WBITS) /* zlib.h, inflateInit2 */

struct unpacking {
	z_stream z;
	uint64_t room; /* bytes that may still come out */
	gunzip_piece *piece;
	void *ctx;
	struct error *err;
	unsigned char bytes[PIECE];
};

/* 1 at the end of a member, 0 where there may be more, -1 failed. */
static int unpack_piece(struct unpacking *u)
{
	u->z.next_out = u->bytes;
	u->z.avail_out = PIECE;
	int status = inflate(&u->z, Z_NO_FLUSH);
	size_t n = PIECE - u->z.avail_out;

	if (status == Z_BUF_ERROR)
		return error_set(u->err, "the gzip data are cut off");
	if (status != Z_OK && status != Z_STREAM_END)
		return error_set(u->err, "the gzip data are damaged (%s)",
		        u->z.msg != NULL ? u->z.msg : "no gzip");
	if (n > u->room) {
		error_errno(u->err, EFBIG, "the gzip data unpack to too many bytes");
		return -1;
	}
	u->room -= n;
	if (n > 0 && u->piece(u->ctx, slice_make((const char *)u->bytes, n), u->err) < 0)
		return -1;
	return status == Z_STREAM_END;
}

/* Zeros behind the last member fill a block of a tape or a disk: gzip(1) passes over them. */
static void skip_padding(struct unpacking *u)
{
	unsigned n = 0;

	while (n < u->z.avail_in && u->z.next_in[n] == 0)
		n++;
	if (n == u->z.avail_in)
		u->z.avail_in = 0;
}

static int unpack_members(struct unpacking *u)
{
	int status;

	do {
		while ((status = unpack_piece(u)) == 0)
			;
		if (status < 0)
			return -1;
		skip_padding(u);
		if (u->z.avail_in > 0 && inflateReset(&u->z) != Z_OK)
			return error_set(u->err, "zlib does not go on");
	} while (u->z.avail_in > 0);
	return 0;
}

int gunzip(struct slice packed, uint64_t most, gunzip_piece *piece, void *ctx, struct error *err)
{
	struct unpacking u = {.room = most, .piece = piece, .ctx = ctx, .err = err};

	if (packed.n > UINT32_MAX)
		return error_errno(err, EFBIG, "the gzip data are too large");
	if (inflateInit2(&u.z, GZIP_ONLY) != Z_OK)
		return error_set(err, "zlib does not start");
	/* zlib reads only; its old interface lacks the const. */
	u.z.next_in = (unsigned char *)(uintptr_t)packed.p;
	u.z.avail_in = (unsigned)packed.n;
	int result = unpack_members(&u);
	inflateEnd(&u.z);
	return result;
}
