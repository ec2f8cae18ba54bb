/* The steps of a milter session as an MTA takes them, for tests that script one. */
#ifndef PW_TESTS_SESSION_STEPS_H
#define PW_TESTS_SESSION_STEPS_H

#include "milter/session.h"

static struct milter_session *session; /* the one that the steps are those of */

static inline void mail_from(const char *from)
{
	const char *argv[] = {from, NULL};

	milter_session_mail(session, argv, NULL, NULL, NULL, NULL, NULL);
}

static inline void rcpt_to(const char *to)
{
	const char *argv[] = {to, NULL};

	milter_session_rcpt(session, argv, NULL, "smtp", "[127.0.0.1]:25", to);
}

static inline void header(const char *name, const char *value)
{
	milter_session_header(session, name, value);
}

static inline int finish(const char *queue_id)
{
	unsigned remove;

	return milter_session_end(session, queue_id, NULL, &remove);
}

#endif
