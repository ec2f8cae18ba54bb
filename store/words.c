#include "store/words.h"

#include "store/terms.h"

const struct words_def words_defs[SEARCH_WORDS] = {
#define WORDS(ID, NAME, DOTS, PLACE, KEY, ...) \
	[SEARCH_WORDS_##ID] = {NAME, DOTS, WORDS_##PLACE, SEARCH_##KEY, {__VA_ARGS__}, \
	        sizeof((enum field[]){__VA_ARGS__}) / sizeof(enum field)},
#include "schema/words.def"
#undef WORDS
};

struct words {
	bool dots;
	GPtrArray *phrases; /* of GString, as `spread` makes them */
};

/* Cuts off what stands before the next place that parts words, without its punctuation; may be
 * empty. */
static struct slice next_word(struct slice *text, bool dots)
{
	size_t n = 0;

	while (n < text->n && !words_part(text->p[n], dots))
		n++;
	struct slice word = slice_head(*text, n);
	*text = slice_from(*text, MIN(n + 1, text->n));
	while (word.n > 0 && g_ascii_ispunct(word.p[0]))
		word = slice_from(word, 1);
	while (word.n > 0 && g_ascii_ispunct(word.p[word.n - 1]))
		word = slice_head(word, word.n - 1);
	return word;
}

/* Writes the words of a folded text with one blank before each and one at the end, so that a phrase
 * is found as a part of the whole. Without words: one blank. */
static void spread(GString *out, struct slice folded, bool dots)
{
	g_string_assign(out, " ");
	while (folded.n > 0) {
		struct slice word = next_word(&folded, dots);
		if (word.n == 0)
			continue;
		g_string_append_len(out, word.p, (gssize)word.n);
		g_string_append_c(out, ' ');
	}
}

static void free_string(gpointer p)
{
	g_string_free(p, TRUE);
}

struct words *words_new(const char *const *phrases, bool dots)
{
	struct words *words = g_new0(struct words, 1);
	g_autoptr(GString) scratch = g_string_new(NULL);

	words->dots = dots;
	words->phrases = g_ptr_array_new_with_free_func(free_string);
	for (; *phrases != NULL; phrases++) {
		GString *phrase = g_string_new(NULL);
		spread(phrase, terms_fold(slice_str(*phrases), scratch), dots);
		if (phrase->len > 1)
			g_ptr_array_add(words->phrases, phrase);
		else
			g_string_free(phrase, TRUE);
	}
	return words;
}

void words_free(struct words **words)
{
	if (*words == NULL)
		return;
	g_ptr_array_unref((*words)->phrases);
	g_clear_pointer(words, g_free);
}

bool words_match(const struct words *words, struct slice text, GString *scratch)
{
	g_autoptr(GString) spaced = g_string_sized_new(text.n + 3);

	spread(spaced, terms_fold(text, scratch), words->dots);
	for (guint i = 0; i < words->phrases->len; i++) {
		const GString *phrase = g_ptr_array_index(words->phrases, i);
		if (slice_find(slice_make(spaced->str, spaced->len),
		            slice_make(phrase->str, phrase->len)) >= 0)
			return true;
	}
	return false;
}

unsigned words_count(const struct words *words)
{
	return words->phrases->len;
}

struct slice words_phrase(const struct words *words, unsigned i)
{
	const GString *phrase = g_ptr_array_index(words->phrases, i);

	return slice_make(phrase->str, phrase->len);
}
