#include "event/bounce_class.h"

#include <glib.h>

#define BOUNCE_UNDETERMINED 1

static const struct bounce_class classes[] = {
#define CLASS(CODE, NAME, CATEGORY) {CODE, NAME, CATEGORY},
#include "schema/bounce-classes.def"
#undef CLASS
};

const struct bounce_class *bounce_class_by_code(int code)
{
	for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
		if (classes[i].code == code)
			return &classes[i];
	return NULL;
}

/* Parts of an enhanced status code. */
struct status {
	int class; /* 4 or 5; in rules 0 = both */
	int subject;
	int detail; /* in rules -1 = any, like subject */
};

static const struct status_rule {
	struct status status;
	int bounce_class;
} status_rules[] = {
#define STATUS(CLASS, SUBJECT, DETAIL, BOUNCE_CLASS) {{CLASS, SUBJECT, DETAIL}, BOUNCE_CLASS},
#include "schema/bounce-classes.def"
#undef STATUS
};

static const struct reply_rule {
	int code;
	int bounce_class;
} reply_rules[] = {
#define REPLY(CODE, BOUNCE_CLASS) {CODE, BOUNCE_CLASS},
#include "schema/bounce-classes.def"
#undef REPLY
};

/* RFC 3463, 2: subject and detail have 1 to 3 digits. */
static bool status_number(struct slice digits, int *number_r)
{
	int64_t value;

	if (digits.n == 0 || digits.n > 3 || digits.p[0] == '-' || !slice_int(digits, &value))
		return false;
	*number_r = (int)value;
	return true;
}

static bool status_parse(struct slice text, struct status *status_r)
{
	struct slice class = slice_cut(&text, '.'), subject = slice_cut(&text, '.');

	if (class.n != 1 || (class.p[0] != '4' && class.p[0] != '5'))
		return false;
	status_r->class = class.p[0] - '0';
	return status_number(subject, &status_r->subject) && status_number(text, &status_r->detail);
}

static bool status_fits(struct status rule, struct status status)
{
	return (rule.class == 0 || rule.class == status.class) &&
	       (rule.subject < 0 || rule.subject == status.subject) &&
	       (rule.detail < 0 || rule.detail == status.detail);
}

static int class_of_status(struct slice dsn)
{
	struct status status;

	if (!status_parse(dsn, &status))
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(status_rules); i++)
		if (status_fits(status_rules[i].status, status))
			return status_rules[i].bounce_class;
	return 0;
}

static int class_of_reply(struct slice code)
{
	int64_t number;

	if (!slice_int(code, &number))
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(reply_rules); i++)
		if (reply_rules[i].code == number)
			return reply_rules[i].bounce_class;
	return 0;
}

int bounce_class_of(struct slice dsn, struct slice code)
{
	int class = class_of_status(dsn);

	if (class == 0)
		class = class_of_reply(code);
	return class != 0 ? class : BOUNCE_UNDETERMINED;
}
