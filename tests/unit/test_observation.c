#include "event/observation.h"

#include <glib.h>

#include "tests/support/unit.h"

/* An observation of a line in `text` (which the test destroys later). */
static struct observation seen_in(const char *text)
{
	struct observation seen = OBSERVATION_INIT;
	struct slice line = slice_str(text);

	seen.kind = OBSERVATION_ATTEMPT;
	seen.rule = "attempt";
	seen.line.node = SLICE("mx1");
	seen.line.instance = SLICE("");
	seen.line.program = SLICE("postfix/smtp");
	seen.line.time = 1000;
	seen.line.text = line;
	seen.queue_id = slice_head(line, 4);
	seen.to = slice_from(line, line.n - 1);
	seen.from = slice_from(line, line.n); /* empty, at the very end */
	seen.uid = SLICE("0");
	seen.delay_ms = 5;
	return seen;
}

START_TEST(a_copy_outlives_its_source)
{
	char text[] = "4abc: to=a";
	const struct observation seen = seen_in(text);
	struct observation copy;
	g_autofree char *bytes = g_malloc(observation_bytes(&seen));

	ck_assert_uint_eq(observation_bytes(&seen),
	        strlen(text) + strlen("mx1") + strlen("postfix/smtp") + strlen("0"));
	observation_copy(&copy, &seen, bytes);
	memset(text, 'x', strlen(text));
	ck_assert(slice_eq(copy.line.text, SLICE("4abc: to=a")));
	ck_assert(slice_eq(copy.queue_id, SLICE("4abc")));
	ck_assert(slice_eq(copy.to, SLICE("a")));
	ck_assert(slice_eq(copy.uid, SLICE("0")));
	ck_assert(slice_eq(copy.line.program, SLICE("postfix/smtp")));
	ck_assert_int_eq(copy.kind, OBSERVATION_ATTEMPT);
	ck_assert_int_eq(copy.delay_ms, 5);
}
END_TEST

START_TEST(absent_stays_absent_and_empty_stays_empty)
{
	const struct observation seen = seen_in("4abc: to=a");
	struct observation copy;
	g_autofree char *bytes = g_malloc(observation_bytes(&seen));

	observation_copy(&copy, &seen, bytes);
	ck_assert_ptr_null(copy.message_id.p);
	ck_assert_ptr_null(copy.line.pid.p);
	ck_assert_ptr_nonnull(copy.from.p);
	ck_assert_uint_eq(copy.from.n, 0);
	ck_assert_ptr_nonnull(copy.line.instance.p);
	ck_assert_uint_eq(copy.line.instance.n, 0);
}
END_TEST

/* Each text of the record, and none of them shares bytes with the source. */
START_TEST(no_text_is_forgotten)
{
	char source[] = "x";
	struct observation seen = OBSERVATION_INIT, copy;
	struct slice *const texts[] = {
#define OBSERVATION_TEXT(name) &seen.name,
	        OBSERVATION_TEXTS(OBSERVATION_TEXT)
#undef OBSERVATION_TEXT
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		*texts[i] = slice_make(source, 1);
	ck_assert_uint_eq(observation_bytes(&seen), G_N_ELEMENTS(texts));
	g_autofree char *bytes = g_malloc(G_N_ELEMENTS(texts));
	observation_copy(&copy, &seen, bytes);
	seen = copy;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		ck_assert_ptr_ne(texts[i]->p, source);
		ck_assert(slice_eq(*texts[i], SLICE("x")));
	}
}
END_TEST

START_TEST(nothing_needs_no_bytes)
{
	const struct observation seen = OBSERVATION_INIT;
	struct observation copy;

	ck_assert_uint_eq(observation_bytes(&seen), 0);
	observation_copy(&copy, &seen, NULL);
	ck_assert_ptr_null(copy.line.text.p);
}
END_TEST

/* clang-format off */
UNIT_MAIN("observation",
	a_copy_outlives_its_source,
	absent_stays_absent_and_empty_stays_empty,
	no_text_is_forgotten,
	nothing_needs_no_bytes)
