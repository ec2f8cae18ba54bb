/* What a classification and a canonical reason cost: cold (never seen), and from the cache.
 *
 *	bench_classify [FILE]	replies, one a line; default: the table of the tests */
#include <stdio.h>

#include "event/classify.h"

#define ROUNDS 20

static double ns_each(gint64 start, unsigned n)
{
	return (double)(g_get_monotonic_time() - start) * 1000 / n;
}

static void run(struct classifier *classifier, char **lines, bool classes)
{
	g_autoptr(GString) out = g_string_new(NULL);

	for (char **line = lines; *line != NULL; line++) {
		const struct failure failure = {.text = slice_str(*line)};
		g_string_truncate(out, 0);
		if (classes)
			classifier_class(classifier, &failure);
		else
			classifier_reason(classifier, out, failure.text);
	}
}

static void measure(const char *what, char **lines, unsigned n, bool classes)
{
	double cold = 0, warm = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct classifier *classifier = classifier_new(NULL, NULL, NULL);
		gint64 start = g_get_monotonic_time();
		run(classifier, lines, classes);
		cold += ns_each(start, n) / ROUNDS;
		start = g_get_monotonic_time();
		run(classifier, lines, classes);
		warm += ns_each(start, n) / ROUNDS;
		classifier_free(&classifier);
	}
	printf("%-8s %u replies: %.0f ns cold, %.0f ns cached\n", what, n, cold, warm);
}

int main(int argc, char **argv)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents(
	            argc > 1 ? argv[1] : "tests/golden/replies/replies.tsv", &text, NULL, NULL)) {
		fputs("bench_classify: no such file\n", stderr);
		return 1;
	}
	g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
	gint64 start = g_get_monotonic_time();
	struct classifier *classifier = classifier_new(NULL, NULL, NULL);
	printf("rules    compiled in %.1f ms\n", ns_each(start, 1) / 1e6);
	classifier_free(&classifier);
	measure("class", lines, g_strv_length(lines), true);
	measure("reason", lines, g_strv_length(lines), false);
	return 0;
}
