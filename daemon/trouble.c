#include "daemon/trouble.h"

#include "base/clock.h"
#include "base/log.h"
#include "event/json.h"

#define CALM (5 * CLOCK_SECOND)
/* Causes of one time; more than that is a text that is never the same, and fills no disk. */
#define MOST 20

void trouble_init(struct trouble *trouble)
{
	*trouble = (struct trouble){0};
	g_mutex_init(&trouble->lock);
	trouble->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void trouble_clear(struct trouble *trouble)
{
	g_mutex_clear(&trouble->lock);
	g_hash_table_unref(trouble->told);
}

static void note_calm(struct trouble *trouble, const char *who, int64_t boot)
{
	if (g_hash_table_size(trouble->told) == 0)
		return;
	if (trouble->calm == 0)
		trouble->calm = boot;
	if (boot - trouble->calm < CALM)
		return;
	log_info(who, "all is well again");
	g_hash_table_remove_all(trouble->told);
	trouble->calm = 0;
}

void trouble_note(struct trouble *trouble, const char *who, const struct error *err, int64_t boot)
{
	g_mutex_lock(&trouble->lock);
	trouble->now = *err;
	g_mutex_unlock(&trouble->lock);
	if (!err->set) {
		note_calm(trouble, who, boot);
		return;
	}
	trouble->calm = 0;
	if (g_hash_table_size(trouble->told) < MOST &&
	        g_hash_table_add(trouble->told, g_strdup(err->text)))
		log_error(who, "%s", err->text);
}

void trouble_status(struct trouble *trouble, GString *out)
{
	g_mutex_lock(&trouble->lock);
	if (trouble->now.set)
		json_member(out, "trouble", slice_str(trouble->now.text));
	g_mutex_unlock(&trouble->lock);
}
