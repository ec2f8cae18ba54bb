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

/* Lists, newsletters and digests speak of mail that failed, and are no bounce. */
bool signs_of_list(const struct parts *parts)
{
	static const char *const marks[] = {
	        "List-Id", "List-Unsubscribe", "List-Post", "List-Help", "List-Subscribe"};
	g_autofree char *precedence = fields_get(parts->header, "Precedence");

	for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
		g_autofree char *mark = fields_get(parts->header, marks[i]);
		if (mark != NULL)
			return true;
	}
	return precedence != NULL && g_ascii_strcasecmp(precedence, "list") == 0;
}

/* What servers write as From or Return-Path, or say that their mail is. */
bool signs_of_server(const struct parts *parts)
{
	static struct pattern sender = {
	        .text = "mailer-?daemon|postmaster|mail ?delivery|mail (?:system|server)|"
	                "(?:mail|system) administrator|<MAILER|\\bdaemon@|mdaemon|"
	                "mail[._](?:delivery|router)|microsoft "
	                "?(?:outlook|exchange)|^<?admin@|^\\s*(?:<>)?\\s*$"};
	static struct pattern path_of = {.text = "mailer-?daemon|postmaster"};
	static struct pattern report = {.text = "^\\s*multipart/report\\b"};
	g_autofree char *from = fields_get(parts->header, "From");
	g_autofree char *path = fields_get(parts->header, "Return-Path");
	g_autofree char *type = fields_get(parts->header, "Content-Type");
	g_autofree char *failed = fields_get(parts->header, "X-Failed-Recipients");

	return failed != NULL || (from != NULL && pattern_matches(&sender, from)) ||
	       (path != NULL && pattern_matches(&path_of, path)) ||
	       (type != NULL && pattern_matches(&report, type));
}

/* Neither a server's name nor a person's doing: nobody is to answer, or a program wrote it. */
static bool signs_of_program(const struct parts *parts)
{
	static struct pattern nobody = {.text = "\\b(?:no|do-?not)[-_.]?reply\\b"};
	static struct pattern generated = {.text = "^\\s*auto-generated"};
	g_autofree char *from = fields_get(parts->header, "From");
	g_autofree char *path = fields_get(parts->header, "Return-Path");
	g_autofree char *submitted = fields_get(parts->header, "Auto-Submitted");

	return (path != NULL && strcmp(path, "<>") == 0) ||
	       (from != NULL && pattern_matches(&nobody, from)) ||
	       (submitted != NULL && pattern_matches(&generated, submitted));
}

/* People answer and forward; servers that report do not. */
static bool is_answer(const struct parts *parts)
{
	static struct pattern answer = {.text = "^\\s*(?:re|aw|wg|fwd?|antw|sv|tr)\\s*:"};

	return pattern_matches(&answer, parts->subject);
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
	bool server = signs_of_server(parts);

	if (signs_of_list(parts) && (!server || is_answer(parts)))
		return false;
	if (server)
		return subject || words || names_one(text);
	return words && (subject || original || names_one(text)) && signs_of_program(parts) &&
	       !is_answer(parts);
}

bool signs_of_success(const struct parts *parts, const char *text)
{
	static struct pattern subjects = {
	        .text = "\\((?:relay|success|deliver|expan)\\w*\\)|success\\w* (?:deliver|relay|"
	                "mail)|deliver\\w* success|^\\s*(?:delivered|relayed|expanded)\\s*:"};
	static struct pattern words = {
	        .text = "success\\w* (?:deliver|relay|sent|forward|expan|receiv)|"
	                "(?:deliver|relay|sent|forward|expand)\\w* (?:\\w+ ){0,2}success|"
	                "(?:was|were|been) (?:delivered|relayed|expanded) (?:to|by|on|in)\\b"};
	bool failed = text != NULL && any_matches(bounce_words, G_N_ELEMENTS(bounce_words), text);

	return !failed && (pattern_matches(&subjects, parts->subject) ||
	                          (text != NULL && pattern_matches(&words, text)));
}

bool signs_of_delay(const struct parts *parts, const char *text)
{
	bool subject = any_matches(delay_subjects, G_N_ELEMENTS(delay_subjects), parts->subject);
	bool words = text != NULL && any_matches(delay_words, G_N_ELEMENTS(delay_words), text);
	bool final = text != NULL && any_matches(final_words, G_N_ELEMENTS(final_words), text);

	return (subject || words) && (!final || (subject && words));
}
