/* The filters that search and follow share: options to API parameters. */
#ifndef PW_CLI_FILTER_H
#define PW_CLI_FILTER_H

#include <glib.h>

#include "base/error.h"

/* One list for each filter option, in the order of the table in filter.c. */
#define FILTERS 11
struct filter {
	char **values[FILTERS];
};

/* The option entries (FILTERS of them, not ended) that fill `filter`. */
void filter_entries(struct filter *filter, GOptionEntry *entries);

/* -1 with *err where a value is empty: it would find everything, which nobody means who writes
 * --recipient "$UNSET". */
int filter_check(const struct filter *filter, struct error *err);

/* Appends the parameters to a URI; a value that holds a comma gets another delimiter. */
void filter_parameters(const struct filter *filter, GString *uri);
void filter_clear(struct filter *filter);

#endif
