/* What was erased, as keyed hashes: enough to know it again, not enough to name it. Finds whom a
 * text names, so that an erasure takes the same away from the store that later commits keep out. */
#ifndef PW_STORE_TOMBSTONE_H
#define PW_STORE_TOMBSTONE_H

#include <glib.h>
#include <jansson.h>

#include "event/event.h"

#define TOMBSTONE_KEY_BYTES 16
#define TOMBSTONE_MARK "[erased]" /* stands where something was */

/* Numbers are in the control file. */
enum tombstone_kind {
	TOMBSTONE_RECIPIENT = 1, /* of an address */
	TOMBSTONE_DOMAIN = 2,    /* of all addresses of a domain */
	TOMBSTONE_MESSAGE = 3,   /* of a message_id, or the Message-ID of a header without <> */
	TOMBSTONE_KINDS
};

struct tombstone {
	enum tombstone_kind kind;
	uint64_t hash;
	uint64_t local; /* hash of the local part of an address; 0: none */
	uint64_t alias,
	        alias_local; /* the same of what stands for it (event/pseudonym.h); 0: none */
	bool telling;        /* the local part alone tells who is meant: "john.doe", not "info" */
	int64_t time;        /* ms: what happened before is not to be kept */
};

/* Of a name as somebody wrote it (upper and lower case of any script are one, and so are a domain
 * in letters and in Punycode). -1 with *err: it is none. */
struct error;
int tombstone_make(const uint8_t key[TOMBSTONE_KEY_BYTES], enum tombstone_kind kind,
        struct slice name, int64_t time, struct tombstone *stone_r, struct error *err);

struct tombstones;
struct tombstones *tombstones_new(const uint8_t key[TOMBSTONE_KEY_BYTES]);
void tombstones_free(struct tombstones **stones);
void tombstones_add(struct tombstones *stones, const struct tombstone *stone);

/* Whether there is any of a kind. */
bool tombstones_have(const struct tombstones *stones, enum tombstone_kind kind);

/* Whether any was set after `time`: where not, nothing of that time is found. */
bool tombstones_after(const struct tombstones *stones, int64_t time);

/* Whether an event is to go: one of an erased recipient or message, before it was erased. */
bool tombstones_take(const struct tombstones *stones, const struct event *event);

/* Puts TOMBSTONE_MARK in place of each address in the text that was erased after `time`, as it is
 * or in the forms that mail gives it (john=example.com, john%40example.com, SRS, …) or that it has
 * in another coding (event/coding.h; of hexadecimal digits and base64 the whole run goes), and of
 * local parts that stand alone and tell who is meant. `close`: the text is of a mail to somebody
 * erased, where each local part tells. An address is found beside any sign that is no part of one,
 * also in scripts that part no words by blanks, and cut off at the end of a long text. False, and
 * nothing in `out`, when there is none. */
bool tombstones_clean(
        const struct tombstones *stones, int64_t time, bool close, struct slice text, GString *out);

/* The same of each string and key of JSON, whatever was escaped in them: in place, and appends what
 * the JSON then is. */
bool tombstones_clean_json(
        const struct tombstones *stones, int64_t time, bool close, json_t *json, GString *out);

/* The same for all fields of an event; their new values stand in `out`. */
bool tombstones_clean_event(
        const struct tombstones *stones, bool close, struct event *event, GString *out);

#endif
