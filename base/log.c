#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/visible.h"

static struct {
	const char *program;
	bool syslog;
	bool journal; /* the standard error is read by journald: prefix lines with their level */
	enum log_level most;
} log_to = {.program = "postwake", .most = LOG_LEVEL_INFO};

static const int log_priority[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

void log_open(const char *program, bool use_syslog, enum log_level most)
{
	log_to.program = program;
	log_to.syslog = use_syslog;
	log_to.journal = getenv("JOURNAL_STREAM") != NULL;
	log_to.most = most;
	if (use_syslog)
		openlog(program, LOG_PID, LOG_MAIL);
}

void log_line(enum log_level level, const char *id, const char *format, ...)
{
	char text[1200];
	va_list ap;
	int n = 0;

	if (level > log_to.most)
		return;
	if (id != NULL)
		n = snprintf(text, sizeof(text) / 2, "%s: ", id);
	if (n < 0 || (size_t)n >= sizeof(text) / 2)
		n = 0;
	va_start(ap, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, ap);
	va_end(ap);
	visible_mask(text);
	if (log_to.syslog)
		syslog(log_priority[level], "%s", text);
	else if (log_to.journal)
		fprintf(stderr, "<%d>%s\n", log_priority[level], text);
	else
		fprintf(stderr, "%s: %s\n", log_to.program, text);
}
