#include "milter/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/socket.h"

#define MSYS_HEADER "X-MSYS-API"
#define BACKLOG 256

/* What we need not see, and answers that we need not give; libmilter gives those in our place when
 * the MTA cannot do without. */
#define STEPS_OFF (SMFIP_NOBODY | SMFIP_NOUNKNOWN | SMFIP_NOEOH | SMFIP_NODATA)
#define STEPS_SILENT \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA | \
	        SMFIP_NR_UNKN | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY)

/* libmilter has one listener a process and keeps its threads when it stops, so this stays too. */
static struct listener {
	struct milter_shared *shared;
	struct milter_socket socket;
	bool remove_header, see_rejects, reports, tempfail;

	gint unskippable; /* an MTA sends all of a body, whatever the reply */
	gint closed;      /* callbacks must not begin any more */
	gint active;      /* callbacks that began */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;  /* milter_stop was called */
	bool ended; /* smfi_main returned by itself: a failure */
} listener = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The gate: between enter and leave the hooks may be called. Callbacks run in libmilter's threads,
 * which live on after milter_serve. */
static void leave(void)
{
	if (!g_atomic_int_dec_and_test(&listener.active) || !g_atomic_int_get(&listener.closed))
		return;
	pthread_mutex_lock(&listener.lock);
	pthread_cond_broadcast(&listener.changed);
	pthread_mutex_unlock(&listener.lock);
}

/* The session of a callback, or NULL when the gate is closed; then no leave. */
static struct milter_session *enter(SMFICTX *ctx)
{
	struct milter_session *session = smfi_getpriv(ctx);

	if (session == NULL)
		return NULL;
	g_atomic_int_inc(&listener.active);
	if (!g_atomic_int_get(&listener.closed))
		return session;
	leave();
	return NULL;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
        unsigned long f2, unsigned long f3, unsigned long *actions_r, unsigned long *steps_r,
        unsigned long *f2_r, unsigned long *f3_r)
{
	/* Macros that we read, by stage; a list may not be empty. */
	const struct {
		int stage;
		const char *macros;
	} rows[] = {
	        {SMFIM_CONNECT, "j"},
	        {SMFIM_HELO, "j"},
	        {SMFIM_ENVFROM, "i {auth_type} {auth_authen} {tls_version} {cipher}"},
	        {SMFIM_ENVRCPT,
	                listener.see_rejects ? "i {rcpt_mailer} {rcpt_host} {rcpt_addr}" : "i"},
	        {SMFIM_EOM, "i {msg_id}"},
	};
	unsigned long want_actions = listener.remove_header ? SMFIF_CHGHDRS : 0;
	unsigned long want_steps = STEPS_OFF | STEPS_SILENT;

	(void)f2;
	(void)f3;
	/* Postfix holds commands that need no reply back until one does, and libmilter reads none
	 * of them when the MTA hung up in the meantime: a refusal must be replied to. */
	if (listener.see_rejects)
		want_steps = (want_steps | SMFIP_RCPT_REJ) & ~(unsigned long)SMFIP_NR_RCPT;
	/* A reply to the first piece of a body can refuse the others. */
	if (listener.reports)
		want_steps =
		        (want_steps | SMFIP_SKIP) & ~(unsigned long)(SMFIP_NOBODY | SMFIP_NR_BODY);
	if (listener.reports && (steps & SMFIP_SKIP) == 0)
		g_atomic_int_set(&listener.unskippable, 1);
	if ((actions & SMFIF_SETSYMLIST) != 0) {
		want_actions |= SMFIF_SETSYMLIST;
		for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
			smfi_setsymlist(ctx, rows[i].stage, (char *)rows[i].macros);
	}
	*actions_r = actions & want_actions;
	*steps_r = steps & want_steps;
	*f2_r = *f3_r = 0;
	return SMFIS_CONTINUE;
}

static const char *macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)name);
}

/* The address of a client as text; NULL when it has none. */
static const char *address_text(
        const _SOCK_ADDR *address, char text[INET6_ADDRSTRLEN], unsigned *port_r)
{
	if (address != NULL && address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		*port_r = ntohs(in->sin_port);
		return inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN);
	}
	if (address != NULL && address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		*port_r = ntohs(in6->sin6_port);
		return inet_ntop(AF_INET6, &in6->sin6_addr, text, INET6_ADDRSTRLEN);
	}
	return NULL;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	char text[INET6_ADDRSTRLEN];
	unsigned port = 0;
	const char *ip = address_text(address, text, &port);

	if (smfi_getpriv(ctx) == NULL)
		smfi_setpriv(ctx, milter_session_new(listener.shared));
	struct milter_session *session = enter(ctx);
	if (session != NULL) {
		milter_session_connect(session, host, ip, port);
		leave();
	}
	return SMFIS_NOREPLY;
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	struct milter_session *session = enter(ctx);

	if (session != NULL) {
		milter_session_helo(session, name);
		leave();
	}
	return SMFIS_NOREPLY;
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	struct milter_session *session = enter(ctx);

	if (session != NULL) {
		milter_session_mail(session, (const char *const *)argv, macro(ctx, "i"),
		        macro(ctx, "{auth_authen}"), macro(ctx, "{auth_type}"),
		        macro(ctx, "{tls_version}"), macro(ctx, "{cipher}"));
		leave();
	}
	return SMFIS_NOREPLY;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	struct milter_session *session = enter(ctx);

	if (session != NULL) {
		milter_session_rcpt(session, (const char *const *)argv, macro(ctx, "i"),
		        macro(ctx, "{rcpt_mailer}"), macro(ctx, "{rcpt_host}"),
		        macro(ctx, "{rcpt_addr}"));
		leave();
	}
	return listener.see_rejects ? SMFIS_CONTINUE : SMFIS_NOREPLY;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct milter_session *session = enter(ctx);

	if (session != NULL) {
		milter_session_header(session, name, value);
		leave();
	}
	return SMFIS_NOREPLY;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *bytes, size_t n)
{
	struct milter_session *session = enter(ctx);
	bool more = false;

	if (session != NULL) {
		more = milter_session_body(session, slice_make((const char *)bytes, n));
		leave();
	}
	return more || g_atomic_int_get(&listener.unskippable) ? SMFIS_CONTINUE : SMFIS_SKIP;
}

static sfsistat on_end(SMFICTX *ctx)
{
	struct milter_session *session = enter(ctx);
	unsigned remove = 0;
	int result = listener.tempfail ? -1 : 0;

	if (session != NULL) {
		result = milter_session_end(
		        session, macro(ctx, "i"), macro(ctx, "{msg_id}"), &remove);
		leave();
	}
	if (result < 0) {
		smfi_setreply(ctx, (char *)"451", (char *)"4.3.0",
		        (char *)"The message could not be recorded; try again later");
		return SMFIS_TEMPFAIL;
	}
	/* The last first: taking one out moves those behind it. */
	for (unsigned i = remove; i > 0; i--)
		smfi_chgheader(ctx, (char *)MSYS_HEADER, (int)i, NULL);
	return SMFIS_CONTINUE;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct milter_session *session = enter(ctx);

	if (session != NULL) {
		milter_session_abort(session);
		leave();
	}
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct milter_session *session = smfi_getpriv(ctx);

	/* Freeing calls no hook, so it needs no gate. */
	smfi_setpriv(ctx, NULL);
	milter_session_free(&session);
	return SMFIS_CONTINUE;
}

static int open_socket(unsigned mode, struct error *err)
{
	struct milter_socket *socket = &listener.socket;
	struct smfiDesc filter = {
	        .xxfi_name = (char *)"postwake",
	        .xxfi_version = SMFI_VERSION,
	        .xxfi_flags = SMFIF_CHGHDRS | SMFIF_SETSYMLIST,
	        .xxfi_connect = on_connect,
	        .xxfi_helo = on_helo,
	        .xxfi_envfrom = on_mail,
	        .xxfi_envrcpt = on_rcpt,
	        .xxfi_header = on_header,
	        .xxfi_body = on_body,
	        .xxfi_eom = on_end,
	        .xxfi_abort = on_abort,
	        .xxfi_close = on_close,
	        .xxfi_negotiate = on_negotiate,
	};

	if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(socket->spec) != MI_SUCCESS ||
	        smfi_setbacklog(BACKLOG) != MI_SUCCESS)
		return error_set(
		        err, "libmilter refuses its set-up (another version than at build?)");
	/* libmilter makes it 0777 & ~umask; nobody may connect before it has its group. */
	mode_t old = umask(0777 & ~mode);
	int result = smfi_opensocket(false);
	umask(old);
	if (result != MI_SUCCESS)
		return error_set(err,
		        "%s: cannot listen; libmilter told syslog why (for inet: address in use?)",
		        socket->spec);
	return 0;
}

int milter_listen(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err)
{
	unsigned mode = config->mode != 0 ? config->mode : 0660;

	listener.remove_header = config->remove_header;
	listener.see_rejects = config->see_rejects;
	listener.reports = config->reports;
	listener.tempfail = config->on_failure == MILTER_TEMPFAIL;
	listener.shared = milter_shared_new(config, hooks, err);
	if (listener.shared == NULL ||
	        milter_socket_parse(&listener.socket, config->socket, err) < 0 ||
	        milter_socket_prepare(&listener.socket, err) < 0 || open_socket(mode, err) < 0)
		goto failed;
	if (milter_socket_permit(&listener.socket, config->group, mode, err) == 0)
		return 0;
	milter_socket_remove(&listener.socket);
failed:
	milter_socket_clear(&listener.socket);
	milter_shared_free(&listener.shared);
	return -1;
}

/* libmilter starts a thread that waits for SIGHUP, SIGTERM and SIGINT by sigwait and then ends the
 * listener for good, whichever of them it was. It has no switch for that, so this takes the place
 * of libc's sigwait in the whole program: signals belong to the main thread. */
int sigwait(const sigset_t *set, int *signal_r)
{
	while (gettid() != getpid())
		pause();
	int number = sigwaitinfo(set, NULL);
	if (number < 0)
		return errno;
	*signal_r = number;
	return 0;
}

static gpointer run_main(gpointer data)
{
	(void)data;
	smfi_main();
	pthread_mutex_lock(&listener.lock);
	listener.ended = true;
	pthread_cond_broadcast(&listener.changed);
	pthread_mutex_unlock(&listener.lock);
	return NULL;
}

/* smfi_stop would need up to 5 s (libmilter's listener looks no more often), and its worker threads
 * outlive it in any case. So the gate is closed instead, and libmilter goes with the process. */
int milter_serve(void)
{
	int result = 0;

	pthread_mutex_lock(&listener.lock);
	if (!listener.stop)
		g_thread_unref(g_thread_new("milter", run_main, NULL));
	while (!listener.stop && !listener.ended)
		pthread_cond_wait(&listener.changed, &listener.lock);
	if (!listener.stop)
		result = -1;
	g_atomic_int_set(&listener.closed, 1);
	while (g_atomic_int_get(&listener.active) > 0)
		pthread_cond_wait(&listener.changed, &listener.lock);
	pthread_mutex_unlock(&listener.lock);
	milter_socket_remove(&listener.socket);
	return result;
}

void milter_stop(void)
{
	pthread_mutex_lock(&listener.lock);
	listener.stop = true;
	pthread_cond_broadcast(&listener.changed);
	pthread_mutex_unlock(&listener.lock);
}
