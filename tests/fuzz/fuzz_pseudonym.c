/* A text of any bytes in which addresses become keyed hashes: the recipient that stands behind it
 * is hidden whatever it is, JSON stays JSON, and a second time changes nothing.
 *
 * The input: a line with an address as it came, and the text.
 * Seeds: tests/golden/replies
 * Reaches: take_quoted known_begin quoted_begin stands_alone word_begins word_ends put_json
 * Reaches: is_simple_local take_pair add_named put_id change_object */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "event/pseudonym.h"

#define LOCAL "q7x.zz-9"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool is_json(struct slice text)
{
	json_t *json = json_loadb(text.p != NULL ? text.p : "", text.n, 0, NULL);

	json_decref(json);
	return json != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t key[PSEUDONYM_KEY_BYTES] = "0123456789abcdef0123456789abcde";
	const char *address = LOCAL "@example.com";
	struct pseudonyms *pseudonyms = pseudonyms_new(key);
	struct slice raw = slice_make((const char *)bytes, n);
	struct slice came = slice_cut(&raw, '\n');
	struct event event = {.type = EVENT_BOUNCE};
	GString *text = g_string_new_len(raw.p, (gssize)raw.n);
	GString *arena = g_string_new(NULL), *again = g_string_new(NULL);

	g_string_append(text, " " LOCAL "@example.com " LOCAL);
	event.field[FIELD_RCPT_TO] = slice_str(address);
	event.field[FIELD_RAW_RCPT_TO] = came;
	event.field[FIELD_MSG_FROM] = came;
	event.field[FIELD_TRANSMISSION_ID] = raw;
	event.field[FIELD_HEADER_MESSAGE_ID] = raw;
	event.field[FIELD_RCPT_META] = raw;
	event.field[FIELD_RAW_REASON] = slice_make(text->str, text->len);
	bool json = is_json(raw);
	pseudonyms_event(pseudonyms, &event, arena);
	struct slice reason = event.field[FIELD_RAW_REASON];
	size_t tail = MIN(reason.n, 2 * strlen(LOCAL) + strlen(" @example.com "));
	if (slice_find(slice_from(reason, reason.n - tail), SLICE(LOCAL)) >= 0 ||
	        (json && !is_json(event.field[FIELD_RCPT_META])))
		abort();
	struct slice to = event.field[FIELD_RCPT_TO], id = event.field[FIELD_HEADER_MESSAGE_ID];
	pseudonyms_event(pseudonyms, &event, again);
	if (!slice_eq(to, event.field[FIELD_RCPT_TO]) ||
	        !slice_eq(id, event.field[FIELD_HEADER_MESSAGE_ID]))
		abort();
	g_string_free(text, TRUE);
	g_string_free(arena, TRUE);
	g_string_free(again, TRUE);
	pseudonyms_free(&pseudonyms);
	return 0;
}
