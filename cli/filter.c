#include "cli/filter.h"

#include <string.h>

#include "cli/client.h"

static const struct {
	const char *option;
	const char *parameter;
	const char *help;
	const char *value;
} filters[FILTERS] = {
        {"recipient", "recipients", "recipient address (also before aliasing)", "ADDRESS"},
        {"from-address", "from_addresses", "address of the From header or envelope sender",
                "ADDRESS"},
        {"type", "events", "event type (postwake events lists them)", "TYPE"},
        {"class", "bounce_classes", "bounce class number", "CLASS"},
        {"reason", "reason", "text in the reason; % stands for any text", "TEXT"},
        {"subject", "subjects", "text in the Subject; % stands for any text", "TEXT"},
        {"campaign", "campaign_ids", "campaign", "NAME"},
        {"message", "message_ids", "message_id or Message-ID header", "ID"},
        {"queue-id", "queue_ids", "queue id of the MTA", "ID"},
        {"domain", "recipient_domains", "domain of the recipient", "DOMAIN"},
        {"sending-ip", "sending_ips", "local IP address that the mail left by", "IP"},
};

void filter_entries(struct filter *filter, GOptionEntry *entries)
{
	for (int i = 0; i < FILTERS; i++)
		entries[i] = (GOptionEntry){filters[i].option, 0, 0, G_OPTION_ARG_STRING_ARRAY,
		        &filter->values[i], filters[i].help, filters[i].value};
}

/* A byte that no value holds: the API's list delimiter must not split a value. */
static const char *filter_delimiter(const struct filter *filter)
{
	static const char *const candidates[] = {",", ";", "|", "\t", "\x1f"};

	for (size_t c = 0; c < G_N_ELEMENTS(candidates); c++) {
		bool taken = false;
		for (int i = 0; i < FILTERS; i++)
			for (char **v = filter->values[i]; v != NULL && *v != NULL; v++)
				taken |= strstr(*v, candidates[c]) != NULL;
		if (!taken)
			return candidates[c];
	}
	return "\x1e";
}

int filter_check(const struct filter *filter, struct error *err)
{
	for (int i = 0; i < FILTERS; i++)
		for (char **v = filter->values[i]; v != NULL && *v != NULL; v++)
			if (**v == '\0')
				return error_set(
				        err, "--%s: the value is empty", filters[i].option);
	return 0;
}

void filter_parameters(const struct filter *filter, GString *uri)
{
	const char *delimiter = filter_delimiter(filter);

	for (int i = 0; i < FILTERS; i++) {
		if (filter->values[i] == NULL)
			continue;
		g_autofree char *joined = g_strjoinv(delimiter, filter->values[i]);
		client_parameter(uri, filters[i].parameter, joined);
	}
	if (strcmp(delimiter, ",") != 0)
		client_parameter(uri, "delimiter", delimiter);
}

void filter_clear(struct filter *filter)
{
	for (int i = 0; i < FILTERS; i++)
		g_clear_pointer(&filter->values[i], g_strfreev);
}
