#include "store/pseudonym.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/file.h"
#include "store/private.h"
#include "store/search.h"

#define HEX_CHARS (2 * PSEUDONYM_KEY_BYTES)
#define SEALED "\377PWS" /* no state begins so */

/* ---- the file of the key ---- */

static char *key_path(struct store *store)
{
	return g_build_filename(store->dir, PSEUDONYM_KEY_NAME, NULL);
}

/* 1 with the key, 0 where there is no file or an empty one, -1. */
static int read_key(const char *path, uint8_t key[PSEUDONYM_KEY_BYTES], struct error *err)
{
	char hex[HEX_CHARS + 8] = "";
	size_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot read %s", path);
	ssize_t got = read(fd, hex, sizeof(hex) - 1);
	int number = errno;
	close(fd);
	if (got < 0)
		return error_errno(err, number, "cannot read %s", path);
	g_strchomp(hex);
	int result = *hex == '\0';
	if (result == 0 &&
	        (strlen(hex) != HEX_CHARS || sodium_hex2bin(key, PSEUDONYM_KEY_BYTES, hex,
	                                             HEX_CHARS, NULL, &n, NULL) != 0))
		result = error_set(err, "%s holds no key: 64 hexadecimal digits are wanted", path);
	else
		result = result == 0;
	sodium_memzero(hex, sizeof(hex));
	return result;
}

static int write_key(struct store *store, const char *path, const uint8_t key[PSEUDONYM_KEY_BYTES],
        struct error *err)
{
	char hex[HEX_CHARS + 2];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", path);
	sodium_bin2hex(hex, sizeof(hex), key, PSEUDONYM_KEY_BYTES);
	hex[HEX_CHARS] = '\n';
	int result = fchmod(fd, 0600) < 0 || file_write(fd, slice_make(hex, HEX_CHARS + 1)) < 0 ||
	                             fsync(fd) < 0
	                     ? error_errno(err, errno, "cannot write %s", path)
	                     : file_give_to_owner(store, fd, err);
	close(fd);
	sodium_memzero(hex, sizeof(hex));
	return result;
}

/* Complete and on the disk before anything is written with it. Through a link, if it is one. */
static int make_key(
        struct store *store, const char *path, uint8_t key[PSEUDONYM_KEY_BYTES], struct error *err)
{
	randombytes_buf(key, PSEUDONYM_KEY_BYTES);
	return write_key(store, path, key, err) < 0 ? -1 : file_sync(store->dir, O_DIRECTORY, err);
}

int store_keep_key(struct store *store, struct error *err)
{
	g_autofree char *path = key_path(store);
	g_autofree char *making = g_strconcat(path, ".new", NULL);
	struct stat st;

	if (store->pseudonymise_since == 0 || access(path, F_OK) == 0 || errno != ENOENT)
		return 0;
	/* Where it leads is a place of somebody's choice, which may be gone for a while only. */
	if (lstat(path, &st) == 0)
		return error_set(err,
		        "the link %s, to the key of the pseudonyms, leads nowhere: put the key "
		        "back, without which postwaked does not start again; or remove the link, "
		        "then the key is written there",
		        path);
	if (write_key(store, making, pseudonyms_key(store->pseudonyms), err) == 0 &&
	        rename(making, path) == 0)
		return file_sync(store->dir, O_DIRECTORY, err) < 0 ? -1 : 1;
	error_errno(err, errno, "cannot put back %s", path);
	unlink(making);
	return -1;
}

static int lost(const char *path, struct error *err)
{
	return error_set(err,
	        "%s, the key of the pseudonyms, is missing: put it back; or make an empty file of "
	        "that "
	        "name, which is filled with a new key: then nobody is found by address any more in "
	        "what was recorded before",
	        path);
}

/* ---- whether it is in use ---- */

static int in_use(struct store *store, int64_t *since, struct error *err)
{
	return sql_number(&store->control.reader,
	        "SELECT value FROM meta WHERE name = 'pseudonymise'", 0, since, err);
}

static int set_use(struct store *store, int64_t since, struct error *err)
{
	g_autofree char *text =
	        since != 0 ? g_strdup_printf("INSERT OR REPLACE INTO meta (name, value) VALUES "
	                                     "('pseudonymise', %" G_GINT64_FORMAT ")",
	                             (gint64)since)
	                   : g_strdup("DELETE FROM meta WHERE name = 'pseudonymise'");

	return sql_exec(&store->control.writer, text, err);
}

static int use(struct store *store, enum store_pseudonymise wish, int64_t before, struct error *err)
{
	int64_t since = before;

	if (wish == STORE_PSEUDONYMISE && before == 0)
		since = clock_now();
	else if (wish == STORE_PLAIN)
		since = 0;
	store->pseudonymise_since = since;
	return since == before ? 0 : set_use(store, since, err);
}

int pseudonym_open(struct store *store, enum store_pseudonymise wish, struct error *err)
{
	g_autofree char *path = key_path(store);
	uint8_t key[PSEUDONYM_KEY_BYTES];
	int64_t since = 0;

	if (in_use(store, &since, err) < 0)
		return -1;
	bool needed = store->mode == STORE_WRITE &&
	              (wish == STORE_PSEUDONYMISE || (since != 0 && wish == STORE_AS_IT_IS));
	int found = read_key(path, key, needed ? err : NULL);
	if (found < 0 && needed)
		return -1;
	if (found == 0 && needed) {
		if (since != 0 && access(path, F_OK) < 0)
			return lost(path, err);
		if (make_key(store, path, key, err) < 0)
			return -1;
		/* Nobody can read what was sealed under a key that is lost. */
		if (since != 0 && sql_exec(&store->control.writer, "DELETE FROM state", err) < 0)
			return -1;
		found = 1;
	}
	if (found == 1) {
		store->pseudonyms = pseudonyms_new(key);
		crypto_generichash(store->seal_key, sizeof(store->seal_key),
		        (const unsigned char *)"state", 5, key, sizeof(key));
	}
	sodium_memzero(key, sizeof(key));
	store->pseudonymise_since = since;
	return store->mode == STORE_WRITE ? use(store, wish, since, err) : 0;
}

void pseudonym_close(struct store *store)
{
	pseudonyms_free(&store->pseudonyms);
	sodium_memzero(store->seal_key, sizeof(store->seal_key));
}

int64_t store_pseudonymised(struct store *store)
{
	return store->pseudonymise_since;
}

bool store_pseudonym(struct store *store, struct slice address, GString *out)
{
	if (store->pseudonyms == NULL || address.n == 0)
		return false;
	pseudonyms_address(store->pseudonyms, address, out);
	return true;
}

void store_hide(struct store *store, struct event *event, GString *arena)
{
	if (store->pseudonymise_since != 0 && store->pseudonyms != NULL)
		pseudonyms_event(store->pseudonyms, event, arena);
}

struct slice store_plainless(struct store *store, struct slice text, GString *out)
{
	g_string_truncate(out, 0);
	return store->pseudonymise_since != 0 && store->pseudonyms != NULL &&
	                       pseudonyms_text(store->pseudonyms, text, out)
	               ? slice_make(out->str, out->len)
	               : text;
}

bool store_is_address(struct store *store, struct slice field, struct slice address)
{
	g_autoptr(GString) stands = g_string_new(NULL);

	if (field.n == 0 || address.n == 0)
		return false;
	return slice_eq_case(field, address) ||
	       (store_pseudonym(store, address, stands) &&
	               slice_eq_case(field, slice_make(stands->str, stands->len)));
}

int store_can_hide(struct store *store, const char *what, struct error *err)
{
	if (store->pseudonymise_since == 0 || store->pseudonyms != NULL)
		return 0;
	return error_set(err,
	        "%s without the key of the pseudonyms, %s/" PSEUDONYM_KEY_NAME
	        ", which cannot be read here",
	        what, store->dir);
}

static bool has_address(const char *const *values)
{
	for (; values != NULL && *values != NULL; values++)
		if (strchr(*values, '@') != NULL)
			return true;
	return false;
}

int pseudonym_check(struct store *store, const struct search *search, struct error *err)
{
	static const enum search_key keys[] = {
	        SEARCH_RECIPIENT, SEARCH_FRIENDLY_FROM, SEARCH_FROM_ADDRESS};

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		if (search->values[keys[i]] != NULL)
			return store_can_hide(store, "nobody is found by address", err);
	return has_address(search->values[SEARCH_MESSAGE])
	               ? store_can_hide(store, "nothing is found by its Message-ID", err)
	               : 0;
}

/* ---- open mails, batches that wait ---- */

struct slice pseudonym_seal(struct store *store, struct slice value, GString *scratch)
{
	const size_t head = strlen(SEALED) + crypto_secretbox_NONCEBYTES;

	if (store->pseudonymise_since == 0)
		return value;
	g_string_set_size(scratch, head + crypto_secretbox_MACBYTES + value.n);
	unsigned char *bytes = (unsigned char *)scratch->str;
	memcpy(bytes, SEALED, strlen(SEALED));
	randombytes_buf(bytes + strlen(SEALED), crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(bytes + head, (const unsigned char *)(value.n > 0 ? value.p : ""),
	        value.n, bytes + strlen(SEALED), store->seal_key);
	return slice_make(scratch->str, scratch->len);
}

bool pseudonym_unseal(struct store *store, GString *value)
{
	const size_t head = strlen(SEALED) + crypto_secretbox_NONCEBYTES;
	unsigned char *bytes = (unsigned char *)value->str;

	if (value->len < strlen(SEALED) || memcmp(bytes, SEALED, strlen(SEALED)) != 0)
		return true;
	if (store->pseudonyms == NULL || value->len < head + crypto_secretbox_MACBYTES ||
	        crypto_secretbox_open_easy(bytes + head, bytes + head, value->len - head,
	                bytes + strlen(SEALED), store->seal_key) != 0)
		return false;
	g_string_erase(value, 0, (gssize)head);
	g_string_truncate(value, value->len - crypto_secretbox_MACBYTES);
	return true;
}
