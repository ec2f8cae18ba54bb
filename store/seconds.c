#include "store/seconds.h"

#include <errno.h>

#include "store/day.h"
#include "store/row.h"

#define MAX_EVENTS 100000 /* held at most between commits: about 6 MB */

struct second {
	int64_t number;    /* of the day */
	int64_t next;      /* order */
	int64_t low, high; /* rows in use; high = -1: none */
};

struct event_key {
	uint64_t id;
	int64_t second;
};

static guint event_hash(gconstpointer p)
{
	const struct event_key *key = p;

	return (guint)(key->id ^ (key->id >> 32) ^ ((uint64_t)key->second * 2654435761U));
}

static gboolean event_equal(gconstpointer a, gconstpointer b)
{
	const struct event_key *x = a, *y = b;

	return x->id == y->id && x->second == y->second;
}

void seconds_init(struct seconds *seconds)
{
	*seconds = (struct seconds){
	        .known = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free),
	        .events = g_hash_table_new_full(event_hash, event_equal, g_free, NULL),
	};
}

void seconds_free(struct seconds *seconds)
{
	g_clear_pointer(&seconds->known, g_hash_table_unref);
	g_clear_pointer(&seconds->events, g_hash_table_unref);
}

void seconds_clear(struct seconds *seconds)
{
	g_hash_table_remove_all(seconds->known);
	g_hash_table_remove_all(seconds->events);
	seconds->last = NULL;
	seconds->loaded = false;
}

void seconds_trim(struct seconds *seconds)
{
	if (g_hash_table_size(seconds->events) > MAX_EVENTS)
		seconds_clear(seconds);
}

static void add_event(struct seconds *seconds, struct second *second, uint64_t id, int64_t row)
{
	struct event_key *key = g_new(struct event_key, 1);

	*key = (struct event_key){id, second->number};
	g_hash_table_add(seconds->events, key);
	second->next = MAX(second->next, (row & (DAY_ORDERS - 1)) + 1);
	second->low = second->high < 0 ? row : MIN(second->low, row);
	second->high = MAX(second->high, row);
}

static int last_row(struct day_writer *writer, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_LAST_ROW];
	int result = sql_step(&writer->sql, stmt, err);

	if (result == 1) {
		bool none = sqlite3_column_type(stmt, 0) == SQLITE_NULL;
		writer->seconds.last_row = none ? -1 : sqlite3_column_int64(stmt, 0);
		writer->seconds.loaded = true;
	}
	sqlite3_reset(stmt);
	return result < 0 ? -1 : 0;
}

static int load(struct day_writer *writer, struct second *second, struct error *err)
{
	struct seconds *seconds = &writer->seconds;
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_SECOND];
	int64_t low = day_row(second->number * CLOCK_SECOND);
	int64_t high = day_row((second->number + 1) * CLOCK_SECOND) - 1;
	int result;

	if (low > seconds->last_row)
		return 0;
	sqlite3_bind_int64(stmt, 1, low);
	sqlite3_bind_int64(stmt, 2, high);
	while ((result = sql_step(&writer->sql, stmt, err)) == 1) {
		uint64_t id = row_event_id(sql_column(stmt, 1));
		add_event(seconds, second, id, sqlite3_column_int64(stmt, 0));
	}
	sqlite3_reset(stmt);
	return result;
}

static struct second *second_of(struct day_writer *writer, int64_t number, struct error *err)
{
	struct seconds *seconds = &writer->seconds;

	if (seconds->last != NULL && seconds->last->number == number)
		return seconds->last;
	if (!seconds->loaded && last_row(writer, err) < 0)
		return NULL;
	struct second *second = g_hash_table_lookup(seconds->known, &number);
	if (second == NULL) {
		second = g_new(struct second, 1);
		*second = (struct second){.number = number, .high = -1};
		if (load(writer, second, err) < 0) {
			g_free(second);
			return NULL;
		}
		g_hash_table_insert(seconds->known, &second->number, second);
	}
	return seconds->last = second;
}

int seconds_place(
        struct day_writer *writer, int64_t ms, uint64_t id, int64_t *row, struct error *err)
{
	struct second *second = second_of(writer, ms / CLOCK_SECOND, err);

	if (second == NULL)
		return -1;
	struct event_key key = {id, second->number};
	if (g_hash_table_contains(writer->seconds.events, &key))
		return 0;
	if (second->next < DAY_ORDERS)
		*row = day_row(ms) | second->next;
	else if (second->high + 1 < day_row((second->number + 1) * CLOCK_SECOND))
		*row = second->high + 1;
	else if (second->low > day_row(second->number * CLOCK_SECOND))
		*row = second->low - 1;
	else
		return error_errno(err, EOVERFLOW,
		        "store file %s: more events in one second than "
		        "it has room for",
		        writer->sql.path);
	add_event(&writer->seconds, second, id, *row);
	return 1;
}
