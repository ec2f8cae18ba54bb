/* The keys of the API in the control file. */
#ifndef PW_STORE_KEYS_H
#define PW_STORE_KEYS_H

#include "store/store.h"

#define STORE_KEY_SALT 16
#define STORE_KEY_HASH 32

/* As the columns of api_key in schema/control-2.sql. */
struct store_key {
	const char *id;
	unsigned char salt[STORE_KEY_SALT];
	unsigned char hash[STORE_KEY_HASH];
	const char *name;
	unsigned grants;
	const char *subaccounts, *domains; /* NULL = all */
	int64_t created;                   /* ms */
};

/* Writes a new key down; it is on the disk when this returns 0. Beside the writer thread: the store
 * must be open for writing, from any thread. -1 with *err: number EEXIST where the id is taken. */
int store_key_add(struct store *store, const struct store_key *key, struct error *err);

/* Takes a key away: 1, 0 where there is none, -1 with *err. As store_key_add. */
int store_key_drop(struct store *store, const char *id, struct error *err);

/* Calls `key` for each, oldest first; its texts are valid during the call. */
int store_each_key(struct store *store, void (*key)(void *ctx, const struct store_key *key),
        void *ctx, struct error *err);

#endif
