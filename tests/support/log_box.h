/* A folder with a log in it, a follower on it, and what it gave. */
#ifndef PW_TESTS_LOG_BOX_H
#define PW_TESTS_LOG_BOX_H

#include <glib.h>

#include "logtail/follow.h"

struct log_box {
	char *folder, *path;
	struct follow *follow;
	char *position;   /* saved by log_box_commit; NULL = none yet */
	GPtrArray *given; /* text of new lines since the last commit, then moved: */
	GPtrArray *kept;  /* lines that were committed */
	GPtrArray *again; /* lines given again since the last start */
	GPtrArray *gaps;  /* "bytes what" */
	gint64 gap_bytes; /* sum of the known ones */
	gint64 gap_from, gap_to;
	unsigned refuse_after; /* the hook says stop after so many lines; 0 = never */
};

void log_box_open(struct log_box *box);
void log_box_close(struct log_box *box);

/* Starts the follower at the last committed position. */
void log_box_start(struct log_box *box, gboolean from_start);
/* As kill -9: what was not committed is forgotten. */
void log_box_kill(struct log_box *box);
/* What was given and the position behind it. */
void log_box_commit(struct log_box *box);
/* follow_run until it waits; `lines` at a time. */
void log_box_run(struct log_box *box, unsigned lines);

/* What the writers of logs do; `name` NULL = the log itself. */
void log_box_append(const struct log_box *box, const char *name, const char *text);
void log_box_write(const struct log_box *box, const char *name, const char *bytes, gsize n);
void log_box_rename(const struct log_box *box, const char *from, const char *to);
void log_box_copytruncate(const struct log_box *box, const char *to);
void log_box_truncate(const struct log_box *box, gint64 size);
void log_box_remove(const struct log_box *box, const char *name);
/* gzip, bzip2, xz or zstd, which removes the plain file. */
void log_box_pack(const struct log_box *box, const char *name, const char *program);

/* All new lines so far, committed or not, joined by '|'. To be freed by g_free. */
char *log_box_lines(const struct log_box *box);

#endif
