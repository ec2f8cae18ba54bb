/* /api/v1/keys: for who may do everything. postwake-key(1) is its client. */
#include "query/request.h"

#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "event/json.h"
#include "query/keys.h"

#define NAME_MAX_BYTES 200

static bool keys_served(const struct query_request *request, struct query_answer *answer_r)
{
	if (request->config->keyring != NULL)
		return true;
	query_answer_error(answer_r, 503, "Keys are not served here");
	return false;
}

/* --- telling --- */

static void put_list(GString *out, const char *name, const char *const *list)
{
	if (list == NULL)
		return;
	json_key(out, name);
	g_string_append_c(out, '[');
	for (size_t i = 0; list[i] != NULL; i++) {
		if (i > 0)
			g_string_append_c(out, ',');
		json_quote(out, slice_str(list[i]));
	}
	g_string_append_c(out, ']');
}

static void put_facts(GString *out, const struct key_facts *facts)
{
	g_autoptr(GString) grants = g_string_new(NULL);
	char created[CLOCK_TEXT_MAX];

	access_grant_names(grants, facts->access.grants, " ");
	g_auto(GStrv) names = g_strsplit(grants->str, " ", -1);
	json_member(out, "id", slice_str(facts->id));
	json_member(out, "name", slice_str(facts->name));
	put_list(out, "grants", (const char *const *)names);
	put_list(out, "subaccounts", facts->access.scope.subaccounts);
	put_list(out, "domains", facts->access.scope.domains);
	json_member(out, "created",
	        slice_make(created, clock_format(facts->created, CLOCK_ZULU, created)));
}

static void list_key(void *ctx, const struct key_facts *facts)
{
	GString *out = ctx;

	g_string_append(out, out->str[out->len - 1] == '[' ? "{" : ",{");
	put_facts(out, facts);
	g_string_append_c(out, '}');
}

void keys_list(const struct query_request *request, struct query_answer *answer_r)
{
	if (!keys_served(request, answer_r))
		return;
	answer_r->status = 200;
	answer_r->body = g_string_new("{\"results\":[");
	keyring_each(request->config->keyring, list_key, answer_r->body);
	g_string_append(answer_r->body, "]}");
}

/* --- making --- */

/* What a key is asked to be. */
struct wish {
	const char *name;
	GString *list[3]; /* by the rows of wish_lists: words with blanks between, NULL = absent */
};

static const char *const wish_lists[] = {"grants", "subaccounts", "domains"};

static void wish_clear(struct wish *wish)
{
	for (size_t i = 0; i < G_N_ELEMENTS(wish_lists); i++)
		if (wish->list[i] != NULL)
			g_string_free(wish->list[i], TRUE);
}

static int wish_word(GString *list, const char *name, const json_t *word, struct error *err)
{
	if (json_is_integer(word))
		g_string_append_printf(list, "%" JSON_INTEGER_FORMAT " ", json_integer_value(word));
	else if (json_is_string(word) && strpbrk(json_string_value(word), " \t,") == NULL)
		g_string_append_printf(list, "%s ", json_string_value(word));
	else
		return error_set(err, "%s must be a list of texts without blanks and commas", name);
	return 0;
}

static int wish_list(struct wish *wish, size_t i, const json_t *value, struct error *err)
{
	const json_t *word;
	size_t at;

	if (!json_is_array(value))
		return error_set(err, "%s must be a list", wish_lists[i]);
	wish->list[i] = g_string_new(NULL);
	json_array_foreach(value, at, word)
	{
		if (wish_word(wish->list[i], wish_lists[i], word, err) < 0)
			return -1;
	}
	return 0;
}

static int wish_name(struct wish *wish, const json_t *value, struct error *err)
{
	wish->name = json_string_value(value);
	if (wish->name == NULL || strlen(wish->name) > NAME_MAX_BYTES)
		return error_set(err, "name must be a text of at most %d bytes", NAME_MAX_BYTES);
	for (const char *p = wish->name; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return error_set(err, "name must not contain control characters");
	return 0;
}

/* A member that nobody knows might have been meant to narrow the key: it is refused. */
static int wish_member(struct wish *wish, const char *name, const json_t *value, struct error *err)
{
	if (strcmp(name, "name") == 0)
		return wish_name(wish, value, err);
	for (size_t i = 0; i < G_N_ELEMENTS(wish_lists); i++)
		if (strcmp(wish_lists[i], name) == 0)
			return wish_list(wish, i, value, err);
	return error_set(
	        err, "%s is not known; a key has name, grants, subaccounts and domains", name);
}

static int wish_read(struct wish *wish, const json_t *json, struct error *err)
{
	const json_t *value;
	const char *name;

	*wish = (struct wish){.name = ""};
	if (!json_is_object(json))
		return error_set(err, "the body must be a JSON object");
	json_object_foreach((json_t *)json, name, value)
	{
		if (wish_member(wish, name, value, err) < 0)
			return -1;
	}
	return wish->list[0] != NULL ? 0 : error_set(err, "grants must be given");
}

static const char *wish_text(const struct wish *wish, size_t i)
{
	return wish->list[i] != NULL ? wish->list[i]->str : NULL;
}

static int make_key(
        struct keyring *keyring, const struct wish *wish, GString **body_r, struct error *err)
{
	const struct access_words words = {
	        .grants = wish_text(wish, 0),
	        .subaccounts = wish_text(wish, 1),
	        .domains = wish_text(wish, 2),
	};
	g_autofree char *id = NULL;
	g_autofree char *key = keyring_add(keyring, wish->name, &words, &id, err);

	if (key == NULL)
		return -1;
	*body_r = g_string_new("{\"results\":{");
	json_member(*body_r, "id", slice_str(id));
	json_member(*body_r, "key", slice_str(key));
	g_string_append(*body_r, "}}");
	return 0;
}

/* The status of the answer; the body of a 200, or *err. */
static unsigned add_key(const struct query_request *request, GString **body_r, struct error *err)
{
	struct wish wish = {0};
	unsigned status = 400;
	json_error_t where;
	json_t *json = json_loadb(request->body.p, request->body.n, JSON_REJECT_DUPLICATES, &where);

	if (json == NULL)
		error_set(err, "the body is no JSON: %s", where.text);
	else if (wish_read(&wish, json, err) == 0)
		status = make_key(request->config->keyring, &wish, body_r, err) == 0 ? 200
		         : err->number == EINVAL                                     ? 400
		                                                                     : 500;
	wish_clear(&wish);
	json_decref(json);
	return status;
}

void keys_add(const struct query_request *request, struct query_answer *answer_r)
{
	struct error err = {0};

	if (!keys_served(request, answer_r))
		return;
	unsigned status = add_key(request, &answer_r->body, &err);
	if (status == 200)
		answer_r->status = status;
	else
		query_answer_error(answer_r, status, err.text);
}

void keys_revoke(const struct query_request *request, struct query_answer *answer_r)
{
	struct error err = {0};

	if (!keys_served(request, answer_r))
		return;
	int result = keyring_revoke(request->config->keyring, request->tail, &err);
	if (result < 0) {
		query_answer_error(answer_r, 500, err.text);
	} else if (result == 0) {
		query_answer_error(answer_r, 404, "Resource could not be found");
	} else {
		answer_r->status = 200;
		answer_r->body = g_string_new("{\"results\":{");
		json_member(answer_r->body, "id", slice_str(request->tail));
		g_string_append(answer_r->body, "}}");
	}
}
