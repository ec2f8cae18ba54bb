#include "store/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/private.h"

#define MOST 10000 /* files set aside of one name */

void aside_news_free(void *p)
{
	struct aside_news *news = p;

	g_free(news->text);
	g_free(news);
}

static int64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* The log goes first: under the new name of its file it is found together with it, and a new file
 * of the old name must not find it. */
static int set_aside(const char *path, char **name_r, struct error *err)
{
	g_autofree char *wal = g_strconcat(path, "-wal", NULL);

	for (unsigned n = 1; n < MOST; n++) {
		g_autofree char *aside = g_strdup_printf("%s" ASIDE "%u", path, n);
		g_autofree char *aside_wal = g_strconcat(aside, "-wal", NULL);
		g_autofree char *done = g_strconcat(aside, ASIDE_DONE, NULL);
		if (access(aside, F_OK) == 0 || access(aside_wal, F_OK) == 0 ||
		        access(done, F_OK) == 0)
			continue;
		if ((rename(wal, aside_wal) < 0 && errno != ENOENT) || rename(path, aside) < 0)
			return error_errno(
			        err, errno, "cannot set the damaged file %s aside", path);
		file_unlink_beside(path);
		*name_r = g_path_get_basename(aside);
		return 0;
	}
	return error_set(err, "%s: too many damaged files of this name", path);
}

/* Whether another file of the directory can be written, synced and read. What is left of it after a
 * crash goes with the other unfinished files (file_mend_all). */
static bool others_work(struct store *store)
{
	g_autofree char *path = g_build_filename(store->dir, "probe.new", NULL);
	char bytes[4096], back[sizeof(bytes)];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(bytes, 'x', sizeof(bytes));
	bool work = fd >= 0 && store_fault_at(store, "probe", NULL) == 0 &&
	            file_write(fd, slice_make(bytes, sizeof(bytes))) == 0 && fsync(fd) == 0 &&
	            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 &&
	            pread(fd, back, sizeof(back), 0) == (ssize_t)sizeof(back) &&
	            memcmp(bytes, back, sizeof(back)) == 0;
	if (fd >= 0)
		close(fd);
	unlink(path);
	return work;
}

bool aside_is_bad(struct store *store, int64_t number, struct error *cause)
{
	g_autofree char *path = store_day_path(store, number);
	gint64 now = g_get_monotonic_time();

	if (cause->number != EIO || !others_work(store)) {
		store->bad.since = 0;
		return false;
	}
	if (store->bad.since == 0 || store->bad.day != number) {
		store->bad.since = now;
		store->bad.day = number;
		return false;
	}
	int64_t ms = (now - store->bad.since) / 1000;
	if (ms < store->bad.ms)
		return false;
	store->bad.since = 0;
	error_clear(cause);
	sql_damaged(cause,
	        "store file %s cannot be read or written for %lld s, while files beside it can "
	        "(%s): a bad sector of the disk, see dmesg and smartctl",
	        path, (long long)(ms / CLOCK_SECOND), g_strerror(EIO));
	return true;
}

void aside_is_good(struct store *store, int64_t number)
{
	if (store->bad.day == number)
		store->bad.since = 0;
}

static void tell(struct store *store, struct aside_news *news)
{
	g_ptr_array_add(store->news, news);
	if (store->notice != NULL)
		store->notice(store->notice_ctx, news->text);
}

int aside_day(struct store *store, int64_t number, const struct error *cause, struct error *err)
{
	g_autofree char *path = store_day_path(store, number);
	g_autofree char *name = NULL;
	int64_t bytes = size_of(path);

	day_writer_drop(store, number);
	if (set_aside(path, &name, err) < 0)
		return -1;
	day_forget(store, number);
	store->dropped = store->mark;
	struct aside_news *news = g_new0(struct aside_news, 1);
	news->text = g_strdup_printf("%s; kept as %s, a new file goes on. "
	                             "`postwake check --repair` saves what can be read of it",
	        cause->text, name);
	news->from = number * CLOCK_DAY;
	news->to = news->from + CLOCK_DAY;
	news->bytes = bytes;
	tell(store, news);
	return 0;
}

int aside_control(struct store *store, const struct error *cause, struct error *err)
{
	g_autofree char *name = NULL;
	int64_t bytes = size_of(store->control.path);

	if (set_aside(store->control.path, &name, err) < 0)
		return -1;
	struct aside_news *news = g_new0(struct aside_news, 1);
	news->text = g_strdup_printf(
	        "%s; kept as %s, a new one goes on: logs whose place is lost are read again from "
	        "the beginning, which adds nothing twice; the line counts start anew, keys of the "
	        "query API and what waited for an upload are lost, and what `postwake erase` took "
	        "away comes back from logs that still hold it",
	        cause->text, name);
	news->bytes = bytes;
	tell(store, news);
	return 0;
}

void aside_deleted_day(struct store *store, int64_t number)
{
	g_autofree char *path = store_day_path(store, number);
	struct aside_news *news = g_new0(struct aside_news, 1);

	news->text = g_strdup_printf("%s was deleted while postwaked wrote it: its events are "
	                             "gone, a new file goes on. `postwake import` of the logs "
	                             "brings back what they tell",
	        path);
	news->from = number * CLOCK_DAY;
	news->to = news->from + CLOCK_DAY;
	news->bytes = -1;
	tell(store, news);
}

void aside_deleted_control(struct store *store)
{
	struct aside_news *news = g_new0(struct aside_news, 1);

	news->text = g_strdup_printf("%s was deleted while postwaked wrote it, a new one goes on: "
	                             "the line counts start anew, keys of the query API and what "
	                             "waited for an upload are lost",
	        store->control.path);
	news->bytes = -1;
	tell(store, news);
}

void store_tell_loss(struct store *store, const char *text)
{
	struct aside_news *news = g_new0(struct aside_news, 1);

	news->text = g_strdup(text);
	news->from = news->to = clock_now();
	news->bytes = -1;
	tell(store, news);
}

void aside_log_held(struct store *store, const char *path, int64_t ms)
{
	g_autofree char *wal = g_strconcat(path, "-wal", NULL);
	struct aside_news *news = g_new0(struct aside_news, 1);

	news->to = clock_now();
	news->from = news->to - ms;
	news->text = g_strdup_printf(
	        "a program has been reading %s for %lld s without an end: until it ends the log of "
	        "the file grows, by now to %lld MB; nothing is lost. `fuser %s` tells which it is",
	        path, (long long)(ms / CLOCK_SECOND), (long long)(size_of(wal) / 1000000), path);
	news->bytes = -1;
	tell(store, news);
}

/* Cuts ".damaged-N" or ".damaged-N.salvaged" off: the name before it; NULL where it is none. */
static char *name_before(const char *name, bool *saved)
{
	const char *end = strstr(name, ASIDE);

	if (end == NULL || !g_ascii_isdigit(end[strlen(ASIDE)]))
		return NULL;
	const char *rest = end + strlen(ASIDE);
	while (g_ascii_isdigit(*rest))
		rest++;
	*saved = strcmp(rest, ASIDE_DONE) == 0;
	return *rest == '\0' || *saved ? g_strndup(name, (gsize)(end - name)) : NULL;
}

bool aside_day_of(const char *name, gint64 *day)
{
	bool saved;
	g_autofree char *before = name_before(name, &saved);

	return before != NULL && store_day_of_name(before, day);
}

static void clear_aside(gpointer p)
{
	g_free(((struct store_aside *)p)->name);
}

static gint compare(gconstpointer a, gconstpointer b)
{
	const struct store_aside *x = a, *y = b;

	return strcmp(x->name, y->name);
}

GArray *store_asides(struct store *store, struct error *err)
{
	g_autoptr(GDir) dir = g_dir_open(store->dir, 0, NULL);
	const char *name;

	if (dir == NULL) {
		error_errno(err, errno, "cannot list the store directory %s", store->dir);
		return NULL;
	}
	GArray *asides = g_array_new(FALSE, TRUE, sizeof(struct store_aside));
	g_array_set_clear_func(asides, clear_aside);
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(store->dir, name, NULL);
		struct store_aside aside = {.day = STORE_NO_DAY};
		g_autofree char *before = name_before(name, &aside.saved);
		if (before == NULL || (!store_day_of_name(before, &aside.day) &&
		                              strcmp(before, CONTROL_NAME) != 0))
			continue;
		aside.name = g_strdup(name);
		aside.bytes = (uint64_t)size_of(path);
		g_array_append_val(asides, aside);
	}
	g_array_sort(asides, compare);
	return asides;
}

/* When the file or its log was written last; 0: there is none. */
static int64_t written(const char *path)
{
	g_autofree char *wal = g_strconcat(path, "-wal", NULL);
	const char *const names[] = {path, wal};
	int64_t last = 0;
	struct stat st;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (stat(names[i], &st) == 0)
			last = MAX(last, (int64_t)st.st_mtime);
	return last * CLOCK_SECOND;
}

void aside_prune(struct store *store, int64_t oldest)
{
	g_autoptr(GArray) asides = store_asides(store, NULL);

	for (guint i = 0; asides != NULL && i < asides->len; i++) {
		const struct store_aside *aside = &g_array_index(asides, struct store_aside, i);
		g_autofree char *path = g_build_filename(store->dir, aside->name, NULL);
		int64_t day = aside->day != STORE_NO_DAY ? aside->day : clock_day_of(written(path));
		if (day >= oldest)
			continue;
		unlink(path);
		file_unlink_beside(path);
	}
}
