#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/check-private.h"
#include "store/erase-private.h"
#include "store/file.h"
#include "store/private.h"
#include "store/pseudonym.h"

#define DEFAULT_CACHE_MB 32
#define DEFAULT_OPEN_DAYS 16
#define LOG_PAGES 8192                  /* 64 MiB */
#define BAD_MS (2 * CLOCK_MINUTE)       /* longer than a disk is reset, or a path to it changes */
#define LOG_HELD_MS (15 * CLOCK_SECOND) /* a backup is shorter, or is worth a word */
#define WRITERS 4                       /* as in day_write.c: share half of the cache */
#define READERS_A_DAY 2

static void start_libraries(void)
{
	/* Before the first use, and no harm where somebody was quicker: SQLite then counts its
	 * memory under a global lock. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_initialize();
}

char *store_day_path(struct store *store, int64_t day)
{
	char date[CLOCK_TEXT_MAX];

	clock_format(day * CLOCK_DAY, CLOCK_DATE, date);
	return g_strdup_printf("%s/%s.db", store->dir, date);
}

bool store_day_of_name(const char *name, gint64 *day)
{
	int year, month, dom, end = 0;
	char date[CLOCK_TEXT_MAX];

	if (sscanf(name, "%4d-%2d-%2d.db%n", &year, &month, &dom, &end) != 3 ||
	        end != (int)strlen("2024-02-29.db") || name[end] != '\0' || month < 1 || month > 12)
		return false;
	*day = clock_days(year, month, dom);
	clock_format(*day * CLOCK_DAY, CLOCK_DATE, date);
	return strncmp(name, date, strlen(date)) == 0;
}

static gint compare(gconstpointer a, gconstpointer b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

void store_set_day_mark(struct store *store, gint64 number, uint64_t mark)
{
	pthread_mutex_lock(&store->days_lock);
	g_hash_table_insert(store->day_mark, g_memdup2(&number, sizeof(number)),
	        g_memdup2(&mark, sizeof(mark)));
	pthread_mutex_unlock(&store->days_lock);
}

GArray *store_list_days(struct store *store, struct error *err)
{
	g_autoptr(GDir) dir = g_dir_open(store->dir, 0, NULL);
	const char *name;
	gint64 day;

	if (dir == NULL) {
		error_errno(err, errno, "cannot list the store directory %s", store->dir);
		return NULL;
	}
	GArray *days = g_array_new(FALSE, FALSE, sizeof(gint64));
	while ((name = g_dir_read_name(dir)) != NULL)
		if (store_day_of_name(name, &day))
			g_array_append_val(days, day);
	g_array_sort(days, compare);
	return days;
}

static char *lock_path(const struct store *store)
{
	return g_build_filename(store->dir, "lock", NULL);
}

/* Gives the descriptor of the file also where the lock is somebody else's. */
static int open_lock(struct store *store, int *fd, struct error *err)
{
	g_autofree char *path = lock_path(store);

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (*fd < 0)
		return sql_trouble(err, errno, "cannot open %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return file_give_to_owner(store, *fd, err);
	if (errno != EWOULDBLOCK)
		return sql_trouble(err, errno, "cannot lock %s", path);
	error_set(err, "another process writes the store %s", store->dir);
	if (err != NULL)
		err->number = EWOULDBLOCK;
	return -1;
}

static int take_lock(struct store *store, struct error *err)
{
	if (mkdir(store->dir, 0700) < 0 && errno != EEXIST)
		return sql_trouble(err, errno, "cannot create the store directory %s", store->dir);
	return open_lock(store, &store->lock, err);
}

static bool lock_is_there(const struct store *store)
{
	g_autofree char *path = lock_path(store);
	struct stat ours, there;

	return fstat(store->lock, &ours) == 0 && stat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int store_keep_lock(struct store *store, struct error *err)
{
	struct error cause = {0};
	int fd = -1;

	if (!store->lock_lost && lock_is_there(store))
		return 0;
	if (!store->lock_lost && open_lock(store, &fd, &cause) == 0) {
		close(store->lock);
		store->lock = fd;
		return 1;
	}
	if (fd >= 0)
		close(fd);
	/* What it writes is unknown to this process, also when it has ended. */
	store->lock_lost |= cause.number == EWOULDBLOCK;
	if (!store->lock_lost)
		return error_errno(err, cause.number, "%s", cause.text);
	return error_set(err,
	        "the file lock of the store %s was deleted, and another process writes it since: "
	        "stop one of them, then restart the other",
	        store->dir);
}

/* Events that a commit wrote before it was cut off: the ledger has not counted their lines. */
static int find_uncounted(
        struct store *store, struct day_reader *reader, uint64_t counted, struct error *err)
{
	sqlite3_stmt *commits = reader->sql.stmt[DAY_COMMITS];
	sqlite3_stmt *rows = reader->sql.stmt[DAY_ARRIVED];
	int more, result = 0;

	sqlite3_bind_int64(commits, 1, (int64_t)counted);
	while (result == 0 && (more = sql_step(&reader->sql, commits, err)) == 1) {
		for (int i = 0; i < 2; i++) {
			sqlite3_bind_int64(rows, 1 + i, sqlite3_column_int64(commits, 2 + i));
			sqlite3_bind_int64(rows, 3 + i, sqlite3_column_int64(commits, i));
		}
		store->missed += (uint64_t)sqlite3_column_int64(commits, 4);
		while ((result = sql_step(&reader->sql, rows, err)) == 1) {
			struct slice body = sql_column(rows, 2);
			guint64 id = 0;
			memcpy(&id, body.p, MIN(body.n, sizeof(id)));
			id = GUINT64_FROM_LE(id);
			g_hash_table_add(store->uncounted, g_memdup2(&id, sizeof(id)));
		}
		sqlite3_reset(rows);
	}
	sqlite3_reset(commits);
	return result < 0 || more < 0 ? -1 : 0;
}

/* The highest arrival number of a day; from `counted` on, if that is known, what is not counted. */
static int look_at(
        struct store *store, struct day *day, int64_t counted, uint64_t *mark, struct error *err)
{
	struct day_reader *reader = day_reader_get(day, err);

	if (reader == NULL)
		return -1;
	int result = day_mark(reader, mark, err);
	if (result == 0 && counted >= 0 && store->mode == STORE_WRITE && *mark > (uint64_t)counted)
		result = find_uncounted(store, reader, (uint64_t)counted, err);
	day_reader_put(day, reader);
	return result;
}

static int scan_day(struct store *store, gint64 number, int64_t counted, struct error *err)
{
	struct error cause = {0};
	struct day *day;
	uint64_t mark = 0;
	int result = day_acquire(store, number, &day, &cause);

	if (result == 1) {
		result = look_at(store, day, counted, &mark, &cause);
		day_release(day);
	}
	/* One damaged day stops searches that need it, but not the capture of today's mail. */
	if (result < 0 && cause.number != EIO && cause.number != SQL_DAMAGED) {
		if (err != NULL && !err->set)
			*err = cause;
		return -1;
	}
	if (mark > store->mark)
		store->mark = mark;
	if (store->mode == STORE_WRITE && result == 0)
		store_set_day_mark(store, number, mark);
	return 0;
}

static int find_mark(struct store *store, struct error *err)
{
	int64_t counted;
	g_autoptr(GArray) days = store_list_days(store, err);

	if (days == NULL || control_mark(&store->control, &counted, err) < 0)
		return -1;
	store->mark = counted > 0 ? (uint64_t)counted : 0;
	if (store->mode == STORE_WRITE &&
	        control_uncounted(&store->control, store->uncounted, err) < 0)
		return -1;
	for (guint i = 0; i < days->len; i++)
		if (scan_day(store, g_array_index(days, gint64, i), counted, err) < 0)
			return -1;
	/* A new control file beside old days (the old one was lost): they count as counted. */
	if (store->mode == STORE_WRITE && counted < 0)
		return control_set_mark(&store->control, store->mark, err);
	return 0;
}

static int open_parts(struct store *store, enum store_pseudonymise wish, struct error *err)
{
	struct stat st;

	if (store->mode == STORE_READ && stat(store->dir, &st) < 0)
		return error_errno(err, errno, "there is no store in %s", store->dir);
	if (store->mode == STORE_WRITE) {
		if (take_lock(store, err) < 0)
			return -1;
		file_mend_all(store);
		store->helper = helper_start();
	}
	return control_open(&store->control, store, err) < 0 ||
	                       pseudonym_open(store, wish, err) < 0 ||
	                       (store->mode == STORE_WRITE && erase_load(store, err) < 0) ||
	                       find_mark(store, err) < 0
	               ? -1
	               : 0;
}

/* With nothing open. */
static struct store *new_store(
        const char *dir, enum store_mode mode, const struct store_options *options)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct store_options defaults = {0};
	struct store *store = g_new0(struct store, 1);

	pthread_once(&once, start_libraries);
	if (options == NULL)
		options = &defaults;
	int cache_kb = (options->cache_mb > 0 ? options->cache_mb : DEFAULT_CACHE_MB) * 1024;
	store->dir = g_strdup(dir);
	store->mode = mode;
	store->fast_import = options->fast_import;
	store->open_days =
	        options->open_days > 0 ? (unsigned)options->open_days : DEFAULT_OPEN_DAYS;
	store->writer_cache_kb = MAX(cache_kb / 2 / WRITERS, 256);
	store->reader_cache_kb = MAX(cache_kb / 2 / READERS_A_DAY / (int)store->open_days, 128);
	store->lock = -1;
	pthread_mutex_init(&store->days_lock, NULL);
	pthread_mutex_init(&store->outbox_lock, NULL);
	pthread_mutex_init(&store->spool_lock, NULL);
	pthread_mutex_init(&store->spool_turn, NULL);
	store->days = g_hash_table_new(g_int64_hash, g_int64_equal);
	store->day_mark = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	store->uncounted = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	store->writers = g_ptr_array_new();
	store->plainless = g_string_new(NULL);
	store->sealed = g_string_new(NULL);
	store->notice = options->notice;
	store->notice_ctx = options->notice_ctx;
	store->news = g_ptr_array_new_with_free_func(aside_news_free);
	store->log.pages = LOG_PAGES;
	store->log.held_ms = LOG_HELD_MS;
	store->bad.ms = BAD_MS;
	return store;
}

int store_open_days(struct store **store_r, const char *dir, struct error *err)
{
	*store_r = new_store(dir, STORE_READ, NULL);
	if (sodium_init() < 0)
		error_set(err, "libsodium does not start");
	else if (access(dir, R_OK | X_OK) < 0)
		error_errno(err, errno, "cannot read the store %s", dir);
	else
		return 0;
	store_close(store_r);
	return -1;
}

int store_open(struct store **store_r, const char *dir, enum store_mode mode,
        const struct store_options *options, struct error *err)
{
	struct store *store = new_store(dir, mode, options);

	*store_r = store;
	if (sodium_init() < 0)
		error_set(err, "libsodium does not start");
	else if (open_parts(store, options != NULL ? options->pseudonymise : STORE_AS_IT_IS, err) ==
	         0) {
		if (mode == STORE_WRITE)
			day_finish_ended(store, clock_day_of(clock_now()));
		return 0;
	}
	store_close(store_r);
	return -1;
}

void store_close(struct store **store_r)
{
	struct store *store = *store_r;

	if (store == NULL)
		return;
	day_writers_close(store);
	if (store->mode == STORE_WRITE && store->dropped > 0 && store->control.writer.db != NULL)
		control_set_dropped(&store->control, store->dropped, NULL);
	/* An import has time, and maybe no daemon will come after it. */
	if (store->helper != NULL && store->fast_import)
		day_finish_ended(store, clock_day_of(clock_now()));
	else if (store->helper != NULL)
		helper_hurry(store->helper);
	helper_stop(&store->helper);
	day_forget_all(store);
	control_close(&store->control);
	if (store->lock >= 0)
		close(store->lock);
	erase_unload(store);
	pseudonym_close(store);
	g_string_free(store->plainless, TRUE);
	g_string_free(store->sealed, TRUE);
	g_ptr_array_unref(store->writers);
	g_ptr_array_unref(store->news);
	g_hash_table_unref(store->days);
	g_hash_table_unref(store->day_mark);
	g_hash_table_unref(store->uncounted);
	pthread_mutex_destroy(&store->days_lock);
	pthread_mutex_destroy(&store->outbox_lock);
	pthread_mutex_destroy(&store->spool_lock);
	pthread_mutex_destroy(&store->spool_turn);
	g_free(store->dir);
	g_clear_pointer(store_r, g_free);
}

uint64_t store_mark(struct store *store)
{
	int64_t counted;

	if (store->mode == STORE_READ && store->control.path != NULL &&
	        control_mark(&store->control, &counted, NULL) == 0 &&
	        counted > (int64_t)store->mark)
		store->mark = (uint64_t)counted;
	return store->mark;
}
