#include "store/like.h"

#include "store/terms.h"

struct like {
	GPtrArray *patterns; /* of GString, folded */
};

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
