#include "logtail/history.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "logtail/gunzip.h"
#include "logtail/split.h"
#include "logtail/syslog.h"

#define PEEK 8              /* bytes that tell the kind of a file */
#define PACKED_BLOCK 131072 /* compressed bytes read at once */
#define SORT_LINES 200      /* so many lines are looked at for a first stamp */

struct history {
	char *name;
	int fd;
	gboolean at_end;
	struct archive *archive; /* it, gunzip or, for plain text, none */
	struct gunzip *gunzip;   /* libarchive does not look at the CRC of gzip */
	gboolean trusting;       /* gzip is not checked before it is read */
	char *damage;            /* why it cannot be unpacked further */
	const char *block;       /* unpacked by libarchive, not given yet */
	size_t block_n;
	struct splitter *split; /* made by the first history_line */
	guint64 bytes_read;
	char first[PEEK]; /* read from fd already, given before all else */
	size_t first_n, first_given;
	char packed[PACKED_BLOCK];
};

/* How the files begin that are unpacked. Not all that libarchive knows: its uuencode and rpm
 * filters would look into plain text. */
static const struct magic {
	const char *bytes;
	size_t n;
	int (*support)(struct archive *archive);
} magics[] = {
        {"BZh", 3, archive_read_support_filter_bzip2},
        {"\xfd"
         "7zXZ",
                5, archive_read_support_filter_xz},
        {"\x28\xb5\x2f\xfd", 4, archive_read_support_filter_zstd},
        {"\x04\x22\x4d\x18", 4, archive_read_support_filter_lz4},
        {"LZIP", 4, archive_read_support_filter_lzip},
        {"\x1f\x9d", 2, archive_read_support_filter_compress},
        {"\x5d\x00\x00", 3, archive_read_support_filter_lzma},
};

static ssize_t history_read(void *ctx, char *block, size_t size, struct error *err)
{
	struct history *history = ctx;

	if (history->first_given < history->first_n) {
		size_t n = MIN(size, history->first_n - history->first_given);
		memcpy(block, history->first + history->first_given, n);
		history->first_given += n;
		return (ssize_t)n;
	}
	ssize_t n;
	do {
		n = read(history->fd, block, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "cannot read %s", history->name);
	history->bytes_read += (guint64)n;
	return n;
}

static la_ssize_t history_feed(struct archive *archive, void *ctx, const void **block_r)
{
	struct history *history = ctx;
	struct error err = {0};
	ssize_t n = history_read(history, history->packed, sizeof(history->packed), &err);

	*block_r = history->packed;
	if (n < 0)
		archive_set_error(archive, err.number, "%s", err.text);
	return n;
}

static int history_fail(struct history *history, struct error *err)
{
	history->at_end = TRUE;
	return error_set(err, "%s is damaged: %s", history->name, history->damage);
}

/* Damage is told by the first block, like damage further on. */
static void history_damaged(struct history *history, const char *why)
{
	if (why == NULL)
		why = archive_error_string(history->archive);
	history->damage = g_strdup(why != NULL ? why : "cannot be unpacked");
}

static void history_unpack(struct history *history, const struct magic *magic)
{
	struct archive_entry *entry;

	history->archive = archive_read_new();
	/* ARCHIVE_WARN: an external program would have to do it. */
	if (magic->support(history->archive) != ARCHIVE_OK) {
		history_damaged(history, "libarchive was built without this format");
		return;
	}
	archive_read_support_format_raw(history->archive);
	archive_read_support_format_empty(history->archive);
	if (archive_read_open(history->archive, history, NULL, history_feed, NULL) != ARCHIVE_OK) {
		history_damaged(history, NULL);
		return;
	}
	int got = archive_read_next_header(history->archive, &entry);
	if (got == ARCHIVE_EOF)
		history->at_end = TRUE;
	else if (got != ARCHIVE_OK)
		history_damaged(history, NULL);
	/* "BZh" can begin a text, the others cannot. */
	else if (archive_filter_code(history->archive, 0) == ARCHIVE_FILTER_NONE &&
	         !g_ascii_isprint(magic->bytes[0]))
		history_damaged(history, "its header is cut or broken");
}

static void history_gunzip(struct history *history, gint64 start)
{
	struct stat st;
	gboolean again = !history->trusting && start >= 0 && fstat(history->fd, &st) == 0 &&
	                 S_ISREG(st.st_mode);

	history->gunzip = gunzip_new(history_read, history, again ? history->fd : -1, start);
}

/* A pipe may give fewer bytes than were asked for. */
static int history_look(struct history *history, struct error *err)
{
	const off_t start = lseek(history->fd, 0, SEEK_CUR); /* -1: a pipe */

	while (history->first_n < PEEK) {
		ssize_t n = read(
		        history->fd, history->first + history->first_n, PEEK - history->first_n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", history->name);
		if (n == 0)
			break;
		history->first_n += (size_t)n;
	}
	history->bytes_read = history->first_n;
	struct slice first = slice_make(history->first, history->first_n);
	if (slice_starts(first, SLICE("\x1f\x8b")))
		history_gunzip(history, start);
	for (size_t i = 0; i < G_N_ELEMENTS(magics); i++)
		if (slice_starts(first, slice_make(magics[i].bytes, magics[i].n)))
			history_unpack(history, &magics[i]);
	return 0;
}

static struct history *open_history(const char *path, gboolean trusting, struct error *err)
{
	gboolean input = strcmp(path, "-") == 0;
	int fd = input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		error_errno(err, errno, "cannot open %s", input ? "standard input" : path);
		return NULL;
	}
	struct history *history = g_new0(struct history, 1);
	history->name = g_strdup(input ? "standard input" : path);
	history->fd = fd;
	history->trusting = trusting;
	if (history_look(history, err) != 0)
		history_close(&history);
	return history;
}

struct history *history_open(const char *path, struct error *err)
{
	return open_history(path, FALSE, err);
}

void history_close(struct history **history)
{
	if (*history == NULL)
		return;
	if ((*history)->archive != NULL)
		archive_read_free((*history)->archive);
	gunzip_free(&(*history)->gunzip);
	splitter_free(&(*history)->split);
	close((*history)->fd);
	g_free((*history)->damage);
	g_free((*history)->name);
	g_clear_pointer(history, g_free);
}

static ssize_t block_of_gzip(struct history *history, char *block, size_t size, struct error *err)
{
	struct error why = {0};
	ssize_t n = gunzip_block(history->gunzip, block, size, &why);

	if (n >= 0)
		return n;
	history_damaged(history, why.text);
	return history_fail(history, err);
}

ssize_t history_block(struct history *history, char *block, size_t size, struct error *err)
{
	if (history->at_end)
		return 0;
	if (history->gunzip != NULL)
		return block_of_gzip(history, block, size, err);
	if (history->archive == NULL)
		return history_read(history, block, size, err);
	if (history->damage != NULL)
		return history_fail(history, err);
	/* Not archive_read_data: it forgets what it has unpacked when an error comes behind it. */
	while (history->block_n == 0) {
		la_int64_t offset;
		const void *bytes;
		int got = archive_read_data_block(
		        history->archive, &bytes, &history->block_n, &offset);
		history->block = bytes;
		if (got == ARCHIVE_OK)
			continue;
		history->block_n = 0;
		history->at_end = TRUE;
		if (got == ARCHIVE_EOF)
			return 0;
		history_damaged(history, NULL);
		return history_fail(history, err);
	}
	size_t n = MIN(size, history->block_n);
	memcpy(block, history->block, n);
	history->block += n;
	history->block_n -= n;
	return (ssize_t)n;
}

int history_line(struct history *history, struct slice *line_r, gint64 *offset_r, struct error *err)
{
	struct split_line line;
	ssize_t n = 1;

	if (history->split == NULL)
		history->split = splitter_new();
	splitter_take(history->split);
	for (;;) {
		while (!splitter_peek(history->split, &line)) {
			n = history_block(history, splitter_room(history->split), SPLIT_BLOCK, err);
			if (n <= 0)
				break;
			splitter_fed(history->split, (size_t)n);
		}
		if (n < 0)
			return -1;
		if (n == 0 && !splitter_peek_rest(history->split, &line))
			return 0;
		if (!line.hole)
			break;
		splitter_take(history->split);
	}
	*line_r = line.text;
	*offset_r = line.offset;
	return 1;
}

int history_fd(const struct history *history)
{
	return history->fd;
}

void history_progress(const struct history *history, guint64 *read_r, guint64 *size_r)
{
	struct stat st;

	*read_r = history->bytes_read;
	*size_r = fstat(history->fd, &st) == 0 && S_ISREG(st.st_mode) ? (guint64)st.st_size : 0;
}

static gboolean read_digits(struct slice *text, size_t n, int *value_r)
{
	int64_t value;

	if (text->n < n || !slice_int(slice_head(*text, n), &value) || value < 0)
		return FALSE;
	*text = slice_from(*text, n);
	*value_r = (int)value;
	return TRUE;
}

/* YYYYMMDD or YYYY-MM-DD at the beginning of `text`. */
static gboolean read_date(struct slice text, gint64 *day_r)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (!read_digits(&text, 4, &year) || year < 1980 || year > 2200)
		return FALSE;
	gboolean dashes = slice_skip(&text, SLICE("-"));
	if (!read_digits(&text, 2, &month) || month < 1 || month > 12)
		return FALSE;
	if (dashes && !slice_skip(&text, SLICE("-")))
		return FALSE;
	if (!read_digits(&text, 2, &day) || day < 1 || day > days[month - 1])
		return FALSE;
	if (text.n > 0 && g_ascii_isdigit(text.p[0]))
		return FALSE;
	*day_r = clock_days(year, month, day);
	return TRUE;
}

static gboolean date_of_name(const char *path, gint64 *ms_r)
{
	g_autofree char *base = g_path_get_basename(path);
	gint64 day;

	for (size_t i = 0; base[i] != '\0'; i++) {
		if (i > 0 && g_ascii_isdigit(base[i - 1]))
			continue;
		if (!read_date(slice_str(base + i), &day))
			continue;
		/* That day ends 12 hours later in the last zone than in UTC. */
		*ms_r = (day + 1) * CLOCK_DAY + 12 * CLOCK_HOUR - 1;
		return TRUE;
	}
	return FALSE;
}

/* MTIME of RFC 1952, 2.3.1: seconds, little-endian, 0 = not there. */
static gboolean date_of_gzip(int fd, gint64 *ms_r)
{
	guint8 head[8];
	guint32 seconds;

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) || head[0] != 0x1f ||
	        head[1] != 0x8b)
		return FALSE;
	memcpy(&seconds, head + 4, sizeof(seconds));
	seconds = GUINT32_FROM_LE(seconds);
	*ms_r = (gint64)seconds * CLOCK_SECOND;
	return seconds != 0;
}

gint64 history_not_after(const char *path)
{
	gint64 ms = clock_now();
	struct stat st;

	if (strcmp(path, "-") == 0 || date_of_name(path, &ms))
		return ms;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return ms;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !date_of_gzip(fd, &ms))
		ms = (gint64)st.st_mtim.tv_sec * CLOCK_SECOND;
	close(fd);
	return ms;
}

struct sort_entry {
	char *path;
	gint64 stamp;
	guint index;
};

static gint64 first_stamp(const char *path)
{
	struct syslog_clock *clock = syslog_clock_new(NULL, history_not_after(path), NULL);
	/* Only for the order: what it says is read again. */
	struct history *history = open_history(path, TRUE, NULL);
	gint64 stamp = G_MAXINT64, offset;
	struct syslog_line parsed;
	struct slice line;

	for (int i = 0; clock != NULL && history != NULL && i < SORT_LINES; i++) {
		if (history_line(history, &line, &offset, NULL) != 1)
			break;
		if (syslog_parse(clock, line, &parsed) == 1) {
			stamp = parsed.time;
			break;
		}
	}
	history_close(&history);
	syslog_clock_free(&clock);
	return stamp;
}

static int sort_compare(const void *left, const void *right)
{
	const struct sort_entry *a = left, *b = right;

	if (a->stamp != b->stamp)
		return a->stamp < b->stamp ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

void history_sort(GPtrArray *paths)
{
	g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(struct sort_entry));

	for (guint i = 0; i < paths->len; i++) {
		char *path = paths->pdata[i];
		if (strcmp(path, "-") == 0)
			continue;
		struct sort_entry entry = {.path = path, .stamp = first_stamp(path), .index = i};
		g_array_append_val(entries, entry);
	}
	g_array_sort(entries, sort_compare);
	for (guint i = 0, next = 0; i < paths->len; i++)
		if (strcmp(paths->pdata[i], "-") != 0)
			paths->pdata[i] = g_array_index(entries, struct sort_entry, next++).path;
}
