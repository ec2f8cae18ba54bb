#include "cli/proof.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/input.h"
#include "event/pseudonym.h"
#include "logtail/lines.h"
#include "trace/trace.h"

struct proof {
	const GPtrArray *events;
	GHashTable *wanted;  /* event_id text -> type text */
	GHashTable *proved;  /* of those, the ones that a line proved */
	GHashTable *printed; /* lines that were printed: a log may lie in several copies */
	GPtrArray *needles;  /* texts of which a line of this mail holds one */
	struct trace *trace;
	GString *found; /* what the current line proved */
};

static void proof_event(void *ctx, const struct event *event)
{
	struct proof *proof = ctx;
	char id[24];

	g_snprintf(id, sizeof(id), "%" G_GUINT64_FORMAT, event->id);
	const char *type = g_hash_table_lookup(proof->wanted, id);
	if (type == NULL)
		return;
	g_hash_table_add(proof->proved, g_strdup(id));
	g_string_append_printf(
	        proof->found, "%s%s %s", proof->found->len > 0 ? ", " : "", type, id);
}

static void proof_observed(void *ctx, const struct observation *seen)
{
	struct proof *proof = ctx;

	trace_feed(proof->trace, seen);
}

static bool proof_of_mail(const struct proof *proof, struct slice line)
{
	for (guint i = 0; i < proof->needles->len; i++)
		if (slice_find(line, slice_str(proof->needles->pdata[i])) >= 0)
			return true;
	return false;
}

/* What is to be told of a log. */
static void proof_tell(const char *path, const char *what)
{
	g_autofree char *name = print_safe(path), *safe = print_safe(what);

	printf("%s: %s\n", name, safe);
}

static void proof_line(struct proof *proof, struct line_reader *reader, const char *path,
        struct slice line, gint64 offset)
{
	g_string_truncate(proof->found, 0);
	line_reader_read(reader, line, proof_observed, proof);
	char *text = slice_dup(line);
	if (!g_hash_table_add(proof->printed, text))
		return;
	g_autofree char *safe = print_safe(text), *name = print_safe(path);
	printf("%s, byte %" G_GINT64_FORMAT ": %s\n", name, offset, safe);
	if (proof->found->len > 0)
		printf("    proves: %s\n", proof->found->str);
}

/* -1: the file could not be read to its end. */
static int proof_file(struct proof *proof, const struct line_reader_config *names, const char *path)
{
	struct error err = {0};
	struct line_reader_config config = *names;
	struct slice line;
	gint64 offset;
	int more = -1;

	config.not_after = history_not_after(path);
	struct input *input = input_open(path, &err);
	struct line_reader *reader = line_reader_new(&config, &err);
	if (input != NULL && reader != NULL)
		while ((more = input_line(input, &line, &offset, &err)) == 1)
			if (proof_of_mail(proof, line))
				proof_line(proof, reader, path, line, offset);
	line_reader_free(&reader);
	input_close(&input);
	if (err.set)
		proof_tell(path, err.text);
	return more;
}

/* A log and what rotation made of it. */
static void proof_log(struct proof *proof, const struct line_reader_config *names, const char *path)
{
	g_autofree char *pattern = g_strconcat(path, "*", NULL);
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	glob_t found = {0};

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			g_ptr_array_add(paths, g_strdup(found.gl_pathv[i]));
	globfree(&found);
	if (paths->len == 0)
		proof_tell(path, "no longer there");
	history_sort(paths);
	for (guint i = 0; i < paths->len; i++)
		proof_file(proof, names, paths->pdata[i]);
}

static void proof_need(struct proof *proof, const char *text)
{
	for (guint i = 0; i < proof->needles->len; i++)
		if (strcmp(proof->needles->pdata[i], text) == 0)
			return;
	if (*text != '\0')
		g_ptr_array_add(proof->needles, g_strdup(text));
}

/* What to look for: queue ids; the refused recipient, or the client, of a refusal without one. Logs
 * know no pseudonyms. */
static void proof_want(struct proof *proof)
{
	for (guint i = 0; i < proof->events->len; i++) {
		const json_t *event = proof->events->pdata[i];
		g_hash_table_insert(proof->wanted, g_strdup(client_text(event, "event_id")),
		        g_strdup(client_text(event, "type")));
		if (*client_text(event, "queue_id") != '\0')
			proof_need(proof, client_text(event, "queue_id"));
		else if (g_str_has_prefix(client_text(event, "raw_rcpt_to"), PSEUDONYM_PREFIX))
			proof_need(proof, client_text(event, "remote_addr"));
		else if (*client_text(event, "raw_rcpt_to") != '\0')
			proof_need(proof, client_text(event, "raw_rcpt_to"));
		else
			proof_need(proof, client_text(event, "raw_reason"));
	}
}

static void proof_sources(struct proof *proof, const json_t *status)
{
	const json_t *event = proof->events->pdata[0], *source;
	const char *instance = client_text(event, "instance");
	const struct line_reader_config names = {
	        .node = client_text(event, "node_name"), .instance = instance};
	size_t i;

	json_array_foreach(json_object_get(status, "ledger"), i, source)
	{
		const char *path = client_text(source, "source");
		if (g_path_is_absolute(path))
			proof_log(proof, &names, path);
		else
			proof_tell(path, "not a file; its lines are not looked up");
	}
	for (guint e = 0; e < proof->events->len; e++) {
		const char *id = client_text(proof->events->pdata[e], "event_id");
		if (!g_hash_table_contains(proof->proved, id))
			printf("no line found for: %s %s\n",
			        client_text(proof->events->pdata[e], "type"), id);
	}
}

int proof_print(struct cli *cli, struct client *client, const GPtrArray *events, struct error *err)
{
	struct proof proof = {.events = events};
	const struct trace_hooks hooks = {.ctx = &proof, .event = proof_event};
	const struct config *settings = cli_config(cli, NULL);
	const struct trace_config config = {
	        .internal_relays = settings != NULL ? settings->internal_relays : NULL,
	        .log_followed = true};
	json_t *status = NULL;

	if (client_get(client, "/api/v1/status", &status, err) < 0)
		return -1;
	proof.wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	proof.proved = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	proof.printed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	proof.needles = g_ptr_array_new_with_free_func(g_free);
	proof.found = g_string_new(NULL);
	proof.trace = trace_new(&config, &hooks, err);
	puts("\nProof:");
	if (proof.trace != NULL) {
		proof_want(&proof);
		proof_sources(&proof, json_object_get(status, "results"));
	}
	trace_free(&proof.trace);
	g_string_free(proof.found, TRUE);
	g_ptr_array_free(proof.needles, TRUE);
	g_hash_table_destroy(proof.printed);
	g_hash_table_destroy(proof.proved);
	g_hash_table_destroy(proof.wanted);
	json_decref(status);
	return err->set ? -1 : 0;
}
