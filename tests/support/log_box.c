#include "tests/support/log_box.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int box_line(void *ctx, const struct follow_line *line)
{
	struct log_box *box = ctx;

	if (box->refuse_after > 0 && box->given->len + 1 > box->refuse_after)
		return -1;
	/* Lines of the tests begin with their second. */
	follow_stamp(box->follow, g_ascii_strtoll(line->text.p, NULL, 10) * 1000);
	g_ptr_array_add(line->again ? box->again : box->given, slice_dup(line->text));
	return 0;
}

static void box_gap(void *ctx, gint64 from, gint64 to, gint64 bytes, const char *what)
{
	struct log_box *box = ctx;

	g_ptr_array_add(box->gaps, g_strdup_printf("%" G_GINT64_FORMAT " %s", bytes, what));
	box->gap_bytes += MAX(bytes, 0);
	box->gap_from = from;
	box->gap_to = to;
}

void log_box_open(struct log_box *box)
{
	*box = (struct log_box){.folder = g_dir_make_tmp("pw-follow-XXXXXX", NULL)};
	ck_assert_ptr_nonnull(box->folder);
	box->path = g_build_filename(box->folder, "mail.log", NULL);
	box->given = g_ptr_array_new_with_free_func(g_free);
	box->kept = g_ptr_array_new_with_free_func(g_free);
	box->again = g_ptr_array_new_with_free_func(g_free);
	box->gaps = g_ptr_array_new_with_free_func(g_free);
}

void log_box_close(struct log_box *box)
{
	const char *name;
	GDir *dir = g_dir_open(box->folder, 0, NULL);

	follow_free(&box->follow);
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
		log_box_remove(box, name);
	if (dir != NULL)
		g_dir_close(dir);
	rmdir(box->folder);
	g_ptr_array_free(box->given, TRUE);
	g_ptr_array_free(box->kept, TRUE);
	g_ptr_array_free(box->again, TRUE);
	g_ptr_array_free(box->gaps, TRUE);
	g_free(box->position);
	g_free(box->path);
	g_free(box->folder);
}

void log_box_start(struct log_box *box, gboolean from_start)
{
	const struct follow_hooks hooks = {.ctx = box, .line = box_line, .gap = box_gap};
	struct error err = {0};

	g_ptr_array_set_size(box->again, 0);
	box->follow = follow_new(box->path, slice_str(box->position), from_start, &hooks, &err);
	ck_assert_msg(box->follow != NULL, "%s", err.text);
	follow_grace(box->follow, 0);
}

void log_box_kill(struct log_box *box)
{
	follow_free(&box->follow);
	g_ptr_array_set_size(box->given, 0);
}

void log_box_commit(struct log_box *box)
{
	GString *position = g_string_new(NULL);

	follow_position(box->follow, position);
	g_free(box->position);
	box->position = g_string_free(position, FALSE);
	for (guint i = 0; i < box->given->len; i++)
		g_ptr_array_add(box->kept, g_strdup(box->given->pdata[i]));
	g_ptr_array_set_size(box->given, 0);
}

void log_box_run(struct log_box *box, unsigned lines)
{
	struct error err = {0};
	int more = 1;

	for (int i = 0; more > 0 && i < 100000; i++)
		more = follow_run(box->follow, lines, &err);
	ck_assert_msg(more == 0, "%s", err.text);
}

static char *box_name(const struct log_box *box, const char *name)
{
	return name != NULL ? g_build_filename(box->folder, name, NULL) : g_strdup(box->path);
}

void log_box_write(const struct log_box *box, const char *name, const char *bytes, gsize n)
{
	g_autofree char *path = box_name(box, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

void log_box_append(const struct log_box *box, const char *name, const char *text)
{
	log_box_write(box, name, text, strlen(text));
}

void log_box_rename(const struct log_box *box, const char *from, const char *to)
{
	g_autofree char *old = box_name(box, from), *new = box_name(box, to);

	ck_assert_int_eq(rename(old, new), 0);
}

void log_box_copytruncate(const struct log_box *box, const char *to)
{
	g_autofree char *copy = box_name(box, to), *bytes = NULL;
	gsize n;

	ck_assert(g_file_get_contents(box->path, &bytes, &n, NULL));
	log_box_write(box, to, bytes, n);
	log_box_truncate(box, 0);
}

void log_box_truncate(const struct log_box *box, gint64 size)
{
	ck_assert_int_eq(truncate(box->path, size), 0);
}

void log_box_remove(const struct log_box *box, const char *name)
{
	g_autofree char *path = box_name(box, name);

	ck_assert_int_eq(remove(path), 0);
}

void log_box_pack(const struct log_box *box, const char *name, const char *program)
{
	g_autofree char *path = box_name(box, name);
	const char *const zstd[] = {"zstd", "-q", "--rm", path, NULL};
	const char *const other[] = {program, "-f", path, NULL};
	gboolean is_zstd = strcmp(program, "zstd") == 0;
	int status = -1;

	ck_assert(g_spawn_sync(NULL, (char **)(is_zstd ? zstd : other), NULL, G_SPAWN_SEARCH_PATH,
	        NULL, NULL, NULL, NULL, &status, NULL));
	ck_assert_int_eq(status, 0);
}

char *log_box_lines(const struct log_box *box)
{
	GString *lines = g_string_new(NULL);

	for (guint i = 0; i < box->kept->len; i++)
		g_string_append_printf(lines, "%s|", (char *)box->kept->pdata[i]);
	for (guint i = 0; i < box->given->len; i++)
		g_string_append_printf(lines, "%s|", (char *)box->given->pdata[i]);
	if (lines->len > 0)
		g_string_truncate(lines, lines->len - 1);
	return g_string_free(lines, FALSE);
}
