#include "capture/ingest_line.h"

#include "base/clock.h"
#include "event/ingest_check.h"
#include "event/json.h"

/* Clocks differ; but each future day would be a file of the store. */
#define FUTURE_MAX CLOCK_DAY
#define REFUSED_TEXT_MAX 4096

static int check_age(const struct ingest_rules *rules, int64_t time, struct error *err)
{
	const struct ingest_config *config = rules->config;
	int64_t received = MIN(rules->received, rules->now);
	int64_t kept = (clock_day_of(received) - config->keep_days) * CLOCK_DAY;

	if (config->max_age > 0 && time < received - config->max_age)
		return error_set(err, "timestamp is more than %lld minutes old",
		        (long long)(config->max_age / CLOCK_MINUTE));
	if (config->keep_days >= 0 && time < kept)
		return error_set(err, "timestamp is older than the %d days that are kept",
		        config->keep_days);
	if (time > rules->received + FUTURE_MAX)
		return error_set(err, "timestamp is in the future");
	return 0;
}

static struct slice account_of(const char *configured, const char *usual)
{
	return slice_str(configured != NULL ? configured : usual);
}

static void fill_accounts(const struct ingest_rules *rules, struct event *event)
{
	const char *const *own = rules->scope.subaccounts;

	if (!event_has(event, FIELD_CUSTOMER_ID))
		event->field[FIELD_CUSTOMER_ID] = account_of(rules->config->customer_id, "1");
	if (event_has(event, FIELD_SUBACCOUNT_ID))
		return;
	if (own != NULL && own[0] != NULL && own[1] == NULL)
		event->field[FIELD_SUBACCOUNT_ID] = slice_str(own[0]);
	else
		event->field[FIELD_SUBACCOUNT_ID] = account_of(rules->config->subaccount_id, "0");
}

static bool is_listed(const char *const *list, struct slice value)
{
	for (; value.n > 0 && *list != NULL; list++)
		if (slice_eq_case(slice_str(*list), value))
			return true;
	return false;
}

static int check_scope(
        const struct search_scope *scope, const struct event *event, struct error *err)
{
	struct slice account = event->field[FIELD_SUBACCOUNT_ID];

	if (scope->subaccounts != NULL && !is_listed(scope->subaccounts, account))
		return error_set(err, "subaccount_id %.*s may not be written with this access",
		        SLICE_ARG(account));
	if (scope->domains != NULL &&
	        !is_listed(scope->domains, event->field[FIELD_SENDING_DOMAIN]) &&
	        !is_listed(scope->domains, event->field[FIELD_RECIPIENT_DOMAIN]))
		return error_set(err, "neither the domain of friendly_from nor that of rcpt_to may "
		                      "be written with this access");
	return 0;
}

static void fill_place(const struct geo *geo, struct ingest_line *line)
{
	struct event *event = &line->event;
	g_autoptr(GString) place = g_string_new(NULL);

	if (!event_carries(event->type, FIELD_GEO_IP, API_EVENTS) ||
	        event_has(event, FIELD_GEO_IP) ||
	        !geo_locate(geo, event->field[FIELD_IP_ADDRESS], place))
		return;
	gsize n = place->len;
	char *text = g_string_free(g_steal_pointer(&place), FALSE);
	g_ptr_array_add(line->texts, text);
	event->field[FIELD_GEO_IP] = slice_make(text, n);
}

int ingest_line_take(const struct ingest_rules *rules, struct slice text, struct ingest_line *line,
        struct error *err)
{
	if (ingest_read(text, line, err) < 0 || ingest_check(&line->event, err) < 0 ||
	        check_age(rules, line->event.time, err) < 0)
		return -1;
	fill_accounts(rules, &line->event);
	if (check_scope(&rules->scope, &line->event, err) < 0)
		return -1;
	if (rules->config->geo != NULL)
		fill_place(rules->config->geo, line);
	return 0;
}

void ingest_line_refused(
        GString *out, struct slice text, uint64_t number, bool is_json, const struct error *err)
{
	g_string_append(out, "{\"error\":{");
	json_member_int(out, "line", (gint64)number);
	json_member(out, "message", slice_str(err->text));
	g_string_append_c(out, '}');
	text = slice_trim(text);
	/* What came, so that it can be mended and sent again. */
	if (is_json && text.n >= 2 && text.p[0] == '{') {
		struct slice rest = slice_trim(slice_from(text, 1));
		if (rest.p[0] != '}')
			g_string_append_c(out, ',');
		json_append(out, rest);
	} else {
		json_member(out, "text", slice_head(text, REFUSED_TEXT_MAX));
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, '\n');
}
