/* The words of a reply: what rules look at, and what two replies must share to be the same. */
#ifndef PW_EVENT_PLAIN_H
#define PW_EVENT_PLAIN_H

#include <glib.h>

#include "base/slice.h"

/* Names a host, URL or address in lower case (such as "blocklist"), or NULL. */
typedef const char *plain_namer(const void *ctx, struct slice what);

/* Appends a reply in lower case (ASCII) with single blanks, its codes, enhanced status codes and
 * the marks of a reply of several lines taken out, and in place of
 *
 *	hosts, URLs, mail and IP addresses      <host> <url> <addr> <ip>, or <NAME> by `namer`
 *	long numbers, ids of letters and digits <n> <id>
 *
 * Words in it are then words that somebody wrote: a host "mail.spamfilter.example" is no spam. */
void plain_reply(GString *out, struct slice reply, plain_namer *namer, const void *ctx);

/* The first reply code (RFC 5321, 4yz or 5yz) and enhanced status code (RFC 3463, 4.y.z or 5.y.z)
 * that stand in a reply by themselves; absent otherwise. */
void plain_codes(struct slice reply, struct slice *code_r, struct slice *dsn_r);

#endif
