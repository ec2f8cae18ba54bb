/* Which domains are ours: mail for them is inbound. Lists as Postfix has them, looked up by hash.
 */
#ifndef PW_TRACE_DOMAINS_H
#define PW_TRACE_DOMAINS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"

struct domains;

/* What a word of a list holds for. */
enum domains_mode {
	DOMAINS_EXACT, /* "example.com" itself; ".example.com" for nothing (Postfix: string_list) */
	DOMAINS_DOTTED,  /* ".example.com" for what is below example.com */
	DOMAINS_PARENTS, /* "example.com" for itself and what is below it
	                    (parent_domain_matches_subdomains); ".example.com" for nothing */
};

struct domains *domains_new(void);
void domains_free(struct domains **domains);

/* Begins a list: the first word of a list that fits a domain decides for that list. What the first
 * list denies no other holds. */
void domains_list(struct domains *domains);

/* Adds a word to the list; with `deny` (Postfix: "!word") what fits it is not ours. -1 with *err:
 * no domain. */
int domains_add(struct domains *domains, struct slice word, enum domains_mode mode, bool deny,
        struct error *err);

/* Whether any list holds the domain of an address, whatever its case. An address without a domain
 * is one of this machine: it counts as one at localhost. */
bool domains_hold(const struct domains *domains, struct slice address);

#endif
