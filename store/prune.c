/* Retention: whole day files go. And what days there are. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/file.h"
#include "store/private.h"

/* Helper thread: unlinking a large file takes long. */
static void unlink_file(void *arg)
{
	char *path = arg;

	unlink(path);
	g_free(path);
}

/* Of a day that could not be read it may be the highest of all. */
static void note_dropped(struct store *store, int64_t number)
{
	pthread_mutex_lock(&store->days_lock);
	const uint64_t *known = g_hash_table_lookup(store->day_mark, &number);
	uint64_t mark = known != NULL ? *known : store->mark;
	if (mark > store->dropped)
		store->dropped = mark;
	pthread_mutex_unlock(&store->days_lock);
}

/* Takes the file out of the way at once, under a name that nobody looks for. Who has it open reads
 * on: SQLite sees that the file was moved and leaves what has its name now alone. */
static int drop(struct store *store, int64_t number, struct error *err)
{
	g_autofree char *path = store_day_path(store, number);
	g_autofree char *dropped = g_strconcat(path, STORE_DROPPED, NULL);

	day_writer_drop(store, number);
	if (rename(path, dropped) < 0)
		return error_errno(err, errno, "cannot drop the day file %s", path);
	note_dropped(store, number);
	day_forget(store, number);
	file_unlink_beside(path);
	helper_do(store->helper, unlink_file, g_steal_pointer(&dropped));
	return 0;
}

/* Once for each day: commits take nothing that is older. */
static int prune_control(struct store *store, int64_t oldest, struct error *err)
{
	if (oldest <= store->pruned)
		return 0;
	if (control_prune(&store->control, oldest * CLOCK_DAY, err) < 0)
		return -1;
	store->pruned = oldest;
	return 0;
}

int store_prune(struct store *store, int keep_days, int64_t now, struct error *err)
{
	int64_t oldest = clock_day_of(now) - keep_days;
	g_autoptr(GArray) days = NULL;
	int dropped = 0;

	if (store->mode != STORE_WRITE)
		return error_set(err, "the store %s is open for reading only", store->dir);
	days = store_list_days(store, err);
	if (days == NULL)
		return -1;
	for (guint i = 0; i < days->len && g_array_index(days, gint64, i) < oldest; i++) {
		if (drop(store, g_array_index(days, gint64, i), err) < 0)
			return -1;
		dropped++;
	}
	aside_prune(store, oldest);
	/* Once a day somebody comes here: the time for what was in use the last time. */
	day_finish_ended(store, clock_day_of(clock_now()));
	return prune_control(store, oldest, err) < 0 ? -1 : dropped;
}

static uint64_t size_of(const char *path, const char *suffix)
{
	g_autofree char *name = g_strconcat(path, suffix, NULL);
	struct stat st;

	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t bytes_of(struct store *store, int64_t number)
{
	g_autofree char *path = store_day_path(store, number);

	return size_of(path, "") + size_of(path, "-wal");
}

int store_bytes(struct store *store, uint64_t *bytes_r, struct error *err)
{
	g_autoptr(GArray) numbers = store_list_days(store, err);

	*bytes_r = 0;
	if (numbers == NULL)
		return -1;
	for (guint i = 0; i < numbers->len; i++)
		*bytes_r += bytes_of(store, g_array_index(numbers, gint64, i));
	return 0;
}

static int count_events(struct store *store, int64_t number, int64_t *events, struct error *err)
{
	struct day *day;
	int result = day_acquire(store, number, &day, err);

	if (result <= 0)
		return result;
	struct day_reader *reader = day_reader_get(day, err);
	if (reader == NULL ||
	        sql_number(&reader->sql, "SELECT sum(count) FROM rollup", 0, events, err) < 0)
		result = -1;
	if (reader != NULL)
		day_reader_put(day, reader);
	day_release(day);
	return result;
}

/* False when the file went away meanwhile. A day that cannot be read has a size still, which
 * retention must know, and no events. */
static bool look_at(
        struct store *store, int64_t number, struct store_day *entry, struct error *unread)
{
	struct error cause = {0};
	int64_t events = 0;
	int result = count_events(store, number, &events, &cause);

	*entry = (struct store_day){
	        .day = number,
	        .events = result == 1 ? (uint64_t)events : 0,
	        .bytes = bytes_of(store, number),
	};
	entry->damaged = result < 0 && cause.number == SQL_DAMAGED;
	entry->unread = result < 0 && !entry->damaged;
	if (entry->unread && unread != NULL && !unread->set)
		*unread = cause;
	return result != 0;
}

GArray *store_days(struct store *store, struct error *unread_r, struct error *err)
{
	g_autoptr(GArray) numbers = store_list_days(store, err);

	if (numbers == NULL)
		return NULL;
	GArray *days = g_array_new(FALSE, TRUE, sizeof(struct store_day));
	for (guint i = 0; i < numbers->len; i++) {
		struct store_day day;
		if (look_at(store, g_array_index(numbers, gint64, i), &day, unread_r))
			g_array_append_val(days, day);
	}
	return days;
}
