/* postwaked: a table of contents. Options, configuration, the parts in order, run, the parts in
 * reverse order. */
#include <config.h>

#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/clock.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/config.h"
#include "daemon/erase.h"
#include "daemon/health.h"
#include "daemon/import.h"
#include "daemon/inbound.h"
#include "daemon/ingest.h"
#include "daemon/mail.h"
#include "daemon/privileges.h"
#include "daemon/report.h"
#include "daemon/retention.h"
#include "daemon/sources.h"
#include "daemon/upkeep.h"
#include "daemon/upload.h"
#include "event/classify.h"
#include "event/json.h"
#include "query/server.h"

/* Seconds that a stop may take before the process ends as it is (nothing is lost: positions lag).
 */
#define STOP_SECONDS 15
#define CALM_SECONDS 5 /* of commits that work, after those that did not */

/* Where nothing else is said, glibc keeps what it thinks will be asked for again: after a thousand
 * searches of all kinds 78 MB instead of 28. */
#define MEMORY_KEPT (1 << 20) /* bytes, at the top of each heap; larger blocks go back at once */

struct daemon {
	struct config *config;
	struct classifier *classifier;
	struct domains *inbound;
	struct store *store;
	struct capture *capture;
	struct handover *handover;
	struct sources *sources;
	struct mail *mail;
	struct uploads *uploads;
	struct query_uploads upload_hooks;
	struct query_server *server;
	struct access_context access;
	struct import_context import;
	struct erase_context erase;
	struct report_context report;
	struct ingest_context ingest;
	struct retention retention;
	struct health health;
	struct upkeep upkeep;
	GThread *ticks;
	gint stopping;
	gint hangup;      /* SIGHUP came */
	uint64_t dropped; /* of the hand-over, as told to the store */
	int64_t started;
	GMutex lock;
	struct error trouble; /* of the store: why commits fail, or did until just now */
	gint64 calm_since;    /* us, monotonic: they work again; 0 = they do not, or it is told */
};

static void daemon_trouble(void *ctx, const struct error *err)
{
	struct daemon *d = ctx;

	g_mutex_lock(&d->lock);
	bool tell = err->set && !d->trouble.set;
	if (err->set)
		d->trouble = *err;
	d->calm_since = err->set ? 0 : g_get_monotonic_time();
	g_mutex_unlock(&d->lock);
	if (tell)
		log_error("store", "%s; tried again until it works, nothing is dropped", err->text);
}

/* On a disk that is all but full a small commit works between two that do not: that is one trouble.
 */
static void daemon_calm(struct daemon *d)
{
	g_mutex_lock(&d->lock);
	bool calm = d->calm_since != 0 &&
	            g_get_monotonic_time() - d->calm_since >= CALM_SECONDS * G_USEC_PER_SEC;
	if (calm) {
		error_clear(&d->trouble);
		d->calm_since = 0;
	}
	g_mutex_unlock(&d->lock);
	if (calm)
		log_info("store", "commits work again");
}

static void daemon_notice(void *ctx, const char *text)
{
	(void)ctx;
	log_error("store", "%s", text);
}

static void daemon_pace(const struct daemon *d, GString *out)
{
	struct store_pace pace;

	capture_pace(d->capture, &pace);
	json_key(out, "commits");
	g_string_append_c(out, '{');
	json_member_int(out, "measured", pace.commits);
	json_member_int(out, "p50_us", pace.p50);
	json_member_int(out, "p99_us", pace.p99);
	json_member_int(out, "longest_us", pace.longest);
	g_string_append_c(out, '}');
}

static void daemon_status(void *ctx, GString *out)
{
	struct daemon *d = ctx;

	json_member(out, "version", SLICE(PACKAGE_VERSION));
	json_member_int(out, "pid", getpid());
	g_autofree char *store = realpath(d->config->store, NULL);
	json_member(out, "store", slice_str(store != NULL ? store : d->config->store));
	char text[CLOCK_TEXT_MAX];
	clock_format(d->started, CLOCK_ZULU, text);
	json_member(out, "started", slice_str(text));
	g_mutex_lock(&d->lock);
	if (d->trouble.set)
		json_member(out, "store_trouble", slice_str(d->trouble.text));
	g_mutex_unlock(&d->lock);
	g_autofree char *slow = health_slow(&d->health);
	if (slow != NULL)
		json_member(out, "store_slow", slice_str(slow));
	g_autofree char *full = retention_trouble(&d->retention, d->config);
	if (full != NULL)
		json_member(out, "store_full", slice_str(full));
	upkeep_status(&d->upkeep, out);
	ingest_troubles_status(&d->ingest, out);
	g_autofree char *doubt = retention_doubt(d->store);
	if (doubt != NULL)
		json_member(out, "clock_trouble", slice_str(doubt));
	daemon_pace(d, out);
	if (d->sources != NULL)
		sources_status(d->sources, out);
}

/* ---- the parts ---- */

static int daemon_open_store(struct daemon *d, struct error *err)
{
	if (g_mkdir_with_parents(d->config->store, 0700) < 0)
		return error_errno(
		        err, errno, "cannot make the store directory %s", d->config->store);
	const struct store_options options = {
	        .pseudonymise = d->config->pseudonymise ? STORE_PSEUDONYMISE : STORE_PLAIN,
	        .notice = daemon_notice};
	return store_open(&d->store, d->config->store, STORE_WRITE, &options, err);
}

static int daemon_open_inbound(struct daemon *d, struct error *err)
{
	g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);
	int result = inbound_read(d->config->relay_domains, &d->inbound, unread, err);

	for (guint i = 0; i < unread->len; i++)
		log_warning("relay_domains",
		        "%s: cannot be read as a list of domains; name those domains in "
		        "relay_domains, or their mail counts as outbound",
		        (const char *)unread->pdata[i]);
	return result;
}

static int daemon_open_capture(struct daemon *d, struct error *err)
{
	const struct config *c = d->config;
	const struct capture_config config = {.trace = {.internal_relays = c->internal_relays,
	                                              .customer_id = c->customer_id,
	                                              .subaccount_id = c->subaccount_id,
	                                              .sending_ips = c->sending_ips,
	                                              .classifier = d->classifier,
	                                              .inbound = d->inbound,
	                                              .log_followed = c->sources->len > 0,
	                                              .milter = c->milter},
	        .keep_days = c->keep_days,
	        .trouble = daemon_trouble,
	        .ctx = d};

	return capture_open(&d->capture, d->store, &config, err);
}

static void daemon_shut_out(unsigned uid, int seconds)
{
	if (seconds > 0)
		log_warning("query", "user %u connects in floods: shut out of the socket for %d s",
		        uid, seconds);
	else
		log_warning("query",
		        "user %u connects in floods, and cannot be shut out: has the file system "
		        "of the socket no ACLs?",
		        uid);
}

static int daemon_open_query(struct daemon *d, struct error *err)
{
	const struct config *c = d->config;
	struct query_server_config config = {.socket = c->query_socket,
	        .group = c->query_group,
	        .mode = (unsigned)c->query_mode,
	        .threads = (unsigned)c->query_threads,
	        .shut_out = daemon_shut_out,
	        .query = {.default_window = c->query_window * CLOCK_MINUTE,
	                .status = daemon_status,
	                .ctx = d,
	                .keep_reports = c->report_keep,
	                .erase = &d->erase.service,
	                .uploads = &d->upload_hooks}};

	d->import =
	        (struct import_context){.capture = d->capture, .store = d->store, .node = c->node};
	import_hooks(&d->import, &config.import);
	report_hooks(&d->report, &config.report);
	if (access_open(&d->access, c, d->store, &config, err) < 0 ||
	        ingest_start(&d->ingest, c, d->capture, d->store, err) < 0)
		return -1;
	config.query.ingest = ingest_service(d->ingest.ingest);
	d->server = query_server_new(d->store, &config, err);
	if (d->server == NULL)
		return -1;
	log_info("query", "listening on %s", c->query_socket);
	if (c->listen_port != 0)
		log_info("query", "listening on %s port %d%s", c->listen_address, c->listen_port,
		        c->listen_certificate != NULL ? "" : ", without TLS");
	return 0;
}

/* Other users' files and programs are out of reach from here on. */
static int daemon_settle(const struct config *config, struct error *err)
{
	if (privileges_drop(config->user, err) < 0)
		return -1;
	if (geteuid() == 0)
		log_warning(NULL, "running as root, which postwaked does not need: set user = in "
		                  "[postwake]");
	/* libcurl has copies of upload keys that we cannot lock, GnuTLS one of the certificate's.
	 */
	if ((config->uploads->len > 0 || config->listen_key != NULL) && !privileges_hide_memory())
		log_warning(NULL, "core dumps cannot be switched off: they would hold keys");
	return 0;
}

static int daemon_open(struct daemon *d, struct error *err)
{
	int64_t now, boot;

	if (daemon_settle(d->config, err) < 0)
		return -1;
	d->classifier = classifier_new(d->config->bounce_rules, d->config->reason_rules, err);
	if (d->classifier == NULL || daemon_open_inbound(d, err) < 0 ||
	        daemon_open_store(d, err) < 0 || daemon_open_capture(d, err) < 0 ||
	        report_open(&d->report, d->config, d->classifier, d->capture, d->store, err) < 0)
		return -1;
	if (erase_open(&d->erase, d->capture, d->store, err) < 0)
		return -1;
	clock_both(&now, &boot);
	retention_run(&d->retention, d->config, d->store, d->capture, NULL, now, boot);
	d->sources = sources_start(d->config, d->store, d->capture, d->retention.full, err);
	if (d->sources == NULL)
		return -1;
	d->handover = handover_new(d->capture, 0);
	if (d->config->milter) {
		d->mail = mail_start(d->config, d->handover, &d->report, err);
		if (d->mail == NULL)
			return -1;
	}
	d->uploads = uploads_start(
	        d->config, d->store, capture_writer(d->capture), &d->upload_hooks, err);
	if (d->uploads == NULL)
		return -1;
	if (daemon_open_query(d, err) < 0)
		return -1;
	upkeep_begin(&d->upkeep, d->config, d->store);
	return 0;
}

static gpointer daemon_watchdog(gpointer data)
{
	(void)data;
	sleep(STOP_SECONDS);
	log_error(NULL,
	        "the stop takes longer than %d s (is the store's disk full?): ending as it "
	        "is; the logs will be read again from the last commit",
	        STOP_SECONDS);
	_exit(3);
}

static int daemon_close(struct daemon *d, struct error *err)
{
	g_thread_unref(g_thread_new("watchdog", daemon_watchdog, NULL));
	g_atomic_int_set(&d->stopping, 1);
	if (d->ticks != NULL)
		g_thread_join(d->ticks);
	sources_stop(d->sources);
	mail_stop(&d->mail);
	handover_free(&d->handover);
	query_server_free(&d->server);
	sources_free(&d->sources); /* whose status the server told */
	access_close(&d->access);
	uploads_stop(&d->uploads);
	report_close(&d->report);
	erase_close(&d->erase);
	ingest_stop(&d->ingest);
	upkeep_end(&d->upkeep);
	int result = capture_close(&d->capture, err);
	classifier_free(&d->classifier);
	domains_free(&d->inbound);
	store_close(&d->store);
	return result;
}

/* ---- running ---- */

/* A new certificate is taken up when its files change, or on SIGHUP. */
static void daemon_renew(struct daemon *d)
{
	bool force = g_atomic_int_compare_and_exchange(&d->hangup, 1, 0);
	struct error err = {0};
	int renewed = query_server_renew(d->server, force, &err);

	if (renewed > 0)
		log_info("query", "the certificate was read again");
	else if (renewed < 0)
		log_error("query", "%s; the certificate before it stays in use", err.text);
}

static void daemon_tick(struct daemon *d)
{
	int64_t now = clock_now(), boot;
	uint64_t dropped = handover_dropped(d->handover);

	if (sources_at_end(d->sources))
		capture_tick(d->capture, now);
	if (d->mail != NULL)
		mail_counted(d->mail, d->capture);
	if (dropped > d->dropped) {
		capture_count(d->capture, "milter_dropped", (int64_t)(dropped - d->dropped));
		log_warning("milter", "%llu envelope(s) dropped: the store does not keep up",
		        (unsigned long long)(dropped - d->dropped));
		d->dropped = dropped;
	}
	clock_both(&now, &boot); /* what is above may have waited for the disk */
	retention_run(&d->retention, d->config, d->store, d->capture, d->sources, now, boot);
	daemon_calm(d);
	health_look(&d->health, d->capture);
	upkeep_look(&d->upkeep, d->capture, now);
	daemon_renew(d);
	ingest_hold(d->ingest.ingest, d->retention.full);
}

/* The ticks have a thread of their own: where the store is stuck they wait for it, and a signal
 * must still end the daemon. */
static gpointer daemon_ticks(gpointer data)
{
	struct daemon *d = data;

	while (!g_atomic_int_get(&d->stopping)) {
		daemon_tick(d);
		for (int i = 0; i < 10 && !g_atomic_int_get(&d->stopping); i++)
			g_usleep(G_USEC_PER_SEC / 10);
	}
	return NULL;
}

static void daemon_run(struct daemon *d, const sigset_t *signals)
{
	int signal_number;

	do {
		if (sigwait(signals, &signal_number) != 0)
			continue;
		if (signal_number != SIGHUP)
			continue;
		g_atomic_int_set(&d->hangup, 1);
		log_info(NULL, "SIGHUP: the configuration is read at start only; restart "
		               "postwaked to apply changes");
	} while (signal_number == SIGHUP);
	log_info(NULL, "stopping");
}

static void daemon_notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* What systemd need not try again has a status of its own (RestartPreventExitStatus=). */
static int daemon_failed(const struct error *err)
{
	log_error(NULL, "%s", err->text);
	return err->config ? EX_CONFIG : EXIT_FAILURE;
}

static int daemon_main(struct daemon *d, const sigset_t *signals)
{
	struct error err = {0};

	d->started = clock_now();
	g_mutex_init(&d->lock);
	log_open("postwaked", g_strcmp0(d->config->log, "syslog") == 0,
	        d->config->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (daemon_open(d, &err) < 0) {
		int status = daemon_failed(&err);
		daemon_close(d, NULL);
		return status;
	}
	d->ticks = g_thread_new("ticks", daemon_ticks, d);
	daemon_notify("READY=1");
	log_info(NULL, "postwaked %s is ready; store %s", PACKAGE_VERSION, d->config->store);
	if (d->config->milter && d->config->milter_check_postfix)
		mail_check_postfix(d->config);
	daemon_run(d, signals);
	daemon_notify("STOPPING=1");
	if (daemon_close(d, &err) < 0) {
		log_error("store", "%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int daemon_options(int argc, char **argv, char **path_r)
{
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
	        {"config", 'c', 0, G_OPTION_ARG_FILENAME, path_r,
	                "configuration file (default " PW_SYSCONFDIR "/postwake/postwake.conf)",
	                "FILE"},
	        {"version", 'V', 0, G_OPTION_ARG_NONE, &version, "print the version", NULL},
	        {NULL}};
	g_autoptr(GOptionContext) context =
	        g_option_context_new("- record what happened to every mail");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		g_printerr("postwaked: %s (see --help)\n", error->message);
		return 2;
	}
	if (argc > 1) {
		g_printerr("postwaked: %s: takes no arguments (see --help)\n", argv[1]);
		return 2;
	}
	if (version) {
		g_print("postwaked %s\n", PACKAGE_VERSION);
		return 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	struct error err = {0};
	g_autofree char *path = NULL;
	sigset_t signals;

	privileges_begin();
	setlocale(LC_CTYPE, "");
	mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
	mallopt(M_MMAP_THRESHOLD, MEMORY_KEPT);
	int ended = daemon_options(argc, argv, &path);
	if (ended >= 0)
		return ended;
	log_open("postwaked", false, LOG_LEVEL_INFO);
	if (config_load(&daemon.config, path, &err) < 0)
		return daemon_failed(&err);
	/* Blocked before any thread starts, so that sigwait gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	int status = daemon_main(&daemon, &signals);
	config_free(&daemon.config);
	return status;
}
