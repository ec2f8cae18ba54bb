/* The systemd journal as a source. Without libsystemd journal_new fails with a clear error. */
#ifndef PW_LOGTAIL_JOURNAL_H
#define PW_LOGTAIL_JOURNAL_H

#include <glib.h>

#include "base/error.h"
#include "logtail/syslog.h"

struct journal;

struct journal_config {
	const char *path;  /* a journal file or directory; NULL = the system's journal */
	const char *users; /* trusted users besides root, blank separated; NULL = "postfix mail
	                    smmta smmsp" */
	gboolean from_start;
	/* Also entries without _UID, of a `path` only: a journal that systemd-journal-remote made
	 * of an export can lack the fields that journald vouches for. Never for the system's
	 * journal. */
	gboolean unchecked;
};

struct journal_hooks {
	void *ctx;
	/* 0 to go on, -1 to stop here: the entry will be given again. `again` as in follow.h. The
	 * slices live until it returns. */
	int (*entry)(void *ctx, const struct syslog_line *line, gboolean again);
	/* Entries that were never stored (journald's rate limit) or were vacuumed unread: from ms,
	 * to ms (0 = unknown), bytes (-1 = unknown), what happened. */
	void (*gap)(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what);
};

/* `position`: text of an earlier journal_position, or absent. */
struct journal *journal_new(const struct journal_config *config, struct slice position,
        const struct journal_hooks *hooks, struct error *err);
void journal_free(struct journal **journal);

/* Descriptor to poll for reading, or -1 where there is none: then call journal_run each second. */
int journal_fd(struct journal *journal);

/* Gives each entry of a trusted sender, at most about `max`. 1: there is more; 0: at the end; -1
 * with *err: try again later. */
int journal_run(struct journal *journal, unsigned max, struct error *err);

/* The position behind the last entry given. Opaque text. */
void journal_position(const struct journal *journal, GString *out);

/* How many entries were left out because their sender was not trusted. */
guint64 journal_untrusted(const struct journal *journal);

#endif
