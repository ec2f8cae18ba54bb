#include "query/tls.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "query/connections.h"

#define CHAIN_MAX 16
/* After which nobody is in a handshake any more that began with a certificate that was replaced:
 * connections that send nothing are cut long before. */
#define REPLACED_MS (INT64_C(10) * 60 * 1000)

struct certificate {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n;
	gnutls_privkey_t key;
	int64_t replaced; /* connections_clock */
};

/* What tells a file from a later state of it. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls {
	char *path[2]; /* of the certificate, of the key */
	struct stamp seen[2];
	struct certificate *current; /* under `lock` */
	GQueue replaced;             /* struct certificate, oldest first */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls *only;

/* --- one certificate --- */

static void certificate_free(struct certificate *certificate)
{
	if (certificate == NULL)
		return;
	for (unsigned i = 0; i < certificate->n; i++)
		gnutls_pcert_deinit(&certificate->chain[i]);
	if (certificate->key != NULL)
		gnutls_privkey_deinit(certificate->key);
	g_free(certificate);
}

static int read_file(const char *path, char **text_r, gnutls_datum_t *data_r, struct error *err)
{
	g_autoptr(GError) error = NULL;
	gsize n;

	if (!g_file_get_contents(path, text_r, &n, &error))
		return error_config_file(err, NULL, error);
	*data_r = (gnutls_datum_t){(unsigned char *)*text_r, (unsigned)n};
	return 0;
}

static int read_chain(struct certificate *certificate, const char *path, struct error *err)
{
	g_autofree char *text = NULL;
	gnutls_datum_t data;

	if (read_file(path, &text, &data, err) < 0)
		return -1;
	certificate->n = CHAIN_MAX;
	int code = gnutls_pcert_list_import_x509_raw(certificate->chain, &certificate->n, &data,
	        GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	if (code >= 0)
		return 0;
	certificate->n = 0;
	return error_config(err, "%s is no certificate: %s", path, gnutls_strerror(code));
}

static int read_key(struct certificate *certificate, const char *path, struct error *err)
{
	g_autofree char *text = NULL;
	gnutls_datum_t data;

	if (read_file(path, &text, &data, err) < 0)
		return -1;
	gnutls_privkey_init(&certificate->key);
	int code = gnutls_privkey_import_x509_raw(
	        certificate->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_memset(text, 0, data.size);
	if (code >= 0)
		return 0;
	return error_config(err, "%s is no key: %s", path, gnutls_strerror(code));
}

/* While both files are being replaced one may be new and the other old. */
static int check_pair(const struct certificate *certificate, char *const *path, struct error *err)
{
	unsigned char of_certificate[64], of_key[64];
	size_t n = sizeof(of_certificate), m = sizeof(of_key);
	gnutls_pubkey_t public = NULL;

	gnutls_pubkey_init(&public);
	int code = gnutls_pubkey_import_privkey(public, certificate->key, 0, 0);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of_key, &m);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(
		        certificate->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_certificate, &n);
	gnutls_pubkey_deinit(public);
	if (code >= 0 && n == m && memcmp(of_certificate, of_key, n) == 0)
		return 0;
	return error_config(
	        err, "the key in %s is not that of the certificate in %s", path[1], path[0]);
}

static struct certificate *certificate_read(char *const *path, struct error *err)
{
	struct certificate *certificate = g_new0(struct certificate, 1);

	if (read_chain(certificate, path[0], err) == 0 &&
	        read_key(certificate, path[1], err) == 0 && check_pair(certificate, path, err) == 0)
		return certificate;
	certificate_free(certificate);
	return NULL;
}

/* --- renewal --- */

/* Notes the state of the files; true when it is another one than before. */
static bool tls_look(struct tls *tls)
{
	bool changed = false;

	for (int i = 0; i < 2; i++) {
		struct stamp now = {0};
		struct stat st;

		if (stat(tls->path[i], &st) == 0) {
			now.device = st.st_dev;
			now.inode = st.st_ino;
			now.size = st.st_size;
			now.changed = st.st_mtim;
		}
		changed = changed || memcmp(&now, &tls->seen[i], sizeof(now)) != 0;
		tls->seen[i] = now;
	}
	return changed;
}

static void tls_forget(struct tls *tls, int64_t before)
{
	struct certificate *oldest;

	while ((oldest = g_queue_peek_head(&tls->replaced)) != NULL && oldest->replaced <= before)
		certificate_free(g_queue_pop_head(&tls->replaced));
}

int tls_renew(struct tls *tls, bool force, struct error *err)
{
	int64_t now = connections_clock();

	tls_forget(tls, now - REPLACED_MS);
	if (!tls_look(tls) && !force)
		return 0;
	struct certificate *fresh = certificate_read(tls->path, err);
	if (fresh == NULL)
		return -1;
	pthread_mutex_lock(&lock);
	struct certificate *old = tls->current;
	tls->current = fresh;
	pthread_mutex_unlock(&lock);
	if (old != NULL) {
		old->replaced = now;
		g_queue_push_tail(&tls->replaced, old);
	}
	return 1;
}

struct tls *tls_new(const char *certificate, const char *key, struct error *err)
{
	struct tls *tls = g_new0(struct tls, 1);

	tls->path[0] = g_strdup(certificate);
	tls->path[1] = g_strdup(key);
	g_queue_init(&tls->replaced);
	if (tls_renew(tls, true, err) < 0) {
		tls_free(&tls);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	only = tls;
	pthread_mutex_unlock(&lock);
	return tls;
}

void tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	if (t == NULL)
		return;
	pthread_mutex_lock(&lock);
	if (only == t)
		only = NULL;
	pthread_mutex_unlock(&lock);
	tls_forget(t, INT64_MAX);
	certificate_free(t->current);
	g_free(t->path[0]);
	g_free(t->path[1]);
	g_clear_pointer(tls, g_free);
}

int tls_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
        const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **chain_r,
        unsigned *n_r, gnutls_privkey_t *key_r)
{
	(void)session;
	(void)authorities;
	(void)n_authorities;
	(void)algorithms;
	(void)n_algorithms;
	pthread_mutex_lock(&lock);
	struct certificate *current = only != NULL ? only->current : NULL;
	pthread_mutex_unlock(&lock);
	if (current == NULL)
		return -1;
	*chain_r = current->chain;
	*n_r = current->n;
	*key_r = current->key;
	return 0;
}
