#include "milter/session.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "milter/attributes.h"
#include "milter/header_map.h"
#include "milter/passing.h"

/* Postfix hands on 60,000 bytes of a header at most; what comes near may have been cut. */
#define HEADER_CUT 59900

struct milter_shared {
	struct milter_hooks hooks;
	struct header_map *map;
	char *node, *instance;
	enum milter_on_failure on_failure;
	bool remove_header, see_rejects, reports;
	gint passing_total; /* bytes of mails that may be reports, under way */
};

/* Where a recipient may stand in the header. */
enum place { PLACE_TO = 1, PLACE_CC };

/* One mail transaction. Strings live in `text` until the next one. */
struct message {
	bool open;
	GStringChunk *text;
	const char *queue_id; /* as told before the end; fallback */
	const char *from;
	const char *auth_user, *auth_type, *tls_version, *cipher;
	const char *subject, *friendly_from, *friendly_name, *message_id;
	int64_t size;
	GPtrArray *recipients; /* const char * */
	GHashTable *places;    /* address in lower case -> enum place */
	bool places_cut;       /* there were more addresses than `places` has */
	unsigned msys_headers;
	bool msys_read;
	size_t header_bytes;
	struct attributes msys, mapped;
	struct passing passing;
};

struct milter_session {
	struct milter_shared *shared;
	char *host, *ip, *helo;
	char port[8];
	bool local; /* handed in by pickup, not by smtpd */
	struct message message;
};

static char *default_node(void)
{
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	return g_strndup(name, strcspn(name, "."));
}

struct milter_shared *milter_shared_new(
        const struct milter_config *config, const struct milter_hooks *hooks, struct error *err)
{
	struct header_map *map = header_map_new(config->header_map, err);
	g_autofree char *node = config->node != NULL ? g_strdup(config->node) : default_node();

	if (map == NULL)
		return NULL;
	struct milter_shared *shared = g_new0(struct milter_shared, 1);
	*shared = (struct milter_shared){
	        .hooks = *hooks,
	        .map = map,
	        .node = config->node != NULL ? g_strdup(node) : g_ascii_strdown(node, -1),
	        .instance = g_strdup(config->instance != NULL ? config->instance : ""),
	        .on_failure = config->on_failure,
	        .remove_header = config->remove_header,
	        .see_rejects = config->see_rejects,
	        .reports = config->reports,
	};
	return shared;
}

void milter_shared_free(struct milter_shared **shared)
{
	if (*shared == NULL)
		return;
	header_map_free(&(*shared)->map);
	g_free((*shared)->node);
	g_free((*shared)->instance);
	g_clear_pointer(shared, g_free);
}

struct milter_session *milter_session_new(struct milter_shared *shared)
{
	struct milter_session *session = g_new0(struct milter_session, 1);

	session->shared = shared;
	session->message.text = g_string_chunk_new(1024);
	session->message.recipients = g_ptr_array_new();
	session->message.places = g_hash_table_new(g_str_hash, g_str_equal);
	return session;
}

/* Makes the session ready for the next message. Nothing is kept of one that was not begun, and an
 * MTA aborts those as well. */
static void message_reset(struct message *message)
{
	if (!message->open)
		return;
	attributes_clear(&message->msys);
	attributes_clear(&message->mapped);
	passing_clear(&message->passing);
	g_ptr_array_set_size(message->recipients, 0);
	g_hash_table_remove_all(message->places);
	g_string_chunk_clear(message->text);
	*message = (struct message){
	        .text = message->text,
	        .recipients = message->recipients,
	        .places = message->places,
	        .size = -1,
	};
}

void milter_session_free(struct milter_session **session)
{
	if (*session == NULL)
		return;
	struct message *message = &(*session)->message;
	message_reset(message);
	g_ptr_array_unref(message->recipients);
	g_hash_table_destroy(message->places);
	g_string_chunk_free(message->text);
	g_free((*session)->host);
	g_free((*session)->ip);
	g_free((*session)->helo);
	g_clear_pointer(session, g_free);
}

static void count(const struct milter_session *session, const char *counter)
{
	const struct milter_hooks *hooks = &session->shared->hooks;

	if (hooks->count != NULL)
		hooks->count(hooks->ctx, counter);
}

/* A copy that lives as long as the message, cut at a sane length; NULL for NULL and "". */
static const char *keep(struct message *message, const char *text)
{
	if (text == NULL || *text == '\0')
		return NULL;
	size_t n = strnlen(text, MILTER_FIELD_BYTES_MAX);
	while (text[n] != '\0' && n > 0 && ((guchar)text[n] & 0xC0) == 0x80)
		n--;
	return g_string_chunk_insert_len(message->text, text, (gssize)n);
}

/* The same for text of a hook, which is freed. */
static const char *keep_own(struct message *message, char *text)
{
	const char *copy = keep(message, text);

	g_free(text);
	return copy;
}

void milter_session_connect(
        struct milter_session *session, const char *host, const char *ip, unsigned port)
{
	milter_session_abort(session);
	g_clear_pointer(&session->helo, g_free);
	g_free(session->host);
	g_free(session->ip);
	/* Without a name Postfix gives [address]. */
	session->host = host != NULL && host[0] != '[' ? g_strdup(host) : NULL;
	session->ip = g_strdup(ip);
	g_snprintf(session->port, sizeof(session->port), "%u", port & 0xFFFF);
	/* cleanup_milter_emul_mail(): mail of pickup comes from localhost, 127.0.0.1, port 0. */
	session->local =
	        port == 0 && g_strcmp0(host, "localhost") == 0 && g_strcmp0(ip, "127.0.0.1") == 0;
}

void milter_session_helo(struct milter_session *session, const char *name)
{
	g_free(session->helo);
	session->helo = g_strdup(name);
}

/* An address of MAIL or RCPT: in <>, or bare for mail of pickup. */
static struct slice bare_address(const char *argument)
{
	struct slice address = slice_trim(slice_str(argument));

	if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		address = slice_make(address.p + 1, address.n - 2);
	return address;
}

/* The SIZE= argument of MAIL (RFC 1870); -1 without it. */
static int64_t size_argument(const char *const *argv)
{
	int64_t size;

	for (size_t i = 1; argv[0] != NULL && argv[i] != NULL; i++) {
		if (g_ascii_strncasecmp(argv[i], "SIZE=", 5) == 0 &&
		        slice_int(slice_str(argv[i] + 5), &size) && size > 0)
			return size;
	}
	return -1;
}

/* What our own users send is no report to us, unless they address it so. */
static void begin_passing(struct milter_session *session)
{
	struct message *message = &session->message;
	bool own = session->local || message->auth_user != NULL;

	if (!session->shared->reports)
		return;
	passing_begin(&message->passing, &session->shared->passing_total);
	passing_sender(&message->passing, message->from, own);
	passing_received(&message->passing, session->helo, session->ip, session->shared->node,
	        session->shared->hooks.now(session->shared->hooks.ctx));
}

void milter_session_mail(struct milter_session *session, const char *const *argv,
        const char *queue_id, const char *auth_user, const char *auth_type, const char *tls_version,
        const char *cipher)
{
	struct message *message = &session->message;

	message_reset(message);
	if (argv[0] == NULL)
		return;
	struct slice from = bare_address(argv[0]);
	message->open = true;
	message->from = g_string_chunk_insert_len(message->text, from.p, (gssize)from.n);
	message->size = size_argument(argv);
	message->queue_id = keep(message, queue_id);
	message->auth_user = keep(message, auth_user);
	message->auth_type = keep(message, auth_type);
	message->tls_version = keep(message, tls_version);
	message->cipher = keep(message, cipher);
	begin_passing(session);
}

/* What every observation of the session says. */
static struct observation observe(const struct milter_session *session, enum observation_kind kind,
        const char *rule, const char *queue_id)
{
	const struct milter_shared *shared = session->shared;
	const struct message *message = &session->message;
	struct observation seen = OBSERVATION_INIT;

	seen.kind = kind;
	seen.rule = rule;
	seen.line.node = slice_str(shared->node);
	seen.line.instance = slice_str(shared->instance);
	seen.line.time = shared->hooks.now(shared->hooks.ctx);
	seen.line.program = SLICE("milter");
	seen.queue_id = slice_str(queue_id);
	seen.from = slice_str(message->from);
	seen.client_host = slice_str(session->host);
	seen.client_ip = slice_str(session->ip);
	if (session->ip != NULL)
		seen.client_port = slice_str(session->port);
	seen.helo = slice_str(session->helo);
	seen.sasl_username = slice_str(message->auth_user);
	seen.sasl_method = slice_str(message->auth_type);
	seen.size = message->size;
	return seen;
}

static bool is_status(struct slice text)
{
	struct slice rest = text;
	struct slice class = slice_cut(&rest, '.');
	struct slice subject = slice_cut(&rest, '.');
	int64_t number;

	return (slice_eq(class, SLICE("4")) || slice_eq(class, SLICE("5"))) && subject.n <= 3 &&
	       rest.n <= 3 && slice_int(subject, &number) && slice_int(rest, &number);
}

/* A refused recipient has {rcpt_mailer} error and an enhanced status code as {rcpt_host}; one that
 * an error: transport will bounce later has free text there. */
static bool is_refused(const struct milter_session *session, const char *mailer, const char *host)
{
	return session->shared->see_rejects && g_strcmp0(mailer, "error") == 0 &&
	       is_status(slice_str(host));
}

static void refuse(struct milter_session *session, struct slice to, const char *queue_id,
        const char *status, const char *text)
{
	struct observation seen =
	        observe(session, OBSERVATION_REJECT, "milter-rcpt-rejected", queue_id);
	struct slice reason = slice_trim(slice_str(text));
	struct slice rest = reason;
	struct slice code = slice_cut(&rest, ' ');
	int64_t number;

	seen.to = to;
	seen.dsn = slice_str(status);
	seen.stage = SLICE("RCPT");
	/* Sendmail: "550 5.1.1 User unknown"; Postfix tells the text alone. */
	if (code.n == 3 && slice_int(code, &number) && number >= 400 && number <= 599) {
		seen.code = code;
		reason = rest;
		if (slice_skip(&rest, seen.dsn) && slice_skip(&rest, SLICE(" ")))
			reason = rest;
	}
	seen.reason = reason;
	session->shared->hooks.observed(session->shared->hooks.ctx, &seen, false);
}

static void add_recipient(struct milter_session *session, char *address)
{
	const struct milter_hooks *hooks = &session->shared->hooks;
	struct message *message = &session->message;

	g_ptr_array_add(message->recipients, address);
	if (session->shared->reports)
		passing_recipient(
		        &message->passing, address, hooks->report_address(hooks->ctx, address));
}

void milter_session_rcpt(struct milter_session *session, const char *const *argv,
        const char *queue_id, const char *mailer, const char *host, const char *address)
{
	struct message *message = &session->message;

	if (!message->open || argv[0] == NULL)
		return;
	struct slice to = bare_address(argv[0]);
	if (queue_id != NULL && *queue_id != '\0')
		message->queue_id = keep(message, queue_id);
	if (is_refused(session, mailer, host))
		refuse(session, to, message->queue_id, host, address);
	else if (message->recipients->len < MILTER_RECIPIENTS_MAX)
		add_recipient(
		        session, g_string_chunk_insert_len(message->text, to.p, (gssize)to.n));
	else
		count(session, "milter_recipients_limit");
}

struct place_note {
	struct message *message;
	enum place place;
};

static void note_place(void *ctx, const char *addr_spec)
{
	const struct place_note *note = ctx;
	struct message *message = note->message;
	g_autofree char *lower = g_ascii_strdown(addr_spec, -1);

	/* To wins over Cc, whichever comes first. */
	enum place old = GPOINTER_TO_INT(g_hash_table_lookup(message->places, lower));
	if (old == PLACE_TO || old == note->place)
		return;
	if (g_hash_table_size(message->places) >= MILTER_ADDRESSES_MAX) {
		message->places_cut = true;
		return;
	}
	g_hash_table_insert(message->places, g_string_chunk_insert(message->text, lower),
	        GINT_TO_POINTER(note->place));
}

static void read_places(struct milter_session *session, struct slice value, enum place place)
{
	struct place_note note = {.message = &session->message, .place = place};

	if (value.n >= HEADER_CUT)
		session->message.places_cut = true;
	session->shared->hooks.each_address(value, note_place, &note);
}

static void read_to(struct milter_session *session, struct slice value)
{
	read_places(session, value, PLACE_TO);
}

static void read_cc(struct milter_session *session, struct slice value)
{
	read_places(session, value, PLACE_CC);
}

static void read_from(struct milter_session *session, struct slice value)
{
	struct message *message = &session->message;
	const struct milter_hooks *hooks = &session->shared->hooks;

	if (message->friendly_from != NULL)
		return;
	message->friendly_from = keep_own(message, hooks->first_address(value));
	message->friendly_name = keep_own(message, hooks->first_name(value));
}

static void read_subject(struct milter_session *session, struct slice value)
{
	struct message *message = &session->message;

	if (message->subject == NULL)
		message->subject = keep_own(message, session->shared->hooks.decode_text(value));
}

static void read_message_id(struct milter_session *session, struct slice value)
{
	struct message *message = &session->message;

	if (message->message_id != NULL)
		return;
	/* A folded one comes as "\n <id>". */
	char *text = slice_dup(slice_trim(value));
	for (char *p = text; *p != '\0'; p++) {
		if (g_ascii_iscntrl(*p))
			*p = ' ';
	}
	message->message_id = keep_own(message, text);
}

static void read_msys(struct milter_session *session, struct slice value)
{
	struct message *message = &session->message;

	message->msys_headers++;
	if (message->msys_read)
		return;
	message->msys_read = attributes_msys(&message->msys, value);
}

/* Headers that always mean something. */
static const struct known_header {
	const char *name;
	void (*read)(struct milter_session *session, struct slice value);
} known_headers[] = {
        {"From", read_from},
        {"To", read_to},
        {"Cc", read_cc},
        {"Resent-To", read_to},
        {"Resent-Cc", read_cc},
        {"Subject", read_subject},
        {"Message-ID", read_message_id},
        {"X-MSYS-API", read_msys},
};

static const struct known_header *find_known(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(known_headers); i++) {
		if (g_ascii_strcasecmp(name, known_headers[i].name) == 0)
			return &known_headers[i];
	}
	return NULL;
}

void milter_session_header(struct milter_session *session, const char *name, const char *value)
{
	struct message *message = &session->message;
	const struct known_header *known = find_known(name);
	struct slice text = slice_str(value);

	if (!message->open || value == NULL)
		return;
	passing_header(&message->passing, name, value);
	if (message->header_bytes + text.n > MILTER_HEADER_BYTES_MAX) {
		/* Counted once; X-MSYS-API must still be removed. */
		if (message->header_bytes <= MILTER_HEADER_BYTES_MAX)
			count(session, "milter_header_limit");
		message->header_bytes = MILTER_HEADER_BYTES_MAX + 1;
		message->places_cut = true;
		if (known != NULL && known->read == read_msys)
			message->msys_headers++;
		return;
	}
	if (known != NULL)
		known->read(session, text);
	else if (!header_map_read(session->shared->map, &message->mapped, name, text,
	                 session->shared->hooks.decode_text))
		return;
	message->header_bytes += text.n;
}

/* "cc" or "bcc"; NULL for a recipient in To, and where that cannot be known. */
static const char *type_by_place(const struct message *message, const char *address)
{
	gpointer place = g_hash_table_lookup(message->places, address);

	/* A bare local name in the header means a mailbox here. */
	if (place == NULL) {
		g_autofree char *local = g_strndup(address, strcspn(address, "@"));
		place = g_hash_table_lookup(message->places, local);
	}
	if (GPOINTER_TO_INT(place) == PLACE_TO)
		return NULL;
	if (GPOINTER_TO_INT(place) == PLACE_CC)
		return "cc";
	return message->places_cut ? NULL : "bcc";
}

/* Text that lives until `texts` is freed. */
static struct slice hold(GPtrArray *texts, char *text)
{
	if (text != NULL)
		g_ptr_array_add(texts, text);
	return slice_str(text);
}

static struct envelope_recipient describe(
        struct message *message, const char *address, GPtrArray *texts)
{
	g_autofree char *lower = g_ascii_strdown(address, -1);
	const struct attributes_recipient *own = attributes_of(&message->msys, lower);
	struct envelope_recipient recipient = {.address = slice_str(address)};

	if (own != NULL && own->type != NULL)
		recipient.type = slice_str(own->type);
	else
		recipient.type = slice_str(type_by_place(message, lower));
	if (own != NULL && own->meta != NULL)
		recipient.meta = hold(texts, attributes_dump_meta(&message->msys, own));
	if (own != NULL && own->tags != NULL)
		recipient.tags = hold(texts, attributes_dump_tags(&message->msys, own));
	recipient.subs = hold(texts, attributes_dump_subs(&message->msys, own));
	return recipient;
}

static void fill_fields(struct milter_session *session, struct envelope *envelope, GPtrArray *texts)
{
	struct message *message = &session->message;
	struct slice *field = envelope->field;

	for (size_t i = 0; i < FIELDS; i++)
		field[i] = slice_str(message->msys.field[i]);
	field[FIELD_MSG_FROM] = slice_str(message->from);
	field[FIELD_SUBJECT] = slice_str(message->subject);
	field[FIELD_FRIENDLY_FROM] = slice_str(message->friendly_from);
	field[FIELD_FRIENDLY_NAME] = slice_str(message->friendly_name);
	field[FIELD_HEADER_MESSAGE_ID] = slice_str(message->message_id);
	field[FIELD_REMOTE_ADDR] = slice_str(session->ip);
	field[FIELD_CLIENT_HOST] = slice_str(session->host);
	field[FIELD_HELO] = slice_str(session->helo);
	field[FIELD_AUTH_USER] = slice_str(message->auth_user);
	field[FIELD_TLS_VERSION] = slice_str(message->tls_version);
	field[FIELD_TLS_CIPHER] = slice_str(message->cipher);
	field[FIELD_RECV_METHOD] = session->local ? SLICE("local") : SLICE("esmtp");
	field[FIELD_RCPT_META] = hold(texts, attributes_dump_meta(&message->msys, NULL));
	field[FIELD_RCPT_TAGS] = hold(texts, attributes_dump_tags(&message->msys, NULL));
}

/* Makes the envelope and hands it over; what the hook says. */
static int hand_over(struct milter_session *session, const char *queue_id)
{
	struct message *message = &session->message;
	const struct milter_shared *shared = session->shared;
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(free);
	g_autofree struct envelope_recipient *recipients =
	        g_new(struct envelope_recipient, message->recipients->len + 1);
	struct envelope envelope = {
	        .recipient = recipients, .recipients = message->recipients->len};

	attributes_merge(&message->msys, &message->mapped);
	for (guint i = 0; i < message->recipients->len; i++)
		recipients[i] = describe(message, message->recipients->pdata[i], texts);
	fill_fields(session, &envelope, texts);
	if (message->msys.bad > 0)
		count(session, "milter_bad_attributes");
	if (message->msys.cut > 0)
		count(session, "milter_long_attributes");

	struct observation seen = observe(session, OBSERVATION_ENVELOPE, "milter", queue_id);
	seen.message_id = slice_str(message->message_id);
	seen.nrcpt = (int64_t)message->recipients->len;
	seen.envelope = &envelope;
	return shared->hooks.observed(
	        shared->hooks.ctx, &seen, shared->on_failure == MILTER_TEMPFAIL);
}

bool milter_session_body(struct milter_session *session, struct slice chunk)
{
	return session->message.open && passing_body(&session->message.passing, chunk);
}

static void hand_over_report(struct milter_session *session)
{
	const struct milter_hooks *hooks = &session->shared->hooks;
	struct passing *passing = &session->message.passing;

	if (!passing_may_be_report(passing))
		return;
	if (passing->full)
		count(session, "milter_report_limit");
	hooks->report(hooks->ctx, passing_take(passing));
}

int milter_session_end(struct milter_session *session, const char *queue_id, const char *msg_id,
        unsigned *remove_r)
{
	struct message *message = &session->message;
	int result = 0;

	*remove_r = session->shared->remove_header ? message->msys_headers : 0;
	if (!message->open)
		return 0;
	if (queue_id == NULL || *queue_id == '\0')
		queue_id = message->queue_id;
	if (message->message_id == NULL)
		message->message_id = keep(message, msg_id);
	if (queue_id == NULL)
		count(session, "milter_no_queue_id");
	else
		result = hand_over(session, queue_id);
	bool refused = result < 0 && session->shared->on_failure == MILTER_TEMPFAIL;
	if (!refused)
		hand_over_report(session);
	message_reset(message);
	return refused ? -1 : 0;
}

void milter_session_abort(struct milter_session *session)
{
	message_reset(&session->message);
}
