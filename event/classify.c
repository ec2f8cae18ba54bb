#include "event/classify.h"

#include "event/catalogue.h"
#include "event/lru.h"
#include "event/plain.h"
#include "event/reason_rules.h"
#include "event/rulefile.h"

#define CACHE_ENTRIES 4096
#define CACHE_BYTES (4 << 20)

struct classifier {
	struct bounce_rules *bounce;
	struct reason_rules *reason;
	struct lru *replies; /* text, codes as given -> struct bounce_rule *: retries */
	struct lru *classes; /* words, codes -> struct bounce_rule *: other mails */
	struct lru *reasons; /* raw -> canonical */
};

static const char bounce_text[] =
#include "schema/bounce-rules.inc"
        ;
static const char reason_text[] =
#include "schema/reason-rules.inc"
        ;

/* Where no rule fits; the last of ours always does. */
static const struct bounce_rule no_rule = {"none", 1, "", 0};

static int add_bounce(struct bounce_rules *rules, const char *path, struct error *err)
{
	size_t n = 0;

	if (path == NULL)
		return 0;
	g_autofree char *text = rulefile_load(path, &n, err);
	return text != NULL ? bounce_rules_add(rules, path, slice_make(text, n), err) : -1;
}

static int add_reason(struct reason_rules *rules, const char *path, struct error *err)
{
	size_t n = 0;

	if (path == NULL)
		return 0;
	g_autofree char *text = rulefile_load(path, &n, err);
	return text != NULL ? reason_rules_add(rules, path, slice_make(text, n), err) : -1;
}

struct classifier *classifier_new(
        const char *bounce_rules, const char *reason_rules, struct error *err)
{
	struct classifier *classifier = g_new0(struct classifier, 1);

	classifier->bounce = bounce_rules_new();
	classifier->reason = reason_rules_new();
	classifier->replies = lru_new(CACHE_ENTRIES, CACHE_BYTES);
	classifier->classes = lru_new(CACHE_ENTRIES, CACHE_BYTES);
	classifier->reasons = lru_new(CACHE_ENTRIES, CACHE_BYTES);
	if (add_bounce(classifier->bounce, bounce_rules, err) < 0 ||
	        add_reason(classifier->reason, reason_rules, err) < 0 ||
	        bounce_rules_add(classifier->bounce, "bounce-rules", slice_str(bounce_text), err) <
	                0 ||
	        reason_rules_add(classifier->reason, "reason-rules", slice_str(reason_text), err) <
	                0)
		classifier_free(&classifier);
	return classifier;
}

void classifier_free(struct classifier **classifier)
{
	if (*classifier == NULL)
		return;
	bounce_rules_free(&(*classifier)->bounce);
	reason_rules_free(&(*classifier)->reason);
	lru_free(&(*classifier)->replies);
	lru_free(&(*classifier)->classes);
	lru_free(&(*classifier)->reasons);
	g_clear_pointer(classifier, g_free);
}

struct classifier *classifier_default(void)
{
	static struct classifier *usual;
	static gsize ready;

	if (g_once_init_enter(&ready)) {
		struct error err = {0};
		usual = classifier_new(NULL, NULL, &err);
		if (usual == NULL)
			g_error("the rules of this build are broken: %s", err.text);
		g_once_init_leave(&ready, 1);
	}
	return usual;
}

/* Where in the dialogue a reply came, in words of Postfix and Exim. */
static struct slice phase_of(struct slice text)
{
	static const struct {
		const char *words, *phase;
	} table[] = {
	        {"refused to talk to me", "connect"},
	        {"while receiving the initial server greeting", "connect"},
	        {"in reply to HELO", "helo"},
	        {"in reply to EHLO", "helo"},
	        {"after EHLO", "helo"},
	        {"after HELO", "helo"},
	        {"in reply to MAIL FROM", "mail"},
	        {"after MAIL FROM", "mail"},
	        {"in reply to RCPT TO", "rcpt"},
	        {"after RCPT TO", "rcpt"},
	        {"in reply to end of DATA", "eom"},
	        {"after end of data", "eom"},
	        {"in reply to DATA", "data"},
	        {"after DATA", "data"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (slice_find(text, slice_str(table[i].words)) >= 0)
			return slice_str(table[i].phase);
	return SLICE_NONE;
}

/* What the last attempt said about a message that expired since. */
static bool last_reply(struct failure *failure)
{
	static const struct slice mark = {"(last transfail: ", sizeof("(last transfail: ") - 1};
	ptrdiff_t at = slice_find(failure->text, mark);

	if (at < 0)
		return false;
	struct slice text = slice_from(failure->text, (size_t)at + mark.n);
	if (slice_ends(text, SLICE(")")))
		text.n--;
	*failure = (struct failure){.text = text, .mx = failure->mx};
	return true;
}

/* MTAs say 5.0.0 where the reply has no enhanced status code: what the text says is better. */
static bool says_nothing(struct slice dsn)
{
	return dsn.n == 0 || slice_eq(dsn, SLICE("5.0.0")) || slice_eq(dsn, SLICE("4.0.0"));
}

static void complete(struct failure *failure)
{
	struct slice code, dsn;

	plain_codes(failure->text, &code, &dsn);
	if (says_nothing(failure->dsn) && dsn.n > 0)
		failure->dsn = dsn;
	if (failure->code.n == 0)
		failure->code = code;
	if (failure->phase.n == 0)
		failure->phase = phase_of(failure->text);
}

static void key_part(GString *key, struct slice value)
{
	g_string_append_c(key, '\n'); /* in no plain text and no code */
	for (size_t i = 0; i < value.n; i++)
		g_string_append_c(key, g_ascii_tolower(value.p[i]));
}

/* The parts of a key: words, dsn, code, phase, mx. */
static struct bounce_reply reply_of(const GString *key)
{
	struct slice rest = slice_make(key->str, key->len);
	struct bounce_reply reply;

	reply.words = slice_cut(&rest, '\n');
	reply.dsn = slice_cut(&rest, '\n');
	reply.code = slice_cut(&rest, '\n');
	reply.phase = slice_cut(&rest, '\n');
	reply.mx = rest;
	return reply;
}

static const struct bounce_rule *recall(struct lru *lru, const GString *key)
{
	g_autoptr(GString) found = g_string_sized_new(sizeof(struct bounce_rule *));
	const struct bounce_rule *rule = NULL;

	if (lru_get(lru, slice_make(key->str, key->len), found))
		memcpy(&rule, found->str, sizeof(rule));
	return rule;
}

static void remember(struct lru *lru, const GString *key, const struct bounce_rule *rule)
{
	lru_put(lru, slice_make(key->str, key->len), slice_make((const char *)&rule, sizeof(rule)));
}

/* `seen` is complete. The canonical reason would be no key: it has lost "User unknown". */
static const struct bounce_rule *by_words(struct classifier *classifier, const struct failure *seen)
{
	g_autoptr(GString) key = g_string_sized_new(256);

	plain_reply(key, seen->text, bounce_rules_namer, classifier->bounce);
	g_string_truncate(key, MIN(key->len, RULE_TEXT_MAX));
	key_part(key, seen->dsn);
	key_part(key, seen->code);
	if (bounce_rules_ask_where(classifier->bounce)) {
		key_part(key, seen->phase);
		key_part(key, seen->mx);
	}
	const struct bounce_rule *rule = recall(classifier->classes, key);
	if (rule == NULL) {
		const struct bounce_reply reply = reply_of(key);
		rule = bounce_rules_match(classifier->bounce, &reply);
		if (rule == NULL)
			rule = &no_rule;
		remember(classifier->classes, key, rule);
	}
	return rule;
}

const struct bounce_rule *classifier_class(
        struct classifier *classifier, const struct failure *failure)
{
	g_autoptr(GString) key = g_string_sized_new(256);
	struct failure seen = *failure;

	seen.text = slice_head(seen.text, 2 * RULE_TEXT_MAX);
	key_part(key, seen.dsn);
	key_part(key, seen.code);
	key_part(key, seen.phase);
	key_part(key, bounce_rules_ask_where(classifier->bounce) ? seen.mx : SLICE_NONE);
	key_part(key, SLICE_NONE);
	if (seen.text.n > 0)
		g_string_append_len(key, seen.text.p, (gssize)seen.text.n);
	const struct bounce_rule *rule = recall(classifier->replies, key);
	if (rule == NULL) {
		if (last_reply(&seen) && slice_trim(seen.text).n == 0)
			seen.text = SLICE("message expired");
		complete(&seen);
		rule = by_words(classifier, &seen);
		remember(classifier->replies, key, rule);
	}
	return rule;
}

void classifier_reason(struct classifier *classifier, GString *out, struct slice raw)
{
	size_t before = out->len;

	if (raw.n == 0 || lru_get(classifier->reasons, raw, out))
		return;
	reason_rules_apply(classifier->reason, out, raw);
	lru_put(classifier->reasons, raw, slice_make(out->str + before, out->len - before));
}

/* Whether the class of an event comes from the reply. Of our own refusals it does not; nor, of a
 * bounce that came as a mail, a class that the form of that mail gave. */
static bool by_reply(const struct event *event)
{
	static const char *const forms[] = {"30", "60", "80", "90", "100"};
	struct slice class = event->field[FIELD_BOUNCE_CLASS];

	if (event->type == EVENT_OUT_OF_BAND)
		for (size_t i = 0; i < G_N_ELEMENTS(forms); i++)
			if (slice_eq(class, slice_str(forms[i])))
				return false;
	enum event_type type = event_outbound(event->type);
	return class.p != NULL &&
	       (type == EVENT_BOUNCE || type == EVENT_DELAY || type == EVENT_OUT_OF_BAND);
}

static bool renew_field(struct event *event, enum field field, struct slice value)
{
	bool changed = !slice_eq(event->field[field], value);

	event->field[field] = value;
	return changed;
}

bool classifier_renew(struct classifier *classifier, struct event *event, GString *scratch)
{
	struct slice *field = event->field;
	bool changed = false;

	if (field[FIELD_RAW_REASON].n == 0 || field[FIELD_REASON].p == NULL)
		return false;
	g_string_truncate(scratch, 0);
	if (by_reply(event)) {
		const struct failure failure = {.text = field[FIELD_RAW_REASON],
		        .dsn = field[FIELD_DSN],
		        .code = field[FIELD_ERROR_CODE],
		        .mx = field[FIELD_MX_HOST]};
		g_string_append_printf(
		        scratch, "%d", classifier_class(classifier, &failure)->bounce_class);
	}
	size_t n = scratch->len;
	classifier_reason(classifier, scratch, field[FIELD_RAW_REASON]);
	if (n > 0)
		changed = renew_field(event, FIELD_BOUNCE_CLASS, slice_make(scratch->str, n));
	return renew_field(event, FIELD_REASON, slice_make(scratch->str + n, scratch->len - n)) ||
	       changed;
}
