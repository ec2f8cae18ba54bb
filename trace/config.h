/* The lists of trace_config: internal relays and sending addresses. */
#ifndef PW_TRACE_CONFIG_H
#define PW_TRACE_CONFIG_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

struct relay {
	unsigned char ip[16];
	unsigned first, last; /* ports */
};

struct sending_ip {
	struct slice program, ip, pool;
};

/* Parsed lists of trace_config. -1 with *err at the first wrong word. */
int relays_parse(GArray *relays, const char *text, struct error *err);
int sending_ips_parse(GArray *sending_ips, const char *text, struct error *err);

/* An empty port means any. */
bool relays_hold(const GArray *relays, struct slice ip, struct slice port);

#endif
