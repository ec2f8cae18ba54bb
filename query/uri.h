/* A raw request target taken apart: path segments and parameters, percent-decoded (RFC 3986, 2.1),
 * with '+' as space in parameters (HTML form encoding, which Go and Python clients send). */
#ifndef PW_QUERY_URI_H
#define PW_QUERY_URI_H

#include <glib.h>

#include "base/slice.h"

struct uri_param {
	struct slice name;
	struct slice value; /* where it cannot be decoded: as sent */
	bool bad_name;      /* escapes of the name are broken; the name is as sent */
	bool bad_value;
};

struct uri {
	GArray *segments; /* struct slice; a trailing slash makes none */
	GArray *params;   /* struct uri_param, in order of the target */
	bool bad_path;    /* no path, or its escapes are broken */
	char *bytes;      /* what the slices point to */
};

/* Takes the origin form (/path?query) and the absolute form (http://host/path?query). Any bytes do;
 * what is wrong with them is told by the bad_ flags. */
void uri_parse(struct uri *uri_r, struct slice target);
void uri_clear(struct uri *uri);

/* Whether the path is `path`: segments joined by '/', without a slash at either end. */
bool uri_path_is(const struct uri *uri, const char *path);

/* The same; a last segment "*" of `path` stands for any one segment, without a NUL byte, which
 * *tail_r then is (empty otherwise). */
bool uri_path_fits(const struct uri *uri, const char *path, struct slice *tail_r);

/* Whether there is a parameter of this name. */
bool uri_has(const struct uri *uri, const char *name);

/* Appends `text` as the value of a parameter. Characters that may stand in a query (RFC 3986, 3.4)
 * and mean nothing there stay as they are, colons unless escape_colons; the rest is
 * percent-encoded. */
void uri_encode(GString *out, struct slice text, bool escape_colons);

#endif
