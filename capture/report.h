/* Reports become events of the mail that they are about (design, 6): out_of_band, spam_complaint,
 * list_unsubscribe. What the report does not tell is copied from the events of that mail. */
#ifndef PW_CAPTURE_REPORT_H
#define PW_CAPTURE_REPORT_H

#include "capture/capture.h"
#include "event/classify.h"

struct reports; /* settings, compiled */

/* Bytes of a report that an event of it keeps: few enough for a line of Events Ingest, whatever
 * they are; and what the events of one report keep together. */
#define REPORTS_KEPT_MAX (32 * 1024)
#define REPORTS_KEPT_ALL (1024 * 1024)

struct reports_config {
	/* Sender addresses that tell which mail comes back, parted by blanks: {recipient} stands
	 * for user=domain, {message_id} for a message_id, such as "bounce+{recipient}@example.com".
	 * NULL = none. */
	const char *verp;
	/* Addresses that take requests to unsubscribe, parted by blanks: {recipient} and
	 * {message_id} as in verp, '*' for any text. NULL = by usual names and subjects. */
	const char *unsubscribe;
	/* Addresses that feedback loops write to, likewise: any returned message is a complaint
	 * there. NULL = none. */
	const char *feedback;
	const char *header_map;        /* of the milter (milter/header_map.h); NULL = the default */
	struct classifier *classifier; /* must outlive the settings; NULL = our own rules alone */
	const char *customer_id, *subaccount_id; /* of what matches no mail; NULL = 1 and 0 */
	bool keep; /* out_of_band events hold the mail that reported them (REPORTS_KEPT_…) */
};

struct reports *reports_new(const struct reports_config *config, struct error *err);
void reports_free(struct reports **reports);

/* Whether an address is one of those of the configuration. Thread-safe. */
bool reports_address(const struct reports *reports, const char *address);

/* How a mail came to us. */
enum reports_way {
	REPORTS_BROUGHT,    /* to an address whose mails are handed over */
	REPORTS_IN_PASSING, /* on its way to somebody: what a person's program answers, and requests
	                       to unsubscribe, count only at an address of the configuration */
};

/* Calls `event` for each event that a mail means; the event is valid during the call. `store`
 * (may be NULL) is where the original is looked for; `now` (ms) stands where the mail has no date.
 * The number of events, or -1 with *err. Thread-safe. */
int reports_read(const struct reports *reports, struct slice mail, enum reports_way way,
        struct store *store, int64_t now, void (*event)(void *ctx, const struct event *event),
        void *ctx, struct error *err);

/* Reads a mail and returns when its events are committed. *found_r = events that it means, *new_r =
 * those that the store did not have. -1 with *err: the mail should be brought again. A report that
 * comes by two ways at once gives its events once. Thread-safe. */
int reports_take(struct reports *reports, struct capture *capture, struct store *store,
        struct slice mail, enum reports_way way, unsigned *found_r, unsigned *new_r,
        struct error *err);

/* The form of a mail and what was read in it, for people and tests: one JSON object a recipient and
 * a line, whatever it means. */
void reports_explain(struct slice mail, GString *out);

#endif
