#include "query/keys.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "query/connections.h"
#include "store/keys.h"

#define ID_BYTES 6
#define ID_TEXT (2 * ID_BYTES)
#define SECRET_BYTES 32
/* Goes into a header, a parameter and a shell without quotation. */
#define SECRET_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SECRET_TEXT (sodium_base64_ENCODED_LEN(SECRET_BYTES, SECRET_VARIANT) - 1)
#define PREFIX SLICE("pw_")

struct key {
	atomic_int references;
	atomic_bool revoked;
	char *id, *name;
	unsigned char salt[STORE_KEY_SALT];
	unsigned char hash[STORE_KEY_HASH];
	struct access *access;
	int64_t created;

	/* What it may still ask for, under the lock of the ring. */
	double allowance;
	int64_t counted; /* clock of the last count */
};

struct keyring {
	struct keyring_config config;
	pthread_mutex_t changing; /* one change at a time, with what it writes */
	pthread_mutex_t lock;     /* of the table */
	GHashTable *keys;         /* id -> struct key */
};

/* --- one key --- */

void key_unref(struct key *key)
{
	if (key == NULL || atomic_fetch_sub(&key->references, 1) > 1)
		return;
	g_free(key->id);
	g_free(key->name);
	access_free(key->access);
	g_free(key);
}

static void key_drop(gpointer p)
{
	key_unref(p);
}

const struct access *key_access(const struct key *key)
{
	return key->access;
}

bool key_is_revoked(const struct key *key)
{
	return atomic_load(&key->revoked);
}

static void key_hash(struct slice text, const unsigned char salt[STORE_KEY_SALT],
        unsigned char hash_r[STORE_KEY_HASH])
{
	crypto_generichash(hash_r, STORE_KEY_HASH, (const unsigned char *)text.p, text.n, salt,
	        STORE_KEY_SALT);
}

static struct key *key_new(const char *id, const char *name, struct access *access)
{
	struct key *key = g_new0(struct key, 1);

	atomic_init(&key->references, 1);
	key->id = g_strdup(id);
	key->name = g_strdup(name);
	key->access = access;
	return key;
}

static struct access *key_make_access(
        const char *id, const struct access_words *words, struct error *err)
{
	g_autofree char *who = g_strdup_printf("key %s", id);

	return access_new(words, who, err);
}

/* --- the ring --- */

static int64_t keyring_now(const struct keyring *keyring)
{
	return keyring->config.clock != NULL ? keyring->config.clock() : connections_clock();
}

static void keyring_put(struct keyring *keyring, struct key *key)
{
	key->allowance = keyring->config.burst;
	key->counted = keyring_now(keyring);
	g_hash_table_replace(keyring->keys, key->id, key);
}

struct loading {
	struct keyring *keyring;
	struct error *err;
	bool failed;
};

static void keyring_load(void *ctx, const struct store_key *from)
{
	struct loading *loading = ctx;
	g_autoptr(GString) grants = g_string_new(NULL);

	access_grant_names(grants, from->grants, " ");
	const struct access_words words = {grants->str, from->subaccounts, from->domains};
	struct access *access = key_make_access(from->id, &words, loading->err);
	if (access == NULL) {
		loading->failed = true;
		return;
	}
	struct key *key = key_new(from->id, from->name, access);
	memcpy(key->salt, from->salt, sizeof(key->salt));
	memcpy(key->hash, from->hash, sizeof(key->hash));
	key->created = from->created;
	keyring_put(loading->keyring, key);
}

int keyring_open(struct keyring **keyring_r, const struct keyring_config *config, struct error *err)
{
	struct keyring *keyring = g_new0(struct keyring, 1);
	struct loading loading = {.keyring = keyring, .err = err};

	keyring->config = *config;
	if (keyring->config.burst == 0)
		keyring->config.burst = MAX(config->rate, 1);
	pthread_mutex_init(&keyring->changing, NULL);
	pthread_mutex_init(&keyring->lock, NULL);
	keyring->keys = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, key_drop);
	*keyring_r = keyring;
	if (store_each_key(config->store, keyring_load, &loading, err) == 0 && !loading.failed)
		return 0;
	keyring_free(keyring_r);
	return -1;
}

void keyring_free(struct keyring **keyring)
{
	if (*keyring == NULL)
		return;
	g_hash_table_unref((*keyring)->keys);
	pthread_mutex_destroy(&(*keyring)->changing);
	pthread_mutex_destroy(&(*keyring)->lock);
	g_clear_pointer(keyring, g_free);
}

/* --- making and revoking --- */

static char *key_text(const char *id)
{
	unsigned char secret[SECRET_BYTES];
	char text[SECRET_TEXT + 1];

	randombytes_buf(secret, sizeof(secret));
	sodium_bin2base64(text, sizeof(text), secret, sizeof(secret), SECRET_VARIANT);
	char *key = g_strdup_printf("%s%s_%s", PREFIX.p, id, text);
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	return key;
}

static int key_store(struct keyring *keyring, const struct key *key, struct error *err)
{
	g_autofree char *subaccounts = NULL, *domains = NULL;
	const struct search_scope *scope = &key->access->scope;
	struct store_key row = {
	        .id = key->id,
	        .name = key->name,
	        .grants = key->access->grants,
	        .created = key->created,
	};

	if (scope->subaccounts != NULL)
		subaccounts = g_strjoinv(" ", (char **)scope->subaccounts);
	if (scope->domains != NULL)
		domains = g_strjoinv(" ", (char **)scope->domains);
	row.subaccounts = subaccounts;
	row.domains = domains;
	memcpy(row.salt, key->salt, sizeof(row.salt));
	memcpy(row.hash, key->hash, sizeof(row.hash));
	return store_key_add(keyring->config.store, &row, err);
}

/* A key with a new id and secret, in memory only. */
static struct key *key_make(
        const char *name, const struct access_words *words, char **text_r, struct error *err)
{
	unsigned char bytes[ID_BYTES];
	char id[ID_TEXT + 1];

	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2hex(id, sizeof(id), bytes, sizeof(bytes));
	struct access *access = key_make_access(id, words, err);
	if (access == NULL) {
		if (err != NULL)
			err->number = EINVAL;
		return NULL;
	}
	struct key *key = key_new(id, name, access);
	*text_r = key_text(id);
	randombytes_buf(key->salt, sizeof(key->salt));
	key_hash(slice_str(*text_r), key->salt, key->hash);
	key->created = clock_now();
	return key;
}

char *keyring_add(struct keyring *keyring, const char *name, const struct access_words *words,
        char **id_r, struct error *err)
{
	char *text = NULL;
	struct key *key = key_make(name, words, &text, err);

	if (key == NULL)
		return NULL;
	pthread_mutex_lock(&keyring->changing);
	int result = key_store(keyring, key, err);
	if (result == 0) {
		*id_r = g_strdup(key->id);
		pthread_mutex_lock(&keyring->lock);
		keyring_put(keyring, key);
		pthread_mutex_unlock(&keyring->lock);
	}
	pthread_mutex_unlock(&keyring->changing);
	if (result == 0)
		return text;
	key_unref(key);
	g_free(text);
	return NULL;
}

int keyring_revoke(struct keyring *keyring, const char *id, struct error *err)
{
	pthread_mutex_lock(&keyring->changing);
	int result = store_key_drop(keyring->config.store, id, err);
	if (result >= 0) {
		pthread_mutex_lock(&keyring->lock);
		struct key *key = g_hash_table_lookup(keyring->keys, id);
		if (key != NULL)
			atomic_store(&key->revoked, true);
		g_hash_table_remove(keyring->keys, id);
		pthread_mutex_unlock(&keyring->lock);
	}
	pthread_mutex_unlock(&keyring->changing);
	return result;
}

/* Oldest first. Ids are random: of one millisecond, names are the better order. */
static int key_compare(gconstpointer a, gconstpointer b)
{
	const struct key *first = a, *second = b;

	if (first->created != second->created)
		return first->created < second->created ? -1 : 1;
	int order = g_strcmp0(first->name, second->name);
	return order != 0 ? order : strcmp(first->id, second->id);
}

void keyring_each(
        struct keyring *keyring, void (*fact)(void *ctx, const struct key_facts *facts), void *ctx)
{
	pthread_mutex_lock(&keyring->lock);
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_values(keyring->keys), key_compare);
	for (GList *link = keys; link != NULL; link = link->next) {
		const struct key *key = link->data;
		const struct key_facts facts = {key->id, key->name, *key->access, key->created};

		fact(ctx, &facts);
	}
	pthread_mutex_unlock(&keyring->lock);
}

/* --- requests --- */

/* The id in a key's text; false where it has not the form of a key. */
static bool key_id(struct slice text, char id_r[ID_TEXT + 1])
{
	if (!slice_skip(&text, PREFIX) || text.n != ID_TEXT + 1 + SECRET_TEXT ||
	        text.p[ID_TEXT] != '_')
		return false;
	memcpy(id_r, text.p, ID_TEXT);
	id_r[ID_TEXT] = '\0';
	return true;
}

char *keyring_id(const char *text)
{
	char id[ID_TEXT + 1];

	return g_strdup(key_id(slice_str(text), id) ? id : text);
}

struct key *keyring_find(struct keyring *keyring, struct slice text)
{
	unsigned char hash[STORE_KEY_HASH];
	char id[ID_TEXT + 1];

	if (!key_id(text, id))
		return NULL;
	pthread_mutex_lock(&keyring->lock);
	struct key *key = g_hash_table_lookup(keyring->keys, id);
	if (key != NULL)
		atomic_fetch_add(&key->references, 1);
	pthread_mutex_unlock(&keyring->lock);
	if (key == NULL)
		return NULL;
	key_hash(text, key->salt, hash);
	if (sodium_memcmp(hash, key->hash, sizeof(hash)) == 0)
		return key;
	key_unref(key);
	return NULL;
}

int keyring_count(struct keyring *keyring, struct key *key)
{
	const struct keyring_config *config = &keyring->config;
	const double per_ms = config->rate / 60000.0;
	int wait = 0;

	if (config->rate == 0)
		return 0;
	pthread_mutex_lock(&keyring->lock);
	int64_t now = keyring_now(keyring);
	key->allowance = MIN(key->allowance + per_ms * (double)(now - key->counted), config->burst);
	key->counted = now;
	if (key->allowance >= 1)
		key->allowance -= 1;
	else
		wait = 1 + ((int)((1 - key->allowance) / per_ms) - 1) / 1000;
	pthread_mutex_unlock(&keyring->lock);
	return wait;
}
