#include "query/request.h"

#include "base/clock.h"
#include "event/json.h"
#include "event/observation.h"

#define STATUS_GAPS 100
#define STATUS_UNPARSED 20

/* A comma before an element of an array, unless it is the first. */
static void status_next(GString *out)
{
	if (out->str[out->len - 1] != '[')
		g_string_append_c(out, ',');
}

/* Days that cannot be read now are listed, and *err tells why. */
static int status_days(struct store *store, GString *out, struct error *err)
{
	g_autoptr(GArray) days = store_days(store, err, err);
	gint64 events = 0, bytes = 0;

	if (days == NULL)
		return -1;
	json_key(out, "days");
	g_string_append_c(out, '[');
	for (guint i = 0; i < days->len; i++) {
		const struct store_day *day = &g_array_index(days, struct store_day, i);
		char text[CLOCK_TEXT_MAX];

		events += (gint64)day->events;
		bytes += (gint64)day->bytes;
		status_next(out);
		g_string_append_c(out, '{');
		json_member(out, "day",
		        slice_make(text, clock_format(day->day * CLOCK_DAY, CLOCK_DATE, text)));
		json_member_int(out, "events", (gint64)day->events);
		json_member_int(out, "bytes", (gint64)day->bytes);
		if (day->damaged || day->unread) {
			json_key(out, day->damaged ? "damaged" : "unread");
			g_string_append(out, "true");
		}
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
	json_member_int(out, "events", events);
	json_member_int(out, "bytes", bytes);
	return 0;
}

/* Damaged files that were set aside and are not in the store again. */
static int status_asides(struct store *store, GString *out, struct error *err)
{
	g_autoptr(GArray) asides = store_asides(store, err);

	if (asides == NULL)
		return -1;
	json_key(out, "set_aside");
	g_string_append_c(out, '[');
	for (guint i = 0; i < asides->len; i++) {
		const struct store_aside *aside = &g_array_index(asides, struct store_aside, i);
		if (aside->saved)
			continue;
		status_next(out);
		g_string_append_c(out, '{');
		json_member(out, "file", slice_str(aside->name));
		json_member_int(out, "bytes", (gint64)aside->bytes);
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
	return 0;
}

static void status_source(GString *out, const struct store_source *source)
{
	gint64 sum = 0;

	g_string_append_c(out, '{');
	json_member(out, "source", slice_str(source->name));
	json_member_int(out, "lines", (gint64)source->lines);
	for (int i = 0; i < LEDGER_CLASSES; i++) {
		json_member_int(out, ledger_names[i], (gint64)source->count[i]);
		sum += (gint64)source->count[i];
	}
	json_member_int(out, "sum", sum);
	json_member_int(out, "new_events", (gint64)source->events);
	g_string_append_c(out, '}');
}

static int status_ledger(struct store *store, GString *out, struct error *err)
{
	g_autoptr(GArray) sources = store_ledger(store, err);

	if (sources == NULL)
		return -1;
	json_key(out, "ledger");
	g_string_append_c(out, '[');
	for (guint i = 0; i < sources->len; i++) {
		status_next(out);
		status_source(out, &g_array_index(sources, struct store_source, i));
	}
	g_string_append_c(out, ']');
	return 0;
}

static int status_counters(struct store *store, GString *out, struct error *err)
{
	g_autoptr(GHashTable) counters = store_counters(store, err);

	if (counters == NULL)
		return -1;
	g_autoptr(GList) names =
	        g_list_sort(g_hash_table_get_keys(counters), (GCompareFunc)(void (*)(void))strcmp);
	json_key(out, "counters");
	g_string_append_c(out, '{');
	for (const GList *name = names; name != NULL; name = name->next)
		json_member_int(out, name->data,
		        *(const gint64 *)g_hash_table_lookup(counters, name->data));
	g_string_append_c(out, '}');
	return 0;
}

static void status_time(GString *out, const char *name, int64_t time)
{
	char text[CLOCK_TEXT_MAX];

	if (time != 0)
		json_member(out, name, slice_make(text, clock_format(time, CLOCK_ZULU, text)));
}

static void status_gap(void *ctx, const struct store_gap *gap)
{
	GString *out = ctx;

	status_next(out);
	g_string_append_c(out, '{');
	json_member(out, "source", gap->source);
	status_time(out, "from", gap->from);
	status_time(out, "to", gap->to);
	if (gap->bytes >= 0)
		json_member_int(out, "bytes", gap->bytes);
	json_member(out, "text", gap->text);
	g_string_append_c(out, '}');
}

static int status_gaps(struct store *store, GString *out, struct error *err)
{
	json_key(out, "gaps");
	g_string_append_c(out, '[');
	if (store_each_gap(store, STATUS_GAPS, status_gap, out, err) < 0)
		return -1;
	g_string_append_c(out, ']');
	return 0;
}

static void status_line(void *ctx, const struct store_unparsed *line)
{
	GString *out = ctx;

	status_next(out);
	g_string_append_c(out, '{');
	json_member(out, "source", line->source);
	if (line->offset >= 0)
		json_member_int(out, "offset", line->offset);
	status_time(out, "from", line->time);
	json_member(out, "text", line->text);
	g_string_append_c(out, '}');
}

static int status_unparsed(struct store *store, GString *out, struct error *err)
{
	json_key(out, "unparsed_lines");
	g_string_append_c(out, '[');
	if (store_each_unparsed(store, STATUS_UNPARSED, status_line, out, err) < 0)
		return -1;
	g_string_append_c(out, ']');
	return 0;
}

/* What cannot be read is left out and told: the status is asked for when something is wrong. */
void status_report(const struct query_request *request, struct query_answer *answer_r)
{
	int (*const parts[])(struct store * store, GString * out, struct error * err) = {
	        status_days, status_asides, status_ledger, status_counters, status_gaps,
	        status_unparsed};
	GString *out = g_string_new("{\"results\":{");
	struct error trouble = {0};

	answer_r->body = out;
	answer_r->status = 200;
	json_member_int(out, "mark", (gint64)store_mark(request->store));
	status_time(out, "pseudonymised_since", store_pseudonymised(request->store));
	if (!access_sees_all(request->access)) { /* counts and lines are of everybody's mail */
		g_string_append(out, "}}");
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		gsize before = out->len;
		if (parts[i](request->store, out, &trouble) < 0)
			g_string_truncate(out, before);
	}
	if (trouble.set)
		json_member(out, "read_trouble", slice_str(trouble.text));
	if (request->config->status != NULL)
		request->config->status(request->config->ctx, out);
	g_string_append(out, "}}");
}
