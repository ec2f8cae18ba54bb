#include "milter/passing.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

/* Recipients that are named besides those that reports come to: a report has one. */
#define RECIPIENTS_MAX 100

void passing_begin(struct passing *passing, gint *total)
{
	passing_clear(passing);
	*passing = (struct passing){.text = g_string_sized_new(2048), .total = total};
}

void passing_clear(struct passing *passing)
{
	GString *text = passing_take(passing);

	if (text != NULL)
		g_string_free(text, TRUE);
}

GString *passing_take(struct passing *passing)
{
	GString *text = g_steal_pointer(&passing->text);

	if (text != NULL)
		g_atomic_int_add(passing->total, -(gint)text->len);
	*passing = (struct passing){0};
	return text;
}

static bool passing_room(struct passing *passing, size_t n)
{
	if (passing->full || n > PASSING_BYTES_MAX - passing->text->len)
		passing->full = true;
	else if (g_atomic_int_add(passing->total, (gint)n) + (gint64)n > PASSING_TOTAL_MAX) {
		g_atomic_int_add(passing->total, -(gint)n);
		passing->full = true;
	}
	return !passing->full;
}

static void passing_add(struct passing *passing, struct slice bytes)
{
	if (bytes.n > 0 && passing_room(passing, bytes.n))
		g_string_append_len(passing->text, bytes.p, (gssize)bytes.n);
}

/* One line, whatever the words hold. */
static void passing_line(struct passing *passing, GString *line)
{
	for (gsize i = 0; i < line->len; i++)
		if (g_ascii_iscntrl(line->str[i]))
			line->str[i] = '?';
	g_string_append_c(line, '\n');
	passing_add(passing, slice_make(line->str, line->len));
}

void passing_sender(struct passing *passing, const char *address, bool own)
{
	if (passing->text == NULL)
		return;
	g_autoptr(GString) line = g_string_new(NULL);
	g_string_printf(line, "Return-Path: <%s>", address);
	passing_line(passing, line);
	passing->report = *address == '\0';
	passing->own = own;
}

void passing_recipient(struct passing *passing, const char *address, bool addressed)
{
	if (passing->text == NULL || (++passing->recipients > RECIPIENTS_MAX && !addressed))
		return;
	passing->addressed = passing->addressed || addressed;
	g_autoptr(GString) line = g_string_new(NULL);
	g_string_printf(line, "X-Original-To: %s", address);
	passing_line(passing, line);
}

void passing_received(
        struct passing *passing, const char *helo, const char *ip, const char *node, int64_t now)
{
	time_t seconds = (time_t)(now / CLOCK_SECOND);
	char date[64];
	struct tm tm;

	if (passing->text == NULL)
		return;
	/* The program takes no other locale than C for times. */
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&seconds, &tm));
	g_autoptr(GString) line = g_string_new(NULL);
	g_string_printf(line, "Received: from %s ([%s]) by %s; %s", helo != NULL ? helo : "unknown",
	        ip != NULL ? ip : "local", node, date);
	passing_line(passing, line);
}

/* RFC 3464, 5965, 8098; the type may be folded, never its name. */
static bool is_report_type(const char *value)
{
	static const char *const types[] = {"multipart/report", "message/delivery-status",
	        "message/global-delivery-status", "message/feedback-report"};

	value += strspn(value, " \t\r\n");
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if (g_ascii_strncasecmp(value, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

void passing_header(struct passing *passing, const char *name, const char *value)
{
	if (passing->text == NULL)
		return;
	if (g_ascii_strcasecmp(name, "Content-Type") == 0 && is_report_type(value))
		passing->report = true;
	g_autoptr(GString) field = g_string_new(NULL);
	g_string_printf(field, "%s: %s\n", name, value);
	passing_add(passing, slice_make(field->str, field->len));
}

bool passing_may_be_report(const struct passing *passing)
{
	return passing->text != NULL && (passing->addressed || (passing->report && !passing->own));
}

bool passing_body(struct passing *passing, struct slice chunk)
{
	if (!passing_may_be_report(passing))
		return false;
	if (!passing->body)
		passing_add(passing, SLICE("\n"));
	passing->body = true;
	/* The rest of a full one would only be its returned message's. */
	passing_add(passing, slice_head(chunk, PASSING_BYTES_MAX - passing->text->len));
	return !passing->full && passing->text->len < PASSING_BYTES_MAX;
}
