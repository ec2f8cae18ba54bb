/* Who asks: the process at the other end of the UNIX socket, the key that came with the request. */
#include "query/server-private.h"

#include "query/authorization.h"
#include "query/uri.h"

static bool who_peer(const struct exchange *exchange, struct unix_peer *peer_r)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(exchange->http, MHD_CONNECTION_INFO_CONNECTION_FD);

	return !exchange_is_tcp(exchange) && info != NULL &&
	       unix_socket_peer(info->connect_fd, peer_r);
}

static const struct access *who_is_peer(const struct exchange *exchange)
{
	struct unix_peer peer;

	if (!who_peer(exchange, &peer))
		return &access_none;
	const struct access_peer found = {
	        .uid = peer.uid,
	        .groups = &g_array_index(peer.groups, gid_t, 0),
	        .n = peer.groups->len,
	};
	const struct access *access = access_of_peer(exchange->server->config.table, &found);
	unix_peer_clear(&peer);
	return access;
}

bool exchange_may_report(const struct exchange *exchange)
{
	const struct query_report *hooks = &exchange->server->config.report;
	struct unix_peer peer;

	if (!who_peer(exchange, &peer))
		return false;
	bool may = hooks->allowed == NULL || hooks->allowed(hooks->ctx, peer.uid);
	unix_peer_clear(&peer);
	return may;
}

/* SMTPeter's clients give their key as a parameter of its routes; of no others, since targets stand
 * in logs of proxies. */
static struct key *who_by_token(const struct exchange *exchange)
{
	struct keyring *keyring = exchange->server->config.query.keyring;
	struct key *key = NULL;
	struct uri uri;

	uri_parse(&uri, slice_str(exchange->target));
	bool smtpeter = !uri.bad_path && uri.segments->len > 0 &&
	                slice_eq(g_array_index(uri.segments, struct slice, 0), SLICE("v1"));
	for (guint i = 0; smtpeter && i < uri.params->len && key == NULL; i++) {
		const struct uri_param *param = &g_array_index(uri.params, struct uri_param, i);

		if (slice_eq(param->name, SLICE("access_token")))
			key = keyring_find(keyring, param->value);
	}
	uri_clear(&uri);
	return key;
}

/* The key of the request; NULL where it has none that we know. *given_r: there is one at all. */
static struct key *who_by_key(const struct exchange *exchange, bool *given_r)
{
	struct keyring *keyring = exchange->server->config.query.keyring;
	const char *header = exchange_header(exchange, MHD_HTTP_HEADER_AUTHORIZATION);
	char room[AUTHORIZATION_MAX + 1];
	struct slice text;

	*given_r = header != NULL;
	if (keyring == NULL)
		return NULL;
	if (header == NULL) {
		struct key *key = who_by_token(exchange);
		*given_r = key != NULL;
		return key;
	}
	return authorization_key(slice_str(header), room, &text) ? keyring_find(keyring, text)
	                                                         : NULL;
}

static void who_narrow(struct exchange *exchange, const struct access *by)
{
	struct access *narrowed = access_narrow(exchange->access, by);

	access_free(exchange->narrowed);
	exchange->narrowed = narrowed;
	exchange->access = narrowed;
}

/* On the socket keys mean nothing unless they are required, and then they only narrow. */
static void who_asks(struct exchange *exchange)
{
	bool given = false;

	exchange->access = who_is_peer(exchange);
	if (!exchange_is_tcp(exchange) && !exchange->server->config.socket_keys)
		return;
	exchange->key = who_by_key(exchange, &given);
	if (exchange->key != NULL && exchange_is_tcp(exchange))
		exchange->access = key_access(exchange->key);
	else if (exchange->key != NULL)
		who_narrow(exchange, key_access(exchange->key));
	else if (given || (exchange->access->grants & GRANT_ADMIN) == 0)
		exchange->access = &access_none;
}

/* SparkPost's header by which the owner of all subaccounts speaks for one of them. */
static bool who_for_subaccount(struct exchange *exchange)
{
	const char *header = exchange_header(exchange, "X-MSYS-SUBACCOUNT");
	const struct access_words words = {.grants = "read", .subaccounts = header};
	struct error err = {0};

	if (header == NULL || exchange->access->scope.subaccounts != NULL)
		return true;
	struct access *chosen = NULL;
	if (strspn(header, "0123456789") == strlen(header))
		chosen = access_new(&words, exchange->access->who, &err);
	if (chosen == NULL) {
		query_answer_error(&exchange->answer, 400,
		        "X-MSYS-SUBACCOUNT must be a number from 0 to 2147483647");
		return false;
	}
	chosen->grants = GRANT_ALL;
	who_narrow(exchange, chosen);
	access_free(chosen);
	return true;
}

bool exchange_identify(struct exchange *exchange)
{
	int wait = 0;

	exchange->access = &access_none;
	if (query_is_for_all(exchange->method, slice_str(exchange->target)))
		return true;
	who_asks(exchange);
	if (exchange->key != NULL)
		wait = keyring_count(exchange->server->config.query.keyring, exchange->key);
	if (wait == 0)
		return who_for_subaccount(exchange);
	query_answer_error(&exchange->answer, 429, "Too many requests");
	exchange->answer.retry_after = wait;
	return false;
}
