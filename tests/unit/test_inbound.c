#include <glib.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "daemon/inbound.h"
#include "daemon/postconf.h"
#include "tests/support/unit.h"

static char *folder;

/* Writes a file of the test's folder; its path, to be freed. */
static char *put(const char *name, const char *text, unsigned mode)
{
	if (folder == NULL)
		folder = g_dir_make_tmp("postwake-inbound-XXXXXX", NULL);
	char *path = g_build_filename(folder, name, NULL);
	ck_assert(g_file_set_contents(path, text, -1, NULL));
	ck_assert_int_eq(g_chmod(path, (int)mode), 0);
	return path;
}

/* Makes `script` the only postconf there is. */
static void fake_postconf(const char *script)
{
	g_autofree char *path = put("postconf", script, 0755);

	g_setenv("PATH", folder, TRUE);
}

static struct domains *read_key(const char *key, GPtrArray *unread)
{
	struct domains *domains = NULL;
	struct error err = {0};
	int result = inbound_read(key, &domains, unread, &err);

	ck_assert_msg(result == 0, "%s", err.text);
	return domains;
}

static void check(const char *key, const char *yes, const char *no, const char *unread)
{
	g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func(g_free);
	struct domains *domains = read_key(key, left);
	g_auto(GStrv) held = g_strsplit(yes, " ", -1), others = g_strsplit(no, " ", -1);

	for (char **address = held; *address != NULL; address++)
		ck_assert_msg(domains_hold(domains, slice_str(*address)), "%s", *address);
	for (char **address = others; *address != NULL; address++)
		ck_assert_msg(!domains_hold(domains, slice_str(*address)), "%s", *address);
	g_ptr_array_add(left, NULL);
	g_autofree char *all = g_strjoinv("; ", (char **)left->pdata);
	ck_assert_str_eq(all, unread);
	domains_free(&domains);
}

static void refused(const char *key, const char *because)
{
	g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);
	struct domains *domains = NULL;
	struct error err = {0};

	ck_assert_int_eq(inbound_read(key, &domains, unread, &err), -1);
	ck_assert_ptr_null(domains);
	ck_assert_msg(
	        g_str_has_prefix(err.text, "relay_domains: ") && strstr(err.text, because) != NULL,
	        "%s", err.text);
}

START_TEST(without_the_key_all_mail_is_outbound)
{
	ck_assert_ptr_null(read_key(NULL, NULL));
}
END_TEST

START_TEST(domains_stand_in_the_key_and_in_files)
{
	g_autofree char *file =
	        put("domains", "# ours\nc.example, .d.example # d's\n\n!x.d.example\n", 0644);
	g_autofree char *key = g_strdup_printf("a.example,.b.example %s", file);

	check(key, "u@a.example u@x.b.example u@c.example u@y.d.example",
	        "u@x.a.example u@b.example u@d.example u@example root", "");
	check("hash:/etc/postfix/relay a.example {x y}", "u@a.example", "u@y",
	        "relay_domains = hash:/etc/postfix/relay; relay_domains = {x y}");
	refused("/nonexistent/domains", "/nonexistent/domains");
	g_autofree char *loop = put("loop", "", 0644), *again = put("loop", loop, 0644);
	refused(again, "name each other");
}
END_TEST

START_TEST(postconf_tells_what_postfix_takes_mail_for)
{
	fake_postconf(
	        "#!/bin/sh\n"
	        "[ \"$*\" = \"-x parent_domain_matches_subdomains mydestination "
	        "virtual_alias_domains virtual_mailbox_domains relay_domains\" ] || exit 9\n"
	        "echo 'mydestination = mail.example.com, Localhost, .dotted.example'\n"
	        "echo 'virtual_alias_domains = hash:/etc/postfix/virtual'\n"
	        "echo 'virtual_mailbox_domains ='\n"
	        "echo 'relay_domains = !no.r.example, .r.example, s.example, pcre:{{/x/ y}}'\n"
	        "echo 'parent_domain_matches_subdomains = mynetworks,smtpd_access_maps'\n");
	check("postfix", "u@MAIL.example.com root u@a.r.example u@s.example",
	        "u@example.com u@x.dotted.example u@no.r.example u@a.s.example",
	        "virtual_alias_domains = hash:/etc/postfix/virtual; "
	        "relay_domains = pcre:{{/x/ y}}");
	check("postfix !s.example own.example", "root u@own.example u@a.r.example", "u@s.example",
	        "virtual_alias_domains = hash:/etc/postfix/virtual; "
	        "relay_domains = pcre:{{/x/ y}}");
}
END_TEST

START_TEST(each_instance_of_postfix_is_asked_by_its_directory)
{
	fake_postconf("#!/bin/sh\n[ \"$1\" = -c ] || exit 9\n"
	              "echo \"mydestination = $2\"\n"
	              "echo 'relay_domains = p.example'\n"
	              "echo 'parent_domain_matches_subdomains = relay_domains'\n");
	check("postfix:in.example postfix:out.example",
	        "u@in.example u@out.example u@p.example u@a.p.example", "u@a.in.example", "");
	refused("postfix", "postconf failed");
}
END_TEST

START_TEST(a_postconf_that_is_absent_or_silent_is_an_error)
{
	g_autofree char *empty = g_dir_make_tmp("postwake-inbound-XXXXXX", NULL);
	const char *const names[] = {"mydestination", NULL};
	struct error err = {0};

	fake_postconf("#!/bin/sh\nexec /bin/sleep 60\n");
	gint64 start = g_get_monotonic_time();
	ck_assert_ptr_null(postconf_read(NULL, names, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no whole answer"));
	ck_assert_int_lt(g_get_monotonic_time() - start, 30 * G_USEC_PER_SEC);
	g_setenv("PATH", empty, TRUE);
	refused("postfix", "postconf");
	g_rmdir(empty);
}
END_TEST

START_TEST(sendmails_classes_are_read_from_its_configuration)
{
	g_autofree char *hosts = put("hosts", "# names\nh1.example\nH2.example\n", 0644);
	g_autofree char *relays = put("relays", "r.example\n192.0.2\n", 0644);
	g_autofree char *text = g_strdup_printf(
	        "# sendmail.cf\nCwlocalhost w1.example $j\nFw%s\nFR-o %s %%[^\\#]\n"
	        "FR-o /nonexistent/file\nC{VirtHost}v.example\nF{VirtHost}@LDAP\n"
	        "CRr2.example\nCPp.example\nC{persistentMacros}q.example\nFw|/bin/program\nDjx\n",
	        hosts, relays);
	g_autofree char *cf = put("sendmail.cf", text, 0644);
	g_autofree char *key = g_strdup_printf("sendmail:%s", cf);
	g_autofree char *host = g_strdup_printf("u@%s u@w1.example u@h1.example u@h2.example root "
	                                        "u@r.example u@a.r.example u@a.r2.example "
	                                        "u@v.example",
	        g_get_host_name());

	check(key, host, "u@a.h1.example u@a.v.example u@p.example u@q.example u@x",
	        "class w = $j; class VirtHost = @LDAP; class w = |/bin/program");
	g_autofree char *bad = put("bad.cf", "Fw/nonexistent/hosts\n", 0644);
	g_autofree char *bad_key = g_strdup_printf("sendmail:%s", bad);
	refused(bad_key, "/nonexistent/hosts");
	refused("sendmail:/nonexistent.cf", "/nonexistent.cf");
}
END_TEST

UNIT_MAIN("inbound", without_the_key_all_mail_is_outbound, domains_stand_in_the_key_and_in_files,
        postconf_tells_what_postfix_takes_mail_for,
        each_instance_of_postfix_is_asked_by_its_directory,
        a_postconf_that_is_absent_or_silent_is_an_error,
        sendmails_classes_are_read_from_its_configuration)
