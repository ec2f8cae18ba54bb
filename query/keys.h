/* The keys of the API: made, found, counted against their rate, taken away. A key is
 * "pw_ID_SECRET"; the store has only a salted hash of it (store/keys.h). All functions may be
 * called from any thread. */
#ifndef PW_QUERY_KEYS_H
#define PW_QUERY_KEYS_H

#include "query/access.h"

struct keyring_config {
	struct store *store;
	int rate;               /* requests a minute of one key; 0 = no limit */
	int burst;              /* requests at once; 0 = as many as the rate */
	int64_t (*clock)(void); /* ms, never set back; NULL = connections_clock */
};

struct keyring;
struct key;

/* Reads the keys from the store, which must be open for writing and outlive the ring. */
int keyring_open(
        struct keyring **keyring_r, const struct keyring_config *config, struct error *err);
void keyring_free(struct keyring **keyring);

/* What is known of a key besides its secret. */
struct key_facts {
	const char *id;
	const char *name;
	struct access access;
	int64_t created; /* ms */
};

/* Makes a key and writes it down. Its text, which nobody can find out later, is the caller's
 * (g_free); NULL with *err: number EINVAL where the words are wrong. *id_r is the caller's too. */
char *keyring_add(struct keyring *keyring, const char *name, const struct access_words *words,
        char **id_r, struct error *err);

/* Takes a key away; requests that come from now on are refused. 1, 0 = no such key, -1 with *err.
 */
int keyring_revoke(struct keyring *keyring, const char *id, struct error *err);

/* The id in the text of a key; any other text as it is. The caller's, g_free. */
char *keyring_id(const char *text);

/* Calls `fact` for each key, oldest first. */
void keyring_each(
        struct keyring *keyring, void (*fact)(void *ctx, const struct key_facts *facts), void *ctx);

/* The key of this text, or NULL. The caller's: key_unref. */
struct key *keyring_find(struct keyring *keyring, struct slice text);
void key_unref(struct key *key);
const struct access *key_access(const struct key *key);
bool key_is_revoked(const struct key *key);

/* Counts one request of a key: 0, or in how many seconds it may come again. */
int keyring_count(struct keyring *keyring, struct key *key);

#endif
