/* What the outside of a mail and its words say: bounce, delay, or neither. Each list is of
 * meanings, as many servers put them; add a row where one is missing. */
#include "mime/report-private.h"

static bool any_matches(struct pattern *patterns, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (pattern_matches(&patterns[i], text))
			return true;
	return false;
}

bool signs_of_daemon(const struct parts *parts)
{
	static struct pattern sender = {
	        .text = "mailer-?daemon|postmaster|mail ?delivery|mail (?:system|administrator)|"
	                "<MAILER|\\bdaemon@|mdaemon|\\bbounces?@|mail\\.delivery|mail_delivery"};
	g_autofree char *from = fields_get(parts->header, "From");
	g_autofree char *path = fields_get(parts->header, "Return-Path");
	g_autofree char *failed = fields_get(parts->header, "X-Failed-Recipients");

	return failed != NULL || (from != NULL && pattern_matches(&sender, from)) ||
	       (path != NULL && (strcmp(path, "<>") == 0 || pattern_matches(&sender, path)));
}

static struct pattern bounce_subjects[] = {
        {.text = "undeliver|returned (?:e-?)?mail|return(?:ed)? (?:to sender|message)|"
                 "mail (?:system )?(?:error|failure)|failure (?:notice|delivery)|"
                 "deliver[yi]\\w* (?:status|fail|problem|error|report|notification|has failed)|"
                 "non.?deliver|(?:mail|message).{0,20}(?:could not|not be|cannot|can't) .{0,10}"
                 "(?:deliver|sent)|message status|mail returned|user unknown|nondeliverable|"
                 "(?:mail|message) (?:was )?(?:rejected|blocked|refused)|not delivered|"
                 "permanent (?:delivery )?failure|error sending your mail|bounce|"
                 "unzustellbar|rebotado|devuelto|non remis|nicht zugestellt|tidak terkirim|"
                 "problem delivering|delivery (?:to|of).{1,60}failed|notification d'.{0,3}tat"},
};

static struct pattern bounce_words[] = {
        {.text = "(?:could|can|was|were|has|have|did|is|be|would)(?: ?not|n't|n.t) (?:be |been |"
                 "able to be )?(?:\\w+ly )?(?:deliver|reach|sent|forward|accept|process|relay|"
                 "received?\\b)"},
        {.text = "(?:unable|failed|impossible|not able|n't able|failure|trouble|problems?|error) "
                 "(?:in |to |with |while |when |trying to |attempting to )*(?:deliver|send|reach|"
                 "relay|process|forward)"},
        {.text = "undeliver(?:able|ed)|returned to sender|permanent (?:error|failure|fatal)|"
                 "(?:had|were) (?:permanent |fatal |delivery )+(?:errors?|failures?)|"
                 "delivery .{0,80}(?:failed|failure|aborted|was unsuccessful)|"
                 "(?:user|recipient|mailbox|account|address)s? (?:\\S+ )?(?:is |was |does |"
                 "account )*(?:unknown|not found|full|unavailable|disabled|over quota|"
                 "not exist)|did not reach|not reach the following|returned mail|"
                 "(?:no such|unknown|invalid) (?:user|recipient|address|mailbox)|"
                 "mail(?:box)? (?:has been )?(?:rejected|returned|blocked)|"
                 "(?:was|been|has) (?:\\w+ )?(?:rejected|refused|blocked|denied)|"
                 "does not like recipient|did not accept|"
                 "failed (?:permanently|recipient|address)|transcript of session|"
                 "following (?:address|recipient|user|destination)\\S* (?:\\w+ )?"
                 "(?:fail|had|has|could|did|was|were)"},
        {.text = "^(?:<<< |.{0,80}said: |)?5\\d\\d[ -]#?(?:5\\.\\d\\.\\d)?"},
        {.text = "(?:no se pudo|no pudo ser|konnte nicht|nicht zugestellt|n'a pas pu|"
                 "impossibile|nao p[^ ]{1,3}de ser|niet (?:worden )?bezorgd|"
                 "\xe9\x80\x81\xe4\xbf\xa1\xe3\x81\xa7\xe3\x81\x8d\xe3\x81\xbe\xe3\x81\x9b)"},
};

static struct pattern delay_subjects[] = {
        {.text = "\\bdelay(?:ed)?\\b|\\bwarning: (?:could not send|message)|still being retried|"
                 "not yet been delivered|temporar(?:y|ily) (?:fail|delay)"},
};

static struct pattern delay_words[] = {
        {.text = "warning (?:message )?only|not (?:need to )?resend|"
                 "(?:has|have) not yet been delivered|not yet been delivered|"
                 "(?:will|to) (?:be )?(?:retried|retry|keep trying|continue to (?:try|attempt))|"
                 "delivery attempts? will continue|will continue (?:to|for|trying)|"
                 "no action is required|(?:this is )?(?:just|only) a (?:temporary|warning)|"
                 "(?:has|have|been|is|was) (?:temporarily )?delayed|we will continue|"
                 "we.ll keep trying|still (?:be )?(?:being )?(?:retried|in the queue)|"
                 "will be retried|retry(?:ing)? (?:for|until)|transient non-fatal|"
                 "not resend|remains? (?:in the queue|undelivered)"},
};
static struct pattern final_words[] = {
        {.text = "given up|gave up|giv(?:e|ing) up|permanent (?:error|fatal|failure)|"
                 "not going to try again|will be (?:deleted|removed|returned)|permanently|"
                 "has been removed from|stopped trying|undeliverable"},
};

/* "<user@example.com>:" at the start of a line, in whatever language the rest is. */
static bool names_one(const char *text)
{
	static struct pattern colon = {.text = "^<" ANGLED_PATTERN ">:"};

	return text != NULL && pattern_matches(&colon, text);
}

bool signs_of_bounce(const struct parts *parts, const char *text)
{
	bool subject = any_matches(bounce_subjects, G_N_ELEMENTS(bounce_subjects), parts->subject);
	bool words = text != NULL && any_matches(bounce_words, G_N_ELEMENTS(bounce_words), text);

	bool original = parts_find(parts, PART_ORIGINAL) != NULL;

	return (signs_of_daemon(parts) && (subject || words || names_one(text))) ||
	       (words && (subject || original));
}

bool signs_of_delay(const struct parts *parts, const char *text)
{
	bool subject = any_matches(delay_subjects, G_N_ELEMENTS(delay_subjects), parts->subject);
	bool words = text != NULL && any_matches(delay_words, G_N_ELEMENTS(delay_words), text);
	bool final = text != NULL && any_matches(final_words, G_N_ELEMENTS(final_words), text);

	return (subject || words) && (!final || (subject && words));
}
