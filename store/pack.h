/* Numbers and strings in few bytes.
 *
 *	varint   7 bits a byte, lowest first, the top bit says that more follow
 *	string   varint length * 4 + alphabet, and then its characters: as bytes, or 4 or 6 bits
 *each where all of them are hexadecimal digits, or letters, digits, '.' and '-' */
#ifndef PW_STORE_PACK_H
#define PW_STORE_PACK_H

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

void pack_byte(GByteArray *out, uint8_t byte);
void pack_number(GByteArray *out, uint64_t value);
/* The length and then the bytes. */
void pack_bytes(GByteArray *out, struct slice bytes);
void pack_string(GByteArray *out, struct slice text);

/* Reading: a cursor over the bytes; what runs over the end makes it bad. */
struct unpack {
	const uint8_t *p, *end;
	bool bad;
};
struct unpack unpack_start(struct slice bytes);
uint64_t unpack_number(struct unpack *in);
struct slice unpack_bytes(struct unpack *in, size_t n);

/* A string that is still packed. */
struct packed {
	struct slice bytes;
	size_t n; /* length of the string */
	unsigned alphabet;
};
struct packed unpack_string(struct unpack *in);
/* Stores its n characters. */
void packed_text(const struct packed *packed, char *text);

/* A reply of a server, such as "250 Ok: queued as 4F2A1B", as what comes again and what does not:
 * appends to `frame` the text in which PACK_TOKEN stands for each of the tokens, whose number is
 * returned. Only for texts that pack_splits allows. */
#define PACK_TOKEN '\1'
#define PACK_TOKENS 30
bool pack_splits(struct slice text);
unsigned pack_split(struct slice text, GString *frame, struct slice tokens[PACK_TOKENS]);

#endif
