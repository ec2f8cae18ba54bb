/* The rules against logs of a real Postfix with ground truth (tests/golden/postfix), and against
 * logs and lines of other people (../shared/corpora, which stay there). */

#include "logtail/lines.h"

#include <glib.h>
#include <jansson.h>

#include "tests/support/unit.h"

#define NOT_AFTER INT64_C(1795392000000) /* 2026-11-23T00:00:00Z */

/* A log and the observation of each line; slices point into `bytes`. */
struct log {
	char *bytes;
	GArray *lines; /* struct observation */
};

static void keep(void *ctx, const struct observation *seen)
{
	g_array_append_vals(ctx, seen, 1);
}

static struct log read_text(char *bytes, size_t n)
{
	struct log log = {bytes, g_array_new(FALSE, FALSE, sizeof(struct observation))};
	struct line_reader_config config = {.zone = "UTC", .node = "n", .not_after = NOT_AFTER};
	struct line_reader *reader = line_reader_new(&config, NULL);
	struct slice rest = slice_make(bytes, n);
	guint count = 0;

	while (rest.n > 0) {
		line_reader_read(reader, slice_cut(&rest, '\n'), keep, log.lines);
		/* A line of Sendmail may give several: the first stands for it. */
		ck_assert_uint_gt(log.lines->len, count++);
		g_array_set_size(log.lines, count);
	}
	line_reader_free(&reader);
	return log;
}

static struct log read_log(const char *path)
{
	gsize n;
	char *bytes;

	ck_assert_msg(g_file_get_contents(path, &bytes, &n, NULL), "%s cannot be read", path);
	return read_text(bytes, n);
}

static void log_free(struct log *log)
{
	g_array_free(log->lines, TRUE);
	g_free(log->bytes);
}

static const struct observation *line_of(const struct log *log, json_int_t number)
{
	ck_assert_int_ge(number, 1);
	ck_assert_int_le(number, log->lines->len);
	return &g_array_index(log->lines, struct observation, number - 1);
}

static char *golden(const char *name)
{
	return g_build_filename(SOURCE_DIR, "tests/golden/postfix", name, NULL);
}

static char *shared(const char *name)
{
	const char *root = g_getenv("PW_SHARED");

	if (root != NULL)
		return g_build_filename(root, "corpora", name, NULL);
	return g_build_filename(SOURCE_DIR, "../shared/corpora", name, NULL);
}

static bool is(struct slice got, const char *want)
{
	return slice_eq(got, slice_str(want != NULL ? want : ""));
}

static const char *status_name(const struct observation *seen)
{
	static const char *const names[] = {"sent", "deferred", "bounced", "probe"};

	return seen->kind == OBSERVATION_ATTEMPT ? names[seen->status] : "";
}

/* relay=host[ip]:port again, as far as it is a host. */
static char *relay_text(const struct observation *seen)
{
	GString *text = g_string_new(NULL);

	g_string_append_printf(text, "%.*s", SLICE_ARG(seen->relay_host));
	if (seen->relay_ip.p != NULL)
		g_string_append_printf(text, "[%.*s]", SLICE_ARG(seen->relay_ip));
	if (seen->relay_port.p != NULL)
		g_string_append_printf(text, ":%.*s", SLICE_ARG(seen->relay_port));
	return g_string_free(text, FALSE);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* One delivery line as an independent reader saw it. */
static void check_attempt(
        const struct log *log, const char *scenario, const char *recipient, const json_t *want)
{
	const struct observation *seen =
	        line_of(log, json_integer_value(json_object_get(want, "line")));
	const char *status = text_of(want, "status");
	g_autofree char *relay = relay_text(seen);

	if (strstr(status, "deliverable") != NULL)
		status = "probe";
	ck_assert_msg(strcmp(status_name(seen), status) == 0, "%s: status %s", scenario,
	        status_name(seen));
	ck_assert_msg(is(seen->to, recipient), "%s: to %.*s", scenario, SLICE_ARG(seen->to));
	ck_assert_msg(is(seen->dsn, text_of(want, "dsn")), "%s: dsn", scenario);
	ck_assert_msg(is(seen->orig_to, text_of(want, "orig_to")), "%s: orig_to", scenario);
	if (strchr(text_of(want, "relay"), '[') != NULL)
		ck_assert_msg(strcmp(relay, text_of(want, "relay")) == 0, "%s: relay %s", scenario,
		        relay);
	else
		ck_assert_msg(relay[0] == '\0', "%s: relay %s", scenario, relay);
}

/* The lines of one scenario; marks the queue ids that it explains. */
static void check_scenario(const struct log *log, const json_t *scenario, GHashTable *explained)
{
	json_t *list, *attempt, *child;
	const char *recipient;
	size_t i;
	const char *id = json_string_value(json_object_get(scenario, "queue_id"));

	if (id != NULL)
		g_hash_table_add(explained, g_strdup(id));
	json_array_foreach(
	        json_object_get(scenario, "children"), i, child) if (json_is_string(child))
	        g_hash_table_add(explained, g_strdup(json_string_value(child)));
	else g_hash_table_add(explained, g_strdup(text_of(child, "queue_id")));
	json_object_foreach(json_object_get(scenario, "observed"), recipient, list)
	        json_array_foreach(list, i, attempt)
	                check_attempt(log, text_of(scenario, "case"), recipient, attempt);
}

/* All scenarios of `run` in the log of one form of it. */
static void check_log(const char *file, const char *run)
{
	g_autofree char *path = golden(file);
	g_autofree char *truth = golden("expected.jsonl");
	g_autofree char *text = NULL;
	g_autoptr(GHashTable) explained =
	        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct log log = read_log(path);
	int scenarios = 0;

	ck_assert(g_file_get_contents(truth, &text, NULL, NULL));
	g_auto(GStrv) rows = g_strsplit(text, "\n", -1);
	for (char **row = rows; *row != NULL && (*row)[0] != '\0'; row++) {
		json_t *scenario = json_loads(*row, 0, NULL);
		ck_assert_ptr_nonnull(scenario);
		if (strcmp(text_of(scenario, "log"), run) == 0) {
			check_scenario(&log, scenario, explained);
			scenarios++;
		}
		json_decref(scenario);
	}
	ck_assert_int_gt(scenarios, 5);
	for (guint i = 0; i < log.lines->len; i++) {
		const struct observation *seen = &g_array_index(log.lines, struct observation, i);
		ck_assert_msg(seen->kind != OBSERVATION_UNPARSED, "%s:%u unparsed: %.*s", file,
		        i + 1, SLICE_ARG(seen->line.text));
		if (seen->kind == OBSERVATION_CHILD || seen->link != CHILD_NONE) {
			g_hash_table_add(explained, slice_dup(seen->new_queue_id));
			continue;
		}
		/* postsuper -r gave a scenario's message a new id. */
		if (seen->kind == OBSERVATION_PICKUP && seen->orig_queue_id.p != NULL)
			g_hash_table_add(explained, slice_dup(seen->queue_id));
		/* Probes are no mail: no scenario sent them. */
		if (seen->kind != OBSERVATION_ATTEMPT || seen->status == ATTEMPT_PROBE)
			continue;
		g_autofree char *id = slice_dup(seen->queue_id);
		ck_assert_msg(g_hash_table_contains(explained, id), "%s:%u is nobody's: %.*s", file,
		        i + 1, SLICE_ARG(seen->line.text));
	}
	log_free(&log);
}

START_TEST(every_delivery_of_the_short_log_is_as_expected)
{
	check_log("postfix-short.log", "postfix-short.log");
}
END_TEST

START_TEST(every_delivery_of_the_long_log_is_as_expected)
{
	check_log("postfix-long.log", "postfix-long.log");
}
END_TEST

START_TEST(every_delivery_of_the_log_with_expiry_is_as_expected)
{
	check_log("postfix-expire.log", "postfix-expire.log");
}
END_TEST

START_TEST(every_delivery_is_as_expected_in_all_forms_of_syslog)
{
	check_log("postfix-rsyslog.log", "postfix-rsyslog.log");
	check_log("postfix-rsyslog-iso.log", "postfix-rsyslog.log");
	check_log("postfix-rsyslog-5424.log", "postfix-rsyslog.log");
}
END_TEST

static void check_same(const struct observation *a, const struct observation *b, guint line)
{
	const struct {
		struct slice a, b;
	} pairs[] = {{a->queue_id, b->queue_id}, {a->new_queue_id, b->new_queue_id},
	        {a->orig_queue_id, b->orig_queue_id}, {a->from, b->from}, {a->to, b->to},
	        {a->orig_to, b->orig_to}, {a->relay_host, b->relay_host},
	        {a->relay_ip, b->relay_ip}, {a->relay_port, b->relay_port}, {a->dsn, b->dsn},
	        {a->code, b->code}, {a->reason, b->reason}, {a->stage, b->stage},
	        {a->client_host, b->client_host}, {a->client_ip, b->client_ip},
	        {a->sasl_username, b->sasl_username}, {a->helo, b->helo},
	        {a->message_id, b->message_id}, {a->uid, b->uid}, {a->line.text, b->line.text},
	        {a->line.pid, b->line.pid}};

	ck_assert_msg(a->kind == b->kind && a->status == b->status && a->link == b->link &&
	                      a->size == b->size && a->nrcpt == b->nrcpt &&
	                      a->delay_ms == b->delay_ms &&
	                      a->line.time / 1000 == b->line.time / 1000,
	        "line %u differs: %.*s", line, SLICE_ARG(a->line.text));
	for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
		ck_assert_msg(slice_eq(pairs[i].a, pairs[i].b), "line %u, field %zu differs: %.*s",
		        line, i, SLICE_ARG(a->line.text));
}

START_TEST(the_three_forms_of_one_run_tell_the_same)
{
	g_autofree char *bsd_path = golden("postfix-rsyslog.log");
	g_autofree char *iso_path = golden("postfix-rsyslog-iso.log");
	g_autofree char *new_path = golden("postfix-rsyslog-5424.log");
	struct log bsd = read_log(bsd_path), iso = read_log(iso_path), new = read_log(new_path);

	ck_assert_uint_eq(bsd.lines->len, iso.lines->len);
	ck_assert_uint_eq(bsd.lines->len, new.lines->len);
	for (guint i = 0; i < bsd.lines->len; i++) {
		check_same(line_of(&bsd, i + 1), line_of(&iso, i + 1), i + 1);
		check_same(line_of(&bsd, i + 1), line_of(&new, i + 1), i + 1);
	}
	log_free(&bsd);
	log_free(&iso);
	log_free(&new);
}
END_TEST

/* The publishers' words for what a line is, where it is an event. */
static const char *event_kind(const struct observation *seen)
{
	static const char *const attempts[] = {"delivery", "delay", "bounce", "probe"};

	if (seen->kind == OBSERVATION_ATTEMPT)
		return attempts[seen->status];
	return seen->kind == OBSERVATION_REJECT ? "policy_rejection" : "none";
}

static bool is_event(const char *kind)
{
	static const char *const kinds[] = {"delivery", "delay", "bounce", "policy_rejection"};

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

struct score {
	int found, wanted, wrong;
};

/* The fields of `expect` that we have under another name, or the same; others are not compared. */
static bool fields_fit(const struct observation *seen, const json_t *expect)
{
	const struct {
		const char *name;
		struct slice got;
	} fields[] = {{"from", seen->from}, {"orig_to", seen->orig_to},
	        {"relay_host", seen->relay_host}, {"relay_ip", seen->relay_ip},
	        {"relay_port", seen->relay_port}, {"dsn", seen->dsn}, {"reason", seen->reason},
	        {"client_host", seen->client_host}, {"client_port", seen->client_port},
	        {"stage", seen->stage}, {"code", seen->code}, {"xdsn", seen->dsn},
	        {"proto", seen->proto}, {"helo", seen->helo}};
	const json_t *to = json_array_get(json_object_get(expect, "to"), 0);

	if (json_is_string(to) && !is(seen->to, json_string_value(to)))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		const json_t *want = json_object_get(expect, fields[i].name);
		if (json_is_string(want) && !is(fields[i].got, json_string_value(want)))
			return false;
	}
	return true;
}

/* A case with a kind that is no event, which is one all the same: tls= came with Postfix 3.11,
 * after the reader that made the expectations. */
static bool is_newer(const char *id)
{
	return strncmp(id, "grok/tls_features_", 18) == 0;
}

static void score_case(const char *row, struct score *score)
{
	json_t *one = json_loads(row, 0, NULL);
	const json_t *expect = json_object_get(one, "expect");
	const char *kind = text_of(expect, "kind");

	ck_assert_ptr_nonnull(one);
	if (strcmp(text_of(expect, "mta"), "postfix") == 0 &&
	        !json_is_true(json_object_get(one, "ambiguous"))) {
		char *line = g_strdelimit(g_strdup(text_of(one, "line")), "\n", ' ');
		struct log log = read_text(line, strlen(line));
		const struct observation *seen = line_of(&log, 1);
		bool fits = strcmp(event_kind(seen), kind) == 0 && fields_fit(seen, expect);
		score->wanted += is_event(kind);
		score->found += is_event(kind) && fits;
		if (is_event(event_kind(seen)) && !fits && !is_newer(text_of(one, "id"))) {
			printf("%s: wanted %s, got %s\n", text_of(one, "id"), kind,
			        event_kind(seen));
			score->wrong++;
		}
		log_free(&log);
	}
	json_decref(one);
}

START_TEST(single_lines_of_other_people_are_scored)
{
	g_autofree char *root = shared("loglines");
	g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
	struct score score = {0};
	const char *name;

	if (dir == NULL) {
		printf("skipped: no %s\n", root);
		return;
	}
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(root, name, "cases.jsonl", NULL);
		g_autofree char *text = NULL;
		ck_assert(g_file_get_contents(path, &text, NULL, NULL));
		g_auto(GStrv) rows = g_strsplit(text, "\n", -1);
		for (char **row = rows; *row != NULL && (*row)[0] != '\0'; row++)
			score_case(*row, &score);
	}
	printf("lines: %d of %d events found, %d wrong\n", score.found, score.wanted, score.wrong);
	ck_assert_int_ge(score.wanted, 80);
	ck_assert_int_ge(score.found * 1000, score.wanted * 995);
	ck_assert_int_le(score.wrong * 1000, score.wanted * 5);
}
END_TEST

enum column {
	LINE,
	KIND,
	MTA,
	DAEMON,
	QID,
	FROM,
	TO,
	ORIG_TO,
	RELAY_HOST,
	RELAY_IP,
	CLIENT_IP,
	CODE,
	DSN,
	COLUMNS
};

/* Sendmail's lines are scored by check_corpora.py. */
static bool is_postfix(const struct observation *seen)
{
	return slice_starts(seen->line.program, SLICE("postfix"));
}

static void score_events(const char *folder, struct score *score)
{
	g_autofree char *log_path = g_build_filename(folder, "mail.log", NULL);
	g_autofree char *path = g_build_filename(folder, "events.tsv", NULL);
	g_autofree char *text = NULL;
	int events = 0, observed = 0;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return;
	struct log log = read_log(log_path);
	g_auto(GStrv) rows = g_strsplit(text, "\n", -1);
	for (char **row = rows + 1; *row != NULL && (*row)[0] != '\0'; row++) {
		g_auto(GStrv) cell = g_strsplit(*row, "\t", -1);
		if (g_strv_length(cell) < COLUMNS || strcmp(cell[MTA], "postfix") != 0)
			continue;
		const struct observation *seen =
		        line_of(&log, g_ascii_strtoll(cell[LINE], NULL, 10));
		bool reject = strcmp(cell[KIND], "policy_rejection") == 0;
		bool fits = strcmp(event_kind(seen), cell[KIND]) == 0 && is(seen->to, cell[TO]) &&
		            (reject || (is(seen->dsn, cell[DSN]) &&
		                               is(seen->relay_ip, cell[RELAY_IP])));
		events++;
		score->found += fits;
		if (!fits)
			printf("%s:%s: wanted %s, got %s\n", log_path, cell[LINE], cell[KIND],
			        event_kind(seen));
	}
	for (guint i = 0; i < log.lines->len; i++) {
		const struct observation *seen = &g_array_index(log.lines, struct observation, i);
		observed += is_postfix(seen) && is_event(event_kind(seen));
	}
	score->wanted += events;
	score->wrong += observed - events;
	log_free(&log);
}

START_TEST(logs_of_other_people_are_scored)
{
	static const char *const roots[] = {"logs", "logs/lightmeter"};
	struct score score = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(roots); i++) {
		g_autofree char *root = shared(roots[i]);
		g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
		const char *name;
		if (dir == NULL) {
			printf("skipped: no %s\n", root);
			return;
		}
		while ((name = g_dir_read_name(dir)) != NULL) {
			g_autofree char *folder = g_build_filename(root, name, NULL);
			score_events(folder, &score);
		}
	}
	printf("logs: %d of %d events found, %d wrong\n", score.found, score.wanted, score.wrong);
	ck_assert_int_ge(score.wanted, 100);
	ck_assert_int_eq(score.found, score.wanted);
	ck_assert_int_eq(score.wrong, 0);
}
END_TEST

UNIT_MAIN("golden postfix", every_delivery_of_the_short_log_is_as_expected,
        every_delivery_of_the_long_log_is_as_expected,
        every_delivery_of_the_log_with_expiry_is_as_expected,
        every_delivery_is_as_expected_in_all_forms_of_syslog,
        the_three_forms_of_one_run_tell_the_same, single_lines_of_other_people_are_scored,
        logs_of_other_people_are_scored)
