#include "event/mailbox.h"

#include <glib.h>

static const struct mailbox table[] = {
#define MAILBOX(DOMAIN, PROVIDER, REGION) {DOMAIN, PROVIDER, REGION},
#include "schema/mailbox-providers.def"
#undef MAILBOX
};

/* Open hash table of the rows + 1, filled once; it is asked for each row of an answer. */
#define PLACES 1024
static guint16 place[PLACES];

_Static_assert(G_N_ELEMENTS(table) < PLACES / 2, "the hash table is too full");

static unsigned hash(struct slice text)
{
	unsigned hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ (guint8)text.p[i]) * 16777619u;
	return (hash ^ hash >> 16) % PLACES;
}

static void fill(void)
{
	static gsize done;

	if (!g_once_init_enter(&done))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		unsigned at = hash(slice_str(table[i].domain));
		while (place[at] != 0)
			at = (at + 1) % PLACES;
		place[at] = (guint16)(i + 1);
	}
	g_once_init_leave(&done, 1);
}

static const struct mailbox *find_exact(struct slice domain)
{
	for (unsigned at = hash(domain); place[at] != 0; at = (at + 1) % PLACES) {
		const struct mailbox *row = &table[place[at] - 1];
		if (slice_eq(slice_str(row->domain), domain))
			return row;
	}
	return NULL;
}

const struct mailbox *mailbox_find(struct slice domain)
{
	fill();
	while (domain.n > 0) {
		const struct mailbox *row = find_exact(domain);
		if (row != NULL)
			return row;
		slice_cut(&domain, '.');
	}
	return NULL;
}

static const struct mailbox *find_of(const struct event *event)
{
	struct slice domain = event->field[FIELD_RECIPIENT_DOMAIN];

	return domain.p != NULL ? mailbox_find(domain) : NULL;
}

struct slice mailbox_provider(const struct event *event)
{
	const struct mailbox *row;

	if (event_has(event, FIELD_MAILBOX_PROVIDER))
		return event->field[FIELD_MAILBOX_PROVIDER];
	row = find_of(event);
	return row != NULL ? slice_str(row->provider) : SLICE_NONE;
}

struct slice mailbox_region(const struct event *event)
{
	const struct mailbox *row;

	if (event_has(event, FIELD_MAILBOX_PROVIDER_REGION))
		return event->field[FIELD_MAILBOX_PROVIDER_REGION];
	row = find_of(event);
	return row != NULL ? slice_str(row->region) : SLICE_NONE;
}
