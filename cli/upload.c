/* postwake upload */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/http.h"
#include "cli/print.h"
#include "daemon/upload.h"
#include "store/outbox.h"
#include "upload/uploader.h"

struct upload_options {
	gboolean json, verify, privacy;
	char *to, *kind;
};

/* ---- status and show ---- */

static gint64 upload_int(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void upload_text(const char *format, const json_t *object, const char *name)
{
	g_autofree char *safe = print_safe(client_text(object, name));
	g_autofree char *line = NULL;

	if (*safe == '\0')
		return;
	line = g_strdup_printf("%s: %s", format, safe);
	puts(line);
}

/* "23 h 10 min" and the like. */
static void upload_span(gint64 seconds)
{
	if (seconds >= 3600)
		printf("%" G_GINT64_FORMAT " h ", seconds / 3600);
	if (seconds >= 60)
		printf("%" G_GINT64_FORMAT " min", seconds / 60 % 60);
	else
		printf("%" G_GINT64_FORMAT " s", seconds);
}

static void upload_batch_row(const json_t *batch)
{
	g_autofree char *answer = print_safe(client_text(batch, "answer"));

	printf("  %s  %-8s %7" G_GINT64_FORMAT " events %8" G_GINT64_FORMAT " bytes  %s %s\n",
	        client_text(batch, "id"), client_text(batch, "state"), upload_int(batch, "events"),
	        upload_int(batch, "bytes"), client_text(batch, "created"), answer);
}

static void upload_destination(const json_t *destination)
{
	static const char *const counts[] = {
	        "waiting", "accepted", "failed", "invalid", "too_old", "lost"};
	g_autofree char *name = print_safe(client_text(destination, "name"));
	const json_t *batch;
	size_t i;

	printf("%s\n ", name);
	for (i = 0; i < G_N_ELEMENTS(counts); i++)
		printf(" %s %" G_GINT64_FORMAT "%s", counts[i], upload_int(destination, counts[i]),
		        i + 1 < G_N_ELEMENTS(counts) ? "," : "\n");
	if (json_object_get(destination, "expiring_in") != NULL) {
		printf("  the oldest that waits becomes too old in ");
		upload_span(upload_int(destination, "expiring_in"));
		putchar('\n');
	}
	upload_text("  TROUBLE", destination, "trouble");
	json_array_foreach(json_object_get(destination, "batches"), i, batch)
	        upload_batch_row(batch);
}

static void upload_print_status(const json_t *results)
{
	const json_t *destination;
	size_t i;

	json_array_foreach(results, i, destination) upload_destination(destination);
}

static void upload_print_batch(const json_t *batch)
{
	static const char *const texts[] = {"id", "destination", "state", "remote_id", "answer",
	        "created", "sent", "next", "oldest_event"};
	static const char *const numbers[] = {
	        "events", "bytes", "tries", "succeeded", "failed", "duplicates"};
	const json_t *failure;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(texts); i++)
		upload_text(texts[i], batch, texts[i]);
	for (i = 0; i < G_N_ELEMENTS(numbers); i++)
		printf("%s: %" G_GINT64_FORMAT "\n", numbers[i], upload_int(batch, numbers[i]));
	json_array_foreach(json_object_get(batch, "failures"), i, failure)
	{
		g_autofree char *line = print_safe(client_text(failure, "line"));
		upload_text("\nnot taken", failure, "cause");
		puts(line);
	}
}

static int upload_ask(struct cli *cli, const char *uri, bool json,
        void (*print)(const json_t *results), struct error *err)
{
	struct client *client = NULL;
	json_t *answer = NULL;
	int status = CLI_FAILED;

	if (client_open(&client, cli, err) == 0 && client_get(client, uri, &answer, err) == 0) {
		const json_t *results = json_object_get(answer, "results");
		if (json)
			print_json(results, JSON_INDENT(2));
		else
			print(results);
		status = json_is_array(results) && json_array_size(results) == 0 ? CLI_NOTHING
		                                                                 : CLI_FOUND;
	}
	json_decref(answer);
	client_close(&client);
	return status;
}

static int upload_status(
        struct cli *cli, const struct upload_options *options, const char *name, struct error *err)
{
	(void)name;
	return upload_ask(cli, "/api/v1/uploads", options->json, upload_print_status, err);
}

static int upload_show(
        struct cli *cli, const struct upload_options *options, const char *id, struct error *err)
{
	if (id == NULL) {
		error_set(err, "show needs the id of a batch, or its beginning");
		return CLI_FAILED;
	}
	g_autofree char *part = g_uri_escape_string(id, NULL, FALSE);
	g_autofree char *uri = g_strconcat("/api/v1/uploads/", part, NULL);
	int status = upload_ask(cli, uri, options->json, upload_print_batch, err);
	if (!err->set || err->number != ENODATA)
		return status;
	g_autofree char *safe = print_safe(id);
	*err = (struct error){0};
	cli_fail("no batch has the id %s, or one that begins so", safe);
	return CLI_NOTHING;
}

/* ---- retry ---- */

static ssize_t upload_no_body(void *ctx, char *buffer, size_t size)
{
	(void)ctx, (void)buffer, (void)size;
	return 0;
}

static int upload_post_retry(struct cli *cli, const char *id, struct error *err)
{
	g_autoptr(GString) uri = g_string_new("/api/v1/uploads/retry"), body = g_string_new(NULL);
	const char *socket = cli_socket(cli, err);
	struct http *http = socket != NULL ? http_new(socket) : NULL;
	long status = 0;

	if (http == NULL)
		return -1;
	if (id != NULL)
		client_parameter(uri, "batch", id);
	int result = http_post(http, uri->str, upload_no_body, NULL, &status, body, err);
	http_free(&http);
	if (result < 0)
		return -1;
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	int n = (int)upload_int(json_object_get(answer, "results"), "batches");
	const json_t *first = json_array_get(json_object_get(answer, "errors"), 0);
	if (status != 200)
		n = error_set(err, "%s",
		        first != NULL ? client_text(first, "message") : "the daemon refused it");
	json_decref(answer);
	return n;
}

static int upload_unpark(struct cli *cli, const char *id, struct error *err)
{
	struct store *store = NULL;
	int n = -1;

	if (store_open(&store, cli->store, STORE_WRITE, NULL, err) == 0)
		n = uploader_unpark(store, id, err);
	store_close(&store);
	return n;
}

static int upload_retry(
        struct cli *cli, const struct upload_options *options, const char *id, struct error *err)
{
	int n = cli->store != NULL ? upload_unpark(cli, id, err) : upload_post_retry(cli, id, err);

	(void)options;
	if (n < 0)
		return CLI_FAILED;
	printf("%d batch(es) will be sent again\n", n);
	return n > 0 ? CLI_FOUND : CLI_NOTHING;
}

/* ---- into a file ---- */

struct upload_file {
	int fd; /* -1: nothing is written */
	bool verify;
	uint64_t batches, events, bytes, invalid, too_old;
};

static void upload_refused(void *ctx, struct slice line, const char *cause)
{
	const struct upload_file *file = ctx;
	g_autofree char *copy = slice_dup(slice_trim(line));
	g_autofree char *safe = print_safe(copy);

	if (file->verify)
		fprintf(stderr, "%s: %s\n", cause, safe);
}

static int upload_write(
        const struct upload_file *file, struct slice bytes, const char *path, struct error *err)
{
	while (bytes.n > 0 && file->fd >= 0) {
		ssize_t n = write(file->fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot write %s", path);
		bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

static int upload_all(struct store *store, const struct cut_rules *rules, const char *path,
        struct upload_file *file, struct error *err)
{
	uint64_t at = 0, mark = store_mark(store);
	struct cut cut = {0};
	int result = 0;

	while (result == 0 && at < mark) {
		result = cut_batch(
		        store, rules, at, mark, clock_now(), upload_refused, file, &cut, err);
		if (result == 0 && cut.bytes != NULL) {
			file->batches++;
			file->bytes += cut.bytes->len;
			result = upload_write(file,
			        slice_make((const char *)cut.bytes->data, cut.bytes->len), path,
			        err);
		}
		at = cut.until;
		file->events += cut.events;
		file->invalid += cut.invalid;
		file->too_old += cut.too_old;
		cut_clear(&cut);
	}
	return result;
}

/* The destination of this name, or the only one; without any, the service's rules. */
static int upload_find_rules(struct cli *cli, const struct upload_options *options,
        const char *name, struct cut_rules *rules, struct error *err)
{
	static char sparkpost[] = "sparkpost";
	static const struct config_upload plain = {.kind = sparkpost};
	const struct config *config = cli_config(cli, err);
	const struct config_upload *found = NULL;

	if (config == NULL)
		return -1;
	for (guint i = 0; i < config->uploads->len; i++) {
		const struct config_upload *upload = config->uploads->pdata[i];
		if (name != NULL ? strcmp(upload->name, name) == 0 : config->uploads->len == 1)
			found = upload;
	}
	if (found == NULL && name != NULL)
		return error_set(err, "there is no [upload %s] in %s", name, config->path);
	if (found == NULL && config->uploads->len > 1)
		return error_set(err, "there are several destinations: name one of them");
	if (upload_rules(found != NULL ? found : &plain, rules, err) < 0)
		return -1;
	rules->privacy |= options->privacy;
	if (options->kind == NULL)
		return 0;
	if (strcmp(options->kind, "sparkpost") != 0 && strcmp(options->kind, "postwake") != 0)
		return error_set(err, "--kind must be sparkpost or postwake");
	rules->kind = *options->kind == 'p' ? UPLOAD_POSTWAKE : UPLOAD_SPARKPOST;
	return 0;
}

static int upload_open_file(const char *path, struct error *err)
{
	if (path == NULL)
		return -1;
	if (strcmp(path, "-") == 0)
		return STDOUT_FILENO;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		error_errno(err, errno, "cannot write %s", path);
	return fd;
}

static int upload_to_file(
        struct cli *cli, const struct upload_options *options, const char *name, struct error *err)
{
	struct upload_file file = {.fd = -1, .verify = options->verify};
	struct cut_rules rules = {0};
	struct store *store = NULL;

	int found = upload_find_rules(cli, options, name, &rules, err);
	const char *dir = found == 0 ? cli_store(cli, err) : NULL;
	if (dir != NULL && store_open(&store, dir, STORE_READ, NULL, err) == 0)
		file.fd = upload_open_file(options->to, err);
	if (!err->set)
		upload_all(store, &rules, options->to, &file, err);
	if (file.fd > STDOUT_FILENO && close(file.fd) < 0)
		error_errno(err, errno, "cannot write %s", options->to);
	store_close(&store);
	upload_rules_clear(&rules);
	if (err->set)
		return CLI_FAILED;
	fprintf(stderr,
	        "%" G_GUINT64_FORMAT " event(s) in %" G_GUINT64_FORMAT
	        " batch(es), %" G_GUINT64_FORMAT " bytes; not sent: %" G_GUINT64_FORMAT
	        " too old, %" G_GUINT64_FORMAT " that would be refused\n",
	        file.events, file.batches, file.bytes, file.too_old, file.invalid);
	if (options->verify && file.invalid > 0)
		return CLI_FAILED;
	return file.events > 0 ? CLI_FOUND : CLI_NOTHING;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	int (*run)(struct cli *cli, const struct upload_options *options, const char *argument,
	        struct error *err);
} upload_commands[] = {{"status", upload_status}, {"show", upload_show}, {"retry", upload_retry}};

static int upload_dispatch(struct cli *cli, const struct upload_options *options, int argc,
        char **argv, struct error *err)
{
	if (options->to != NULL || options->verify)
		return argc <= 2 ? upload_to_file(cli, options, argc > 1 ? argv[1] : NULL, err)
		                 : cli_fail("--to and --verify take one destination at most");
	for (size_t i = 0; argc > 1 && argc <= 3 && i < G_N_ELEMENTS(upload_commands); i++)
		if (strcmp(argv[1], upload_commands[i].name) == 0)
			return upload_commands[i].run(cli, options, argc > 2 ? argv[2] : NULL, err);
	return cli_fail(
	        "say upload status, upload show BATCH, upload retry [BATCH], or upload --to FILE");
}

int cli_upload(struct cli *cli, int argc, char **argv)
{
	struct upload_options options = {0};
	struct error err = {0};
	const GOptionEntry entries[] = {
	        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "as JSON", NULL},
	        {"to", 0, 0, G_OPTION_ARG_FILENAME, &options.to,
	                "write the batches of the whole store to a file instead of sending them "
	                "(-: standard output)",
	                "FILE"},
	        {"verify", 0, 0, G_OPTION_ARG_NONE, &options.verify,
	                "print the events that would be refused, and why", NULL},
	        {"kind", 0, 0, G_OPTION_ARG_STRING, &options.kind,
	                "with --to and --verify: sparkpost or postwake", "KIND"},
	        {"privacy", 0, 0, G_OPTION_ARG_NONE, &options.privacy,
	                "with --to: without addresses of recipients", NULL},
	        {NULL}};

	if (!cli_options(entries, "status|show BATCH|retry [BATCH] - what is uploaded",
	            "postwake upload [NAME] --to FILE [--verify]: the batches, without sending "
	            "them.",
	            &argc, &argv))
		return CLI_FAILED;
	int status = upload_dispatch(cli, &options, argc, argv, &err);
	g_free(options.to);
	g_free(options.kind);
	return err.set ? cli_fail("%s", err.text) : status;
}
