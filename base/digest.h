/* SHA-256 of bytes in one piece. */
#ifndef PW_BASE_DIGEST_H
#define PW_BASE_DIGEST_H

#include <nettle/sha2.h>

#include "base/slice.h"

#define DIGEST_SIZE SHA256_DIGEST_SIZE

static inline void digest_of(struct slice bytes, uint8_t digest_r[DIGEST_SIZE])
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, bytes.n, (const uint8_t *)bytes.p);
	sha256_digest(&sha, DIGEST_SIZE, digest_r);
}

#endif
