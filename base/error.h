/* The error record of a call that can fail.
 *
 * Functions return 0 or -1 and describe a failure in a record that the caller owns (it may pass
 * NULL when it does not care). The first error wins: later calls on the way out do not overwrite
 * what went wrong first. Library code never logs; the top of a thread or program logs once. */
#ifndef PW_BASE_ERROR_H
#define PW_BASE_ERROR_H

#include <glib.h>
#include <stdarg.h>
#include <stdbool.h>

struct error {
	bool set;
	bool config; /* the configuration, or what it names, is wrong: no use to try again */
	int number;  /* errno of the failure, 0 where there is none */
	char text[500];
};

/* Describe a failure: what, where, and what to do. Returns -1 always, so that a caller can
 * `return error_set(err, …)`. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": strerror(number)" behind the text. */
int error_errno(struct error *err, int number, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* What is wrong until somebody changes the configuration, or what it names. */
int error_config(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of a file that the configuration names and that is missing, no file, or not ours to
 * read; whatever else GLib says of it (a disk that fails) is no fault of the configuration.
 * what: stands before it; may be NULL. */
int error_config_file(struct error *err, const char *what, const GError *error);

void error_clear(struct error *err);

#endif
