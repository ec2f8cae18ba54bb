/* The pieces of which the lines of MTAs are made. Each function reads from the start of *s, moves
 * it behind what was read, and leaves it alone when it returns false. */
#ifndef PW_LOGTAIL_FIELD_H
#define PW_LOGTAIL_FIELD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* An address, with or without <>; quoted local parts may hold anything, so that the end is the '>'
 * outside quotes that is followed by one of `ends` or the end of the text. False also where a quote
 * is left open (the line was cut, or Postfix before 3.5 took the quotes away): what looks like the
 * end of the address, and like fields behind it, may be the client's. */
bool field_address(struct slice *s, const char *ends, struct slice *address_r);
/* host[ip], host[ip]:port, [ip]:port, host[private/socket]; absent what is unknown. */
bool field_peer(struct slice *s, struct slice *host_r, struct slice *ip_r, struct slice *port_r);
/* An address of IPv4 or IPv6, also behind "IPv6:". */
bool field_ip(struct slice text, struct slice *ip_r);
/* ", name=value" up to the next such field or the end. */
bool field_next(struct slice *s, struct slice *name_r, struct slice *value_r);
/* Enhanced status code (RFC 3463) such as 5.1.1, followed by a blank or the end. */
bool field_dsn(struct slice *s, struct slice *dsn_r);
/* SMTP reply code, followed by a blank, a '-' or the end. */
bool field_code(struct slice *s, struct slice *code_r);
/* Seconds with up to nine decimals, as milliseconds. */
bool field_seconds(struct slice text, int64_t *ms_r);

#endif
