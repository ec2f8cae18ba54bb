#include "daemon/ingest.h"

#include "base/clock.h"
#include "base/log.h"
#include "event/json.h"

static void ingest_tell(void *ctx, bool trouble, const char *batch, const char *text)
{
	(void)ctx;
	if (trouble)
		log_warning(batch, "ingest: %s", text);
	else
		log_info(batch, "ingest: %s", text);
}

int ingest_start(struct ingest_context *context, const struct config *config,
        struct capture *capture, struct store *store, struct error *err)
{
	if (config->geoip != NULL) {
		context->geo = geo_open(config->geoip, err);
		if (context->geo == NULL)
			return -1;
	}
	const struct ingest_config settings = {
	        .max_age = config->ingest_max_age * CLOCK_MINUTE,
	        .keep_days = config->keep_days,
	        .most = (uint64_t)config->ingest_max_size * 1024 * 1024,
	        .customer_id = config->customer_id,
	        .subaccount_id = config->subaccount_id,
	        .geo = context->geo,
	        .tell = ingest_tell,
	};

	return ingest_open(&context->ingest, capture, store, &settings, err);
}

void ingest_troubles_status(const struct ingest_context *context, GString *out)
{
	g_autoptr(GPtrArray) texts = ingest_troubles(context->ingest);

	if (texts->len == 0)
		return;
	json_key(out, "ingest_troubles");
	for (guint i = 0; i < texts->len; i++) {
		g_string_append_c(out, i == 0 ? '[' : ',');
		json_quote(out, slice_str(texts->pdata[i]));
	}
	g_string_append_c(out, ']');
}

void ingest_stop(struct ingest_context *context)
{
	ingest_close(&context->ingest);
	geo_close(&context->geo);
}
