/* The certificate of the server, renewed while it runs. The only user of GnuTLS. */
#ifndef PW_QUERY_TLS_H
#define PW_QUERY_TLS_H

#include <gnutls/abstract.h>

#include "base/error.h"

struct tls;

/* Reads certificate (with its chain) and key, in PEM. GnuTLS asks for "the" certificate without
 * saying of which server: there is one struct tls at a time in a process. */
struct tls *tls_new(const char *certificate, const char *key, struct error *err);
void tls_free(struct tls **tls);

/* Reads the files again when they have changed, or when `force`. 1: connections that begin from now
 * on get the new certificate; 0: nothing has changed; -1 with *err: what is in the files is of no
 * use, and the old certificate stays. Each change is told once. By one thread at a time. */
int tls_renew(struct tls *tls, bool force, struct error *err);

/* The certificate for a handshake. */
gnutls_certificate_retrieve_function2 tls_certificate;

/* What we speak. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

#endif
