#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void __attribute__((format(printf, 3, 0)))
error_fill(struct error *err, int number, const char *format, va_list ap)
{
	if (err == NULL || err->set)
		return;
	err->set = true;
	err->number = number;
	int n = vsnprintf(err->text, sizeof(err->text), format, ap);
	if (number == 0 || n < 0 || (size_t)n >= sizeof(err->text))
		return;
	char buf[128];
	snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s",
	        strerror_r(number, buf, sizeof(buf)));
}

int error_set(struct error *err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error_fill(err, 0, format, ap);
	va_end(ap);
	return -1;
}

int error_errno(struct error *err, int number, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error_fill(err, number, format, ap);
	va_end(ap);
	return -1;
}

int error_config(struct error *err, const char *format, ...)
{
	va_list ap;

	if (err != NULL && !err->set)
		err->config = true;
	va_start(ap, format);
	error_fill(err, 0, format, ap);
	va_end(ap);
	return -1;
}

int error_config_file(struct error *err, const char *what, const GError *error)
{
	static const GFileError wrong[] = {G_FILE_ERROR_NOENT, G_FILE_ERROR_ACCES,
	        G_FILE_ERROR_ISDIR, G_FILE_ERROR_NOTDIR, G_FILE_ERROR_NAMETOOLONG,
	        G_FILE_ERROR_LOOP};
	bool config = error->domain != G_FILE_ERROR;

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
		config |= g_error_matches(error, G_FILE_ERROR, (gint)wrong[i]);
	if (err != NULL && !err->set)
		err->config = config;
	return error_set(
	        err, "%s%s%s", what != NULL ? what : "", what != NULL ? ": " : "", error->message);
}

void error_clear(struct error *err)
{
	if (err != NULL)
		*err = (struct error){0};
}
