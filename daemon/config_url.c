#include "daemon/config_url.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <string.h>

static bool config_is_loopback(const char *host)
{
	g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);

	return strcmp(host, "localhost") == 0 ||
	       (address != NULL && g_inet_address_get_is_loopback(address));
}

const char *config_check_url(char **url)
{
	if (*url == NULL)
		return "must be given";
	g_autoptr(GUri) uri = g_uri_parse(*url, G_URI_FLAGS_ENCODED, NULL);

	if (uri == NULL || g_uri_get_host(uri) == NULL || *g_uri_get_host(uri) == '\0' ||
	        g_uri_get_query(uri) != NULL || g_uri_get_fragment(uri) != NULL)
		return "must be https://HOST or https://HOST:PORT";
	if (g_uri_get_userinfo(uri) != NULL)
		return "must hold no user or password: the key goes into key_file";
	if (strcmp(g_uri_get_scheme(uri), "https") != 0 &&
	        (strcmp(g_uri_get_scheme(uri), "http") != 0 ||
	                !config_is_loopback(g_uri_get_host(uri))))
		return "must be https (http only to the machine itself)";
	while (g_str_has_suffix(*url, "/"))
		(*url)[strlen(*url) - 1] = '\0';
	if (g_str_has_suffix(*url, "/api/v1"))
		(*url)[strlen(*url) - strlen("/api/v1")] = '\0';
	return NULL;
}
