#include "daemon/upload.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/catalogue.h"
#include "store/outbox.h"
#include "upload/uploader.h"

#define CLEAN_MS 5000 /* a store that is stuck does not hold the start up longer */
/* A batch is no larger than what the bandwidth sends in this time: servers, and what stands before
 * them, give a request some time only. */
#define REQUEST_SECONDS 20

struct upload {
	const char *name;
	struct cut_rules rules;
	struct uploader *uploader;
};

struct uploads {
	GArray *list; /* of struct upload */
};

/* ---- what the configuration says ---- */

/* The words of a list, NULL-ended; NULL for an absent one. */
static char **upload_words(const char *text)
{
	if (text == NULL)
		return NULL;
	g_auto(GStrv) parts = g_strsplit_set(text, " ,\t", -1);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	for (char **part = parts; *part != NULL; part++)
		if (**part != '\0')
			g_ptr_array_add(words, g_strdup(*part));
	g_ptr_array_add(words, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

static int upload_types(const struct config_upload *config, const bool **types_r, struct error *err)
{
	g_auto(GStrv) words = upload_words(config->events);

	if (words == NULL)
		return 0;
	bool *types = g_new0(bool, EVENT_TYPES);
	*types_r = types;
	for (char **word = words; *word != NULL; word++) {
		enum event_type type = event_type_by_name(slice_str(*word));
		if (type == EVENT_TYPES)
			return error_config(err,
			        "[upload %s] events: %s is no type of event (see postwake events)",
			        config->name, *word);
		types[type] = true;
	}
	return 0;
}

int upload_rules(const struct config_upload *config, struct cut_rules *rules, struct error *err)
{
	*rules = (struct cut_rules){
	        .kind = strcmp(config->kind, "postwake") == 0 ? UPLOAD_POSTWAKE : UPLOAD_SPARKPOST,
	        .privacy = config->privacy,
	        .domains = upload_words(config->domains),
	        .subaccounts = upload_words(config->subaccounts),
	};
	return upload_types(config, &rules->types, err);
}

void upload_rules_clear(struct cut_rules *rules)
{
	g_free((bool *)rules->types);
	g_strfreev(rules->domains);
	g_strfreev(rules->subaccounts);
	*rules = (struct cut_rules){0};
}

/* ---- the threads ---- */

static void upload_tell(void *ctx, const char *name, bool trouble, const char *text)
{
	g_autofree char *id = g_strconcat("upload ", name, NULL);

	(void)ctx;
	log_line(trouble ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, id, "%s", text);
}

static int upload_start(struct uploads *uploads, const struct config *config,
        const struct config_upload *c, struct store *store, struct store_writer *writer,
        struct error *err)
{
	struct upload upload = {.name = c->name};
	struct uploader_config settings = {
	        .name = c->name,
	        .base = c->url,
	        .key_file = c->key_file,
	        .ca_file = c->ca_file,
	        .proxy = c->proxy,
	        .outbox_max = (int64_t)c->outbox_max * 1000 * 1000,
	        .bandwidth = (int64_t)c->bandwidth * 1000,
	        .timeout = c->timeout,
	        .interval = c->interval * CLOCK_SECOND,
	        .poll = c->poll * CLOCK_SECOND,
	        .keep_days = config->keep_days,
	        .from_start = c->from_start,
	        .tell = upload_tell,
	};

	if (upload_rules(c, &upload.rules, err) == 0) {
		settings.rules = upload.rules;
		settings.rules.bytes =
		        MIN((uint64_t)settings.bandwidth * REQUEST_SECONDS, CUT_BYTES);
		upload.uploader = uploader_start(store, writer, &settings, err);
	}
	g_array_append_val(uploads->list, upload);
	if (upload.uploader != NULL)
		log_info("upload", "%s: to %s", c->name, c->url);
	return upload.uploader != NULL ? 0 : -1;
}

/* Called by threads of the query server. */
static bool upload_retry(void *ctx, const char *destination, const char *id)
{
	struct uploads *uploads = ctx;
	bool found = false;

	for (guint i = 0; i < uploads->list->len; i++) {
		struct upload *upload = &g_array_index(uploads->list, struct upload, i);
		if (destination != NULL && strcmp(destination, upload->name) != 0)
			continue;
		uploader_retry(upload->uploader, id);
		found = true;
	}
	return found;
}

/* Nothing of the outbox outlives the days of the store, also where its destination is not
 * configured any more. */
static int uploads_clean(const struct config *config, struct store *store,
        struct store_writer *writer, struct error *err)
{
	struct store_batch *batch = store_writer_begin(writer);

	store_batch_outbox_trim(batch, clock_now() - MAX(config->keep_days, 1) * CLOCK_DAY);
	uint64_t ticket = store_writer_end(writer, true);
	return store_writer_wait(writer, ticket, CLEAN_MS) == 1 ? store_outbox_sweep(store, err)
	                                                        : 0;
}

struct uploads *uploads_start(const struct config *config, struct store *store,
        struct store_writer *writer, struct query_uploads *hooks, struct error *err)
{
	struct uploads *uploads = g_new0(struct uploads, 1);
	int result = 0;

	uploads->list = g_array_new(FALSE, FALSE, sizeof(struct upload));
	*hooks = (struct query_uploads){.ctx = uploads, .retry = upload_retry};
	if (uploads_clean(config, store, writer, err) < 0)
		result = -1;
	for (guint i = 0; result == 0 && i < config->uploads->len; i++)
		result = upload_start(
		        uploads, config, config->uploads->pdata[i], store, writer, err);
	if (result < 0)
		uploads_stop(&uploads);
	return uploads;
}

void uploads_stop(struct uploads **uploads)
{
	if (*uploads == NULL)
		return;
	for (guint i = 0; i < (*uploads)->list->len; i++) {
		struct upload *upload = &g_array_index((*uploads)->list, struct upload, i);
		uploader_stop(&upload->uploader);
		upload_rules_clear(&upload->rules);
	}
	g_array_unref((*uploads)->list);
	g_clear_pointer(uploads, g_free);
}
