#include "capture/letterhead.h"

#include <string.h>

#include "mime/headers.h"

#define MSYS_HEADER "X-MSYS-API"

struct reading {
	const struct header_map *map;
	struct attributes msys, mapped;
	bool msys_read;
};

static void read_field(void *ctx, const char *name, struct slice value)
{
	struct reading *reading = ctx;

	if (g_ascii_strcasecmp(name, MSYS_HEADER) != 0)
		header_map_read(reading->map, &reading->mapped, name, value, mime_decode_text);
	else if (!reading->msys_read)
		reading->msys_read = attributes_msys(&reading->msys, value);
}

/* The attributes' JSON texts are of malloc. */
static struct slice hold(struct letterhead *head, char *text)
{
	char *copy = g_strdup(text);

	free(text);
	if (copy != NULL)
		g_ptr_array_add(head->texts, copy);
	return slice_str(copy);
}

static void tell(struct letterhead *head, struct attributes *from, const char *recipient)
{
	g_autofree char *lower = recipient != NULL ? g_ascii_strdown(recipient, -1) : NULL;
	const struct attributes_recipient *own = lower != NULL ? attributes_of(from, lower) : NULL;

	for (size_t i = 0; i < FIELDS; i++)
		if (from->field[i] != NULL) {
			g_ptr_array_add(head->texts, from->field[i]);
			head->field[i] = slice_str(g_steal_pointer(&from->field[i]));
		}
	head->field[FIELD_RCPT_META] = hold(head, attributes_dump_meta(from, own));
	head->field[FIELD_RCPT_TAGS] = hold(head, attributes_dump_tags(from, own));
	if (own != NULL)
		head->field[FIELD_RCPT_TYPE] = slice_str(own->type);
}

/* As the milter's mails have it (design, 8), so that both are counted together. */
static void add_template(struct letterhead *head)
{
	struct slice transmission = head->field[FIELD_TRANSMISSION_ID];

	if (transmission.n == 0 || head->field[FIELD_TEMPLATE_ID].n > 0)
		return;
	char *text = g_strdup_printf("smtp_%.*s", SLICE_ARG(transmission));
	g_ptr_array_add(head->texts, text);
	head->field[FIELD_TEMPLATE_ID] = slice_str(text);
	head->field[FIELD_TEMPLATE_VERSION] = SLICE("0");
}

void letterhead_read(struct letterhead *head_r, const struct header_map *map, const char *block,
        const char *recipient)
{
	struct reading reading = {.map = map};

	*head_r = (struct letterhead){.texts = g_ptr_array_new_with_free_func(g_free)};
	if (block == NULL)
		return;
	mime_each_field(block, read_field, &reading);
	attributes_merge(&reading.msys, &reading.mapped);
	tell(head_r, &reading.msys, recipient);
	add_template(head_r);
	attributes_clear(&reading.msys);
	attributes_clear(&reading.mapped);
}

void letterhead_clear(struct letterhead *head)
{
	g_clear_pointer(&head->texts, g_ptr_array_unref);
	*head = (struct letterhead){0};
}
