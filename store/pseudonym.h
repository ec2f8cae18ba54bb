/* Keyed hashes in place of addresses (event/pseudonym.h): the key, and what of the store goes
 * through it. The key lies in a file of its own, beside the days and not in their copies; that it
 * is in use stands in the control file. */
#ifndef PW_STORE_PSEUDONYM_H
#define PW_STORE_PSEUDONYM_H

#include "event/pseudonym.h"
#include "store/search.h"

#define PSEUDONYM_KEY_NAME "pseudonym.key" /* in the directory of the store; may be a link */

/* When the store is opened, after the control file. Reads the key where there is one, makes one
 * where `wish` wants it for the first time. -1 with *err: the key is lost. */
int pseudonym_open(struct store *store, enum store_pseudonymise wish, struct error *err);
void pseudonym_close(struct store *store);

/* -1 with *err where a search asks for addresses and only the key could tell. */
int pseudonym_check(struct store *store, const struct search *search, struct error *err);

/* State of open mails, which holds addresses that their logs will name again, and batches that
 * wait, as they are kept: sealed under the key where only hashes are; the value must live on. */
struct slice pseudonym_seal(struct store *store, struct slice value, GString *scratch);
/* The same back, in place; false where the key does not fit. */
bool pseudonym_unseal(struct store *store, GString *value);

#endif
