#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "daemon/config.h"
#include "tests/support/unit.h"

/* Loads a configuration of this text. */
static int load(const char *text, struct config **config_r, struct error *err)
{
	g_autofree char *path = NULL;
	int fd = g_file_open_tmp("postwake-config-XXXXXX", &path, NULL);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert(g_file_set_contents(path, text, -1, NULL));
	int result = config_load(config_r, path, err);
	g_unlink(path);
	return result;
}

static void refused(const char *text, const char *because)
{
	struct config *config = NULL;
	struct error err = {0};

	ck_assert_int_eq(load(text, &config, &err), -1);
	ck_assert_msg(strstr(err.text, because) != NULL, "%s: %s", text, err.text);
	ck_assert_ptr_null(config);
}

START_TEST(every_key_has_its_default)
{
	struct config *config = NULL;

	ck_assert_int_eq(load("[postwake]\nfollow = none\n", &config, NULL), 0);
	ck_assert_int_eq(config->keep_days, 10);
	ck_assert_int_eq(config->milter_mode, 0660);
	ck_assert_str_eq(config->milter_on_failure, "accept");
	ck_assert(config->milter && !config->milter_remove_header);
	ck_assert_uint_eq(config->sources->len, 0);
	config_free(&config);
	ck_assert_ptr_null(config);
}
END_TEST

START_TEST(keys_and_sources_are_read)
{
	struct config *config = NULL;

	ck_assert_int_eq(
	        load("[postwake]\nkeep_days = 3\nnode = mx1\n[milter]\nenabled = no\nmode = 0600\n"
	             "[source out]\nfile = /tmp/a.log\ninstance = out\nfrom_start = no\n"
	             "[source in]\njournal = system\ninstance = in\n",
	                &config, NULL),
	        0);
	ck_assert_int_eq(config->keep_days, 3);
	ck_assert_str_eq(config->node, "mx1");
	ck_assert(!config->milter);
	ck_assert_int_eq(config->milter_mode, 0600);
	ck_assert_uint_eq(config->sources->len, 2);
	const struct config_source *out = config->sources->pdata[0];
	ck_assert_str_eq(out->name, "out");
	ck_assert_str_eq(out->file, "/tmp/a.log");
	ck_assert(!out->from_start);
	config_free(&config);
}
END_TEST

START_TEST(who_may_do_what_is_read_in_order)
{
	struct config *config = NULL;

	ck_assert_int_eq(load("[postwake]\nfollow = none\n[access b]\nusers = alice\n"
	                      "domains = a.example b.example\n[access a]\ngroups = staff\n"
	                      "grants = read, ingest\n[query]\nsocket_keys = required\n",
	                         &config, NULL),
	        0);
	ck_assert_str_eq(config->query_socket_keys, "required");
	ck_assert_uint_eq(config->accesses->len, 2);
	const struct config_access *b = config->accesses->pdata[0];
	const struct config_access *a = config->accesses->pdata[1];
	ck_assert_str_eq(b->name, "b");
	ck_assert_str_eq(b->users, "alice");
	ck_assert_str_eq(b->grants, "read");
	ck_assert_str_eq(b->domains, "a.example b.example");
	ck_assert_ptr_null(b->subaccounts);
	ck_assert_str_eq(a->groups, "staff");
	ck_assert_str_eq(a->grants, "read, ingest");
	config_free(&config);
}
END_TEST

START_TEST(a_misspelt_key_is_an_error_that_names_it)
{
	refused("[postwake]\nkeepdays = 3\n", "[postwake] keepdays: no such key");
	refused("[postwak]\n", "[postwak]: no such group");
	refused("[source]\nfile = /a\n", "[source]: no such group");
	refused("[postwake x]\n", "[postwake x]: no such group");
	refused("[source x]\nfile = /a\ncolour = red\n", "[source x] colour: no such key");
}
END_TEST

START_TEST(a_bad_value_is_an_error_that_says_what_is_right)
{
	refused("[postwake]\nkeep_days = ten\n", "must be a number from 0 to 36500");
	refused("[postwake]\nkeep_days = 99999\n", "must be a number from 0 to 36500");
	refused("[milter]\nmode = 0999\n", "must be a file mode in octal");
	refused("[milter]\nenabled = maybe\n", "must be yes or no");
	refused("[milter]\non_failure = reject\n", "must be one of: accept tempfail");
	refused("no group\n", "");
}
END_TEST

START_TEST(a_file_and_the_journal_of_one_instance_are_refused)
{
	refused("[source a]\nfile = /var/log/mail.log\n[source b]\njournal = system\n",
	        "of one instance would be read twice");
	refused("[source a]\n", "needs either file= or journal=");
	refused("[source a]\nfile = /a\njournal = system\n", "needs either file= or journal=");
}
END_TEST

START_TEST(an_upload_is_read_and_its_url_loses_what_it_need_not_have)
{
	struct config *config;

	ck_assert_int_eq(
	        load("[upload far]\nkind = postwake\nurl = https://x.example:8443/api/v1/\n"
	             "privacy = yes\n[upload sp]\nkey_file = /k\n",
	                &config, NULL),
	        0);
	ck_assert_uint_eq(config->uploads->len, 2);
	const struct config_upload *far = config->uploads->pdata[0],
	                           *sp = config->uploads->pdata[1];
	ck_assert_str_eq(far->name, "far");
	ck_assert_str_eq(far->url, "https://x.example:8443");
	ck_assert(far->privacy && far->from_start);
	ck_assert_int_eq(far->interval, 10);
	ck_assert_str_eq(sp->url, "https://api.sparkpost.com");
	ck_assert_str_eq(sp->kind, "sparkpost");
	config_free(&config);
}
END_TEST

START_TEST(an_upload_that_would_give_the_key_away_is_refused)
{
	refused("[upload a]\n", "key_file");
	refused("[upload a]\nkey_file = /k\nurl = http://api.example.com\n", "https");
	refused("[upload a]\nkey_file = /k\nurl = https://u:p@api.example.com\n", "key_file");
	refused("[upload a]\nkey_file = /k\nurl = api.example.com\n", "https://");
	refused("[upload a]\nkey_file = /k\nurl = ftp://api.example.com\n", "https");
	refused("[upload a]\nkey_file = /k\nurl = https://api.example.com?x\n", "https://");
	refused("[upload a]\nkey_file = /k\nurl =\n", "must be given");
	refused("[upload]\nkey_file = /k\n", "no such group");
}
END_TEST

START_TEST(a_named_file_that_is_missing_is_an_error)
{
	struct config *config = NULL;
	struct error err = {0};

	ck_assert_int_eq(config_load(&config, "/nonexistent/postwake.conf", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/postwake.conf"));
}
END_TEST

UNIT_MAIN("config", every_key_has_its_default, keys_and_sources_are_read,
        who_may_do_what_is_read_in_order, a_misspelt_key_is_an_error_that_names_it,
        a_bad_value_is_an_error_that_says_what_is_right,
        a_file_and_the_journal_of_one_instance_are_refused,
        an_upload_is_read_and_its_url_loses_what_it_need_not_have,
        an_upload_that_would_give_the_key_away_is_refused, a_named_file_that_is_missing_is_an_error)
