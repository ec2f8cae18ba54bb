/* A piece: some kilobytes of an index segment, in which terms stand with the documents that have
 * them. Documents are numbers within their segment; a list is cut into chunks of PIECE_CHUNK, of
 * which each is an entry of its own in the form that is the shortest.
 *
 * Bits (store/bits.h): 6 Rice parameter k of the terms, 3 bits of a chunk's number, 1 the last term
 * goes on in the next piece, 56 first term; then entries in ascending order:
 *
 *	rice k   term less the one before
 *	…        number of the chunk
 *	gamma    number of documents n
 *	n = 1         15 document
 *	n < 32        4 Rice parameter, documents as rice of their distance - 1, the first from -1
 *	n >= 32       2 form, 16 size; at the next full byte `size` bytes:
 *	                LIST 4 Rice parameter, documents as above; BITMAP one bit a document; ALL -
 */
#ifndef PW_STORE_PIECE_H
#define PW_STORE_PIECE_H

#include "store/bits.h"

#define PIECE_CHUNK 32000U              /* documents: two bitmaps fill a page of 8 KiB */
#define PIECE_WORDS (PIECE_CHUNK / 64U) /* of a bitmap */
#define PIECE_SMALL 32U                 /* lists that stand among the bits */
#define PIECE_SIZE 4060U                /* bytes that a piece has at most, but for one long entry */
#define PIECE_DOCS (PIECE_CHUNK * 64U)  /* documents of a segment at most */

/* Terms are 56 bits: the letter of the key and 48 bits that stand for the value. */
#define TERM_BITS 56
#define TERM_VALUE_BITS 48

enum piece_form { PIECE_LIST, PIECE_BITMAP, PIECE_ALL, PIECE_INLINE };

struct piece_entry {
	uint64_t term;
	uint32_t chunk, count;
	enum piece_form form;
	const uint8_t *bytes; /* of LIST and BITMAP; followed by BITS_PAD bytes */
	size_t size;
	uint32_t docs[PIECE_SMALL]; /* of INLINE: in the segment */
};

/* Writing. */
struct piece_out {
	struct bits_out bits;
	unsigned k, chunk_bits;
	uint64_t term;   /* the last one */
	uint64_t before; /* terms of this letter that earlier pieces had */
	unsigned letter;
};
/* Starts a piece with its first term in a segment of so many documents. */
void piece_start(struct piece_out *out, uint64_t term, uint32_t docs);
/* Appends an entry: n documents of one chunk, ascending, as numbers in the segment. */
void piece_put(struct piece_out *out, uint64_t term, const uint32_t *docs, uint32_t n);
/* Ends it; its bytes are valid until the next start. */
const uint8_t *piece_end(struct piece_out *out, bool goes_on, size_t *size_r);
void piece_clear(struct piece_out *out);

/* Reading; the bytes must be followed by BITS_PAD others. */
struct piece_in {
	struct bits_in bits;
	unsigned k, chunk_bits;
	bool goes_on;
	uint64_t term, last;
};
void piece_open(struct piece_in *in, const uint8_t *p, size_t size);
/* 1 an entry, 0 the end, -1 damaged. */
int piece_next(struct piece_in *in, struct piece_entry *entry_r);

/* Sets the bits of an entry's documents in a bitmap of its chunk; -1: damaged. */
int piece_or(const struct piece_entry *entry, uint64_t bits[PIECE_WORDS]);
/* Stores its documents as numbers in the segment: entry->count of them; -1: damaged. */
int piece_docs(const struct piece_entry *entry, uint32_t *docs);

#endif
