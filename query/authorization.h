/* The key of a request: `Authorization: KEY`, or Basic with the key as user name (contract, 0). */
#ifndef PW_QUERY_AUTHORIZATION_H
#define PW_QUERY_AUTHORIZATION_H

#include "base/slice.h"

/* Longer than any key of ours. */
#define AUTHORIZATION_MAX 255

/* Takes the key out of the value of an Authorization header: a bare word, or what stands before the
 * first colon of `Basic BASE64` (RFC 7617; the password means nothing). False where there is no
 * such thing. *key_r points to `value` or to `room`. */
bool authorization_key(struct slice value, char room[AUTHORIZATION_MAX + 1], struct slice *key_r);

#endif
