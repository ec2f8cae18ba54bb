#include "daemon/sources.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/trouble.h"
#include "event/json.h"
#include "logtail/follow.h"
#include "logtail/journal.h"

/* Lines taken under one lock: bounds what the milter waits for, and what is read again after a
 * crash. */
#define LINES_AT_ONCE 1000
/* ms until a source is looked at without being told; a safety net under inotify. */
#define LOOK_EVERY 1000
/* ms within which lines of a busy log are gathered. */
#define GATHER 5
/* ms that the start waits for the first positions at most; they take a commit each. */
#define PLACED_WITHIN 5000
/* A rotation leaves a log away for a moment. */
#define AWAY_LEAST CLOCK_MINUTE

struct source {
	struct sources *all;
	const struct config_source *config;
	char *name; /* in the ledger: the path, or "journal" */
	struct capture_source *capture;
	struct follow *follow; /* one of the two */
	struct journal *journal;
	GThread *thread;
	gint64 woken;                  /* monotonic us of the last time that it was told to look */
	bool locked;                   /* capture_begin was called */
	gint at_end;                   /* the last look found nothing more to read */
	int64_t away_since, away_boot; /* of a log that is not there; 0 = it is */
	struct trouble trouble;
};

struct sources {
	GPtrArray *each;
	struct capture *capture;
	int wake; /* eventfd: readable when the threads shall end */
	gint stop;
	gint paused;
	GMutex lock; /* of unplaced */
	GCond placed;
	unsigned unplaced; /* sources whose first look is not over */
};

/* ---- what follower and journal hand over ---- */

/* The lock is taken at the first line that was read, not before reading: a slow disk must not keep
 * the milter waiting. */
static void source_lock(struct source *source)
{
	if (!source->locked)
		capture_begin(source->capture);
	source->locked = true;
}

static int source_line(void *ctx, const struct follow_line *line)
{
	struct source *source = ctx;

	if (g_atomic_int_get(&source->all->stop))
		return -1;
	source_lock(source);
	int64_t time = capture_line(source->capture, line->text, line->offset, line->again);
	follow_stamp(source->follow, time);
	return 0;
}

static int source_entry(void *ctx, const struct syslog_line *line, gboolean again)
{
	struct source *source = ctx;

	if (g_atomic_int_get(&source->all->stop))
		return -1;
	source_lock(source);
	capture_entry(source->capture, line, again);
	return 0;
}

static void source_gap(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what)
{
	struct source *source = ctx;

	source_lock(source);
	capture_gap(source->capture, from, to, bytes, what);
	/* 0 bytes: a copytruncate, whose window between copy and truncation nobody can see into. */
	if (bytes == 0)
		log_info(source->name, "possible capture gap: %s", what);
	else
		log_warning(source->name, "capture gap: %s", what);
}

/* ---- the loop ---- */

static bool source_is_away(const struct source *source)
{
	struct stat st;

	return source->follow != NULL && stat(source->config->file, &st) < 0 &&
	       (errno == ENOENT || errno == ENOTDIR);
}

/* A log that is not there is waited for. One that never comes back may be written elsewhere. */
static void source_look_for_log(struct source *source, int64_t boot, struct error *err)
{
	char since[CLOCK_TEXT_MAX];

	if (!source_is_away(source)) {
		source->away_since = 0;
		return;
	}
	if (source->away_since == 0) {
		source->away_since = clock_now();
		source->away_boot = boot;
	}
	if (boot - source->away_boot < AWAY_LEAST)
		return;
	clock_format(source->away_since, CLOCK_SECONDS, since);
	error_set(err,
	        "%s has not been there since %s: it is read when it comes, with the next mail "
	        "perhaps; where the syslog writes to another file, set file = of this source to it",
	        source->config->file, since);
}

static int source_read(struct source *source, struct error *err)
{
	if (source->follow != NULL)
		return follow_run(source->follow, LINES_AT_ONCE, err);
	return journal_run(source->journal, LINES_AT_ONCE, err);
}

/* The ticket of the commit, 0 when there is nothing to commit. */
static uint64_t source_commit(struct source *source, GString *position)
{
	if (!source->locked)
		return 0;
	g_string_truncate(position, 0);
	if (source->follow != NULL)
		follow_position(source->follow, position);
	else
		journal_position(source->journal, position);
	source->locked = false;
	return capture_end(source->capture, slice_make(position->str, position->len));
}

/* The first look is over, and its position on the disk. */
static void source_placed(struct source *source, uint64_t ticket)
{
	struct sources *all = source->all;

	if (ticket != 0)
		capture_wait(all->capture, ticket, PLACED_WITHIN);
	g_mutex_lock(&all->lock);
	all->unplaced--;
	g_cond_signal(&all->placed);
	g_mutex_unlock(&all->lock);
}

/* Lines that come close to each other are read together: to wake up for one costs ten times what
 * reading it does. The first one after a silence is read at once. */
static void source_wait(struct source *source)
{
	int fd = source->follow != NULL ? follow_fd(source->follow) : journal_fd(source->journal);
	struct pollfd polled[] = {
	        {.fd = source->all->wake, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	if (g_get_monotonic_time() - source->woken < GATHER * G_TIME_SPAN_MILLISECOND)
		poll(polled, 1, GATHER);
	poll(polled, 2, LOOK_EVERY);
	source->woken = g_get_monotonic_time();
}

static gpointer source_run(gpointer data)
{
	struct source *source = data;
	g_autoptr(GString) position = g_string_new(NULL);

	/* The first position is committed even without a line: a log that is rotated before
	 * anything else is committed is then still known. */
	bool first = true, placed = false;
	while (!g_atomic_int_get(&source->all->stop)) {
		struct error err = {0};
		int more = g_atomic_int_get(&source->all->paused) ? 0 : source_read(source, &err);
		if (first && more >= 0)
			source_lock(source);
		first = first && more < 0;
		uint64_t ticket = source_commit(source, position);
		if (!placed)
			source_placed(source, ticket);
		placed = true;
		g_atomic_int_set(
		        &source->at_end, more == 0 && !g_atomic_int_get(&source->all->paused));
		int64_t boot = clock_boot();
		if (more == 0)
			source_look_for_log(source, boot, &err);
		trouble_note(&source->trouble, source->name, &err, boot);
		if (more < 0)
			g_usleep(200 * 1000);
		else if (more == 0)
			source_wait(source);
	}
	return NULL;
}

/* ---- start and stop ---- */

static int source_open_file(struct source *source, struct slice position, struct error *err)
{
	const struct follow_hooks hooks = {.ctx = source, .line = source_line, .gap = source_gap};

	source->follow =
	        follow_new(source->config->file, position, source->config->from_start, &hooks, err);
	if (source->follow == NULL)
		return -1;
	follow_rotated(source->follow, source->config->rotated);
	return 0;
}

static int source_open_journal(struct source *source, struct slice position, struct error *err)
{
	const char *path = source->config->journal;
	const struct journal_hooks hooks = {
	        .ctx = source, .entry = source_entry, .gap = source_gap};
	const struct journal_config config = {
	        .path = g_strcmp0(path, "system") == 0 ? NULL : path,
	        .users = source->config->users,
	        .unchecked = source->config->unchecked,
	        .from_start = source->config->from_start,
	};

	source->journal = journal_new(&config, position, &hooks, err);
	return source->journal != NULL ? 0 : -1;
}

static int source_open(
        struct source *source, struct store *store, const char *node, struct error *err)
{
	const struct config_source *config = source->config;
	g_autoptr(GString) text = g_string_new(NULL);
	bool known = store_position(store, slice_str(source->name), text);
	struct slice position = known ? slice_make(text->str, text->len) : SLICE_NONE;
	/* No `not_after`: the first line of a quiet log comes later than anything known now. */
	const struct line_reader_config reader = {
	        .node = config->node != NULL ? config->node : node,
	        .instance = config->instance,
	        .zone = config->zone};

	source->capture =
	        capture_source_new(capture_live(source->all->capture), source->name, &reader, err);
	if (source->capture == NULL)
		return -1;
	if (config->journal != NULL)
		return source_open_journal(source, position, err);
	return source_open_file(source, position, err);
}

static void source_free(gpointer data)
{
	struct source *source = data;

	follow_free(&source->follow);
	journal_free(&source->journal);
	capture_source_free(&source->capture);
	trouble_clear(&source->trouble);
	g_free(source->name);
	g_free(source);
}

static struct source *source_new(struct sources *all, const struct config_source *config)
{
	struct source *source = g_new0(struct source, 1);

	source->all = all;
	source->config = config;
	trouble_init(&source->trouble);
	if (config->file != NULL)
		source->name = g_strdup(config->file);
	else if (g_strcmp0(config->journal, "system") == 0)
		source->name = g_strdup("journal");
	else
		source->name = g_strdup(config->journal);
	return source;
}

/* A log that is rotated, or a daemon that is killed, right after the start must not lose what was
 * written since: nobody is told that we are ready before the first positions are kept. A log that
 * cannot be read, and a store that cannot be written, hold the start up for a while only. */
static void sources_wait_placed(struct sources *all)
{
	gint64 until = g_get_monotonic_time() + PLACED_WITHIN * G_TIME_SPAN_MILLISECOND;

	g_mutex_lock(&all->lock);
	while (all->unplaced > 0)
		if (!g_cond_wait_until(&all->placed, &all->lock, until))
			break;
	g_mutex_unlock(&all->lock);
}

struct sources *sources_start(const struct config *config, struct store *store,
        struct capture *capture, bool paused, struct error *err)
{
	struct sources *all = g_new0(struct sources, 1);

	all->capture = capture;
	all->paused = paused;
	all->each = g_ptr_array_new_with_free_func(source_free);
	all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_mutex_init(&all->lock);
	g_cond_init(&all->placed);
	for (guint i = 0; i < config->sources->len; i++) {
		struct source *source = source_new(all, config->sources->pdata[i]);
		g_ptr_array_add(all->each, source);
		if (source_open(source, store, config->node, err) < 0) {
			sources_free(&all);
			return NULL;
		}
	}
	all->unplaced = all->each->len;
	for (guint i = 0; i < all->each->len; i++) {
		struct source *source = all->each->pdata[i];
		source->thread = g_thread_new("follow", source_run, source);
		log_info(source->name, "following");
	}
	sources_wait_placed(all);
	return all;
}

void sources_stop(struct sources *all)
{
	if (all == NULL)
		return;
	g_atomic_int_set(&all->stop, 1);
	eventfd_write(all->wake, 1);
	for (guint i = 0; i < all->each->len; i++) {
		struct source *source = all->each->pdata[i];
		if (source->thread != NULL)
			g_thread_join(g_steal_pointer(&source->thread));
	}
}

void sources_free(struct sources **sources)
{
	struct sources *all = *sources;

	if (all == NULL)
		return;
	sources_stop(all);
	g_ptr_array_free(all->each, TRUE);
	g_mutex_clear(&all->lock);
	g_cond_clear(&all->placed);
	close(all->wake);
	g_clear_pointer(sources, g_free);
}

void sources_pause(struct sources *sources, bool pause)
{
	g_atomic_int_set(&sources->paused, pause);
}

bool sources_at_end(struct sources *sources)
{
	for (guint i = 0; i < sources->each->len; i++) {
		struct source *source = sources->each->pdata[i];
		if (!g_atomic_int_get(&source->at_end))
			return false;
	}
	return true;
}

void sources_status(struct sources *sources, GString *out)
{
	json_key(out, "following");
	g_string_append_c(out, '[');
	for (guint i = 0; i < sources->each->len; i++) {
		struct source *source = sources->each->pdata[i];
		g_string_append(out, i > 0 ? ",{" : "{");
		json_member(out, "source", slice_str(source->name));
		json_member(out, "kind", source->follow != NULL ? SLICE("file") : SLICE("journal"));
		if (source->journal != NULL)
			json_member_int(
			        out, "untrusted", (gint64)journal_untrusted(source->journal));
		trouble_status(&source->trouble, out);
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
}
