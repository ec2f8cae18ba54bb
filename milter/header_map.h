/* Which headers of a mail tell what: a table of `Header=target`, made from text.
 *
 *	default X-Campaign=campaign_id X-Job=meta.job X-Labels=tags X-Acme-*=meta.*
 *
 * Rows are parted by blanks, commas or semicolons. The word `default` stands for the built-in rows;
 * without it they are not used. Targets:
 *
 *	campaign_id, template_id, template_version, transmission_id, subaccount_id, ip_pool,
 *	ab_test_id, ab_test_version    the header's text
 *	open_tracking, click_tracking, transactional    yes/no, true/false, 1/0, on/off
 *	tag        one tag             tags      a list with commas or a JSON array
 *	meta.KEY   text under KEY      meta      a JSON object
 *	meta.*     for `Prefix-*`: text under what the * stands for, in lower case
 *	pairs      metadata as KEY=VALUE, with commas (Amazon SES)
 *	track      opens, clicks_all, … (Mandrill)
 *	smtpapi    SendGrid's JSON */
#ifndef PW_MILTER_HEADER_MAP_H
#define PW_MILTER_HEADER_MAP_H

#include "base/error.h"
#include "milter/attributes.h"

#define HEADER_MAP_DEFAULT \
	"List-Id=meta.list_id Feedback-ID=meta.feedback_id " \
	"X-Mailgun-Tag=tag X-Mailgun-Variables=meta X-Mailgun-Template-Name=template_id " \
	"X-Mailgun-Track-Opens=open_tracking X-Mailgun-Track-Clicks=click_tracking " \
	"X-SMTPAPI=smtpapi " \
	"X-MC-Tags=tags X-MC-Metadata=meta X-MC-Track=track X-MC-Template=template_id " \
	"X-PM-Tag=tag X-PM-Metadata-*=meta.* X-PM-TrackOpens=open_tracking " \
	"X-SES-Message-Tags=pairs X-SES-Configuration-Set=meta.ses_configuration_set " \
	"X-SMTPeter-Tags=tags X-SMTPeter-TrackOpens=open_tracking " \
	"X-SMTPeter-TrackClicks=click_tracking"

struct header_map;

/* `text` NULL: the default map. NULL with *err when a row is wrong. */
struct header_map *header_map_new(const char *text, struct error *err);
void header_map_free(struct header_map **map);

/* Reads the header into `attributes` when the map has it; false when it has not. `decode` decodes
 * text (RFC 2047). */
bool header_map_read(const struct header_map *map, struct attributes *attributes, const char *name,
        struct slice value, char *(*decode)(struct slice value));

#endif
