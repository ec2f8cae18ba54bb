#include "store/like.h"

#include "store/terms.h"

/* What may be looked for in many strings at a time: any text, a piece, any text. */
struct piece {
	struct slice text; /* folded; empty: the patterns are others */
	size_t at[2];      /* of the two bytes that are looked at first */
};

struct like {
	GPtrArray *patterns; /* of GString, folded */
	struct piece piece;  /* of the only pattern */
};

/* Bytes of replies and subjects, the most frequent first. */
static const char frequent[] = " etaoinsrld-.cum0h5<>1pf42@yb:3g67v89w,k/()#_=x'[]jzq";

static size_t rarity(char c)
{
	const char *at = memchr(frequent, c, sizeof(frequent) - 1);

	return at != NULL ? (size_t)(at - frequent) : sizeof(frequent);
}

static struct piece piece_of(struct slice pattern)
{
	struct piece piece = {.text = SLICE_NONE};

	if (pattern.n < 3 || pattern.p[0] != '%' || pattern.p[pattern.n - 1] != '%' ||
	        memchr(pattern.p + 1, '%', pattern.n - 2) != NULL)
		return piece;
	piece.text = slice_make(pattern.p + 1, pattern.n - 2);
	for (size_t i = 1; i < piece.text.n; i++)
		if (rarity(piece.text.p[i]) > rarity(piece.text.p[piece.at[0]]))
			piece.at[0] = i;
	piece.at[1] = piece.at[0] == 0 ? piece.text.n - 1 : 0;
	for (size_t i = 1; i < piece.text.n; i++)
		if (i != piece.at[0] && rarity(piece.text.p[i]) > rarity(piece.text.p[piece.at[1]]))
			piece.at[1] = i;
	return piece;
}

static void free_string(gpointer p)
{
	g_string_free(p, TRUE);
}

struct like *like_new(const char *const *patterns)
{
	struct like *like = g_new0(struct like, 1);
	g_autoptr(GString) scratch = g_string_new(NULL);

	like->patterns = g_ptr_array_new_with_free_func(free_string);
	for (; *patterns != NULL; patterns++) {
		struct slice folded = terms_fold(slice_str(*patterns), scratch);
		g_ptr_array_add(like->patterns, g_string_new_len(folded.p, (gssize)folded.n));
	}
	if (like->patterns->len == 1) {
		const GString *only = g_ptr_array_index(like->patterns, 0);
		like->piece = piece_of(slice_make(only->str, only->len));
	}
	return like;
}

void like_free(struct like **like)
{
	if (*like == NULL)
		return;
	g_ptr_array_unref((*like)->patterns);
	g_clear_pointer(like, g_free);
}

/* Leftmost matches of the pieces between '%' are enough: what is left for the later ones is never
 * less than with another choice. Only the last piece is tied to the end. */
static bool match_folded(struct slice pattern, struct slice text)
{
	struct slice piece = slice_cut(&pattern, '%');
	bool wild = piece.p + piece.n != pattern.p;

	if (!wild)
		return slice_eq(piece, text);
	if (!slice_skip(&text, piece))
		return false;
	for (;;) {
		const char *start = pattern.p;
		piece = slice_cut(&pattern, '%');
		if (pattern.p == start + piece.n)
			return slice_ends(text, piece);
		ptrdiff_t at = slice_find(text, piece);
		if (at < 0)
			return false;
		text = slice_from(text, (size_t)at + piece.n);
	}
}

bool like_match(const struct like *like, struct slice text, GString *scratch)
{
	struct slice folded = terms_fold(text, scratch);

	for (guint i = 0; i < like->patterns->len; i++) {
		const GString *pattern = g_ptr_array_index(like->patterns, i);
		if (match_folded(slice_make(pattern->str, pattern->len), folded))
			return true;
	}
	return false;
}

/* Whether a text below 0x80 begins with a piece. */
static bool begins(const char *text, struct slice piece)
{
	for (size_t i = 0; i < piece.n; i++)
		if (ascii_lower(text[i]) != piece.p[i])
			return false;
	return true;
}

#define LANES 16
typedef uint8_t lanes __attribute__((vector_size(LANES)));

/* A byte of the piece and what makes a byte of the text lower case, where it is a letter. */
struct sign {
	lanes byte, fold;
};

static struct sign sign_of(const struct piece *piece, unsigned i)
{
	char c = piece->text.p[piece->at[i]];
	const lanes none = {0};

	return (struct sign){none + (uint8_t)c, none + (uint8_t)(g_ascii_islower(c) ? 0x20 : 0)};
}

static lanes has_sign(const char *text, const struct sign *sign)
{
	lanes bytes;

	memcpy(&bytes, text, sizeof(bytes));
	return (lanes)((bytes | sign->fold) == sign->byte);
}

/* The first place of a piece in texts below 0x80: sixteen places at a time are looked at for two of
 * its bytes. -1: none. */
static ptrdiff_t find_piece(const struct piece *piece, struct slice text)
{
	const struct sign first = sign_of(piece, 0), second = sign_of(piece, 1);
	size_t i = 0, places = text.n >= piece->text.n ? text.n - piece->text.n + 1 : 0;

	for (; i + LANES <= places; i += LANES) {
		lanes hits = has_sign(text.p + i + piece->at[0], &first) &
		             has_sign(text.p + i + piece->at[1], &second);
		uint64_t any[2];
		memcpy(any, &hits, sizeof(any));
		if ((any[0] | any[1]) == 0)
			continue;
		for (unsigned k = 0; k < LANES; k++)
			if (hits[k] != 0 && begins(text.p + i + k, piece->text))
				return (ptrdiff_t)(i + k);
	}
	for (; i < places; i++)
		if (begins(text.p + i, piece->text))
			return (ptrdiff_t)i;
	return -1;
}

static int next_with_piece(
        const struct piece *piece, struct dict_block *block, struct dict_string *string)
{
	for (;;) {
		ptrdiff_t at = find_piece(piece, block->rest);
		const char *hit = block->rest.p + MAX(at, 0);
		int result;
		if (at < 0)
			return 0;
		do
			result = dict_block_next(block, string);
		while (result == 1 && string->text.p + string->text.n <= hit);
		/* Else it reaches into the next string, and so would a later one in this. */
		if (result != 1 || hit + piece->text.n <= string->text.p + string->text.n)
			return result;
	}
}

int like_block(const struct like *like, struct dict_block *block, GString *scratch,
        struct dict_string *string)
{
	int result;

	/* The folding of other characters is none of bytes. */
	if (like->piece.text.n > 0 && block->ascii)
		return next_with_piece(&like->piece, block, string);
	while ((result = dict_block_next(block, string)) == 1 &&
	        !like_match(like, string->text, scratch))
		;
	return result;
}
