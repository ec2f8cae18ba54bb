/* GET and POST /api/v1/erasures: what was erased, and somebody to erase. */
#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "event/json.h"
#include "query/request.h"
#include "store/erase.h"

static const struct kind {
	const char *name; /* member of the request, and of the receipt */
	enum tombstone_kind kind;
} kinds[] = {
        {"recipient", TOMBSTONE_RECIPIENT},
        {"domain", TOMBSTONE_DOMAIN},
        {"message", TOMBSTONE_MESSAGE},
};

static const char *kind_name(enum tombstone_kind kind)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "unknown";
}

static void put_time(GString *out, const char *name, int64_t time)
{
	char text[CLOCK_TEXT_MAX];

	json_member(out, name, slice_make(text, clock_format(time, CLOCK_ZULU, text)));
}

/* A list of texts with something between them. */
static void put_list(GString *out, const char *name, struct slice text, char between)
{
	json_key(out, name);
	g_string_append_c(out, '[');
	while (text.n > 0) {
		json_quote(out, slice_cut(&text, between));
		if (text.n > 0)
			g_string_append_c(out, ',');
	}
	g_string_append_c(out, ']');
}

static void put_receipt(GString *out, const struct erasure *erasure)
{
	char hash[24];

	g_string_append_c(out, '{');
	json_member_int(out, "id", erasure->id);
	json_member(out, "kind", slice_str(kind_name(erasure->stone.kind)));
	g_snprintf(hash, sizeof(hash), "%016" G_GINT64_MODIFIER "x", (guint64)erasure->stone.hash);
	json_member(out, "hash", slice_str(hash));
	put_time(out, "time", erasure->stone.time);
	if (erasure->ended > 0)
		put_time(out, "ended", erasure->ended);
	json_member_int(out, "events", (gint64)erasure->events);
	json_member_int(out, "changed", (gint64)erasure->changed);
	json_member_int(out, "open_mails", (gint64)erasure->open);
	json_member_int(out, "lines", (gint64)erasure->lines);
	put_list(out, "days", slice_make(erasure->days->str, erasure->days->len), ' ');
	put_list(out, "left", slice_make(erasure->rest->str, erasure->rest->len), '\n');
	g_string_append_c(out, '}');
}

void erasures_list(const struct query_request *request, struct query_answer *answer)
{
	struct error err = {0};
	g_autoptr(GArray) erasures = store_erasures(request->store, &err);

	if (erasures == NULL) {
		query_answer_error(answer, 500, err.text);
		return;
	}
	answer->status = 200;
	answer->body = g_string_new("{\"results\":[");
	for (guint i = 0; i < erasures->len; i++) {
		if (i > 0)
			g_string_append_c(answer->body, ',');
		put_receipt(answer->body, &g_array_index(erasures, struct erasure, i));
	}
	g_string_append(answer->body, "]}");
	query_answer_charge(answer);
}

/* The one member that says who; NULL where there is none, or more. */
static const struct kind *wanted(const json_t *wish, struct slice *name)
{
	const struct kind *found = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		const json_t *value = json_object_get(wish, kinds[i].name);
		if (!json_is_string(value))
			continue;
		if (found != NULL)
			return NULL;
		found = &kinds[i];
		*name = slice_make(json_string_value(value), json_string_length(value));
	}
	return json_object_size(wish) == 1 ? found : NULL;
}

static void begin(const struct erase_service *service, const struct kind *kind, struct slice name,
        struct query_answer *answer)
{
	struct error err = {0};
	int64_t id;

	if (service->begin(service->ctx, kind->kind, name, &id, &err) < 0) {
		query_answer_error(answer, err.number == EINVAL ? 400 : 503, err.text);
		return;
	}
	answer->status = 200;
	answer->body = g_string_new("{\"results\":{");
	json_member_int(answer->body, "id", id);
	g_string_append(answer->body, "}}");
}

void erasures_add(const struct query_request *request, struct query_answer *answer)
{
	const struct erase_service *service = request->config->erase;
	json_t *wish = json_loadb(request->body.p, request->body.n, 0, NULL);
	struct slice name = SLICE_NONE;
	const struct kind *kind = wanted(wish, &name);

	if (service == NULL)
		query_answer_error(answer, 503, "Nothing is erased here");
	else if (kind == NULL)
		query_answer_error(answer, 400,
		        "The body must be a JSON object with one member: recipient, domain or "
		        "message");
	else
		begin(service, kind, name, answer);
	json_decref(wish);
}
