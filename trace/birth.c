#include "trace/birth.h"

#include "event/base52.h"
#include "trace/trace-private.h"

/* Number of up to eleven digits of base 52; -1 where it is none. */
static int64_t base52(struct slice digits)
{
	int64_t value = 0;

	for (size_t i = 0; i < digits.n; i++) {
		int digit = base52_digit[(unsigned char)digits.p[i]];
		if (digit == 0)
			return -1;
		value = value * 52 + digit - 1;
	}
	return value;
}

/* Base 51 is base 52 without its last digit. */
static bool is_base51(struct slice digits)
{
	for (size_t i = 0; i < digits.n; i++)
		if (base52_digit[(unsigned char)digits.p[i]] - 1U >= 51)
			return false;
	return true;
}

/* Postfix's long ids are 6 digits of seconds, 4 of microseconds, 'z', and the inode in base 51. */
static int64_t postfix_birth(struct slice queue_id)
{
	if (queue_id.n < 12 || queue_id.p[10] != 'z')
		return 0;
	int64_t seconds = base52(slice_head(queue_id, 6));
	int64_t micros = base52(slice_head(slice_from(queue_id, 6), 4));
	struct slice inode = slice_from(queue_id, 11);

	if (seconds <= 0 || micros < 0 || micros > 999999 || !is_base51(inode))
		return 0;
	return seconds * CLOCK_SECOND;
}

bool queue_id_of_sendmail(struct slice queue_id)
{
	bool hexadecimal = true;

	if (queue_id.n < 13)
		return false;
	for (size_t i = 0; i < queue_id.n; i++) {
		char c = queue_id.p[i];
		if (i < 8 ? !g_ascii_isalnum(c) : !g_ascii_isdigit(c))
			return false;
		hexadecimal &= g_ascii_isdigit(c) || (c >= 'A' && c <= 'F');
	}
	return !hexadecimal;
}

static int64_t sendmail_birth(struct slice queue_id, int64_t near)
{
	static const struct slice alphabet = {
	        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx", 60};
	int part[6];

	if (!queue_id_of_sendmail(queue_id))
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(part); i++) {
		part[i] = (int)slice_chr(alphabet, queue_id.p[i]);
		if (part[i] < 0)
			return 0;
	}
	g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc((near + CLOCK_DAY) / CLOCK_SECOND);
	if (now == NULL)
		return 0;
	int year = g_date_time_get_year(now);
	year -= ((year - 1900) % 60 - part[0] + 60) % 60;
	g_autoptr(GDateTime) birth =
	        g_date_time_new_utc(year, part[1] + 1, part[2], part[3], part[4], part[5]);
	return birth != NULL ? g_date_time_to_unix(birth) * CLOCK_SECOND : 0;
}

/* An id of another kind that looks like one of these tells an impossible time. */
int64_t queue_id_birth(struct slice queue_id, int64_t near)
{
	int64_t birth = postfix_birth(queue_id);

	if (birth == 0)
		birth = sendmail_birth(queue_id, near);
	return birth > 0 && birth <= near + CLOCK_DAY && birth >= near - 366 * CLOCK_DAY ? birth
	                                                                                 : 0;
}

/* What the store knows of a message. */
struct known {
	int64_t birth; /* ms; 0 = nothing */
	char id[IDENTITY_MESSAGE_ID_LEN + 1];
};

static struct known find(
        struct trace *trace, const struct message *message, int64_t time, bool begins)
{
	const struct stream *stream = message->key.stream;
	struct known known = {0};

	if (trace->hooks.find_birth != NULL)
		known.birth = trace->hooks.find_birth(trace->hooks.ctx, stream->node,
		        stream->instance, message->key.queue_id, time, begins, known.id);
	return known;
}

/* Whether it was stored as part of a mail that it continues. */
static bool continues(const struct message *message, const struct known *known)
{
	const struct stream *stream = message->key.stream;
	char own[IDENTITY_MESSAGE_ID_LEN + 1];

	identity_message_id(
	        stream->node, stream->instance, message->key.queue_id, known->birth, own);
	return known->id[0] != '\0' && strcmp(known->id, own) != 0;
}

/* What continues a mail, and does not show so in the lines that are read, injects nobody. */
static void name_as_known(struct message *message, const struct known *known)
{
	story_name(message->story, message->key.stream, message->key.queue_id, known->birth);
	if (!continues(message, known))
		return;
	memcpy(message->story->message_id, known->id, sizeof(known->id));
	message->joined = message->hop = true;
}

/* Whether a line may be read again after a restart. */
static bool is_reread(const struct message *message, const struct observation *seen)
{
	int64_t opened = message->key.stream->opened;

	return opened >= 0 && seen->line.time <= opened + TRACE_REREAD;
}

/* Lines may stand before what is read again: the client's, and what Sendmail refused of a mail
 * before it told whom it is from. */
static bool lacks_lines(const struct message *message, const struct observation *seen)
{
	return is_reread(message, seen) && (seen->kind == OBSERVATION_MESSAGE_ID ||
	                                           queue_id_of_sendmail(message->key.queue_id));
}

/* A life that begins with this line. Where the log was read in pieces, the newer one first, it was
 * stored with the birth that its first delivery told. */
static struct known known_of_first(
        struct trace *trace, struct message *message, const struct observation *seen)
{
	int64_t time = seen->line.time;
	struct known known = {0};

	if (lacks_lines(message, seen)) {
		/* What the store knows of longer before was another life of the queue id. */
		known = find(trace, message, time, false);
		if (known.birth < time - TRACE_REREAD && !continues(message, &known) &&
		        !queue_id_of_sendmail(message->key.queue_id))
			known.birth = 0;
		/* Reading again begins with the first line of a second: a client's line of this
		 * second would have been read. */
		message->born = known.birth <= 0 || second_of(known.birth) == second_of(time);
	}
	if (known.birth <= 0)
		known = find(trace, message, time, true);
	message->story->injected_blank |=
	        known.birth > 0; /* it was injected, with recipients or not */
	if (message->born)
		known.id[0] = '\0'; /* its lines tell what it continues */
	if (known.birth <= 0)
		known.birth = time;
	return known;
}

/* The same of a queue id that tells the birth, which is never used again. */
static struct known known_of_id(
        struct trace *trace, struct message *message, const struct observation *seen, int64_t birth)
{
	const struct known told = {.birth = birth};

	if (message->born && !is_reread(message, seen))
		return told;
	struct known known = find(trace, message, seen->line.time, false);
	message->story->injected_blank |= known.birth > 0;
	if (known.birth <= 0 || !continues(message, &known) ||
	        (message->born && !lacks_lines(message, seen)))
		return told;
	message->born = false;
	return known;
}

void birth_begin(struct trace *trace, struct message *message, const struct observation *seen)
{
	int64_t birth = queue_id_birth(message->key.queue_id, seen->line.time);
	bool first = seen->kind == OBSERVATION_CLIENT || seen->kind == OBSERVATION_PICKUP ||
	             seen->kind == OBSERVATION_MESSAGE_ID;
	struct known known = {0};

	message->born |= first;
	if (message->story->birth != 0)
		return;
	if (birth != 0)
		known = known_of_id(trace, message, seen, birth);
	else if (first)
		known = known_of_first(trace, message, seen);
	if (known.birth != 0)
		name_as_known(message, &known);
	else if (seen->kind != OBSERVATION_ACTIVE)
		birth_settle(trace, message, seen->line.time, seen->delay_ms);
}

static bool is_near(int64_t a, int64_t b, int64_t age)
{
	int64_t error = identity_birth_error(MAX(age, 0));

	return a > 0 && a - b <= error && b - a <= error;
}

void birth_settle(struct trace *trace, struct message *message, int64_t time, int64_t delay)
{
	if (!message->own || message->story->birth != 0)
		return;
	int64_t told = delay >= 0 ? time - delay : message->first;
	struct known known = find(trace, message, time, false);

	if (delay >= 0 && !is_near(known.birth, told, delay)) {
		struct known born = find(trace, message, told, true);
		if (born.birth > 0)
			known = born;
	}
	if (known.birth <= 0)
		known = (struct known){.birth = told};
	name_as_known(message, &known);
	message_changed(trace, message);
}

bool birth_fits(const struct message *message, int64_t time)
{
	int64_t birth = message->story->birth;

	return message->own && !message->born && !message->joined &&
	       second_of(time) <= second_of(message->first) &&
	       is_near(birth, time, message->first - birth);
}
