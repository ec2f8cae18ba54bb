#include "capture/report.h"

#include <glib.h>

#include "base/clock.h"
#include "capture/letterhead.h"
#include "capture/original.h"
#include "event/catalogue.h"
#include "event/ingest_check.h"
#include "event/json.h"
#include "mime/headers.h"
#include "mime/report.h"

/* How long the commit of a report is waited for, ms. */
#define COMMIT_TIMEOUT 10000
/* A report's clock may be ahead of ours by this much. */
#define CLOCK_SKEW CLOCK_MINUTE

/* Events whose commit may still be under way, with a wide margin. */
#define RECENT_MAX 10000

#define CLASS_NO_RECIPIENT 30
#define CLASS_GENERIC 40
#define CLASS_AUTO_REPLY 60
#define CLASS_CHALLENGE 100
#define CLASS_UNDETERMINED 1

/* ---- settings ---- */

struct reports {
	GPtrArray *verp;        /* of GRegex */
	GPtrArray *unsubscribe; /* of GRegex */
	GPtrArray *feedback;    /* of GRegex */
	/* The patterns for mime/, or NULL. */
	char **unsubscribe_wildcards, **feedback_wildcards;
	struct header_map *map;
	struct classifier *classifier;
	char *customer_id, *subaccount_id;
	bool keep;
	GMutex lock;
	GHashTable *recent; /* event_id -> ticket of the commit */
};

/* "bounce+{recipient}@example.com" as a regular expression with named groups. */
static char *pattern_regex(const char *text, struct error *err)
{
	g_autoptr(GString) out = g_string_new("^");
	bool recipient = false, message = false;

	for (const char *p = text; *p != '\0';) {
		if (g_str_has_prefix(p, "{recipient}") && !recipient) {
			recipient = true;
			g_string_append(out, "(?<recipient>[^@]+=[^@=]+)");
			p += strlen("{recipient}");
		} else if (g_str_has_prefix(p, "{message_id}") && !message) {
			message = true;
			g_string_append(out, "(?<message>[0-9a-fA-F]{20})");
			p += strlen("{message_id}");
		} else if (*p == '*') {
			g_string_append(out, ".*");
			p++;
		} else if (*p == '{') {
			error_config(err,
			        "%s: only {recipient} and {message_id} may stand in braces, each "
			        "once",
			        text);
			return NULL;
		} else {
			g_autofree char *one = g_regex_escape_string(p, 1);
			g_string_append(out, one);
			p++;
		}
	}
	g_string_append_c(out, '$');
	return g_strdup(out->str);
}

/* The wildcard form that mime/ takes: what braces stand for is any text. */
static char *pattern_wildcard(const char *text)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);
	g_auto(GStrv) outer = g_strsplit(lower, "{recipient}", -1);
	g_autofree char *joined = g_strjoinv("*", outer);
	g_auto(GStrv) inner = g_strsplit(joined, "{message_id}", -1);

	return g_strjoinv("*", inner);
}

static GPtrArray *compile(const char *list, struct error *err)
{
	GPtrArray *out = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
	g_auto(GStrv) words = g_strsplit_set(list != NULL ? list : "", " \t,", -1);

	for (char **word = words; *word != NULL; word++) {
		if (**word == '\0')
			continue;
		g_autofree char *text = pattern_regex(*word, err);
		GRegex *regex = text != NULL
		                        ? g_regex_new(text, G_REGEX_CASELESS | G_REGEX_RAW, 0, NULL)
		                        : NULL;
		if (regex == NULL) {
			g_ptr_array_unref(out);
			return NULL;
		}
		g_ptr_array_add(out, regex);
	}
	return out;
}

static char **wildcards(const char *list)
{
	if (list == NULL)
		return NULL;
	g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);
	GPtrArray *out = g_ptr_array_new();

	for (char **word = words; *word != NULL; word++)
		if (**word != '\0')
			g_ptr_array_add(out, pattern_wildcard(*word));
	g_ptr_array_add(out, NULL);
	return (char **)g_ptr_array_free(out, FALSE);
}

struct reports *reports_new(const struct reports_config *config, struct error *err)
{
	struct reports *reports = g_new0(struct reports, 1);

	mime_init();
	reports->verp = compile(config->verp, err);
	reports->unsubscribe = compile(config->unsubscribe, err);
	reports->unsubscribe_wildcards = wildcards(config->unsubscribe);
	reports->feedback = compile(config->feedback, err);
	reports->feedback_wildcards = wildcards(config->feedback);
	reports->map = header_map_new(config->header_map, err);
	reports->classifier =
	        config->classifier != NULL ? config->classifier : classifier_default();
	g_mutex_init(&reports->lock);
	reports->recent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	reports->keep = config->keep;
	reports->customer_id = g_strdup(config->customer_id != NULL ? config->customer_id : "1");
	reports->subaccount_id =
	        g_strdup(config->subaccount_id != NULL ? config->subaccount_id : "0");
	if (reports->verp == NULL || reports->unsubscribe == NULL || reports->feedback == NULL ||
	        reports->map == NULL)
		reports_free(&reports);
	return reports;
}

void reports_free(struct reports **reports)
{
	struct reports *r = *reports;

	if (r == NULL)
		return;
	g_clear_pointer(&r->verp, g_ptr_array_unref);
	g_clear_pointer(&r->unsubscribe, g_ptr_array_unref);
	g_clear_pointer(&r->feedback, g_ptr_array_unref);
	g_strfreev(r->unsubscribe_wildcards);
	g_strfreev(r->feedback_wildcards);
	header_map_free(&r->map);
	g_hash_table_unref(r->recent);
	g_mutex_clear(&r->lock);
	g_free(r->customer_id);
	g_free(r->subaccount_id);
	g_clear_pointer(reports, g_free);
}

/* ---- what the address tells that the report came to ---- */

bool reports_address(const struct reports *reports, const char *address)
{
	const GPtrArray *const lists[] = {reports->verp, reports->unsubscribe, reports->feedback};

	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++)
			if (g_regex_match(lists[i]->pdata[k], address, 0, NULL))
				return true;
	return false;
}

static bool is_addressed(const struct reports *reports, const struct report *report)
{
	for (guint i = 0; i < report->sent_to->len; i++)
		if (reports_address(reports, report->sent_to->pdata[i]))
			return true;
	return false;
}

struct returned {
	char *recipient;
	char *message_id;
};

static char *group(const GMatchInfo *match, const char *name)
{
	char *text = g_match_info_fetch_named(match, name);

	if (text != NULL && *text == '\0')
		g_clear_pointer(&text, g_free);
	return text;
}

static bool returned_match(GRegex *regex, const char *address, struct returned *returned)
{
	g_autoptr(GMatchInfo) match = NULL;

	if (!g_regex_match(regex, address, 0, &match))
		return false;
	returned->recipient = group(match, "recipient");
	returned->message_id = group(match, "message");
	if (returned->recipient != NULL)
		*strrchr(returned->recipient, '=') = '@';
	if (returned->message_id != NULL) {
		char *lower = g_ascii_strdown(returned->message_id, -1);
		g_free(returned->message_id);
		returned->message_id = lower;
	}
	return true;
}

static void returned_read(
        const GPtrArray *patterns, const struct report *report, struct returned *returned)
{
	for (guint i = 0; i < report->sent_to->len; i++)
		for (guint k = 0; k < patterns->len; k++)
			if (returned_match(patterns->pdata[k], report->sent_to->pdata[i], returned))
				return;
}

/* ---- the event ---- */

struct making {
	const struct reports *reports;
	const struct report *report;
	const struct report_recipient *recipient;
	struct slice kept; /* of the mail; absent = nothing */
	struct returned returned;
	struct original original;
	struct letterhead head;
	struct event event;
	GString *reason;
	char *rcpt_to, *domain, *friendly_domain;
	char class[8];
};

static void put(struct making *making, enum field field, const char *text)
{
	if (text != NULL && *text != '\0' && !event_has(&making->event, field))
		making->event.field[field] = slice_str(text);
}

static bool carries(enum event_type type, enum field field)
{
	return (event_catalogue[type].fields[field / 64] >> (field % 64) & 1) != 0;
}

/* What the report tells itself, and what of a delivery is not said of its report. */
static bool is_of_report(enum field field)
{
	switch (field) {
	case FIELD_RAW_REASON:
	case FIELD_REASON:
	case FIELD_ERROR_CODE:
	case FIELD_DSN:
	case FIELD_BOUNCE_CLASS:
	case FIELD_REPORT_MIME:
		return true;
	default:
		return false;
	}
}

static void copy_original(struct making *making)
{
	const struct event *from = &making->original.event;

	if (!making->original.found)
		return;
	making->event.injected = from->injected;
	for (enum field field = 0; field < FIELDS; field++)
		if (carries(making->event.type, field) && !is_of_report(field))
			making->event.field[field] = from->field[field];
}

/* What a report is about went out by SMTP and the report came in by it, where the original does not
 * say otherwise. */
static void put_methods(struct making *making)
{
	static const enum field fields[] = {FIELD_RECV_METHOD, FIELD_DELV_METHOD};
	const struct slice *known = making->original.event.field;

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if ((ingest_flags(making->event.type, fields[i]) & INGEST_REQUIRED) != 0)
			making->event.field[fields[i]] =
			        making->original.found && known[fields[i]].n > 0 ? known[fields[i]]
			                                                         : SLICE("esmtp");
}

/* Where the original is known, its recipient is the one that we wrote to. */
static void put_recipient(struct making *making)
{
	const char *address = making->recipient->address;

	if (making->returned.recipient != NULL)
		address = making->returned.recipient;
	if (event_has(&making->event, FIELD_RCPT_TO)) {
		if (making->recipient->address != NULL)
			making->event.field[FIELD_RAW_RCPT_TO] =
			        slice_str(making->recipient->address);
		return;
	}
	if (address == NULL)
		return;
	making->rcpt_to = g_ascii_strdown(address, -1);
	put(making, FIELD_RCPT_TO, making->rcpt_to);
	making->event.field[FIELD_RAW_RCPT_TO] = slice_str(
	        making->recipient->address != NULL ? making->recipient->address : address);
	const char *written = making->recipient->original;
	if (written != NULL && g_ascii_strcasecmp(written, making->rcpt_to) != 0)
		put(making, FIELD_ORIG_RCPT_TO, written);
	const char *at = strrchr(making->rcpt_to, '@');
	making->domain = at != NULL ? g_strdup(at + 1) : NULL;
	put(making, FIELD_RECIPIENT_DOMAIN, making->domain);
	if (carries(making->event.type, FIELD_ROUTING_DOMAIN))
		put(making, FIELD_ROUTING_DOMAIN, making->domain);
}

/* What the milter would have told of it, had it seen the mail. */
static void put_letterhead(struct making *making)
{
	const struct report_recipient *r = making->recipient;
	const char *address = r->original != NULL ? r->original : r->address;

	if (making->returned.recipient != NULL)
		address = making->returned.recipient;
	letterhead_read(&making->head, making->reports->map,
	        making->report->text[REPORT_ORIGINAL_HEADERS], address);
	for (enum field field = 0; field < FIELDS; field++)
		if (carries(making->event.type, field) && !event_has(&making->event, field) &&
		        making->head.field[field].n > 0)
			making->event.field[field] = making->head.field[field];
}

/* The returned header, for mails that the store does not have. */
static void put_returned(struct making *making)
{
	char *const *text = making->report->text;

	put_letterhead(making);
	put(making, FIELD_CUSTOMER_ID, making->reports->customer_id);
	put(making, FIELD_SUBACCOUNT_ID, making->reports->subaccount_id);
	put(making, FIELD_MSG_FROM, text[REPORT_ORIGINAL_SENDER]);
	put(making, FIELD_FRIENDLY_FROM, text[REPORT_ORIGINAL_FROM]);
	put(making, FIELD_SUBJECT, text[REPORT_ORIGINAL_SUBJECT]);
	put(making, FIELD_HEADER_MESSAGE_ID, text[REPORT_ORIGINAL_ID]);
	const char *at = text[REPORT_ORIGINAL_FROM] != NULL
	                         ? strrchr(text[REPORT_ORIGINAL_FROM], '@')
	                         : NULL;
	making->friendly_domain = at != NULL ? g_ascii_strdown(at + 1, -1) : NULL;
	put(making, FIELD_SENDING_DOMAIN, making->friendly_domain);
}

static int class_of(const struct making *making)
{
	const struct report_recipient *r = making->recipient;

	if (making->report->kind == REPORT_AUTO_REPLY)
		return CLASS_AUTO_REPLY;
	if (making->report->kind == REPORT_CHALLENGE)
		return CLASS_CHALLENGE;
	/* What `postwake reclassify` gives, of the same fields. */
	const struct failure failure = {.text = slice_str(r->diagnostic),
	        .dsn = slice_str(r->status),
	        .code = slice_str(r->code),
	        .mx = making->event.field[FIELD_MX_HOST]};
	int class = classifier_class(making->reports->classifier, &failure)->bounce_class;
	if (class != CLASS_UNDETERMINED)
		return class;
	if (!event_has(&making->event, FIELD_RCPT_TO))
		return CLASS_NO_RECIPIENT;
	return r->diagnostic == NULL ? CLASS_GENERIC : class;
}

static void put_failure(struct making *making)
{
	const struct report_recipient *r = making->recipient;

	put(making, FIELD_RAW_REASON, r->diagnostic);
	if (r->diagnostic != NULL) {
		classifier_reason(
		        making->reports->classifier, making->reason, slice_str(r->diagnostic));
		put(making, FIELD_REASON, making->reason->str);
	}
	put(making, FIELD_ERROR_CODE, r->code);
	put(making, FIELD_DSN, r->status);
	if (r->mta != NULL)
		making->event.field[FIELD_MX_HOST] = slice_str(r->mta);
	g_snprintf(making->class, sizeof(making->class), "%d", class_of(making));
	put(making, FIELD_BOUNCE_CLASS, making->class);
	making->event.field[FIELD_REPORT_MIME] = making->kept;
}

static void put_complaint(struct making *making)
{
	char *const *text = making->report->text;

	put(making, FIELD_FBTYPE, text[REPORT_FBTYPE]);
	put(making, FIELD_REPORT_BY, text[REPORT_BY]);
	put(making, FIELD_REPORT_TO, text[REPORT_TO]);
	put(making, FIELD_USER_STR, text[REPORT_USER_STR]);
}

static void put_unsubscribe(struct making *making)
{
	char *const *text = making->report->text;
	const char *path = text[REPORT_RETURN_PATH];

	/* An opt-out of a feedback loop was written by the loop. */
	if (text[REPORT_FBTYPE] != NULL)
		put(making, FIELD_MAILFROM, making->recipient->address);
	put(making, FIELD_MAILFROM, path != NULL && *path != '\0' ? path : text[REPORT_FROM]);
}

static const struct {
	enum report_kind kind;
	enum event_type type;
	void (*put)(struct making *making);
} kinds[] = {
        {REPORT_BOUNCE, EVENT_OUT_OF_BAND, put_failure},
        {REPORT_AUTO_REPLY, EVENT_OUT_OF_BAND, put_failure},
        {REPORT_CHALLENGE, EVENT_OUT_OF_BAND, put_failure},
        {REPORT_COMPLAINT, EVENT_SPAM_COMPLAINT, put_complaint},
        {REPORT_UNSUBSCRIBE, EVENT_LIST_UNSUBSCRIBE, put_unsubscribe},
};

/* The same report again, by whatever way it comes, is the same event. */
static uint64_t identity(const struct making *making)
{
	char *const *text = making->report->text;
	const struct report_recipient *r = making->recipient;
	g_autofree char *recipient = g_ascii_strdown(r->address != NULL ? r->address : "", -1);
	g_autofree char *made = g_strdup_printf("%" G_GINT64_FORMAT, making->report->time);
	const char *own = text[REPORT_ID];

	if (own == NULL)
		own = text[REPORT_DATE] != NULL ? text[REPORT_DATE] : made;
	const struct slice parts[] = {SLICE("report"), slice_str(recipient),
	        slice_str(event_catalogue[making->event.type].name), slice_str(own),
	        slice_str(text[REPORT_ORIGINAL_ID])};

	return identity_parts(parts, G_N_ELEMENTS(parts));
}

static int64_t time_of(const struct report *report, int64_t now)
{
	return report->time > 0 && report->time <= now + CLOCK_SKEW ? report->time : now;
}

/* A bounce that our own server wrote tells the sender what its log told us. */
static bool is_known_bounce(const struct making *making)
{
	const char *mta = making->report->text[REPORT_MTA];
	struct slice node = making->original.event.field[FIELD_NODE_NAME];

	if (making->event.type != EVENT_OUT_OF_BAND || !making->original.found ||
	        !making->original.bounced || mta == NULL || node.n == 0)
		return false;
	struct slice host = slice_str(mta);
	return slice_eq_case(host, node) || slice_eq_case(slice_cut(&host, '.'), node);
}

static int find_original(struct making *making, struct store *store, struct error *err)
{
	const struct original_key key = {
	        .recipient = making->returned.recipient != NULL ? making->returned.recipient
	                                                        : making->recipient->address,
	        .written = making->recipient->original,
	        .message_id = making->returned.message_id,
	        .report = making->report,
	};

	return store != NULL ? original_find(store, &key, &making->original, err) : 0;
}

static void making_clear(struct making *making)
{
	original_clear(&making->original);
	letterhead_clear(&making->head);
	g_clear_pointer(&making->rcpt_to, g_free);
	g_clear_pointer(&making->domain, g_free);
	g_clear_pointer(&making->friendly_domain, g_free);
	g_string_truncate(making->reason, 0);
}

/* 1: making->event is made; 0: no event after all; -1 with *err. */
static int make(
        struct making *making, size_t kind, struct store *store, int64_t now, struct error *err)
{
	making->event = (struct event){.type = kinds[kind].type};
	if (find_original(making, store, err) < 0)
		return -1;
	if (is_known_bounce(making))
		return 0;
	copy_original(making);
	put_methods(making);
	put_recipient(making);
	put_returned(making);
	kinds[kind].put(making);
	making->event.id = identity(making);
	making->event.time = time_of(making->report, now);
	return 1;
}

/* What each event of a report keeps of it: up to the first NUL, which JSON readers refuse. */
static struct slice kept_of(const struct reports *reports, struct slice mail, guint recipients)
{
	ptrdiff_t end = slice_chr(mail, '\0');
	size_t share = REPORTS_KEPT_ALL / MAX(recipients, 1);

	if (!reports->keep)
		return SLICE_NONE;
	mail = end >= 0 ? slice_head(mail, (size_t)end) : mail;
	return slice_head(mail, MIN(mail.n, MIN(share, REPORTS_KEPT_MAX)));
}

static size_t kind_index(enum report_kind kind)
{
	size_t i = 0;

	while (i < G_N_ELEMENTS(kinds) && kinds[i].kind != kind)
		i++;
	return i;
}

/* The kinds that count by where they came to: people's programs answer whoever wrote. */
static bool is_for_others(const struct making *making, enum reports_way way)
{
	enum report_kind kind = making->report->kind;

	return way == REPORTS_IN_PASSING &&
	       (kind == REPORT_AUTO_REPLY || kind == REPORT_CHALLENGE ||
	               kind == REPORT_UNSUBSCRIBE) &&
	       !is_addressed(making->reports, making->report);
}

int reports_read(const struct reports *reports, struct slice mail, enum reports_way way,
        struct store *store, int64_t now, void (*event)(void *ctx, const struct event *event),
        void *ctx, struct error *err)
{
	const struct report_config config = {
	        .unsubscribe = (const char *const *)reports->unsubscribe_wildcards,
	        .feedback = (const char *const *)reports->feedback_wildcards};
	struct report *report = report_parse(mail, &config);
	struct making making = {.reports = reports, .report = report, .reason = g_string_new(NULL)};
	size_t kind = kind_index(report->kind);
	int made = 0, found = 0;

	if (is_for_others(&making, way))
		kind = G_N_ELEMENTS(kinds);
	making.kept = kept_of(reports, mail, report->recipients->len);
	returned_read(report->kind == REPORT_UNSUBSCRIBE ? reports->unsubscribe : reports->verp,
	        report, &making.returned);
	for (guint i = 0; kind < G_N_ELEMENTS(kinds) && i < report->recipients->len; i++) {
		making.recipient = report->recipients->pdata[i];
		made = make(&making, kind, store, now, err);
		if (made == 1) {
			event(ctx, &making.event);
			found++;
		}
		making_clear(&making);
		if (made < 0)
			break;
	}
	g_free(making.returned.recipient);
	g_free(making.returned.message_id);
	g_string_free(making.reason, TRUE);
	report_free(&report);
	return made < 0 ? -1 : found;
}

/* ---- into the store ---- */

struct taking {
	struct reports *reports;
	struct capture *capture;
	struct store *store;
	unsigned fresh;
	uint64_t ticket;
	struct error *err;
};

static void count_one(void *ctx, const struct event *event)
{
	(void)event;
	++*(unsigned *)ctx;
}

/* The store drops what it knows among events of one second; a copy of a report may be stamped in
 * another. */
static bool is_known(struct taking *taking, uint64_t id)
{
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, id);
	const char *const values[] = {text, NULL};
	struct search search = {.to = INT64_MAX, .limit = 1, .no_total = true};
	unsigned found = 0;
	uint64_t total;

	search.values[SEARCH_EVENT_ID] = values;
	if (store_search(taking->store, &search, count_one, &found, &total, taking->err) < 0)
		return false;
	return found > 0;
}

/* One that was added a moment ago may not be in the store yet: its commit is waited for too. With
 * the lock held. */
static bool is_recent(struct taking *taking, uint64_t id)
{
	const uint64_t *ticket = g_hash_table_lookup(taking->reports->recent, &id);

	if (ticket != NULL && *ticket > taking->ticket)
		taking->ticket = *ticket;
	return ticket != NULL;
}

static void add_recent(struct taking *taking, uint64_t id)
{
	GHashTable *recent = taking->reports->recent;

	if (g_hash_table_size(recent) >= RECENT_MAX)
		g_hash_table_remove_all(recent);
	g_hash_table_insert(
	        recent, g_memdup2(&id, sizeof(id)), g_memdup2(&taking->ticket, sizeof(id)));
}

static void take_event(void *ctx, const struct event *event)
{
	struct taking *taking = ctx;

	if (is_known(taking, event->id) || taking->err->set)
		return;
	g_mutex_lock(&taking->reports->lock);
	if (!is_recent(taking, event->id)) {
		taking->ticket = capture_add(taking->capture, event);
		taking->fresh++;
		add_recent(taking, event->id);
	}
	g_mutex_unlock(&taking->reports->lock);
}

int reports_take(struct reports *reports, struct capture *capture, struct store *store,
        struct slice mail, enum reports_way way, unsigned *found_r, unsigned *new_r,
        struct error *err)
{
	struct taking taking = {.reports = reports, .capture = capture, .store = store, .err = err};
	int found = reports_read(reports, mail, way, store, clock_now(), take_event, &taking, err);

	*found_r = found > 0 ? (unsigned)found : 0;
	*new_r = taking.fresh;
	if (found < 0 || err->set)
		return -1;
	if (taking.ticket > 0 && capture_wait(capture, taking.ticket, COMMIT_TIMEOUT) != 1)
		return error_set(err, "the report could not be committed in time");
	return 0;
}

/* ---- for people ---- */

static const char *kind_name(enum report_kind kind)
{
	switch (kind) {
	case REPORT_NONE:
		return "none";
	case REPORT_BOUNCE:
		return "bounce";
	case REPORT_AUTO_REPLY:
		return "auto-reply";
	case REPORT_CHALLENGE:
		return "challenge";
	case REPORT_COMPLAINT:
		return "complaint";
	case REPORT_UNSUBSCRIBE:
		return "unsubscribe";
	}
	return "none";
}

static void explain_text(GString *out, const char *name, const char *text)
{
	if (text != NULL)
		json_member(out, name, slice_str(text));
}

static void explain_one(
        const struct report *report, const struct report_recipient *recipient, GString *out)
{
	g_string_append_c(out, '{');
	json_member(out, "kind", slice_str(kind_name(report->kind)));
	json_member(out, "form", slice_str(report->form));
	if (recipient != NULL) {
		explain_text(out, "recipient", recipient->address);
		explain_text(out, "action", recipient->action);
		explain_text(out, "status", recipient->status);
		explain_text(out, "code", recipient->code);
		explain_text(out, "diagnostic", recipient->diagnostic);
		explain_text(out, "remote_mta", recipient->mta);
	}
	explain_text(out, "report_id", report->text[REPORT_ID]);
	explain_text(out, "reporting_mta", report->text[REPORT_MTA]);
	explain_text(out, "queue_id", report->text[REPORT_QUEUE_ID]);
	explain_text(out, "envelope_id", report->text[REPORT_ENVELOPE_ID]);
	explain_text(out, "original_message_id", report->text[REPORT_ORIGINAL_ID]);
	explain_text(out, "original_from", report->text[REPORT_ORIGINAL_FROM]);
	explain_text(out, "original_subject", report->text[REPORT_ORIGINAL_SUBJECT]);
	g_string_append(out, "}\n");
}

void reports_explain(struct slice mail, GString *out)
{
	struct report *report = report_parse(mail, NULL);

	for (guint i = 0; i < report->recipients->len; i++)
		explain_one(report, report->recipients->pdata[i], out);
	if (report->recipients->len == 0)
		explain_one(report, NULL, out);
	report_free(&report);
}
