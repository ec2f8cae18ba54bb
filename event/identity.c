#include "event/identity.h"

#include <glib.h>
#include <nettle/sha2.h>
#include <sodium.h>
#include <stddef.h>

#include "base/clock.h"

/* Every key starts with a tag, so that no key of one kind can equal one of another kind. The tags,
 * the order of the parts and the forms of numbers never change: all stored identities hang on them
 * (tests/unit/test_identity.c holds the vectors). */

struct key {
	struct sha256_ctx sha;
	size_t n;                 /* of what is not hashed yet */
	unsigned char bytes[512]; /* hashing many small parts costs more than what they hold */
};

static void put_bytes(struct key *key, const void *bytes, size_t n)
{
	if (n > sizeof(key->bytes) - key->n) {
		sha256_update(&key->sha, key->n, key->bytes);
		key->n = 0;
	}
	if (n > sizeof(key->bytes)) {
		sha256_update(&key->sha, n, bytes);
	} else {
		memcpy(key->bytes + key->n, bytes, n);
		key->n += n;
	}
}

static void put_number(struct key *key, uint64_t number)
{
	uint64_t bytes = GUINT64_TO_LE(number);

	put_bytes(key, &bytes, sizeof(bytes));
}

/* A part counts with its length, so that ("ab", "c") is not ("a", "bc"). */
static void put_part(struct key *key, struct slice part)
{
	put_number(key, part.n);
	if (part.n > 0)
		put_bytes(key, part.p, part.n);
}

/* Moves up to `size` bytes of *part to `lower`, in lower case (ASCII only: mail systems differ over
 * all else); returns their number. */
static size_t take_lower(struct slice *part, unsigned char *lower, size_t size)
{
	size_t n = MIN(part->n, size);

	for (size_t i = 0; i < n; i++)
		lower[i] = (unsigned char)ascii_lower(part->p[i]);
	*part = slice_from(*part, n);
	return n;
}

static void put_lower(struct key *key, struct slice part)
{
	unsigned char lower[256];

	put_number(key, part.n);
	while (part.n > 0)
		put_bytes(key, lower, take_lower(&part, lower, sizeof(lower)));
}

static void start(struct key *key, struct slice tag)
{
	sha256_init(&key->sha);
	key->n = 0;
	put_part(key, tag);
}

/* The first 8 bytes of the digest, little-endian. */
static uint64_t finish(struct key *key)
{
	uint64_t number;

	sha256_update(&key->sha, key->n, key->bytes);
	sha256_digest(&key->sha, sizeof(number), (uint8_t *)&number);
	return GUINT64_FROM_LE(number);
}

static uint64_t finish_event_id(struct key *key)
{
	uint64_t id = finish(key) & INT64_MAX;

	return id != 0 ? id : 1;
}

/* Whole seconds, rounded down before 1970 too. */
static int64_t seconds(int64_t ms)
{
	return ms >= 0 ? ms / CLOCK_SECOND : -((-ms + CLOCK_SECOND - 1) / CLOCK_SECOND);
}

/* The syslog name before the service: rsyslog's RFC 5424 form has "postfix" where the others have
 * "postfix/smtp", and a copy of a line is to be the same line. The process id tells services apart.
 */
static struct slice syslog_name(struct slice program)
{
	ptrdiff_t end = slice_chr(program, '/');

	return end >= 0 ? slice_head(program, (size_t)end) : program;
}

static void put_line(struct key *key, const struct identity_line *line)
{
	put_lower(key, line->node);
	put_part(key, line->instance);
	put_number(key, (uint64_t)seconds(line->time));
	put_part(key, syslog_name(line->program));
	put_part(key, line->pid);
	put_part(key, slice_trim(line->text));
}

uint64_t identity_log_fact(const struct identity_line *line, struct slice recipient,
        enum identity_fact fact, unsigned ordinal)
{
	struct key key;

	start(&key, SLICE("log"));
	put_line(&key, line);
	put_lower(&key, recipient);
	put_number(&key, fact);
	put_number(&key, ordinal);
	return finish_event_id(&key);
}

/* SipHash of bytes under a hash. It tells lines of one second apart, no more, and costs a tenth of
 * SHA-256. */
static uint64_t chain_bytes(uint64_t chain, const void *bytes, size_t n)
{
	unsigned char key[crypto_shorthash_KEYBYTES] = "postwake ordinal";
	unsigned char hash[crypto_shorthash_BYTES];

	chain = GUINT64_TO_LE(chain);
	memcpy(key, &chain, sizeof(chain));
	crypto_shorthash(hash, bytes, n, key);
	memcpy(&chain, hash, sizeof(chain));
	return GUINT64_FROM_LE(chain);
}

/* What comes before the text, put together: four short parts would cost four times as much. */
struct line_head {
	int64_t second;
	uint16_t n[4]; /* node, instance, syslog name, pid */
	unsigned char bytes[112];
};

/* False when a part does not fit. */
static bool head_put(struct line_head *head, size_t *used, unsigned which, struct slice part)
{
	if (part.n > sizeof(head->bytes) - *used)
		return false;
	if (part.n > 0)
		memcpy(head->bytes + *used, part.p, part.n);
	head->n[which] = (uint16_t)part.n;
	*used += part.n;
	return true;
}

static uint64_t long_head_hash(const struct identity_line *line)
{
	unsigned char lower[256];
	struct slice node = line->node, name = syslog_name(line->program);
	uint64_t chain = chain_bytes((uint64_t)seconds(line->time), &node.n, sizeof(node.n));

	while (node.n > 0)
		chain = chain_bytes(chain, lower, take_lower(&node, lower, sizeof(lower)));
	chain = chain_bytes(chain, line->instance.p, line->instance.n);
	chain = chain_bytes(chain, name.p, name.n);
	return chain_bytes(chain, line->pid.p, line->pid.n);
}

uint64_t identity_line_hash(const struct identity_line *line)
{
	struct line_head head = {.second = seconds(line->time)};
	struct slice node = line->node, text = slice_trim(line->text);
	size_t used = 0;
	uint64_t chain;

	if (head_put(&head, &used, 0, node) && head_put(&head, &used, 1, line->instance) &&
	        head_put(&head, &used, 2, syslog_name(line->program)) &&
	        head_put(&head, &used, 3, line->pid)) {
		take_lower(&node, head.bytes, node.n);
		chain = chain_bytes(used, &head, offsetof(struct line_head, bytes) + used);
	} else {
		chain = long_head_hash(line);
	}
	return chain_bytes(chain, text.p, text.n);
}

uint64_t identity_injection(struct slice message_id, struct slice recipient)
{
	struct key key;

	start(&key, SLICE("inject"));
	put_part(&key, message_id);
	put_lower(&key, recipient);
	return finish_event_id(&key);
}

uint64_t identity_parts(const struct slice *parts, size_t n)
{
	struct key key;

	start(&key, SLICE("parts"));
	put_number(&key, n);
	for (size_t i = 0; i < n; i++)
		put_part(&key, parts[i]);
	return finish_event_id(&key);
}

/* Digits of message_ids: 4 zeros, the seconds with their lowest byte first, a hash. */
static void message_id_write(int64_t birth, uint32_t hash, char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	uint32_t birth_s = (uint32_t)seconds(birth);

	g_snprintf(
	        id, IDENTITY_MESSAGE_ID_LEN + 1, "0000%08x%08x", GUINT32_SWAP_LE_BE(birth_s), hash);
}

void identity_message_id(struct slice node, struct slice instance, struct slice queue_id,
        int64_t birth, char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct key key;

	start(&key, SLICE("message"));
	put_lower(&key, node);
	put_part(&key, instance);
	put_part(&key, queue_id);
	put_number(&key, (uint64_t)seconds(birth));
	message_id_write(birth, (uint32_t)finish(&key), id);
}

int64_t identity_birth_error(int64_t age)
{
	int64_t digit = 1; /* what the second digit counts */

	while (age / digit >= 100)
		digit *= 10;
	return digit / 2 + 2 * CLOCK_SECOND;
}

void identity_reject_message_id(
        uint64_t event_id, int64_t time, char id[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct key key;

	start(&key, SLICE("reject"));
	put_number(&key, event_id);
	message_id_write(time, (uint32_t)finish(&key), id);
}
