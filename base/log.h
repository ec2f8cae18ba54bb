/* Log lines of the programs. Only daemon/ and cli/ log; libraries return errors (base/error.h). */
#ifndef PW_BASE_LOG_H
#define PW_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where lines go: the standard error with "postwaked: " before them (default), or syslog with
 * facility mail. Under systemd the standard error gets the "<N>" prefix of sd-daemon(3). */
void log_open(const char *program, bool use_syslog, enum log_level most);

/* One line. `id` is the queue id, request id or source that it is about, and comes first; NULL
 * where there is none. Control bytes of the text are written as '?'. Thread-safe. */
void log_line(enum log_level level, const char *id, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_error(id, ...) log_line(LOG_LEVEL_ERROR, id, __VA_ARGS__)
#define log_warning(id, ...) log_line(LOG_LEVEL_WARNING, id, __VA_ARGS__)
#define log_info(id, ...) log_line(LOG_LEVEL_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_line(LOG_LEVEL_DEBUG, id, __VA_ARGS__)

#endif
