/* A mail in a file. */
#ifndef PW_CLI_MAIL_H
#define PW_CLI_MAIL_H

#include <glib.h>

#include "base/error.h"

/* The first REPORT_BYTES_MAX bytes of a file; "-" is the standard input, which is read to its end,
 * so that who writes to it is not cut off. NULL with *err. */
GString *mail_read(const char *path, struct error *err);

#endif
