#include "logtail/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "logtail/history.h"

static gint64 mtime_of(const struct stat *st)
{
	return (gint64)st->st_mtim.tv_sec * G_USEC_PER_SEC + st->st_mtim.tv_nsec / 1000;
}

static gint64 birth_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) != 0 || (st.stx_mask & STATX_BTIME) == 0)
		return 0;
	return (gint64)st.stx_btime.tv_sec * G_USEC_PER_SEC + st.stx_btime.tv_nsec / 1000;
}

static ssize_t read_at(int fd, char *bytes, size_t n, gint64 offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, bytes + got, n - got, offset + (gint64)got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* Bytes that come in order, while the head is not complete. */
static void generation_see(
        struct generation *generation, gint64 offset, const char *bytes, size_t n)
{
	if (offset >= PRINT_MAX)
		return;
	n = MIN(n, (size_t)(PRINT_MAX - offset));
	memcpy(generation->head + offset, bytes, n);
	generation->head_n = MAX(generation->head_n, (size_t)offset + n);
}

int generation_is_file(const char *path, mode_t mode, struct error *err)
{
	if (S_ISREG(mode))
		return 0;
	return error_set(err,
	        "%s is %s and no regular file: nothing is read of it, let the "
	        "syslog write to a file",
	        path,
	        S_ISDIR(mode)    ? "a directory"
	        : S_ISFIFO(mode) ? "a FIFO"
	        : S_ISSOCK(mode) ? "a socket"
	                         : "a device");
}

/* Not opened: whoever writes to a FIFO would take us for its reader. */
static int generation_look(const char *path, struct error *err)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : generation_is_file(path, st.st_mode, err);
}

static int generation_open_plain(struct generation *generation, struct error *err)
{
	if (generation_look(generation->path, err) < 0)
		return -1;
	/* Not blocking: it may be a FIFO by now. */
	generation->fd = open(generation->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (generation->fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return error_errno(err, errno, "cannot open %s", generation->path);
	}
	ssize_t n = read_at(generation->fd, generation->head, PRINT_MAX, 0);
	/* generation_open knows better of what is no file. */
	generation->head_n = n > 0 ? (size_t)n : 0;
	if (n < 0 && errno != EISDIR && errno != ESPIPE)
		return error_errno(err, errno, "cannot read %s", generation->path);
	return 1;
}

static int generation_open_packed(struct generation *generation, struct error *err)
{
	struct error why = {0};

	generation->history = history_open(generation->path, &why);
	if (generation->history != NULL) {
		generation->fd = history_fd(generation->history);
		return 1;
	}
	if (why.number == ENOENT || why.number == ENOTDIR)
		return 0;
	return error_set(err, "%s", why.text);
}

int generation_open(
        const char *path, gboolean packed, struct generation **generation_r, struct error *err)
{
	struct generation *generation = g_new0(struct generation, 1);
	struct stat st;

	generation->fd = -1;
	generation->path = g_strdup(path);
	generation->packed = packed;
	int got = packed ? generation_open_packed(generation, err)
	                 : generation_open_plain(generation, err);
	if (got > 0 && fstat(generation->fd, &st) != 0)
		got = error_errno(err, errno, "cannot stat %s", path);
	if (got > 0 && generation_is_file(path, st.st_mode, err) < 0)
		got = -1;
	if (got <= 0) {
		generation_free(&generation);
		return got;
	}
	generation->dev = st.st_dev;
	generation->ino = st.st_ino;
	generation->born = birth_of(generation->fd);
	generation->mtime = mtime_of(&st);
	*generation_r = generation;
	return 1;
}

void generation_free(struct generation **generation)
{
	if (*generation == NULL)
		return;
	if ((*generation)->history != NULL)
		history_close(&(*generation)->history);
	else if ((*generation)->fd >= 0)
		close((*generation)->fd);
	g_free((*generation)->path);
	g_clear_pointer(generation, g_free);
}

static gboolean head_fits(const struct generation *generation, struct print head)
{
	struct slice bytes = slice_make(generation->head, (size_t)head.n);

	return generation->head_n >= bytes.n && print_make(bytes).hash == head.hash;
}

/* Unpacks up to *offset, keeping the last bytes in *before. 1; 0 when it ends before, or begins
 * with another head (NULL: any); -1. *offset is how far it came. */
static int generation_skip(struct generation *generation, gint64 *offset, const struct print *head,
        GString *before, struct error *err)
{
	g_autofree char *block = g_malloc(SPLIT_BLOCK);
	const gint64 goal = *offset;

	for (gint64 at = *offset = 0; at < goal; *offset = at) {
		size_t want = (size_t)MIN(goal - at, SPLIT_BLOCK);
		ssize_t n = history_block(generation->history, block, want, err);
		if (n <= 0)
			return (int)n;
		generation_see(generation, at, block, (size_t)n);
		if (head != NULL && at <= head->n && at + n >= head->n &&
		        !head_fits(generation, *head))
			return 0;
		at += n;
		g_string_append_len(before, block, n);
		if (before->len > PRINT_MAX)
			g_string_erase(before, 0, (gssize)(before->len - PRINT_MAX));
	}
	return 1;
}

/* Reads the bytes before `offset` into *before. 1; 0 when it ends before, and *offset is its end;
 * -1. */
static int generation_look_back(
        struct generation *generation, gint64 *offset, GString *before, struct error *err)
{
	char bytes[PRINT_MAX];
	struct stat st;

	if (fstat(generation->fd, &st) != 0)
		return error_errno(err, errno, "cannot stat %s", generation->path);
	int whole = st.st_size >= *offset;
	*offset = MIN(*offset, st.st_size);
	size_t want = (size_t)MIN(*offset, PRINT_MAX);
	ssize_t n = read_at(generation->fd, bytes, want, *offset - (gint64)want);
	if (n < 0)
		return error_errno(err, errno, "cannot read %s", generation->path);
	if ((size_t)n == want)
		g_string_append_len(before, bytes, n);
	return whole;
}

static int seek(struct generation *generation, gint64 offset, const struct print *head,
        struct splitter *split, struct error *err)
{
	g_autoptr(GString) before = g_string_new(NULL);
	gint64 end = offset;
	int got = generation->packed ? generation_skip(generation, &end, head, before, err)
	                             : generation_look_back(generation, &end, before, err);

	splitter_reset(split, end, slice_make(before->str, before->len));
	return got;
}

int generation_seek(
        struct generation *generation, gint64 offset, struct splitter *split, struct error *err)
{
	return seek(generation, offset, NULL, split, err);
}

/* One read gives the new bytes together with some before them: were those changed, then the file
 * was truncated and has grown again, however fast. */
static ssize_t generation_read_plain(
        struct generation *generation, struct splitter *split, char *room, gboolean *same_r)
{
	char again[SPLIT_KEEP];
	struct slice last = splitter_last(split);
	struct iovec parts[] = {{again, last.n}, {room, SPLIT_BLOCK}};
	ssize_t n;

	do {
		n = preadv(generation->fd, parts, 2, splitter_end(split) - (gint64)last.n);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	*same_r = n >= (ssize_t)last.n && slice_eq(last, slice_make(again, last.n));
	return n - (ssize_t)last.n;
}

/* Whether the first bytes are still those that were there when the file was opened. */
static gboolean generation_same_head(
        const struct generation *generation, const char *bytes, size_t n)
{
	size_t known = generation->head_n;

	return n >= known && memcmp(bytes, generation->head, known) == 0;
}

static enum fill generation_fill_plain(
        struct generation *generation, struct splitter *split, char *room, ssize_t *n_r)
{
	gint64 offset = splitter_end(split);
	gboolean same = TRUE;
	struct stat st;

	if (fstat(generation->fd, &st) != 0)
		return FILL_FAILED;
	*n_r = generation_read_plain(generation, split, room, &same);
	if (same && *n_r < 0)
		return FILL_FAILED;
	if (offset == 0)
		same = generation_same_head(generation, room, (size_t)*n_r);
	/* Where no byte before is at hand to compare with, the size must do. */
	if (!same || st.st_size < offset)
		return FILL_CUT;
	generation->mtime = mtime_of(&st);
	return *n_r > 0 ? FILL_MORE : FILL_END;
}

enum fill generation_fill(struct generation *generation, struct splitter *split, struct error *err)
{
	char *room = splitter_room(split);
	gint64 offset = splitter_end(split);
	enum fill fill;
	ssize_t n = 0;

	if (generation->packed) {
		n = history_block(generation->history, room, SPLIT_BLOCK, err);
		fill = n > 0 ? FILL_MORE : n == 0 ? FILL_END : FILL_FAILED;
	} else {
		fill = generation_fill_plain(generation, split, room, &n);
		if (fill == FILL_FAILED)
			error_errno(err, errno, "cannot read %s", generation->path);
	}
	if (fill == FILL_MORE) {
		generation_see(generation, offset, room, (size_t)n);
		splitter_fed(split, (size_t)n);
	}
	return fill;
}

static gboolean tail_fits(const struct splitter *split, struct print tail)
{
	struct slice before = splitter_before(split);

	if (tail.n == 0 || (gint64)before.n < tail.n)
		return tail.n == 0;
	return print_make(slice_from(before, before.n - (size_t)tail.n)).hash == tail.hash;
}

/* Inodes are used again and devices numbered anew: both times of birth decide where they are known.
 */
static gboolean is_file(const struct generation *generation, const struct place *place)
{
	if (generation->packed || place->ino == 0 || generation->ino != place->ino)
		return FALSE;
	if (generation->born != 0 && place->born != 0)
		return generation->born == place->born;
	return generation->dev == place->dev;
}

static enum holds has_place(struct generation *generation, const struct place *place,
        struct splitter *split, struct error *err)
{
	if (place->head.n == 0)
		return is_file(generation, place) ? HOLDS : HOLDS_NOT;
	if (!generation->packed && !head_fits(generation, place->head))
		return HOLDS_NOT;
	/* A damaged archive holds what can be read of it. */
	gint64 reach = MAX(place->offset, place->head.n);
	int got = seek(generation, reach, &place->head, split, generation->packed ? NULL : err);
	if (got < 0 && !generation->packed)
		return HOLDS_FAILED;
	if (!head_fits(generation, place->head))
		return HOLDS_NOT;
	if (got <= 0)
		return HOLDS_PART;
	return tail_fits(split, place->tail) ? HOLDS : HOLDS_NOT;
}

enum holds generation_has(
        struct generation *generation, const struct place *place, struct error *err)
{
	struct splitter *split = splitter_new();
	enum holds holds = has_place(generation, place, split, err);

	splitter_free(&split);
	return holds;
}

enum holds generation_holds(
        const char *path, gboolean packed, const struct place *place, struct error *err)
{
	struct generation *generation = NULL;
	int got = generation_open(path, packed, &generation, err);

	if (got <= 0)
		return got < 0 ? HOLDS_FAILED : HOLDS_NOT;
	enum holds holds = generation_has(generation, place, err);
	generation_free(&generation);
	return holds;
}

int generation_begins_as(const char *path, const char *copy, gboolean packed)
{
	struct generation *whole = NULL, *part = NULL;
	struct splitter *split = splitter_new();
	int begins = -1;

	/* The copy first: what is copied can grow meanwhile. */
	if (generation_open(copy, packed, &part, NULL) > 0 &&
	        (generation_seek(part, PRINT_MAX, split, NULL) >= 0 || part->head_n > 0) &&
	        generation_open(path, FALSE, &whole, NULL) > 0)
		begins = whole->head_n >= part->head_n &&
		         memcmp(whole->head, part->head, part->head_n) == 0;
	generation_free(&whole);
	generation_free(&part);
	splitter_free(&split);
	return begins;
}

gboolean generation_is_noise(const char *path)
{
	struct generation *generation = NULL;
	size_t controls = 0;

	if (generation_open(path, FALSE, &generation, NULL) <= 0)
		return FALSE;
	for (size_t i = 0; i < generation->head_n; i++) {
		guchar c = (guchar)generation->head[i];
		controls += (c > 0 && c < '\t') || (c > '\r' && c < ' ');
	}
	/* Of random bytes one in ten. NUL bytes are what a writer without O_APPEND leaves. */
	gboolean noise = generation->head_n == PRINT_MAX && controls > PRINT_MAX / 20;
	generation_free(&generation);
	return noise;
}

struct place generation_place(const struct generation *generation, const struct splitter *split)
{
	struct place place = {.dev = generation->dev,
	        .ino = generation->ino,
	        .born = generation->born,
	        .offset = splitter_offset(split)};
	size_t n = (size_t)MIN(place.offset, (gint64)generation->head_n);

	place.head = print_make(slice_make(generation->head, n));
	place.tail = print_make(splitter_before(split));
	return place;
}
