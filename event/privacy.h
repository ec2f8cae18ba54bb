/* Privacy mode of uploads: an event without the address of its recipient. */
#ifndef PW_EVENT_PRIVACY_H
#define PW_EVENT_PRIVACY_H

#include <glib.h>

#include "event/event.h"

/* Copies an event with rcpt_hash = base64(SHA-1(address in lower case)) and rcpt_domain in place of
 * rcpt_to. Fields that say who the recipient is (schema/privacy.def) are left out; in all other
 * text the address and its local part become "...", plain or as VERP writes them (user=domain); a
 * field that still holds one of them in another coding (percent, quoted-printable, hexadecimal,
 * base64) is left out. A local part of one or two characters counts where it stands as a word.
 *
 * Slices of *event_r point into `event` and into *arena, whose old content goes. */
void privacy_hide(const struct event *event, struct event *event_r, GString *arena);

#endif
