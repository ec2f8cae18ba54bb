#include <config.h>

#include "capture/geo.h"

#include "event/json.h"

#ifdef HAVE_MAXMINDDB
#include <arpa/inet.h>
#include <maxminddb.h>
#include <string.h>

#define CANNOT_OPEN "cannot open the GeoIP database %s: %s"

struct geo {
	MMDB_s database;
};

struct geo *geo_open(const char *path, struct error *err)
{
	struct geo *geo = g_new0(struct geo, 1);
	int status = MMDB_open(path, MMDB_MODE_MMAP, &geo->database);

	if (status == MMDB_SUCCESS)
		return geo;
	if (status == MMDB_IO_ERROR || status == MMDB_OUT_OF_MEMORY_ERROR)
		error_set(err, CANNOT_OPEN, path, MMDB_strerror(status));
	else
		error_config(err, CANNOT_OPEN, path, MMDB_strerror(status));
	g_free(geo);
	return NULL;
}

void geo_close(struct geo **geo)
{
	if (*geo == NULL)
		return;
	MMDB_close(&(*geo)->database);
	g_clear_pointer(geo, g_free);
}

static bool value_at(
        MMDB_entry_s *entry, const char *const *path, uint32_t type, MMDB_entry_data_s *data)
{
	return MMDB_aget_value(entry, data, path) == MMDB_SUCCESS && data->has_data &&
	       data->type == type;
}

static struct slice text_at(MMDB_entry_s *entry, const char *const *path)
{
	MMDB_entry_data_s data;

	if (!value_at(entry, path, MMDB_DATA_TYPE_UTF8_STRING, &data))
		return SLICE_NONE;
	return slice_make(data.utf8_string, data.data_size);
}

static void add_degrees(GString *out, MMDB_entry_s *entry, const char *name)
{
	const char *const path[] = {"location", name, NULL};
	char text[G_ASCII_DTOSTR_BUF_SIZE];
	MMDB_entry_data_s data;

	if (!value_at(entry, path, MMDB_DATA_TYPE_DOUBLE, &data))
		return;
	json_key(out, name);
	g_string_append(out, g_ascii_formatd(text, sizeof(text), "%.10g", data.double_value));
}

/* The members as the recorded events have them; country_name is for SMTPeter's countryname. */
static const struct {
	const char *name;
	const char *path[5];
} members[] = {
        {"country", {"country", "iso_code", NULL}},
        {"country_name", {"country", "names", "en", NULL}},
        {"region", {"subdivisions", "0", "iso_code", NULL}},
        {"city", {"city", "names", "en", NULL}},
        {"postal_code", {"postal", "code", NULL}},
};

static void add_place(GString *out, MMDB_entry_s *entry)
{
	for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
		struct slice text = text_at(entry, members[i].path);
		if (text.n > 0)
			json_member(out, members[i].name, text);
	}
	add_degrees(out, entry, "latitude");
	add_degrees(out, entry, "longitude");
}

#define MAPPED "::ffff:" /* RFC 4291, 2.5.5.2 */

/* Only a numeric address: MMDB_lookup_string would ask the resolver for nothing else either, but
 * through getaddrinfo. */
static bool parse_address(struct slice address, struct sockaddr_storage *parsed)
{
	g_autofree char *text = slice_dup(address);
	struct sockaddr_in *four = (struct sockaddr_in *)parsed;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)parsed;

	*parsed = (struct sockaddr_storage){0};
	if (text == NULL)
		return false;
	parsed->ss_family = AF_INET;
	/* As a socket for both families writes the address of a client that came by IPv4. */
	const char *bare = g_ascii_strncasecmp(text, MAPPED, strlen(MAPPED)) == 0
	                           ? text + strlen(MAPPED)
	                           : text;
	if (inet_pton(AF_INET, bare, &four->sin_addr) == 1)
		return true;
	parsed->ss_family = AF_INET6;
	return inet_pton(AF_INET6, text, &six->sin6_addr) == 1;
}

bool geo_locate(const struct geo *geo, struct slice address, GString *out)
{
	struct sockaddr_storage parsed;
	int status = MMDB_SUCCESS;
	gsize before = out->len;

	if (!parse_address(address, &parsed))
		return false;
	MMDB_lookup_result_s found =
	        MMDB_lookup_sockaddr(&geo->database, (const struct sockaddr *)&parsed, &status);
	if (status != MMDB_SUCCESS || !found.found_entry)
		return false;
	g_string_append_c(out, '{');
	add_place(out, &found.entry);
	g_string_append_c(out, '}');
	if (out->len > before + 2)
		return true;
	g_string_truncate(out, before);
	return false;
}

#else

struct geo *geo_open(const char *path, struct error *err)
{
	error_config(err, "cannot use the GeoIP database %s: built without libmaxminddb", path);
	return NULL;
}

void geo_close(struct geo **geo)
{
	*geo = NULL;
}

bool geo_locate(const struct geo *geo, struct slice address, GString *out)
{
	(void)geo;
	(void)address;
	(void)out;
	return false;
}

#endif
