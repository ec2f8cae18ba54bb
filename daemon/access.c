#include "daemon/access.h"

#include <string.h>

static int open_table(
        struct access_context *context, const struct config *config, struct error *err)
{
	guint n = config->accesses->len;
	g_autofree struct access_row *rows = g_new0(struct access_row, n + 1);

	if (n == 0)
		return 0;
	for (guint i = 0; i < n; i++) {
		const struct config_access *from = config->accesses->pdata[i];

		rows[i] = (struct access_row){
		        .name = from->name,
		        .users = from->users,
		        .groups = from->groups,
		        .words = {from->grants, from->subaccounts, from->domains},
		};
	}
	context->table = access_table_new(rows, n, err);
	return context->table != NULL ? 0 : -1;
}

int access_open(struct access_context *context, const struct config *config, struct store *store,
        struct query_server_config *config_r, struct error *err)
{
	const struct keyring_config keys = {
	        .store = store,
	        .rate = config->query_key_rate,
	        .burst = config->query_key_burst,
	};

	if (open_table(context, config, err) < 0 || keyring_open(&context->keyring, &keys, err) < 0)
		return -1;
	config_r->table = context->table;
	config_r->socket_keys = strcmp(config->query_socket_keys, "required") == 0;
	config_r->query.keyring = context->keyring;
	config_r->listen = (struct query_listen){
	        .port = (unsigned)config->listen_port,
	        .address = config->listen_address,
	        .certificate = config->listen_certificate,
	        .key = config->listen_key,
	        .insecure = config->listen_insecure,
	};
	return 0;
}

void access_close(struct access_context *context)
{
	access_table_free(&context->table);
	keyring_free(&context->keyring);
}
