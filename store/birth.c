/* Which stored message a queue id meant at some time. Queue ids come again (short ones of Postfix
 * within hours), so a message takes lines only during its life: from its birth to its last event,
 * and on for as long as a mail may stay in the queue when a recipient was still open then. */
#include "event/catalogue.h"
#include "event/identity.h"
#include "store/fetch.h"
#include "store/private.h"
#include "store/search.h"

#define QUEUE_DAYS 10                /* that a mail may stay in the queue */
#define AFTER_END (5 * CLOCK_MINUTE) /* last lines about a message that is done */

struct life {
	const char *message_id;
	int64_t birth, last;
	int64_t first;          /* first that happened to it but its birth; INT64_MAX = none */
	GHashTable *recipients; /* whose last event is known */
	bool open, seen;        /* `seen`: its birth is no computed one */
	bool queued;            /* it was more than refused */
};

struct looking {
	struct slice node, instance, queue_id;
	int64_t time;
	GHashTable *lives; /* message_id -> struct life */
};

static void free_life(gpointer p)
{
	struct life *life = p;

	g_hash_table_unref(life->recipients);
	g_free(life);
}

static struct life *life_of(struct looking *looking, const struct event *event)
{
	g_autofree char *id = slice_dup(event->field[FIELD_MESSAGE_ID]);
	struct life *life = g_hash_table_lookup(looking->lives, id);

	if (life == NULL) {
		life = g_new0(struct life, 1);
		life->birth = event->injected;
		life->first = INT64_MAX;
		life->recipients = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		life->message_id = id;
		g_hash_table_insert(looking->lives, g_steal_pointer(&id), life);
	}
	return life;
}

static bool says(const struct event *event, enum field field, struct slice value)
{
	return slice_eq(event->field[field], value);
}

/* Notes an address, in lower case as all its writers may have it; false when it was known. */
static bool note(struct life *life, struct slice address)
{
	return g_hash_table_add(life->recipients,
	        g_ascii_strdown(address.n > 0 ? address.p : "", (gssize)address.n));
}

/* Events come newest first: the first one of a recipient tells whether it is done. The injection
 * names the address of the envelope, later events the one that it became, maybe several: what is
 * known of these is what there is to know of the first. */
static void look(void *ctx, const struct event *event)
{
	struct looking *looking = ctx;

	if (!says(event, FIELD_NODE_NAME, looking->node) ||
	        !says(event, FIELD_INSTANCE, looking->instance) ||
	        !says(event, FIELD_QUEUE_ID, looking->queue_id) ||
	        !event_has(event, FIELD_MESSAGE_ID) || event->injected <= 0)
		return;
	struct life *life = life_of(looking, event);
	enum event_type type = event_outbound(event->type);
	bool done = type != EVENT_INJECTION && type != EVENT_DELAY;
	life->last = MAX(life->last, event->time);
	life->queued |= type != EVENT_POLICY_REJECTION;
	/* Retries are known of messages whose beginning was read. */
	life->seen |= event_has(event, FIELD_NUM_RETRIES);
	if (type != EVENT_INJECTION)
		life->first = MIN(life->first, event->time);
	if (note(life, event->field[FIELD_RCPT_TO]))
		life->open |= !done;
	if (event_has(event, FIELD_ORIG_RCPT_TO))
		note(life, event->field[FIELD_ORIG_RCPT_TO]);
}

/* Whole seconds count: the stamps of logs have no more. Where a clock was set back, what came first
 * is stamped before the birth. */
static bool contains(const struct life *life, int64_t time)
{
	int64_t begin = MIN(life->birth, life->first);
	int64_t end = life->last + (life->open ? QUEUE_DAYS * CLOCK_DAY : AFTER_END);

	return begin / CLOCK_SECOND <= time / CLOCK_SECOND && time <= end;
}

/* The newest one. What was refused before the message was found to continue another mail stands
 * under an id of its own. */
static const struct life *best(const struct looking *looking)
{
	GHashTableIter iter;
	const struct life *life, *found = NULL;

	g_hash_table_iter_init(&iter, looking->lives);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&life))
		if (contains(life, looking->time) &&
		        (found == NULL || life->queued > found->queued ||
		                (life->queued == found->queued && life->birth > found->birth)))
			found = life;
	return found;
}

/* The birth next to the time that is looked for, within the error of one that was computed. */
static const struct life *nearest(const struct looking *looking)
{
	GHashTableIter iter;
	const struct life *life, *found = NULL;
	int64_t least = INT64_MAX;

	g_hash_table_iter_init(&iter, looking->lives);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&life)) {
		int64_t age = life->first != INT64_MAX ? life->first - life->birth : 0;
		int64_t error = life->seen ? CLOCK_SECOND - 1 : identity_birth_error(MAX(age, 0));
		int64_t apart = ABS(life->birth - looking->time);
		if (apart < least && apart <= error) {
			least = apart;
			found = life;
		}
	}
	return found;
}

/* The birth of what was found; what was looked at is freed. */
static int64_t done(
        struct looking *looking, const struct life *found, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	int64_t birth = found != NULL ? found->birth : 0;

	if (id_r != NULL)
		g_strlcpy(id_r,
		        found != NULL && strlen(found->message_id) == IDENTITY_MESSAGE_ID_LEN
		                ? found->message_id
		                : "",
		        IDENTITY_MESSAGE_ID_LEN + 1);
	g_hash_table_unref(looking->lives);
	return birth;
}

static void look_between(struct store *store, struct looking *looking, int64_t from, int64_t to)
{
	g_autofree char *id = slice_dup(looking->queue_id);
	const char *const ids[] = {id, NULL};
	struct search search = {
	        .from = from,
	        .to = to,
	        .values[SEARCH_QUEUE_ID] = ids,
	        .limit = 10000,
	        .no_total = true,
	};

	store_search(store, &search, look, looking, NULL, NULL);
}

static void look_at_day(struct store *store, struct looking *looking, int64_t number)
{
	look_between(store, looking, number * CLOCK_DAY, (number + 1) * CLOCK_DAY);
}

int64_t store_find_birth(struct store *store, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct looking looking = {node, instance, queue_id, time, NULL};
	const struct life *life = NULL;
	int64_t today = clock_day_of(time);

	looking.lives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_life);
	/* Back to the day of its birth, where all that it did before `time` is known. */
	for (int64_t day = today; day >= today - QUEUE_DAYS; day--) {
		look_at_day(store, &looking, day);
		life = best(&looking);
		if (life != NULL && life->birth >= day * CLOCK_DAY)
			break;
	}
	/* A log that is read again: what it did later may be all that is known. */
	for (int64_t day = today + 1; life == NULL && day <= today + QUEUE_DAYS; day++) {
		look_at_day(store, &looking, day);
		life = best(&looking);
	}
	return done(&looking, life, id_r);
}

int64_t store_find_born(struct store *store, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct looking looking = {node, instance, queue_id, time, NULL};

	looking.lives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_life);
	look_between(store, &looking, time - identity_birth_error(QUEUE_DAYS * CLOCK_DAY),
	        time + CLOCK_DAY);
	return done(&looking, nearest(&looking), id_r);
}
