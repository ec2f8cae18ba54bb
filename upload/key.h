/* The API key of a destination, read from a file. It lies in memory that is neither swapped out nor
 * part of a core dump (sodium_malloc), and is handed on as the header line only. */
#ifndef PW_UPLOAD_KEY_H
#define PW_UPLOAD_KEY_H

#include "base/error.h"

/* "Authorization: KEY", ended by NUL. NULL with *err where the file is not there, may be read by
 * others (its mode must have nothing for others, and no more than reading for the group), belongs
 * to a stranger, or holds anything but one line of printable ASCII. */
char *upload_key_read(const char *path, struct error *err);
void upload_key_free(char **key);

#endif
