#include "event/identity.h"

#include <glib.h>

#include "tests/support/unit.h"

/* 2016-04-18T14:25:07Z */
#define BIRTH INT64_C(1460989507000)

static struct identity_line line(void)
{
	return (struct identity_line){
	        .node = SLICE("mail1"),
	        .instance = SLICE("postfix"),
	        .time = BIRTH,
	        .program = SLICE("postfix/smtp"),
	        .pid = SLICE("4711"),
	        .text = SLICE("4NtLMR5Ylxz1Dy: to=<jane@example.com>, status=sent (250 ok)"),
	};
}

static uint64_t fact(struct identity_line line)
{
	return identity_log_fact(&line, SLICE("jane@example.com"), IDENTITY_ATTEMPT, 0);
}

/* Stores hold these numbers: a change here means that every log would be taken in a second time.
 * Do not adapt the numbers to the code. */
START_TEST(identities_never_change)
{
	struct identity_line l = line();
	const struct slice parts[] = {SLICE("a"), SLICE("bc"), SLICE("")};
	char id[IDENTITY_MESSAGE_ID_LEN + 1];

	ck_assert_uint_eq(fact(l), UINT64_C(1234282468562765642));
	ck_assert_uint_eq(identity_log_fact(&l, SLICE("b@example.com"), IDENTITY_REJECT, 3),
	        UINT64_C(2847296867037747350));
	ck_assert_uint_eq(identity_log_fact(&l, SLICE_NONE, IDENTITY_EXPIRE, 1),
	        UINT64_C(4911535349250765332));
	ck_assert_uint_eq(identity_injection(SLICE("000443ee14578172be22"), SLICE("a@example.com")),
	        UINT64_C(7794015068284844638));
	ck_assert_uint_eq(identity_parts(parts, 3), UINT64_C(176230230239008995));
	identity_message_id(l.node, l.instance, SLICE("4NtLMR5Ylxz1Dy"), BIRTH, id);
	ck_assert_str_eq(id, "000043ee1457cca794f4");
	identity_reject_message_id(1, BIRTH, id);
	ck_assert_str_eq(id, "000043ee14575c680e84");
}
END_TEST

START_TEST(every_part_of_a_line_matters)
{
	const struct identity_line base = line();
	struct identity_line changed[6];

	for (size_t i = 0; i < G_N_ELEMENTS(changed); i++)
		changed[i] = base;
	changed[0].node = SLICE("mail2");
	changed[1].instance = SLICE("postfix-out");
	changed[2].time += 1000;
	changed[3].program = SLICE("postfix-out/smtp");
	changed[4].pid = SLICE("4712");
	changed[5].text = SLICE("4NtLMR5Ylxz1Dy: to=<jane@example.com>, status=sent (250 ok!)");
	for (size_t i = 0; i < G_N_ELEMENTS(changed); i++) {
		ck_assert_uint_ne(fact(changed[i]), fact(base));
		ck_assert_uint_ne(identity_line_hash(&changed[i]), identity_line_hash(&base));
	}
}
END_TEST

START_TEST(recipient_fact_and_ordinal_matter)
{
	struct identity_line l = line();
	uint64_t base = fact(l);

	ck_assert_uint_ne(
	        identity_log_fact(&l, SLICE("joe@example.com"), IDENTITY_ATTEMPT, 0), base);
	ck_assert_uint_ne(
	        identity_log_fact(&l, SLICE("jane@example.com"), IDENTITY_REJECT, 0), base);
	ck_assert_uint_ne(
	        identity_log_fact(&l, SLICE("jane@example.com"), IDENTITY_ATTEMPT, 1), base);
}
END_TEST

START_TEST(a_part_is_not_its_neighbour)
{
	struct identity_line a = line(), b = line();

	a.program = SLICE("sendmail1");
	a.pid = SLICE("2");
	b.program = SLICE("sendmail");
	b.pid = SLICE("12");
	ck_assert_uint_ne(fact(a), fact(b));
	ck_assert_uint_ne(identity_line_hash(&a), identity_line_hash(&b));
	a = b = line();
	a.instance = SLICE("");
	a.program = SLICE("postfix");
	b.instance = SLICE("postfix");
	b.program = SLICE("");
	ck_assert_uint_ne(identity_line_hash(&a), identity_line_hash(&b));
	char name[400];
	memset(name, 'n', sizeof(name));
	a.node = b.node = slice_make(name, sizeof(name));
	ck_assert_uint_ne(identity_line_hash(&a), identity_line_hash(&b));
	b = a;
	b.node.n--;
	ck_assert_uint_ne(identity_line_hash(&a), identity_line_hash(&b));

	const struct slice one[] = {SLICE("ab"), SLICE("c")}, two[] = {SLICE("a"), SLICE("bc")};
	const struct slice three[] = {SLICE("ab"), SLICE("c"), SLICE("")};
	ck_assert_uint_ne(identity_parts(one, 2), identity_parts(two, 2));
	ck_assert_uint_ne(identity_parts(one, 2), identity_parts(three, 3));
}
END_TEST

START_TEST(copies_of_a_line_are_the_same_line)
{
	struct identity_line copy = line();

	copy.time += 999; /* BSD stamps have no milliseconds */
	copy.node = SLICE("MAIL1");
	copy.program = SLICE("postfix"); /* as RFC 5424 has it */
	copy.text = SLICE(" 4NtLMR5Ylxz1Dy: to=<jane@example.com>, status=sent (250 ok) \r\n");
	ck_assert_uint_eq(fact(copy), fact(line()));
	struct identity_line original = line();
	ck_assert_uint_eq(identity_line_hash(&copy), identity_line_hash(&original));
	ck_assert_uint_eq(identity_log_fact(&copy, SLICE("Jane@EXAMPLE.com"), IDENTITY_ATTEMPT, 0),
	        fact(original));
}
END_TEST

START_TEST(seconds_before_1970_are_cut_downwards)
{
	struct identity_line a = line(), b = line();

	a.time = -1;
	b.time = -1000;
	ck_assert_uint_eq(fact(a), fact(b));
	b.time = 0;
	ck_assert_uint_ne(fact(a), fact(b));
}
END_TEST

START_TEST(injections_go_by_message_and_recipient)
{
	uint64_t base = identity_injection(SLICE("m1"), SLICE("jane@example.com"));

	ck_assert_uint_eq(identity_injection(SLICE("m1"), SLICE("JANE@example.com")), base);
	ck_assert_uint_ne(identity_injection(SLICE("m2"), SLICE("jane@example.com")), base);
	ck_assert_uint_ne(identity_injection(SLICE("m1"), SLICE("joe@example.com")), base);
	ck_assert_uint_ne(identity_injection(SLICE("m1"), SLICE_NONE), base);
}
END_TEST

START_TEST(event_ids_fit_a_positive_64_bit_integer)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct identity_line l = line();
		uint64_t id = identity_log_fact(&l, SLICE("x"), IDENTITY_ATTEMPT, i);
		ck_assert_uint_gt(id, 0);
		ck_assert_uint_le(id, INT64_MAX);
	}
}
END_TEST

START_TEST(long_and_hostile_parts_count_to_their_last_byte)
{
	g_autofree char *text = g_malloc0(70000);
	struct identity_line a = line(), b = line();

	a.text = b.text = slice_make(text, 70000);
	b.text.n--;
	ck_assert_uint_ne(fact(a), fact(b));
	memset(text, 'A', 70000);
	uint64_t long_id = identity_injection(SLICE("m"), slice_make(text, 1000));
	ck_assert_uint_ne(identity_injection(SLICE("m"), slice_make(text, 1001)), long_id);
	memset(text, 'a', 1000);
	ck_assert_uint_eq(identity_injection(SLICE("m"), slice_make(text, 1000)), long_id);
	text[999] = '\xc0';
	ck_assert_uint_ne(identity_injection(SLICE("m"), slice_make(text, 1000)), long_id);
}
END_TEST

START_TEST(message_ids_hold_their_birth)
{
	char id[IDENTITY_MESSAGE_ID_LEN + 1], other[IDENTITY_MESSAGE_ID_LEN + 1];

	identity_message_id(SLICE("n"), SLICE("i"), SLICE("Q"), BIRTH, id);
	ck_assert_uint_eq(strlen(id), IDENTITY_MESSAGE_ID_LEN);
	ck_assert_uint_eq(strspn(id, "0123456789abcdef"), IDENTITY_MESSAGE_ID_LEN);
	ck_assert_mem_eq(id, "000043ee1457", 12);
	identity_message_id(SLICE("N"), SLICE("i"), SLICE("Q"), BIRTH + 999, other);
	ck_assert_str_eq(id, other);
	identity_message_id(SLICE("n"), SLICE("i"), SLICE("q"), BIRTH, other);
	ck_assert_str_ne(id, other); /* long queue ids differ by case */
	identity_message_id(SLICE("n"), SLICE("j"), SLICE("Q"), BIRTH, other);
	ck_assert_str_ne(id, other);
	identity_message_id(SLICE("m"), SLICE("i"), SLICE("Q"), BIRTH, other);
	ck_assert_str_ne(id, other);
	identity_message_id(SLICE("n"), SLICE("i"), SLICE("Q"), BIRTH + 1000, other);
	ck_assert_str_ne(id + 12, other + 12);
}
END_TEST

START_TEST(message_ids_of_rejections_hold_their_time)
{
	char id[IDENTITY_MESSAGE_ID_LEN + 1], other[IDENTITY_MESSAGE_ID_LEN + 1];

	identity_reject_message_id(5, BIRTH, id);
	ck_assert_mem_eq(id, "000043ee1457", 12);
	identity_reject_message_id(6, BIRTH, other);
	ck_assert_str_ne(id, other);
}
END_TEST

/* clang-format off */
UNIT_MAIN("identity",
	identities_never_change,
	every_part_of_a_line_matters,
	recipient_fact_and_ordinal_matter,
	a_part_is_not_its_neighbour,
	copies_of_a_line_are_the_same_line,
	seconds_before_1970_are_cut_downwards,
	injections_go_by_message_and_recipient,
	event_ids_fit_a_positive_64_bit_integer,
	long_and_hostile_parts_count_to_their_last_byte,
	message_ids_hold_their_birth,
	message_ids_of_rejections_hold_their_time)
