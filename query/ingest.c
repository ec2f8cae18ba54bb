/* Events Ingest (contract, 4): batches come in, go out again as files, and tell what became of
 * them. */
#include "query/ingest.h"

#include <string.h>

#include "base/clock.h"
#include "event/ingest_docs.h"
#include "event/json.h"
#include "query/ingest_params.h"
#include "query/request.h"
#include "store/spool.h"

#define RETRY_AFTER_S 30

/* ---- POST /api/v1/ingest/events ---- */

/* The media type or coding of a header, without its parameters. */
static bool header_is(const char *header, const char *wanted)
{
	struct slice text = slice_str(header);

	return header != NULL &&
	       slice_eq_case(slice_trim(slice_cut(&text, ';')), slice_str(wanted));
}

static void refuse_later(struct query_answer *answer_r, const char *message)
{
	query_answer_error(answer_r, 503, message);
	answer_r->retry_after = RETRY_AFTER_S;
}

/* What is wrong with the request before anything is unpacked: NULL, or the message of a status. */
static const char *complaint(const struct query_request *request, unsigned *status_r)
{
	*status_r = 415;
	if (!header_is(request->content_type, "application/x-ndjson"))
		return "Content-Type must be application/x-ndjson";
	if (!header_is(request->content_encoding, "gzip") &&
	        !header_is(request->content_encoding, "x-gzip"))
		return "Content-Encoding must be gzip";
	*status_r = 400;
	return request->body.n == 0 ? "The body of the request is missing" : NULL;
}

void ingest_post(const struct query_request *request, struct query_answer *answer_r)
{
	const struct ingest_service *service = request->config->ingest;
	char id[INGEST_ID_SIZE];
	struct error err = {0};
	unsigned status;

	const char *message = complaint(request, &status);
	if (message != NULL) {
		query_answer_error(answer_r, status, message);
	} else if (service == NULL) {
		query_answer_error(answer_r, 503, "Events Ingest is not served here");
	} else if (service->take(service->ctx, request->access, request->body, id, &err) < 0) {
		refuse_later(answer_r, err.text);
	} else {
		answer_r->status = 200;
		answer_r->body = g_string_new("{\"results\":{");
		json_member(answer_r->body, "id", slice_str(id));
		g_string_append(answer_r->body, "}}");
	}
}

/* ---- files ---- */

/* Who may read sees the batches of whoever may write no more than he may read; who may only write,
 * his own. */
static bool may_see(const struct access *access, struct slice scope)
{
	return ((access->grants & GRANT_READ) != 0 && ingest_scope_covers(&access->scope, scope)) ||
	       ingest_scope_is_of(scope, access->who);
}

static void answer_missing(struct query_answer *answer_r)
{
	query_answer_error(answer_r, 404, "Resource could not be found");
}

static void answer_file(struct query_answer *answer_r, const char *id, GString *bytes)
{
	answer_r->status = 200;
	answer_r->body = bytes;
	answer_r->type = "application/gzip";
	answer_r->disposition = g_strdup_printf("attachment; filename=\"%s.gz\"", id);
	query_answer_charge(answer_r);
}

/* Whether there is such a batch that the asker may see; *failed_r: its status record is an error,
 * which names the file of refused lines whether there are any or not. */
static bool find_batch(
        const struct query_request *request, const char *id, bool *failed_r, struct error *err)
{
	g_autoptr(GString) bytes = g_string_new(NULL);
	struct ingest_record record;

	if (!spool_is_id(slice_str(id)) ||
	        store_ingest(request->store, slice_str(id), &record, bytes, err) != 1 ||
	        !may_see(request->access, record.scope))
		return false;
	*failed_r = record.error.p != NULL;
	return true;
}

/* gzip of nothing (RFC 1952). */
#define NO_LINES "\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0"

void ingest_batch(const struct query_request *request, struct query_answer *answer_r)
{
	struct spool_batch batch = {0};
	struct error err = {0};
	int found = 0;

	if (spool_is_id(slice_str(request->tail)))
		found = spool_read(request->store, request->tail, &batch, &err);
	if (found < 0)
		query_answer_error(answer_r, 500, err.text);
	else if (found == 0 || !may_see(request->access, slice_str(batch.scope)))
		answer_missing(answer_r);
	else
		answer_file(answer_r, request->tail, g_steal_pointer(&batch.bytes));
	spool_batch_clear(&batch);
}

void ingest_failures(const struct query_request *request, struct query_answer *answer_r)
{
	GString *bytes = g_string_new(NULL);
	struct error err = {0};
	bool failed = false;
	int found = 0;

	if (find_batch(request, request->tail, &failed, &err))
		found = spool_read_failures(request->store, request->tail, bytes, &err);
	if (found == 0 && failed) {
		g_string_append_len(bytes, NO_LINES, sizeof(NO_LINES) - 1);
		found = 1;
	}
	if (found == 1) {
		answer_file(answer_r, request->tail, bytes);
		return;
	}
	g_string_free(bytes, TRUE);
	if (err.set)
		query_answer_error(answer_r, 500, err.text);
	else
		answer_missing(answer_r);
}

/* ---- documentation ---- */

void ingest_docs(const struct query_request *request, struct query_answer *answer_r)
{
	(void)request;
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	ingest_documentation(answer_r->body);
	g_string_append_c(answer_r->body, '}');
}

void ingest_examples(const struct query_request *request, struct query_answer *answer_r)
{
	bool types[EVENT_TYPES] = {false}, any = false;
	struct faults faults = {0};

	if (ingest_read_types(request->uri, types, &any, &faults) < 0) {
		faults_answer(&faults, answer_r);
		return;
	}
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":");
	ingest_samples(answer_r->body, any ? types : NULL);
	g_string_append_c(answer_r->body, '}');
}

/* ---- GET /api/v1/events/ingest ---- */

#define STATUS_PATH "/api/v1/events/ingest"
#define FAILURES_PATH "/api/v1/ingest/events/failures/"

struct listing {
	const struct query_request *request;
	struct ingest_query query;
	GString *out;
	uint64_t total, shown;
	int64_t newest; /* number of the first record that there is */
	int64_t last;   /* number of the last one shown */
	bool more;      /* there are matches behind it */
};

/* The subaccount that a batch belongs to: the only one that its sender may write; -1 = none. */
static int64_t subaccount_of(struct slice scope)
{
	struct search_scope sender;
	int64_t number = -1;

	if (ingest_scope_read(scope, &sender) < 0)
		return -1;
	if (sender.subaccounts != NULL && sender.subaccounts[0] != NULL &&
	        sender.subaccounts[1] == NULL)
		slice_int(slice_str(sender.subaccounts[0]), &number);
	ingest_scope_clear(&sender);
	return number;
}

static void add_time(GString *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_MAX];

	json_member(out, name, slice_make(text, clock_format(ms, CLOCK_ZULU, text)));
}

/* A host and maybe a port, such as can stand in a URL. Clients on the UNIX socket may send its path
 * instead. */
static bool is_host(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!g_ascii_isalnum(text.p[i]) && strchr(".-_:[]", text.p[i]) == NULL)
			return false;
	return text.n > 0;
}

/* Absolute, as of the service: a URL that clients get without thinking. */
static void add_href(GString *out, const struct query_request *request, struct slice id)
{
	g_autoptr(GString) href = g_string_new(NULL);

	if (is_host(slice_str(request->host)))
		g_string_append_printf(
		        href, "%s://%s", request->tls ? "https" : "http", request->host);
	g_string_append_printf(href, FAILURES_PATH "%.*s", SLICE_ARG(id));
	json_member(out, "href", slice_make(href->str, href->len));
}

static void add_failure(
        GString *out, const struct query_request *request, const struct ingest_record *record)
{
	json_member(out, "error_type", record->error);
	json_member_int(out, "number_failed", (gint64)record->failed);
	json_key(out, "retryable");
	g_string_append(out, slice_eq(record->error, SLICE("system")) ? "true" : "false");
	add_href(out, request, record->id);
}

static void add_record(struct listing *listing, const struct ingest_record *record, int64_t account)
{
	const struct ingest_service *service = listing->request->config->ingest;
	struct slice customer = slice_str(service != NULL ? service->customer_id : NULL);
	GString *out = listing->out;
	int64_t number = 1;

	if (customer.p != NULL)
		slice_int(customer, &number);
	g_string_append(out, listing->shown > 0 ? ",{" : "{");
	json_member_int(out, "number_succeeded", (gint64)record->succeeded);
	json_member(out, "event_id", record->event_id);
	json_member(out, "batch_id", record->id);
	add_time(out, "expiration_timestamp", record->expires);
	json_member(out, "type", record->error.p != NULL ? SLICE("error") : SLICE("success"));
	json_member_int(out, "customer_id", number);
	json_member_int(out, "number_duplicates", (gint64)record->duplicates);
	add_time(out, "timestamp", record->time);
	if (account >= 0)
		json_member_int(out, "subaccount_id", account);
	if (record->error.p != NULL)
		add_failure(out, listing->request, record);
	g_string_append_c(out, '}');
}

static bool list_one(void *ctx, const struct ingest_record *record)
{
	struct listing *listing = ctx;
	const struct ingest_query *query = &listing->query;

	listing->newest = MAX(listing->newest, record->number);
	if ((query->as_of > 0 && record->number > query->as_of) ||
	        !ingest_query_fits(query, record) ||
	        !may_see(listing->request->access, record->scope))
		return true;
	int64_t account = subaccount_of(record->scope);
	if (!ingest_query_has_subaccount(query, MAX(account, 0)))
		return true;
	listing->total++;
	if (query->before > 0 && record->number >= query->before)
		return true;
	listing->more = listing->shown == query->per_page;
	if (listing->more)
		return true;
	add_record(listing, record, account);
	listing->shown++;
	listing->last = record->number;
	return true;
}

static void add_link(struct listing *listing)
{
	const struct ingest_query *query = &listing->query;
	g_autoptr(GString) href = g_string_new(STATUS_PATH "?");
	int64_t as_of = query->as_of > 0 ? query->as_of : listing->newest;

	if (query->ahead->len > 0) {
		g_string_append(href, query->ahead->str + 1);
		g_string_append_c(href, '&');
	}
	g_string_append_printf(href, "cursor=%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT "%s", as_of,
	        listing->last, query->after->str);
	json_member(listing->out, "next", slice_make(href->str, href->len));
}

static void answer_listing(struct listing *listing, struct query_answer *answer_r)
{
	g_string_append_c(listing->out, ']');
	json_member_int(listing->out, "total_count", (gint64)listing->total);
	json_key(listing->out, "links");
	g_string_append_c(listing->out, '{');
	if (listing->more)
		add_link(listing);
	g_string_append(listing->out, "}}");
	answer_r->status = 200;
	answer_r->body = g_steal_pointer(&listing->out);
	query_answer_charge(answer_r);
}

void ingest_status(const struct query_request *request, struct query_answer *answer_r)
{
	struct listing listing = {.request = request, .out = g_string_new("{\"results\":[")};
	struct ingest_query *query = &listing.query;
	struct faults faults = {0};
	struct error err = {0};

	if (ingest_query_read(
	            request->uri, request->now, request->config->escape_colons, query, &faults) < 0)
		faults_answer(&faults, answer_r);
	else if (store_each_ingest(
	                 request->store, query->from, query->to, list_one, &listing, &err) < 0)
		query_answer_error(answer_r, 500, err.text);
	else
		answer_listing(&listing, answer_r);
	if (listing.out != NULL)
		g_string_free(listing.out, TRUE);
	ingest_query_clear(query);
}
