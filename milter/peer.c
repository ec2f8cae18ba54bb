#include "milter/peer.h"

#include <arpa/inet.h>

#include "milter/packet.h"

#define MSYS_HEADER "X-MSYS-API"

/* What we need not see, and answers that we need not give. */
#define STEPS_OFF (PACKET_NO_BODY | PACKET_NO_UNKNOWN | PACKET_NO_END_OF_HEADER | PACKET_NO_DATA)
#define STEPS_SILENT \
	(PACKET_SILENT_CONNECT | PACKET_SILENT_HELO | PACKET_SILENT_MAIL | PACKET_SILENT_RCPT | \
	        PACKET_SILENT_DATA | PACKET_SILENT_UNKNOWN | PACKET_SILENT_HEADER | \
	        PACKET_SILENT_END_OF_HEADER | PACKET_SILENT_BODY)

/* The commands that come with macros, in their order. */
enum stage { CONNECT, HELO, MAIL, RCPT, DATA, END_OF_HEADER, END, STAGES, NO_STAGE = STAGES };

enum answer { NOTHING, CONTINUE, SKIP, ENDED, CLOSE, BAD };

struct peer {
	const struct peer_plan *plan;
	struct milter_session *session;
	struct packet_stream stream;
	GPtrArray *texts; /* of the packet that is handled */
	GString *macros[STAGES];
	enum stage stage; /* of the last command that has one */
	bool negotiated;
	uint32_t actions, steps; /* as negotiated */
	int result;              /* of the message that ended: 0, or -1 = answer 451 */
	unsigned remove;
	const char *refusal;
};

struct peer *peer_new(const struct peer_plan *plan)
{
	struct peer *peer = g_new0(struct peer, 1);

	peer->plan = plan;
	peer->session = milter_session_new(plan->shared);
	peer->texts = g_ptr_array_new();
	return peer;
}

static void forget_macros(struct peer *peer, enum stage from)
{
	for (enum stage stage = from; stage < STAGES; stage++)
		if (peer->macros[stage] != NULL)
			g_string_truncate(peer->macros[stage], 0);
}

void peer_free(struct peer **peer)
{
	struct peer *p = *peer;

	if (p == NULL)
		return;
	for (int i = 0; i < STAGES; i++)
		if (p->macros[i] != NULL)
			g_string_free(p->macros[i], TRUE);
	packet_stream_clear(&p->stream);
	g_ptr_array_unref(p->texts);
	milter_session_free(&p->session);
	g_clear_pointer(peer, g_free);
}

const char *peer_refusal(const struct peer *peer)
{
	return peer->refusal;
}

/* A macro's value: the latest that was told, since the MTA sends each when it changes. */
static const char *macro(const struct peer *peer, const char *name)
{
	for (int stage = (int)peer->stage; stage >= 0; stage--) {
		const GString *list = peer->macros[stage];
		const char *value =
		        list != NULL ? packet_macro(slice_make(list->str, list->len), name) : NULL;

		if (value != NULL)
			return value;
	}
	return NULL;
}

/* ---- the commands ---- */

static const char *const *texts(const struct peer *peer)
{
	return (const char *const *)peer->texts->pdata;
}

static uint32_t wanted_steps(const struct peer_plan *plan)
{
	uint32_t steps = STEPS_OFF | STEPS_SILENT;

	/* Postfix holds commands that need no reply back until one does. The time of a refusal is
	 * when it comes here, so it must come at once. */
	if (plan->see_rejects)
		steps = (steps | PACKET_REJECTED_RCPT) & ~PACKET_SILENT_RCPT;
	/* A reply to the first piece of a body can refuse the others. */
	if (plan->reports)
		steps = (steps | PACKET_CAN_SKIP) & ~(PACKET_NO_BODY | PACKET_SILENT_BODY);
	return steps;
}

/* The macros that we read, by libmilter's number of a stage (SMFIM_); a list may not be empty. */
static void put_macro_lists(const struct peer *peer, GString *data)
{
	const struct {
		uint32_t stage;
		const char *macros;
	} rows[] = {
	        {0, "j"},
	        {1, "j"},
	        {2, "i {auth_type} {auth_authen} {tls_version} {cipher}"},
	        {3, peer->plan->see_rejects ? "i {rcpt_mailer} {rcpt_host} {rcpt_addr}" : "i"},
	        {5, "i {msg_id}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		packet_put_number(data, rows[i].stage);
		g_string_append_len(data, rows[i].macros, (gssize)strlen(rows[i].macros) + 1);
	}
}

/* version, actions, steps that the MTA knows. What it does not know is not asked for. */
static enum answer on_negotiate(struct peer *peer, struct slice data, GString *out)
{
	g_autoptr(GString) reply = g_string_new(NULL);

	if (data.n < 12 || packet_number(data, 0) < PACKET_VERSION_MIN) {
		peer->refusal = "its negotiation is none of version 2 or later";
		return BAD;
	}
	uint32_t actions = packet_number(data, 4), steps = packet_number(data, 8);
	uint32_t wanted = PACKET_MAY_LIST_MACROS;
	if (peer->plan->remove_header)
		wanted |= PACKET_MAY_CHANGE_HEADER;
	peer->actions = wanted & (actions != 0 ? actions : PACKET_ACTIONS_V1);
	peer->steps = wanted_steps(peer->plan) & (steps != 0 ? steps : PACKET_STEPS_V1);
	peer->negotiated = true;
	packet_put_number(reply, MIN(packet_number(data, 0), PACKET_VERSION));
	packet_put_number(reply, peer->actions);
	packet_put_number(reply, peer->steps);
	if ((peer->actions & PACKET_MAY_LIST_MACROS) != 0)
		put_macro_lists(peer, reply);
	packet_put(out, PACKET_NEGOTIATE, slice_make(reply->str, reply->len));
	return NOTHING;
}

/* A stage, then names and values. */
static enum answer on_macros(struct peer *peer, struct slice data, GString *out)
{
	static const struct {
		char command;
		enum stage stage;
	} stages[] = {
	        {PACKET_CONNECT, CONNECT},
	        {PACKET_HELO, HELO},
	        {PACKET_MAIL, MAIL},
	        {PACKET_RCPT, RCPT},
	        {PACKET_DATA, DATA},
	        {PACKET_END_OF_HEADER, END_OF_HEADER},
	        {PACKET_END, END},
	};

	(void)out;
	for (size_t i = 0; data.n > 0 && i < G_N_ELEMENTS(stages); i++) {
		GString **list = &peer->macros[stages[i].stage];

		if (data.p[0] != stages[i].command)
			continue;
		if (*list == NULL)
			*list = g_string_new(NULL);
		g_string_truncate(*list, 0);
		g_string_append_len(*list, data.p + 1, (gssize)data.n - 1);
	}
	return NOTHING;
}

/* The address of a client as it is usually written; false when it is none. */
static bool client_address(char family, const char *text, char clean_r[INET6_ADDRSTRLEN])
{
	unsigned char address[sizeof(struct in6_addr)];
	int kind = family == '4' ? AF_INET : AF_INET6;

	if (kind == AF_INET6 && g_ascii_strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	return inet_pton(kind, text, address) == 1 &&
	       inet_ntop(kind, address, clean_r, INET6_ADDRSTRLEN) != NULL;
}

/* The host's name, ended by NUL; 'U', or '4', '6', 'L' with a port and an address. */
static enum answer on_connect(struct peer *peer, struct slice data, GString *out)
{
	char ip[INET6_ADDRSTRLEN];
	ptrdiff_t end = slice_chr(data, '\0');
	const char *host = data.p;
	unsigned port;

	(void)out;
	if (end < 0)
		return BAD;
	data = slice_from(data, (size_t)end + 1);
	if (data.n == 0)
		return BAD;
	char family = data.p[0];
	if (family == 'U') {
		milter_session_connect(peer->session, host, NULL, 0);
		return CONTINUE;
	}
	if (data.n < 4 || data.p[data.n - 1] != '\0' || memchr("46L", family, 3) == NULL)
		return BAD;
	port = (unsigned)(guchar)data.p[1] << 8 | (guchar)data.p[2];
	if (family != 'L' && !client_address(family, data.p + 3, ip))
		return BAD;
	milter_session_connect(peer->session, host, family != 'L' ? ip : NULL, port);
	return CONTINUE;
}

static enum answer on_helo(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	if (!packet_texts(data, peer->texts))
		return BAD;
	milter_session_helo(peer->session, texts(peer)[0]);
	return CONTINUE;
}

static enum answer on_mail(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	if (!packet_texts(data, peer->texts))
		return BAD;
	milter_session_mail(peer->session, texts(peer), macro(peer, "i"),
	        macro(peer, "{auth_authen}"), macro(peer, "{auth_type}"),
	        macro(peer, "{tls_version}"), macro(peer, "{cipher}"));
	return CONTINUE;
}

static enum answer on_rcpt(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	if (!packet_texts(data, peer->texts))
		return BAD;
	milter_session_rcpt(peer->session, texts(peer), macro(peer, "i"),
	        macro(peer, "{rcpt_mailer}"), macro(peer, "{rcpt_host}"),
	        macro(peer, "{rcpt_addr}"));
	return CONTINUE;
}

static enum answer on_header(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	if (!packet_texts(data, peer->texts) || texts(peer)[1] == NULL)
		return BAD;
	milter_session_header(peer->session, texts(peer)[0], texts(peer)[1]);
	return CONTINUE;
}

static enum answer on_body(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	return milter_session_body(peer->session, data) || (peer->steps & PACKET_CAN_SKIP) == 0
	               ? CONTINUE
	               : SKIP;
}

/* The last piece of a body may come with it. */
static enum answer on_end(struct peer *peer, struct slice data, GString *out)
{
	(void)out;
	if (data.n > 0)
		milter_session_body(peer->session, data);
	return ENDED;
}

static enum answer on_abort(struct peer *peer, struct slice data, GString *out)
{
	(void)data;
	(void)out;
	milter_session_abort(peer->session);
	return NOTHING;
}

static enum answer on_quit(struct peer *peer, struct slice data, GString *out)
{
	(void)peer;
	(void)data;
	(void)out;
	return CLOSE;
}

/* What belongs to the next session comes with its connect. */
static enum answer on_quit_new(struct peer *peer, struct slice data, GString *out)
{
	(void)data;
	(void)out;
	milter_session_abort(peer->session);
	forget_macros(peer, CONNECT);
	return NOTHING;
}

static enum answer on_other(struct peer *peer, struct slice data, GString *out)
{
	(void)peer;
	(void)data;
	(void)out;
	return CONTINUE;
}

static const struct command {
	char code;
	enum stage stage;
	uint32_t silent; /* the step with which the MTA waits for no reply */
	enum answer (*handle)(struct peer *peer, struct slice data, GString *out);
} commands[] = {
        {PACKET_HEADER, NO_STAGE, PACKET_SILENT_HEADER, on_header},
        {PACKET_MACRO, NO_STAGE, 0, on_macros},
        {PACKET_RCPT, RCPT, PACKET_SILENT_RCPT, on_rcpt},
        {PACKET_MAIL, MAIL, PACKET_SILENT_MAIL, on_mail},
        {PACKET_END, END, 0, on_end},
        {PACKET_CONNECT, CONNECT, PACKET_SILENT_CONNECT, on_connect},
        {PACKET_HELO, HELO, PACKET_SILENT_HELO, on_helo},
        {PACKET_BODY, NO_STAGE, PACKET_SILENT_BODY, on_body},
        {PACKET_ABORT, NO_STAGE, 0, on_abort},
        {PACKET_QUIT, NO_STAGE, 0, on_quit},
        {PACKET_QUIT_NEW, NO_STAGE, 0, on_quit_new},
        {PACKET_NEGOTIATE, NO_STAGE, 0, on_negotiate},
        {PACKET_DATA, DATA, PACKET_SILENT_DATA, on_other},
        {PACKET_END_OF_HEADER, END_OF_HEADER, PACKET_SILENT_END_OF_HEADER, on_other},
        {PACKET_UNKNOWN, NO_STAGE, PACKET_SILENT_UNKNOWN, on_other},
};

static const struct command *find_command(char code)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (commands[i].code == code)
			return &commands[i];
	return NULL;
}

static enum answer handle(struct peer *peer, const struct packet *packet, GString *out)
{
	const struct command *command = find_command(packet->command);

	if (command == NULL) {
		peer->refusal = "it sent an unknown command";
		return BAD;
	}
	if (!peer->negotiated && packet->command != PACKET_NEGOTIATE) {
		peer->refusal = "it does not begin with the negotiation of a milter";
		return BAD;
	}
	/* Macros of later stages are those of a message before. */
	if (command->stage != NO_STAGE) {
		peer->stage = command->stage;
		forget_macros(peer, command->stage + 1);
	}
	enum answer answer = command->handle(peer, packet->data, out);
	if (answer == BAD && peer->refusal == NULL)
		peer->refusal = "it sent a command whose data are none of that command";
	if ((answer == CONTINUE || answer == SKIP) && (peer->steps & command->silent) == 0)
		packet_put(out, answer == SKIP ? PACKET_SKIP : PACKET_CONTINUE, SLICE_NONE);
	return answer;
}

enum peer_need peer_feed(struct peer *peer, struct slice bytes, GString *out)
{
	struct packet packet;
	int got;

	packet_stream_add(&peer->stream, bytes);
	while ((got = packet_stream_next(&peer->stream, &packet)) > 0) {
		enum answer answer = handle(peer, &packet, out);

		if (answer == CLOSE || answer == BAD)
			return PEER_CLOSE;
		if (answer == ENDED)
			break;
	}
	packet_stream_keep(&peer->stream);
	if (got > 0) {
		peer->result = -1;
		return PEER_END;
	}
	if (got < 0)
		peer->refusal = "it sent a packet that is too long or has no command";
	return got < 0 ? PEER_CLOSE : PEER_READ;
}

void peer_end(struct peer *peer)
{
	peer->result = milter_session_end(
	        peer->session, macro(peer, "i"), macro(peer, "{msg_id}"), &peer->remove);
}

/* The last header first: taking one out moves those behind it. */
static void put_removals(struct peer *peer, GString *out)
{
	g_autoptr(GString) data = g_string_new(NULL);

	for (unsigned i = peer->remove; i > 0; i--) {
		g_string_truncate(data, 0);
		packet_put_number(data, i);
		g_string_append_len(data, MSYS_HEADER "\0", sizeof(MSYS_HEADER) + 1);
		packet_put(out, PACKET_CHANGE_HEADER, slice_make(data->str, data->len));
	}
}

void peer_ended(struct peer *peer, GString *out)
{
	static const char refusal[] =
	        "451 4.3.0 The message could not be recorded; try again later";

	if (peer->result < 0 && peer->plan->tempfail) {
		packet_put(out, PACKET_REPLY_CODE, slice_make(refusal, sizeof(refusal)));
		return;
	}
	if (peer->result == 0 && (peer->actions & PACKET_MAY_CHANGE_HEADER) != 0)
		put_removals(peer, out);
	packet_put(out, PACKET_CONTINUE, SLICE_NONE);
}
