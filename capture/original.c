#include "capture/original.h"

#include <glib.h>

#include "event/catalogue.h"
#include "store/record.h"

/* Events of one key that are looked at, newest first. */
#define EVENTS_MAX 500

/* How well an event stands for the mail, best last. */
enum fit { FIT_NONE, FIT_MAIL, FIT_SENT, FIT_RECIPIENT, FIT_DELIVERY };

struct look {
	struct store *store;
	struct original *original;
	const struct original_key *key;
	bool needs_recipient; /* the key alone does not prove that it is the mail */
	bool needs_subject;
	enum fit fit;
	char *only; /* the one recipient seen so far */
	bool several;
};

/* Where no addresses are kept, those in the field are hashes. */
static bool same(struct store *store, struct slice field, const char *text)
{
	g_autoptr(GString) left = g_string_new(NULL);

	return text != NULL && field.n > 0 &&
	       (slice_eq_case(field, slice_str(text)) ||
	               slice_eq_case(field, store_plainless(store, slice_str(text), left)));
}

static bool is_recipient(
        struct store *store, const struct event *event, const struct original_key *key)
{
	const enum field fields[] = {FIELD_RCPT_TO, FIELD_ORIG_RCPT_TO};

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (store_is_address(store, event->field[fields[i]], slice_str(key->recipient)) ||
		        store_is_address(store, event->field[fields[i]], slice_str(key->written)))
			return true;
	return false;
}

static enum fit fit_of(const struct look *look, const struct event *event)
{
	bool recipient = is_recipient(look->store, event, look->key);
	const struct report *report = look->key->report;

	if (look->needs_recipient && !recipient)
		return FIT_NONE;
	if (look->needs_subject &&
	        (!same(look->store, event->field[FIELD_SUBJECT],
	                 report->text[REPORT_ORIGINAL_SUBJECT]) ||
	                (report->text[REPORT_ORIGINAL_FROM] != NULL &&
	                        !store_is_address(look->store, event->field[FIELD_FRIENDLY_FROM],
	                                slice_str(report->text[REPORT_ORIGINAL_FROM])))))
		return FIT_NONE;
	bool delivered = event_outbound(event->type) == EVENT_DELIVERY;
	if (recipient)
		return delivered ? FIT_DELIVERY : FIT_RECIPIENT;
	return delivered ? FIT_SENT : FIT_MAIL;
}

/* Events that are reports themselves tell nothing of the mail that it did not tell. */
static bool is_of_mail(const struct event *event)
{
	enum event_type type = event_outbound(event->type);

	return type == EVENT_INJECTION || type == EVENT_DELIVERY || type == EVENT_DELAY ||
	       type == EVENT_BOUNCE;
}

static void note_recipient(struct look *look, const struct event *event)
{
	struct slice to = event->field[FIELD_RCPT_TO];

	if (to.n == 0 || look->several)
		return;
	if (look->only == NULL)
		look->only = slice_dup(to);
	else if (!slice_eq_case(to, slice_str(look->only)))
		look->several = true;
}

static void look_at(void *ctx, const struct event *event)
{
	struct look *look = ctx;
	struct original *original = look->original;
	enum fit fit = is_of_mail(event) ? fit_of(look, event) : FIT_NONE;

	if (fit == FIT_NONE)
		return;
	note_recipient(look, event);
	if (event_outbound(event->type) == EVENT_BOUNCE && fit == FIT_RECIPIENT)
		original->bounced = true;
	if (fit <= look->fit)
		return;
	look->fit = fit;
	g_byte_array_set_size(original->bytes, 0);
	record_put(original->bytes, event);
	record_get(original->bytes, 0, &original->event);
	original->found = true;
}

static int look_by(struct store *store, struct look *look, enum search_key by, const char *value,
        struct error *err)
{
	const char *const values[] = {value, NULL};
	struct search search = {.to = INT64_MAX, .limit = EVENTS_MAX, .no_total = true};
	uint64_t total;

	if (value == NULL || *value == '\0' || look->original->found)
		return 0;
	search.values[by] = values;
	return store_search(store, &search, look_at, look, &total, err);
}

/* Senders give as ENVID (RFC 3461, 4.4) what they know the mail by: often one of its ids. */
static int look_by_ids(struct store *store, struct look *look, struct error *err)
{
	const struct report *report = look->key->report;

	if (look_by(store, look, SEARCH_MESSAGE, look->key->message_id, err) < 0 ||
	        look_by(store, look, SEARCH_MESSAGE, report->text[REPORT_ORIGINAL_ID], err) < 0)
		return -1;
	return look_by(store, look, SEARCH_MESSAGE, report->text[REPORT_ENVELOPE_ID], err);
}

/* A queue id is reused, and those of other hosts stand beside ours: the recipient must fit. */
static int look_by_queue_id(struct store *store, struct look *look, struct error *err)
{
	const struct report *report = look->key->report;

	look->needs_recipient = true;
	for (guint i = 0; i < report->original_queue_ids->len; i++)
		if (look_by(store, look, SEARCH_QUEUE_ID, report->original_queue_ids->pdata[i],
		            err) < 0)
			return -1;
	if (look_by(store, look, SEARCH_QUEUE_ID, report->text[REPORT_QUEUE_ID], err) < 0)
		return -1;
	return look_by(store, look, SEARCH_QUEUE_ID, report->text[REPORT_ENVELOPE_ID], err);
}

/* The newest mail to that recipient with the same Subject and From. */
static int look_by_headers(struct store *store, struct look *look, struct error *err)
{
	if (look->key->report->text[REPORT_ORIGINAL_SUBJECT] == NULL)
		return 0;
	look->needs_recipient = true;
	look->needs_subject = true;
	if (look_by(store, look, SEARCH_RECIPIENT, look->key->recipient, err) < 0)
		return -1;
	return look_by(store, look, SEARCH_RECIPIENT, look->key->written, err);
}

int original_find(struct store *store, const struct original_key *key, struct original *original_r,
        struct error *err)
{
	struct look look = {.store = store, .original = original_r, .key = key};
	int result = -1;

	*original_r = (struct original){.bytes = g_byte_array_new()};
	if (look_by_ids(store, &look, err) == 0 && look_by_queue_id(store, &look, err) == 0 &&
	        look_by_headers(store, &look, err) == 0)
		result = 0;
	/* Of a mail to one address it is that address; of several nobody knows which. */
	if (look.several && look.fit < FIT_RECIPIENT)
		original_r->event.field[FIELD_RCPT_TO] = SLICE_NONE;
	g_free(look.only);
	return result;
}

void original_clear(struct original *original)
{
	if (original->bytes != NULL)
		g_byte_array_unref(original->bytes);
	*original = (struct original){0};
}
