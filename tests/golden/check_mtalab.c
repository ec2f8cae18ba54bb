/* The logs of tests/golden/postfix and tests/golden/sendmail, with what a milter saw in the same
 * runs, through the whole way from line and callback to event: whatever comes first, and wherever
 * the process is started anew.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/error.h"
#include "logtail/lines.h"
#include "milter/session.h"
#include "mime/headers.h"
#include "tests/unit/trace_script.h"

#define CUTS 40 /* restarts tried in each log */

static const char *const logs[] = {"postfix-short.log", "postfix-long.log", "postfix-expire.log",
        "postfix-rsyslog.log", "postfix-rsyslog-iso.log", "postfix-rsyslog-5424.log",
        "sendmail-ll9.log", "sendmail-ll9-iso.log", "sendmail-ll9-5424.log", "sendmail-ll14.log"};
static const char *const both[] = {
        "postfix-short", "postfix-long", "postfix-rsyslog", "sendmail-ll9", "sendmail-ll14"};
/* Logs of one run: the first of three forms. */
static const unsigned forms[] = {3, 6};
static const struct trace_config config = {
        .log_followed = true, .internal_relays = "127.0.0.1:10029"};

static char *golden(const char *name)
{
	const char *folder = g_str_has_prefix(name, "postfix") ? "postfix" : "sendmail";

	return g_build_filename(SOURCE_DIR, "tests", "golden", folder, name, NULL);
}

static char **lines_of(const char *name)
{
	g_autofree char *path = golden(name), *text = NULL;

	ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "cannot read %s", path);
	return g_strsplit(g_strchomp(text), "\n", -1);
}

/* ---- the log ---- */

static void observed(void *ctx, const struct observation *seen)
{
	trace_feed(ctx, seen);
}

static struct line_reader *reader_new(void)
{
	const struct line_reader_config lines = {
	        .zone = "UTC", .not_after = SCRIPT_DAY + 2 * CLOCK_DAY};
	struct line_reader *reader = line_reader_new(&lines, NULL);

	ck_assert_ptr_nonnull(reader);
	return reader;
}

static void read_lines(struct trace *trace, char **lines, unsigned from, unsigned to)
{
	struct line_reader *reader = reader_new();

	for (unsigned i = from; i < to; i++)
		line_reader_read(reader, slice_str(lines[i]), observed, trace);
	line_reader_free(&reader);
}

/* ---- the milter ---- */

struct milter {
	struct trace *trace;
	int64_t now;
	struct milter_shared *shared;
	GHashTable *sessions;  /* connection -> struct milter_session */
	GHashTable *envelopes; /* queue id -> "" */
};

static int64_t milter_now(void *ctx)
{
	return ((struct milter *)ctx)->now;
}

static int milter_observed(void *ctx, const struct observation *seen, bool wait)
{
	struct milter *milter = ctx;

	(void)wait;
	if (seen->kind == OBSERVATION_ENVELOPE)
		g_hash_table_add(milter->envelopes, slice_dup(seen->queue_id));
	trace_feed(milter->trace, seen);
	return 0;
}

static void session_free(gpointer p)
{
	struct milter_session *session = p;

	milter_session_free(&session);
}

static void milter_init(struct milter *milter, struct trace *trace)
{
	const struct milter_hooks hooks = {.ctx = milter,
	        .observed = milter_observed,
	        .now = milter_now,
	        .decode_text = mime_decode_text,
	        .first_address = mime_first_address,
	        .first_name = mime_first_name,
	        .each_address = mime_each_address};
	const struct milter_config listener = {.node = "mx", .instance = ""};

	*milter = (struct milter){.trace = trace};
	milter->shared = milter_shared_new(&listener, &hooks, NULL);
	milter->sessions = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, session_free);
	milter->envelopes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void milter_clear(struct milter *milter)
{
	g_hash_table_unref(milter->sessions);
	g_hash_table_unref(milter->envelopes);
	milter_shared_free(&milter->shared);
}

static struct milter_session *session_of(struct milter *milter, int64_t number)
{
	struct milter_session *session = g_hash_table_lookup(milter->sessions, &number);

	if (session == NULL) {
		session = milter_session_new(milter->shared);
		g_hash_table_insert(milter->sessions, g_memdup2(&number, sizeof(number)), session);
	}
	return session;
}

static const char *macro(const json_t *event, const char *name)
{
	return json_string_value(json_object_get(json_object_get(event, "m"), name));
}

static void arguments(const json_t *event, const char *argv[8])
{
	const json_t *args = json_object_get(event, "args");
	size_t n = MIN(json_array_size(args), 7);

	for (size_t i = 0; i < n; i++)
		argv[i] = json_string_value(json_array_get(args, i));
	argv[n] = NULL;
}

/* "name [ip]" of the macro "_". */
static void do_connect(struct milter_session *session, const json_t *event)
{
	struct slice client = slice_str(macro(event, "_"));

	slice_cut(&client, '[');
	g_autofree char *ip = slice_dup(slice_cut(&client, ']'));
	milter_session_connect(
	        session, json_string_value(json_object_get(event, "host")), ip, 4711);
}

static void do_header(struct milter_session *session, const json_t *event)
{
	struct slice value = slice_str(json_string_value(json_object_get(event, "h")));
	g_autofree char *name = slice_dup(slice_cut(&value, '|'));
	g_autofree char *text = slice_dup(value);

	milter_session_header(session, name, text);
}

static void do_event(struct milter *milter, const json_t *event)
{
	struct milter_session *session =
	        session_of(milter, json_integer_value(json_object_get(event, "conn")));
	const char *kind = json_string_value(json_object_get(event, "ev")), *argv[8];
	unsigned remove;

	milter->now = (int64_t)(json_real_value(json_object_get(event, "t")) * 1000);
	arguments(event, argv);
	if (strcmp(kind, "connect") == 0)
		do_connect(session, event);
	else if (strcmp(kind, "helo") == 0)
		milter_session_helo(session, json_string_value(json_object_get(event, "helo")));
	else if (strcmp(kind, "envfrom") == 0)
		milter_session_mail(session, argv, macro(event, "i"), macro(event, "{auth_authen}"),
		        macro(event, "{auth_type}"), macro(event, "{tls_version}"),
		        macro(event, "{cipher}"));
	else if (strcmp(kind, "envrcpt") == 0)
		milter_session_rcpt(session, argv, macro(event, "i"), macro(event, "{rcpt_mailer}"),
		        macro(event, "{rcpt_host}"), macro(event, "{rcpt_addr}"));
	else if (strcmp(kind, "header") == 0)
		do_header(session, event);
	else if (strcmp(kind, "eom") == 0)
		milter_session_end(session, macro(event, "i"), NULL, &remove);
	else if (strcmp(kind, "abort") == 0 || strcmp(kind, "close") == 0)
		milter_session_abort(session);
}

/* Callbacks [from, to) of the milter's record. */
static void do_events(struct milter *milter, char **events, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		json_t *event = json_loads(events[i], 0, NULL);
		ck_assert_ptr_nonnull(event);
		do_event(milter, event);
		json_decref(event);
	}
}

/* ---- both ---- */

enum order { LOG_FIRST, MILTER_FIRST, MILTER_BEHIND, MILTER_AHEAD, ORDERS };

/* Seconds of the log's day in a line of BSD form. */
static int64_t bsd_time(const char *line)
{
	int hour, minute, second;

	if (sscanf(line + 7, "%d:%d:%d", &hour, &minute, &second) != 3)
		return 0;
	return SCRIPT_DAY + (((hour * 60) + minute) * 60 + second) * CLOCK_SECOND;
}

static int64_t event_time(const char *event)
{
	const char *at = strstr(event, "\"t\":");

	return at != NULL ? (int64_t)(g_ascii_strtod(at + 4, NULL) * 1000) : 0;
}

/* Merges by time, the milter running behind or ahead of the log by a second. */
static void merge(struct milter *milter, char **lines, char **events, int64_t shift)
{
	struct line_reader *reader = reader_new();
	unsigned n = g_strv_length(lines), m = g_strv_length(events), next = 0;

	for (unsigned i = 0; i < n; i++) {
		while (next < m && event_time(events[next]) + shift <= bsd_time(lines[i])) {
			do_events(milter, events, next, next + 1);
			next++;
		}
		line_reader_read(reader, slice_str(lines[i]), observed, milter->trace);
	}
	do_events(milter, events, next, m);
	line_reader_free(&reader);
}

/* What the naive reader sees: whether a line "QUEUE-ID: from=<" (queue active) is in the log, or of
 * Sendmail a try or a place in its queue. */
static bool is_active(char **lines, const char *queue_id)
{
	g_autofree char *from = g_strdup_printf(": %s: from=<", queue_id);
	g_autofree char *to = g_strdup_printf(": %s: to=", queue_id);

	for (unsigned i = 0; lines[i] != NULL; i++)
		if ((strstr(lines[i], from) != NULL &&
		            strstr(lines[i], "(queue active)") != NULL) ||
		        (strstr(lines[i], to) != NULL && strstr(lines[i], ", mailer=") != NULL))
			return true;
	return false;
}

static unsigned count_events(const struct outcome *o, const char *type, const char *queue_id)
{
	unsigned n = 0;

	for (guint i = 0; i < o->events->len; i++) {
		g_autofree char *id = event_field(o->events->pdata[i], "queue_id");
		n += g_str_has_prefix(o->events->pdata[i], type) && strcmp(id, queue_id) == 0;
	}
	return n;
}

/* No message and recipient was injected twice. */
static void check_injected_once(const struct outcome *o)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < o->events->len; i++) {
		const char *event = o->events->pdata[i];
		if (!g_str_has_prefix(event, "injection"))
			continue;
		g_autofree char *id = event_field(event, "message_id");
		g_autofree char *to = event_field(event, "rcpt_to");
		ck_assert_msg(g_hash_table_add(seen, g_strconcat(id, " ", to, NULL)), "%s", event);
	}
}

static void check_envelopes(
        const struct outcome *o, struct milter *milter, char **lines, bool first)
{
	GHashTableIter iter;
	gpointer key;
	unsigned cancelled = 0;

	g_hash_table_iter_init(&iter, milter->envelopes);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		unsigned n = count_events(o, "injection", key);
		if (is_active(lines, key))
			ck_assert_msg(n > 0, "%s was active, but is not injected", (char *)key);
		else
			ck_assert_msg(n == 0, "%s was refused, but is injected", (char *)key);
		cancelled += !is_active(lines, key);
	}
	ck_assert_uint_gt(cancelled, 0);
	ck_assert_uint_eq(trace_counts(milter->trace).cancelled, cancelled);
	for (guint i = 0; i < o->events->len && first; i++) {
		g_autofree char *id = event_field(o->events->pdata[i], "queue_id");
		g_autofree char *helo = event_field(o->events->pdata[i], "helo");
		if (g_hash_table_contains(milter->envelopes, id) &&
		        !g_str_has_prefix(o->events->pdata[i], "policy_rejection"))
			ck_assert_msg(helo[0] != '\0', "%s", (char *)o->events->pdata[i]);
	}
}

static struct outcome *run_both(const char *name, enum order order)
{
	g_autofree char *log = g_strconcat(name, ".log", NULL);
	g_autofree char *record = g_strconcat(name, ".milter.jsonl", NULL);
	g_auto(GStrv) lines = lines_of(log);
	g_auto(GStrv) events = lines_of(record);
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);
	struct milter milter;

	milter_init(&milter, trace);
	if (order == MILTER_FIRST)
		do_events(&milter, events, 0, g_strv_length(events));
	if (order == LOG_FIRST || order == MILTER_FIRST)
		read_lines(trace, lines, 0, g_strv_length(lines));
	else
		merge(&milter, lines, events, order == MILTER_BEHIND ? 1000 : -1000);
	if (order == LOG_FIRST)
		do_events(&milter, events, 0, g_strv_length(events));
	trace_tick(trace, SCRIPT_DAY + 2 * CLOCK_HOUR);
	check_injected_once(o);
	check_envelopes(o, &milter, lines, order == MILTER_FIRST || order == MILTER_AHEAD);
	milter_clear(&milter);
	trace_free(&trace);
	return o;
}

/* ---- tests ---- */

static void check_ids(const struct outcome *have, const struct outcome *want, const char *what)
{
	GHashTableIter iter;
	gpointer id, text;

	g_hash_table_iter_init(&iter, want->known);
	while (g_hash_table_iter_next(&iter, &id, &text))
		ck_assert_msg(g_hash_table_contains(have->known, id), "%s: missing %s", what,
		        (char *)text);
	g_hash_table_iter_init(&iter, have->known);
	while (g_hash_table_iter_next(&iter, &id, &text))
		ck_assert_msg(g_hash_table_contains(want->known, id), "%s: too much %s", what,
		        (char *)text);
}

START_TEST(milter_and_log_make_the_same_events_in_every_order)
{
	for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
		struct outcome *want = run_both(both[i], MILTER_FIRST);
		for (int order = 0; order < ORDERS; order++) {
			struct outcome *o = run_both(both[i], (enum order)order);
			check_ids(o, want, both[i]);
			outcome_free(o);
		}
		outcome_free(want);
	}
}
END_TEST

/* First line of the second in which line `cut` - 1 was written. */
static unsigned reread_from(char **lines, unsigned cut)
{
	const char *last = lines[cut - 1];
	const char *colon = strchr(strchr(last, ':') + 1, ':'); /* HH:MM:SS */
	size_t n = (size_t)(colon - last) + 3;

	for (unsigned i = 0;; i++)
		if (strncmp(lines[i], last, n) == 0)
			return i;
}

static void check_restart(char **lines, const char *name, const struct outcome *want, unsigned cut)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);

	read_lines(trace, lines, 0, cut);
	trace_save(trace, outcome_put, o);
	trace_free(&trace);
	trace = trace_new(&config, &hooks, NULL);
	outcome_restore(o, trace);
	read_lines(trace, lines, reread_from(lines, cut), g_strv_length(lines));
	trace_free(&trace);
	g_autofree char *what = g_strdup_printf("%s, restart before line %u", name, cut + 1);
	check_ids(o, want, what);
	outcome_free(o);
}

START_TEST(a_restart_anywhere_in_a_log_changes_no_event)
{
	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *want = outcome_new();
		struct trace_hooks hooks = outcome_hooks(want);
		struct trace *trace = trace_new(&config, &hooks, NULL);

		read_lines(trace, lines, 0, n);
		trace_free(&trace);
		for (unsigned k = 1; k <= CUTS; k++)
			check_restart(lines, logs[i], want, 1 + (n - 1) * k / (CUTS + 1));
		outcome_free(want);
	}
}
END_TEST

START_TEST(the_same_log_in_another_form_has_the_same_identities)
{
	for (size_t run = 0; run < G_N_ELEMENTS(forms); run++) {
		struct outcome *o[3];
		for (unsigned i = 0; i < 3; i++) {
			g_auto(GStrv) lines = lines_of(logs[forms[run] + i]);
			o[i] = outcome_new();
			struct trace_hooks hooks = outcome_hooks(o[i]);
			struct trace *trace = trace_new(&config, &hooks, NULL);
			read_lines(trace, lines, 0, g_strv_length(lines));
			trace_free(&trace);
		}
		check_ids(o[1], o[0], "RFC 3339");
		check_ids(o[2], o[0], "RFC 5424");
		for (unsigned i = 0; i < 3; i++)
			outcome_free(o[i]);
	}
}
END_TEST

START_TEST(a_log_read_by_another_correlator_adds_nothing)
{
	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *o = outcome_new();
		struct trace_hooks hooks = outcome_hooks(o);
		for (unsigned run = 0; run < 3; run++) {
			/* The third begins in the middle, as a rotated file does. */
			struct trace *trace = trace_new(&config, &hooks, NULL);
			unsigned before = o->events->len;
			read_lines(trace, lines, run < 2 ? 0 : n / 2, n);
			trace_free(&trace);
			if (run > 0)
				ck_assert_msg(o->events->len == before, "%s: %s", logs[i],
				        (char *)o->events->pdata[before]);
		}
		outcome_free(o);
	}
}
END_TEST

/* Feeds lines [from[i], to[i]) as one stream; `what` names it. Nothing may come that `want` lacks.
 */
static void check_pieces(char **lines, const char *name, const struct outcome *want,
        const unsigned pieces[][2], unsigned n)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);

	for (unsigned i = 0; i < n; i++)
		read_lines(trace, lines, pieces[i][0], pieces[i][1]);
	trace_free(&trace);
	g_autofree char *what = g_strdup_printf(
	        "%s, lines to %u and from %u", name, pieces[0][1], pieces[n - 1][0]);
	check_ids(o, want, what);
	outcome_free(o);
}

static struct outcome *run_whole(char **lines)
{
	struct outcome *o = outcome_new();
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);

	read_lines(trace, lines, 0, g_strv_length(lines));
	trace_free(&trace);
	return o;
}

START_TEST(a_log_twice_in_one_stream_adds_nothing)
{
	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *want = run_whole(lines);

		check_pieces(lines, logs[i], want, (const unsigned[][2]){{0, n}, {0, n}}, 2);
		outcome_free(want);
	}
}
END_TEST

/* Piece by piece, each beginning some lines before the end of the one before. A piece that begins
 * with a refusal or repeats one line only cannot be told from lines that are equal. */
static bool can_tell(char **lines, unsigned from, unsigned to)
{
	return to - from > 1 && strstr(lines[from], "NOQUEUE") == NULL;
}

START_TEST(pieces_of_a_log_that_overlap_add_nothing)
{
	GRand *random = g_rand_new_with_seed(20261122);

	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *want = run_whole(lines);

		for (unsigned k = 0; k < CUTS; k++) {
			unsigned cut = (unsigned)g_rand_int_range(random, 2, (gint32)n);
			unsigned most = k % 2 ? cut : MIN(cut, 40);
			unsigned from = cut - (unsigned)g_rand_int_range(random, 0, (gint32)most);
			if (can_tell(lines, from, cut))
				check_pieces(lines, logs[i], want,
				        (const unsigned[][2]){{0, cut}, {from, n}}, 2);
		}
		outcome_free(want);
	}
	g_rand_free(random);
}
END_TEST

static unsigned count_lines(char **lines, const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; lines[i] != NULL; i++)
		n += strstr(lines[i], text) != NULL;
	return n;
}

/* As many events, so no message has two births. But a mail that postsuper -r gave another queue id
 * is one of its own where its first id is not known yet, and an expiry tells no recipients where
 * their deferrals are not known yet. */
static void check_number(
        const struct outcome *o, const struct outcome *want, char **lines, const char *what)
{
	unsigned linked = count_lines(lines, "orig_id=");
	unsigned expired = count_lines(lines, "status=expired") +
	                   count_lines(lines, ": Cannot send message for");

	ck_assert_msg(o->events->len + expired >= want->events->len &&
	                      o->events->len <= want->events->len + linked,
	        "%s: %u events, not %u", what, o->events->len, want->events->len);
}

static void read_with(struct outcome *o, char **lines, unsigned from, unsigned to)
{
	struct trace_hooks hooks = outcome_hooks(o);
	struct trace *trace = trace_new(&config, &hooks, NULL);

	read_lines(trace, lines, from, to);
	trace_free(&trace);
}

START_TEST(the_last_part_of_a_log_and_then_the_whole_make_as_many_events)
{
	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *want = run_whole(lines);

		for (unsigned k = 1; k <= CUTS; k++) {
			unsigned cut = n * k / (CUTS + 1);
			struct outcome *o = outcome_new();
			read_with(o, lines, cut, n);
			read_with(o, lines, 0, n);
			g_autofree char *what =
			        g_strdup_printf("%s, from line %u", logs[i], cut + 1);
			check_number(o, want, lines, what);
			outcome_free(o);
		}
		outcome_free(want);
	}
}
END_TEST

START_TEST(the_newer_part_of_a_log_before_the_older_one_makes_as_many_events)
{
	for (size_t i = 0; i < G_N_ELEMENTS(logs); i++) {
		g_auto(GStrv) lines = lines_of(logs[i]);
		unsigned n = g_strv_length(lines);
		struct outcome *want = run_whole(lines);

		for (unsigned k = 1; k <= CUTS; k++) {
			unsigned cut = n * k / (CUTS + 1);
			struct outcome *o = outcome_new();
			struct trace_hooks hooks = outcome_hooks(o);
			struct trace *trace = trace_new(&config, &hooks, NULL);
			read_lines(trace, lines, cut, n);
			read_lines(trace, lines, 0, cut);
			trace_free(&trace);
			g_autofree char *what =
			        g_strdup_printf("%s, from line %u", logs[i], cut + 1);
			check_number(o, want, lines, what);
			outcome_free(o);
		}
		outcome_free(want);
	}
}
END_TEST

UNIT_MAIN("mtalab", the_newer_part_of_a_log_before_the_older_one_makes_as_many_events,
        the_last_part_of_a_log_and_then_the_whole_make_as_many_events,
        a_log_twice_in_one_stream_adds_nothing, pieces_of_a_log_that_overlap_add_nothing,
        milter_and_log_make_the_same_events_in_every_order,
        a_restart_anywhere_in_a_log_changes_no_event,
        the_same_log_in_another_form_has_the_same_identities,
        a_log_read_by_another_correlator_adds_nothing)
