#include <string.h>

#include "store/tombstone.h"

struct walk {
	const struct tombstones *stones;
	int64_t time;
	bool close;
	GString *text;
	bool any;
};

/* Whether a text named somebody; what is left of it is in walk->text. */
static bool is_changed(struct walk *walk, const char *text, size_t n)
{
	g_string_truncate(walk->text, 0);
	if (!tombstones_clean(
	            walk->stones, walk->time, walk->close, slice_make(text, n), walk->text))
		return false;
	walk->any = true;
	return true;
}

static void clean_value(struct walk *walk, json_t *value);

static void clean_object(struct walk *walk, json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		clean_value(walk, value);
		if (!is_changed(walk, key, strlen(key)))
			continue;
		json_object_set(object, walk->text->str, value);
		json_object_del(object, key);
	}
}

static void clean_value(struct walk *walk, json_t *value)
{
	json_t *element;
	size_t i;

	if (json_is_object(value))
		clean_object(walk, value);
	json_array_foreach(value, i, element) clean_value(walk, element);
	if (json_is_string(value) &&
	        is_changed(walk, json_string_value(value), json_string_length(value)))
		json_string_setn(value, walk->text->str, walk->text->len);
}

bool tombstones_clean_json(const struct tombstones *stones, int64_t time, bool close, json_t *json)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct walk walk = {.stones = stones, .time = time, .close = close, .text = text};

	clean_value(&walk, json);
	return walk.any;
}
