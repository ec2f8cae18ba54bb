/* A log is written, rotated and damaged at random while its follower is killed and started again:
 * each line is given once, or it vanished and a gap was told.
 *
 * PW_FOLLOW_SEEDS=first-last runs other seeds than the default ones, PW_FOLLOW_STEPS other lengths.
 */
#include "logtail/history.h"
#include "tests/support/log_box.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#define KEEP 6 /* rotated files that the driver keeps */

struct driver {
	struct log_box box;
	GRand *rand;
	guint32 seed;
	unsigned lines; /* written so far; the text of each holds its number */
	gint64 second;  /* of the last line */
	char *half;     /* rest of a line that was written in part, and what is written: */
	char *half_written;
	GHashTable *written; /* text */
	gboolean dated;
	unsigned rotations;
};

static char *driver_line(struct driver *driver)
{
	/* Stamps of neighbouring seconds come mixed, and clocks are set. */
	int step = g_rand_int_range(driver->rand, -1, 4);
	driver->second += g_rand_int_range(driver->rand, 0, 200) == 0 ? -3600 : MAX(step, -1);
	return g_strdup_printf("%" G_GINT64_FORMAT " line %u of seed %u%.*s", driver->second,
	        ++driver->lines, driver->seed, g_rand_int_range(driver->rand, 0, 60),
	        " ------------------------------------------------------------");
}

static void finish_half(struct driver *driver)
{
	if (driver->half == NULL)
		return;
	log_box_append(&driver->box, NULL, driver->half);
	g_clear_pointer(&driver->half, g_free);
}

/* The line stays cut: so it is given when its file was deleted, after it had been opened. */
static void forget_half(struct driver *driver)
{
	if (driver->half == NULL)
		return;
	g_clear_pointer(&driver->half, g_free);
	g_hash_table_add(driver->written, g_steal_pointer(&driver->half_written));
}

static void do_append(struct driver *driver)
{
	finish_half(driver);
	g_autoptr(GString) text = g_string_new(NULL);
	for (int i = g_rand_int_range(driver->rand, 1, 30); i > 0; i--) {
		char *line = driver_line(driver);
		g_string_append_printf(text, "%s\n", line);
		g_hash_table_add(driver->written, line);
	}
	log_box_append(&driver->box, NULL, text->str);
}

static void do_part(struct driver *driver)
{
	finish_half(driver);
	char *line = driver_line(driver);
	size_t n = (size_t)g_rand_int_range(driver->rand, 1, (gint32)strlen(line));
	log_box_write(&driver->box, NULL, line, n);
	driver->half = g_strdup_printf("%s\n", line + n);
	g_free(driver->half_written);
	driver->half_written = g_strndup(line, n);
	g_hash_table_add(driver->written, line);
}

static gboolean box_has(const struct driver *driver, const char *name)
{
	g_autofree char *path = g_build_filename(driver->box.folder, name, NULL);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* The name under which the log goes; older ones are moved out of the way. */
static char *make_way(struct driver *driver)
{
	static const char *const suffixes[] = {"", ".gz"};

	finish_half(driver);
	g_usleep(8000); /* mtimes have the grain of the kernel's tick */
	driver->rotations++;
	if (driver->dated)
		return g_strdup_printf("mail.log-2026%04u", driver->rotations);
	for (int number = KEEP; number > 0; number--) {
		for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
			g_autofree char *from =
			        g_strdup_printf("mail.log.%d%s", number, suffixes[i]);
			g_autofree char *to =
			        g_strdup_printf("mail.log.%d%s", number + 1, suffixes[i]);
			if (!box_has(driver, from))
				continue;
			if (number == KEEP)
				log_box_remove(&driver->box, from);
			else
				log_box_rename(&driver->box, from, to);
		}
	}
	return g_strdup("mail.log.1");
}

static void do_rename(struct driver *driver)
{
	g_autofree char *to = make_way(driver);

	log_box_rename(&driver->box, NULL, to);
	log_box_append(&driver->box, NULL, "");
}

static void do_copytruncate(struct driver *driver)
{
	g_autofree char *to = make_way(driver);

	log_box_copytruncate(&driver->box, to);
}

static void do_truncate(struct driver *driver)
{
	g_usleep(8000);
	forget_half(driver);
	log_box_truncate(&driver->box, 0);
}

static void do_remove(struct driver *driver)
{
	g_usleep(8000);
	forget_half(driver);
	log_box_remove(&driver->box, NULL);
	do_append(driver);
}

static void do_pack(struct driver *driver)
{
	g_autofree char *name =
	        driver->dated
	                ? g_strdup_printf("mail.log-2026%04u", driver->rotations)
	                : g_strdup_printf("mail.log.%d", g_rand_int_range(driver->rand, 1, 4));

	if (box_has(driver, name))
		log_box_pack(&driver->box, name, "gzip");
}

static void do_run(struct driver *driver)
{
	log_box_run(&driver->box, (unsigned)g_rand_int_range(driver->rand, 1, 50));
}

/* Some lines only, perhaps of several seconds, then the lot is committed. */
static void do_run_in_part(struct driver *driver)
{
	struct error err = {0};

	for (int i = g_rand_int_range(driver->rand, 1, 4); i > 0; i--)
		ck_assert_msg(follow_run(driver->box.follow, 5, &err) >= 0, "%s", err.text);
	log_box_commit(&driver->box);
}

static void do_commit(struct driver *driver)
{
	log_box_commit(&driver->box);
}

static void do_kill(struct driver *driver)
{
	log_box_kill(&driver->box);
	log_box_start(&driver->box, TRUE);
}

/* Down while a few other things happen. */
static void do_stop(struct driver *driver)
{
	static void (*const meanwhile[])(struct driver *) = {do_append, do_part, do_rename,
	        do_copytruncate, do_truncate, do_remove, do_pack, do_append, do_append, do_rename,
	        do_pack};

	log_box_kill(&driver->box);
	for (int i = g_rand_int_range(driver->rand, 1, 6); i > 0; i--)
		meanwhile[g_rand_int_range(driver->rand, 0, G_N_ELEMENTS(meanwhile))](driver);
	log_box_start(&driver->box, TRUE);
}

struct act {
	unsigned weight; /* 0 ends the table */
	void (*act)(struct driver *driver);
};

static const struct act acts[] = {{30, do_append}, {10, do_part}, {30, do_run},
        {10, do_run_in_part}, {20, do_commit}, {3, do_rename}, {3, do_copytruncate},
        {1, do_truncate}, {1, do_remove}, {2, do_pack}, {8, do_kill}, {5, do_stop}, {0, NULL}};

/* Down from the last commit on, which can be long ago, while what does not destroy happens. */
static void do_stop_harmless(struct driver *driver)
{
	static void (*const meanwhile[])(struct driver *) = {
	        do_append, do_part, do_rename, do_copytruncate, do_pack};

	log_box_kill(&driver->box);
	for (int i = g_rand_int_range(driver->rand, 1, 6); i > 0; i--)
		meanwhile[g_rand_int_range(driver->rand, 0, G_N_ELEMENTS(meanwhile))](driver);
	log_box_start(&driver->box, TRUE);
}

/* Nothing is lost by these, and commits are rare. */
static const struct act harmless[] = {{15, do_append}, {5, do_part}, {15, do_run},
        {10, do_run_in_part}, {4, do_commit}, {5, do_rename}, {2, do_copytruncate}, {3, do_pack},
        {8, do_kill}, {8, do_stop_harmless}, {0, NULL}};

static void driver_step(struct driver *driver, const struct act *table)
{
	int sum = 0, at;

	for (const struct act *act = table; act->weight > 0; act++)
		sum += (int)act->weight;
	at = g_rand_int_range(driver->rand, 0, sum);
	for (const struct act *act = table; act->weight > 0; act++) {
		at -= (int)act->weight;
		if (at < 0) {
			act->act(driver);
			return;
		}
	}
}

/* Text of all lines that are in the folder now. */
static GHashTable *lines_on_disk(const struct log_box *box)
{
	GHashTable *lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GDir) dir = g_dir_open(box->folder, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(box->folder, name, NULL);
		struct history *history = history_open(path, NULL);
		struct slice line;
		gint64 offset;
		while (history_line(history, &line, &offset, NULL) == 1)
			g_hash_table_add(lines, slice_dup(line));
		history_close(&history);
	}
	return lines;
}

static void driver_judge(struct driver *driver)
{
	g_autoptr(GHashTable) given = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) disk = lines_on_disk(&driver->box);
	GPtrArray *kept = driver->box.kept;
	GHashTableIter iter;
	gpointer line;
	unsigned lost = 0;

	for (guint i = 0; i < kept->len; i++) {
		g_hash_table_add(given, kept->pdata[i]);
		ck_assert_msg(g_hash_table_contains(driver->written, kept->pdata[i]),
		        "seed %u: never written: %s", driver->seed, (char *)kept->pdata[i]);
	}
	g_hash_table_iter_init(&iter, driver->written);
	while (g_hash_table_iter_next(&iter, &line, NULL)) {
		if (g_hash_table_contains(given, line))
			continue;
		ck_assert_msg(!g_hash_table_contains(disk, line), "seed %u: not given: %s",
		        driver->seed, (char *)line);
		lost++;
	}
	ck_assert_msg(lost == 0 || driver->box.gaps->len > 0,
	        "seed %u: %u lines lost without a gap", driver->seed, lost);
	if (g_getenv("PW_FOLLOW_SEEDS") != NULL)
		printf("seed %u: %u lines, %u rotations, %u lost, %u gaps\n", driver->seed,
		        driver->lines, driver->rotations, lost, driver->box.gaps->len);
}

static void judge_step(const struct driver *driver)
{
	const struct log_box *box = &driver->box;
	g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < box->kept->len; i++)
		ck_assert_msg(g_hash_table_add(kept, box->kept->pdata[i]), "seed %u: twice: %s",
		        driver->seed, (char *)box->kept->pdata[i]);
	for (guint i = 0; i < box->again->len; i++)
		ck_assert_msg(g_hash_table_contains(kept, box->again->pdata[i]),
		        "seed %u: given again but never committed: %s", driver->seed,
		        (char *)box->again->pdata[i]);
}

static void driver_open(struct driver *driver, guint32 seed)
{
	*driver = (struct driver){.seed = seed,
	        .rand = g_rand_new_with_seed(seed),
	        .second = 1000000,
	        .dated = seed % 2 != 0,
	        .written = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
	log_box_open(&driver->box);
}

static void driver_close(struct driver *driver)
{
	log_box_close(&driver->box);
	g_hash_table_destroy(driver->written);
	g_free(driver->half);
	g_free(driver->half_written);
	g_rand_free(driver->rand);
}

static void drive(guint32 seed, int steps)
{
	struct driver driver;

	driver_open(&driver, seed);
	log_box_append(&driver.box, NULL, "");
	log_box_start(&driver.box, TRUE);
	do_run(&driver);
	do_commit(&driver);
	for (int i = 0; i < steps; i++) {
		driver_step(&driver, acts);
		judge_step(&driver);
	}
	do_append(&driver);
	do_run(&driver);
	do_commit(&driver);
	driver_judge(&driver);
	driver_close(&driver);
}

/* The first position is committed before a line was read; of what was rotated before it the last
 * line can be younger than the log. */
static void drive_harmless(guint32 seed, int steps)
{
	struct driver driver;
	struct error err = {0};

	driver_open(&driver, seed);
	driver.dated = TRUE; /* none is thrown away */
	struct log_box *box = &driver.box;
	if (seed % 3 != 0)
		log_box_append(box, "mail.log-20250001", "1 from before\n");
	log_box_append(box, NULL, "");
	if (seed % 3 == 1)
		log_box_append(box, "mail.log-20250001", "2 from before, but late\n");
	if (seed % 4 == 0)
		do_append(&driver);
	log_box_start(box, TRUE);
	ck_assert_int_ge(follow_run(box->follow, 0, &err), 0);
	do_commit(&driver);
	for (int i = 0; i < steps; i++) {
		driver_step(&driver, harmless);
		judge_step(&driver);
	}
	do_append(&driver);
	do_run(&driver);
	do_commit(&driver);
	judge_step(&driver);
	driver_judge(&driver);
	ck_assert_msg(box->kept->len == driver.lines, "seed %u: %u lines counted of %u", seed,
	        box->kept->len, driver.lines);
	ck_assert_msg(box->gap_bytes == 0, "seed %u: a gap where nothing was lost", seed);
	for (guint i = 0; i < box->gaps->len; i++)
		ck_assert_msg(g_str_has_prefix(box->gaps->pdata[i], "0 "), "seed %u: gap: %s", seed,
		        (char *)box->gaps->pdata[i]);
	driver_close(&driver);
}

static void each_seed(unsigned last, int steps, void (*run)(guint32 seed, int steps))
{
	const char *seeds = g_getenv("PW_FOLLOW_SEEDS"), *length = g_getenv("PW_FOLLOW_STEPS");
	unsigned first = 1;

	if (seeds != NULL)
		ck_assert_int_eq(sscanf(seeds, "%u-%u", &first, &last), 2);
	for (unsigned seed = first; seed <= last; seed++)
		run(seed, length != NULL ? atoi(length) : steps);
}

START_TEST(whatever_happens_each_line_is_given_once_or_its_loss_is_told)
{
	each_seed(8, 300, drive);
}
END_TEST

START_TEST(where_nothing_is_destroyed_as_many_lines_are_counted_as_were_written)
{
	each_seed(40, 40, drive_harmless);
}
END_TEST

#define RACE_LINES 60000

/* Writes and rotates without waiting for anybody, as a syslog daemon with logrotate does. */
static gpointer race_writer(gpointer data)
{
	struct driver *driver = data;
	struct log_box *box = &driver->box;
	FILE *file = fopen(box->path, "a");

	for (unsigned i = 1; i <= RACE_LINES; i++) {
		fprintf(file, "%u line %u\n", 1000000 + i / 1000, i);
		if (g_rand_int_range(driver->rand, 0, 20) == 0)
			fflush(file);
		if (g_rand_int_range(driver->rand, 0, 50) == 0)
			g_usleep(50);
		if (i == RACE_LINES || g_rand_int_range(driver->rand, 0, RACE_LINES / 25) != 0)
			continue;
		driver->rotations++;
		g_autofree char *to = g_strdup_printf("mail.log-2026%04u", driver->rotations);
		fflush(file);
		if (g_rand_boolean(driver->rand)) {
			log_box_copytruncate(box, to);
		} else {
			/* It goes on in the old file until it is told to reopen. */
			log_box_rename(box, NULL, to);
			i++;
			fprintf(file, "%u line %u\n", 1000000 + i / 1000, i);
			fclose(file);
			file = fopen(box->path, "a");
		}
		if (g_rand_boolean(driver->rand))
			log_box_pack(box, to, "gzip");
	}
	fclose(file);
	return NULL;
}

START_TEST(a_log_that_is_rotated_while_it_is_read_is_read_whole)
{
	struct driver driver = {.rand = g_rand_new_with_seed(7)};
	struct log_box *box = &driver.box;
	gint64 stop = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	log_box_open(box);
	log_box_append(box, NULL, "");
	log_box_start(box, TRUE);
	follow_grace(box->follow, 20);
	GThread *writer = g_thread_new("writer", race_writer, &driver);
	while (box->given->len < RACE_LINES && g_get_monotonic_time() < stop) {
		struct error err = {0};
		ck_assert_msg(follow_run(box->follow, 100, &err) >= 0, "%s", err.text);
	}
	g_thread_join(writer);
	for (guint i = 0; i < box->given->len; i++)
		ck_assert_msg(g_hash_table_add(seen, box->given->pdata[i]), "twice: %s",
		        (char *)box->given->pdata[i]);
	ck_assert_uint_eq(box->given->len, RACE_LINES);
	ck_assert_int_eq(box->gap_bytes, 0);
	log_box_close(box);
	g_rand_free(driver.rand);
}
END_TEST

UNIT_MAIN("follow at random", whatever_happens_each_line_is_given_once_or_its_loss_is_told,
        where_nothing_is_destroyed_as_many_lines_are_counted_as_were_written,
        a_log_that_is_rotated_while_it_is_read_is_read_whole)
