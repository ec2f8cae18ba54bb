/* The systemd journal as a source. Without libsystemd journal_new fails with a clear error. */
#ifndef PW_LOGTAIL_JOURNAL_H
#define PW_LOGTAIL_JOURNAL_H

#include <glib.h>

#include "base/error.h"
#include "logtail/syslog.h"

struct journal;

struct journal_config {
	const char *path;  /* a journal file or directory; NULL = the system's journal */
	const char *units; /* not used where NULL: SYSLOG_IDENTIFIERs are matched by the dialects */
	const char *users; /* trusted users besides root, blank separated; NULL = "postfix mail smmta smmsp" */
	gboolean from_start;
};

/* `position`: a cursor of an earlier journal_position, or absent. */
struct journal *journal_new(const struct journal_config *config, struct slice position,
	struct error *err);
void journal_free(struct journal **journal);
int journal_fd(struct journal *journal);

/* Calls `entry` for each entry of a trusted sender, at most `max`; `again` as in follow.h. 1 more, 0
 * at the end, -1. `skipped` of untrusted senders are counted. */
int journal_run(struct journal *journal, unsigned max,
	int (*entry)(void *ctx, const struct syslog_line *line, gboolean again), void *ctx,
	struct error *err);
void journal_position(struct journal *journal, GString *out);
guint64 journal_untrusted(const struct journal *journal);

#endif
