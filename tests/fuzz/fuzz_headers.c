/* Whatever stands in a mail's header, the milter's envelope is sound: decoded text is UTF-8 without
 * control characters, JSON fields are JSON of their kind.
 *
 * The input: headers "Name:value", each ended by NUL; the first is the recipient.
 * Words: milter/session.c milter/header_map.c milter/header_map.h milter/attributes.c
 * Reaches: attributes_msys read_list read_options read_own read_smtpapi read_pairs read_track
 * Reaches: read_meta_prefix attributes_dump_meta attributes_dump_subs hand_over visit_each
 * Reaches: mime_decode_text mime_first_name */
#include <jansson.h>
#include <stdlib.h>

#include "milter/session.h"
#include "mime/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct slice text)
{
	if (text.p == NULL)
		return;
	if (!g_utf8_validate(text.p, (gssize)text.n, NULL) || text.n > MILTER_FIELD_BYTES_MAX)
		abort();
	for (const char *p = text.p; p < text.p + text.n; p = g_utf8_next_char(p)) {
		if (g_unichar_iscntrl(g_utf8_get_char(p)))
			abort();
	}
}

static void check_json(struct slice text, json_type type)
{
	if (text.p == NULL)
		return;
	json_t *json = json_loadb(text.p, text.n, 0, NULL);
	if (json == NULL || json_typeof(json) != type)
		abort();
	json_decref(json);
}

static int observed(void *ctx, const struct observation *seen, bool wait)
{
	const struct envelope *envelope = seen->envelope;

	(void)ctx;
	(void)wait;
	check_text(envelope->field[FIELD_SUBJECT]);
	check_text(envelope->field[FIELD_FRIENDLY_FROM]);
	check_text(envelope->field[FIELD_FRIENDLY_NAME]);
	check_json(envelope->field[FIELD_RCPT_META], JSON_OBJECT);
	check_json(envelope->field[FIELD_RCPT_TAGS], JSON_ARRAY);
	for (size_t i = 0; i < envelope->recipients; i++) {
		check_json(envelope->recipient[i].meta, JSON_OBJECT);
		check_json(envelope->recipient[i].tags, JSON_ARRAY);
		check_json(envelope->recipient[i].subs, JSON_OBJECT);
	}
	return 0;
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return 0;
}

/* The next text of the input, ended by NUL; NULL at its end. */
static char *next(struct slice *input)
{
	return input->n > 0 ? slice_dup(slice_cut(input, '\0')) : NULL;
}

static void feed_header(struct milter_session *session, const char *header)
{
	struct slice value = slice_str(header);
	g_autofree char *name = slice_dup(slice_cut(&value, ':'));

	milter_session_header(session, name, value.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct milter_config config = {.node = "mx"};
	static const struct milter_hooks hooks = {.observed = observed,
	        .now = now,
	        .decode_text = mime_decode_text,
	        .first_address = mime_first_address,
	        .first_name = mime_first_name,
	        .each_address = mime_each_address};
	static struct milter_shared *shared;
	struct slice input = slice_make((const char *)data, size);
	const char *from[] = {"<s@example.com>", NULL};
	unsigned remove;

	mime_init();
	if (shared == NULL)
		shared = milter_shared_new(&config, &hooks, NULL);
	struct milter_session *session = milter_session_new(shared);
	g_autofree char *recipient = next(&input);
	const char *to[] = {recipient, NULL};
	milter_session_mail(session, from, NULL, NULL, NULL, NULL, NULL);
	milter_session_rcpt(session, to, NULL, NULL, NULL, NULL);
	for (char *header = next(&input); header != NULL; header = next(&input)) {
		feed_header(session, header);
		g_free(header);
	}
	milter_session_end(session, "id", NULL, &remove);
	milter_session_free(&session);
	return 0;
}
