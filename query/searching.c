#include "query/searching.h"

#include <errno.h>

#include "base/clock.h"
#include "event/json.h"
#include "event/mailbox.h"

/* Live results of v1 told the time a second time (contract, 1.2), in the form that the Events API
 * then took for timestamp. */
static void event_of_v1(GString *out, const struct event *event)
{
	struct event shown = *event;
	char time[CLOCK_TEXT_MAX];

	if (!event_has(event, FIELD_TDATE))
		shown.field[FIELD_TDATE] =
		        slice_make(time, clock_format(event->time, CLOCK_ZULU, time));
	json_event(out, &shown, API_V1);
}

void searching_event(GString *out, const struct event *event, enum api_generation api)
{
	struct event shown;

	if (api == API_V1) {
		event_of_v1(out, event);
		return;
	}
	if (!event_carries(event->type, FIELD_MAILBOX_PROVIDER, api)) {
		json_event(out, event, api);
		return;
	}
	shown = *event;
	shown.field[FIELD_MAILBOX_PROVIDER] = mailbox_provider(event);
	shown.field[FIELD_MAILBOX_PROVIDER_REGION] = mailbox_region(event);
	json_event(out, &shown, api);
}

static void answer_event(void *ctx, const struct event *event)
{
	struct searching *searching = ctx;

	if (searching->full)
		return;
	if (searching->shown == searching->limit) {
		searching->more = true;
		return;
	}
	GString *body = searching->answer->body;
	if (body->str[body->len - 1] != '[')
		g_string_append_c(body, ',');
	searching_event(body, event, searching->api);
	searching->shown++;
	searching->last_row = event->row;
	searching->full = !query_answer_charge(searching->answer);
}

static void answer_failure(struct searching *searching, const struct error *err)
{
	const struct message_query *query = &searching->query;
	const char *scan = query->scan != NULL ? query->scan : "from";
	struct slice value =
	        query->scan != NULL ? query->scan_value : slice_str(query->window.from_text);
	struct faults faults = {0};

	query_answer_clear(searching->answer);
	if (err->number == ETIME) {
		faults_add(&faults, slice_str(scan), value,
		        "%s takes too long in this window: narrow the window with from and to",
		        scan);
	} else if (err->number == EFBIG) {
		g_autofree char *most = g_strdup_printf("%u", query->per_page);
		faults_add(&faults, SLICE("per_page"), slice_str(most),
		        "per_page is too large for events of this size: ask for fewer");
	} else {
		query_answer_error(searching->answer, 500, err->text);
		return;
	}
	faults_answer(&faults, searching->answer);
}

bool searching_begin(struct searching *searching, const struct query_request *request,
        struct query_answer *answer_r, enum api_generation api)
{
	const struct query_config *config = request->config;
	const struct params_defaults defaults = {
	        .api = api,
	        .now = request->now,
	        .window = config->default_window > 0 ? config->default_window : CLOCK_DAY,
	        .escape_colons = config->escape_colons,
	};
	struct message_query *query = &searching->query;
	struct faults faults = {0};

	*searching = (struct searching){.request = request, .answer = answer_r, .api = api};
	if (params_read(request->uri, &defaults, query, &faults) < 0 ||
	        !params_since_fits(query, store_mark(request->store), &faults)) {
		faults_answer(&faults, answer_r);
		return false;
	}
	if (!query->since_given && query->filters->len > QUERY_LINK_MAX - LINK_FRAME) {
		/* Not with one of our own links, which encoding leaves as they are. */
		query_answer_error(answer_r, 414, "URI is too long to be linked to");
		return false;
	}
	answer_r->body = g_string_new("[");
	searching->limit = query->per_page;
	query->search.limit = query->per_page;
	query_limit(request, &query->search);
	return true;
}

void searching_clear(struct searching *searching)
{
	message_query_clear(&searching->query);
}

bool searching_page(struct searching *searching, uint64_t *total)
{
	struct store *store = searching->request->store;
	struct search *search = &searching->query.search;
	bool given = searching->query.as_of_given || searching->query.cursor_given;
	struct error err = {0};

	/* A mark of the future would be no snapshot: more can arrive below it. */
	uint64_t mark = store_mark(store);
	search->as_of = given ? MIN(search->as_of, mark) : mark;
	*total = 0;
	if (search->as_of == 0 || search->from >= search->to)
		return true;
	if (store_search(store, search, answer_event, searching, total, &err) < 0) {
		answer_failure(searching, &err);
		return false;
	}
	return !searching->full;
}

bool searching_arrivals(struct searching *searching)
{
	struct search *search = &searching->query.search;
	uint64_t since = searching->query.since, next = since;
	struct error err = {0};

	if (store_arrivals(searching->request->store, search, since, answer_event, searching, &next,
	            &err) < 0) {
		answer_failure(searching, &err);
		return false;
	}
	search->as_of = next;
	return !searching->full;
}
