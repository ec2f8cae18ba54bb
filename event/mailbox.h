/* The provider of a recipient's mailbox, from schema/mailbox-providers.def.
 *
 * It is worked out when an event is shown or looked for, and not stored: it costs no byte of a row,
 * a better table counts for old events too, and index terms stay a function of the row alone. What
 * an event that came in by Events Ingest says of itself wins. */
#ifndef PW_EVENT_MAILBOX_H
#define PW_EVENT_MAILBOX_H

#include "event/event.h"

struct mailbox {
	const char *domain;
	const char *provider;
	const char *region;
};

/* The row for a domain in lower case, or NULL. */
const struct mailbox *mailbox_find(struct slice domain);

/* Provider and region of an event; absent where they are not known. */
struct slice mailbox_provider(const struct event *event);
struct slice mailbox_region(const struct event *event);

#endif
