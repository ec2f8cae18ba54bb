#include "logtail/journal.h"

#include "config.h"

#ifndef HAVE_SYSTEMD

struct journal *journal_new(const struct journal_config *config, struct slice position,
        const struct journal_hooks *hooks, struct error *err)
{
	(void)config;
	(void)position;
	(void)hooks;
	error_config(err, "the systemd journal cannot be read: built without libsystemd");
	return NULL;
}

void journal_free(struct journal **journal)
{
	*journal = NULL;
}

int journal_fd(struct journal *journal)
{
	(void)journal;
	return -1;
}

int journal_run(struct journal *journal, unsigned max, struct error *err)
{
	(void)journal;
	(void)max;
	return error_config(err, "the systemd journal cannot be read: built without libsystemd");
}

void journal_position(const struct journal *journal, GString *out)
{
	(void)journal;
	(void)out;
}

guint64 journal_untrusted(const struct journal *journal)
{
	(void)journal;
	return 0;
}

#else

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "logtail/loss.h"
#include "logtail/second.h"

#define POSITION_VERSION "v=1"
#define USERS "postfix mail smmta smmsp"
#define RECENT 64         /* cursors remembered at the seam of two journal files */
#define FIELD_LIMIT 65536 /* as a line of a file */

/* SD_MESSAGE_JOURNAL_DROPPED: "Suppressed 17 messages from postfix.service" (journald-server.c). */
#define DROPPED "a596d6fe7bfa4994828e72309e95d61e"

enum field { MESSAGE, IDENTIFIER, SYSLOG_PID, PID, HOSTNAME, UID, SOURCE_TIME, MESSAGE_ID, FIELDS };

static const struct slice field_names[FIELDS] = {
        [MESSAGE] = {"MESSAGE", 7},
        [IDENTIFIER] = {"SYSLOG_IDENTIFIER", 17},
        [SYSLOG_PID] = {"SYSLOG_PID", 10},
        [PID] = {"_PID", 4},
        [HOSTNAME] = {"_HOSTNAME", 9},
        [UID] = {"_UID", 4},
        [SOURCE_TIME] = {"_SOURCE_REALTIME_TIMESTAMP", 26},
        [MESSAGE_ID] = {"MESSAGE_ID", 10},
};

/* What journald is asked for, ORed: all with facility mail, programs of an MTA that log elsewhere,
 * and journald's own notices. */
static const char *const matches[] = {
        "SYSLOG_FACILITY=2",
        "SYSLOG_IDENTIFIER=sendmail",
        "SYSLOG_IDENTIFIER=sm-mta",
        "SYSLOG_IDENTIFIER=sm-msp-queue",
        "SYSLOG_IDENTIFIER=postfix",
        "SYSLOG_IDENTIFIER=postfix/smtpd",
        "SYSLOG_IDENTIFIER=postfix/smtp",
        "SYSLOG_IDENTIFIER=postfix/lmtp",
        "SYSLOG_IDENTIFIER=postfix/local",
        "SYSLOG_IDENTIFIER=postfix/virtual",
        "SYSLOG_IDENTIFIER=postfix/pipe",
        "SYSLOG_IDENTIFIER=postfix/error",
        "SYSLOG_IDENTIFIER=postfix/discard",
        "SYSLOG_IDENTIFIER=postfix/qmgr",
        "SYSLOG_IDENTIFIER=postfix/cleanup",
        "SYSLOG_IDENTIFIER=postfix/pickup",
        "SYSLOG_IDENTIFIER=postfix/bounce",
        "SYSLOG_IDENTIFIER=postfix/postscreen",
        ("MESSAGE_ID=" DROPPED),
};

struct journal {
	sd_journal *sd;
	struct journal_hooks hooks;
	gboolean from_start;
	gboolean unchecked;
	GArray *uids; /* guint32 */
	guint64 untrusted;

	gboolean placed; /* the read pointer is where reading goes on */
	char *refused;   /* cursor of the entry that the hook did not take */
	gboolean again;  /* entries up to `at` were given before the restart */
	gboolean missed; /* `at` is no longer in the journal: tell when something newer comes */
	gint64 at_time;  /* of `at`, microseconds: __REALTIME_TIMESTAMP */
	char *at;        /* cursor of the last entry given */
	gint64 stamp;    /* of that entry, ms */
	char *marks[2];  /* cursors: first entry of the latest second, and of the one before */
	gint64 second;
	char *recent[RECENT];
	guint recent_next;

	GString *fields[FIELDS];
	gboolean has[FIELDS];
};

static int journal_fail(struct error *err, int number, const char *what)
{
	return error_errno(err, -number, "journal: cannot %s", what);
}

static void journal_trust(struct journal *journal, const char *users)
{
	g_auto(GStrv) names = g_strsplit_set(users != NULL ? users : USERS, " \t,", -1);
	guint32 uid = 0;

	g_array_append_val(journal->uids, uid);
	for (char **name = names; *name != NULL; name++) {
		char buffer[4096];
		struct passwd entry, *found = NULL;
		if (**name == '\0' ||
		        getpwnam_r(*name, &entry, buffer, sizeof(buffer), &found) != 0 ||
		        found == NULL)
			continue;
		uid = found->pw_uid;
		g_array_append_val(journal->uids, uid);
	}
}

/* The value of a key in "v=1 key=value …", or absent. */
static char *position_value(struct slice text, const char *key)
{
	while (text.n > 0) {
		struct slice pair = slice_cut(&text, ' ');
		if (slice_skip(&pair, slice_str(key)))
			return slice_dup(pair);
	}
	return NULL;
}

/* "t=" of a cursor: __REALTIME_TIMESTAMP in hexadecimal; 0 where there is none. */
static gint64 cursor_time(const char *cursor)
{
	const char *t = strstr(cursor, ";t=");

	return t != NULL ? (gint64)g_ascii_strtoull(t + 3, NULL, 16) : 0;
}

static int journal_load(struct journal *journal, struct slice position, struct error *err)
{
	struct slice rest = position;
	int64_t stamp = 0;

	if (position.p == NULL)
		return 0;
	g_autofree char *stamp_text = position_value(position, "stamp=");
	journal->at = position_value(position, "at=");
	journal->marks[0] = position_value(position, "again=");
	if (!slice_eq(slice_cut(&rest, ' '), SLICE(POSITION_VERSION)) || journal->at == NULL ||
	        !slice_int(slice_str(stamp_text), &stamp))
		return error_set(err, "position of a journal not understood: \"%.*s\"",
		        (int)MIN(position.n, 200), position.p);
	journal->stamp = stamp;
	journal->second = stamp / 1000;
	/* "at=" with nothing: the journal was empty, all is new. */
	journal->again = journal->missed = *journal->at != '\0';
	if (journal->marks[0] == NULL || *journal->marks[0] == '\0') {
		g_free(journal->marks[0]);
		journal->marks[0] = g_strdup(journal->at);
	}
	journal->marks[1] = g_strdup(journal->marks[0]);
	journal->at_time = cursor_time(journal->at);
	return 0;
}

static int journal_open(struct journal *journal, const char *path, struct error *err)
{
	struct stat st;
	int got;

	if (path == NULL) {
		got = sd_journal_open(&journal->sd, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	} else if (stat(path, &st) != 0) {
		return error_errno(err, errno, "cannot open journal %s", path);
	} else if (S_ISDIR(st.st_mode)) {
		got = sd_journal_open_directory(&journal->sd, path, 0);
	} else {
		const char *paths[] = {path, NULL};
		got = sd_journal_open_files(&journal->sd, paths, 0);
	}
	if (got < 0)
		return error_errno(
		        err, -got, "cannot open journal %s", path != NULL ? path : "of the system");
	/* Without the right to read it the journal of the system looks empty. */
	if (path == NULL && sd_journal_has_persistent_files(journal->sd) <= 0 &&
	        sd_journal_has_runtime_files(journal->sd) <= 0)
		return error_set(err,
		        "the system's journal has no file that this user may read: add "
		        "the user to group systemd-journal");
	sd_journal_set_data_threshold(journal->sd, FIELD_LIMIT + 256);
	for (size_t i = 0; i < G_N_ELEMENTS(matches); i++) {
		got = i > 0 ? sd_journal_add_disjunction(journal->sd) : 0;
		if (got >= 0)
			got = sd_journal_add_match(journal->sd, matches[i], 0);
		if (got < 0)
			return journal_fail(err, got, "set the filter");
	}
	return 0;
}

struct journal *journal_new(const struct journal_config *config, struct slice position,
        const struct journal_hooks *hooks, struct error *err)
{
	struct journal *journal = g_new0(struct journal, 1);

	journal->hooks = *hooks;
	journal->from_start = config->from_start;
	journal->unchecked = config->unchecked && config->path != NULL;
	journal->uids = g_array_new(FALSE, FALSE, sizeof(guint32));
	for (size_t i = 0; i < FIELDS; i++)
		journal->fields[i] = g_string_new(NULL);
	journal_trust(journal, config->users);
	if (journal_load(journal, position, err) != 0 ||
	        journal_open(journal, config->path, err) != 0)
		journal_free(&journal);
	return journal;
}

void journal_free(struct journal **journal_p)
{
	struct journal *journal = *journal_p;

	if (journal == NULL)
		return;
	sd_journal_close(journal->sd);
	for (size_t i = 0; i < FIELDS; i++)
		g_string_free(journal->fields[i], TRUE);
	for (size_t i = 0; i < RECENT; i++)
		g_free(journal->recent[i]);
	g_free(journal->refused);
	g_free(journal->at);
	g_free(journal->marks[0]);
	g_free(journal->marks[1]);
	g_array_free(journal->uids, TRUE);
	g_clear_pointer(journal_p, g_free);
}

int journal_fd(struct journal *journal)
{
	int fd = sd_journal_get_fd(journal->sd);

	return fd >= 0 ? fd : -1;
}

/* Puts the read pointer before the first entry to give. */
static int journal_place(struct journal *journal, struct error *err)
{
	int got;

	if (journal->again) {
		got = sd_journal_seek_cursor(journal->sd, journal->marks[1]);
		if (got < 0)
			return journal_fail(err, got, "go to the last position");
	} else if (journal->from_start || journal->at != NULL) {
		got = sd_journal_seek_head(journal->sd);
		if (got < 0)
			return journal_fail(err, got, "go to the beginning");
	} else {
		/* Behind the tail sd_journal_next would find nothing, ever: stand on the last. */
		got = sd_journal_seek_tail(journal->sd);
		if (got >= 0)
			got = sd_journal_previous(journal->sd);
		if (got < 0)
			return journal_fail(err, got, "go to the end");
		if (got > 0)
			got = sd_journal_get_cursor(journal->sd, &journal->at);
		if (got < 0)
			return journal_fail(err, got, "tell the end");
		if (journal->at == NULL)
			journal->from_start = TRUE;
	}
	journal->placed = journal->at != NULL || journal->from_start;
	return 0;
}

static void journal_keep(struct journal *journal, enum field field, struct slice value)
{
	GString *kept = journal->fields[field];

	g_string_truncate(kept, 0);
	if (value.n > FIELD_LIMIT)
		value.n = FIELD_LIMIT;
	for (size_t i = 0; i < value.n;) {
		struct slice rest = slice_from(value, i);
		ptrdiff_t nul = slice_chr(rest, '\0');
		size_t n = nul < 0 ? rest.n : (size_t)nul;
		g_string_append_len(kept, rest.p, (gssize)n);
		i += n + 1;
	}
	journal->has[field] = TRUE;
}

/* Copies the fields of the entry: libsystemd gives each only until the next is asked for. */
static int journal_fetch(struct journal *journal)
{
	const void *data;
	size_t n;
	int got;

	memset(journal->has, 0, sizeof(journal->has));
	sd_journal_restart_data(journal->sd);
	while ((got = sd_journal_enumerate_available_data(journal->sd, &data, &n)) > 0) {
		struct slice value = slice_make(data, n), name = slice_cut(&value, '=');
		for (size_t i = 0; i < FIELDS; i++)
			/* The first of a repeated field counts, as journalctl shows it. */
			if (!journal->has[i] && slice_eq(name, field_names[i]))
				journal_keep(journal, i, value);
	}
	return got;
}

static struct slice journal_field(const struct journal *journal, enum field field)
{
	if (!journal->has[field])
		return SLICE_NONE;
	return slice_make(journal->fields[field]->str, journal->fields[field]->len);
}

/* Any user can send what looks like a line of the MTA: _UID is what journald itself knows of the
 * sender. */
static gboolean journal_trusted(const struct journal *journal)
{
	int64_t uid;

	if (!journal->has[UID])
		return journal->unchecked;
	if (!slice_int(journal_field(journal, UID), &uid))
		return FALSE;
	for (guint i = 0; i < journal->uids->len; i++)
		if (g_array_index(journal->uids, guint32, i) == uid)
			return TRUE;
	return FALSE;
}

static gint64 journal_time(const struct journal *journal)
{
	guint64 realtime = 0;
	int64_t source;

	if (journal->has[SOURCE_TIME] && slice_int(journal_field(journal, SOURCE_TIME), &source) &&
	        source > 0)
		return source / 1000;
	sd_journal_get_realtime_usec(journal->sd, &realtime);
	return (gint64)(realtime / 1000);
}

static void journal_tell(struct journal *journal, gint64 to, const char *what)
{
	if (journal->hooks.gap != NULL)
		journal->hooks.gap(journal->hooks.ctx, journal->stamp, to, -1, what);
}

/* journald's rate limit: what it dropped was never stored. */
static gboolean journal_is_notice(struct journal *journal, gint64 time, gboolean again)
{
	struct slice text = journal_field(journal, MESSAGE);

	if (!journal->has[MESSAGE_ID] ||
	        !slice_eq(journal_field(journal, MESSAGE_ID), SLICE(DROPPED)))
		return FALSE;
	if (!again && loss_is_of_mail(text)) {
		g_autofree char *what =
		        g_strdup_printf("journald's rate limit: %.*s", SLICE_ARG(text));
		journal_tell(journal, time, what);
	}
	return TRUE;
}

static int journal_give(struct journal *journal, gint64 time, gboolean again)
{
	struct syslog_line line = {.time = time, .repeat = 1};

	line.host = journal_field(journal, HOSTNAME);
	line.program = journal_field(journal, IDENTIFIER);
	line.pid = journal_field(journal, journal->has[SYSLOG_PID] ? SYSLOG_PID : PID);
	line.text = journal_field(journal, MESSAGE);
	return journal->hooks.entry(journal->hooks.ctx, &line, again);
}

/* Remembers the entry as given. */
static void journal_given(struct journal *journal, const char *cursor, gint64 time)
{
	gint64 second = time / 1000;

	enum second_turn turn =
	        journal->marks[0] != NULL ? second_turn(journal->second, second) : SECOND_ALONE;
	if (turn != SECOND_SAME) {
		char *mark = g_strdup(turn == SECOND_JOINS ? journal->marks[0] : cursor);
		g_free(journal->marks[1]);
		journal->marks[1] = mark;
		g_free(journal->marks[0]);
		journal->marks[0] = g_strdup(cursor);
		journal->second = second;
	}
	journal->stamp = time;
	g_free(journal->at);
	journal->at = g_strdup(cursor);
}

/* Whether the entry was given by this process: libsystemd has been seen to show the last entry of a
 * file once more when journald rotates (systemd issue 29016). */
static gboolean journal_seen(struct journal *journal, const char *cursor)
{
	for (size_t i = 0; i < RECENT; i++)
		if (g_strcmp0(journal->recent[i], cursor) == 0)
			return TRUE;
	char **slot = &journal->recent[journal->recent_next++ % RECENT];
	g_free(*slot);
	*slot = g_strdup(cursor);
	return FALSE;
}

/* Where an entry stands against the position of the last run. */
static gboolean journal_is_again(struct journal *journal, const char *cursor)
{
	guint64 realtime = 0;

	if (!journal->again)
		return FALSE;
	if (strcmp(cursor, journal->at) == 0) {
		journal->again = journal->missed = FALSE;
		return TRUE;
	}
	sd_journal_get_realtime_usec(journal->sd, &realtime);
	if ((gint64)realtime <= journal->at_time)
		return TRUE;
	journal->again = FALSE;
	return FALSE;
}

/* The hook did not take the entry: it will be given again, whatever becomes of the read pointer. */
static void journal_refuse(struct journal *journal, const char *cursor)
{
	g_clear_pointer(&journal->recent[--journal->recent_next % RECENT], g_free);
	journal->refused = g_strdup(cursor);
}

/* Gives the entry unless its sender is not trusted. 0; 1 when the hook did not take it; -1. */
static int journal_read_entry(struct journal *journal, const char *cursor, struct error *err)
{
	gboolean was_again = journal->again, was_missed = journal->missed;
	gboolean again = journal_is_again(journal, cursor);
	int got = journal_fetch(journal);

	/* Damaged: journald checks its files, and starts a new one. */
	if (got < 0 && got != -EBADMSG)
		return journal_fail(err, got, "read an entry");
	gint64 time = journal_time(journal);
	if (!journal_trusted(journal)) {
		journal->untrusted++;
		return 0;
	}
	if (!journal_is_notice(journal, time, again) && journal_give(journal, time, again) != 0) {
		journal_refuse(journal, cursor);
		journal->again = was_again;
		journal->missed = was_missed;
		return 1;
	}
	if (again)
		return 0;
	if (got == -EBADMSG)
		journal_tell(journal, time, "an entry of the journal is damaged");
	if (journal->missed)
		journal_tell(journal, time,
		        "the journal was vacuumed or replaced: the last entry read is not in it");
	journal->missed = FALSE;
	journal_given(journal, cursor, time);
	return 0;
}

/* Goes on to the next entry. 2 when there is none; else as journal_read_entry. */
static int journal_next(struct journal *journal, struct error *err)
{
	char *cursor = NULL;
	int got = sd_journal_next(journal->sd);

	if (got < 0)
		return journal_fail(err, got, "go to the next entry");
	if (got == 0)
		return 2;
	got = sd_journal_get_cursor(journal->sd, &cursor);
	if (got < 0)
		return journal_fail(err, got, "tell the position");
	got = journal_seen(journal, cursor) ? 0 : journal_read_entry(journal, cursor, err);
	free(cursor);
	return got;
}

int journal_run(struct journal *journal, unsigned max, struct error *err)
{
	/* Takes note of new, rotated and vacuumed files; libsystemd keeps its place by itself. */
	int got = sd_journal_process(journal->sd);

	if (got < 0)
		return journal_fail(err, got, "look for new entries");
	if (!journal->placed && journal_place(journal, err) != 0)
		return -1;
	if (journal->refused != NULL) {
		got = sd_journal_seek_cursor(journal->sd, journal->refused);
		if (got < 0)
			return journal_fail(err, got, "go back to an entry");
		g_clear_pointer(&journal->refused, g_free);
	}
	for (unsigned given = 0; given < max; given++) {
		got = journal_next(journal, err);
		if (got != 0)
			return got == 2 ? 0 : got;
	}
	return 1;
}

void journal_position(const struct journal *journal, GString *out)
{
	const char *at = journal->at != NULL ? journal->at : "";
	const char *again = journal->marks[1] != NULL ? journal->marks[1] : at;

	g_string_append_printf(out, POSITION_VERSION " stamp=%" G_GINT64_FORMAT " at=%s again=%s",
	        journal->stamp, at, again);
}

guint64 journal_untrusted(const struct journal *journal)
{
	return journal->untrusted;
}

#endif
