/* postwake import: old logs into the store; through the daemon where it holds the store. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "cli/client.h"
#include "cli/http.h"
#include "cli/progress.h"
#include "cli/input.h"
#include "event/classify.h"
#include "trace/domains.h"

/* Lines taken under one lock. */
#define LINES_AT_ONCE 4096
/* The end of the import waits this long for the last commit, ms. */
#define FLUSH_TIMEOUT (10 * 60 * 1000)

struct import_options {
	struct input_options input;
	int keep_days; /* -1 = keep all */
	gboolean quiet;
};

struct importer {
	const struct import_options *options;
	struct progress *progress;
	bool damaged; /* a file could not be read to its end */
	/* Without a daemon. */
	struct store *store;
	struct classifier *classifier;
	struct domains *inbound;
	struct capture *capture;
	/* With one. */
	struct http *http;
	json_t *sums; /* what the daemon answered, added up */
};

/* An archive that is damaged or cut off is no reason to leave the other files unread. */
static void import_damage(struct importer *importer, const struct error *why)
{
	cli_fail("%s; what could be read of it has been taken", why->text);
	importer->damaged = true;
}

/* ---- into a store that nobody holds ---- */

static uint64_t import_lines(
        struct importer *importer, struct input *input, struct capture_source *source)
{
	struct error damage = {0};
	uint64_t ticket = 0;
	int64_t last = 0;
	struct slice line;
	gint64 offset;
	int more = 1;

	while (more == 1) {
		capture_begin(source);
		for (int n = 0; n < LINES_AT_ONCE; n++) {
			more = input_line(input, &line, &offset, &damage);
			if (more != 1)
				break;
			last = capture_line(source, line, offset, false);
			progress_line(importer->progress);
		}
		if (more < 0) {
			import_damage(importer, &damage);
			capture_gap(source, last, 0, -1, damage.text);
		}
		ticket = capture_end(source, SLICE_NONE);
		progress_show(importer->progress, input);
		if (capture_wait(importer->capture, ticket, 0) < 0)
			break;
	}
	return ticket;
}

static char *import_name(const char *path)
{
	g_autofree char *real = strcmp(path, "-") != 0 ? g_canonicalize_filename(path, NULL) : NULL;

	return g_strdup(real != NULL ? real : "standard input");
}

static int import_direct(struct importer *importer, const char *path, struct error *err)
{
	const struct import_options *options = importer->options;
	g_autofree char *name = import_name(path);
	struct input *input = input_open(path, err);
	const struct line_reader_config reader = {.node = options->input.node,
	        .instance = options->input.instance,
	        .zone = options->input.zone,
	        .not_after = history_not_after(path)};

	int done = 1;

	if (input == NULL)
		return -1;
	struct capture_source *source =
	        capture_source_new(capture_live(importer->capture), name, &reader, err);
	if (source != NULL) {
		uint64_t ticket = import_lines(importer, input, source);
		done = capture_wait(importer->capture, ticket, FLUSH_TIMEOUT);
		if (done == 0)
			error_set(err, "%s: not committed within %d s", path, FLUSH_TIMEOUT / 1000);
	}
	capture_source_free(&source);
	input_close(&input);
	return err->set || done < 0 ? -1 : 0; /* why a commit failed is told by capture_close */
}

static void import_add_ledger(struct importer *importer, json_t *sums, int sign)
{
	g_autoptr(GArray) ledger = store_ledger(importer->store, NULL);

	for (guint i = 0; ledger != NULL && i < ledger->len; i++) {
		const struct store_source *row = &g_array_index(ledger, struct store_source, i);
		progress_add(sums, "lines", sign * (gint64)row->lines);
		progress_add(sums, "events", sign * (gint64)row->events);
		for (int c = 0; c < LEDGER_CLASSES; c++)
			progress_add(sums, ledger_names[c], sign * (gint64)row->count[c]);
	}
}

/* ---- through the daemon ---- */

struct upload {
	struct importer *importer;
	struct input *input;
	GString *text; /* lines that were read and not yet sent */
	struct error err;
	bool ended;
};

static ssize_t import_upload(void *ctx, char *buffer, size_t size)
{
	struct upload *upload = ctx;
	struct slice line;
	gint64 offset;

	while (upload->text->len < size && !upload->ended) {
		int more = input_line(upload->input, &line, &offset, &upload->err);
		upload->ended = more != 1;
		if (upload->ended)
			break;
		g_string_append_len(upload->text, line.p, (gssize)line.n);
		g_string_append_c(upload->text, '\n');
		progress_line(upload->importer->progress);
	}
	progress_show(upload->importer->progress, upload->input);
	size_t n = MIN(size, upload->text->len);
	memcpy(buffer, upload->text->str, n);
	g_string_erase(upload->text, 0, (gssize)n);
	return (ssize_t)n;
}

static int import_sum(
        struct importer *importer, long status, const GString *body, struct error *err)
{
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	const json_t *results = json_object_get(answer, "results"), *value;
	const char *key;

	if (status != 200) {
		error_set(err, "postwaked did not take it (status %ld): %s", status,
		        client_text(
		                json_array_get(json_object_get(answer, "errors"), 0), "message"));
	} else {
		json_object_foreach((json_t *)results, key, value)
		        progress_add(importer->sums, key, json_integer_value(value));
	}
	json_decref(answer);
	return err->set ? -1 : 0;
}

static int import_post(struct importer *importer, const char *path, const char *damage,
        struct upload *upload, struct error *err)
{
	g_autofree char *name = import_name(path);
	g_autofree char *not_after = g_strdup_printf("%" G_GINT64_FORMAT, history_not_after(path));
	g_autoptr(GString) uri = g_string_new("/api/v1/import");
	g_autoptr(GString) body = g_string_new(NULL);
	long status = 0;

	client_parameter(uri, "source", name);
	client_parameter(uri, "not_after", not_after);
	if (damage != NULL)
		client_parameter(uri, "damage", damage);
	if (http_post(importer->http, uri->str, import_upload, upload, &status, body, err) < 0)
		return -1;
	return import_sum(importer, status, body, err);
}

static int import_hand_over(struct importer *importer, const char *path, struct error *err)
{
	struct upload upload = {.importer = importer, .text = g_string_new(NULL)};

	upload.input = input_open(path, err);
	if (upload.input != NULL)
		import_post(importer, path, NULL, &upload, err);
	/* Known only when the lines are sent: another request, without lines, tells it. */
	if (upload.err.set) {
		import_damage(importer, &upload.err);
		if (!err->set)
			import_post(importer, path, upload.err.text, &upload, err);
	}
	input_close(&upload.input);
	g_string_free(upload.text, TRUE);
	return err->set ? -1 : 0;
}

/* ---- which of the two ---- */

static int import_open_capture(struct importer *importer, struct cli *cli, struct error *err)
{
	struct capture_config config = {.trace = {.log_followed = true},
	        .keep_days = importer->options->keep_days,
	        .bulk = true};
	/* With -S alone the defaults do; a configuration that is there is used. */
	const struct config *settings =
	        cli->store == NULL || cli->config_path != NULL ? cli_config(cli, err) : NULL;

	if (err->set)
		return -1;
	if (settings != NULL) {
		config.trace.internal_relays = settings->internal_relays;
		config.trace.customer_id = settings->customer_id;
		config.trace.subaccount_id = settings->subaccount_id;
		config.trace.sending_ips = settings->sending_ips;
		importer->classifier =
		        classifier_new(settings->bounce_rules, settings->reason_rules, err);
		if (importer->classifier == NULL)
			return -1;
		config.trace.classifier = importer->classifier;
		if (cli_inbound(settings->relay_domains, &importer->inbound, err) < 0)
			return -1;
		config.trace.inbound = importer->inbound;
	}
	return capture_open(&importer->capture, importer->store, &config, err);
}

/* Takes the daemon at `socket` for the hand-over; `dir` is the store that is meant, NULL = its own.
 */
static int import_meet_daemon(
        struct importer *importer, const char *socket, const char *dir, struct error *err)
{
	g_autoptr(GString) body = g_string_new(NULL);
	g_autofree char *meant = dir != NULL ? realpath(dir, NULL) : NULL;
	long status;

	importer->http = http_new(socket);
	if (http_get(importer->http, "/api/v1/status", &status, body, err) < 0)
		return -1;
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	const char *held = client_text(json_object_get(answer, "results"), "store");
	if (meant != NULL && strcmp(held, meant) != 0)
		error_set(err, "another process holds %s, but the postwaked at %s has the store %s",
		        dir, socket, held);
	json_decref(answer);
	return err->set ? -1 : 0;
}

/* The daemon reads lines by its own configuration: what it cannot be told must not be lost. */
static int import_can_hand_over(const struct import_options *options, struct error *err)
{
	const struct input_options *input = &options->input;

	if (input->zone == NULL && input->node == NULL && input->instance == NULL &&
	        options->keep_days < 0)
		return 0;
	return error_set(err, "postwaked holds the store and reads the lines by its own "
	                      "configuration: --zone, --node, --instance and --keep-days work "
	                      "only while it is stopped");
}

static int import_by_daemon(
        struct importer *importer, struct cli *cli, const char *dir, struct error *err)
{
	const char *socket = cli_socket(cli, err);

	if (socket == NULL || import_meet_daemon(importer, socket, dir, err) < 0)
		return -1;
	return import_can_hand_over(importer->options, err);
}

/* -s alone means that daemon. Else the store itself, or, where a daemon holds it, that daemon. */
static int import_open(struct importer *importer, struct cli *cli, struct error *err)
{
	const struct store_options options = {.fast_import = true, .notice = cli_notice};
	struct error held = {0};
	const char *dir = cli->store;

	if (dir == NULL && cli->socket != NULL)
		return import_by_daemon(importer, cli, NULL, err);
	if (dir == NULL) {
		const struct config *config = cli_config(cli, err);
		if (config == NULL)
			return -1;
		dir = config->store;
	}
	if (g_mkdir_with_parents(dir, 0700) < 0)
		return error_errno(err, errno, "cannot make the store directory %s", dir);
	if (store_open(&importer->store, dir, STORE_WRITE, &options, &held) == 0)
		return import_open_capture(importer, cli, err);
	if (held.number != EWOULDBLOCK)
		return error_set(err, "%s", held.text);
	return import_by_daemon(importer, cli, dir, err);
}

static int import_files(struct importer *importer, GPtrArray *paths, struct error *err)
{
	for (guint i = 0; i < paths->len; i++) {
		progress_file(importer->progress, paths->pdata[i], i + 1, paths->len);
		int result = importer->capture != NULL
		                     ? import_direct(importer, paths->pdata[i], err)
		                     : import_hand_over(importer, paths->pdata[i], err);
		if (result < 0)
			return -1;
	}
	return 0;
}

static int import_run(
        struct importer *importer, struct cli *cli, GPtrArray *paths, struct error *err)
{
	if (import_open(importer, cli, err) < 0)
		return -1;
	if (importer->store != NULL)
		import_add_ledger(importer, importer->sums, -1);
	int result = import_files(importer, paths, err);
	if (capture_close(&importer->capture, err) < 0)
		result = -1;
	if (importer->store != NULL)
		import_add_ledger(importer, importer->sums, 1);
	progress_end(importer->progress, importer->sums);
	return result;
}

/* The days that the daemon's next look at retention will drop. */
static void import_warn(struct importer *importer, struct cli *cli)
{
	const struct config *config = cli->store == NULL ? cli_config(cli, NULL) : NULL;
	g_autoptr(GArray) days = NULL;

	if (config == NULL || importer->store == NULL)
		return;
	days = store_days(importer->store, NULL, NULL);
	int64_t oldest = clock_day_of(clock_now()) - config->keep_days;
	unsigned old = 0;
	for (guint i = 0; days != NULL && i < days->len; i++)
		old += g_array_index(days, struct store_day, i).day < oldest;
	if (old > 0)
		fprintf(stderr,
		        "postwake: %u day(s) are older than keep_days = %d: postwaked and postwake "
		        "prune will drop them\n",
		        old, config->keep_days);
}

int cli_import(struct cli *cli, int argc, char **argv)
{
	struct import_options options = {.keep_days = -1};
	struct importer importer = {.options = &options};
	g_autoptr(GPtrArray) paths = g_ptr_array_new();
	struct error err = {0};
	const GOptionEntry entries[] = {
	        {"keep-days", 0, 0, G_OPTION_ARG_INT, &options.keep_days,
	                "leave out what is older than today and N days (default: keep all)", "N"},
	        INPUT_OPTIONS(options.input),
	        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &options.quiet, "no progress, no summary",
	                NULL},
	        {NULL}};

	if (!cli_options(entries, "FILE… - read old logs into the store",
	            "FILE may be compressed (gz, bz2, xz, zst); - is the standard input. Reading a "
	            "log again, from whatever copy, adds nothing.",
	            &argc, &argv))
		return CLI_FAILED;
	if (argc < 2) {
		input_options_clear(&options.input);
		return cli_fail("import needs a FILE (see --help)");
	}
	for (int i = 1; i < argc; i++)
		g_ptr_array_add(paths, argv[i]);
	history_sort(paths);
	importer.progress = progress_new(options.quiet);
	importer.sums = json_object();
	import_run(&importer, cli, paths, &err);
	import_warn(&importer, cli);
	gint64 lines = json_integer_value(json_object_get(importer.sums, "lines"));
	json_decref(importer.sums);
	progress_free(&importer.progress);
	http_free(&importer.http);
	classifier_free(&importer.classifier);
	domains_free(&importer.inbound);
	store_close(&importer.store);
	input_options_clear(&options.input);
	if (err.set)
		return cli_fail("%s", err.text);
	if (importer.damaged)
		return CLI_FAILED;
	return lines > 0 ? CLI_FOUND : CLI_NOTHING;
}
