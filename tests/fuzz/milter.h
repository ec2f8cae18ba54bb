/* What the targets of the milter hand it besides what it tells them. */
#ifndef PW_TESTS_FUZZ_MILTER_H
#define PW_TESTS_FUZZ_MILTER_H

#include "milter/session.h"

static int64_t now(void *ctx)
{
	(void)ctx;
	return 1;
}

/* Some are addresses of ours for reports. */
static bool report_address(void *ctx, const char *address)
{
	(void)ctx;
	return *address == 'b';
}

static void report(void *ctx, GString *mail)
{
	(void)ctx;
	g_string_free(mail, TRUE);
}

#endif
