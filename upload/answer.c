#include "upload/answer.h"

#include <jansson.h>
#include <string.h>

#include "base/gunzip.h"

#define TEXT_MAX 300
#define ID_MAX 100

static json_t *parse(struct slice body)
{
	return json_loadb(body.n > 0 ? body.p : "", body.n, JSON_REJECT_DUPLICATES, NULL);
}

/* An id that can stand in a URL and in a log as it is. */
static bool is_id(const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	for (size_t i = 0; i < n; i++)
		if (!g_ascii_isalnum(text[i]) && strchr("-_.", text[i]) == NULL)
			return false;
	return n > 0 && n <= ID_MAX;
}

char *answer_batch_id(struct slice body)
{
	json_t *answer = parse(body);
	const char *id =
	        json_string_value(json_object_get(json_object_get(answer, "results"), "id"));
	char *copy = is_id(id) ? g_strdup(id) : NULL;

	json_decref(answer);
	return copy;
}

/* Appends printable text of one line, up to TEXT_MAX bytes of all. */
static void append_line(GString *out, struct slice text)
{
	bool blank = false;

	for (size_t i = 0; i < text.n && out->len < TEXT_MAX; i++) {
		char c = text.p[i];
		bool space = (guint8)c <= ' ' || c == 0x7f;
		if (!space)
			g_string_append_c(out, c);
		else if (!blank && i > 0)
			g_string_append_c(out, ' ');
		blank = space;
	}
}

static void append_errors(GString *out, const json_t *errors)
{
	const json_t *one;
	size_t i;

	json_array_foreach(errors, i, one)
	{
		const char *message = json_string_value(json_object_get(one, "message"));
		const char *more = json_string_value(json_object_get(one, "description"));
		if (message == NULL)
			continue;
		g_string_append(out, i > 0 ? "; " : ": ");
		append_line(out, slice_str(message));
		if (more == NULL)
			continue;
		g_string_append(out, ": ");
		append_line(out, slice_str(more));
	}
}

char *answer_text(long status, struct slice body)
{
	GString *out = g_string_new(NULL);
	json_t *answer = parse(body);

	g_string_printf(out, "%ld", status);
	size_t bare = out->len;
	append_errors(out, json_object_get(answer, "errors"));
	if (out->len == bare && body.n > 0) {
		g_string_append(out, ": ");
		append_line(out, body);
	}
	json_decref(answer);
	char *text = g_utf8_make_valid(out->str, (gssize)out->len);
	g_string_free(out, TRUE);
	return text;
}

/* A count, as a number or as digits. */
static uint64_t count_of(const json_t *record, const char *name)
{
	const json_t *value = json_object_get(record, name);
	int64_t n = 0;

	if (json_is_integer(value))
		n = json_integer_value(value);
	else if (json_is_string(value) && !slice_int(slice_str(json_string_value(value)), &n))
		n = 0;
	return n > 0 ? (uint64_t)n : 0;
}

static bool read_verdict(const json_t *record, struct answer_verdict *verdict)
{
	const char *type = json_string_value(json_object_get(record, "type"));
	const char *error_type = json_string_value(json_object_get(record, "error_type"));

	*verdict = (struct answer_verdict){
	        .batch_id = json_string_value(json_object_get(record, "batch_id")),
	        .success = g_strcmp0(type, "success") == 0,
	        .error_type = error_type != NULL ? error_type : "",
	        .href = json_string_value(json_object_get(record, "href")),
	        .retryable = !json_is_false(json_object_get(record, "retryable")),
	        .succeeded = count_of(record, "number_succeeded"),
	        .failed = count_of(record, "number_failed"),
	        .duplicates = count_of(record, "number_duplicates"),
	};
	return verdict->batch_id != NULL && (verdict->success || g_strcmp0(type, "error") == 0);
}

int answer_verdicts(struct slice body,
        void (*each)(void *ctx, const struct answer_verdict *verdict), void *ctx, struct error *err)
{
	json_t *answer = parse(body);
	const json_t *results = json_object_get(answer, "results"), *one;
	struct answer_verdict verdict;
	size_t i;

	if (!json_is_array(results)) {
		json_decref(answer);
		return error_set(err, "the answer has no list of results");
	}
	json_array_foreach(results, i, one) if (read_verdict(one, &verdict)) each(ctx, &verdict);
	json_decref(answer);
	return 0;
}

/* ---- failed events ---- */

static bool is_gzip(struct slice body)
{
	return body.n >= 2 && (guint8)body.p[0] == 0x1f && (guint8)body.p[1] == 0x8b;
}

static int append_piece(void *ctx, struct slice bytes, struct error *err)
{
	(void)err;
	g_string_append_len(ctx, bytes.p, (gssize)bytes.n);
	return 0;
}

static int unpack(struct slice body, size_t limit, GString *out, struct error *err)
{
	struct error why = {0};

	if (gunzip(body, limit, append_piece, out, &why) == 0)
		return 0;
	return error_set(err, "the file of failed events: %s", why.text);
}

static void append_cause(GString *cause, const json_t *value)
{
	const json_t *one;
	size_t i;

	if (json_is_string(value)) {
		g_string_append(cause, cause->len > 0 ? "; " : "");
		append_line(cause, slice_str(json_string_value(value)));
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, one) if (!json_is_array(one)) append_cause(cause, one);
	} else if (json_is_object(value)) {
		append_cause(cause, json_object_get(value, "message"));
	}
}

/* What a line says of itself. */
static void find_cause(struct slice line, GString *cause)
{
	static const char *const names[] = {"error", "errors", "reason", "message"};
	json_t *object = parse(line);

	g_string_truncate(cause, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		append_cause(cause, json_object_get(object, names[i]));
	json_decref(object);
}

int answer_failures(struct slice body, size_t limit,
        void (*each)(void *ctx, struct slice line, const char *cause), void *ctx, struct error *err)
{
	g_autoptr(GString) text = g_string_new(NULL), cause = g_string_new(NULL);
	int result = 0;

	if (is_gzip(body))
		result = unpack(body, limit, text, err);
	else
		g_string_append_len(text, body.p, (gssize)MIN(body.n, limit));
	for (struct slice rest = slice_make(text->str, text->len); rest.n > 0;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		if (line.n == 0)
			continue;
		find_cause(line, cause);
		each(ctx, line, cause->str);
	}
	return result;
}

/* ---- where the key may go ---- */

static int port_of(GUri *uri)
{
	int port = g_uri_get_port(uri);

	return port > 0 ? port : g_strcmp0(g_uri_get_scheme(uri), "https") == 0 ? 443 : 80;
}

char *answer_same_origin(const char *base, const char *href)
{
	g_autoptr(GUri) from = g_uri_parse(base, G_URI_FLAGS_ENCODED, NULL);
	g_autoptr(GUri) to =
	        from != NULL ? g_uri_parse_relative(from, href, G_URI_FLAGS_ENCODED, NULL) : NULL;

	if (to == NULL || g_uri_get_host(to) == NULL || g_uri_get_host(from) == NULL ||
	        g_strcmp0(g_uri_get_scheme(from), g_uri_get_scheme(to)) != 0 ||
	        g_ascii_strcasecmp(g_uri_get_host(from), g_uri_get_host(to)) != 0 ||
	        port_of(from) != port_of(to) || g_uri_get_userinfo(to) != NULL)
		return NULL;
	return g_uri_to_string(to);
}
