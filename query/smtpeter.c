/* SMTPeter's "retrieve events" (contract, 7): GET /v1/events/{messageid|email|template|tags}/VALUE.
 */
#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "event/json.h"
#include "event/tags.h"
#include "query/request.h"
#include "query/smtpeter_window.h"

/* There are no pages: an answer of more events is refused, never cut. */
#define SMTPETER_MOST 100000

/* Where the value of a field of an answer comes from. */
enum source {
	SOURCE_FIELD, /* a field of the event; empty where it has none */
	SOURCE_ZERO,  /* the same, 0 where it has none */
	SOURCE_TIME,
	SOURCE_TAGS,
	SOURCE_PROPERTIES,
	SOURCE_GEO,      /* `member` of geo_ip */
	SOURCE_TEMPLATE, /* 0 for mails that were made from none */
	SOURCE_TYPE,     /* what kind of failure */
	SOURCE_MIME,     /* the mail that reported it, where such are kept */
	SOURCE_HEADERS,  /* what is known of the request, likewise */
	SOURCE_EMPTY,    /* not known to a mail server */
};

struct part {
	const char *name;
	enum source source;
	enum field field;
	const char *member;
};

#define MESSAGE_PARTS \
	{"id", SOURCE_FIELD, FIELD_MESSAGE_ID}, {"time", SOURCE_TIME}, \
	        {"envelope", SOURCE_FIELD, FIELD_MSG_FROM}, \
	{ \
		"recipient", SOURCE_FIELD, FIELD_RCPT_TO \
	}
#define LAST_PARTS \
	{"tags", SOURCE_TAGS}, {"templateid", SOURCE_TEMPLATE}, \
	{ \
		NULL \
	}
#define PLACE_PARTS \
	{"tags", SOURCE_TAGS}, {"recipient", SOURCE_FIELD, FIELD_RCPT_TO}, \
	        {"city", SOURCE_GEO, .member = "city"}, \
	        {"countryname", SOURCE_GEO, .member = "country_name"}, \
	        {"countrycode", SOURCE_GEO, .member = "country"}, \
	        {"regioncode", SOURCE_GEO, .member = "region"}, {"templateid", SOURCE_TEMPLATE}, \
	{ \
		NULL \
	}

static const struct part attempt_parts[] = {
        MESSAGE_PARTS, {"properties", SOURCE_PROPERTIES}, LAST_PARTS};
static const struct part report_parts[] = {MESSAGE_PARTS, {"mime", SOURCE_MIME}, LAST_PARTS};
static const struct part delivery_parts[] = {MESSAGE_PARTS,
        {"from", SOURCE_FIELD, FIELD_SENDING_IP}, {"to", SOURCE_FIELD, FIELD_IP_ADDRESS},
        {"attempt", SOURCE_ZERO, FIELD_NUM_RETRIES}, LAST_PARTS};
static const struct part failure_parts[] = {MESSAGE_PARTS,
        {"attempt", SOURCE_ZERO, FIELD_NUM_RETRIES}, {"from", SOURCE_FIELD, FIELD_SENDING_IP},
        {"to", SOURCE_FIELD, FIELD_IP_ADDRESS}, {"type", SOURCE_TYPE},
        {"code", SOURCE_FIELD, FIELD_ERROR_CODE}, {"status", SOURCE_FIELD, FIELD_DSN},
        {"description", SOURCE_FIELD, FIELD_RAW_REASON}, {"state", SOURCE_FIELD, FIELD_SMTP_STAGE},
        LAST_PARTS};
static const struct part click_parts[] = {{"id", SOURCE_FIELD, FIELD_MESSAGE_ID},
        {"time", SOURCE_TIME}, {"headers", SOURCE_HEADERS}, {"ip", SOURCE_FIELD, FIELD_IP_ADDRESS},
        {"url", SOURCE_FIELD, FIELD_TARGET_LINK_URL},
        {"destination", SOURCE_FIELD, FIELD_TARGET_LINK_URL}, PLACE_PARTS};
static const struct part open_parts[] = {{"id", SOURCE_FIELD, FIELD_MESSAGE_ID},
        {"time", SOURCE_TIME}, {"headers", SOURCE_HEADERS}, {"ip", SOURCE_FIELD, FIELD_IP_ADDRESS},
        {"protocol", SOURCE_EMPTY}, PLACE_PARTS};

/* What our events are called there. Types without a row are not told. */
static const struct record {
	enum event_type type;
	const char *class; /* only with this bounce class; NULL: any that has no row of its own */
	const char *name;
	const struct part *parts;
} records[] = {
        {EVENT_INJECTION, NULL, "attempt", attempt_parts},
        {EVENT_DELIVERY, NULL, "delivery", delivery_parts},
        {EVENT_BOUNCE, NULL, "failure", failure_parts},
        {EVENT_DELAY, NULL, "failure", failure_parts},
        {EVENT_OUT_OF_BAND, "60", "response", report_parts},
        {EVENT_OUT_OF_BAND, NULL, "bounce", report_parts},
        {EVENT_OPEN, NULL, "open", open_parts},
        {EVENT_CLICK, NULL, "click", click_parts},
};
static const char *const record_types[] = {
        "injection", "delivery", "bounce", "delay", "out_of_band", "open", "click", NULL};

static const struct record *record_of(const struct event *event)
{
	for (size_t i = 0; i < G_N_ELEMENTS(records); i++) {
		const struct record *record = &records[i];
		if (record->type == event->type &&
		        (record->class == NULL || slice_eq(event->field[FIELD_BOUNCE_CLASS],
		                                          slice_str(record->class))))
			return record;
	}
	return NULL;
}

/* --- values --- */

static void put_tags(GString *out, struct slice array)
{
	g_autoptr(GString) joined = g_string_new(NULL), scratch = g_string_new(NULL);
	struct slice tag;

	while ((tag = tags_next(&array, scratch)).p != NULL) {
		if (joined->len > 0)
			g_string_append_c(joined, ';');
		g_string_append_len(joined, tag.p, (gssize)tag.n);
	}
	json_quote(out, slice_make(joined->str, joined->len));
}

static bool is_set(const struct event *event, enum field field)
{
	struct slice value = event->field[field];

	return slice_eq(value, SLICE("true")) || slice_eq(value, SLICE("1"));
}

static void put_properties(GString *out, const struct event *event)
{
	bool opens = is_set(event, FIELD_OPEN_TRACKING) || is_set(event, FIELD_INITIAL_PIXEL);
	bool clicks = is_set(event, FIELD_CLICK_TRACKING);

	g_string_append_printf(out, "\"%s%s%s\"", opens ? "trackopens" : "",
	        opens && clicks ? ";" : "", clicks ? "trackclicks" : "");
}

/* A member of a JSON object as text; absent where it is none. */
static void put_geo(GString *out, struct slice object, const char *member)
{
	json_t *geo = object.n > 0 ? json_loadb(object.p, object.n, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(geo, member));

	json_quote(out, text != NULL ? slice_str(text) : SLICE(""));
	json_decref(geo);
}

static void put_time(GString *out, int64_t time)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(time, CLOCK_ZULU, text);
	text[10] = ' ';
	json_quote(out, slice_make(text, 19));
}

/* template_id of mails without template is made of the transmission's (design, 8). */
static void put_template(GString *out, struct slice template)
{
	bool none = template.n == 0 || slice_starts(template, SLICE("smtp_"));

	json_quote(out, none ? SLICE("0") : template);
}

static void add_header(GString *out, const char *name, struct slice value)
{
	if (value.n == 0)
		return;
	g_string_append(out, name);
	g_string_append_len(out, value.p, (gssize)value.n);
	g_string_append(out, "\r\n");
}

/* Those headers of a request that Events Ingest brings. */
static void put_headers(GString *out, const struct event *event)
{
	g_autoptr(GString) headers = g_string_new(NULL);

	add_header(headers, "User-Agent: ", event->field[FIELD_USER_AGENT]);
	add_header(headers, "Accept-Language: ", event->field[FIELD_ACCEPT_LANGUAGE]);
	json_quote(out, slice_make(headers->str, headers->len));
}

static void put_value(GString *out, const struct event *event, const struct part *part, bool keep)
{
	struct slice value = event->field[part->field];

	switch (part->source) {
	case SOURCE_FIELD:
		json_quote(out, value.p != NULL ? value : SLICE(""));
		break;
	case SOURCE_ZERO:
		json_quote(out, value.p != NULL ? value : SLICE("0"));
		break;
	case SOURCE_TIME:
		put_time(out, event->time);
		break;
	case SOURCE_TAGS:
		put_tags(out, event->field[FIELD_RCPT_TAGS]);
		break;
	case SOURCE_PROPERTIES:
		put_properties(out, event);
		break;
	case SOURCE_GEO:
		put_geo(out, event->field[FIELD_GEO_IP], part->member);
		break;
	case SOURCE_TEMPLATE:
		put_template(out, event->field[FIELD_TEMPLATE_ID]);
		break;
	case SOURCE_TYPE:
		json_quote(out, event->type == EVENT_DELAY ? SLICE("delay") : SLICE("bounce"));
		break;
	case SOURCE_MIME:
		value = keep ? event->field[FIELD_REPORT_MIME] : SLICE_NONE;
		json_quote(out, value.p != NULL ? value : SLICE(""));
		break;
	case SOURCE_HEADERS:
		put_headers(out, keep ? event : &(struct event){0});
		break;
	case SOURCE_EMPTY:
		g_string_append(out, "\"\"");
		break;
	}
}

/* --- the answer --- */

struct answering {
	struct query_answer *answer;
	GArray *ends; /* gsize: where each record ends; they come newest first */
	bool full;
	bool keep; /* reports and headers are shown */
};

static void add_record(void *ctx, const struct event *event)
{
	struct answering *answering = ctx;
	const struct record *record = record_of(event);
	GString *body = answering->answer->body;

	if (record == NULL || answering->full)
		return;
	g_string_append_c(body, '{');
	json_member(body, "event", slice_str(record->name));
	g_string_append(body, ",\"data\":{");
	for (const struct part *part = record->parts; part->name != NULL; part++) {
		json_key(body, part->name);
		put_value(body, event, part, answering->keep);
	}
	g_string_append(body, "}}");
	gsize end = body->len;
	g_array_append_val(answering->ends, end);
	answering->full = !query_answer_charge(answering->answer);
}

/* The log files that these records stand in there go forward in time. */
static void put_forward(struct answering *answering)
{
	GString *newest = answering->answer->body;
	GString *out = g_string_sized_new(newest->len + answering->ends->len + 2);

	g_string_append_c(out, '[');
	for (guint i = answering->ends->len; i-- > 0;) {
		gsize start = i > 0 ? g_array_index(answering->ends, gsize, i - 1) : 0;
		gsize end = g_array_index(answering->ends, gsize, i);
		g_string_append_len(out, newest->str + start, (gssize)(end - start));
		if (i > 0)
			g_string_append_c(out, ',');
	}
	g_string_append_c(out, ']');
	g_string_free(newest, TRUE);
	answering->answer->body = out;
	answering->answer->status = 200;
}

static void answer_failure(
        struct query_answer *answer_r, const char *param, struct slice value, const char *message)
{
	struct faults faults = {0};

	query_answer_clear(answer_r);
	faults_add(&faults, slice_str(param), value, "%s", message);
	faults_answer(&faults, answer_r);
}

/* What a call looks by. */
struct call {
	enum search_key key; /* SEARCH_KEYS: tags */
	bool tags;           /* takes tags= too */
};

static void answer_events(
        const struct query_request *request, struct search *search, struct query_answer *answer_r)
{
	struct answering answering = {.answer = answer_r,
	        .ends = g_array_new(FALSE, FALSE, sizeof(gsize)),
	        .keep = request->config->keep_reports};
	struct error err = {0};
	uint64_t total = 0;

	answer_r->body = g_string_new(NULL);
	search->values[SEARCH_EVENT] = record_types;
	search->limit = SMTPETER_MOST;
	query_limit(request, search);
	int result =
	        search->from < search->to && store_mark(request->store) > 0
	                ? store_search(request->store, search, add_record, &answering, &total, &err)
	                : 0;
	if (result < 0 && (err.number == ETIME || err.number == EFBIG)) {
		answer_failure(answer_r, "start", SLICE_NONE, err.text);
	} else if (result < 0) {
		query_answer_clear(answer_r);
		query_answer_error(answer_r, 500, err.text);
	} else if (total > SMTPETER_MOST) {
		answer_failure(answer_r, "start", SLICE_NONE,
		        "more than 100000 events match: narrow the time with start and end");
	} else if (!answering.full) {
		put_forward(&answering);
		query_answer_charge(answer_r);
	}
	g_array_unref(answering.ends);
}

/* The earliest: events that other programs told (an open of days later) may not know when the mail
 * was sent. */
static void note_time(void *ctx, const struct event *event)
{
	int64_t *sent = ctx, time = event->injected != 0 ? event->injected : event->time;

	if (*sent == 0 || time < *sent)
		*sent = time;
}

/* When a message was sent; 0 = it is not known here. */
static int64_t time_sent(const struct query_request *request, const struct search *of)
{
	struct search search = {.to = INT64_MAX, .limit = SMTPETER_MOST, .no_total = true};
	int64_t sent = 0;

	query_limit(request, &search);
	search.values[SEARCH_MESSAGE] = of->values[SEARCH_MESSAGE];
	if (store_search(request->store, &search, note_time, &sent, NULL, NULL) < 0)
		return 0;
	return sent;
}

static void answer_call(
        const struct query_request *request, struct query_answer *answer_r, const struct call *call)
{
	const char *const value[] = {request->tail, NULL};
	struct smtpeter_query query;
	struct faults faults = {0};
	int64_t sent = 0;

	if (smtpeter_read(request->uri, call->key == SEARCH_KEYS ? request->tail : NULL, call->tags,
	            &query, &faults) < 0) {
		faults_answer(&faults, answer_r);
	} else {
		if (call->key != SEARCH_KEYS)
			query.search.values[call->key] = value;
		if (call->key == SEARCH_MESSAGE)
			sent = time_sent(request, &query.search);
		smtpeter_window(&query, sent != 0 ? sent : request->now, sent != 0);
		answer_events(request, &query.search, answer_r);
	}
	smtpeter_query_clear(&query);
}

void smtpeter_messageid(const struct query_request *request, struct query_answer *answer_r)
{
	answer_call(request, answer_r, &(struct call){SEARCH_MESSAGE, false});
}

void smtpeter_email(const struct query_request *request, struct query_answer *answer_r)
{
	answer_call(request, answer_r, &(struct call){SEARCH_RECIPIENT, true});
}

void smtpeter_template(const struct query_request *request, struct query_answer *answer_r)
{
	answer_call(request, answer_r, &(struct call){SEARCH_TEMPLATE, true});
}

void smtpeter_tags(const struct query_request *request, struct query_answer *answer_r)
{
	answer_call(request, answer_r, &(struct call){SEARCH_KEYS, true});
}
