#include "upload/cut.h"

#include <string.h>

#include "base/clock.h"
#include "event/ingest_check.h"
#include "event/ingest_write.h"
#include "event/privacy.h"
#include "upload/pack.h"

/* A day, without the time to get under way and that of the request: what is nearly too old when it
 * starts would be too old when it is read. */
#define MAX_AGE (CLOCK_DAY - 2 * CUT_GRACE)
#define CHUNK 2048                    /* events that are in memory at a time … */
#define CHUNK_BYTES (4 * 1024 * 1024) /* … or as many as so many bytes hold */
#define SCAN_MAX (48 * CHUNK)         /* looked at in one call */
#define LINE_MAX_BYTES (256 * 1024)

struct cutting {
	struct store *store;
	const struct cut_rules *rules;
	struct cut *cut;
	struct pack *pack;
	GString *line, *arena;
	int64_t now;
	unsigned events_max;
	uint64_t seen; /* events of this chunk */
	uint64_t stop; /* arrival number of the first that did not fit; 0 = all did */
	cut_refused *refused;
	void *ctx;
};

int64_t cut_max_age(enum upload_kind kind)
{
	return kind == UPLOAD_SPARKPOST ? MAX_AGE : 0;
}

static bool is_one_of(char **list, struct slice value)
{
	for (; *list != NULL; list++)
		if (slice_eq_case(slice_str(*list), value))
			return true;
	return false;
}

static bool is_wanted(const struct cut_rules *rules, const struct event *event)
{
	if (event_catalogue[event->type].ingest_wrapper == NULL)
		return false;
	if (rules->types != NULL && !rules->types[event->type])
		return false;
	if (rules->subaccounts != NULL &&
	        !is_one_of(rules->subaccounts, event->field[FIELD_SUBACCOUNT_ID]))
		return false;
	return rules->domains == NULL ||
	       is_one_of(rules->domains, event->field[FIELD_SENDING_DOMAIN]) ||
	       is_one_of(rules->domains, event->field[FIELD_RECIPIENT_DOMAIN]);
}

/* By the table of the API's documentation; another postwake takes all that it enforces. */
static int check(enum upload_kind kind, const struct event *event, struct error *err)
{
	return kind == UPLOAD_POSTWAKE ? ingest_check(event, err)
	                               : ingest_check_documented(event, err);
}

/* Makes the line; NULL, or why it would be refused. */
static const char *make_line(struct cutting *c, const struct event *event, struct error *err)
{
	enum ingest_form form = c->rules->kind == UPLOAD_POSTWAKE ? INGEST_EXTENDED : INGEST_PLAIN;
	struct event hidden = *event;

	if (c->rules->privacy)
		privacy_hide(event, &hidden, c->arena);
	else
		store_hide(c->store, &hidden, c->arena); /* days from before are plain */
	event = &hidden;
	g_string_truncate(c->line, 0);
	ingest_write(c->line, event, form);
	if (check(c->rules->kind, event, err) < 0)
		return err->text;
	return c->line->len > LINE_MAX_BYTES ? "The event is longer than 256 KB" : NULL;
}

static void take_event(struct cutting *c, const struct event *event)
{
	struct error err = {0};
	int64_t age = cut_max_age(c->rules->kind);

	if (!is_wanted(c->rules, event))
		return;
	if (age > 0 && event->time <= c->now - age) {
		c->cut->too_old++;
		return;
	}
	const char *cause = make_line(c, event, &err);
	if (cause != NULL) {
		c->cut->invalid++;
		if (c->refused != NULL)
			c->refused(c->ctx, slice_make(c->line->str, c->line->len), cause);
		return;
	}
	if (c->cut->events >= c->events_max ||
	        !pack_add(c->pack, slice_make(c->line->str, c->line->len))) {
		c->stop = event->arrival;
		return;
	}
	c->cut->events++;
	if (c->cut->oldest == 0 || event->time < c->cut->oldest)
		c->cut->oldest = event->time;
}

static void found(void *ctx, const struct event *event)
{
	struct cutting *c = ctx;

	if (c->stop != 0)
		return;
	take_event(c, event);
	c->seen += c->stop == 0;
}

/* One chunk: arrival numbers have no holes, so what is not found is gone. */
static int cut_chunk(struct cutting *c, struct store *store, uint64_t end, struct error *err)
{
	struct search search = {.from = INT64_MIN / 2,
	        .to = INT64_MAX / 2,
	        .as_of = end,
	        .limit = CHUNK + 1,
	        .bytes = CHUNK_BYTES};
	uint64_t next = 0, at = c->cut->until;

	c->seen = 0;
	if (store_arrivals(store, &search, at, found, c, &next, err) < 0)
		return -1;
	c->cut->until = c->stop != 0 ? c->stop - 1 : next;
	c->cut->lost += c->cut->until - at - c->seen;
	return 0;
}

int cut_batch(struct store *store, const struct cut_rules *rules, uint64_t since, uint64_t until,
        int64_t now, cut_refused *refused, void *ctx, struct cut *cut, struct error *err)
{
	g_autoptr(GString) line = g_string_new(NULL), arena = g_string_new(NULL);
	struct cutting c = {.store = store,
	        .rules = rules,
	        .cut = cut,
	        .pack = pack_new(rules->bytes > 0 ? rules->bytes : CUT_BYTES),
	        .line = line,
	        .arena = arena,
	        .now = now,
	        .events_max = rules->events > 0 ? rules->events : CUT_EVENTS,
	        .refused = refused,
	        .ctx = ctx};
	int result = rules->privacy ? 0 : store_can_hide(store, "nothing is uploaded", err);

	*cut = (struct cut){.since = since, .until = since};
	until = MIN(until, store_mark(store));
	while (result == 0 && c.stop == 0 && cut->until < until && cut->until - since < SCAN_MAX)
		result = cut_chunk(&c, store, MIN(until, cut->until + CHUNK), err);
	if (result == 0 && cut->events > 0)
		cut->bytes = pack_end(c.pack);
	pack_free(&c.pack);
	if (result < 0 || c.stop == 0 || cut->until > since || cut->events > 0)
		return result;
	/* A single event that no batch has room for would be tried for ever. */
	if (rules->bytes == 0 || rules->bytes >= CUT_BYTES)
		return error_set(err, "an event of %zu bytes fits in no batch", line->len);
	struct cut_rules alone = *rules;
	alone.bytes = CUT_BYTES;
	alone.events = 1;
	return cut_batch(store, &alone, since, until, now, refused, ctx, cut, err);
}

void cut_clear(struct cut *cut)
{
	if (cut->bytes != NULL)
		g_byte_array_unref(cut->bytes);
	*cut = (struct cut){0};
}
