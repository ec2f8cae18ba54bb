/* Header fields of a mail, decoded. The only folder that knows GMime. */
#ifndef PW_MIME_HEADERS_H
#define PW_MIME_HEADERS_H

#include <glib.h>

#include "base/slice.h"

/* Once a process, before the first use. */
void mime_init(void);

/* Unfolded and decoded (RFC 2047; raw 8-bit bytes that are no UTF-8 are read as Windows-1252), as
 * UTF-8 without control characters and without blanks at its ends. To be freed by g_free; never
 * NULL. */
char *mime_decode_text(struct slice value);

/* The address (addr-spec, as written) of the first mailbox of a From header, or NULL. */
char *mime_first_address(struct slice value);

/* The display name of the first mailbox of a From header, decoded, or NULL. */
char *mime_first_name(struct slice value);

/* Calls `address` for each mailbox of an address header, groups opened. */
void mime_each_address(
        struct slice value, void (*address)(void *ctx, const char *addr_spec), void *ctx);

/* Calls `field` for each field of a header block whose lines end in \n, in order, folded lines
 * joined by a blank. Ends at an empty line; a line that is no field is passed over. */
void mime_each_field(const char *block,
        void (*field)(void *ctx, const char *name, struct slice value), void *ctx);

#endif
