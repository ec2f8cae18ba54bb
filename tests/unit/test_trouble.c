/* What the log is told of the troubles of a source. */
#include "daemon/trouble.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "tests/support/unit.h"

static struct trouble trouble;
static int64_t boot;

/* Seconds pass, at each of which the same is noted; NULL: nothing is wrong. */
static void note(const char *text, unsigned seconds)
{
	struct error err = {0};

	if (text != NULL)
		error_set(&err, "%s", text);
	for (unsigned i = 0; i < seconds; i++, boot += CLOCK_SECOND)
		trouble_note(&trouble, "mail.log", &err, boot);
}

/* What `steps` write to the standard error, as lines joined by '|'. */
static char *told(void (*steps)(void))
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	char text[8192];

	trouble_init(&trouble);
	boot = CLOCK_DAY;
	g_unsetenv("JOURNAL_STREAM");
	dup2(fileno(file), STDERR_FILENO);
	steps();
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	trouble_clear(&trouble);
	g_auto(GStrv) parts = g_strsplit(text, "postwake: mail.log: ", -1);
	g_autofree char *lines = g_strjoinv("", parts);
	return g_strdelimit(g_strchomp(g_steal_pointer(&lines)), "\n", '|');
}

static void two_causes(void)
{
	note("first", 5);
	note(NULL, 2);
	note("second", 5);
	note("first", 100);
}

START_TEST(each_cause_is_told_once_also_one_that_comes_behind_another)
{
	g_autofree char *lines = told(two_causes);

	ck_assert_str_eq(lines, "first|second");
}
END_TEST

static void healed(void)
{
	note(NULL, 10);
	note("first", 1);
	note(NULL, 60);
	note("first", 1);
	note(NULL, 5);
}

START_TEST(the_end_is_told_and_what_comes_after_it_is_told_again)
{
	g_autofree char *lines = told(healed);

	ck_assert_str_eq(lines, "first|all is well again|first");
}
END_TEST

static void coming_and_going(void)
{
	for (int i = 0; i < 100; i++) {
		note("first", 1);
		note(NULL, 4);
	}
}

START_TEST(what_comes_and_goes_is_told_once)
{
	g_autofree char *lines = told(coming_and_going);

	ck_assert_str_eq(lines, "first");
}
END_TEST

static void never_the_same(void)
{
	for (int i = 0; i < 1000; i++) {
		g_autofree char *text = g_strdup_printf("byte %d", i);
		note(text, 1);
	}
}

START_TEST(a_text_that_is_never_the_same_fills_no_disk)
{
	g_autofree char *lines = told(never_the_same);
	g_auto(GStrv) each = g_strsplit(lines, "|", -1);

	ck_assert_uint_eq(g_strv_length(each), 20);
}
END_TEST

START_TEST(the_status_has_what_is_wrong_now)
{
	g_autoptr(GString) out = g_string_new("{");

	trouble_init(&trouble);
	note("first", 1);
	note("second", 1);
	trouble_status(&trouble, out);
	ck_assert_str_eq(out->str, "{\"trouble\":\"second\"");
	g_string_assign(out, "{");
	note(NULL, 1);
	trouble_status(&trouble, out);
	ck_assert_str_eq(out->str, "{");
	trouble_clear(&trouble);
}
END_TEST

UNIT_MAIN("trouble", each_cause_is_told_once_also_one_that_comes_behind_another,
        the_end_is_told_and_what_comes_after_it_is_told_again, what_comes_and_goes_is_told_once,
        a_text_that_is_never_the_same_fills_no_disk, the_status_has_what_is_wrong_now)
