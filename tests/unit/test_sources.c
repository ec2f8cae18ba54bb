#include <string.h>

#include "event/catalogue.h"
#include "tests/support/unit.h"

static const enum event_type order[] = {
#define ORDER(TYPE) EVENT_##TYPE,
#define SOURCE(FIELD, LETTERS)
#define NEVER(FIELD, WHY)
#include "schema/sources.def"
#undef ORDER
#undef SOURCE
#undef NEVER
};

static const char *const sources[FIELDS] = {
#define ORDER(TYPE)
#define SOURCE(FIELD, LETTERS) [FIELD_##FIELD] = LETTERS,
#define NEVER(FIELD, WHY)
#include "schema/sources.def"
#undef ORDER
#undef SOURCE
#undef NEVER
};

static const char *const never[FIELDS] = {
#define ORDER(TYPE)
#define SOURCE(FIELD, LETTERS)
#define NEVER(FIELD, WHY) [FIELD_##FIELD] = WHY,
#include "schema/sources.def"
#undef ORDER
#undef SOURCE
#undef NEVER
};

static bool is_field_of(enum event_type type, enum field field)
{
	return (event_catalogue[type].fields[field / 64] >> (field % 64) & 1) != 0 ||
	       event_documents(type, field, API_V1);
}

/* The letters of a row without its blanks; to be freed. */
static char *letters_of(enum field field)
{
	g_auto(GStrv) parts = g_strsplit(sources[field] != NULL ? sources[field] : "", " ", -1);

	return g_strjoinv("", parts);
}

START_TEST(each_field_of_a_type_has_a_source_or_none)
{
	for (int f = 0; f < FIELDS; f++) {
		g_autofree char *letters = letters_of((enum field)f);
		const char *name = field_catalogue[f].name;
		ck_assert_msg(*letters == '\0' || strlen(letters) == G_N_ELEMENTS(order), "%s: %s",
		        name, letters);
		ck_assert_int_eq(strspn(letters, "LMBCAPDROEn."), strlen(letters));
		for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
			bool told = *letters != '\0' && letters[i] != '.';
			ck_assert_msg(told == is_field_of(order[i], (enum field)f), "%s of %s",
			        name, event_catalogue[order[i]].name);
		}
	}
}
END_TEST

START_TEST(what_is_never_told_has_a_reason)
{
	for (int f = 0; f < FIELDS; f++) {
		g_autofree char *letters = letters_of((enum field)f);
		ck_assert_msg((strchr(letters, 'n') != NULL) == (never[f] != NULL), "%s",
		        field_catalogue[f].name);
	}
}
END_TEST

UNIT_MAIN("sources", each_field_of_a_type_has_a_source_or_none, what_is_never_told_has_a_reason)
