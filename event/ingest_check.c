#include "event/ingest_check.h"

enum { NO_METHOD, ONE_METHOD };

struct needs {
	int method;
	guint64 must[2]; /* bit set by enum field */
	guint64 required[2];
	guint64 reporting[2];
};

#define LOW(ID) | ((guint64)(FIELD_##ID < 64) << (FIELD_##ID & 63))
#define HIGH(ID) | ((guint64)(FIELD_##ID >= 64) << (FIELD_##ID & 63))

static const struct needs needs[EVENT_TYPES] = {
#define INGEST(ID, METHOD, MUST, REQUIRED, REPORTING) \
	[EVENT_##ID] = { \
	        .method = METHOD, \
	        .must = {0 MUST(LOW), 0 MUST(HIGH)}, \
	        .required = {0 MUST(LOW) REQUIRED(LOW), 0 MUST(HIGH) REQUIRED(HIGH)}, \
	        .reporting = {0 REPORTING(LOW), 0 REPORTING(HIGH)}, \
	},
#include "schema/ingest.def"
#undef INGEST
};

static bool has_bit(const guint64 set[2], enum field field)
{
	return (set[field / 64] >> (field % 64) & 1) != 0;
}

unsigned ingest_flags(enum event_type type, enum field field)
{
	return (has_bit(needs[type].required, field) ? INGEST_REQUIRED : 0u) |
	       (has_bit(needs[type].reporting, field) ? INGEST_REPORTING : 0u);
}

static bool is_there(const struct event *event, enum field field)
{
	switch (field) {
	case FIELD_TYPE:
		return true;
	case FIELD_EVENT_ID:
		return event->id != EVENT_NO_ID;
	case FIELD_TIMESTAMP:
		return event->time > 0;
	case FIELD_INJECTION_TIME:
		return event->injected > 0;
	default:
		return event->field[field].n > 0;
	}
}

/* A recipient is told by its address, or by its hash and its domain. The words are those of the
 * service. */
static int check_pair(const struct event *event, enum field has, enum field lacks,
        const char *message, struct error *err)
{
	return is_there(event, has) && !is_there(event, lacks) ? error_set(err, "%s", message) : 0;
}

static int check_fields(const struct event *event, const guint64 set[2], struct error *err)
{
	for (int i = 0; i < FIELDS; i++)
		if (has_bit(set, (enum field)i) && !is_there(event, (enum field)i))
			return error_set(err, "Missing %s on event of type %s",
			        field_catalogue[i].ingest_name,
			        event_catalogue[event->type].ingest_type);
	return 0;
}

int ingest_check(const struct event *event, struct error *err)
{
	const char *name = event_catalogue[event->type].ingest_type;

	if (check_fields(event, needs[event->type].must, err) < 0)
		return -1;
	if (needs[event->type].method == ONE_METHOD && !is_there(event, FIELD_RECV_METHOD) &&
	        !is_there(event, FIELD_DELV_METHOD))
		return error_set(
		        err, "Missing recv_method or delv_method on event of type %s", name);
	if (check_pair(event, FIELD_RCPT_HASH, FIELD_RCPT_DOMAIN,
	            "Missing rcpt_domain on event with rcpt_hash", err) < 0)
		return -1;
	return check_pair(event, FIELD_RCPT_DOMAIN, FIELD_RCPT_HASH,
	        "Missing rcpt_hash on event with rcpt_domain", err);
}

int ingest_check_documented(const struct event *event, struct error *err)
{
	return ingest_check(event, err) < 0 ||
	                       check_fields(event, needs[event->type].required, err) < 0
	               ? -1
	               : 0;
}
