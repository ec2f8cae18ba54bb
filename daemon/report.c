#include "daemon/report.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "event/json.h"
#include "mime/report.h"

/* Mails of the milter that wait: beyond it the store has been stuck for long. */
#define WAITING_BYTES_MAX (32 * 1024 * 1024)

struct reports *report_settings(
        const struct config *config, struct classifier *classifier, struct error *err)
{
	const struct reports_config settings = {
	        .verp = config->report_verp,
	        .unsubscribe = config->report_unsubscribe,
	        .feedback = config->report_feedback,
	        .header_map = config->milter_header_map,
	        .classifier = classifier,
	        .customer_id = config->customer_id,
	        .subaccount_id = config->subaccount_id,
	        .keep = config->report_keep,
	};

	return reports_new(&settings, err);
}

/* Names or numbers, parted by blanks. */
static int read_users(struct report_context *context, const char *list, struct error *err)
{
	g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);

	context->users = g_array_new(FALSE, FALSE, sizeof(uid_t));
	for (char **word = words; *word != NULL; word++) {
		int64_t number;
		uid_t uid;

		if (**word == '\0')
			continue;
		const struct passwd *user = getpwnam(*word);
		if (user != NULL)
			uid = user->pw_uid;
		else if (slice_int(slice_str(*word), &number) && number >= 0)
			uid = (uid_t)number;
		else
			return error_config(err, "[query] report_users: no such user: %s", *word);
		g_array_append_val(context->users, uid);
	}
	return 0;
}

static bool report_allowed(void *ctx, unsigned uid)
{
	const struct report_context *context = ctx;

	if (uid == 0 || uid == geteuid())
		return true;
	for (guint i = 0; i < context->users->len; i++)
		if (g_array_index(context->users, uid_t, i) == uid)
			return true;
	return false;
}

static int report_take(void *ctx, struct slice mail, GString *out, struct error *err)
{
	struct report_context *context = ctx;
	unsigned found, fresh;

	if (reports_take(context->reports, context->capture, context->store, mail, REPORTS_BROUGHT,
	            &found, &fresh, err) < 0)
		return -1;
	if (fresh > 0)
		capture_count(context->capture, "reports", fresh);
	g_string_append_c(out, '{');
	json_member_int(out, "events", found);
	json_member_int(out, "new", fresh);
	g_string_append_c(out, '}');
	return 0;
}

/* ---- mails that passed ---- */

static gpointer report_run(gpointer data)
{
	struct report_context *context = data;
	GString *mail;

	/* An empty one is the end. */
	while ((mail = g_async_queue_pop(context->passed))->len > 0) {
		struct error err = {0};
		unsigned found, fresh;

		g_atomic_int_add(&context->waiting, -(gint)mail->len);
		if (reports_take(context->reports, context->capture, context->store,
		            slice_make(mail->str, mail->len), REPORTS_IN_PASSING, &found, &fresh,
		            &err) < 0) {
			capture_count(context->capture, "milter_reports_failed", 1);
			log_warning("milter", "a report that passed: %s", err.text);
		} else if (fresh > 0) {
			capture_count(context->capture, "reports", fresh);
		}
		g_string_free(mail, TRUE);
	}
	g_string_free(mail, TRUE);
	return NULL;
}

bool report_pass(struct report_context *context, GString *mail)
{
	if (mail->len == 0 || g_atomic_int_get(&context->waiting) > WAITING_BYTES_MAX) {
		g_string_free(mail, TRUE);
		return false;
	}
	g_atomic_int_add(&context->waiting, (gint)mail->len);
	g_async_queue_push(context->passed, mail);
	return true;
}

/* ---- the whole ---- */

int report_open(struct report_context *context, const struct config *config,
        struct classifier *classifier, struct capture *capture, struct store *store,
        struct error *err)
{
	context->capture = capture;
	context->store = store;
	context->reports = report_settings(config, classifier, err);
	if (context->reports == NULL)
		return -1;
	/* A report makes an event of anybody's mail: where a table narrows who may do what, and
	 * where keys are asked for, it is not left open to all. */
	const char *users = config->report_users;
	if (users == NULL &&
	        (config->accesses->len > 0 || strcmp(config->query_socket_keys, "required") == 0))
		users = "";
	if (users != NULL && read_users(context, users, err) < 0)
		return -1;
	context->passed = g_async_queue_new();
	context->thread = g_thread_new("reports", report_run, context);
	return 0;
}

void report_hooks(struct report_context *context, struct query_report *hooks_r)
{
	*hooks_r = (struct query_report){.ctx = context,
	        .most = REPORT_BYTES_MAX,
	        .allowed = context->users != NULL ? report_allowed : NULL,
	        .take = report_take};
}

void report_close(struct report_context *context)
{
	if (context->thread != NULL) {
		g_async_queue_push(context->passed, g_string_new(NULL));
		g_thread_join(g_steal_pointer(&context->thread));
	}
	g_clear_pointer(&context->passed, g_async_queue_unref);
	reports_free(&context->reports);
	g_clear_pointer(&context->users, g_array_unref);
}
