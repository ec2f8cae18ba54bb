#include "query/gate.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/unit.h"

#define ACL "system.posix_acl_access"

static char *dir, *path;

/* False, with a line, where the file system has no ACLs. */
static bool prepare(void)
{
	dir = g_dir_make_tmp("postwake-gate-XXXXXX", NULL);
	path = g_build_filename(dir, "file", NULL);
	ck_assert(g_file_set_contents(path, "", 0, NULL) && g_chmod(path, 0660) == 0);
	bool can = lgetxattr(path, ACL, NULL, 0) >= 0 || errno == ENODATA;
	if (!can)
		printf("SKIP: %s has no ACLs\n", dir);
	return can;
}

static void clean(void)
{
	g_unlink(path);
	g_rmdir(dir);
	g_free(path);
	g_free(dir);
}

/* The ACL of the file as text: tag:permissions:id … as in linux/posix_acl.h; "" = none. */
static char *acl(void)
{
	char bytes[1024];
	ssize_t n = lgetxattr(path, ACL, bytes, sizeof(bytes));
	GString *text = g_string_new(NULL);

	for (ssize_t at = sizeof(struct posix_acl_xattr_header); at < n;) {
		struct posix_acl_xattr_entry entry;

		memcpy(&entry, bytes + at, sizeof(entry));
		at += (ssize_t)sizeof(entry);
		g_string_append_printf(text, "%x:%u:%d ", GUINT16_FROM_LE(entry.e_tag),
		        GUINT16_FROM_LE(entry.e_perm), (int)GUINT32_FROM_LE(entry.e_id));
	}
	return g_string_free(text, FALSE);
}

static void expect_acl(const char *wanted)
{
	g_autofree char *got = acl();

	ck_assert_str_eq(got, wanted);
}

static unsigned mode(void)
{
	GStatBuf st;

	ck_assert_int_eq(g_stat(path, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(users_are_shut_out_and_let_in_again_and_the_mode_stays)
{
	static const uid_t users[] = {4711, 4712};

	if (prepare()) {
		struct gate *gate = gate_new(path);

		ck_assert_int_eq(gate_shut(gate, NULL, 0), 0);
		expect_acl("");
		ck_assert_int_eq(gate_shut(gate, users, 2), 0);
		expect_acl("1:6:-1 2:0:4711 2:0:4712 4:6:-1 10:6:-1 20:0:-1 ");
		ck_assert_uint_eq(mode(), 0660);
		ck_assert_int_eq(gate_shut(gate, users + 1, 1), 0);
		expect_acl("1:6:-1 2:0:4712 4:6:-1 10:6:-1 20:0:-1 ");
		ck_assert_int_eq(gate_shut(gate, NULL, 0), 0);
		expect_acl("");
		ck_assert_uint_eq(mode(), 0660);
		gate_free(&gate);
	}
	clean();
}
END_TEST

/* Entries of an ACL: user 4711 may, group 99 may, mask. */
static void give_acl(void)
{
	static const guint16 given[] = {1, 6, 2, 6, 4, 4, 8, 6, 16, 6, 32, 0};
	static const int ids[] = {-1, 4711, -1, 99, -1, -1};
	char bytes[sizeof(struct posix_acl_xattr_header) +
	           6 * sizeof(struct posix_acl_xattr_entry)] = {POSIX_ACL_XATTR_VERSION};

	for (int i = 0; i < 6; i++) {
		const struct posix_acl_xattr_entry entry = {GUINT16_TO_LE(given[2 * i]),
		        GUINT16_TO_LE(given[2 * i + 1]), GUINT32_TO_LE((guint32)ids[i])};

		memcpy(bytes + sizeof(struct posix_acl_xattr_header) + (size_t)i * sizeof(entry),
		        &entry, sizeof(entry));
	}
	ck_assert_int_eq(lsetxattr(path, ACL, bytes, sizeof(bytes), 0), 0);
}

START_TEST(an_acl_that_the_file_has_counts_and_comes_back)
{
	static const char before[] = "1:6:-1 2:6:4711 4:4:-1 8:6:99 10:6:-1 20:0:-1 ";
	static const uid_t known = 4711, other = 5;

	if (prepare()) {
		struct gate *gate = gate_new(path);

		give_acl();
		expect_acl(before);
		ck_assert_int_eq(gate_shut(gate, &other, 1), 0);
		expect_acl("1:6:-1 2:0:5 2:6:4711 4:4:-1 8:6:99 10:6:-1 20:0:-1 ");
		ck_assert_int_eq(gate_shut(gate, &known, 1), 0);
		expect_acl("1:6:-1 2:0:4711 4:4:-1 8:6:99 10:6:-1 20:0:-1 ");
		ck_assert_int_eq(gate_shut(gate, NULL, 0), 0);
		expect_acl(before);
		gate_free(&gate);
	}
	clean();
}
END_TEST

START_TEST(where_there_is_no_file_or_no_acl_nobody_is_shut_out)
{
	static const char *const paths[] = {"/nonexistent/query.sock", "/proc/self/status"};
	const uid_t user = 4711;

	for (int i = 0; i < 2; i++) {
		struct gate *gate = gate_new(paths[i]);

		ck_assert_int_eq(gate_shut(gate, &user, 1), -1);
		ck_assert_int_eq(gate_shut(gate, NULL, 0), 0);
		gate_free(&gate);
	}
}
END_TEST

UNIT_MAIN("gate", users_are_shut_out_and_let_in_again_and_the_mode_stays,
        an_acl_that_the_file_has_counts_and_comes_back,
        where_there_is_no_file_or_no_acl_nobody_is_shut_out)
