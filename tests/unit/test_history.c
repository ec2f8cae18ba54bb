#include "logtail/history.h"
#include "base/clock.h"
#include "logtail/split.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

static char *folder;

static char *at(const char *name)
{
	return g_build_filename(folder, name, NULL);
}

static void begin(void)
{
	folder = g_dir_make_tmp("pw-history-XXXXXX", NULL);
	ck_assert_ptr_nonnull(folder);
}

static void end(void)
{
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = at(name);
		remove(path);
	}
	g_dir_close(dir);
	rmdir(folder);
	g_clear_pointer(&folder, g_free);
}

static char *write_bytes(const char *name, const char *bytes, gssize n)
{
	char *path = at(name);

	ck_assert(g_file_set_contents(path, bytes, n, NULL));
	return path;
}

static void shell(const char *command)
{
	g_autofree char *line = g_strdup_printf("cd '%s' && %s", folder, command);

	ck_assert_int_eq(system(line), 0);
}

/* Lines joined by '|', with "!" behind them where it ended with an error. */
static char *read_all(const char *path)
{
	GString *lines = g_string_new(NULL);
	struct error err = {0};
	struct history *history = history_open(path, &err);
	struct slice line;
	gint64 offset;
	int got;

	ck_assert_msg(history != NULL, "%s", err.text);
	while ((got = history_line(history, &line, &offset, &err)) == 1)
		g_string_append_printf(lines, "%.*s|", SLICE_ARG(line));
	if (lines->len > 0)
		g_string_truncate(lines, lines->len - 1);
	if (got < 0) {
		ck_assert(err.set);
		g_string_append_c(lines, '!');
	}
	history_close(&history);
	ck_assert_ptr_null(history);
	return g_string_free(lines, FALSE);
}

#define ASSERT_READS(PATH, WANT) \
	do { \
		g_autofree char *path_ = (PATH), *got_ = read_all(path_); \
		ck_assert_str_eq(got_, WANT); \
	} while (0)

START_TEST(a_plain_file_is_read_with_or_without_a_last_newline)
{
	begin();
	ASSERT_READS(write_bytes("a", "one\ntwo\n", -1), "one|two");
	ASSERT_READS(write_bytes("b", "one\ntwo", -1), "one|two");
	ASSERT_READS(write_bytes("c", "\n\none\n", -1), "||one");
	ASSERT_READS(write_bytes("empty", "", -1), "");
	end();
}
END_TEST

START_TEST(each_kind_of_compression_is_told_by_content)
{
	static const char *const commands[] = {
	        "gzip -c a > x", "bzip2 -c a > x", "xz -c a > x", "zstd -qc a > x", "cp a x"};

	begin();
	g_free(write_bytes("a", "one\ntwo\n", -1));
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		shell(commands[i]);
		ASSERT_READS(at("x"), "one|two");
	}
	end();
}
END_TEST

START_TEST(a_compressed_empty_file_has_no_line)
{
	begin();
	g_free(write_bytes("a", "", -1));
	shell("gzip -c a > a.gz; xz -c a > a.xz; bzip2 -c a > a.bz2; zstd -qc a > a.zst");
	ASSERT_READS(at("a.gz"), "");
	ASSERT_READS(at("a.xz"), "");
	ASSERT_READS(at("a.bz2"), "");
	ASSERT_READS(at("a.zst"), "");
	end();
}
END_TEST

START_TEST(concatenated_members_are_one_stream)
{
	static const char *const programs[] = {"gzip -c", "bzip2 -c", "xz -c", "zstd -qc"};

	begin();
	g_free(write_bytes("a", "one\ntw", -1));
	g_free(write_bytes("b", "o\nthree\n", -1));
	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
		g_autofree char *command =
		        g_strdup_printf("(%s a; %s b) > x", programs[i], programs[i]);
		shell(command);
		ASSERT_READS(at("x"), "one|two|three");
	}
	end();
}
END_TEST

START_TEST(a_damaged_archive_gives_its_whole_lines_and_then_an_error)
{
	static const char *const programs[] = {"gzip -c", "bzip2 -c", "xz -c", "zstd -qc"};
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);

	begin();
	while (text->len < 3000000)
		g_string_append_printf(text, "%08x%08x\n", g_rand_int(rand), g_rand_int(rand));
	g_free(write_bytes("a", text->str, -1));
	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
		g_autofree char *command =
		        g_strdup_printf("%s a > x; truncate -s -100000 x", programs[i]);
		shell(command);
		g_autofree char *path = at("x"), *got = read_all(path);
		size_t n = strlen(got);
		ck_assert_msg(n > 17 * 1000, "%s: only %zu bytes", programs[i], n);
		ck_assert_int_eq(got[n - 1], '!');
		ck_assert_uint_eq(n % 17, 0);
		g_strdelimit(got, "|", '\n');
		ck_assert(strncmp(got, text->str, n - 1) == 0);
	}
	ASSERT_READS(write_bytes("b", "\x1f\x8b", 2), "!");
	ASSERT_READS(write_bytes("c", "\x1f\x8b\x08garbage garbage", -1), "!");
	ASSERT_READS(write_bytes("d", "BZh9 is how this text begins\n", -1),
	        "BZh9 is how this text begins");
	end();
}
END_TEST

/* Two members, "one two" and "three four", and where the second begins. */
static char *two_members(gsize *n_r, gsize *second_r)
{
	char *bytes = NULL;
	GStatBuf st;

	g_free(write_bytes("a", "one\ntwo\n", -1));
	g_free(write_bytes("b", "three\nfour\n", -1));
	shell("gzip -nc a > x; gzip -nc b > y; cat x y > z");
	g_autofree char *first = at("x"), *both = at("z");
	ck_assert_int_eq(g_stat(first, &st), 0);
	*second_r = (gsize)st.st_size;
	ck_assert(g_file_get_contents(both, &bytes, n_r, NULL));
	return bytes;
}

START_TEST(of_a_gzip_member_with_a_wrong_crc_or_length_nothing_is_given)
{
	gsize n, second;

	begin();
	g_autofree char *bytes = two_members(&n, &second);
	for (gsize i = 1; i <= 8; i++) {
		bytes[n - i] ^= 1;
		ASSERT_READS(write_bytes("bad", bytes, (gssize)n), "one|two!");
		bytes[n - i] ^= 1;
		bytes[second - i] ^= 1;
		ASSERT_READS(write_bytes("bad", bytes, (gssize)n), "!");
		bytes[second - i] ^= 1;
	}
	ASSERT_READS(write_bytes("good", bytes, (gssize)n), "one|two|three|four");
	end();
}
END_TEST

START_TEST(no_flipped_bit_of_a_gzip_file_changes_a_line_unnoticed)
{
	g_autoptr(GString) text = g_string_new(NULL);
	unsigned noticed = 0;
	gsize n;

	begin();
	for (int i = 0; i < 60; i++)
		g_string_append_printf(
		        text, "%s%d %u", i > 0 ? "|" : "", i, (guint)i * 2654435761u);
	g_autofree char *want = g_strdup(text->str), *bytes = NULL, *path = at("a.gz");
	g_string_append_c(text, '\n');
	g_strdelimit(text->str, "|", '\n');
	g_free(write_bytes("a", text->str, -1));
	shell("gzip -n a");
	ck_assert(g_file_get_contents(path, &bytes, &n, NULL));
	/* Behind the header, whose bits mean little. */
	for (gsize bit = 80; bit < n * 8; bit++) {
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		g_free(write_bytes("bad", bytes, (gssize)n));
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		g_autofree char *bad = at("bad"), *got = read_all(bad);
		/* The last byte of the text has bits that mean nothing. */
		ck_assert(g_str_has_suffix(got, "!") || strcmp(got, want) == 0);
		noticed += strcmp(got, "!") == 0;
	}
	/* The others look cut off: the end of the text was not found. */
	ck_assert_uint_gt(noticed, (n - 10) * 8 * 9 / 10);
	end();
}
END_TEST

START_TEST(a_hole_of_zeros_in_a_gzip_file_gives_nothing_behind_the_last_sound_member)
{
	gsize n, second;

	begin();
	g_autofree char *bytes = two_members(&n, &second);
	memset(bytes + second + 12, 0, 8);
	ASSERT_READS(write_bytes("bad", bytes, (gssize)n), "one|two!");
	end();
}
END_TEST

START_TEST(what_follows_a_gzip_member_is_padding_a_member_or_damage)
{
	gsize n, second;

	begin();
	g_autofree char *bytes = two_members(&n, &second);
	g_autofree char *more = g_malloc0(n + 300000);
	memcpy(more, bytes, n);
	ASSERT_READS(write_bytes("padded", more, (gssize)n + 300000), "one|two|three|four");
	memcpy(more + n, "garbage", 7);
	ASSERT_READS(write_bytes("garbage", more, (gssize)n + 7), "one|two|three|four!");
	for (gsize cut = second + 1; cut < n; cut++) {
		g_autofree char *path = write_bytes("cut", bytes, (gssize)cut);
		g_autofree char *got = read_all(path);
		ck_assert(g_str_has_prefix(got, "one|two") && g_str_has_suffix(got, "!"));
	}
	end();
}
END_TEST

START_TEST(a_damaged_gzip_on_a_pipe_is_told_at_its_end)
{
	int saved = dup(STDIN_FILENO), fds[2];
	gsize n, second;

	begin();
	g_autofree char *bytes = two_members(&n, &second);
	bytes[n - 8] ^= 1;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], bytes, n), (ssize_t)n);
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	g_autofree char *got = read_all("-");
	ck_assert(g_str_has_prefix(got, "one|two") && g_str_has_suffix(got, "!"));
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
	end();
}
END_TEST

START_TEST(nul_bytes_go_and_the_offset_is_that_of_the_first_byte)
{
	static const char bytes[] = "o\0ne\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0two\n";
	struct error err = {0};
	struct slice line;
	gint64 offset;

	begin();
	g_autofree char *path = write_bytes("a", bytes, sizeof(bytes) - 1);
	struct history *history = history_open(path, &err);
	ck_assert_int_eq(history_line(history, &line, &offset, &err), 1);
	ck_assert(slice_eq(line, SLICE("one")) && offset == 0);
	ck_assert_int_eq(history_line(history, &line, &offset, &err), 1);
	ck_assert(slice_eq(line, SLICE("two")) && offset == 25);
	ck_assert_int_eq(history_line(history, &line, &offset, &err), 0);
	ck_assert_int_eq(history_line(history, &line, &offset, &err), 0);
	history_close(&history);
	end();
}
END_TEST

START_TEST(lines_around_64_kib_are_cut_exactly_there)
{
	static const size_t lengths[] = {SPLIT_LIMIT - 1, SPLIT_LIMIT, SPLIT_LIMIT + 1,
	        SPLIT_BLOCK - 1, SPLIT_BLOCK, SPLIT_BLOCK + 1, SPLIT_BLOCK + SPLIT_LIMIT, 3000000};
	struct error err = {0};

	begin();
	for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
		g_autofree char *x = g_strnfill(lengths[i], 'x');
		g_autofree char *text = g_strdup_printf("a\n%s\nlast\n", x);
		g_autofree char *path = write_bytes("a", text, -1);
		struct history *history = history_open(path, &err);
		struct slice line;
		gint64 offset;
		ck_assert_int_eq(history_line(history, &line, &offset, &err), 1);
		ck_assert_int_eq(history_line(history, &line, &offset, &err), 1);
		ck_assert_uint_eq(line.n, MIN(lengths[i], SPLIT_LIMIT));
		ck_assert_int_eq(history_line(history, &line, &offset, &err), 1);
		ck_assert(slice_eq(line, SLICE("last")));
		ck_assert_int_eq(offset, (gint64)lengths[i] + 3);
		history_close(&history);
	}
	end();
}
END_TEST

START_TEST(standard_input_is_read_compressed_too_and_in_small_pieces)
{
	begin();
	g_free(write_bytes("a", "one\ntwo\n", -1));
	shell("gzip -c a > a.gz");
	g_autofree char *path = at("a.gz");
	g_autofree char *bytes = NULL;
	gsize n;
	int fds[2], saved = dup(STDIN_FILENO);
	ck_assert(g_file_get_contents(path, &bytes, &n, NULL));
	ck_assert_int_eq(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		for (gsize i = 0; i < n; i++) {
			if (write(fds[1], bytes + i, 1) != 1)
				_exit(1);
			g_usleep(100);
		}
		_exit(0);
	}
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	ASSERT_READS(g_strdup("-"), "one|two");
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
	end();
}
END_TEST

START_TEST(a_missing_file_is_an_error_that_names_it)
{
	struct error err = {0};

	ck_assert_ptr_null(history_open("/nonexistent/x", &err));
	ck_assert_str_eq(err.text, "cannot open /nonexistent/x: No such file or directory");
}
END_TEST

START_TEST(progress_counts_the_bytes_of_the_file)
{
	struct error err = {0};
	struct slice line;
	gint64 offset;
	guint64 done, size;

	begin();
	g_autofree char *path = write_bytes("a", "one\ntwo\n", -1);
	struct history *history = history_open(path, &err);
	while (history_line(history, &line, &offset, &err) == 1)
		;
	history_progress(history, &done, &size);
	ck_assert_uint_eq(done, 8);
	ck_assert_uint_eq(size, 8);
	history_close(&history);
	end();
}
END_TEST

START_TEST(a_date_in_the_name_is_the_end_of_that_day)
{
	static const struct {
		const char *name;
		gint64 day; /* 0: no date in it */
	} rows[] = {{"mail.log-20260131", 20484}, {"mail.log-20260131.gz", 20484},
	        {"mail.log.2026-01-31", 20484}, {"mail.log.20260131-235959", 20484},
	        {"/var/log-19990101/mail-20260131.log", 20484}, {"mail.log.20260132", 0},
	        {"mail.log.20261331", 0}, {"mail.log.202601311", 0}, {"mail.log.1769900000", 0},
	        {"mail.log.1", 0}, {"19991332-mail.log", 0}, {"mail.log-2026-0131", 0}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		gint64 got = history_not_after(rows[i].name);
		if (rows[i].day != 0)
			ck_assert_msg(got == (rows[i].day + 1) * CLOCK_DAY + 12 * CLOCK_HOUR - 1,
			        "%s", rows[i].name);
		else
			ck_assert_msg(ABS(got - clock_now()) < CLOCK_MINUTE, "%s", rows[i].name);
	}
}
END_TEST

START_TEST(without_a_date_in_the_name_gzip_or_the_file_tells_it)
{
	struct utimbuf times = {.actime = 1000000000, .modtime = 1000000000};

	begin();
	g_autofree char *plain = write_bytes("mail.log", "one\n", -1);
	ck_assert_int_eq(utime(plain, &times), 0);
	ck_assert_int_eq(history_not_after(plain), G_GINT64_CONSTANT(1000000000000));
	shell("gzip mail.log && touch mail.log.gz");
	g_autofree char *packed = at("mail.log.gz");
	ck_assert_int_eq(history_not_after(packed), G_GINT64_CONSTANT(1000000000000));
	g_autofree char *nameless = write_bytes("x.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
	ck_assert_int_eq(utime(nameless, &times), 0);
	ck_assert_int_eq(history_not_after(nameless), G_GINT64_CONSTANT(1000000000000));
	ck_assert_int_le(ABS(history_not_after("-") - clock_now()), CLOCK_MINUTE);
	end();
}
END_TEST

START_TEST(files_are_ordered_by_their_first_stamp)
{
	static const struct {
		const char *name, *text;
	} files[] = {{"c", "2026-01-03T00:00:00.1+00:00 h p[1]: x\n"},
	        {"b", "no stamp here\n2026-01-02T00:00:00+00:00 h p[1]: x\n"},
	        {"none", "nothing\n"}, {"a", "2026-01-01T00:00:00+00:00 h p[1]: x\n"}};

	begin();
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
		g_ptr_array_add(paths, write_bytes(files[i].name, files[i].text, -1));
	g_ptr_array_insert(paths, 1, g_strdup("-"));
	g_ptr_array_add(paths, g_strdup("/nonexistent/file"));
	shell("gzip -c a > a.gz && mv a.gz a");
	history_sort(paths);
	g_autoptr(GString) order = g_string_new(NULL);
	for (guint i = 0; i < paths->len; i++) {
		g_autofree char *base = g_path_get_basename(paths->pdata[i]);
		g_string_append_printf(order, "%s ", base);
	}
	ck_assert_str_eq(order->str, "a - b c none file ");
	end();
}
END_TEST

START_TEST(blocks_are_the_same_stream_as_lines)
{
	struct error err = {0};
	char block[3];

	begin();
	g_free(write_bytes("a", "one\ntwo\n", -1));
	shell("gzip a");
	g_autofree char *path = at("a.gz");
	struct history *history = history_open(path, &err);
	g_autoptr(GString) all = g_string_new(NULL);
	ssize_t n;
	while ((n = history_block(history, block, sizeof(block), &err)) > 0)
		g_string_append_len(all, block, n);
	ck_assert_int_eq(n, 0);
	ck_assert_str_eq(all->str, "one\ntwo\n");
	history_close(&history);
	end();
}
END_TEST

UNIT_MAIN("history", a_plain_file_is_read_with_or_without_a_last_newline,
        each_kind_of_compression_is_told_by_content, a_compressed_empty_file_has_no_line,
        concatenated_members_are_one_stream,
        a_damaged_archive_gives_its_whole_lines_and_then_an_error,
        of_a_gzip_member_with_a_wrong_crc_or_length_nothing_is_given,
        no_flipped_bit_of_a_gzip_file_changes_a_line_unnoticed,
        a_hole_of_zeros_in_a_gzip_file_gives_nothing_behind_the_last_sound_member,
        what_follows_a_gzip_member_is_padding_a_member_or_damage,
        a_damaged_gzip_on_a_pipe_is_told_at_its_end,
        nul_bytes_go_and_the_offset_is_that_of_the_first_byte,
        lines_around_64_kib_are_cut_exactly_there,
        standard_input_is_read_compressed_too_and_in_small_pieces,
        a_missing_file_is_an_error_that_names_it, progress_counts_the_bytes_of_the_file,
        a_date_in_the_name_is_the_end_of_that_day,
        without_a_date_in_the_name_gzip_or_the_file_tells_it,
        files_are_ordered_by_their_first_stamp, blocks_are_the_same_stream_as_lines)
