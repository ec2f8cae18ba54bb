#include "event/catalogue.h"

#include <jansson.h>

#include "tests/support/unit.h"

#define PSEUDO_FIELDS 2

static json_t *parse(const GString *text)
{
	json_t *parsed = json_loadb(text->str, text->len, JSON_REJECT_DUPLICATES, NULL);

	ck_assert_msg(parsed != NULL, "unreadable: %s", text->str);
	return parsed;
}

static json_t *documentation(enum api_generation generation)
{
	g_autoptr(GString) out = g_string_new(NULL);

	catalogue_documentation(out, generation);
	return parse(out);
}

static json_t *samples(enum api_generation generation, const bool *types)
{
	g_autoptr(GString) out = g_string_new(NULL);

	catalogue_samples(out, generation, types);
	return parse(out);
}

START_TEST(names_and_numbers_lead_back_to_their_row)
{
	for (int i = 0; i < FIELDS; i++) {
		const struct field_info *info = &field_catalogue[i];
		ck_assert_int_eq(field_by_name(slice_str(info->name)), i);
		ck_assert_int_eq(field_by_number(info->number), i);
		ck_assert_uint_gt(info->number, 0);
	}
	for (int i = 0; i < EVENT_TYPES; i++) {
		const struct event_info *info = &event_catalogue[i];
		ck_assert_int_eq(event_type_by_name(slice_str(info->name)), i);
		ck_assert_int_eq(event_type_by_number(info->number), i);
		ck_assert_uint_gt(info->number, 0);
	}
}
END_TEST

START_TEST(ids_are_the_names_in_capitals){
#define FIELD(ID, NUMBER, NAME, ...) \
	{ \
		g_autofree char *lower = g_ascii_strdown(#ID, -1); \
		ck_assert_str_eq(lower, NAME); \
	}
#include "schema/fields.def"
#undef FIELD
#define EVENT(ID, NUMBER, NAME, ...) \
	{ \
		g_autofree char *lower = g_ascii_strdown(#ID, -1); \
		ck_assert_str_eq(lower, NAME); \
	}
#include "schema/events.def"
#undef EVENT
} END_TEST

        START_TEST(other_names_and_numbers_are_none)
{
	static const char *const names[] = {"", "Bounce", "bounce ", "bounc", "rcpt_to\n", "é"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		ck_assert_int_eq(event_type_by_name(slice_str(names[i])), EVENT_TYPES);
		ck_assert_int_eq(field_by_name(slice_str(names[i])), FIELDS);
	}
	ck_assert_int_eq(event_type_by_name(SLICE_NONE), EVENT_TYPES);
	ck_assert_int_eq(field_by_name(SLICE("rcpt_to\0")), FIELDS);
	ck_assert_int_eq(field_by_number(0), FIELDS);
	ck_assert_int_eq(field_by_number(G_MAXUINT), FIELDS);
	ck_assert_int_eq(event_type_by_number(0), EVENT_TYPES);
	ck_assert_int_eq(event_type_by_number(G_MAXUINT), EVENT_TYPES);
}
END_TEST

/* Rows that stores hold: never adapt them to the tables. */
START_TEST(numbers_in_stored_rows_never_change)
{
	ck_assert_int_eq(event_type_by_number(1), EVENT_BOUNCE);
	ck_assert_int_eq(event_type_by_number(2), EVENT_DELIVERY);
	ck_assert_int_eq(event_type_by_number(3), EVENT_INJECTION);
	ck_assert_int_eq(event_type_by_number(7), EVENT_POLICY_REJECTION);
	ck_assert_int_eq(event_type_by_number(8), EVENT_DELAY);
	ck_assert_int_eq(event_type_by_number(25), EVENT_AB_TEST_CANCELLED);
	ck_assert_int_eq(field_by_number(1), FIELD_TYPE);
	ck_assert_int_eq(field_by_number(9), FIELD_RCPT_TO);
	ck_assert_int_eq(field_by_number(25), FIELD_SUBJECT);
	ck_assert_int_eq(field_by_number(50), FIELD_RAW_REASON);
	ck_assert_int_eq(field_by_number(78), FIELD_TDATE);
	ck_assert_int_eq(field_by_number(91), FIELD_QUEUE_ID);
	ck_assert_int_eq(field_by_number(103), FIELD_TLS_CIPHER);
}
END_TEST

/* Number of fields, without our own and with the two pseudo fields, that the recorded documentation
 * of 2020 has; mailbox_provider and mailbox_provider_region came in 2021. */
START_TEST(types_carry_as_many_fields_as_recorded)
{
	static const struct {
		enum event_type type;
		int want;
	} rows[] = {
	        {EVENT_BOUNCE, 49},
	        {EVENT_DELIVERY, 51},
	        {EVENT_INJECTION, 45},
	        {EVENT_DELAY, 51},
	        {EVENT_OUT_OF_BAND, 40},
	        {EVENT_POLICY_REJECTION, 34},
	        {EVENT_SPAM_COMPLAINT, 38},
	        {EVENT_OPEN, 41},
	        {EVENT_INITIAL_OPEN, 41},
	        {EVENT_AMP_OPEN, 41},
	        {EVENT_AMP_INITIAL_OPEN, 41},
	        {EVENT_CLICK, 43},
	        {EVENT_AMP_CLICK, 43},
	        {EVENT_LIST_UNSUBSCRIBE, 40},
	        {EVENT_LINK_UNSUBSCRIBE, 42},
	        {EVENT_GENERATION_FAILURE, 30},
	        {EVENT_GENERATION_REJECTION, 32},
	        {EVENT_SMS_STATUS, 25},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int have = PSEUDO_FIELDS;
		for (int f = 0; f < FIELDS; f++)
			have += event_carries(rows[i].type, (enum field)f, API_EVENTS) &&
			        !field_catalogue[f].own && f != FIELD_MAILBOX_PROVIDER &&
			        f != FIELD_MAILBOX_PROVIDER_REGION;
		ck_assert_msg(have == rows[i].want, "%s: %d fields",
		        event_catalogue[rows[i].type].name, have);
	}
}
END_TEST

START_TEST(relay_and_ab_test_types_carry_their_recorded_fields)
{
	static const struct {
		enum event_type type;
		int want;
	} rows[] = {
	        {EVENT_RELAY_INJECTION, 18},
	        {EVENT_RELAY_DELIVERY, 20},
	        {EVENT_RELAY_TEMPFAIL, 23},
	        {EVENT_RELAY_PERMFAIL, 24},
	        {EVENT_RELAY_REJECTION, 19},
	        {EVENT_AB_TEST_COMPLETED, 6},
	        {EVENT_AB_TEST_CANCELLED, 6},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int have = 0;
		for (int f = 0; f < FIELDS; f++)
			have += event_carries(rows[i].type, (enum field)f, API_WEBHOOK) &&
			        !field_catalogue[f].own;
		ck_assert_msg(have == rows[i].want, "%s: %d fields",
		        event_catalogue[rows[i].type].name, have);
	}
}
END_TEST

START_TEST(each_fact_has_a_type_for_both_directions)
{
	ck_assert_int_eq(event_outbound(EVENT_RELAY_TEMPFAIL), EVENT_DELAY);
	ck_assert_int_eq(event_outbound(EVENT_OUT_OF_BAND), EVENT_OUT_OF_BAND);
	ck_assert_int_eq(event_inbound(EVENT_CLICK), EVENT_CLICK);
	for (int i = EVENT_RELAY_INJECTION; i <= EVENT_RELAY_PERMFAIL; i++) {
		enum event_type type = (enum event_type)i;
		ck_assert_int_ne(event_outbound(type), type);
		ck_assert_int_eq(event_outbound(event_outbound(type)), event_outbound(type));
		ck_assert_int_eq(event_inbound(event_outbound(type)), type);
	}
}
END_TEST

/* The vendor's published sample of a bounce. */
START_TEST(a_bounce_of_v1_documents_what_the_published_sample_has)
{
	static const char *const published[] = {"bounce_class", "campaign_id", "click_tracking",
	        "customer_id", "delv_method", "device_token", "error_code", "event_id",
	        "friendly_from", "initial_pixel", "injection_time", "ip_address", "ip_pool",
	        "message_id", "msg_from", "msg_size", "num_retries", "open_tracking", "rcpt_meta",
	        "rcpt_tags", "rcpt_to", "raw_rcpt_to", "rcpt_type", "raw_reason", "reason",
	        "recv_method", "routing_domain", "sending_ip", "sms_coding", "sms_dst",
	        "sms_dst_npi", "sms_dst_ton", "sms_src", "sms_src_npi", "sms_src_ton",
	        "subaccount_id", "subject", "template_id", "template_version", "timestamp",
	        "transactional", "transmission_id", "type"};
	int have = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(published); i++)
		ck_assert_msg(
		        event_carries(EVENT_BOUNCE, field_by_name(slice_str(published[i])), API_V1),
		        "%s", published[i]);
	for (int f = 0; f < FIELDS; f++)
		have += event_carries(EVENT_BOUNCE, (enum field)f, API_V1) &&
		        !field_catalogue[f].own;
	ck_assert_int_eq(have, G_N_ELEMENTS(published));
}
END_TEST

START_TEST(v1_does_not_document_what_came_with_events)
{
	static const enum field late[] = {
	        FIELD_AMP_ENABLED, FIELD_RCPT_HASH, FIELD_RECIPIENT_DOMAIN, FIELD_SENDING_DOMAIN};

	for (size_t i = 0; i < G_N_ELEMENTS(late); i++) {
		ck_assert(event_carries(EVENT_DELIVERY, late[i], API_EVENTS));
		ck_assert(!event_carries(EVENT_DELIVERY, late[i], API_V1));
	}
	ck_assert(event_carries(EVENT_DELIVERY, FIELD_QUEUE_ID, API_V1));
	ck_assert(event_carries(EVENT_DELIVERY, FIELD_QUEUE_ID, API_EVENTS));
}
END_TEST

START_TEST(what_our_results_add_to_a_type_is_documented_and_marked)
{
	static const struct {
		enum event_type type;
		enum field field;
	} rows[] = {
	        {EVENT_BOUNCE, FIELD_RECIPIENT_DOMAIN},
	        {EVENT_BOUNCE, FIELD_QUEUE_TIME},
	        {EVENT_DELIVERY, FIELD_RAW_REASON},
	        {EVENT_DELIVERY, FIELD_ERROR_CODE},
	        {EVENT_INJECTION, FIELD_REMOTE_ADDR},
	        {EVENT_POLICY_REJECTION, FIELD_ROUTING_DOMAIN},
	        {EVENT_DELAY, FIELD_REMOTE_ADDR},
	};
	json_t *documented = documentation(API_V1);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *name = field_catalogue[rows[i].field].name;
		size_t at = 0;
		json_t *type, *field = NULL;

		ck_assert(!event_carries(rows[i].type, rows[i].field, API_V1));
		ck_assert(event_documents(rows[i].type, rows[i].field, API_V1));
		ck_assert(!event_documents(rows[i].type, rows[i].field, API_WEBHOOK) ||
		          event_carries(rows[i].type, rows[i].field, API_WEBHOOK));
		json_array_foreach(documented, at, type)
		{
			const char *of = json_string_value(
			        json_object_get(json_object_get(type, "type"), "sampleValue"));
			if (g_str_equal(of, event_catalogue[rows[i].type].name))
				field = json_object_get(type, name);
		}
		const char *text = json_string_value(json_object_get(field, "description"));
		ck_assert_msg(text != NULL &&
		                      g_str_has_suffix(text, " (postwake's addition to this type)"),
		        "%s: %s", name, text);
	}
	/* documented by the API there */
	ck_assert(event_carries(EVENT_BOUNCE, FIELD_RECIPIENT_DOMAIN, API_EVENTS));
	ck_assert(!event_documents(EVENT_OPEN, FIELD_REMOTE_ADDR, API_V1));
	json_decref(documented);
}
END_TEST

static void check_order(enum api_generation generation, const char *const *want, size_t n)
{
	json_t *documented = documentation(generation), *sampled = samples(generation, NULL);

	ck_assert_uint_eq(json_array_size(documented), n);
	ck_assert_uint_eq(json_array_size(sampled), n);
	for (size_t i = 0; i < n; i++) {
		json_t *type = json_object_get(json_array_get(documented, i), "type");
		ck_assert_str_eq(json_string_value(json_object_get(type, "sampleValue")), want[i]);
		type = json_object_get(json_array_get(sampled, i), "type");
		ck_assert_str_eq(json_string_value(type), want[i]);
	}
	json_decref(documented);
	json_decref(sampled);
}

START_TEST(documentation_and_samples_have_the_recorded_order)
{
	static const char *const events[] = {"bounce", "delivery", "injection", "sms_status",
	        "spam_complaint", "out_of_band", "policy_rejection", "delay", "click", "open",
	        "initial_open", "amp_click", "amp_open", "amp_initial_open", "generation_failure",
	        "generation_rejection", "list_unsubscribe", "link_unsubscribe"};
	static const char *const v1[] = {"bounce", "delivery", "injection", "sms_status",
	        "spam_complaint", "out_of_band", "policy_rejection", "delay", "click", "open",
	        "initial_open", "generation_failure", "generation_rejection", "list_unsubscribe",
	        "link_unsubscribe"};

	check_order(API_EVENTS, events, G_N_ELEMENTS(events));
	check_order(API_V1, v1, G_N_ELEMENTS(v1));
}
END_TEST

START_TEST(each_documented_field_has_a_description_and_the_sample_of_its_type)
{
	json_t *documented = documentation(API_V1), *sampled = samples(API_V1, NULL);

	for (size_t i = 0; i < json_array_size(documented); i++) {
		json_t *fields = json_array_get(documented, i), *field;
		json_t *sample = json_array_get(sampled, i);
		const char *name;
		ck_assert_uint_eq(
		        json_object_size(fields), json_object_size(sample) + PSEUDO_FIELDS);
		json_object_foreach(fields, name, field)
		{
			ck_assert_uint_eq(json_object_size(field), 2);
			ck_assert_uint_gt(
			        json_string_length(json_object_get(field, "description")), 0);
			json_t *value = json_object_get(sample, name);
			if (value == NULL)
				ck_assert(g_str_equal(name, "display_name") ||
				          g_str_equal(name, "event_description"));
			else
				ck_assert(json_equal(json_object_get(field, "sampleValue"), value));
		}
	}
	json_decref(documented);
	json_decref(sampled);
}
END_TEST

START_TEST(documentation_names_its_types_for_people)
{
	json_t *documented = documentation(API_V1);
	json_t *label = json_object_get(json_array_get(documented, 5), "display_name");
	json_t *sentence = json_object_get(json_array_get(documented, 5), "event_description");

	ck_assert_str_eq(json_string_value(json_object_get(label, "sampleValue")), "Out of Band");
	ck_assert_uint_gt(json_string_length(json_object_get(sentence, "sampleValue")), 0);
	json_decref(documented);
}
END_TEST

START_TEST(our_own_fields_are_marked_as_such)
{
	json_t *documented = documentation(API_V1);
	json_t *bounce = json_array_get(documented, 0);
	const char *own = json_string_value(
	        json_object_get(json_object_get(bounce, "queue_id"), "description"));
	const char *other = json_string_value(
	        json_object_get(json_object_get(bounce, "rcpt_to"), "description"));

	ck_assert_ptr_nonnull(strstr(own, "postwake"));
	ck_assert_ptr_null(strstr(other, "postwake"));
	json_decref(documented);
}
END_TEST

START_TEST(samples_can_be_limited_to_types)
{
	bool types[EVENT_TYPES] = {
	        [EVENT_DELAY] = true, [EVENT_BOUNCE] = true, [EVENT_RELAY_DELIVERY] = true};
	json_t *two = samples(API_V1, types);

	ck_assert_uint_eq(json_array_size(two), 2);
	ck_assert_str_eq(
	        json_string_value(json_object_get(json_array_get(two, 0), "type")), "bounce");
	ck_assert_str_eq(
	        json_string_value(json_object_get(json_array_get(two, 1), "type")), "delay");
	json_decref(two);
	types[EVENT_DELAY] = types[EVENT_BOUNCE] = false;
	json_t *none = samples(API_V1, types);
	ck_assert_uint_eq(json_array_size(none), 0);
	json_decref(none);
}
END_TEST

START_TEST(samples_have_the_time_and_number_forms_of_their_generation)
{
	json_t *v1 = samples(API_V1, NULL), *events = samples(API_EVENTS, NULL);
	json_t *old = json_array_get(v1, 0), *new = json_array_get(events, 0);

	ck_assert_str_eq(json_string_value(json_object_get(old, "timestamp")),
	        "2016-04-18T14:25:07.000+00:00");
	ck_assert_str_eq(json_string_value(json_object_get(old, "injection_time")),
	        "2016-04-18T14:25:07.000Z");
	ck_assert_str_eq(json_string_value(json_object_get(old, "event_id")), "92356927693813856");
	ck_assert_str_eq(json_string_value(json_object_get(old, "customer_id")), "1");
	ck_assert_str_eq(
	        json_string_value(json_object_get(new, "timestamp")), "2016-04-18T14:25:07.000Z");
	ck_assert_int_eq(json_integer_value(json_object_get(new, "subaccount_id")), 101);
	ck_assert(json_is_true(json_object_get(old, "open_tracking")));
	ck_assert(json_is_object(json_object_get(old, "rcpt_meta")));
	ck_assert(json_is_array(json_object_get(old, "rcpt_tags")));
	json_decref(v1);
	json_decref(events);
}
END_TEST

START_TEST(rejections_are_sampled_with_their_own_class)
{
	json_t *all = samples(API_V1, NULL);

	ck_assert_str_eq(
	        json_string_value(json_object_get(json_array_get(all, 6), "bounce_class")), "25");
	ck_assert_str_eq(
	        json_string_value(json_object_get(json_array_get(all, 0), "bounce_class")), "1");
	json_decref(all);
}
END_TEST

START_TEST(webhook_types_are_good_json_too)
{
	json_t *documented = documentation(API_WEBHOOK), *sampled = samples(API_WEBHOOK, NULL);

	ck_assert_uint_eq(json_array_size(documented), EVENT_TYPES);
	ck_assert_uint_eq(json_array_size(sampled), EVENT_TYPES);
	ck_assert(json_is_object(
	        json_object_get(json_array_get(sampled, EVENT_AB_TEST_COMPLETED), "ab_test")));
	json_decref(documented);
	json_decref(sampled);
}
END_TEST

/* clang-format off */
UNIT_MAIN("catalogue",
	names_and_numbers_lead_back_to_their_row,
	ids_are_the_names_in_capitals,
	other_names_and_numbers_are_none,
	numbers_in_stored_rows_never_change,
	types_carry_as_many_fields_as_recorded,
	relay_and_ab_test_types_carry_their_recorded_fields,
	each_fact_has_a_type_for_both_directions,
	a_bounce_of_v1_documents_what_the_published_sample_has,
	v1_does_not_document_what_came_with_events,
	what_our_results_add_to_a_type_is_documented_and_marked,
	documentation_and_samples_have_the_recorded_order,
	each_documented_field_has_a_description_and_the_sample_of_its_type,
	documentation_names_its_types_for_people,
	our_own_fields_are_marked_as_such,
	samples_can_be_limited_to_types,
	samples_have_the_time_and_number_forms_of_their_generation,
	rejections_are_sampled_with_their_own_class,
	webhook_types_are_good_json_too)
