/* Bounce rules: their file, their verdicts on replies of all kinds, and hostile ones. */
#include "event/classify.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "event/lru.h"
#include "event/plain.h"
#include "event/reason_rules.h"
#include "event/rulefile.h"
#include "tests/support/unit.h"

static int class_of(const char *text)
{
	const struct failure failure = {.text = slice_str(text)};

	return classifier_class(classifier_default(), &failure)->bounce_class;
}

/* ---- our rules ---- */

START_TEST(each_reply_of_the_table_has_its_class)
{
	g_autofree char *path =
	        g_build_filename(SOURCE_DIR, "tests/golden/replies/replies.tsv", NULL);
	g_autofree char *text = NULL;
	unsigned rows = 0;

	ck_assert(g_file_get_contents(path, &text, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		char *tab = strchr(*line, '\t');
		if (**line == '#' || tab == NULL)
			continue;
		*tab = '\0';
		ck_assert_msg(class_of(tab + 1) == atoi(*line), "%s is %d, not %s", tab + 1,
		        class_of(tab + 1), *line);
		rows++;
	}
	ck_assert_uint_gt(rows, 150);
}
END_TEST

/* Sendmail logs "User unknown" for any 5yz to RCPT. */
START_TEST(the_code_decides_what_sendmails_summary_means)
{
	static const struct {
		const char *dsn, *text;
		int class;
	} rows[] = {
	        {"5.1.1", "User unknown", 10},
	        {"5.2.1", "User unknown", 10},
	        {"5.7.1", "User unknown", 50},
	        {"5.7.26", "User unknown", 50},
	        {"5.2.2", "User unknown", 22},
	        {"5.2.3", "User unknown", 23},
	        {"5.3.2", "User unknown", 20},
	        {"5.4.6", "User unknown", 20},
	        {"5.4.4", "User unknown", 21},
	        {"", "User unknown", 10},
	        /* These words are the receiver's. */
	        {"5.7.1", "550 User unknown", 10},
	        {"5.7.1", "User unknown in local recipient table", 10},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct failure failure = {
		        .text = slice_str(rows[i].text), .dsn = slice_str(rows[i].dsn)};
		int class = classifier_class(classifier_default(), &failure)->bounce_class;
		ck_assert_msg(
		        class == rows[i].class, "%s %s is %d", rows[i].dsn, rows[i].text, class);
	}
}
END_TEST

START_TEST(all_twenty_classes_are_told)
{
	g_autofree char *path =
	        g_build_filename(SOURCE_DIR, "tests/golden/replies/replies.tsv", NULL);
	g_autofree char *text = NULL;
	static const int codes[] = {
	        1, 10, 20, 21, 22, 23, 24, 25, 30, 40, 50, 51, 52, 53, 54, 60, 70, 80, 90, 100};

	ck_assert(g_file_get_contents(path, &text, NULL, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		g_autofree char *row = g_strdup_printf("\n%d\t", codes[i]);
		ck_assert_msg(strstr(text, row) != NULL, "no reply of class %d", codes[i]);
	}
}
END_TEST

START_TEST(hosts_addresses_and_urls_are_no_words)
{
	ck_assert_int_eq(class_of("host mta5.am0.yahoodns.example[192.0.2.1] said: 550 5.1.1 no "
	                          "such user"),
	        10);
	ck_assert_int_eq(
	        class_of("550 5.1.1 <blacklist@spam.example>: Recipient address rejected: User "
	                 "unknown"),
	        10);
	ck_assert_int_eq(
	        class_of("552 5.2.2 mailbox full, see https://example.org/spam/policy"), 22);
	ck_assert_int_eq(
	        class_of("connect to mx.mailbox-full.example[192.0.2.1]:25: Connection refused"),
	        24);
}
END_TEST

START_TEST(codes_decide_where_words_say_nothing)
{
	const struct failure rows[] = {
	        {.dsn = SLICE("5.2.2"), .code = SLICE("552")},
	        {.text = SLICE("host mx.example[192.0.2.1] said: 450 hm"), .dsn = SLICE("4.0.0")},
	        {.text = SLICE("550 5.1.1")},
	        {.text = SLICE("554 5.0.0 hm")},
	        {.text = SLICE("421 hm")},
	        {.text = SLICE("")},
	        {.text = SLICE("5.4.4")},
	        {.text = SLICE("x"), .dsn = SLICE("5.3.4")},
	};
	static const int want[] = {22, 70, 10, 1, 70, 1, 21, 23};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		ck_assert_msg(
		        classifier_class(classifier_default(), &rows[i])->bounce_class == want[i],
		        "row %zu: %s", i, classifier_class(classifier_default(), &rows[i])->name);
}
END_TEST

START_TEST(an_expired_message_has_the_class_of_its_last_temporary_reply)
{
#define EXPIRED(TEXT) class_of("554 5.4.7 [internal] message timeout (last transfail: " TEXT ")")
	ck_assert_int_eq(EXPIRED("452 4.2.2 mailbox full"), 22);
	ck_assert_int_eq(EXPIRED("connect to mx.example[192.0.2.1]:25: Connection timed out"), 24);
	ck_assert_int_eq(EXPIRED("450 4.7.1 Greylisted, come back later"), 70);
	ck_assert_int_eq(EXPIRED("Host or domain name not found. Name service error for "
	                         "name=example.com type=MX: Host not found, try again"),
	        21);
	ck_assert_int_eq(EXPIRED("421 4.4.0 hm (really)"), 70);
	ck_assert_int_eq(EXPIRED(""), 24);
}
END_TEST

START_TEST(a_verdict_names_rule_file_and_line)
{
	const struct failure failure = {.text = SLICE("552 5.2.2 mailbox is full")};
	const struct bounce_rule *rule = classifier_class(classifier_default(), &failure);
	g_autofree char *path = g_build_filename(SOURCE_DIR, "schema/bounce-rules", NULL);
	g_autofree char *text = NULL;

	ck_assert_str_eq(rule->name, "mailbox-full");
	ck_assert_str_eq(rule->file, "bounce-rules");
	ck_assert(g_file_get_contents(path, &text, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	ck_assert_str_eq(lines[rule->line - 1], "mailbox-full 22");
}
END_TEST

/* ---- rules of the user ---- */

static struct classifier *with_rules(const char *bounce, const char *reason, struct error *err)
{
	g_autofree char *bounce_path = NULL, *reason_path = NULL;
	struct classifier *classifier;

	if (bounce != NULL) {
		close(g_file_open_tmp("bounce-XXXXXX", &bounce_path, NULL));
		g_file_set_contents(bounce_path, bounce, -1, NULL);
	}
	if (reason != NULL) {
		close(g_file_open_tmp("reason-XXXXXX", &reason_path, NULL));
		g_file_set_contents(reason_path, reason, -1, NULL);
	}
	classifier = classifier_new(bounce_path, reason_path, err);
	if (bounce_path != NULL)
		g_unlink(bounce_path);
	if (reason_path != NULL)
		g_unlink(reason_path);
	return classifier;
}

static void check_rule(struct classifier *classifier, struct failure failure, const char *want)
{
	/* The second time from the cache. */
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(classifier_class(classifier, &failure)->name, want);
}

START_TEST(rules_of_the_user_go_before_ours)
{
	struct error err = {0};
	struct classifier *classifier = with_rules("# ours\n"
	                                           "\n"
	                                           "word partner /partner\\.example/\n"
	                                           "by-dsn 25 dsn=5.9.?,5.8.*\n"
	                                           "by-code 25 code=55*,421 /teapot/\n"
	                                           "by-no-code 25 code=421,none /samovar/\n"
	                                           "by-host 25 mx=*.mx.example\n"
	                                           "by-phase 25 phase=helo\n"
	                                           "by-words 25\n"
	                                           "\t/alpha/\n"
	                                           "\t# a comment within\n"
	                                           "\t/beta/ +/gamma\\/1/ -/delta/\n"
	                                           "named 25 /<partner>/\n",
	        NULL, &err);

	ck_assert_msg(classifier != NULL, "%s", err.text);
	check_rule(
	        classifier, (struct failure){.text = SLICE("x"), .dsn = SLICE("5.9.1")}, "by-dsn");
	check_rule(classifier, (struct failure){.text = SLICE("550 5.8.30 x")}, "by-dsn");
	check_rule(classifier, (struct failure){.text = SLICE("550 I am a Teapot")}, "by-code");
	check_rule(
	        classifier, (struct failure){.text = SLICE("451 I am a teapot")}, "code-temporary");
	check_rule(classifier, (struct failure){.text = SLICE("samovar")}, "by-no-code");
	check_rule(classifier, (struct failure){.text = SLICE("550 samovar")}, "undetermined");
	check_rule(classifier,
	        (struct failure){.text = SLICE("550 user unknown"), .mx = SLICE("A.MX.example")},
	        "by-host");
	check_rule(classifier,
	        (struct failure){.text = SLICE("550 user unknown"), .mx = SLICE("mx.example")},
	        "user-unknown");
	check_rule(classifier,
	        (struct failure){.text = SLICE("host x[192.0.2.1] said: 550 no (in reply to EHLO "
	                                       "command)")},
	        "by-phase");
	check_rule(classifier, (struct failure){.text = SLICE("alpha gamma/1")}, "by-words");
	check_rule(classifier, (struct failure){.text = SLICE("beta gamma/1")}, "by-words");
	check_rule(classifier, (struct failure){.text = SLICE("beta gamma")}, "undetermined");
	check_rule(
	        classifier, (struct failure){.text = SLICE("beta gamma/1 delta")}, "undetermined");
	check_rule(classifier, (struct failure){.text = SLICE("see https://www.partner.example/x")},
	        "named");
	classifier_free(&classifier);
}
END_TEST

START_TEST(globs_and_what_they_are_compared_with_may_be_any_bytes)
{
	/* GLib looks at the end of such a glob first. */
	const char *rules =
	        "odd 10 dsn=?.gs*Mtp\xc3\xc3\xc3 /x/\nours 25 mx=m*-?.far.example /x/\n";
	struct error err = {0};
	struct classifier *classifier = with_rules(rules, NULL, &err);

	ck_assert_msg(classifier != NULL, "%s", err.text);
	check_rule(classifier, (struct failure){.text = SLICE("x"), .mx = SLICE("m-1.far.example")},
	        "ours");
	check_rule(classifier,
	        (struct failure){.text = SLICE("x"), .mx = SLICE("m\xc3\xc3.far.example\xc3\xc3")},
	        "undetermined");
	classifier_free(&classifier);
}
END_TEST

START_TEST(mistakes_in_a_rule_file_are_told_with_file_and_line)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *about;
	} rows[] = {
	        {"a 10 /x/\nb 11 /x/\n", 2, "no bounce class"},
	        {"a\n", 1, "no bounce class"},
	        {"a ten /x/\n", 1, "no bounce class"},
	        {"\n\na 10 /x\n", 3, "does not end"},
	        {"a 10 //\n", 1, "empty"},
	        {"a 10 /(/\n", 1, "missing terminating )"},
	        {"a 10\n /ok/\n +/[/\n", 1, "missing terminating ]"},
	        {"a 10 dns=5.*\n", 1, "neither dsn="},
	        {"a 10 dsn=\n", 1, "empty"},
	        {"a 10 dsn=5.1.1 dsn=5.1.2\n", 1, "twice"},
	        {"word\n", 1, "needs: word"},
	        {"word x\n", 1, "needs: word"},
	        {"word x y\n", 1, "no /pattern/"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};
		g_autofree char *line = g_strdup_printf(":%u: ", rows[i].line);
		ck_assert_ptr_null(with_rules(rows[i].text, NULL, &err));
		ck_assert_msg(
		        strstr(err.text, line) != NULL && strstr(err.text, rows[i].about) != NULL,
		        "\"%s\": %s", rows[i].text, err.text);
		ck_assert_ptr_nonnull(strstr(err.text, "bounce-"));
	}
}
END_TEST

START_TEST(mistakes_in_reason_rules_are_told_with_file_and_line)
{
	static const char *const rows[] = {
	        "a\n", "a has=x\n", "a /x\n", "a /x/y\n", "a //y/\n", "a /(/y/\n", "a /x/y/ z\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct error err = {0};
		ck_assert_ptr_null(with_rules(NULL, rows[i], &err));
		ck_assert_msg(strstr(err.text, ":1: ") != NULL, "\"%s\": %s", rows[i], err.text);
	}
}
END_TEST

START_TEST(a_file_that_is_missing_is_an_error)
{
	struct error err = {0};

	ck_assert_ptr_null(classifier_new("/nonexistent/rules", NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/rules"));
	error_clear(&err);
	ck_assert_ptr_null(classifier_new(NULL, "/nonexistent/rules", &err));
	ck_assert(err.set);
}
END_TEST

START_TEST(reason_rules_of_the_user_go_before_ours)
{
	struct error err = {0};
	struct classifier *classifier = with_rules(NULL,
	        "ticket has=ticket has=Ticket /(?i)(ticket) (\\d+)\\/(\\d)/\\1 \\\\n:\\3\\/\\9/\n",
	        &err);
	g_autoptr(GString) out = g_string_new(NULL);

	ck_assert_msg(classifier != NULL, "%s", err.text);
	classifier_reason(classifier, out, SLICE("550 Ticket 12/3 of a@b.example"));
	ck_assert_str_eq(out->str, "550 Ticket \\\\n:3/ of ...@...");
	classifier_free(&classifier);
}
END_TEST

/* ---- renewing ---- */

START_TEST(a_stored_failure_gets_class_and_reason_anew)
{
	g_autoptr(GString) scratch = g_string_new(NULL);
	struct event event = {.type = EVENT_BOUNCE};

	event.field[FIELD_RAW_REASON] = SLICE("552 5.2.2 <a@b.example>: mailbox full");
	event.field[FIELD_REASON] = SLICE("old");
	event.field[FIELD_BOUNCE_CLASS] = SLICE("1");
	ck_assert(classifier_renew(classifier_default(), &event, scratch));
	ck_assert(slice_eq(event.field[FIELD_BOUNCE_CLASS], SLICE("22")));
	ck_assert(slice_eq(event.field[FIELD_REASON], SLICE("552 5.2.2 ...@... mailbox full")));
	struct event same = event;
	g_autoptr(GString) other = g_string_new(NULL);
	ck_assert(!classifier_renew(classifier_default(), &same, other));
}
END_TEST

START_TEST(what_we_refused_keeps_its_class_and_a_delivery_all)
{
	g_autoptr(GString) scratch = g_string_new(NULL);
	struct event event = {.type = EVENT_POLICY_REJECTION};

	event.field[FIELD_RAW_REASON] = SLICE("552 5.2.2 <a@b.example>: mailbox full");
	event.field[FIELD_REASON] = SLICE("old");
	event.field[FIELD_BOUNCE_CLASS] = SLICE("25");
	ck_assert(classifier_renew(classifier_default(), &event, scratch));
	ck_assert(slice_eq(event.field[FIELD_BOUNCE_CLASS], SLICE("25")));
	event = (struct event){.type = EVENT_DELIVERY};
	event.field[FIELD_RAW_REASON] = SLICE("250 ok");
	ck_assert(!classifier_renew(classifier_default(), &event, scratch));
	ck_assert_ptr_null(event.field[FIELD_REASON].p);
}
END_TEST

/* ---- words of a reply ---- */

static const char *namer(const void *ctx, struct slice what)
{
	return slice_find(what, slice_str(ctx)) >= 0 ? "named" : NULL;
}

START_TEST(a_reply_is_reduced_to_its_words)
{
	static const struct {
		const char *reply, *want;
	} rows[] = {
	        {"", ""},
	        {" \r\n ", ""},
	        {"550 5.1.1 User Unknown", "user unknown"},
	        {"550-5.1.1 not\r\n550-5.1.1 here\r\n550 5.1.1 now.", "not here now."},
	        {"550-No", "no"},
	        {"host mx.example.com[192.0.2.1] said: no", "host <host>[<ip>] said: no"},
	        {"[2001:db8::1]:25: <a@b.example>: no", "[<ip>]:25: <addr>: no"},
	        {"from ::ffff:192.0.2.1 x", "from <ip> x"},
	        {"see https://a.example/x?y=1.", "see <url>."},
	        {"see (www.a.example/x)", "see (<url>)"},
	        {"wait.Please try", "wait.please try"},
	        {"id 4Yx7hB1234567890 of 123456", "id <id> of <n>"},
	        {"(#5.7.1) is 12", "(#) is 12"},
	        {"at bl.named.example", "at <named>"},
	        {"a.b@named.example:", "<named>:"},
	        {"1.2.3.4.5 1.2.3", "1.2.3.4.5 1.2.3"},
	        {"a - b -- c...", "a - b -- c..."},
	        {"@", "<addr>"},
	        {"://", "://"},
	        {"\xff\xfe caf\xc3\xa9", "\xff\xfe caf\xc3\xa9"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		plain_reply(out, slice_str(rows[i].reply), namer, "named");
		ck_assert_str_eq(out->str, rows[i].want);
	}
}
END_TEST

START_TEST(codes_are_found_in_a_reply)
{
	static const struct {
		const char *reply, *code, *dsn;
	} rows[] = {
	        {"550 5.1.1 x", "550", "5.1.1"},
	        {"host x[192.0.2.1] said: 450-4.2.2 x", "450", "4.2.2"},
	        {"smtp;550 #5.7.1", "550", "5.7.1"},
	        {"421 x", "421", ""},
	        {"(#5.1.10)", "", "5.1.10"},
	        {"250 2.0.0 ok", "", ""},
	        {"5.1 5..1 5.1.1.1 5.1.1234 1234 499x 999", "", ""},
	        {"", "", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct slice code, dsn;
		plain_codes(slice_str(rows[i].reply), &code, &dsn);
		ck_assert_msg(slice_eq(code, slice_str(rows[i].code)) &&
		                      slice_eq(dsn, slice_str(rows[i].dsn)),
		        "%s: %.*s %.*s", rows[i].reply, SLICE_ARG(code), SLICE_ARG(dsn));
	}
}
END_TEST

/* ---- the cache ---- */

START_TEST(the_cache_forgets_what_was_not_asked_for_longest)
{
	struct lru *lru = lru_new(3, 100000);
	g_autoptr(GString) value = g_string_new(NULL);

	lru_put(lru, SLICE("a"), SLICE("1"));
	lru_put(lru, SLICE("b"), SLICE("2"));
	lru_put(lru, SLICE("c"), SLICE(""));
	ck_assert(lru_get(lru, SLICE("a"), value));
	lru_put(lru, SLICE("d"), SLICE("4"));
	ck_assert(!lru_get(lru, SLICE("b"), value));
	ck_assert(lru_get(lru, SLICE("c"), value));
	lru_put(lru, SLICE("a"), SLICE("5"));
	ck_assert(lru_get(lru, SLICE("a"), value));
	ck_assert_str_eq(value->str, "15");
	lru_free(&lru);
	lru_free(&lru);
}
END_TEST

START_TEST(the_cache_keeps_to_its_bytes)
{
	struct lru *lru = lru_new(1000, 64 * 200);
	g_autofree char *large = g_strnfill(201, 'x');
	g_autoptr(GString) value = g_string_new(NULL);
	unsigned kept = 0;

	lru_put(lru, slice_str(large), SLICE("1"));
	ck_assert(!lru_get(lru, slice_str(large), value));
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < 500; i++) {
			g_autofree char *key = g_strdup_printf("%0100u", i);
			if (pass == 0)
				lru_put(lru, slice_str(key), SLICE("1"));
			else
				kept += lru_get(lru, slice_str(key), value);
		}
	ck_assert_uint_gt(kept, 30);
	ck_assert_uint_lt(kept, 128);
	lru_free(&lru);
}
END_TEST

/* ---- hostile text ---- */

static void check_quick(const char *what, const char *text, size_t n)
{
	const struct failure failure = {.text = slice_make(text, n)};
	g_autoptr(GString) out = g_string_new(NULL);
	gint64 start = g_get_monotonic_time();

	classifier_class(classifier_default(), &failure);
	classifier_reason(classifier_default(), out, failure.text);
	/* Milliseconds; the bound leaves room for a busy machine with sanitizers. */
	gint64 took = (g_get_monotonic_time() - start) / 1000;
	ck_assert_msg(took < 2000, "%s took %d ms", what, (int)took);
}

START_TEST(long_rows_of_the_same_bytes_are_read_in_bounded_time)
{
	static const char *const pieces[] = {"a", " ", "@", ".", "-", ":", "<", "/", "1", "a.",
	        "a ", "a@", "1.", "::", "user ", "no such ", "mailbox over ", "message ", "[a",
	        "User ", "exceed ", "not ", "the ", "recipient address ", "550-5.1.1 ", "\xff",
	        "http://", "name=", "2024-01-01T00:00:00", "a-", "_", "(", "user user@x ",
	        "quota exceeds the "};
	enum { SIZE = 65536 };

	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		g_autoptr(GString) text = g_string_new(NULL);
		while (text->len < SIZE)
			g_string_append(text, pieces[i]);
		check_quick(pieces[i], text->str, text->len);
	}
	g_autofree char *zeros = g_malloc0(SIZE);
	check_quick("NUL", zeros, SIZE);
}
END_TEST

START_TEST(a_pattern_that_explodes_gives_up)
{
	struct error err = {0};
	struct classifier *classifier = with_rules("bad 25 /^(a+)+$/\n", NULL, &err);
	g_autoptr(GString) text = g_string_new(NULL);

	ck_assert_msg(classifier != NULL, "%s", err.text);
	for (int i = 0; i < 3000; i++)
		g_string_append_c(text, 'a');
	g_string_append_c(text, '!');
	const struct failure failure = {.text = slice_make(text->str, text->len)};
	gint64 start = g_get_monotonic_time();
	ck_assert_str_ne(classifier_class(classifier, &failure)->name, "bad");
	ck_assert_int_lt(g_get_monotonic_time() - start, 2 * G_USEC_PER_SEC);
	classifier_free(&classifier);
}
END_TEST

static gpointer ask_much(gpointer seed)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(GPOINTER_TO_UINT(seed));

	for (int i = 0; i < 2000; i++) {
		g_autofree char *text = g_strdup_printf(
		        "552 5.2.2 mailbox x%dx full", g_rand_int_range(random, 0, 50));
		if (class_of(text) != 22)
			return GINT_TO_POINTER(1);
	}
	return NULL;
}

START_TEST(threads_may_ask_at_once)
{
	GThread *threads[4];

	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("ask", ask_much, GUINT_TO_POINTER(i + 1));
	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		ck_assert_ptr_null(g_thread_join(threads[i]));
}
END_TEST

/* clang-format off */
UNIT_MAIN("classify",
	each_reply_of_the_table_has_its_class,
	the_code_decides_what_sendmails_summary_means,
	all_twenty_classes_are_told,
	hosts_addresses_and_urls_are_no_words,
	codes_decide_where_words_say_nothing,
	an_expired_message_has_the_class_of_its_last_temporary_reply,
	a_verdict_names_rule_file_and_line,
	rules_of_the_user_go_before_ours,
	globs_and_what_they_are_compared_with_may_be_any_bytes,
	mistakes_in_a_rule_file_are_told_with_file_and_line,
	mistakes_in_reason_rules_are_told_with_file_and_line,
	a_file_that_is_missing_is_an_error,
	reason_rules_of_the_user_go_before_ours,
	a_stored_failure_gets_class_and_reason_anew,
	what_we_refused_keeps_its_class_and_a_delivery_all,
	a_reply_is_reduced_to_its_words,
	codes_are_found_in_a_reply,
	the_cache_forgets_what_was_not_asked_for_longest,
	the_cache_keeps_to_its_bytes,
	long_rows_of_the_same_bytes_are_read_in_bounded_time,
	a_pattern_that_explodes_gives_up,
	threads_may_ask_at_once)
