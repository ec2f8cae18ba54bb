#include "daemon/mail.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/postconf.h"
#include "milter/listener.h"
#include "mime/headers.h"

struct mail {
	struct handover *handover;
	struct report_context *report;
	struct milter_config config;
	struct milter *milter;
	int commit_timeout; /* ms */
	bool any_node;      /* the log's names for this machine and instance are not known */
	bool any_instance;
	GThread *thread;
	GMutex lock;
	GHashTable *told;   /* troubles that were logged, static texts */
	GHashTable *counts; /* counter, static text -> how many since mail_counted */
};

static int mail_observed(void *ctx, const struct observation *seen, bool wait)
{
	struct mail *mail = ctx;
	struct observation placed = *seen;

	if (mail->any_node)
		placed.line.node = SLICE_NONE;
	if (mail->any_instance)
		placed.line.instance = SLICE_NONE;
	return handover_give(mail->handover, &placed, wait ? mail->commit_timeout : 0);
}

static int64_t mail_now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

/* Kept here until the next tick: the store's lock must not hold up a mail. */
static void mail_count(void *ctx, const char *counter)
{
	struct mail *mail = ctx;

	g_mutex_lock(&mail->lock);
	gsize n = GPOINTER_TO_SIZE(g_hash_table_lookup(mail->counts, counter));
	g_hash_table_insert(mail->counts, (gpointer)counter, GSIZE_TO_POINTER(n + 1));
	g_mutex_unlock(&mail->lock);
}

/* An MTA would do it at each mail: told once, then counted. */
static void mail_trouble(void *ctx, const char *counter, const char *why)
{
	struct mail *mail = ctx;

	mail_count(mail, counter);
	g_mutex_lock(&mail->lock);
	bool first = g_hash_table_add(mail->told, (gpointer)why);
	g_mutex_unlock(&mail->lock);
	if (first)
		log_warning("milter", "a connection was not served: %s (told once; counted as %s)",
		        why, counter);
}

static bool mail_report_address(void *ctx, const char *address)
{
	const struct mail *mail = ctx;

	return reports_address(mail->report->reports, address);
}

static void mail_report(void *ctx, GString *text)
{
	struct mail *mail = ctx;

	if (!report_pass(mail->report, text))
		mail_count(mail, "milter_reports_dropped");
}

void mail_counted(struct mail *mail, struct capture *capture)
{
	GHashTableIter iter;
	gpointer counter, n;

	g_mutex_lock(&mail->lock);
	g_autoptr(GHashTable) counts = mail->counts;
	mail->counts = g_hash_table_new(g_str_hash, g_str_equal);
	g_mutex_unlock(&mail->lock);
	g_hash_table_iter_init(&iter, counts);
	while (g_hash_table_iter_next(&iter, &counter, &n))
		capture_count(capture, counter, (int64_t)GPOINTER_TO_SIZE(n));
}

static gpointer mail_run(gpointer data)
{
	struct mail *mail = data;

	milter_serve(mail->milter);
	return NULL;
}

static void mail_configure(struct mail *mail, const struct config *config)
{
	mail->commit_timeout = config->milter_commit_timeout;
	mail->config = (struct milter_config){
	        .socket = config->milter_socket,
	        .group = config->milter_group,
	        .mode = (unsigned)config->milter_mode,
	        .node = config->node,
	        .instance = config->milter_instance,
	        .on_failure = strcmp(config->milter_on_failure, "tempfail") == 0 ? MILTER_TEMPFAIL
	                                                                         : MILTER_ACCEPT,
	        .remove_header = config->milter_remove_header,
	        .see_rejects = config->sources->len == 0,
	        .reports = config->milter_reports,
	        .header_map = config->milter_header_map,
	};
	if (config->sources->len == 0)
		return;
	/* The only instance followed is the one that the milter belongs to. Lines can carry another
	 * name of this machine than gethostname's (Postfix's own log: the one of myhostname), so
	 * that only a name that was configured counts; else the queue id finds the message. */
	const struct config_source *first = config->sources->pdata[0];
	if (config->sources->len == 1) {
		if (mail->config.instance == NULL)
			mail->config.instance = first->instance;
		if (mail->config.node == NULL)
			mail->config.node = first->node;
	}
	mail->any_instance = mail->config.instance == NULL;
	mail->any_node = mail->config.node == NULL;
}

static void mail_free(struct mail *mail)
{
	milter_free(&mail->milter);
	g_hash_table_unref(mail->counts);
	g_hash_table_unref(mail->told);
	g_mutex_clear(&mail->lock);
	g_free(mail);
}

struct mail *mail_start(const struct config *config, struct handover *handover,
        struct report_context *report, struct error *err)
{
	struct mail *mail = g_new0(struct mail, 1);
	const struct milter_hooks hooks = {.ctx = mail,
	        .observed = mail_observed,
	        .now = mail_now,
	        .report_address = mail_report_address,
	        .report = mail_report,
	        .count = mail_count,
	        .trouble = mail_trouble,
	        .decode_text = mime_decode_text,
	        .first_address = mime_first_address,
	        .first_name = mime_first_name,
	        .each_address = mime_each_address};

	mime_init();
	g_mutex_init(&mail->lock);
	mail->counts = g_hash_table_new(g_str_hash, g_str_equal);
	mail->told = g_hash_table_new(g_str_hash, g_str_equal);
	mail->handover = handover;
	mail->report = report;
	mail_configure(mail, config);
	mail->milter = milter_listen(&mail->config, &hooks, err);
	if (mail->milter == NULL) {
		mail_free(mail);
		return NULL;
	}
	mail->thread = g_thread_new("milter", mail_run, mail);
	log_info("milter", "listening on %s", config->milter_socket);
	if (g_str_has_prefix(config->milter_socket, "inet"))
		log_warning("milter", "an inet socket lets any local user feed invented mails; a "
		                      "unix: socket does not");
	return mail;
}

void mail_stop(struct mail **mail)
{
	if (*mail == NULL)
		return;
	milter_stop((*mail)->milter);
	g_thread_join((*mail)->thread);
	g_clear_pointer(mail, mail_free);
}

/* ---- what Postfix does while we are not there ---- */

/* The "{ unix:…, default_action=…, … }" of a list that names our socket, or the bare socket. */
static char *mail_entry(const char *list, const char *socket)
{
	const char *path = strrchr(socket, ':') != NULL ? strrchr(socket, ':') + 1 : socket;
	/* Postfix names it below its queue directory, or absolutely: compare the last two parts. */
	g_autofree char *file = g_path_get_basename(path);
	const char *at = list != NULL ? strstr(list, file) : NULL;

	if (at == NULL)
		return NULL;
	const char *open = at, *close = strchr(at, '}');
	while (open > list && *open != '{' && *open != '}')
		open--;
	if (*open != '{' || close == NULL)
		return g_strdup("");
	return g_strndup(open, (gsize)(close - open));
}

static void mail_check_list(const struct config *config, GHashTable *values, const char *parameter)
{
	const char *list = g_hash_table_lookup(values, parameter);
	const char *fallback = g_hash_table_lookup(values, "milter_default_action");
	g_autofree char *entry = mail_entry(list, config->milter_socket);

	if (entry == NULL)
		return;
	const char *action = strstr(entry, "default_action");
	if (action != NULL ? strstr(action, "accept") != NULL : g_strcmp0(fallback, "accept") == 0)
		return;
	log_warning("milter",
	        "Postfix will answer mail with 451 whenever postwaked is not there: in main.cf set "
	        "%s = { unix:…, default_action=accept, command_timeout=3s, content_timeout=10s } "
	        "(now: \"%s\", milter_default_action = %s)",
	        parameter, list, fallback != NULL ? fallback : "?");
}

/* Postfix before 3.5 has no such parameter, and no quotes. */
static void mail_check_quoting(GHashTable *values)
{
	const char *form = g_hash_table_lookup(values, "info_log_address_format");

	if (g_strcmp0(form, "external") != 0)
		log_warning("milter",
		        "Postfix logs addresses without quotes (info_log_address_format = %s): "
		        "whoever "
		        "may send through it can make his own mail's lines read as he likes; set "
		        "info_log_address_format = external (Postfix 3.5)",
		        form != NULL ? form : "unknown");
}

void mail_check_postfix(const struct config *config)
{
	static const char *const names[] = {"smtpd_milters", "non_smtpd_milters",
	        "milter_default_action", "info_log_address_format", NULL};
	g_autoptr(GHashTable) values = postconf_read(config->milter_postfix_config, names, NULL);

	if (values == NULL)
		return; /* no Postfix here: nothing to warn of */
	mail_check_list(config, values, "smtpd_milters");
	mail_check_list(config, values, "non_smtpd_milters");
	mail_check_quoting(values);
}
