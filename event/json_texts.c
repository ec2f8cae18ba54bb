#include "event/json_texts.h"

#include <stdlib.h>
#include <string.h>

struct walk {
	json_text_change *change;
	void *ctx;
	GString *text; /* what became of the last one that changed */
	bool any;
};

static bool is_changed(struct walk *walk, struct slice text)
{
	g_string_truncate(walk->text, 0);
	if (!walk->change(walk->ctx, text, walk->text))
		return false;
	walk->any = true;
	return true;
}

static void change_value(struct walk *walk, json_t *value);

static void change_object(struct walk *walk, json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		change_value(walk, value);
		if (!is_changed(walk, slice_str(key)))
			continue;
		json_object_set(object, walk->text->str, value);
		json_object_del(object, key);
	}
}

static void change_value(struct walk *walk, json_t *value)
{
	json_t *element;
	size_t i;

	if (json_is_object(value))
		change_object(walk, value);
	json_array_foreach(value, i, element) change_value(walk, element);
	if (json_is_string(value) &&
	        is_changed(walk, slice_make(json_string_value(value), json_string_length(value))))
		json_string_setn(value, walk->text->str, walk->text->len);
}

bool json_change_texts(json_t *json, json_text_change *change, void *ctx, GString *out)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct walk walk = {.change = change, .ctx = ctx, .text = text};

	change_value(&walk, json);
	char *dumped = walk.any ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	if (dumped != NULL)
		g_string_append(out, dumped);
	free(dumped);
	return walk.any;
}
