/* The state of open messages: restarts, bounds, damage. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/unit/trace_script.h"

/* All that can happen to mails, over some time. */
static const char *const story[] = {
        "10 A1 client ip=192.0.2.1 port=4711",
        "10 A1 mid id=<m1@x.example>",
        "10 A1 env rcpt=B@y.example,c@y.example subject=Hello",
        "10 A2 client ip=192.0.2.1",
        "11 A1 active from=s@x.example size=321",
        "11 A2 mid id=<m2@x.example>",
        "11 A2 active from=s@x.example size=322",
        "11 A1 sent to=B@y.example relay=192.0.2.9:25",
        "11 A1 deferred to=c@y.example code=450 dsn=4.2.1 reason=450_4.2.1_busy",
        "12 A2 deferred to=d@y.example code=450 dsn=4.2.1 reason=450_4.2.1_busy",
        "12 A2 deferred to=d@y.example code=450 dsn=4.2.1 reason=450_4.2.1_busy",
        "12 A2 deferred to=e@y.example orig=List@x.example code=451",
        "12 - reject stage=RCPT to=z@y.example ip=192.0.2.3 code=550",
        "12 - reject stage=RCPT to=z@y.example ip=192.0.2.3 code=550",
        /* refused after our milter */
        "13 R1 client ip=192.0.2.1",
        "13 R1 env rcpt=q@y.example subject=Bad",
        "13 R1 mid id=<r@x.example>",
        "13 R1 reject stage=END-OF-MESSAGE to=q@y.example code=550",
        /* through a filter that speaks XFORWARD */
        "20 F1 client ip=192.0.2.1",
        "20 F1 mid id=<f@x.example>",
        "20 F1 env rcpt=f@y.example subject=Filtered",
        "20 F1 active from=s@x.example size=10",
        "21 G1 client ip=127.0.0.1 old=F1",
        "21 G1 mid id=<f@x.example>",
        "21 G1 active from=s@x.example size=20",
        "21 F1 sent to=f@y.example relay=127.0.0.1:10024 new=G1",
        "21 F1 removed",
        "22 G1 deferred to=f@y.example code=450",
        /* through one that does not */
        "30 H1 client ip=192.0.2.1",
        "30 H1 mid id=<h@x.example>",
        "30 H1 active from=s@x.example size=10",
        "31 I1 client ip=127.0.0.1",
        "31 I1 mid id=<h@x.example>",
        "31 I1 active from=s@x.example size=20",
        "31 H1 sent to=h@y.example relay=127.0.0.1:10024 new=I1",
        "31 H1 removed",
        "31 I1 sent to=h@y.example relay=192.0.2.9:25",
        "31 I1 removed",
        /* a bounce and its notification */
        "40 A2 bounced to=d@y.example dsn=5.1.1 code=550 reason=550_no",
        "40 N1 mid id=<n1@x.example>",
        "40 N1 active from= size=5",
        "40 A2 bounce-child new=N1",
        "41 N1 sent to=s@x.example service=local",
        "41 N1 removed",
        /* a short id again, within a second */
        "42 N1 client ip=192.0.2.1",
        "42 N1 active from=t@x.example size=6",
        "42 N1 sent to=u@y.example",
        "42 N1 removed",
        /* requeued, then too old; a recipient that was told of late */
        "50 P1 pickup from=s@x.example old=A1",
        "50 P1 mid id=<m1@x.example>",
        "50 P1 active from=s@x.example size=321",
        "51 P1 deferred to=c@y.example code=450 dsn=4.2.1 reason=450_4.2.1_busy",
        "60 A2 expired from=s@x.example",
        "60 A2 removed",
        "61 P1 expired from=s@x.example",
        "61 P1 removed",
        "62 G1 sent to=f@y.example relay=192.0.2.9:25",
        "62 G1 removed",
        /* the log never tells of this one */
        "63 L1 env rcpt=l@y.example subject=Lost",
        "70 U1 client ip=192.0.2.1",
        "70 U1 active from=s@x.example size=5",
        "70 U1 removed",
        "150 - tick",
        NULL,
};

static gint by_text(gconstpointer a, gconstpointer b)
{
	return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

static void check_same_events(
        const struct outcome *have, const struct outcome *want, const char *when, unsigned cut)
{
	g_autoptr(GPtrArray) a = g_ptr_array_copy(have->events, NULL, NULL);
	g_autoptr(GPtrArray) b = g_ptr_array_copy(want->events, NULL, NULL);

	g_ptr_array_set_free_func(a, NULL);
	g_ptr_array_set_free_func(b, NULL);
	g_ptr_array_sort(a, by_text);
	g_ptr_array_sort(b, by_text);
	for (guint i = 0; i < MAX(a->len, b->len); i++) {
		const char *x = i < a->len ? a->pdata[i] : "(none)";
		const char *y = i < b->len ? b->pdata[i] : "(none)";
		ck_assert_msg(strcmp(x, y) == 0, "%s before line %u (%s)\nhave %s\nwant %s", when,
		        cut, story[cut] != NULL ? story[cut] : "end", x, y);
	}
}

static bool of_log(unsigned i)
{
	return strstr(story[i], " env ") == NULL;
}

/* The first line of the second of the last line before `cut`: where a follower starts again. */
static unsigned reread_from(unsigned cut)
{
	unsigned last = cut;

	while (last > 0 && !of_log(last - 1))
		last--;
	if (last == 0)
		return 0;
	for (unsigned i = 0;; i++)
		if (of_log(i) && atoi(story[i]) == atoi(story[last - 1]))
			return i;
}

/* Runs the story with an end of the process at `cut`; with `often`, state is saved after each line
 * before, as a live daemon does, else only at the end, as an import does. */
static struct outcome *run_cut(const struct trace_config *config, unsigned cut, bool often)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(config, &hooks, NULL);

	for (unsigned i = 0; i < cut; i++) {
		script_feed(trace, story[i]);
		if (often)
			trace_save(trace, outcome_put, o);
	}
	trace_save(trace, outcome_put, o);
	trace_free(&trace);

	trace = trace_new(config, &hooks, NULL);
	outcome_restore(o, trace);
	for (unsigned i = reread_from(cut); i < cut; i++)
		if (of_log(i))
			script_feed(trace, story[i]);
	for (unsigned i = cut; story[i] != NULL; i++)
		script_feed(trace, story[i]);
	trace_free(&trace);
	return o;
}

START_TEST(the_story_holds_what_the_other_tests_rely_on)
{
	struct outcome *o = script_run(NULL, story);
	unsigned types[EVENT_TYPES] = {0};

	for (guint i = 0; i < o->events->len; i++) {
		struct slice text = slice_str(o->events->pdata[i]);
		types[event_type_by_name(slice_cut(&text, ' '))]++;
	}
	ck_assert_uint_eq(o->repeated, 0);
	ck_assert_uint_eq(types[EVENT_INJECTION], 10);
	ck_assert_uint_eq(types[EVENT_DELIVERY], 5);
	ck_assert_uint_eq(types[EVENT_DELAY], 6);
	ck_assert_uint_eq(types[EVENT_BOUNCE], 3);
	ck_assert_uint_eq(types[EVENT_POLICY_REJECTION], 3);
	outcome_free(o);
}
END_TEST

START_TEST(a_restart_between_any_two_lines_changes_no_event)
{
	const struct trace_config *config = script_config(NULL);
	struct outcome *whole = script_run(config, story);

	for (unsigned cut = 0; cut < G_N_ELEMENTS(story); cut++)
		for (unsigned often = 0; often < 2; often++) {
			struct outcome *o = run_cut(config, cut, often);
			check_same_events(o, whole, often ? "often saved" : "saved once", cut);
			outcome_free(o);
		}
	outcome_free(whole);
}
END_TEST

/* A mail of queue id A that a filter hands back as B, whose recipient is an alias. */
#define FILTERED(A, B) \
	"5400 " A " client ip=192.0.2.1", "5400 " A " mid id=<m1@x.example>", \
	        "5400 " A " active from=s@x.example size=321", \
	        "5410 " B " client ip=127.0.0.1 old=" A, "5411 " B " mid id=<m1@x.example>", \
	        "5411 " B " active from=s@x.example size=500", \
	        "5411 " A " sent to=b@y.example relay=127.0.0.1:10024 new=" B, \
	        "5411 " A " removed", "5412 " B " sent to=c@y.example relay=192.0.2.9:25", \
	        "5413 " B " removed"
#define FORGOTTEN "9000 Z9 note", NULL

/* By then all is forgotten; what is read again may begin amid the mail. */
START_TEST(a_restart_long_after_a_mail_adds_nothing)
{
	const char *const mails[][12] = {{FILTERED("A1", "B1"), FORGOTTEN},
	        {FILTERED("4jX9Ts1Lf2z1d9CQ", "4jX9Ts1Lf3z1d9CR"), FORGOTTEN},
	        {FILTERED("6AM1TGGl011049", "6AM1TGGm011050"), FORGOTTEN},
	        /* Sendmail's clock was wrong: the id tells no time of its life */
	        {"5400 jB88DhoI021864 refused to=a@y.example stage=RCPT reason=User_unknown",
	                "5402 jB88DhoI021864 client from=s@x.example size=3 nrcpt=1",
	                "5403 jB88DhoI021864 sent to=b@y.example relay=192.0.2.9:25", FORGOTTEN}};

	for (size_t m = 0; m < G_N_ELEMENTS(mails); m++) {
		for (unsigned from = 0; mails[m][from + 1] != NULL; from++) {
			struct outcome *o = script_run(NULL, mails[m]);
			struct trace_hooks hooks = outcome_hooks(o);
			struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
			unsigned events = o->events->len;

			ck_assert_uint_ge(events, 2);
			for (unsigned i = from; mails[m][i + 1] != NULL; i++)
				script_feed(trace, mails[m][i]);
			ck_assert_msg(o->events->len == events, "%s from line %u adds %s",
			        mails[m][0], from, (char *)o->events->pdata[o->events->len - 1]);
			trace_free(&trace);
			outcome_free(o);
		}
	}
}
END_TEST

#define NOTICE(ID) \
	"5400 " ID " client ip=192.0.2.1", "5400 " ID " mid id=<m1@x.example>", \
	        "5400 " ID " active from= size=321", \
	        "5400 " ID " bounced to=b@y.example code=550", "5400 " ID " removed"

/* A line that was read has gone with its file; the others of the second are read again. */
START_TEST(a_restart_after_lines_have_gone_adds_nothing)
{
	const char *const mails[][8] = {{NOTICE("A1"), FORGOTTEN},
	        {NOTICE("4jX9Ts1Lf2z1d9CQ"), FORGOTTEN}, {NOTICE("6AM1TGGl011049"), FORGOTTEN}};

	for (size_t m = 0; m < G_N_ELEMENTS(mails); m++) {
		for (unsigned from = 0; from < 4; from++) {
			struct outcome *o = script_run(NULL, mails[m]);
			struct trace_hooks hooks = outcome_hooks(o);
			struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

			for (unsigned i = from; i < 5; i++)
				if (i != 3)
					script_feed(trace, mails[m][i]);
			check_events(o, WANT("injection b@y.example", "bounce b@y.example"));
			trace_free(&trace);
			outcome_free(o);
		}
	}
}
END_TEST

START_TEST(a_restart_after_a_clock_was_set_back_amid_a_mail_parts_it_not)
{
	static const char *const lines[] = {"10 A1 client ip=192.0.2.1",
	        "10 A1 mid id=<m1@x.example>", "3 A1 active from=s@x.example size=321",
	        "3 A1 deferred to=b@y.example code=450", NULL};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

	for (unsigned i = 0; lines[i] != NULL; i++)
		script_feed(trace, lines[i]);
	trace_save(trace, outcome_put, o);
	trace_free(&trace);
	trace = trace_new(script_config(NULL), &hooks, NULL);
	outcome_restore(o, trace);
	for (unsigned i = 1; lines[i] != NULL; i++)
		script_feed(trace, lines[i]);
	script_feed(trace, "20 A1 sent to=b@y.example");
	trace_free(&trace);
	check_events(o, WANT("injection b@y.example", "delay b@y.example", "delivery b@y.example"));
	check_field(o, 2, "remote_addr", "192.0.2.1");
	outcome_free(o);
}
END_TEST

/* The follower of a log of yesterday waits for the next lines: its clock is not that of the log. */
START_TEST(an_old_log_that_grows_is_read_as_one_that_is_whole)
{
	static const char *const lines[] = {"10 A1 client ip=192.0.2.1",
	        "10 A1 mid id=<m1@x.example>", "10 A1 active from=s@x.example size=321",
	        "11 A1 bounced to=c@y.example code=550 dsn=5.1.1", "11 A1 removed",
	        "11 A1 bounce-child new=N1", "11 N1 mid id=<n1@x.example>",
	        "11 N1 active from= size=600", "12 N1 sent to=s@x.example", "12 N1 removed", NULL};
	struct outcome *whole = script_run(NULL, lines), *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);

	hooks.find_birth = NULL; /* nothing is committed yet */
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
	for (unsigned i = 0; lines[i] != NULL; i++) {
		script_feed(trace, lines[i]);
		script_feed(trace, "90000 - tick");
	}
	trace_free(&trace);
	ck_assert_uint_eq(o->events->len, 4);
	for (guint i = 0; i < o->events->len; i++)
		ck_assert_str_eq(o->events->pdata[i], whole->events->pdata[i]);
	outcome_free(o);
	outcome_free(whole);
}
END_TEST

START_TEST(a_line_fed_twice_adds_nothing_but_its_own_event)
{
	struct outcome *whole = script_run(NULL, story);

	for (unsigned twice = 0; story[twice] != NULL; twice++) {
		const char *lines[G_N_ELEMENTS(story) + 1];
		unsigned n = 0;
		for (unsigned i = 0; story[i] != NULL; i++) {
			lines[n++] = story[i];
			/* An equal line within the second is another fact: those have no place
			 * here. */
			if (i == twice && strstr(story[i], "to=") == NULL &&
			        strstr(story[i], "expired") == NULL)
				lines[n++] = story[i];
		}
		lines[n] = NULL;
		struct outcome *o = script_run(NULL, lines);
		check_same_events(o, whole, "twice", twice);
		outcome_free(o);
	}
	outcome_free(whole);
}
END_TEST

START_TEST(messages_beyond_the_bound_wait_in_the_state_store)
{
	static const struct trace_config small = {.log_followed = true, .max_open = 1};
	struct outcome *whole = script_run(NULL, story), *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&small, &hooks, NULL);

	for (unsigned i = 0; story[i] != NULL; i++) {
		script_feed(trace, story[i]);
		trace_save(trace, outcome_put, o);
		ck_assert_uint_le(trace_counts(trace).open, 4);
	}
	check_same_events(o, whole, "bounded", G_N_ELEMENTS(story) - 1);
	trace_free(&trace);
	outcome_free(o);
	outcome_free(whole);
}
END_TEST

START_TEST(memory_is_bounded_where_nobody_saves_state)
{
	static const struct trace_config small = {.log_followed = true, .max_open = 100};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&small, &hooks, NULL);

	for (unsigned i = 0; i < 3000; i++) {
		g_autofree char *line =
		        g_strdup_printf("%u Q%u client ip=192.0.2.1", 10 + i / 10, i);
		script_feed(trace, line);
		ck_assert_uint_le(trace_counts(trace).open, 1201);
	}
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

START_TEST(ended_messages_leave_no_state_behind)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

	for (unsigned i = 0; story[i] != NULL; i++) {
		script_feed(trace, story[i]);
		trace_save(trace, outcome_put, o);
	}
	script_feed(trace, "500 Z9 note");
	trace_save(trace, outcome_put, o);
	/* What only the milter saw stays open for late lines, and what was learned stays. */
	ck_assert_uint_eq(trace_counts(trace).open, 1);
	ck_assert_uint_eq(g_hash_table_size(o->state), 2);
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

static bool names_y(void *ctx, struct slice text)
{
	(void)ctx;
	return text.n > 0 && memmem(text.p, text.n, "y.example", strlen("y.example")) != NULL;
}

static bool state_names_y(GHashTable *state)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, state);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		gsize n;
		const char *bytes = g_bytes_get_data(value, &n);
		if (names_y(NULL, slice_make(bytes, n)))
			return true;
	}
	return false;
}

/* The second of the script in which each mail was first seen, as what is saved tells it. */
static unsigned check_since(GHashTable *state)
{
	GHashTableIter iter;
	gpointer name, value;
	unsigned mails = 0;

	g_hash_table_iter_init(&iter, state);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		gsize n, size;
		const char *key = g_bytes_get_data(name, &n);
		const char *bytes = g_bytes_get_data(value, &size);
		int64_t since = trace_saved_since(slice_make(key, n), slice_make(bytes, size));
		if (key[0] == 'S') {
			ck_assert_int_eq(since, INT64_MAX);
			continue;
		}
		bool is_a = memmem(key, n, "A1", 2) != NULL, is_l = memmem(key, n, "L1", 2) != NULL;
		ck_assert_int_ge(since, SCRIPT_DAY + 10 * CLOCK_SECOND);
		ck_assert_int_lt(since, SCRIPT_DAY + 71 * CLOCK_SECOND);
		if (is_a || is_l)
			ck_assert_int_eq(since / CLOCK_SECOND * CLOCK_SECOND,
			        SCRIPT_DAY + (is_a ? 10 : 63) * CLOCK_SECOND);
		mails += is_a ? 1 : is_l && key[0] == 'E' ? 100 : 0;
	}
	return mails;
}

START_TEST(what_is_saved_tells_since_when_a_mail_is_known)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
	unsigned mails = 0;

	for (unsigned i = 0; story[i] != NULL; i++) {
		script_feed(trace, story[i]);
		trace_save(trace, outcome_put, o);
		mails += check_since(o->state);
	}
	ck_assert_uint_gt(mails % 100, 5); /* messages */
	ck_assert_uint_gt(mails / 100, 0); /* envelopes */
	trace_free(&trace);
	outcome_free(o);
	ck_assert_int_eq(trace_saved_since(SLICE(""), SLICE("")), INT64_MAX);
	ck_assert_int_eq(trace_saved_since(SLICE("M"), SLICE("\x02")), 0);
}
END_TEST

START_TEST(what_names_somebody_is_forgotten_at_any_line)
{
	unsigned held = 0, forgotten = 0;

	for (unsigned lines = 1; story[lines] != NULL; lines++) {
		struct outcome *o = outcome_new();
		struct trace_hooks hooks = outcome_hooks(o);
		struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
		for (unsigned i = 0; i < lines; i++)
			script_feed(trace, story[i]);
		trace_save(trace, outcome_put, o);
		held += state_names_y(o->state);
		forgotten += trace_forget(trace, names_y, NULL);
		trace_save(trace, outcome_put, o);
		ck_assert_msg(!state_names_y(o->state), "after line %u", lines);
		ck_assert_uint_eq(trace_forget(trace, names_y, NULL), 0);
		/* And it goes on. */
		for (unsigned i = lines; story[i] != NULL; i++)
			script_feed(trace, story[i]);
		trace_free(&trace);
		outcome_free(o);
	}
	ck_assert_uint_gt(held, 10);
	ck_assert_uint_ge(forgotten, held);
}
END_TEST

START_TEST(who_was_refused_is_known_after_a_restart)
{
	static const struct trace_config with_milter = {.log_followed = true, .milter = true};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&with_milter, &hooks, NULL);

	script_feed(trace, "10 A1 client ip=192.0.2.1");
	script_feed(trace, "10 A1 reject stage=RCPT to=c@y.example ip=192.0.2.1 code=550");
	trace_save(trace, outcome_put, o);
	trace_free(&trace);
	trace = trace_new(&with_milter, &hooks, NULL);
	outcome_restore(o, trace);
	script_feed(trace, "10 A1 env rcpt=b@y.example,c@y.example");
	script_feed(trace, "11 A1 active from=s@x.example size=321");
	check_events(o, WANT("policy_rejection c@y.example", "injection b@y.example"));
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

START_TEST(that_filters_are_at_work_is_known_after_a_restart)
{
	static const char *const lines[] = {"10 A1 client ip=127.0.0.1",
	        "10 A1 mid id=<m1@x.example>", "10 A1 active from=s@x.example size=321",
	        "11 B1 client ip=127.0.0.1", "11 B1 mid id=<m1@x.example>",
	        "11 B1 active from=s@x.example size=500",
	        "12 B1 sent to=b@y.example relay=192.0.2.9:25", "12 B1 removed",
	        "12 A1 sent to=b@y.example relay=127.0.0.1:10024 new=B1", "12 A1 removed",
	        "900 Z9 note"};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);

	for (unsigned run = 0; run < 2; run++) {
		struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
		outcome_restore(o, trace);
		for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
			g_autofree char *line = g_strconcat(run ? "1" : "", lines[i], NULL);
			script_feed(trace, line);
		}
		trace_save(trace, outcome_put, o);
		trace_free(&trace);
		ck_assert_uint_eq(g_hash_table_size(o->state), 1);
	}
	/* The first mail came from this host, as programs' copies do. */
	check_events(
	        o, WANT("injection b@y.example", "delivery b@y.example", "injection b@y.example",
	                   "delivery b@y.example", "injection b@y.example"));
	outcome_free(o);
}
END_TEST

/* The day file was committed and the state was not: the store knows the birth, which this very line
 * told. */
START_TEST(a_mail_whose_beginning_is_read_again_is_known_from_its_beginning)
{
	static const char *const lines[] = {"10 A1 mid id=<m1@x.example>",
	        "10 A1 active from=s@x.example size=1 nrcpt=2", "10 A1 sent to=b@y.example",
	        "11 A1 sent to=c@y.example"};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);

	for (size_t n = 3; n <= 4; n++) {
		struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
		for (size_t i = 0; i < n; i++)
			script_feed(trace, lines[i]);
		trace_free(&trace);
	}
	check_events(o, WANT("injection b@y.example", "delivery b@y.example",
	                        "injection c@y.example", "delivery c@y.example"));
	check_field(o, 3, "num_retries", "0");
	outcome_free(o);
}
END_TEST

START_TEST(that_a_milter_is_at_work_is_known_after_a_restart)
{
	static const struct trace_config config = {.log_followed = true, .milter = true};
	static const char *const runs[][8] = {
	        {"10 A1 env rcpt=b@y.example subject=Hi", "10 A1 client ip=192.0.2.1",
	                "10 A1 active from=s@x.example size=1", "11 A1 sent to=b@y.example"},
	        {"900 A2 client ip=192.0.2.1", "900 A2 active from=s@x.example size=1",
	                "901 A2 sent to=b@y.example"}};
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);

	for (unsigned run = 0; run < 2; run++) {
		struct trace *trace = trace_new(&config, &hooks, NULL);
		outcome_restore(o, trace);
		for (size_t i = 0; runs[run][i] != NULL; i++)
			script_feed(trace, runs[run][i]);
		trace_save(trace, outcome_put, o);
		trace_free(&trace);
		ck_assert_uint_eq(o->missed, run);
	}
	outcome_free(o);
}
END_TEST

START_TEST(a_mail_that_comes_and_goes_between_two_saves_is_never_written)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);

	script_feed(trace, "10 A1 client ip=192.0.2.1");
	script_feed(trace, "10 A1 active from=a@b size=1");
	script_feed(trace, "10 A1 sent to=c@d");
	script_feed(trace, "10 A1 removed");
	trace_save(trace, outcome_put, o);
	ck_assert_uint_eq(o->puts, 0);
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

/* Restores a changed copy of a value; whatever comes, nothing may break. */
static void try_damaged(struct slice key, const char *value, gsize n)
{
	const struct trace_hooks hooks = {0};
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
	g_autofree char *copy = g_memdup2(value, n);

	trace_restore(trace, key, slice_make(copy, n), NULL);
	script_feed(trace, "90 A2 sent to=e@y.example");
	script_feed(trace, "90 A2 expired from=x");
	script_feed(trace, "90 A2 removed");
	script_feed(trace, "400 - tick");
	trace_free(&trace);
}

START_TEST(damaged_state_is_refused_and_breaks_nothing)
{
	struct outcome *o = run_cut(script_config(NULL), 30, true);
	const struct trace_hooks hooks = {0};
	GHashTableIter iter;
	gpointer key, value;

	ck_assert_uint_gt(g_hash_table_size(o->state), 0);
	g_hash_table_iter_init(&iter, o->state);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		struct slice name, text;
		name.p = g_bytes_get_data(key, &name.n);
		text.p = g_bytes_get_data(value, &text.n);
		struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
		for (size_t n = 0; n < text.n; n++) {
			struct error err = {0};
			ck_assert_int_eq(trace_restore(trace, name, slice_head(text, n), &err), -1);
			ck_assert(err.set);
		}
		ck_assert_int_eq(
		        trace_restore(trace, slice_head(name, name.n - 1), text, NULL), -1);
		ck_assert_int_eq(trace_restore(trace, SLICE(""), text, NULL), -1);
		trace_free(&trace);
		g_autofree char *copy = g_memdup2(text.p, text.n);
		for (size_t i = 0; i < text.n; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				copy[i] ^= (char)(1 << bit);
				try_damaged(name, copy, text.n);
				copy[i] ^= (char)(1 << bit);
			}
	}
	outcome_free(o);
}
END_TEST

START_TEST(state_of_another_version_is_refused)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(script_config(NULL), &hooks, NULL);
	GHashTableIter iter;
	gpointer key, value;

	script_feed(trace, story[0]);
	trace_save(trace, outcome_put, o);
	g_hash_table_iter_init(&iter, o->state);
	ck_assert(g_hash_table_iter_next(&iter, &key, &value));
	struct slice name, text;
	name.p = g_bytes_get_data(key, &name.n);
	text.p = g_bytes_get_data(value, &text.n);
	g_autofree char *copy = g_memdup2(text.p, text.n);
	copy[0] = 99;
	ck_assert_int_eq(trace_restore(trace, name, slice_make(copy, text.n), NULL), -1);
	ck_assert_int_eq(trace_restore(trace, name, text, NULL), 0); /* known already: ignored */
	trace_free(&trace);
	outcome_free(o);
}
END_TEST

static char *random_line(GRand *random, int64_t *time)
{
	static const char *const kinds[] = {"client ip=192.0.2.1", "client ip=127.0.0.1",
	        "client ip=127.0.0.1 old=B", "pickup from=a@b", "pickup from=a@b old=A",
	        "mid id=<1@x>", "mid id=<2@x>", "active from=a@b size=1", "active from= size=2",
	        "sent to=x@y", "sent to=z@y orig=x@y", "deferred to=x@y reason=450_no code=450",
	        "sent to=x@y relay=127.0.0.1:10024 new=C",
	        "sent to=x@y relay=127.0.0.1:10024 new=A", "forwarded to=x@y new=D",
	        "bounced to=x@y dsn=5.1.1", "probe to=x@y", "expired", "removed", "cancel",
	        "reject stage=RCPT to=x@y", "reject stage=DATA to=x@y", "note",
	        "bounce-child new=B", "env rcpt=x@y,w@y subject=s", "env rcpt=x@y vague=1",
	        "env rcpt=q@y instance=out", "sent to=x@y instance=out", "tick"};
	static const int64_t steps[] = {0, 0, 0, 0, 1, 1, 5, -1, -3, 70, 130, -4000, 4000};

	*time = MAX(1, *time + steps[g_rand_int_range(random, 0, G_N_ELEMENTS(steps))]);
	return g_strdup_printf("%" G_GINT64_FORMAT " %c %s", *time,
	        (char)('A' + g_rand_int_range(random, 0, 5)),
	        kinds[g_rand_int_range(random, 0, G_N_ELEMENTS(kinds))]);
}

START_TEST(lines_in_no_sensible_order_break_nothing)
{
	static const struct trace_config small = {
	        .log_followed = true, .max_open = 2, .message_age = CLOCK_HOUR};
	GRand *random = g_rand_new_with_seed(20261122);

	for (unsigned run = 0; run < 100; run++) {
		struct outcome *o = outcome_new();
		struct trace_hooks hooks = outcome_hooks(o);
		struct trace *trace =
		        trace_new(run % 2 ? &small : script_config(NULL), &hooks, NULL);
		int64_t time = 10000;

		for (unsigned i = 0; i < 400; i++) {
			g_autofree char *line = random_line(random, &time);
			script_feed(trace, line);
			if (g_rand_int_range(random, 0, 4) == 0)
				trace_save(trace, outcome_put, o);
			if (g_rand_int_range(random, 0, 40) != 0)
				continue;
			trace_save(trace, outcome_put, o);
			trace_free(&trace);
			trace = trace_new(script_config(NULL), &hooks, NULL);
			outcome_restore(o, trace);
		}
		trace_free(&trace);
		outcome_free(o);
	}
	g_rand_free(random);
}
END_TEST

UNIT_MAIN("trace_state", the_story_holds_what_the_other_tests_rely_on,
        a_restart_between_any_two_lines_changes_no_event, a_restart_long_after_a_mail_adds_nothing,
        a_restart_after_lines_have_gone_adds_nothing,
        a_restart_after_a_clock_was_set_back_amid_a_mail_parts_it_not,
        an_old_log_that_grows_is_read_as_one_that_is_whole,
        a_line_fed_twice_adds_nothing_but_its_own_event,
        messages_beyond_the_bound_wait_in_the_state_store,
        memory_is_bounded_where_nobody_saves_state, ended_messages_leave_no_state_behind,
        what_is_saved_tells_since_when_a_mail_is_known,
        what_names_somebody_is_forgotten_at_any_line, who_was_refused_is_known_after_a_restart,
        that_filters_are_at_work_is_known_after_a_restart,
        that_a_milter_is_at_work_is_known_after_a_restart,
        a_mail_whose_beginning_is_read_again_is_known_from_its_beginning,
        a_mail_that_comes_and_goes_between_two_saves_is_never_written,
        damaged_state_is_refused_and_breaks_nothing, state_of_another_version_is_refused,
        lines_in_no_sensible_order_break_nothing)
