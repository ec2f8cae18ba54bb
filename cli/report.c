/* postwake report: a bounce, complaint or unsubscribe mail on standard input becomes events. Made
 * for aliases and pipe transports: whatever keeps the mail from being taken is a reason to try
 * again. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/http.h"
#include "cli/mail.h"
#include "daemon/report.h"

struct report_upload {
	const GString *mail;
	size_t sent;
};

static ssize_t report_piece(void *ctx, char *buffer, size_t size)
{
	struct report_upload *upload = ctx;
	size_t n = MIN(size, upload->mail->len - upload->sent);

	memcpy(buffer, upload->mail->str + upload->sent, n);
	upload->sent += n;
	return (ssize_t)n;
}

struct report_counts {
	gint64 events, fresh;
};

static int report_answer(
        long status, const GString *body, struct report_counts *counts_r, struct error *err)
{
	json_t *answer = json_loadb(body->str, body->len, 0, NULL);
	const json_t *results = json_object_get(answer, "results");
	const json_t *first = json_array_get(json_object_get(answer, "errors"), 0);

	if (status == 200 && results != NULL) {
		counts_r->events = json_integer_value(json_object_get(results, "events"));
		counts_r->fresh = json_integer_value(json_object_get(results, "new"));
	} else {
		error_set(err, "postwaked did not take it (status %ld): %s", status,
		        client_text(first, "message"));
	}
	json_decref(answer);
	return err->set ? -1 : 0;
}

static int report_hand_over(
        struct cli *cli, const GString *mail, struct report_counts *counts_r, struct error *err)
{
	const char *socket = cli_socket(cli, err);
	struct report_upload upload = {.mail = mail};
	g_autoptr(GString) body = g_string_new(NULL);
	long status = 0;

	if (socket == NULL)
		return -1;
	struct http *http = http_new(socket);
	int result = http_post(http, "/api/v1/report", report_piece, &upload, &status, body, err);
	http_free(&http);
	return result < 0 ? -1 : report_answer(status, body, counts_r, err);
}

/* Into a store that no daemon holds. */
static int report_direct(
        struct cli *cli, const GString *mail, struct report_counts *counts_r, struct error *err)
{
	static const struct config none;
	const struct config *config = cli->config_path != NULL ? cli_config(cli, err) : &none;
	const struct capture_config settings = {.trace = {.log_followed = true}, .keep_days = -1};
	struct classifier *classifier =
	        config != NULL ? classifier_new(config->bounce_rules, config->reason_rules, err)
	                       : NULL;
	struct reports *reports =
	        classifier != NULL ? report_settings(config, classifier, err) : NULL;
	struct capture *capture = NULL;
	struct store *store = NULL;
	unsigned found = 0, fresh = 0;

	if (reports != NULL && store_open(&store, cli->store, STORE_WRITE, NULL, err) == 0 &&
	        capture_open(&capture, store, &settings, err) == 0)
		reports_take(reports, capture, store, slice_make(mail->str, mail->len),
		        REPORTS_BROUGHT, &found, &fresh, err);
	capture_close(&capture, err);
	store_close(&store);
	reports_free(&reports);
	classifier_free(&classifier);
	*counts_r = (struct report_counts){.events = found, .fresh = fresh};
	return err->set ? -1 : 0;
}

static int report_run(struct cli *cli, bool verbose, struct error *err)
{
	struct report_counts counts = {0};
	g_autoptr(GString) mail = mail_read("-", err);

	if (mail == NULL)
		return -1;
	int result = cli->store != NULL ? report_direct(cli, mail, &counts, err)
	                                : report_hand_over(cli, mail, &counts, err);
	if (result == 0 && verbose)
		printf("%" G_GINT64_FORMAT " event(s), %" G_GINT64_FORMAT " new\n", counts.events,
		        counts.fresh);
	return result;
}

int cli_report(struct cli *cli, int argc, char **argv)
{
	gboolean verbose = FALSE;
	struct error err = {0};
	const GOptionEntry entries[] = {{"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose,
	                                        "print how many events the mail made", NULL},
	        {NULL}};

	if (!cli_options(entries, "- a report on standard input becomes events",
	            "Exit status: 0 taken (also when the mail means nothing), 64 wrong usage, 75 "
	            "try "
	            "again later.",
	            &argc, &argv))
		return EX_USAGE;
	if (argc > 1) {
		cli_fail("report reads the mail from standard input and takes no arguments");
		return EX_USAGE;
	}
	if (report_run(cli, verbose, &err) == 0)
		return EX_OK;
	cli_fail("%s", err.text);
	return EX_TEMPFAIL;
}
