/* Which domains are ours: the key relay_domains, read from where it points to. */
#ifndef PW_DAEMON_INBOUND_H
#define PW_DAEMON_INBOUND_H

#include <glib.h>

#include "base/error.h"
#include "trace/domains.h"

/* Reads the words of relay_domains, separated by blanks or commas:
 *
 *	postfix, postfix:DIR		as postconf(1) tells, of main.cf in DIR
 *	sendmail, sendmail:FILE		classes w, R and VirtHost of sendmail.cf
 *	/path				a file of such words as below; '#' begins a comment
 *	example.com, .example.com	the domain; all that is below it
 *	!word				what fits it is none, whatever an MTA says
 *
 * *domains_r is NULL where `text` is NULL: all mail is outbound. `unread` takes a text for each
 * part that is no list, such as "relay_domains = hash:/etc/postfix/relay": those domains are to be
 * named in the configuration. -1 with *err where something that is named cannot be read. */
int inbound_read(
        const char *text, struct domains **domains_r, GPtrArray *unread, struct error *err);

#endif
