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

void error_clear(struct error *err)
{
	if (err != NULL)
		*err = (struct error){0};
}
