#include "query/keys.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>

#include "query/query.h"
#include "tests/support/unit.h"
#include "tests/unit/store_support.h"

static const struct access_words all_words = {.grants = "read"};

static char *dir;
static struct store *store;
static struct keyring *keyring;
static int64_t now;

static int64_t told(void)
{
	return now;
}

static void open_ring(int rate, int burst)
{
	const struct keyring_config config = {
	        .store = store, .rate = rate, .burst = burst, .clock = told};
	struct error err = {0};

	ck_assert_msg(keyring_open(&keyring, &config, &err) == 0, "%s", err.text);
}

static void setup(void)
{
	dir = scratch_make();
	store = open_store(dir, STORE_WRITE);
	open_ring(0, 0);
}

static void teardown(void)
{
	keyring_free(&keyring);
	store_close(&store);
	scratch_remove(&dir);
}

static char *add(const char *name, const struct access_words *words, char **id_r)
{
	struct error err = {0};
	char *id = NULL;
	char *text = keyring_add(keyring, name, words, &id, &err);

	ck_assert_msg(text != NULL, "%s", err.text);
	if (id_r != NULL)
		*id_r = id;
	else
		g_free(id);
	return text;
}

static bool known(const char *text)
{
	struct key *key = keyring_find(keyring, slice_str(text));
	bool found = key != NULL;

	key_unref(key);
	return found;
}

static void name_key(void *ctx, const struct key_facts *facts)
{
	g_string_append_printf(ctx, "%s:%u ", facts->name, facts->access.grants);
}

static void check_names(const char *want)
{
	g_autoptr(GString) names = g_string_new(NULL);

	keyring_each(keyring, name_key, names);
	ck_assert_str_eq(names->str, want);
}

START_TEST(a_key_is_found_by_its_text_alone)
{
	g_autofree char *id = NULL;
	g_autofree char *text = add("a", &all_words, &id);
	g_autofree char *other = add("b", &all_words, NULL);

	ck_assert_uint_eq(strlen(text), 3 + 12 + 1 + 43);
	ck_assert(g_str_has_prefix(text, "pw_"));
	ck_assert(strncmp(text + 3, id, 12) == 0);
	ck_assert_str_ne(text, other);
	struct key *key = keyring_find(keyring, slice_str(text));
	ck_assert_ptr_nonnull(key);
	ck_assert_uint_eq(key_access(key)->grants, GRANT_READ);
	g_autofree char *who = g_strconcat("key ", id, NULL);
	ck_assert_str_eq(key_access(key)->who, who);
	key_unref(key);
	ck_assert(known(other));
}
END_TEST

START_TEST(a_text_that_differs_anywhere_is_no_key)
{
	g_autofree char *text = add("a", &all_words, NULL);
	g_autofree char *other = add("b", &all_words, NULL);
	g_autofree char *longer = g_strconcat(text, "A", NULL);
	g_autofree char *mixed = g_strdup_printf("%.15s%s", text, other + 15);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		char was = text[i];

		text[i] = was == 'a' ? 'b' : 'a';
		ck_assert_msg(!known(text), "%s", text);
		text[i] = was;
		ck_assert(keyring_find(keyring, slice_make(text, i)) == NULL);
	}
	ck_assert(known(text));
	ck_assert(!known(longer));
	ck_assert(!known(mixed));
	ck_assert(!known(""));
	ck_assert(keyring_find(keyring, SLICE_NONE) == NULL);
}
END_TEST

START_TEST(keys_outlive_a_restart_and_their_secret_is_not_in_the_store)
{
	const struct access_words words = {"read ingest", "5 6", "a.example"};
	g_autofree char *text = add("first", &words, NULL);
	g_autofree char *second = add("second", &all_words, NULL);

	keyring_free(&keyring);
	store_close(&store);
	g_autofree char *command = g_strdup_printf("grep -rqF -e '%s' '%s'", text + 16, dir);
	ck_assert_int_ne(system(command), 0);
	store = open_store(dir, STORE_WRITE);
	open_ring(0, 0);
	check_names("first:3 second:1 ");
	struct key *key = keyring_find(keyring, slice_str(text));
	ck_assert_ptr_nonnull(key);
	ck_assert_str_eq(key_access(key)->scope.subaccounts[1], "6");
	ck_assert_str_eq(key_access(key)->scope.domains[0], "a.example");
	key_unref(key);
	ck_assert(known(second));
}
END_TEST

START_TEST(a_revoked_key_is_known_to_nobody_from_then_on)
{
	g_autofree char *id = NULL;
	g_autofree char *text = add("a", &all_words, &id);
	struct key *held = keyring_find(keyring, slice_str(text));

	ck_assert(!key_is_revoked(held));
	ck_assert_int_eq(keyring_revoke(keyring, id, NULL), 1);
	ck_assert(key_is_revoked(held)); /* a stream that it has opened ends */
	key_unref(held);
	ck_assert(!known(text));
	ck_assert_int_eq(keyring_revoke(keyring, id, NULL), 0);
	ck_assert_int_eq(keyring_revoke(keyring, "' OR 1", NULL), 0);
	keyring_free(&keyring);
	open_ring(0, 0);
	ck_assert(!known(text));
	check_names("");
}
END_TEST

START_TEST(keys_are_made_while_events_are_committed)
{
	const struct event event = make_event(EVENT_DELIVERY, DAY1, 1, "m", "a@b.example");

	g_autofree char *before = add("before", &all_words, NULL);
	ck_assert_uint_eq(commit_events(store, &event, 1), 1);
	g_autofree char *after = add("after", &all_words, NULL);
	ck_assert(known(before) && known(after));
}
END_TEST

START_TEST(a_key_that_asks_too_often_has_to_wait)
{
	g_autofree char *text = add("a", &all_words, NULL);

	keyring_free(&keyring);
	open_ring(60, 3); /* one a second, three at once */
	struct key *key = keyring_find(keyring, slice_str(text));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(keyring_count(keyring, key), 0);
	ck_assert_int_eq(keyring_count(keyring, key), 1);
	now += 999;
	ck_assert_int_eq(keyring_count(keyring, key), 1);
	now += 2;
	ck_assert_int_eq(keyring_count(keyring, key), 0);
	ck_assert_int_eq(keyring_count(keyring, key), 1);
	now += 3600 * 1000; /* what was not used does not add up beyond the burst */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(keyring_count(keyring, key), 0);
	ck_assert_int_eq(keyring_count(keyring, key), 1);
	key_unref(key);
}
END_TEST

START_TEST(a_slow_rate_tells_how_long_and_no_rate_has_no_limit)
{
	g_autofree char *text = add("a", &all_words, NULL);

	keyring_free(&keyring);
	open_ring(1, 1);
	struct key *key = keyring_find(keyring, slice_str(text));
	ck_assert_int_eq(keyring_count(keyring, key), 0);
	int wait = keyring_count(keyring, key);
	ck_assert_int_ge(wait, 60);
	ck_assert_int_le(wait, 61);
	now += wait * 1000;
	ck_assert_int_eq(keyring_count(keyring, key), 0);
	key_unref(key);
	keyring_free(&keyring);
	open_ring(0, 0);
	key = keyring_find(keyring, slice_str(text));
	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(keyring_count(keyring, key), 0);
	key_unref(key);
}
END_TEST

/* --- the routes --- */

static const struct access *asker = &access_all;

static json_t *ask(const char *method, const char *target, const char *body, unsigned status)
{
	const struct query_config config = {.keyring = keyring};
	const struct query_input input = {.method = method,
	        .uri = slice_str(target),
	        .access = asker,
	        .body = slice_str(body)};
	struct query_answer answer;

	query_answer_input(store, &config, &input, &answer);
	ck_assert_msg(answer.status == status, "%s %s: %u %s", target, body, answer.status,
	        answer.body->str);
	json_t *json = json_loadb(answer.body->str, answer.body->len, 0, NULL);
	ck_assert_ptr_nonnull(json);
	query_answer_clear(&answer);
	return json;
}

START_TEST(the_routes_make_list_and_revoke_keys)
{
	json_t *json = ask("POST", "/api/v1/keys",
	        "{\"name\":\"d\303\244sh\",\"grants\":[\"read\"],\"subaccounts\":[7,\"8\"],"
	        "\"domains\":[\"A.example\"]}",
	        200);
	const json_t *made = json_object_get(json, "results");
	ck_assert(known(json_string_value(json_object_get(made, "key"))));
	g_autofree char *id = g_strdup(json_string_value(json_object_get(made, "id")));
	json_decref(json);
	json = ask("GET", "/api/v1/keys", NULL, 200);
	json_t *one = json_array_get(json_object_get(json, "results"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(one, "id")), id);
	json_object_del(one, "id");
	json_object_del(one, "created");
	g_autofree char *text = json_dumps(one, JSON_COMPACT);
	ck_assert_str_eq(text, "{\"name\":\"d\303\244sh\",\"grants\":[\"read\"],"
	                       "\"subaccounts\":[\"7\",\"8\"],\"domains\":[\"a.example\"]}");
	json_decref(json);
	g_autofree char *uri = g_strconcat("/api/v1/keys/", id, NULL);
	json_decref(ask("DELETE", uri, NULL, 200));
	json_decref(ask("DELETE", uri, NULL, 404));
	json_decref(ask("PUT", uri, NULL, 405));
}
END_TEST

START_TEST(a_wish_that_is_wrong_is_refused_and_makes_no_key)
{
	static const char *const bodies[] = {"", "{", "[]", "null", "{}", "{\"grants\":\"read\"}",
	        "{\"grants\":[]}", "{\"grants\":[\"admin\"]}", "{\"grants\":[1.5]}",
	        "{\"grants\":[\"read\"],\"grants\":[\"ingest\"]}",
	        "{\"grants\":[\"read\"],\"subaccount\":[1]}",
	        "{\"grants\":[\"read\"],\"subaccounts\":[]}",
	        "{\"grants\":[\"read\"],\"subaccounts\":[-1]}",
	        "{\"grants\":[\"read\"],\"subaccounts\":[\"1 2\"]}",
	        "{\"grants\":[\"read\"],\"domains\":[\"\"]}",
	        "{\"grants\":[\"read\"],\"domains\":null}", "{\"grants\":[\"read\"],\"name\":7}",
	        "{\"grants\":[\"read\"],\"name\":\"a\\u001b\"}",
	        "{\"grants\":[\"read\"],\"name\":\"a\\u0000\"}"};
	g_autofree char *name = g_strnfill(201, 'x');
	g_autofree char *longer = g_strdup_printf("{\"grants\":[\"read\"],\"name\":\"%s\"}", name);

	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++)
		json_decref(ask("POST", "/api/v1/keys", bodies[i], 400));
	json_decref(ask("POST", "/api/v1/keys", longer, 400));
	check_names("");
}
END_TEST

START_TEST(only_who_may_do_everything_handles_keys)
{
	static const struct access reader = {.grants = GRANT_ALL & ~GRANT_ADMIN, .who = "a reader"};

	asker = &reader;
	json_decref(ask("GET", "/api/v1/keys", NULL, 403));
	json_decref(ask("POST", "/api/v1/keys", "{\"grants\":[\"read\"]}", 403));
	json_decref(ask("DELETE", "/api/v1/keys/x", NULL, 403));
	asker = &access_none;
	json_decref(ask("GET", "/api/v1/keys", NULL, 401));
	asker = &access_all;
	keyring_free(&keyring);
	json_decref(ask("GET", "/api/v1/keys", NULL, 503));
	open_ring(0, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_key_is_found_by_its_text_alone,
	        a_text_that_differs_anywhere_is_no_key,
	        keys_outlive_a_restart_and_their_secret_is_not_in_the_store,
	        a_revoked_key_is_known_to_nobody_from_then_on,
	        keys_are_made_while_events_are_committed, a_key_that_asks_too_often_has_to_wait,
	        a_slow_rate_tells_how_long_and_no_rate_has_no_limit,
	        the_routes_make_list_and_revoke_keys,
	        a_wish_that_is_wrong_is_refused_and_makes_no_key,
	        only_who_may_do_everything_handles_keys, NULL};

	return run_store_tests("keys", setup, teardown, tests);
}
