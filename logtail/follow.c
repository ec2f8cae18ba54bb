#include "logtail/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "logtail/generation.h"
#include "logtail/position.h"
#include "logtail/rotation.h"
#include "logtail/second.h"
#include "logtail/split.h"

#define GRACE (1 * G_USEC_PER_SEC)
#define GRACE_PARTS 5 /* times longer where the last line has no newline yet */
#define POLL_MS 1000  /* where inotify does not work */
#define SCAN_ATTEMPTS 5
#define TICK (10 * 1000) /* microseconds */

/* A second's first line. Its place is worked out only when the generation is left or a position is
 * asked for. */
struct mark {
	gint64 offset;
	gboolean left; /* its generation is no longer the open one: */
	struct place place;
};

struct gap {
	gint64 from, bytes;
	char *what;
};

struct follow {
	char *path;
	char *olddir; /* or NULL */
	struct follow_hooks hooks;
	gboolean from_start;
	gint64 grace; /* microseconds */

	struct generation *generation; /* NULL: to be looked for */
	struct splitter *split;
	char *none_newer; /* listing of the rotated files, none of which is newer than generation */
	gint64 quiet_since; /* monotonic: at the end of a generation that was rotated; 0 = no */

	gboolean placed;       /* saved is valid */
	struct position saved; /* valid until a new line of `generation` has been given: */
	gboolean moved;
	gboolean again;          /* lines up to saved.at were given before the restart, from: */
	struct place again_from; /* saved.again, then behind what was given again */
	gboolean arrived;        /* `generation` is the one of saved.at */

	gboolean stamped; /* follow_stamp was called for the line at hand */
	gint64 line_offset, stamp, second;
	struct mark
	        marks[2]; /* of the latest second, and of the one before when it is next to it */
	gboolean marked;

	GArray *gaps;   /* struct gap, to be told behind the next line */
	guint64 copied; /* `generation` is a copy of this inode, truncated then; 0: it is none */
	gint64 blank;   /* so many NULs does generation begin with, as far as is known */
	gint64 nuls;    /* of the holes before the next line */

	int epoll, inotify, timer;
	int watch; /* of the file at path */
	gint64 timer_ms;
};

static void gap_clear(void *data)
{
	g_free(((struct gap *)data)->what);
}

static void follow_add_gap(struct follow *follow, gint64 bytes, char *what)
{
	struct gap gap = {.from = follow->stamp, .bytes = bytes, .what = what};

	g_array_append_val(follow->gaps, gap);
}

/* What vanished was written before now, and mostly before the line at hand. That one says nothing
 * of it where it has no stamp, or an old one: it was read before, or the clock was set back. */
static gint64 gap_end(const struct follow *follow, const struct gap *gap)
{
	if (follow->stamped && follow->stamp >= gap->from)
		return follow->stamp;
	return MAX(g_get_real_time() / 1000, gap->from);
}

static void follow_tell_gaps(struct follow *follow)
{
	for (guint i = 0; i < follow->gaps->len; i++) {
		const struct gap *gap = &g_array_index(follow->gaps, struct gap, i);
		if (follow->hooks.gap != NULL)
			follow->hooks.gap(follow->hooks.ctx, gap->from, gap_end(follow, gap),
			        gap->bytes, gap->what);
	}
	g_array_set_size(follow->gaps, 0);
}

/* Waking: one epoll descriptor over inotify and a timer. What inotify says is not looked at, only
 * that something happened: the state of the files is read anew each time, so that no event can be
 * missed. */

static void follow_wake_setup(struct follow *follow)
{
	follow->epoll = epoll_create1(EPOLL_CLOEXEC);
	follow->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	follow->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	follow->watch = -1;
	const int fds[] = {follow->inotify, follow->timer};
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		struct epoll_event event = {.events = EPOLLIN};
		if (fds[i] >= 0)
			epoll_ctl(follow->epoll, EPOLL_CTL_ADD, fds[i], &event);
	}
}

static void follow_drain(struct follow *follow)
{
	char events[4096];
	guint64 expirations;

	while (follow->inotify >= 0 && read(follow->inotify, events, sizeof(events)) > 0)
		;
	if (follow->timer >= 0 && read(follow->timer, &expirations, sizeof(expirations)) > 0)
		follow->timer_ms = 0;
}

/* Wakes once in `ms`; 0 = not at all. */
static void follow_set_timer(struct follow *follow, gint64 ms)
{
	struct itimerspec when = {
	        .it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

	if (follow->timer_ms == ms || follow->timer < 0)
		return;
	timerfd_settime(follow->timer, 0, &when, NULL);
	follow->timer_ms = ms;
}

static gboolean follow_watch_folder(struct follow *follow, const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path);

	return inotify_add_watch(follow->inotify, folder,
	               IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) >= 0;
}

/* Watches what is at the path now. TRUE when that is another file than before: it may have been
 * written to before the watch was there. */
static gboolean follow_watch(struct follow *follow)
{
	gboolean works = follow->inotify >= 0 && follow_watch_folder(follow, follow->path);
	g_autofree char *target = g_file_read_link(follow->path, NULL);
	int before = follow->watch;

	if (works && target != NULL) {
		char *real = realpath(follow->path, NULL);
		works = real != NULL && follow_watch_folder(follow, real);
		free(real);
	}
	if (works) {
		follow->watch = inotify_add_watch(follow->inotify, follow->path, IN_MODIFY);
		if (follow->watch < 0 && errno != ENOENT)
			works = FALSE;
	}
	/* The watch of a file that was renamed stays until it is deleted: it may still grow. */
	gint64 poll = works ? 0 : POLL_MS;
	if (follow->quiet_since != 0) {
		gint64 grace = follow->grace / 1000 + 1;
		poll = poll != 0 ? MIN(poll, grace) : grace;
	}
	follow_set_timer(follow, poll);
	return follow->watch >= 0 && follow->watch != before;
}

struct follow *follow_new(const char *path, struct slice position, gboolean from_start,
        const struct follow_hooks *hooks, struct error *err)
{
	struct position saved = {0};

	if (position.n > 0 && position_parse(position, &saved, err) != 0)
		return NULL;
	struct follow *follow = g_new0(struct follow, 1);
	follow->path = g_strdup(path);
	follow->hooks = *hooks;
	follow->from_start = from_start;
	follow->grace = GRACE;
	follow->split = splitter_new();
	follow->gaps = g_array_new(FALSE, FALSE, sizeof(struct gap));
	g_array_set_clear_func(follow->gaps, gap_clear);
	follow->saved = saved;
	follow->again_from = saved.again;
	follow->stamp = saved.stamp;
	follow->placed = follow->again = position.n > 0;
	follow_wake_setup(follow);
	return follow;
}

void follow_free(struct follow **follow_p)
{
	struct follow *follow = *follow_p;

	if (follow == NULL)
		return;
	const int fds[] = {follow->inotify, follow->timer, follow->epoll};
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	generation_free(&follow->generation);
	splitter_free(&follow->split);
	g_array_free(follow->gaps, TRUE);
	g_free(follow->none_newer);
	g_free(follow->path);
	g_free(follow->olddir);
	g_clear_pointer(follow_p, g_free);
}

void follow_rotated(struct follow *follow, const char *folder)
{
	g_free(follow->olddir);
	follow->olddir = g_strdup(folder);
}

void follow_grace(struct follow *follow, guint ms)
{
	follow->grace = (gint64)ms * 1000;
}

int follow_fd(const struct follow *follow)
{
	return follow->epoll;
}

static struct place mark_place(const struct follow *follow, const struct mark *mark)
{
	if (mark->left)
		return mark->place;
	/* The head is that of the generation, although it can reach behind the mark. */
	struct place place = generation_place(follow->generation, follow->split);
	place.offset = mark->offset;
	place.tail = (struct print){0};
	return place;
}

void follow_stamp(struct follow *follow, gint64 time)
{
	gint64 second = time / 1000;

	if (time <= 0)
		return;
	follow->stamped = TRUE;
	follow->stamp = time;
	enum second_turn turn = follow->marked ? second_turn(follow->second, second) : SECOND_ALONE;
	if (turn == SECOND_SAME)
		return;
	struct mark here = {.offset = follow->line_offset};
	follow->marks[1] = turn == SECOND_JOINS ? follow->marks[0] : here;
	follow->marks[0] = here;
	follow->second = second;
	follow->marked = TRUE;
}

static struct position follow_snapshot(const struct follow *follow)
{
	struct position position = follow->saved;

	if (!follow->moved)
		return position;
	position.at = generation_place(follow->generation, follow->split);
	position.again = follow->marked ? mark_place(follow, &follow->marks[1]) : position.at;
	position.mtime = follow->generation->mtime;
	position.stamp = follow->stamp;
	position.copied = follow->copied;
	return position;
}

void follow_position(const struct follow *follow, GString *out)
{
	struct position position = follow_snapshot(follow);

	if (follow->placed)
		position_format(&position, out);
}

/* Closes the open generation; what a position needs of it is kept. */
static void follow_leave(struct follow *follow)
{
	if (follow->generation == NULL)
		return;
	struct place here = generation_place(follow->generation, follow->split);
	if (here.head.n > 0)
		follow->again_from = here;
	follow->saved = follow_snapshot(follow);
	follow->moved = FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(follow->marks) && follow->marked; i++) {
		follow->marks[i].place = mark_place(follow, &follow->marks[i]);
		follow->marks[i].left = TRUE;
	}
	generation_free(&follow->generation);
	g_clear_pointer(&follow->none_newer, g_free);
	follow->quiet_since = 0;
}

/* Leaves the open generation for `next`, which it takes, and goes to `offset`. 0 or -1. */
static int follow_enter(
        struct follow *follow, struct generation *next, gint64 offset, struct error *err)
{
	struct error why = {0};

	follow_leave(follow);
	if (generation_seek(next, offset, follow->split, &why) < 0) {
		if (!next->packed) {
			error_errno(err, why.number, "cannot read %s", next->path);
			generation_free(&next);
			return -1;
		}
		/* It ends where it is damaged. */
		follow_add_gap(follow, -1, g_strdup(why.text));
	}
	follow->generation = next;
	follow->blank = 0;
	return 0;
}

static char *rotation_listing(const GPtrArray *rotation)
{
	GString *listing = g_string_new(NULL);

	for (guint i = 0; i < rotation->len; i++) {
		const struct rotated *rotated = rotation->pdata[i];
		g_string_append_printf(
		        listing, "%s/%" G_GINT64_MODIFIER "x\n", rotated->path, rotated->ino);
	}
	return g_string_free(listing, FALSE);
}

/* Whether the folder is still as it was scanned: else a file that was opened since by its name can
 * be another one, or no longer the next. */
static gboolean follow_unchanged(const struct follow *follow, const GPtrArray *rotation)
{
	g_autoptr(GPtrArray) now = rotation_scan(follow->path, follow->olddir, NULL);
	if (now == NULL)
		return FALSE;
	g_autofree char *before = rotation_listing(rotation), *after = rotation_listing(now);
	return strcmp(before, after) == 0;
}

/* Whether one is a copy of the other, or the beginning of a copy. */
static gboolean same_head(const struct generation *a, const struct generation *b)
{
	size_t n = MIN(a->head_n, b->head_n);

	return n > 0 && memcmp(a->head, b->head, n) == 0;
}

/* Where nothing was read of the log, the position is the end of the newest rotated file: what comes
 * behind it is new, whatever was renamed, compressed or written late by then. */
static void follow_anchor(struct follow *follow, const GPtrArray *rotation)
{
	struct splitter *split = splitter_new();
	gboolean found = FALSE;

	for (guint i = rotation->len; i-- > 0 && !found;) {
		const struct rotated *rotated = rotation->pdata[i];
		struct generation *last = NULL;
		if (generation_open(rotated->path, rotated->packed, &last, NULL) <= 0)
			break;
		gboolean whole = generation_seek(last, G_MAXINT64, split, NULL) >= 0;
		/* A copytruncate may be under way. */
		gboolean copy = follow->generation != NULL && same_head(last, follow->generation);
		found = whole && !copy && last->head_n > 0;
		if (found) {
			follow->saved.at = follow->saved.again = generation_place(last, split);
			follow->saved.mtime = last->mtime;
		}
		generation_free(&last);
		if (!whole)
			break;
	}
	splitter_free(&split);
}

/* The first position in the file that was opened, or where there is none. */
static void follow_first_place(struct follow *follow, const GPtrArray *rotation)
{
	const struct generation *generation = follow->generation;

	/* All that changes from now on is new; files get the time of the last tick of the kernel.
	 */
	follow->saved.mtime = g_get_real_time() - TICK;
	if (generation != NULL) {
		follow->saved.mtime = generation->mtime - 1;
		follow->saved.at.dev = generation->dev;
		follow->saved.at.ino = generation->ino;
		follow->saved.at.born = generation->born;
		follow->moved = splitter_offset(follow->split) > 0;
	}
	if (!follow->moved)
		follow_anchor(follow, rotation);
}

/* Goes back to the beginning of the line at hand. 0 or -1. */
static int follow_whole_line(struct follow *follow, struct error *err)
{
	struct slice before = splitter_before(follow->split);
	ptrdiff_t newline = slice_rchr(before, '\n');

	if (newline < 0 || (size_t)newline + 1 == before.n)
		return 0;
	gint64 offset = splitter_offset(follow->split) - (gint64)(before.n - (size_t)newline - 1);
	return generation_seek(follow->generation, offset, follow->split, err) < 0 ? -1 : 0;
}

/* The folder changed meanwhile. */
#define SEARCH_AGAIN 2

/* From the beginning, or behind the last whole line. As follow_search. */
static int follow_begin(struct follow *follow, struct error *err)
{
	g_autoptr(GPtrArray) rotation = rotation_scan(follow->path, follow->olddir, err);
	struct stat st;
	gint64 offset = 0;

	if (rotation == NULL)
		return -1;
	if (!follow->from_start && stat(follow->path, &st) == 0)
		offset = st.st_size;
	struct generation *next = NULL;
	int got = generation_open(follow->path, FALSE, &next, err);
	if (got < 0 || (got > 0 && follow_enter(follow, next, offset, err) != 0))
		return -1;
	if (got > 0 && follow_whole_line(follow, err) != 0)
		return -1;
	follow_first_place(follow, rotation);
	follow->placed = follow_unchanged(follow, rotation);
	if (follow->placed)
		return got;
	generation_free(&follow->generation);
	follow->saved = (struct position){0};
	follow->moved = FALSE;
	return SEARCH_AGAIN;
}

/* A file that holds a place. */
struct hit {
	enum holds holds;
	const char *path;
	gboolean packed;
	guint64 dev, ino;
};

/* Whether `path` is the file of the last position, by inode and birth: an inode alone can be that
 * of a deleted file used again. */
static gboolean follow_is_original(const struct follow *follow, const char *path)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) != 0 ||
	        st.stx_ino != follow->saved.at.ino)
		return FALSE;
	gint64 birth = (gint64)st.stx_btime.tv_sec * G_USEC_PER_SEC + st.stx_btime.tv_nsec / 1000;
	return (st.stx_mask & STATX_BTIME) == 0 || birth <= follow->saved.mtime;
}

/* Whether a rotated file is a copy of that of the last position: renaming keeps the inode, only
 * compression does not. Of a compressed one the original tells, as long as it is there. */
static gboolean follow_is_copy(
        const struct follow *follow, const GPtrArray *rotation, const struct hit *hit)
{
	const struct place *at = &follow->saved.at;
	int index = rotation_index(rotation, at->dev, at->ino);
	const struct rotated *same = index >= 0 ? rotation->pdata[index] : NULL;

	if (hit->ino == at->ino || !hit->packed)
		return hit->ino != at->ino;
	return follow_is_original(follow, same != NULL ? same->path : follow->path);
}

/* Looks at the log itself, then at the rotated files, newest first. 0 and *hit_r, or -1: one of
 * them cannot be read. */
static int follow_find(const struct follow *follow, const GPtrArray *rotation,
        const struct place *place, struct hit *hit_r, struct error *err)
{
	struct hit hit = {.path = follow->path};

	*hit_r = (struct hit){.holds = HOLDS_NOT};
	hit.holds = generation_holds(hit.path, FALSE, place, err);
	for (guint i = rotation->len;;) {
		if (hit.holds == HOLDS_FAILED)
			return -1;
		gboolean is_log = hit.path == follow->path;
		/* A copy may end before what was read of its original; what else has only the same
		 * beginning was cut off and written on. */
		if (hit.holds == HOLDS ||
		        (hit.holds == HOLDS_PART && hit_r->holds == HOLDS_NOT && !is_log &&
		                follow_is_copy(follow, rotation, &hit)))
			*hit_r = hit;
		if (hit.holds == HOLDS || i == 0)
			return 0;
		const struct rotated *rotated = rotation->pdata[--i];
		hit = (struct hit){.path = rotated->path,
		        .packed = rotated->packed,
		        .dev = rotated->dev,
		        .ino = rotated->ino};
		hit.holds = generation_holds(hit.path, hit.packed, place, err);
	}
}

/* Where lines are to be read again: *hit, the file of the last position, may become one before it.
 * 0 and *offset_r, or -1. */
static int follow_find_again(struct follow *follow, const GPtrArray *rotation, struct hit *hit,
        gint64 *offset_r, struct error *err)
{
	const struct place *at = &follow->saved.at, *again = &follow->again_from;
	struct hit earlier = *hit;

	if ((again->head.n != at->head.n || again->head.hash != at->head.hash) &&
	        follow_find(follow, rotation, again, &earlier, err) != 0)
		return -1;
	*offset_r = earlier.holds != HOLDS_NOT ? again->offset : 0;
	if (earlier.holds != HOLDS_NOT)
		*hit = earlier;
	return 0;
}

/* Goes on in the file that holds the last position: at it, or where lines are to be read again. As
 * follow_search. */
static int follow_resume(struct follow *follow, const GPtrArray *rotation, const struct hit *found,
        struct error *err)
{
	const struct place *at = &follow->saved.at;
	struct hit hit = *found;
	gint64 offset = at->offset;

	if (follow->again && follow_find_again(follow, rotation, &hit, &offset, err) != 0)
		return -1;
	gboolean arrived = strcmp(hit.path, found->path) == 0;
	struct generation *next = NULL;
	int got = generation_open(hit.path, hit.packed, &next, err);
	if (got < 0)
		return -1;
	if (got == 0)
		return SEARCH_AGAIN;
	/* It may have been renamed or truncated since it was looked at. */
	enum holds want = arrived ? found->holds : hit.holds;
	if ((!hit.packed &&
	            generation_has(next, arrived ? at : &follow->again_from, NULL) != want) ||
	        !follow_unchanged(follow, rotation)) {
		generation_free(&next);
		return SEARCH_AGAIN;
	}
	if (follow_enter(follow, next, offset, err) != 0)
		return -1;
	follow->arrived = arrived;
	follow->copied = found->path != follow->path && follow_is_copy(follow, rotation, found)
	                         ? at->ino
	                         : follow->saved.copied;
	return 1;
}

/* The first rotated file that was written to after `mtime`, or -1. Some compressors keep only whole
 * seconds. */
static int rotation_after(const GPtrArray *rotation, gint64 mtime)
{
	for (guint i = 0; i < rotation->len; i++) {
		const struct rotated *rotated = rotation->pdata[i];
		gboolean cut = rotated->packed && rotated->mtime % G_USEC_PER_SEC == 0;
		if (rotated->mtime + (cut ? G_USEC_PER_SEC - 1 : 0) > mtime)
			return (int)i;
	}
	return -1;
}

/* Whether a place of which nothing was read can have held lines that are now in a file before
 * `hit`: that was found by its inode, and may have been copied and truncated. One that was only
 * copied begins as its copies do. */
static gboolean follow_passed_over(
        const struct follow *follow, const GPtrArray *rotation, const struct hit *hit)
{
	int first = rotation_after(rotation, follow->saved.mtime);

	if (follow->saved.at.head.n > 0 || first < 0)
		return FALSE;
	if (hit->path != follow->path)
		return first < rotation_index(rotation, hit->dev, hit->ino);
	for (guint i = (guint)first; i < rotation->len; i++) {
		const struct rotated *rotated = rotation->pdata[i];
		if (generation_begins_as(follow->path, rotated->path, rotated->packed) != 1)
			return TRUE;
	}
	return FALSE;
}

static gboolean rotation_has_packed(const GPtrArray *rotation, guint first)
{
	for (guint i = first; i < rotation->len; i++)
		if (((const struct rotated *)rotation->pdata[i])->packed)
			return TRUE;
	return FALSE;
}

/* Tells what is lost when the last position is in no file; `first` of `rotation` is what is gone on
 * with, -1 the log. */
static void follow_tell_vanished(struct follow *follow, const GPtrArray *rotation, int first)
{
	const struct place *at = &follow->saved.at;
	const struct rotated *rotated = first >= 0 ? rotation->pdata[first] : NULL;

	if (at->head.n > 0)
		follow_add_gap(follow, -1,
		        g_strdup_printf(
		                "%s was truncated or deleted, and no rotated file holds what "
		                "came behind its byte %" G_GINT64_FORMAT,
		                follow->path, at->offset));
	else if (at->ino != 0 && (first < 0 || !rotation_has_packed(rotation, (guint)first)))
		follow_add_gap(follow, -1,
		        g_strdup_printf("%s was renamed or deleted before anything was read of it, "
		                        "and is not found again",
		                follow->path));
	/* What was compressed has lost its inode. The oldest is deleted first: where an older one
	 * is still there the first since then is it. */
	else if (at->ino != 0 && (first == 0 || !rotated->packed))
		follow_add_gap(follow, 0,
		        g_strdup_printf("%s was rotated before anything was read of it: whether "
		                        "anything was deleted before %s cannot be seen",
		                follow->path, rotated->path));
}

/* Goes on with what is newer than the last position: it is in no file any more (`vanished`), or its
 * file was copied and truncated. */
static int follow_restart(
        struct follow *follow, const GPtrArray *rotation, gboolean vanished, struct error *err)
{
	int first = rotation_after(rotation, follow->saved.mtime);
	int same = rotation_index(rotation, follow->saved.at.dev, follow->saved.at.ino);
	const struct rotated *rotated = same >= 0 ? rotation->pdata[same] : NULL;

	/* Truncated, written anew, and then renamed. A compressed one has only got that inode. */
	if (rotated != NULL && !rotated->packed && (first < 0 || same < first))
		first = same;
	rotated = first >= 0 ? rotation->pdata[first] : NULL;
	struct generation *next = NULL;
	int got = rotated != NULL ? generation_open(rotated->path, rotated->packed, &next, err)
	                          : generation_open(follow->path, FALSE, &next, err);
	if (got <= 0)
		return got;
	if (!follow_unchanged(follow, rotation)) {
		generation_free(&next);
		return SEARCH_AGAIN;
	}
	if (follow_enter(follow, next, 0, err) != 0)
		return -1;
	follow->again = FALSE;
	follow->copied = 0;
	if (vanished)
		follow_tell_vanished(follow, rotation, first);
	return 1;
}

/* Opens the file to go on with: 1; 0 when there is none yet; SEARCH_AGAIN; -1. A rotation can be
 * under way while the folder is read: "nowhere" counts only when the folder was the same twice. */
static int follow_search(struct follow *follow, struct error *err)
{
	g_autofree char *before = NULL;

	if (!follow->placed)
		return follow_begin(follow, err);
	for (int i = 0;; i++) {
		g_autoptr(GPtrArray) rotation = rotation_scan(follow->path, follow->olddir, err);
		struct hit hit;
		if (rotation == NULL ||
		        follow_find(follow, rotation, &follow->saved.at, &hit, err) != 0)
			return -1;
		if (hit.holds != HOLDS_NOT && !follow_passed_over(follow, rotation, &hit))
			return follow_resume(follow, rotation, &hit, err);
		char *listing = rotation_listing(rotation);
		gboolean same = g_strcmp0(before, listing) == 0;
		g_free(before);
		before = listing;
		if (same || i == SCAN_ATTEMPTS)
			return follow_restart(follow, rotation, hit.holds == HOLDS_NOT, err);
	}
}

/* Index of the rotated file that the open one has become, or -1. */
static int follow_index(const struct follow *follow, const GPtrArray *rotation)
{
	const struct generation *generation = follow->generation;
	struct place place = generation_place(generation, follow->split);
	int index = rotation_index(rotation, generation->dev, generation->ino);

	/* An empty one has nothing to be known by; what was read before it has. */
	if (place.head.n == 0 && (!follow->again || follow->arrived))
		place = follow->saved.at;
	/* It may have been compressed or copied since it was opened, or is being copied. */
	for (int i = (int)rotation->len - 1; index < 0 && i >= 0 && place.head.n > 0; i--) {
		const struct rotated *rotated = rotation->pdata[i];
		enum holds holds = generation_holds(rotated->path, rotated->packed, &place, NULL);
		if (holds == HOLDS || (holds == HOLDS_PART && !rotated->packed))
			index = i;
	}
	return index;
}

/* Index of the rotated file that was begun after the open one was left, or -1: that is the log. */
static int follow_next(struct follow *follow, const GPtrArray *rotation)
{
	char *listing = rotation_listing(rotation);
	gboolean known = g_strcmp0(listing, follow->none_newer) == 0;

	g_free(follow->none_newer);
	follow->none_newer = listing;
	if (known)
		return -1;
	int index = follow_index(follow, rotation);
	int next = index < 0 ? rotation_after(rotation, follow->generation->mtime)
	           : index + 1 < (int)rotation->len ? index + 1
	                                            : -1;
	if (next >= 0)
		g_clear_pointer(&follow->none_newer, g_free);
	return next;
}

/* Whether the open file, no longer the log, has not grown for long enough. */
static gboolean follow_quiet(struct follow *follow)
{
	gboolean part = splitter_end(follow->split) > splitter_offset(follow->split);
	gint64 now = g_get_monotonic_time();

	if (follow->quiet_since == 0)
		follow->quiet_since = now;
	return follow->generation->packed || follow->copied != 0 ||
	       now - follow->quiet_since >= follow->grace * (part ? GRACE_PARTS : 1);
}

/* Goes from the open generation, read to its end, to the one after it, which it takes. 0 or -1. */
static int follow_step(
        struct follow *follow, struct generation *next, gboolean is_log, struct error *err)
{
	gboolean again = follow->again && !follow->arrived;
	enum holds holds = HOLDS_NOT;

	if (again)
		holds = generation_holds(next->path, next->packed, &follow->saved.at, err);
	if (holds == HOLDS_FAILED) {
		generation_free(&next);
		return -1;
	}
	if (follow_enter(follow, next, 0, err) != 0)
		return -1;
	follow->arrived = holds != HOLDS_NOT;
	follow->again = again && (follow->arrived || !is_log);
	if (follow->copied == 0 || follow->again)
		return 0;
	follow_add_gap(follow, 0,
	        g_strdup_printf("%s was copied, and truncated or deleted: what was written in "
	                        "between cannot be seen",
	                follow->path));
	/* Else it is the next copy of the same file. */
	if (is_log || next->packed || next->ino == follow->copied)
		follow->copied = 0;
	return 0;
}

static gboolean follow_is_again(const struct follow *follow, const struct split_line *line)
{
	return follow->again && !(follow->arrived && line->end > follow->saved.at.offset);
}

/* A hole is told with the line behind it, so until then the position stays before it. At offset 0
 * it is no loss but what a writer without O_APPEND leaves of a file that was truncated. */
static void follow_skip_hole(struct follow *follow, const struct split_line *line)
{
	follow->saved = follow_snapshot(follow);
	follow->moved = FALSE;
	if (line->offset == follow->blank)
		follow->blank = line->end;
	else if (!follow_is_again(follow, line))
		follow->nuls += line->end - line->offset;
	splitter_take(follow->split);
}

static void follow_tell(struct follow *follow)
{
	if (follow->nuls > 0)
		follow_add_gap(follow, follow->nuls,
		        g_strdup_printf("%s holds NUL bytes instead of text", follow->path));
	follow->nuls = 0;
	if (follow->gaps->len > 0)
		follow_tell_gaps(follow);
}

static int follow_give(struct follow *follow, const struct split_line *line)
{
	gboolean again = follow_is_again(follow, line);
	struct follow_line given = {.text = line->text, .offset = line->offset, .again = again};
	gint64 before = follow->stamp;

	follow->again = again;
	follow->stamped = FALSE;
	follow->line_offset = line->offset;
	if (follow->hooks.line(follow->hooks.ctx, &given) != 0) {
		follow->stamp = before;
		return -1;
	}
	splitter_take(follow->split);
	if (again)
		return 0;
	follow->moved = TRUE;
	follow_tell(follow);
	return 0;
}

/* Gives the whole lines at hand. -1: the hook said stop, or it was enough. */
static int follow_give_all(struct follow *follow, unsigned *left)
{
	struct split_line line;

	while (splitter_peek(follow->split, &line)) {
		if (line.hole) {
			follow_skip_hole(follow, &line);
			continue;
		}
		if (*left == 0 || follow_give(follow, &line) != 0)
			return -1;
		(*left)--;
	}
	return 0;
}

enum advance {
	ADVANCE_FAILED,
	ADVANCE_WAIT,
	ADVANCE_STOP, /* the hook said so, or the folder changed meanwhile */
	ADVANCE_DONE,
};

/* Leaves the open file, whose last line may have no newline, for `next`, which it takes. */
static enum advance follow_go_on(
        struct follow *follow, struct generation *next, gboolean is_log, struct error *err)
{
	const struct place place = generation_place(follow->generation, follow->split);
	struct split_line rest;
	int failed;

	if (is_log && generation_has(next, &place, NULL) == HOLDS) {
		/* The open one is the copy of a copytruncate that has not truncated yet. */
		failed = follow_enter(follow, next, place.offset, err);
		follow->copied = 0;
		return failed ? ADVANCE_FAILED : ADVANCE_DONE;
	}
	if (splitter_peek_rest(follow->split, &rest) && !rest.hole &&
	        follow_give(follow, &rest) != 0) {
		generation_free(&next);
		return ADVANCE_STOP;
	}
	failed = follow_step(follow, next, is_log, err);
	return failed ? ADVANCE_FAILED : ADVANCE_DONE;
}

/* Opens what comes after the open file: a rotated one or (NULL) the log. */
static enum advance follow_open_next(struct follow *follow, const GPtrArray *rotation,
        const struct rotated *rotated, struct error *err)
{
	const char *path = rotated != NULL ? rotated->path : follow->path;
	struct generation *next = NULL;
	int got = generation_open(path, rotated != NULL && rotated->packed, &next, err);

	if (got < 0)
		return ADVANCE_FAILED;
	if (got == 0 || !follow_unchanged(follow, rotation) ||
	        (rotated == NULL && next->head_n == 0)) {
		generation_free(&next);
		return ADVANCE_STOP;
	}
	return follow_go_on(follow, next, rotated == NULL, err);
}

/* At the end of the open file: waits, or goes on with the next. */
static enum advance follow_advance(struct follow *follow, struct error *err)
{
	const struct generation *generation = follow->generation;
	struct stat st;
	gboolean there = stat(follow->path, &st) == 0;

	if (!there && errno != ENOENT && errno != ENOTDIR) {
		error_errno(err, errno, "cannot look at %s", follow->path);
		return ADVANCE_FAILED;
	}
	if (there && st.st_ino == generation->ino && st.st_dev == generation->dev) {
		follow->quiet_since = 0;
		return ADVANCE_WAIT;
	}
	g_autoptr(GPtrArray) rotation = rotation_scan(follow->path, follow->olddir, err);
	if (rotation == NULL)
		return ADVANCE_FAILED;
	int next = follow_next(follow, rotation);
	if (next < 0 && there && generation_is_file(follow->path, st.st_mode, err) < 0)
		return ADVANCE_FAILED;
	if (next < 0 && (!there || st.st_size == 0 || !follow_quiet(follow)))
		return ADVANCE_WAIT;
	return follow_open_next(follow, rotation, next >= 0 ? rotation->pdata[next] : NULL, err);
}

/* Whether a file of which too few bytes were read at `mtime` to tell it from another was rotated by
 * copytruncate since then. */
static gboolean follow_missed_copy(const struct follow *follow, gint64 mtime)
{
	if (follow->generation->packed || follow->generation->mtime == mtime)
		return FALSE;
	g_autoptr(GPtrArray) rotation = rotation_scan(follow->path, follow->olddir, NULL);
	return rotation != NULL && rotation_after(rotation, mtime) >= 0;
}

static enum fill follow_fill(struct follow *follow, struct error *err)
{
	gboolean young = !follow->moved && splitter_end(follow->split) < PRINT_MAX;
	gint64 mtime = follow->generation->mtime;
	enum fill fill = generation_fill(follow->generation, follow->split, err);

	if ((fill == FILL_MORE || fill == FILL_END) && young && follow_missed_copy(follow, mtime))
		return FILL_CUT;
	return fill;
}

static enum advance follow_read_on(struct follow *follow, struct error *err)
{
	struct error damage = {0};
	enum fill fill = follow_fill(follow, &damage);

	if (fill == FILL_MORE) {
		follow->quiet_since = 0;
		return ADVANCE_DONE;
	}
	if (fill == FILL_CUT) {
		follow_leave(follow);
		return ADVANCE_DONE;
	}
	if (fill == FILL_FAILED && !follow->generation->packed) {
		error_errno(err, damage.number, "cannot read %s", follow->generation->path);
		return ADVANCE_FAILED;
	}
	if (fill == FILL_FAILED)
		follow_add_gap(follow, -1, g_strdup(damage.text));
	return follow_advance(follow, err);
}

int follow_run(struct follow *follow, unsigned max_lines, struct error *err)
{
	unsigned left = max_lines;
	enum advance advance = ADVANCE_DONE;

	follow_drain(follow);
	while (advance == ADVANCE_DONE) {
		int got = follow->generation != NULL ? 1 : follow_search(follow, err);
		if (got == SEARCH_AGAIN)
			return 1;
		if (got > 0 && follow_give_all(follow, &left) != 0)
			return 1;
		if (got > 0)
			advance = follow_read_on(follow, err);
		else
			advance = got == 0 ? ADVANCE_WAIT : ADVANCE_FAILED;
	}
	if (advance == ADVANCE_STOP)
		return 1;
	if (advance == ADVANCE_FAILED) {
		follow_set_timer(follow, POLL_MS);
		return -1;
	}
	return follow_watch(follow) ? 1 : 0;
}
