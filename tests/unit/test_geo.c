#include <config.h>

#include "capture/geo.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/ingest_line.h"
#include "tests/support/unit.h"

static char *dir, *path;

static void setup(void)
{
	dir = g_dir_make_tmp("postwake-geo-XXXXXX", NULL);
	path = g_build_filename(dir, "city.mmdb", NULL);
}

static void teardown(void)
{
	g_unlink(path);
	g_rmdir(dir);
	g_free(path);
	g_free(dir);
}

#ifdef HAVE_MAXMINDDB

/* ---- a database of one network (MaxMind DB File Format Specification, version 2.0) ---- */

enum { TEXT = 2, DOUBLE = 3, UINT16 = 5, UINT32 = 6, MAP = 7, UINT64 = 9, ARRAY = 11 };

static void put_control(GByteArray *out, int type, size_t size)
{
	guint8 bytes[2] = {(guint8)((type < 8 ? type << 5 : 0) | (int)size), (guint8)(type - 7)};

	g_byte_array_append(out, bytes, type < 8 ? 1 : 2);
}

static void put_text(GByteArray *out, const char *text)
{
	put_control(out, TEXT, strlen(text));
	g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

static void put_number(GByteArray *out, int type, guint64 value)
{
	guint8 bytes[2] = {(guint8)(value >> 8), (guint8)value};

	put_control(out, type, sizeof(bytes));
	g_byte_array_append(out, bytes, sizeof(bytes));
}

static void put_double(GByteArray *out, double value)
{
	guint64 bits;

	memcpy(&bits, &value, sizeof(bits));
	bits = GUINT64_TO_BE(bits);
	put_control(out, DOUBLE, sizeof(bits));
	g_byte_array_append(out, (const guint8 *)&bits, sizeof(bits));
}

static void put_key(GByteArray *out, const char *key, int type, size_t size)
{
	put_text(out, key);
	put_control(out, type, size);
}

static void put_pair(GByteArray *out, const char *key, const char *text)
{
	put_text(out, key);
	put_text(out, text);
}

/* 192.0.2.0/24: one node a bit, of two records of 24 bits each. */
#define NODES 24
#define NETWORK 0xc0000200u

static void put_tree(GByteArray *out)
{
	static const guint8 separator[16];

	for (unsigned i = 0; i < NODES; i++) {
		unsigned next = i + 1 < NODES ? i + 1 : NODES + (unsigned)sizeof(separator);
		for (unsigned bit = 0; bit < 2; bit++) {
			unsigned to = (NETWORK >> (31 - i) & 1) == bit ? next : NODES;
			guint8 record[3] = {(guint8)(to >> 16), (guint8)(to >> 8), (guint8)to};
			g_byte_array_append(out, record, sizeof(record));
		}
	}
	g_byte_array_append(out, separator, sizeof(separator));
}

static void put_place(GByteArray *out)
{
	put_control(out, MAP, 5);
	put_key(out, "country", MAP, 2);
	put_pair(out, "iso_code", "US");
	put_key(out, "names", MAP, 1);
	put_pair(out, "en", "United States");
	put_key(out, "subdivisions", ARRAY, 1);
	put_control(out, MAP, 1);
	put_pair(out, "iso_code", "MD");
	put_key(out, "city", MAP, 1);
	put_key(out, "names", MAP, 1);
	put_pair(out, "en", "Columbia");
	put_key(out, "postal", MAP, 1);
	put_pair(out, "code", "21046");
	put_key(out, "location", MAP, 2);
	put_text(out, "latitude");
	put_double(out, 39.1749);
	put_text(out, "longitude");
	put_double(out, -76.8375);
}

static void put_metadata(GByteArray *out)
{
	g_byte_array_append(out, (const guint8 *)"\xab\xcd\xefMaxMind.com", 14);
	put_control(out, MAP, 9);
	put_text(out, "node_count");
	put_number(out, UINT32, NODES);
	put_text(out, "record_size");
	put_number(out, UINT16, 24);
	put_text(out, "ip_version");
	put_number(out, UINT16, 4);
	put_pair(out, "database_type", "Test-City");
	put_key(out, "languages", ARRAY, 1);
	put_text(out, "en");
	put_text(out, "binary_format_major_version");
	put_number(out, UINT16, 2);
	put_text(out, "binary_format_minor_version");
	put_number(out, UINT16, 0);
	put_text(out, "build_epoch");
	put_number(out, UINT64, 1);
	put_key(out, "description", MAP, 1);
	put_pair(out, "en", "one network");
}

static struct geo *make_database(void)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct error err = {0};

	put_tree(bytes);
	put_place(bytes);
	put_metadata(bytes);
	ck_assert(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
	struct geo *geo = geo_open(path, &err);
	ck_assert_msg(geo != NULL, "%s", err.text);
	return geo;
}

#define PLACE \
	"{\"country\":\"US\",\"country_name\":\"United " \
	"States\",\"region\":\"MD\",\"city\":\"Columbia\",\"postal_code\":\"21046\"," \
	"\"latitude\":39.1749,\"longitude\":-76.8375}"

START_TEST(an_address_has_a_place)
{
	struct geo *geo = make_database();
	g_autoptr(GString) out = g_string_new(">");

	ck_assert(geo_locate(geo, SLICE("192.0.2.77"), out));
	ck_assert_str_eq(out->str, ">" PLACE);
	/* As a socket for both families tells it. */
	g_string_truncate(out, 1);
	ck_assert(geo_locate(geo, SLICE("::FFFF:192.0.2.77"), out));
	ck_assert_str_eq(out->str, ">" PLACE);
	geo_close(&geo);
}
END_TEST

START_TEST(other_addresses_have_none)
{
	static const char *const others[] = {"198.51.100.1", "192.0.3.1", "", "192.0.2",
	        "example.com", "192.0.2.77 ", "2001:db8::1", "192.0.2.77:25", "::ffff:198.51.100.1",
	        "::ffff:"};
	struct geo *geo = make_database();
	g_autoptr(GString) out = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		ck_assert_msg(!geo_locate(geo, slice_str(others[i]), out), "%s", others[i]);
	ck_assert(!geo_locate(geo, SLICE_NONE, out));
	ck_assert_uint_eq(out->len, 0);
	geo_close(&geo);
}
END_TEST

static void take(const struct geo *geo, const char *type, const char *more, const char *want)
{
	const struct ingest_config config = {.keep_days = -1, .geo = geo};
	const struct ingest_rules rules = {.config = &config, .received = clock_now()};
	g_autofree char *text = g_strdup_printf(
	        "{\"msys\":{\"%s\":{\"type\":\"%s\",\"event_id\":\"1\",\"timestamp\":"
	        "\"1549054731\","
	        "\"message_id\":\"m\",\"delv_method\":\"esmtp\"%s}}}",
	        strcmp(type, "delivery") == 0 ? "message_event" : "track_event", type, more);
	struct ingest_line line;
	struct error err = {0};

	ck_assert_msg(ingest_line_take(&rules, slice_str(text), &line, &err) == 0, "%s", err.text);
	if (want == NULL)
		ck_assert(!event_has(&line.event, FIELD_GEO_IP));
	else
		ck_assert(slice_eq(line.event.field[FIELD_GEO_IP], slice_str(want)));
	ingest_line_clear(&line);
}

START_TEST(opens_and_clicks_without_a_place_get_one)
{
	struct geo *geo = make_database();

	take(geo, "open", ",\"ip_address\":\"192.0.2.1\"", PLACE);
	take(geo, "amp_click", ",\"ip_address\":\"192.0.2.1\"", PLACE);
	take(geo, "click", ",\"ip_address\":\"192.0.2.1\",\"geo_ip\":{\"country\":\"DE\"}",
	        "{\"country\":\"DE\"}");
	take(geo, "open", ",\"ip_address\":\"198.51.100.1\"", NULL);
	take(geo, "open", "", NULL);
	take(geo, "delivery", ",\"ip_address\":\"192.0.2.1\"", NULL);
	take(NULL, "open", ",\"ip_address\":\"192.0.2.1\"", NULL);
	geo_close(&geo);
}
END_TEST

#endif

START_TEST(what_is_no_database_is_refused)
{
	struct error err = {0};

	ck_assert_ptr_null(geo_open(path, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "city.mmdb"));
	ck_assert(g_file_set_contents(path, "\xab\xcd\xefMaxMind.com\xe9", -1, NULL));
	error_clear(&err);
	ck_assert_ptr_null(geo_open(path, &err));
	ck_assert(err.set);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
#ifdef HAVE_MAXMINDDB
	        an_address_has_a_place, other_addresses_have_none,
	        opens_and_clicks_without_a_place_get_one,
#endif
	        what_is_no_database_is_refused};
	Suite *suite = suite_create("geo");
	TCase *cases = tcase_create("geo");

	tcase_add_checked_fixture(cases, setup, teardown);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		tcase_add_test(cases, tests[i]);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
