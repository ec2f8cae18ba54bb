/* Scripts for the tests of trace/: a line of text for each observation, and what comes of them.
 *
 *	"SECOND QUEUE-ID KIND [NAME=VALUE …]"
 *
 * KIND: client pickup mid active sent deferred bounced softbounce probe expired removed cancel
 * reject refused note forwarded (an alias) bounce-child env tick. Values have '_' for blanks. */
#ifndef PW_TESTS_TRACE_SCRIPT_H
#define PW_TESTS_TRACE_SCRIPT_H

#include <glib.h>
#include <string.h>

#include "base/clock.h"
#include "event/catalogue.h"
#include "tests/support/unit.h"
#include "trace/trace.h"

#define SCRIPT_DAY (INT64_C(1795305600) * CLOCK_SECOND)

struct life {
	char *queue_id;
	int64_t birth, last, first;
	bool seen; /* its beginning was */
	char id[IDENTITY_MESSAGE_ID_LEN + 1];
};

/* What became of a script: events in order of coming, each id once, as the store would keep it. */
struct outcome {
	GHashTable *known; /* event_id -> text */
	GPtrArray *events; /* texts, see outcome_text */
	GPtrArray *ids;    /* "MESSAGE-ID TEXT" */
	GArray *lives;     /* struct life, for find_birth */
	unsigned repeated; /* events that came again */
	unsigned missed;   /* new ones with this mark */
	GHashTable *state; /* what trace_save gave: GBytes -> GBytes */
	unsigned puts;
	GString *text;
};

static inline void outcome_text(GString *out, const struct event *event, bool all)
{
	char time[CLOCK_TEXT_MAX];
	struct slice rcpt = event->field[FIELD_RCPT_TO];

	g_string_truncate(out, 0);
	g_string_append_printf(out, "%s %.*s", event_catalogue[event->type].name,
	        rcpt.p != NULL ? (int)rcpt.n : 1, rcpt.p != NULL ? rcpt.p : "-");
	if (!all)
		return;
	clock_format(event->time, CLOCK_ZULU, time);
	g_string_append_printf(out, " at %s", time);
	clock_format(event->injected, CLOCK_ZULU, time);
	g_string_append_printf(out, " of %s", time);
	for (unsigned f = 0; f < FIELDS; f++)
		if (event->field[f].p != NULL)
			g_string_append_printf(out, " %s=%.*s", field_catalogue[f].name,
			        SLICE_ARG(event->field[f]));
}

static inline void outcome_life(struct outcome *outcome, const struct event *event)
{
	struct life new = {
	        slice_dup(event->field[FIELD_QUEUE_ID]), event->injected, 0, INT64_MAX, false, ""};
	struct life *life = NULL;
	struct slice id = event->field[FIELD_MESSAGE_ID];

	memcpy(new.id, id.p, MIN(id.n, sizeof(new.id) - 1));
	for (guint i = 0; i < outcome->lives->len && life == NULL; i++) {
		struct life *old = &g_array_index(outcome->lives, struct life, i);
		if (strcmp(old->id, new.id) == 0 && strcmp(old->queue_id, new.queue_id) == 0)
			life = old;
	}
	if (life == NULL) {
		g_array_append_val(outcome->lives, new);
		life = &g_array_index(outcome->lives, struct life, outcome->lives->len - 1);
	} else {
		g_free(new.queue_id);
	}
	life->last = MAX(life->last, event->time);
	if (event->type != EVENT_INJECTION)
		life->first = MIN(life->first, event->time);
	life->seen |= event_has(event, FIELD_NUM_RETRIES);
}

static inline void outcome_event(void *ctx, const struct event *event)
{
	struct outcome *outcome = ctx;
	guint64 id = event->id;

	ck_assert_uint_gt(event->id, 0);
	ck_assert(!event_has(event, FIELD_TYPE) && !event_has(event, FIELD_TIMESTAMP));
	if (g_hash_table_contains(outcome->known, &id)) {
		outcome->repeated++;
		return;
	}
	outcome->missed += event->missed;
	outcome_text(outcome->text, event, true);
	g_hash_table_insert(
	        outcome->known, g_memdup2(&id, sizeof(id)), g_strdup(outcome->text->str));
	g_ptr_array_add(outcome->events, g_strdup(outcome->text->str));
	if (event_has(event, FIELD_QUEUE_ID))
		outcome_life(outcome, event);
}

/* The later birth of the two. */
static inline int64_t take_life(
        const struct life *life, int64_t birth, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	if (life->birth < birth)
		return birth;
	g_strlcpy(id_r, life->id, IDENTITY_MESSAGE_ID_LEN + 1);
	return life->birth;
}

/* As the store answers: the newest life that had begun and was not over for long; or the one whose
 * birth is next to `time`, within what may be wrong of it. */
static inline int64_t outcome_birth(void *ctx, struct slice node, struct slice instance,
        struct slice queue_id, int64_t time, bool begins, char id_r[IDENTITY_MESSAGE_ID_LEN + 1])
{
	struct outcome *outcome = ctx;
	int64_t birth = 0, least = INT64_MAX;

	(void)node;
	(void)instance;
	for (guint i = 0; i < outcome->lives->len; i++) {
		const struct life *life = &g_array_index(outcome->lives, struct life, i);
		int64_t apart = ABS(life->birth - time);
		if (!slice_eq(slice_str(life->queue_id), queue_id))
			continue;
		if (!begins && life->birth / 1000 <= time / 1000 &&
		        time <= life->last + 5 * CLOCK_MINUTE)
			birth = take_life(life, birth, id_r);
		int64_t age = life->first != INT64_MAX ? life->first - life->birth : 0;
		int64_t error = identity_birth_error(MAX(age, 0));
		if (begins && apart < least && apart <= (life->seen ? 999 : error)) {
			birth = take_life(life, 0, id_r);
			least = apart;
		}
	}
	return birth;
}

static inline void life_clear(gpointer p)
{
	g_free(((struct life *)p)->queue_id);
}

static inline struct outcome *outcome_new(void)
{
	struct outcome *outcome = g_new0(struct outcome, 1);

	outcome->known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	outcome->events = g_ptr_array_new_with_free_func(g_free);
	outcome->lives = g_array_new(FALSE, FALSE, sizeof(struct life));
	g_array_set_clear_func(outcome->lives, life_clear);
	outcome->state = g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
	        (GDestroyNotify)g_bytes_unref, (GDestroyNotify)g_bytes_unref);
	outcome->text = g_string_new(NULL);
	return outcome;
}

static inline void outcome_free(struct outcome *outcome)
{
	g_hash_table_unref(outcome->known);
	g_ptr_array_unref(outcome->events);
	g_array_unref(outcome->lives);
	g_hash_table_unref(outcome->state);
	g_string_free(outcome->text, TRUE);
	g_free(outcome);
}

static inline void outcome_put(void *ctx, struct slice key, struct slice value)
{
	struct outcome *outcome = ctx;
	GBytes *name = g_bytes_new(key.p, key.n);

	outcome->puts++;
	if (value.p != NULL) {
		g_hash_table_replace(outcome->state, name, g_bytes_new(value.p, value.n));
	} else {
		ck_assert(g_hash_table_remove(outcome->state, name));
		g_bytes_unref(name);
	}
}

static inline bool outcome_load(void *ctx, struct slice key, struct slice *value_r)
{
	struct outcome *outcome = ctx;
	GBytes *name = g_bytes_new(key.p, key.n);
	GBytes *value = g_hash_table_lookup(outcome->state, name);

	g_bytes_unref(name);
	if (value == NULL)
		return false;
	value_r->p = g_bytes_get_data(value, &value_r->n);
	return true;
}

static inline struct trace_hooks outcome_hooks(struct outcome *outcome)
{
	return (struct trace_hooks){.ctx = outcome,
	        .event = outcome_event,
	        .find_birth = outcome_birth,
	        .load = outcome_load};
}

static inline void outcome_restore(struct outcome *outcome, struct trace *trace)
{
	GHashTableIter iter;
	gpointer key, value;

	g_hash_table_iter_init(&iter, outcome->state);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		struct slice name, text;
		name.p = g_bytes_get_data(key, &name.n);
		text.p = g_bytes_get_data(value, &text.n);
		ck_assert_int_eq(trace_restore(trace, name, text, NULL), 0);
	}
}

/* One line of a script. */
struct step {
	struct observation seen;
	struct envelope envelope;
	struct envelope_recipient recipient[100];
	char **words;
	bool tick;
};

static inline struct slice step_value(const struct step *step, const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = 3; step->words[i] != NULL; i++)
		if (strncmp(step->words[i], name, n) == 0 && step->words[i][n] == '=')
			return slice_str(g_strdelimit(step->words[i] + n + 1, "_", ' '));
	return SLICE_NONE;
}

static inline int64_t step_number(const struct step *step, const char *name, int64_t otherwise)
{
	int64_t value;

	return slice_int(step_value(step, name), &value) ? value : otherwise;
}

static inline void step_kind(struct step *step, const char *kind)
{
	static const struct {
		const char *word;
		enum observation_kind kind;
		enum attempt_status status;
		enum child_link link;
	} table[] = {
	        {"client", OBSERVATION_CLIENT, 0, 0},
	        {"pickup", OBSERVATION_PICKUP, 0, 0},
	        {"mid", OBSERVATION_MESSAGE_ID, 0, 0},
	        {"active", OBSERVATION_ACTIVE, 0, 0},
	        {"sent", OBSERVATION_ATTEMPT, ATTEMPT_SENT, CHILD_REQUEUED},
	        {"forwarded", OBSERVATION_ATTEMPT, ATTEMPT_SENT, CHILD_FORWARDED},
	        {"deferred", OBSERVATION_ATTEMPT, ATTEMPT_DEFERRED, 0},
	        {"bounced", OBSERVATION_ATTEMPT, ATTEMPT_BOUNCED, 0},
	        {"softbounce", OBSERVATION_ATTEMPT, ATTEMPT_BOUNCED, 0},
	        {"probe", OBSERVATION_ATTEMPT, ATTEMPT_PROBE, 0},
	        {"expired", OBSERVATION_EXPIRED, 0, 0},
	        {"removed", OBSERVATION_REMOVED, 0, 0},
	        {"cancel", OBSERVATION_CANCEL, 0, 0},
	        {"reject", OBSERVATION_REJECT, 0, 0},
	        {"refused", OBSERVATION_REFUSED, 0, 0},
	        {"note", OBSERVATION_NOTE, 0, 0},
	        {"bounce-child", OBSERVATION_CHILD, 0, CHILD_BOUNCE},
	        {"env", OBSERVATION_ENVELOPE, 0, 0},
	        {"none", OBSERVATION_NONE, 0, 0},
	        {"unparsed", OBSERVATION_UNPARSED, 0, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (strcmp(table[i].word, kind) == 0) {
			step->seen.kind = table[i].kind;
			step->seen.status = table[i].status;
			step->seen.link = table[i].link;
			step->seen.soft_bounce = strcmp(kind, "softbounce") == 0;
			return;
		}
	ck_abort_msg("no such kind: %s", kind);
}

static inline void step_relay(struct step *step)
{
	struct slice relay = step_value(step, "relay");
	ptrdiff_t colon = slice_rchr(relay, ':');

	if (colon < 0)
		return;
	step->seen.relay_ip = slice_head(relay, (size_t)colon);
	step->seen.relay_port = slice_from(relay, (size_t)colon + 1);
	step->seen.relay_host = step_value(step, "host");
}

static inline void step_envelope(struct step *step)
{
	struct slice rcpt = step_value(step, "rcpt");

	step->envelope.recipient = step->recipient;
	while (rcpt.n > 0)
		step->recipient[step->envelope.recipients++].address = slice_cut(&rcpt, ',');
	step->envelope.field[FIELD_SUBJECT] = step_value(step, "subject");
	step->envelope.field[FIELD_FRIENDLY_FROM] = step_value(step, "friendly");
	step->envelope.field[FIELD_TRANSMISSION_ID] = step_value(step, "transmission");
	step->envelope.field[FIELD_RCPT_META] = step_value(step, "meta");
	step->envelope.field[FIELD_HEADER_MESSAGE_ID] = step_value(step, "header");
	step->seen.envelope = &step->envelope;
	step->seen.line.text = SLICE_NONE;
	if (step_value(step, "vague").p != NULL)
		step->seen.line.node = step->seen.line.instance = SLICE_NONE;
}

static inline void step_place(struct step *step, const char *line)
{
	double second = g_ascii_strtod(step->words[0], NULL);
	struct slice instance = step_value(step, "instance");

	step->seen.line = (struct identity_line){.node = SLICE("mx"),
	        .instance = instance.p != NULL ? instance : SLICE(""),
	        .time = SCRIPT_DAY + (int64_t)(second * 1000 + 0.5),
	        .program = SLICE("postfix/smtp"),
	        .pid = SLICE("7"),
	        .text = slice_str(line)};
}

static inline void step_read(struct step *step, const char *line)
{
	*step = (struct step){.words = g_strsplit(line, " ", -1)};
	step->seen = OBSERVATION_INIT;
	step_place(step, line);
	step->tick = strcmp(step->words[2], "tick") == 0;
	if (step->tick)
		return;
	step_kind(step, step->words[2]);
	if (strcmp(step->words[1], "-") != 0)
		step->seen.queue_id = slice_str(step->words[1]);
	step->seen.rule = "script";
	step->seen.repeat = (unsigned)step_number(step, "repeat", 0);
	step->seen.from = step_value(step, "from");
	step->seen.to = step_value(step, "to");
	step->seen.orig_to = step_value(step, "orig");
	step->seen.ctladdr = step_value(step, "ctladdr");
	step->seen.new_queue_id = step_value(step, "new");
	step->seen.orig_queue_id = step_value(step, "old");
	step->seen.message_id = step_value(step, "id");
	step->seen.code = step_value(step, "code");
	step->seen.dsn = step_value(step, "dsn");
	step->seen.reason = step_value(step, "reason");
	step->seen.stage = step_value(step, "stage");
	step->seen.client_ip = step_value(step, "ip");
	step->seen.client_port = step_value(step, "port");
	step->seen.service = step_value(step, "service");
	step->seen.size = step_number(step, "size", -1);
	step->seen.nrcpt = step_number(step, "nrcpt", -1);
	step->seen.hop = step_value(step, "hop").p != NULL;
	step->seen.delay_ms = step_number(step, "delay", -1);
	step_relay(step);
	if (step->seen.kind == OBSERVATION_ENVELOPE)
		step_envelope(step);
}

static inline enum ledger_class script_feed(struct trace *trace, const char *line)
{
	enum ledger_class class = LEDGER_CLASSES;
	struct step step;

	step_read(&step, line);
	if (step.tick)
		trace_tick(trace, step.seen.line.time);
	else
		class = trace_feed(trace, &step.seen);
	g_strfreev(step.words);
	return class;
}

static inline const struct trace_config *script_config(const struct trace_config *config)
{
	static const struct trace_config with_log = {.log_followed = true};

	return config != NULL ? config : &with_log;
}

/* Runs a script that ends with NULL. */
static inline struct outcome *script_run(
        const struct trace_config *config, const char *const *lines)
{
	struct outcome *outcome = outcome_new();
	struct trace_hooks hooks = outcome_hooks(outcome);
	struct trace *trace = trace_new(script_config(config), &hooks, NULL);

	ck_assert_ptr_nonnull(trace);
	for (unsigned i = 0; lines[i] != NULL; i++)
		script_feed(trace, lines[i]);
	trace_free(&trace);
	return outcome;
}

/* The value of a field in an event's text, "" when it is absent; to be freed. */
static inline char *event_field(const char *event, const char *name)
{
	g_autofree char *key = g_strdup_printf(" %s=", name);
	const char *at = strstr(event, key), *end;

	if (at == NULL)
		return g_strdup("");
	at += strlen(key);
	end = at;
	for (;;) { /* values may hold blanks: up to the next " name=" */
		const char *equals = strchr(end, '='), *blank = NULL;
		if (equals == NULL)
			return g_strdup(at);
		for (const char *p = equals; p > end; p--)
			if (*p == ' ') {
				blank = p;
				break;
			}
		struct slice word = blank != NULL
		                            ? slice_make(blank + 1, (size_t)(equals - blank - 1))
		                            : SLICE_NONE;
		if (blank != NULL && field_by_name(word) < FIELDS)
			return g_strndup(at, (gsize)(blank - at));
		end = equals + 1;
	}
}

/* "type recipient" of each event in turn, and nothing else. */
static inline void check_events(const struct outcome *outcome, const char *const *want)
{
	for (unsigned i = 0; want[i] != NULL || i < outcome->events->len; i++) {
		const char *have = i < outcome->events->len ? outcome->events->pdata[i] : "(none)";
		const char *at = strstr(have, " at ");
		g_autofree char *head =
		        at != NULL ? g_strndup(have, (gsize)(at - have)) : g_strdup(have);
		ck_assert_msg(want[i] != NULL && strcmp(head, want[i]) == 0,
		        "event %u is \"%s\", not \"%s\"", i, have,
		        want[i] != NULL ? want[i] : "(none)");
	}
}

static inline void check_field(
        const struct outcome *outcome, unsigned i, const char *name, const char *want)
{
	ck_assert_uint_lt(i, outcome->events->len);
	g_autofree char *have = event_field(outcome->events->pdata[i], name);
	ck_assert_msg(strcmp(have, want) == 0, "%s is \"%s\", not \"%s\" in %s", name, have, want,
	        (const char *)outcome->events->pdata[i]);
}

static inline void check_same(
        const struct outcome *outcome, unsigned i, unsigned j, const char *name)
{
	g_autofree char *want = event_field(outcome->events->pdata[j], name);
	check_field(outcome, i, name, want);
}

#define SCRIPT(...) \
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}
#define WANT(...) SCRIPT(__VA_ARGS__)

#endif
