#include "logtail/loss.h"

#include <stddef.h>

#define WORD(text) \
	{ \
		text, sizeof(text) - 1 \
	}

/* Who says so, and by which words. Where `of_mail`, the text names a unit: others are no loss to
 * us.
 *
 * rsyslog's runtime/ratelimit.c: "imuxsock[pid 7]: begin to drop messages due to rate-limiting",
 * "imjournal: 90 messages lost due to rate-limiting (20000 allowed within 600 seconds)"; up to 7
 * plugins/imuxsock/imuxsock.c: "imuxsock lost 35 messages from pid 7 due to rate-limiting", with
 * the tag "rsyslogd-2177". journald's journald-server.c: "Suppressed 17 messages from
 * postfix.service"; journald-syslog.c: "Forwarding to syslog missed 3 messages.". */
static const struct {
	struct slice program; /* how its name begins */
	struct slice words[2];
	bool of_mail;
} notices[] = {
        {WORD("rsyslogd"), {WORD("due to rate-limiting"), WORD("messages")}, false},
        {WORD("systemd-journal"), {WORD("Suppressed "), WORD(" messages from ")}, true},
        {WORD("journal"), {WORD("Suppressed "), WORD(" messages from ")}, true},
        {WORD("systemd-journal"), {WORD("Forwarding to syslog missed "), WORD(" messages")}, false},
        {WORD("journal"), {WORD("Forwarding to syslog missed "), WORD(" messages")}, false},
};

bool loss_is_of_mail(struct slice text)
{
	static const struct slice units[] = {
	        WORD("postfix"), WORD("sendmail"), WORD("sm-mta"), WORD("mail")};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (slice_find(text, units[i]) >= 0)
			return true;
	return false;
}

bool loss_is_notice(struct slice program, struct slice text)
{
	for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++)
		if (slice_starts(program, notices[i].program) &&
		        slice_find(text, notices[i].words[0]) >= 0 &&
		        slice_find(text, notices[i].words[1]) >= 0)
			return !notices[i].of_mail || loss_is_of_mail(text);
	return false;
}
