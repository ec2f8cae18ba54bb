#include "query/gate.h"

#include <errno.h>
#include <glib.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define GATE_ACL "system.posix_acl_access"

typedef struct posix_acl_xattr_entry gate_entry;

struct gate {
	const char *path;
	bool shut;      /* for somebody: `before` is what there was before */
	GArray *before; /* gate_entry; empty = a mode without ACL */
};

struct gate *gate_new(const char *path)
{
	struct gate *gate = g_new0(struct gate, 1);

	gate->path = path;
	gate->before = g_array_new(FALSE, FALSE, sizeof(gate_entry));
	return gate;
}

void gate_free(struct gate **gate)
{
	if (*gate == NULL)
		return;
	g_array_unref((*gate)->before);
	g_clear_pointer(gate, g_free);
}

static void add_entry(GArray *entries, unsigned tag, unsigned permissions, uint32_t id)
{
	const gate_entry entry = {.e_tag = GUINT16_TO_LE((guint16)tag),
	        .e_perm = GUINT16_TO_LE((guint16)(permissions & 7)),
	        .e_id = GUINT32_TO_LE(id)};

	g_array_append_val(entries, entry);
}

/* What the file has. */
static int gate_look(struct gate *gate)
{
	char room[sizeof(struct posix_acl_xattr_header) + 1024 * sizeof(gate_entry)];
	ssize_t n = lgetxattr(gate->path, GATE_ACL, room, sizeof(room));

	if (n < 0 && errno != ENODATA)
		return -1;
	n -= (ssize_t)sizeof(struct posix_acl_xattr_header);
	g_array_set_size(gate->before, 0);
	if (n > 0)
		g_array_append_vals(gate->before, room + sizeof(struct posix_acl_xattr_header),
		        (guint)n / sizeof(gate_entry));
	return 0;
}

static int gate_write(const struct gate *gate, const GArray *entries)
{
	const struct posix_acl_xattr_header header = {
	        .a_version = GUINT32_TO_LE(POSIX_ACL_XATTR_VERSION)};
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	g_byte_array_append(bytes, (const void *)&header, sizeof(header));
	g_byte_array_append(
	        bytes, (const void *)entries->data, entries->len * (guint)sizeof(gate_entry));
	return lsetxattr(gate->path, GATE_ACL, bytes->data, bytes->len, 0);
}

static int gate_open(struct gate *gate)
{
	int result = gate->before->len > 0 ? gate_write(gate, gate->before)
	                                   : lremovexattr(gate->path, GATE_ACL);

	/* Else the entries are there still, and `before` is what there was without them. */
	gate->shut = result < 0 && errno != ENODATA && errno != ENOENT;
	return gate->shut ? -1 : 0;
}

/* The ACL that says what a mode does (acl(5)). */
static GArray *entries_of_mode(mode_t mode)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(gate_entry));

	add_entry(entries, ACL_USER_OBJ, mode >> 6, (uint32_t)ACL_UNDEFINED_ID);
	add_entry(entries, ACL_GROUP_OBJ, mode >> 3, (uint32_t)ACL_UNDEFINED_ID);
	add_entry(entries, ACL_OTHER, mode, (uint32_t)ACL_UNDEFINED_ID);
	return entries;
}

static bool is_among(uint32_t id, const uid_t *users, unsigned n)
{
	while (n > 0)
		if (users[--n] == id)
			return true;
	return false;
}

/* The entries with those of users who may do nothing, in the order that the kernel wants: owner,
 * users, owning group, groups, mask, others. */
static GArray *entries_without(const GArray *before, const uid_t *users, unsigned n)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(gate_entry));
	unsigned mask = 0;
	bool masked = false;

	for (guint i = 0; i < before->len; i++) {
		gate_entry entry = g_array_index(before, gate_entry, i);
		unsigned tag = GUINT16_FROM_LE(entry.e_tag);

		if (tag == ACL_GROUP_OBJ)
			mask = GUINT16_FROM_LE(entry.e_perm);
		masked = masked || tag == ACL_MASK;
		if (tag == ACL_OTHER && !masked)
			add_entry(entries, ACL_MASK, mask, (uint32_t)ACL_UNDEFINED_ID);
		if (tag != ACL_USER || !is_among(GUINT32_FROM_LE(entry.e_id), users, n))
			g_array_append_val(entries, entry);
		for (unsigned u = 0; tag == ACL_USER_OBJ && u < n; u++)
			add_entry(entries, ACL_USER, 0, users[u]);
	}
	return entries;
}

int gate_shut(struct gate *gate, const uid_t *users, unsigned n)
{
	struct stat st;

	if (n == 0)
		return gate->shut ? gate_open(gate) : 0;
	if (lstat(gate->path, &st) < 0 || (!gate->shut && gate_look(gate) < 0))
		return -1;
	g_autoptr(GArray) before =
	        gate->before->len > 0 ? g_array_ref(gate->before) : entries_of_mode(st.st_mode);
	g_autoptr(GArray) entries = entries_without(before, users, n);
	gate->shut = gate_write(gate, entries) == 0 || gate->shut;
	return gate->shut ? 0 : -1;
}
