/* Bounces in free text, of servers that know nothing of RFC 3464 or wrote before it. Their number
 * has no end, so what counts is how an address stands in its line, not who wrote the line. */
#include "mime/report-private.h"

#define LINES_MAX 3000
#define LINE_MAX_BYTES 2000
#define DIAGNOSTIC_MAX 2000
#define DIAGNOSTIC_LINES 12
#define OPENING_MAX 500

/* Postfix names the alias behind the address that it led to. */
#define EXPANDED "(?:\\(expanded from:? <[^<>\\n]{1,320}>\\))?"

/* How an address stands in a line that tells of its failure, best first. Group 1 is the address,
 * group 2 what is said of it. `listed`: only behind a line that announces recipients. */
static struct shape {
	const char *name;
	unsigned rank; /* the lowest rank that finds anything is taken */
	bool listed;
	struct pattern pattern;
} shapes[] = {
        /* qmail, Postfix, Yahoo, Courier … */
        {"colon", 1, false, {.text = "^\\s*<" ANGLED_PATTERN ">\\s*" EXPANDED "\\s*:\\s*(.*)$"}},
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

/* Where a recipient stands: the line, and what the line says of it (NULL = nothing yet). */
struct claim {
	guint at;
	char *rest;
};

/* Lines of one of several recipients; the number of lines where it has none. */
struct place {
	guint first; /* names it and no other */
	guint reply; /* tells a code, and names it or stands in its paragraph */
	bool named;  /* the reply names it */
};

/* The text that is read: its lines, without the copy of the original behind `n`. With several
 * recipients each line belongs to the one that it speaks of, so that none gets another's reply. */
struct letter {
	char **lines;
	guint n;
	const struct parts *parts;
	struct report *report;
	char *original_from;
	GArray *claims; /* struct claim, one for each recipient of the report */

	struct place *places; /* of each recipient; NULL with one, which the whole text is about */
	guint *named;         /* of each line: 0, 1 + the recipient that it names, or SEVERAL */
	guint shared;         /* the first reply that is nobody's */
	bool owned;           /* some reply is somebody's */
};
#define SEVERAL G_MAXUINT

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

static bool names_other(const struct letter *letter, guint line, guint me)
{
	return letter->named != NULL && letter->named[line] != 0 && letter->named[line] != me + 1;
}

/* The paragraph of the address; where nothing follows it, the next one. */
static char *paragraph(
        const struct letter *letter, guint me, guint at, const char *address, const char *rest)
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
		if (has_address_of_others(line, address) || names_other(letter, i, me))
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

static bool gives_reason(const char *text)
{
	static struct pattern words = {
	        .text = "unknown|full|quota|exceed|not |n't |no such|invalid|reject|refus|denied|"
	                "disabled|expired|time|spam|virus|size|large|policy|block|loop|hop|error"};

	return pattern_matches(&words, text);
}

static bool is_reply(const char *line)
{
	static struct pattern reply = {
	        .text = "(?:^|[\\s(\\[<:'\"])[45]\\d\\d[ -].*\\S|#?\\b[45]\\.\\d\\.\\d{1,3}\\b"};

	return pattern_matches(&reply, line) && tells_code(line);
}

/* The server's reply elsewhere in the text: a line with a code, best one with the address. */
static guint only_reply(const struct letter *letter, const char *address)
{
	guint best = letter->n;

	for (guint i = 0; i < letter->n; i++) {
		const char *line = letter->lines[i];
		if (!is_reply(line))
			continue;
		if (address != NULL && strcasestr(line, address) != NULL)
			return i;
		if (best == letter->n)
			best = i;
	}
	return best;
}

/* The same where it is one of several. A reply that is nobody's is everybody's, but only where none
 * has an own one and nothing else is said of this one. */
static guint own_reply(const struct letter *letter, guint me, const char *said)
{
	if (letter->places[me].reply < letter->n || letter->owned || gives_reason(said))
		return letter->places[me].reply;
	return letter->shared;
}

static char *reply_line(
        const struct letter *letter, guint me, const char *address, const char *said)
{
	guint at =
	        letter->places != NULL ? own_reply(letter, me, said) : only_reply(letter, address);

	return at < letter->n ? text_one_line(letter->lines[at], DIAGNOSTIC_MAX) : NULL;
}

/* The begin of the text, before it speaks of one of several: where nothing else is said, the words
 * are the reason. */
static char *opening(const struct letter *letter)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < letter->n && text->len < OPENING_MAX; i++) {
		if (letter->named != NULL && letter->named[i] != 0)
			break;
		if (!is_empty(letter->lines[i]))
			g_string_append_printf(text, "%s ", letter->lines[i]);
	}
	return text_one_line(text->str, OPENING_MAX);
}

/* "Reason: …" of whoever it is about. */
static char *reason_line(const struct letter *letter)
{
	static struct pattern reason = {
	        .text = "^\\s*(?:reason|error|cause|diagnosis|explanation|grund)\\s*:\\s*(\\S.*)$"};
	char *said = NULL;

	for (guint i = 0; i < letter->n && letter->places == NULL; i++)
		if (pattern_take(&reason, letter->lines[i], &said, NULL))
			break;
	return said;
}

/* What is said of a recipient, `me` among them. */
static char *saying(
        const struct letter *letter, guint me, const char *address, guint at, const char *rest)
{
	char *said = paragraph(letter, me, at, address, rest);

	if (tells_code(said))
		return said;
	g_autofree char *reply = reply_line(letter, me, address, said);
	if (reply == NULL && !gives_reason(said)) {
		g_free(said);
		said = reason_line(letter);
		return said != NULL ? said : opening(letter);
	}
	if (reply == NULL || strstr(said, reply) != NULL)
		return said;
	char *both = g_strconcat(said, *said != '\0' ? " " : "", reply, NULL);
	g_free(said);
	return both;
}

/* The alias that was written to, where the line or what follows names it. */
static char *expanded_from(const char *line, const char *said)
{
	static struct pattern expanded = {.text = "\\(expanded from:? <" ANGLED_PATTERN ">\\)"};
	char *alias = NULL;

	if (line == NULL || !pattern_take(&expanded, line, &alias, NULL))
		pattern_take(&expanded, said, &alias, NULL);
	return alias;
}

static void tell(const struct letter *letter, guint me)
{
	struct report_recipient *recipient = letter->report->recipients->pdata[me];
	const struct claim *claim = &g_array_index(letter->claims, struct claim, me);
	g_autofree char *said = saying(letter, me, recipient->address, claim->at, claim->rest);

	recipient->original =
	        expanded_from(claim->at < letter->n ? letter->lines[claim->at] : NULL, said);
	recipient->status = text_status(said);
	recipient->code = text_reply_code(said);
	if (*said != '\0')
		recipient->diagnostic = g_steal_pointer(&said);
}

/* ---- whose line it is ---- */

static void index_name(GHashTable *names, const char *address, guint me)
{
	if (address != NULL && strchr(address, '@') != NULL)
		g_hash_table_insert(names, g_ascii_strdown(address, -1), GUINT_TO_POINTER(me + 1));
}

/* By lower-case address, 1 + index. */
static GHashTable *index_names(const GPtrArray *recipients)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = recipients->len; i-- > 0;) {
		const struct report_recipient *recipient = recipients->pdata[i];
		index_name(names, recipient->original, i);
		index_name(names, recipient->address, i);
	}
	return names;
}

static bool is_domain_byte(char c)
{
	return g_ascii_isalnum(c) || strchr("._-", c) != NULL || (c & 0x80) != 0;
}

/* The recipient whose address stands around the @ of a line: 1 + index, or 0. */
static guint name_at(GHashTable *names, const char *line, const char *at)
{
	const char *begin = at, *end = at + 1;

	while (begin > line && strchr(" \t<>()[]\",;:'`|\\", begin[-1]) == NULL)
		begin--;
	while (*end != '\0' && is_domain_byte(*end))
		end++;
	while (end > at && strchr("._-", end[-1]) != NULL)
		end--;
	g_autofree char *raw = g_strndup(begin, (gsize)(end - begin));
	g_autofree char *address = g_ascii_strdown(raw, -1);
	return GPOINTER_TO_UINT(g_hash_table_lookup(names, address));
}

static guint names_in(GHashTable *names, const char *line)
{
	guint found = 0;

	for (const char *at = strchr(line, '@'); at != NULL; at = strchr(at + 1, '@')) {
		guint one = name_at(names, line, at);
		if (one != 0)
			found = found == 0 || found == one ? one : SEVERAL;
	}
	return found;
}

static void note_reply(struct letter *letter, guint line, guint owner)
{
	bool named = letter->named[line] != 0;

	if (owner == 0 || owner == SEVERAL) {
		if (letter->shared == letter->n)
			letter->shared = line;
		return;
	}
	struct place *place = &letter->places[owner - 1];
	letter->owned = true;
	if (place->reply == letter->n || (named && !place->named)) {
		place->reply = line;
		place->named = named;
	}
}

static void note_lines(struct letter *letter, GHashTable *names)
{
	guint owner = 0;

	for (guint i = 0; i < letter->n; i++) {
		const char *line = letter->lines[i];
		if (letter->named[i] == 0)
			letter->named[i] = names_in(names, line);
		if (letter->named[i] != 0)
			owner = letter->named[i];
		else if (is_empty(line))
			owner = 0;
		if (owner != 0 && owner != SEVERAL && letter->places[owner - 1].first == letter->n)
			letter->places[owner - 1].first = i;
		if (is_reply(line))
			note_reply(letter, i, owner);
	}
}

/* One pass over the text, however many recipients it has. */
static void letter_index(struct letter *letter, const GPtrArray *recipients)
{
	if (recipients->len < 2)
		return;
	g_autoptr(GHashTable) names = index_names(recipients);
	letter->named = g_new0(guint, letter->n + 1);
	letter->places = g_new0(struct place, recipients->len);
	letter->shared = letter->n;
	for (guint i = 0; i < recipients->len; i++)
		letter->places[i] = (struct place){.first = letter->n, .reply = letter->n};
	for (guint i = 0; i < letter->claims->len; i++) {
		guint *named = &letter->named[g_array_index(letter->claims, struct claim, i).at];
		*named = *named == 0 ? i + 1 : SEVERAL;
	}
	note_lines(letter, names);
}

static void tell_all(struct letter *letter)
{
	letter_index(letter, letter->report->recipients);
	for (guint i = 0; i < letter->claims->len; i++)
		tell(letter, i);
}

/* ---- finding them ---- */

/* A recipient of which `rest`, and what follows its line, is told once all are known. */
static void claim_recipient(struct letter *letter, char *address, guint at, const char *rest)
{
	struct claim claim = {.at = at, .rest = g_strdup(rest)};

	report_add(letter->report, address);
	g_array_append_val(letter->claims, claim);
}

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
		claim_recipient(
		        letter, g_steal_pointer(&address), at, shape->rank >= 3 ? line : rest);
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
		claim_recipient(letter, address, at, NULL);
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

/* Fields of the original that the text repeats: the one address that they say it went to. */
static char *repeated_to(const struct letter *letter)
{
	static struct pattern to = {.text = "^\\s+To\\s*:\\s*<?" ADDRESS_PATTERN ">?\\s*$"};
	g_autofree char *found = NULL;

	for (guint i = 0; i < letter->n; i++) {
		g_autofree char *address = NULL;
		if (!pattern_take(&to, letter->lines[i], &address, NULL) ||
		        is_party(letter, address) || same_address(found, address))
			continue;
		if (found != NULL)
			return NULL;
		found = g_steal_pointer(&address);
	}
	return g_steal_pointer(&found);
}

/* The original went to one address only. */
static bool take_original(struct letter *letter)
{
	const char *original = parts_find(letter->parts, PART_ORIGINAL);

	if (original == NULL)
		original = letter->report->text[REPORT_ORIGINAL_HEADERS];
	g_autofree char *to = original != NULL ? fields_get(original, "To") : NULL;

	if (to == NULL)
		to = repeated_to(letter);
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
			claim_recipient(letter, g_strconcat(local, at, NULL), letter->n, NULL);
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

static void claim_clear(gpointer data)
{
	struct claim *claim = data;

	g_free(claim->rest);
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
	letter->claims = g_array_new(FALSE, FALSE, sizeof(struct claim));
	g_array_set_clear_func(letter->claims, claim_clear);
	letter_cut(letter);
	letter->original_from = text_address(from);
	if (letter->original_from == NULL)
		letter->original_from = g_strdup(report->text[REPORT_ORIGINAL_FROM]);
}

static void letter_close(struct letter *letter)
{
	g_strfreev(letter->lines);
	g_free(letter->original_from);
	g_array_free(letter->claims, TRUE);
	g_free(letter->places);
	g_free(letter->named);
}

static void read_bounce(struct letter *letter, const char *whole)
{
	struct report *report = letter->report;

	report->kind = REPORT_BOUNCE;
	report->form = "text";
	if (!take_groups(letter, whole))
		find_recipients(letter);
	if (report->recipients->len == 0)
		claim_recipient(letter, NULL, 0, NULL);
	tell_all(letter);
}

/* Whether the address stands as in a list of failures. Whoever is no server may name any address in
 * a sentence. */
static bool names_plainly(const struct report *report)
{
	static const char *const loose[] = {"text", "sentence", "any", "reply", "status"};

	for (size_t i = 0; i < G_N_ELEMENTS(loose); i++)
		if (strcmp(report->form, loose[i]) == 0)
			return false;
	return true;
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
	} else if (found && signs_of_success(parts, text)) {
		report->kind = REPORT_NONE;
		report->form = "success";
	} else if (found && !signs_of_server(parts) && parts_find(parts, PART_ORIGINAL) == NULL &&
	           !names_plainly(report)) {
		report->kind = REPORT_NONE;
		report->form = "nobody's";
	}
	letter_close(&letter);
	return found;
}

/* ---- for the readers of RFC 3464 ---- */

struct words {
	struct letter letter;
	struct report *report; /* nothing but what opening a letter needs */
};

struct words *words_open(const struct parts *parts, const GPtrArray *recipients)
{
	struct words *words = g_new0(struct words, 1);
	g_autofree char *whole = NULL;

	words->report = g_new0(struct report, 1);
	report_init(words->report);
	words->report->kind = REPORT_BOUNCE;
	letter_open(&words->letter, parts, words->report, &whole);
	letter_index(&words->letter, recipients);
	/* The other groups tell their own replies: one that is nobody's may be theirs. */
	words->letter.owned = true;
	return words;
}

char *words_about(const struct words *words, guint me, const char *address)
{
	const struct letter *letter = &words->letter;
	guint at = 0;

	if (letter->places != NULL)
		at = letter->places[me].first;
	else
		while (at < letter->n && strcasestr(letter->lines[at], address) == NULL)
			at++;
	const char *rest = at < letter->n ? strcasestr(letter->lines[at], address) : NULL;
	if (rest != NULL)
		rest += strlen(address);
	char *said = saying(
	        letter, me, address, at, rest != NULL ? rest + strspn(rest, ">:, '\"") : NULL);
	if (*said == '\0')
		g_clear_pointer(&said, g_free);
	return said;
}

void words_close(struct words **words)
{
	letter_close(&(*words)->letter);
	report_free(&(*words)->report);
	g_clear_pointer(words, g_free);
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
