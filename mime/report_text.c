/* Bounces in free text, of servers that know nothing of RFC 3464 or wrote before it. Their number
 * has no end, so what counts is how an address stands in its line, not who wrote the line. */
#include "mime/report-private.h"

#define LINES_MAX 3000
#define LINE_MAX_BYTES 2000
#define DIAGNOSTIC_MAX 2000
#define DIAGNOSTIC_LINES 12
#define OPENING_MAX 500

/* How an address stands in a line that tells of its failure, best first. Group 1 is the address,
 * group 2 what is said of it. `listed`: only behind a line that announces recipients. */
static struct shape {
	const char *name;
	unsigned rank; /* the lowest rank that finds anything is taken */
	bool listed;
	struct pattern pattern;
} shapes[] = {
        /* qmail, Postfix, Yahoo, Courier … */
        {"colon", 1, false, {.text = "^\\s*<" ADDRESS_PATTERN ">\\s*:\\s*(.*)$"}},
        /* Exim, Sendmail, Outlook, Gmail, MDaemon … */
        {"alone", 1, true,
                {.text = "^\\s*(?:[*>\xb7-]+\\s*|\\d+[.)]\\s*|\"[^\"]{0,128}\"\\s*(?=<))?"
                         "['\"<\\[(]*" ADDRESS_PATTERN
                         "['\">\\])]*(?:<mailto:[^>]*>)?\\s*[.,;:]?\\s*$"}},
        /* Novell, Exchange 5.5, X1 … */
        {"told", 2, false,
                {.text = "^\\s*(?:[*>-]+\\s*)?['\"<]*" ADDRESS_PATTERN
                         "['\">]*(?:<mailto:[^>]*>)?\\s*(?:\\.\\.\\.|\\bon \\w{3},? |[\\[(:;-]|"
                         ",\\s|\\s(?=\\S* ?(?:user|unknown|not|is|mailbox|does|rejected)\\b))"
                         "\\s*(.*)$"}},
        {"field", 2, false,
                {.text = "^\\s*(?:(?:failed|undeliverable|undelivered|invalid|bad|unknown|"
                         "rejected|intended|e-?mail|final|delivery|mail|original|the|of|for)\\s+)"
                         "*(?:recipients?|address(?:es)?(?:ee)?|user(?:id|name)?|rcpt|mailbox)"
                         "\\s*(?:\\(s\\)|\\(es\\))?\\s*(?:is|was|=|:|unknown)+\\s*['\"<]"
                         "*" ADDRESS_PATTERN "['\">]*\\s*(.*)$"}},
        /* Exchange and its X.400 forms, MailEnable */
        {"x400", 2, false, {.text = "\\bSMTP[:=]\\s*" ADDRESS_PATTERN "(.*)$"}},
        {"generated", 2, false,
                {.text = "^\\s*\\(?(?:generated (?:by|from)|ultimately generated "
                         "from)\\s+" ADDRESS_PATTERN "\\)?(.*)$"}},
        {"sentence", 3, false,
                {.text = "\\b(?:deliver\\w*|sent|send|message|mail|e-mail|reach\\w*|recipients?|"
                         "address|user|mailbox|account|gateway|box)\\b[^@]{0,60}?(?<!from)['\"<( "
                         "]" ADDRESS_PATTERN "(.*)$"}},
        {"status", 3, false, {.text = "Address:\\s*<" ADDRESS_PATTERN ">(.*)$"}},
        {"reply", 4, false, {.text = "(?:^|\\W)[45]\\d\\d[ -].*?<?\\b" ADDRESS_PATTERN "(.*)$"}},
        {"command", 5, false, {.text = "RCPT TO:\\s*<?" ADDRESS_PATTERN ">?(.*)$"}},
        {"any", 6, false,
                {.text = "(?:^|(?<!\\bfrom)[\\s<'\"(])(?<!from <)" ADDRESS_PATTERN "(.*)$"}},
};
#define RANK_ANY 6

/* The text that is read: its lines, without the copy of the original behind `n`. */
struct letter {
	char **lines;
	guint n;
	const struct parts *parts;
	struct report *report;
	char *original_from;
};

/* ---- addresses that are nobody's failure ---- */

static bool same_address(const char *a, const char *b)
{
	return a != NULL && b != NULL && g_ascii_strcasecmp(a, b) == 0;
}

static bool is_party(const struct letter *letter, const char *address)
{
	const struct report *report = letter->report;

	if (same_address(report->text[REPORT_FROM], address) ||
	        same_address(report->text[REPORT_RETURN_PATH], address) ||
	        same_address(letter->original_from, address))
		return true;
	for (guint i = 0; i < report->sent_to->len; i++)
		if (same_address(report->sent_to->pdata[i], address))
			return true;
	return false;
}

static bool is_role(const char *address)
{
	static struct pattern role = {
	        .text = "^(?:postmaster|mailer-daemon|abuse|help-?desk|support|admin\\w*|noreply|"
	                "no-reply|hostmaster|mail-?admin|webmaster|spam|security|feedback|info-?it)"
	                "@"};

	return pattern_matches(&role, address);
}

/* Lines that name whom to ask, not who failed. */
static bool is_advice(const char *line)
{
	static struct pattern advice = {
	        .text = "contact|assistance|forward (?:this|it)|further|mailto:|questions|help|"
	                "if you (?:feel|believe|think)|^\\s*(?:from|sender|reply-to|subject|cc|"
	                "message-id|to|x-[\\w-]+|date|sent)\\s*:|MAIL FROM:|expanded from|"
	                "original message was received|^\\s*from\\s+\\S+@|message.?id"};

	return pattern_matches(&advice, line);
}

static bool announces(const char *line)
{
	static struct pattern words = {
	        .text = "recipient|address|deliver|user|reach|fail|sent|send|undeliver|error|"
	                "reject|"
	                "mailbox|refus|unable|message|mail|fehl|destinat|correo"};

	return pattern_matches(&words, line);
}

/* ---- what is said of an address ---- */

/* Sendmail's transcript: "While talking to HOST:", "550 HOST (smtp)... ", "554 <ADDRESS>... ". */
static bool has_address_of_others(const char *line, const char *address)
{
	static struct pattern begins = {.text = "^\\s*(?:[245]\\d\\d[ -])?['\"<]*" ADDRESS_PATTERN
	                                        "['\">]*\\s*(?::|\\.\\.\\.)"};
	static struct pattern alone = {.text = "^\\s*['\"<]*" ADDRESS_PATTERN "['\">]*\\s*$"};
	static struct pattern host = {
	        .text = "^while talking to |^\\s*[245]\\d\\d[ -][\\w.-]+ \\(\\w+\\)\\.\\.\\. "};
	g_autofree char *other = NULL;

	if (pattern_matches(&host, line))
		return true;
	if (!pattern_take(&begins, line, &other, NULL) && !pattern_take(&alone, line, &other, NULL))
		return false;
	return !same_address(other, address);
}

static bool is_empty(const char *line)
{
	return line[strspn(line, " \t\r*=-_.")] == '\0';
}

static bool announces_more(const GString *text)
{
	return text->len > 0 && text->str[text->len - 1] == ':';
}

/* The paragraph of the address; where nothing follows it, the next one. */
static char *paragraph(const struct letter *letter, guint at, const char *address, const char *rest)
{
	g_autoptr(GString) text = g_string_new(rest);
	unsigned taken = rest != NULL && !is_empty(rest) ? 1 : 0, empty = 0;

	for (guint i = at + 1; i < letter->n && taken < DIAGNOSTIC_LINES; i++) {
		const char *line = letter->lines[i];
		if (is_empty(line)) {
			if ((taken > 0 && !announces_more(text)) || ++empty > 3)
				break;
			continue;
		}
		if (has_address_of_others(line, address))
			break;
		g_string_append_c(text, ' ');
		g_string_append(text, line);
		taken++;
	}
	return text_one_line(text->str, DIAGNOSTIC_MAX);
}

static bool tells_code(const char *text)
{
	g_autofree char *status = text_status(text);
	g_autofree char *code = text_reply_code(text);

	return status != NULL || code != NULL;
}

/* The server's reply elsewhere in the text: a line with a code, best one with the address. */
static char *reply_line(const struct letter *letter, const char *address)
{
	static struct pattern reply = {
	        .text = "(?:^|[\\s(\\[<:'\"])[45]\\d\\d[ -].*\\S|#?\\b[45]\\.\\d\\.\\d{1,3}\\b"};
	const char *best = NULL;

	for (guint i = 0; i < letter->n; i++) {
		const char *line = letter->lines[i];
		if (!pattern_matches(&reply, line) || !tells_code(line))
			continue;
		if (address != NULL && strcasestr(line, address) != NULL) {
			best = line;
			break;
		}
		if (best == NULL)
			best = line;
	}
	return best != NULL ? text_one_line(best, DIAGNOSTIC_MAX) : NULL;
}

/* The begin of the text: where nothing else is said, the words are the reason. */
static char *opening(const struct letter *letter)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < letter->n && text->len < OPENING_MAX; i++)
		if (!is_empty(letter->lines[i]))
			g_string_append_printf(text, "%s ", letter->lines[i]);
	return text_one_line(text->str, OPENING_MAX);
}

static bool gives_reason(const char *text)
{
	static struct pattern words = {
	        .text = "unknown|full|quota|exceed|not |n't |no such|invalid|reject|refus|denied|"
	                "disabled|expired|time|spam|virus|size|large|policy|block|loop|hop|error"};

	return pattern_matches(&words, text);
}

static void tell(
        const struct letter *letter, struct report_recipient *recipient, guint at, const char *rest)
{
	g_autofree char *said = paragraph(letter, at, recipient->address, rest);

	if (!tells_code(said)) {
		g_autofree char *reply = reply_line(letter, recipient->address);
		if (reply == NULL && !gives_reason(said)) {
			g_free(said);
			said = opening(letter);
		} else if (reply != NULL && strstr(said, reply) == NULL) {
			char *both = g_strconcat(said, *said != '\0' ? " " : "", reply, NULL);
			g_free(said);
			said = both;
		}
	}
	recipient->status = text_status(said);
	recipient->code = text_reply_code(said);
	if (*said != '\0')
		recipient->diagnostic = g_steal_pointer(&said);
}

/* ---- finding them ---- */

static bool known(const struct report *report, const char *address)
{
	for (guint i = 0; i < report->recipients->len; i++) {
		const struct report_recipient *recipient = report->recipients->pdata[i];
		if (same_address(recipient->address, address))
			return true;
	}
	return false;
}

static bool acceptable(
        const struct letter *letter, const struct shape *shape, const char *address, bool strict)
{
	if (known(letter->report, address) ||
	        letter->report->recipients->len >= REPORT_RECIPIENTS_MAX)
		return false;
	if (!strict)
		return shape->rank <= 4;
	return !is_party(letter, address) && !is_role(address);
}

static bool take_line(struct letter *letter, guint at, unsigned rank, bool announced, bool strict)
{
	const char *line = letter->lines[at];

	for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
		struct shape *shape = &shapes[i];
		g_autofree char *address = NULL, *rest = NULL;

		if (shape->rank != rank || (shape->listed && !announced) ||
		        !pattern_take(&shape->pattern, line, &address, &rest) || address == NULL)
			continue;
		if (rank > 1 && is_advice(line) && rank != 5)
			continue;
		if (!acceptable(letter, shape, address, strict))
			continue;
		struct report_recipient *recipient =
		        report_add(letter->report, g_steal_pointer(&address));
		tell(letter, recipient, at, shape->rank >= 3 ? line : rest);
		letter->report->form = shape->name;
		return true;
	}
	return false;
}

static bool take_rank(struct letter *letter, unsigned rank, bool strict)
{
	bool announced = false;

	for (guint i = 0; i < letter->n; i++) {
		if (strchr(letter->lines[i], '@') != NULL)
			take_line(letter, i, rank, announced, strict);
		announced = announced || announces(letter->lines[i]);
	}
	return letter->report->recipients->len > 0;
}

/* ---- other places ---- */

static void take_address(void *ctx, const char *text)
{
	struct letter *letter = ctx;
	g_auto(GStrv) each = g_strsplit(text, ",", REPORT_RECIPIENTS_MAX);

	for (char **one = each; *one != NULL; one++) {
		char *address = text_address(*one);
		if (address == NULL || known(letter->report, address)) {
			g_free(address);
			continue;
		}
		guint at = 0;
		while (at < letter->n && strcasestr(letter->lines[at], address) == NULL)
			at++;
		tell(letter, report_add(letter->report, address), at, NULL);
	}
}

/* Exim, Gmail and others name them in the header. */
static bool take_header(struct letter *letter)
{
	fields_each(letter->parts->header, "X-Failed-Recipients", take_address, letter);
	if (letter->report->recipients->len > 0)
		letter->report->form = "x-failed-recipients";
	return letter->report->recipients->len > 0;
}

/* Groups of RFC 3464 in the text itself. */
static bool take_groups(struct letter *letter, const char *whole)
{
	GPtrArray *recipients = letter->report->recipients;

	status_groups(whole, recipients);
	if (recipients->len > 0)
		letter->report->form = "dsn in text";
	return recipients->len > 0;
}

/* The original went to one address only. */
static bool take_original(struct letter *letter)
{
	const char *original = parts_find(letter->parts, PART_ORIGINAL);

	if (original == NULL)
		original = letter->report->text[REPORT_ORIGINAL_HEADERS];
	g_autofree char *to = original != NULL ? fields_get(original, "To") : NULL;

	if (to == NULL || strchr(to, ',') != NULL)
		return false;
	take_address(letter, to);
	if (letter->report->recipients->len > 0)
		letter->report->form = "original";
	return letter->report->recipients->len > 0;
}

/* Names alone, below a line that announces recipients: mailboxes of the server that writes. */
static bool take_local(struct letter *letter)
{
	static struct pattern announced = {
	        .text = "\\b(?:recipients?|addresse?e?s?|users?|mailbox(?:es)?)\\b.*:\\s*$"};
	static struct pattern name = {.text = "^\\s*([\\w.+-]{2,64})\\s*$"};
	struct report *report = letter->report;
	const char *from = report->text[REPORT_FROM];
	const char *at = from != NULL ? strrchr(from, '@') : NULL;
	bool listed = false;

	for (guint i = 0; at != NULL && i < letter->n; i++) {
		g_autofree char *local = NULL;

		if (is_empty(letter->lines[i])) {
			listed = listed && report->recipients->len == 0;
			continue;
		}
		if (listed && pattern_take(&name, letter->lines[i], &local, NULL) &&
		        report->recipients->len < REPORT_RECIPIENTS_MAX)
			tell(letter, report_add(report, g_strconcat(local, at, NULL)), letter->n,
			        NULL);
		else
			listed = pattern_matches(&announced, letter->lines[i]);
	}
	if (report->recipients->len == 0)
		return false;
	report->form = "local name";
	return true;
}

static void find_recipients(struct letter *letter)
{
	if (take_rank(letter, 1, true) || take_header(letter))
		return;
	for (unsigned rank = 2; rank < RANK_ANY; rank++)
		if (take_rank(letter, rank, true))
			return;
	for (unsigned rank = 1; rank < RANK_ANY; rank++)
		if (take_rank(letter, rank, false))
			return;
	if (!take_local(letter) && !take_original(letter))
		take_rank(letter, RANK_ANY, true);
}

/* ---- the text ---- */

static char *join_texts(const struct parts *parts, enum part_kind kind, bool status)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < parts->list->len; i++) {
		const struct part *part = parts->list->pdata[i];
		if (part->kind == PART_ORIGINAL)
			break;
		if (part->kind == kind || (status && part->kind == PART_STATUS))
			g_string_append_printf(text, "%s\n", part->text);
	}
	return g_strdup(text->str);
}

static char *text_of(const struct parts *parts, bool status)
{
	char *text = join_texts(parts, PART_TEXT, status);

	if (text[strspn(text, " \t\n")] != '\0')
		return text;
	g_free(text);
	return join_texts(parts, PART_HTML, status);
}

static char **split(const char *text)
{
	char **lines = g_strsplit(text, "\n", LINES_MAX);

	for (char **line = lines; *line != NULL; line++)
		if (strlen(*line) > LINE_MAX_BYTES)
			(*line)[LINE_MAX_BYTES] = '\0';
	return lines;
}

/* Cuts the copy of the original off and keeps its header. */
static void letter_cut(struct letter *letter)
{
	letter->n = original_begin(letter->lines);
	if (letter->lines[letter->n] == NULL)
		return;
	guint at = letter->n;
	while (letter->lines[at] != NULL && strstr(letter->lines[at], ": ") == NULL)
		at++;
	if (parts_find(letter->parts, PART_ORIGINAL) == NULL && letter->lines[at] != NULL) {
		g_autofree char *rest = g_strjoinv("\n", letter->lines + at);
		original_read(letter->report, rest);
	}
	for (guint i = letter->n; letter->lines[i] != NULL; i++)
		g_clear_pointer(&letter->lines[i], g_free);
}

/* Reads the text; *whole_r holds it uncut. What stands for machines counts as text only where
 * nothing has been read from it. */
static void letter_open(
        struct letter *letter, const struct parts *parts, struct report *report, char **whole_r)
{
	const char *original = parts_find(parts, PART_ORIGINAL);
	g_autofree char *from = original != NULL ? fields_get(original, "From") : NULL;

	*whole_r = text_of(parts, report->kind == REPORT_NONE);
	*letter = (struct letter){.lines = split(*whole_r), .parts = parts, .report = report};
	letter_cut(letter);
	letter->original_from = text_address(from);
	if (letter->original_from == NULL)
		letter->original_from = g_strdup(report->text[REPORT_ORIGINAL_FROM]);
}

static void letter_close(struct letter *letter)
{
	g_strfreev(letter->lines);
	g_free(letter->original_from);
}

static void read_bounce(struct letter *letter, const char *whole)
{
	struct report *report = letter->report;

	report->kind = REPORT_BOUNCE;
	report->form = "text";
	if (!take_groups(letter, whole))
		find_recipients(letter);
	if (report->recipients->len == 0)
		tell(letter, report_add(report, NULL), 0, NULL);
}

bool report_read_text(const struct parts *parts, struct report *report)
{
	g_autofree char *whole = NULL;
	struct letter letter;

	letter_open(&letter, parts, report, &whole);
	g_autofree char *text = g_strjoinv("\n", letter.lines);
	bool found = signs_of_bounce(parts, text);
	if (found)
		read_bounce(&letter, whole);
	if (found && signs_of_delay(parts, text)) {
		report->kind = REPORT_NONE;
		report->form = "delay";
	}
	letter_close(&letter);
	return found;
}

char *text_about(const struct parts *parts, const char *address)
{
	struct report *report = g_new0(struct report, 1);
	g_autofree char *whole = NULL;
	struct letter letter;
	char *said = NULL;
	guint at = 0;

	report_init(report);
	report->kind = REPORT_BOUNCE;
	letter_open(&letter, parts, report, &whole);
	while (at < letter.n && strcasestr(letter.lines[at], address) == NULL)
		at++;
	struct report_recipient *recipient = report_add(report, g_strdup(address));
	const char *rest = at < letter.n ? strcasestr(letter.lines[at], address) : NULL;
	if (rest != NULL)
		rest += strlen(address);
	tell(&letter, recipient, at, rest != NULL ? rest + strspn(rest, ">:, '\"") : NULL);
	said = g_steal_pointer(&recipient->diagnostic);
	letter_close(&letter);
	report_free(&report);
	return said;
}

char *text_only_recipient(const struct parts *parts)
{
	struct report *report = g_new0(struct report, 1);
	g_autofree char *whole = NULL;
	struct letter letter;
	char *address = NULL;

	report_init(report);
	report->kind = REPORT_BOUNCE;
	letter_open(&letter, parts, report, &whole);
	find_recipients(&letter);
	if (report->recipients->len == 1) {
		struct report_recipient *recipient = report->recipients->pdata[0];
		address = g_steal_pointer(&recipient->address);
	}
	letter_close(&letter);
	report_free(&report);
	return address;
}
