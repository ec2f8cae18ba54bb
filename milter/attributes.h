/* What a mail tells about itself beyond RFC 5322: campaign, metadata, tags, options, from
 * X-MSYS-API (SparkPost's SMTP API) or from the headers of other senders (milter/header_map.h).
 *
 * The first that tells a thing wins. Bad input is counted in `bad`, what is too long in `cut`;
 * neither loses the rest. */
#ifndef PW_MILTER_ATTRIBUTES_H
#define PW_MILTER_ATTRIBUTES_H

#include <glib.h>
#include <jansson.h>

#include "event/event.h"

/* Of the JSON text of one recipient's metadata, tags or substitution data; longer ones are dropped:
 * half an object is none. */
#define ATTRIBUTES_JSON_MAX 10000
#define ATTRIBUTES_TAGS_MAX 100

/* What is said of one recipient. */
struct attributes_recipient {
	const char *type; /* "cc", "bcc", "archive" or NULL */
	json_t *meta;     /* object or NULL */
	json_t *tags;     /* array or NULL */
	json_t *subs;     /* object or NULL */
};

struct attributes {
	char *field[FIELDS];    /* UTF-8 or NULL */
	json_t *meta;           /* object or NULL */
	json_t *tags;           /* array of strings or NULL */
	GHashTable *recipients; /* address in lower case -> struct attributes_recipient; or NULL */
	unsigned bad, cut;
};

/* Frees what they hold and makes them empty; for zeroed ones too. */
void attributes_clear(struct attributes *attributes);

/* Each keeps what is there already. `text` is UTF-8. */
void attributes_text(struct attributes *attributes, enum field field, struct slice text);
void attributes_switch(struct attributes *attributes, enum field field, bool on);
void attributes_tag(struct attributes *attributes, struct slice text);
void attributes_meta_text(struct attributes *attributes, const char *key, struct slice text);
/* Members of an object that are not there yet. */
void attributes_meta_json(struct attributes *attributes, json_t *object);

/* "yes", "true", "1", "on", …: 1; "no", "false", "0", "off": 0; otherwise -1. */
int attributes_bool(struct slice text);

/* A header value as JSON, unfolded; NULL (and one more `bad`) when it is none. */
json_t *attributes_json(struct attributes *attributes, struct slice value);

/* The object of X-MSYS-API: campaign_id, metadata, tags, options, cc, bcc, archive, recipients.
 * False where the value is none. */
bool attributes_msys(struct attributes *attributes, struct slice value);

/* Adds what `other` tells and `attributes` does not. */
void attributes_merge(struct attributes *attributes, const struct attributes *other);

/* What is said of a recipient (address in lower case), or NULL. */
const struct attributes_recipient *attributes_of(
        const struct attributes *attributes, const char *address);

/* Metadata, tags and substitution data as JSON text: of the message (own = NULL), or of a
 * recipient, whose own data come before those of the message. To be freed by free(); NULL when
 * there are none, or when they are too long (one more `cut`). */
char *attributes_dump_meta(struct attributes *attributes, const struct attributes_recipient *own);
char *attributes_dump_tags(struct attributes *attributes, const struct attributes_recipient *own);
char *attributes_dump_subs(struct attributes *attributes, const struct attributes_recipient *own);

#endif
