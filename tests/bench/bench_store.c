/* What the store costs: events a second against the same rows without an index, CPU, bytes, and
 *what searches take.
 *
 *	bench_store [EVENTS [DAYS [ROUNDS]]]
 *
 * Mails as a busy server has them: each is injected and delivered, one in ten delayed first, one in
 * twenty bounced; EVENTS (default 1000000) over DAYS (default 1), with 100,000 subjects a day. The
 * store is in a directory of its own under TMPDIR. Prints a table, and the same as JSON in the last
 * line. Nothing of it is cold: what is measured is the store, not the disk. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "event/json.h"
#include "store/batch.h"
#include "store/private.h"
#include "store/record.h"
#include "store/row.h"
#include "store/search.h"

#define START (INT64_C(19783) * CLOCK_DAY)
#define BATCH 1000
#define RATIO_EVENTS 200000 /* of one round of the comparison with rows alone */
#define QUERIES 200         /* of a kind */
#define SUBJECTS 100000     /* of a day */

static uint64_t all_events; /* of the simulated days */
static int all_days;
static GString *json;

static double seconds(void)
{
	return (double)g_get_monotonic_time() / 1e6;
}

static double cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Of this thread: what a search takes where nobody else wants the processor. */
static double thread_cpu(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A line of the table and a member of the JSON. */
static void row(const char *name, double value, const char *unit)
{
	printf("%-52s %10.2f %s\n", name, value, unit);
	fflush(stdout);
	g_string_append_printf(json, "%s{\"what\": \"%s\", \"value\": %.5g, \"unit\": \"%s\"}",
	        json->len > 1 ? ", " : "", name, value, unit);
}

static void set(struct event *event, enum field field, char *buffer, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
static void set(struct event *event, enum field field, char *buffer, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(buffer, 128, format, ap);
	va_end(ap);
	event->field[field] = slice_make(buffer, (size_t)n);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static int64_t time_of(uint64_t n)
{
	return START + (int64_t)((double)n / (double)all_events * all_days * (double)CLOCK_DAY);
}

static void fill_message(struct event *event, uint64_t n, char text[][128])
{
	uint64_t r = mix(n);

	set(event, FIELD_MESSAGE_ID, text[0], "0000%016lx", (unsigned long)r);
	set(event, FIELD_TRANSMISSION_ID, text[1], "%lu", (unsigned long)(r >> 1));
	set(event, FIELD_CUSTOMER_ID, text[2], "1");
	set(event, FIELD_SUBACCOUNT_ID, text[3], "0");
	set(event, FIELD_FRIENDLY_FROM, text[4], "news@shop%d.example", (int)(r % 200));
	set(event, FIELD_MSG_FROM, text[5], "bounce@shop%d.example", (int)(r % 200));
	set(event, FIELD_SUBJECT, text[6], "Offer number %d of the week",
	        (int)(r % SUBJECTS + time_of(2 * n) / CLOCK_DAY % 10 * SUBJECTS));
	set(event, FIELD_MSG_SIZE, text[7], "%d", 2000 + (int)(r % 50000));
	set(event, FIELD_CAMPAIGN_ID, text[8], "campaign %d", (int)(r % 300));
	set(event, FIELD_NODE_NAME, text[9], "mx1");
	set(event, FIELD_INSTANCE, text[10], "postfix");
	set(event, FIELD_QUEUE_ID, text[11], "4N%010lX", (unsigned long)n);
	set(event, FIELD_HEADER_MESSAGE_ID, text[12], "<%lu.%lu@shop%d.example>",
	        (unsigned long)(START / 1000 + (int64_t)n), (unsigned long)(r >> 40),
	        (int)(r % 200));
	set(event, FIELD_RECV_METHOD, text[13], "esmtp");
	set(event, FIELD_RCPT_TO, text[14], "customer%lu@domain%d.example",
	        (unsigned long)(mix(n + 7) % 300000), (int)(r % 3000));
	set(event, FIELD_RAW_RCPT_TO, text[15], "%s", text[14]);
	set(event, FIELD_RECIPIENT_DOMAIN, text[16], "%s", strchr(text[14], '@') + 1);
}

static void fill_attempt(struct event *event, uint64_t n, char text[][128])
{
	uint64_t r = mix(n);

	set(event, FIELD_DELV_METHOD, text[17], "esmtp");
	set(event, FIELD_IP_ADDRESS, text[18], "192.0.%d.%d", (int)(r % 10), (int)(r % 250));
	set(event, FIELD_MX_HOST, text[19], "mx.domain%d.example", (int)(r % 3000));
	set(event, FIELD_QUEUE_TIME, text[20], "%d", (int)(r % 90000));
	set(event, FIELD_NUM_RETRIES, text[21], "0");
	set(event, FIELD_SERVICE, text[22], "smtp");
	set(event, FIELD_ROUTING_DOMAIN, text[23], "%s", text[16]);
	if (event->type == EVENT_DELIVERY) {
		set(event, FIELD_DSN, text[24], "2.0.0");
		set(event, FIELD_RAW_REASON, text[25], "250 2.0.0 Ok: queued as %08X", (unsigned)r);
		return;
	}
	set(event, FIELD_DSN, text[24], "5.7.%d", (int)(r % 9));
	set(event, FIELD_BOUNCE_CLASS, text[26], "%d", (int)(r % 10) * 10);
	set(event, FIELD_ERROR_CODE, text[27], "554");
	set(event, FIELD_RAW_REASON, text[25], "554 5.7.%d refused by black list %d", (int)(r % 9),
	        (int)(r % 700));
	set(event, FIELD_REASON, text[28], "554 5.7.%d refused by black list", (int)(r % 9));
}

/* The n-th event of the simulated server. Its attempt comes some thousand events behind its
 * injection. The texts are valid until the next call. */
static struct event make_event(uint64_t n)
{
	static char text[32][128];
	struct event event = {.time = time_of(n), .id = (mix(n) >> 1) + 1};
	uint64_t message = n / 2, r = mix(message);

	if (n % 2 == 1)
		message = message > 2000 ? message - r % 2000 : message;
	event.injected = time_of(2 * message);
	event.type = EVENT_INJECTION;
	if (n % 2 == 1)
		event.type = r % 20 == 0   ? EVENT_BOUNCE
		             : r % 10 == 1 ? EVENT_DELAY
		                           : EVENT_DELIVERY;
	fill_message(&event, message, text);
	if (event.type != EVENT_INJECTION)
		fill_attempt(&event, message, text);
	return event;
}

static void fail(const struct error *err)
{
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

static struct store *open_or_fail(const char *dir, enum store_mode mode, bool fast)
{
	struct store_options options = {.fast_import = fast};
	struct store *store = NULL;
	struct error err = {0};

	if (store_open(&store, dir, mode, &options, &err) < 0)
		fail(&err);
	return store;
}

static uint64_t bytes_of(const char *dir, bool remove)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;
	struct stat st;
	uint64_t bytes = 0;

	while (list != NULL && (name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		if (stat(path, &st) == 0)
			bytes += (uint64_t)st.st_size;
		if (remove)
			g_unlink(path);
	}
	if (list != NULL)
		g_dir_close(list);
	return bytes;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(GArray *values, double p)
{
	g_array_sort(values, compare);
	return g_array_index(values, double, (guint)((double)(values->len - 1) * p));
}

/* --- rows alone against all --- */

struct cost {
	double wall, cpu;
};

static void fill_batch(struct store_batch *batch, uint64_t from, uint64_t n)
{
	store_batch_reset(batch);
	for (uint64_t i = from; i < from + n; i++) {
		struct event event = make_event(i);
		store_batch_event(batch, &event);
		store_batch_line(batch, SLICE("bench"), LEDGER_EVENT);
	}
}

/* What the store would do if it were a table of rows: no index, no known events, no roll-up. */
static int put_rows(struct day_writer *writer, const GByteArray *records, uint64_t from, uint64_t n)
{
	g_autoptr(GByteArray) body = g_byte_array_new();
	sqlite3_stmt *event_add = writer->sql.stmt[DAY_EVENT_ADD];
	sqlite3_stmt *message_add = writer->sql.stmt[DAY_MESSAGE_ADD];
	struct row_texts texts;
	struct event event;
	size_t at = 0;

	if (sql_begin(&writer->sql, NULL) < 0)
		return -1;
	for (uint64_t i = from; i < from + n; i++) {
		at = record_get(records, at, &event);
		uint64_t hash = row_message_hash(&event, writer);
		int64_t id = cache_get(&writer->message, hash);
		g_byte_array_set_size(body, 0);
		if (id == 0) {
			row_pack_message(body, writer, &event, NULL);
			sql_bind_slice(message_add, 1, slice_make((char *)body->data, body->len));
			if (sql_run(&writer->sql, message_add, NULL) < 0)
				return -1;
			id = sqlite3_last_insert_rowid(writer->sql.db);
			cache_put(&writer->message, hash, id);
			g_byte_array_set_size(body, 0);
		}
		row_pack_event(body, writer, &event, &texts, NULL);
		sqlite3_bind_int64(event_add, 1, (int64_t)i);
		sqlite3_bind_int64(event_add, 2, (int64_t)i);
		sqlite3_bind_int64(event_add, 3, id);
		sql_bind_slice(event_add, 4, slice_make((char *)body->data, body->len));
		if (sql_run(&writer->sql, event_add, NULL) < 0)
			return -1;
	}
	return dict_flush(writer, NULL) < 0 ? -1 : sql_commit(&writer->sql, NULL);
}

/* What was spent since `start`, but for `made`. */
static struct cost spent(struct cost start, struct cost made)
{
	return (struct cost){seconds() - start.wall - made.wall, cpu() - start.cpu - made.cpu};
}

static void add_cost(struct cost *sum, double wall, double used)
{
	sum->wall += seconds() - wall;
	sum->cpu += thread_cpu() - used;
}

static struct cost write_rows(const char *dir)
{
	struct cost start = {seconds(), cpu()}, made = {0, 0};
	struct store *store = open_or_fail(dir, STORE_WRITE, false);
	struct day_writer *writer = day_writer_get(store, START / CLOCK_DAY, NULL);
	g_autoptr(GByteArray) records = g_byte_array_new();

	for (uint64_t n = 0; n < RATIO_EVENTS; n += BATCH) {
		double wall = seconds(), used = thread_cpu();
		g_byte_array_set_size(records, 0);
		for (uint64_t i = n; i < n + BATCH; i++) {
			struct event event = make_event(i);
			record_put(records, &event);
		}
		add_cost(&made, wall, used);
		if (put_rows(writer, records, n, BATCH) < 0)
			exit(EXIT_FAILURE);
	}
	store_close(&store);
	return spent(start, made);
}

/* Commits events; adds what each commit took, in seconds. Returns what it cost to make the events.
 */
static struct cost write_events(struct store *store, uint64_t from, uint64_t to, GArray *commits)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct error err = {0};
	struct cost made = {0, 0};

	for (uint64_t n = from; n < to; n += BATCH) {
		double wall = seconds(), used = thread_cpu();
		fill_batch(batch, n, MIN(BATCH, to - n));
		add_cost(&made, wall, used);
		double start = seconds();
		if (store_commit(store, batch, 0, &result, &err) < 0)
			fail(&err);
		double took = seconds() - start;
		g_array_append_val(commits, took);
	}
	store_batch_free(&batch);
	return made;
}

/* With all that the store's own threads have to do with them. */
static struct cost write_all(const char *dir)
{
	g_autoptr(GArray) commits = g_array_new(FALSE, FALSE, sizeof(double));
	struct cost start = {seconds(), cpu()};
	struct store *store = open_or_fail(dir, STORE_WRITE, false);
	struct cost made = write_events(store, 0, RATIO_EVENTS, commits);

	store_close(&store);
	return spent(start, made);
}

static void compare_with_rows(const char *dir, int rounds)
{
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GArray) walls = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(double));

	for (int i = 0; i < rounds; i++) {
		struct cost a = write_rows(dir);
		bytes_of(dir, true);
		struct cost b = write_all(dir);
		bytes_of(dir, true);
		double wall = a.wall / b.wall, used = a.cpu / b.cpu;
		g_array_append_val(rows, a.cpu);
		g_array_append_val(all, b.cpu);
		g_array_append_val(walls, wall);
		g_array_append_val(cpus, used);
	}
	row("rows alone, CPU an event", percentile(rows, 0.5) * 1e6 / RATIO_EVENTS, "us");
	row("store, CPU an event", percentile(all, 0.5) * 1e6 / RATIO_EVENTS, "us");
	row("events a second, of rows alone", percentile(walls, 0.5), "of it");
	row("rows alone of the store, CPU", percentile(cpus, 0.5), "of it");
}

/* --- the store of the searches --- */

/* Has all days merged and closed, as their end does. */
static void finish_days(const char *dir)
{
	struct store *store = open_or_fail(dir, STORE_WRITE, true);

	store_close(&store);
}

/* A day: the oldest is dropped before it where it is one too many. Returns its longest commit near
 * the roll, in seconds. */
static double write_day(struct store *store, int day, double part, GArray *commits)
{
	uint64_t events = all_events / (uint64_t)all_days, from = events * (uint64_t)day;
	guint before = commits->len;
	double start = seconds();

	if (store_prune(store, all_days, START + day * CLOCK_DAY, NULL) < 0)
		exit(EXIT_FAILURE);
	double longest = seconds() - start;
	write_events(store, from, from + (uint64_t)((double)events * part), commits);
	for (guint i = before; i < MIN(before + 500, commits->len); i++)
		longest = MAX(longest, g_array_index(commits, double, i));
	return longest;
}

/* One day more than is kept, and the beginning of another one. */
static void fill_store(const char *dir)
{
	g_autoptr(GArray) commits = g_array_new(FALSE, FALSE, sizeof(double));
	struct store *store = open_or_fail(dir, STORE_WRITE, false);
	double events = (double)all_events / all_days, kept = (double)all_events + events / 10;
	double stall = 0, wall = 0;

	for (int day = 0; day <= all_days + 1; day++) {
		double longest = write_day(store, day, day <= all_days ? 1 : 0.1, commits);
		stall = day > 0 ? MAX(stall, longest) : 0;
	}
	for (guint i = 0; i < commits->len; i++)
		wall += g_array_index(commits, double, i);
	row("events a second", commits->len * BATCH / wall, "events/s");
	row("longest stall at a roll", stall * 1e3, "ms");
	row("commit of 1000 p50", percentile(commits, 0.5) * 1e3, "ms");
	row("commit of 1000 p99", percentile(commits, 0.99) * 1e3, "ms");
	row("commit of 1000 longest", percentile(commits, 1) * 1e3, "ms");
	store_close(&store);
	row("bytes an event, days open", (double)bytes_of(dir, false) / kept, "bytes");
	finish_days(dir);
	row("bytes an event", (double)bytes_of(dir, false) / kept, "bytes");
}

/* CPU of a day with all that belongs to it: the oldest one dropped, the events, their end. */
static double day_cpu(const char *dir, int day)
{
	g_autoptr(GArray) commits = g_array_new(FALSE, FALSE, sizeof(double));
	struct cost start = {seconds(), cpu()};
	struct store *store = open_or_fail(dir, STORE_WRITE, false);
	uint64_t events = all_events / (uint64_t)all_days, from = events * (uint64_t)day;

	if (store_prune(store, all_days, START + day * CLOCK_DAY, NULL) < 0)
		exit(EXIT_FAILURE);
	struct cost made = write_events(store, from, from + events, commits);
	store_close(&store);
	finish_days(dir);
	return spent(start, made).cpu;
}

/* A day in an empty store and one more in the full one, in turns: each varies by a tenth on a
 * virtual machine. */
static void compare_days(const char *dir)
{
	g_autofree char *fresh = g_dir_make_tmp("postwake-bench-XXXXXX", NULL);
	g_autoptr(GArray) first = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GArray) last = g_array_new(FALSE, FALSE, sizeof(double));
	double events = (double)all_events / all_days;

	for (int i = 0; i < 3; i++) {
		double a = day_cpu(fresh, 0), b = day_cpu(dir, all_days + 2 + i);
		bytes_of(fresh, true);
		g_array_append_val(first, a);
		g_array_append_val(last, b);
	}
	g_rmdir(fresh);
	row("CPU an event", percentile(last, 0.5) * 1e6 / events, "us");
	row("CPU of one more day against the first", percentile(last, 0.5) / percentile(first, 0.5),
	        "of it");
}

/* --- searches --- */

struct answer {
	GString *json;
	uint64_t found;
};

static void take(void *ctx, const struct event *event)
{
	struct answer *answer = ctx;

	json_event(answer->json, event, API_V1);
	answer->found++;
}

/* The i-th question of a kind: sets filters; `text` is room for a value. */
struct kind {
	const char *name;
	void (*ask)(struct search *search, uint64_t i, char text[128], const char **list);
	int queries;
};

static void ask_for(
        struct search *search, enum search_key key, const char **list, const char *value)
{
	list[0] = value;
	search->values[key] = list;
}

/* A message that is in the store whatever was dropped. */
static uint64_t some_message(uint64_t i)
{
	uint64_t a_day = all_events / (uint64_t)all_days / 2;

	return a_day + mix(i) % (a_day * (uint64_t)all_days);
}

static void ask_recipient(struct search *search, uint64_t i, char text[128], const char **list)
{
	uint64_t n = some_message(i);

	g_snprintf(text, 128, "customer%lu@domain%d.example", (unsigned long)(mix(n + 7) % 300000),
	        (int)(mix(n) % 3000));
	ask_for(search, SEARCH_RECIPIENT, list, text);
}

static void ask_message(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "0000%016lx", (unsigned long)mix(some_message(i)));
	ask_for(search, SEARCH_MESSAGE, list, text);
}

static void ask_domain(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "domain%d.example", (int)(mix(i) % 3000));
	ask_for(search, SEARCH_RECIPIENT_DOMAIN, list, text);
}

static void ask_campaign(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "campaign %d", (int)(mix(i) % 300));
	ask_for(search, SEARCH_CAMPAIGN, list, text);
}

static void ask_delay(struct search *search, uint64_t i, char text[128], const char **list)
{
	(void)i;
	(void)text;
	ask_for(search, SEARCH_EVENT, list, "delay");
}

static void ask_campaign_delivery(
        struct search *search, uint64_t i, char text[128], const char **list)
{
	ask_campaign(search, i, text, list);
	ask_for(search, SEARCH_EVENT, list + 2, "delivery");
}

static void ask_from_bounce(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "news@shop%d.example", (int)(mix(i) % 200));
	ask_for(search, SEARCH_FRIENDLY_FROM, list, text);
	ask_for(search, SEARCH_EVENT, list + 2, "bounce");
}

static void ask_broad_and(struct search *search, uint64_t i, char text[128], const char **list)
{
	(void)i;
	(void)text;
	ask_for(search, SEARCH_SUBACCOUNT, list, "0");
	ask_for(search, SEARCH_EVENT, list + 2, "delivery");
}

static void ask_type(struct search *search, uint64_t i, char text[128], const char **list)
{
	(void)i;
	(void)text;
	ask_for(search, SEARCH_EVENT, list, "delivery");
}

static void ask_reason(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "%%black list %d%%", (int)(mix(i) % 70));
	list[0] = text;
	search->reasons = list;
}

static void ask_subject(struct search *search, uint64_t i, char text[128], const char **list)
{
	g_snprintf(text, 128, "%%number %d%%", (int)(mix(i) % 90) + 10);
	list[0] = text;
	search->subjects = list;
}

static void ask_hour(struct search *search, uint64_t i, char text[128], const char **list)
{
	(void)text;
	(void)list;
	search->from =
	        START + CLOCK_DAY + (int64_t)(mix(i) % (uint64_t)(all_days * 24)) * CLOCK_HOUR;
	search->to = search->from + CLOCK_HOUR;
}

static const struct kind kinds[] = {
        {"one recipient", ask_recipient, QUERIES},
        {"message id", ask_message, QUERIES},
        {"recipient domain", ask_domain, QUERIES},
        {"campaign", ask_campaign, QUERIES},
        {"delays", ask_delay, 20},
        {"campaign and deliveries", ask_campaign_delivery, QUERIES},
        {"sender and bounces", ask_from_bounce, QUERIES},
        {"subaccount and deliveries", ask_broad_and, 20},
        {"deliveries", ask_type, 20},
        {"reason substring", ask_reason, 50},
        {"subject substring", ask_subject, 50},
        {"one hour", ask_hour, 50},
};

static void time_kind(struct store *store, const struct kind *kind)
{
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(double));
	g_autofree char *p50 = g_strdup_printf("%s p50", kind->name);
	g_autofree char *p99 = g_strdup_printf("%s p99", kind->name);
	g_autofree char *busy = g_strdup_printf("%s p99, CPU alone", kind->name);
	g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(double));
	g_autofree char *hits = g_strdup_printf("%s hits", kind->name);
	g_autofree char *a_hit = g_strdup_printf("%s p99, a hit", kind->name);
	struct answer answer = {.json = g_string_new(NULL)};
	uint64_t total = 0, all = 0;

	for (int i = 0; i < kind->queries; i++) {
		struct search search = {.from = 0, .to = INT64_MAX, .limit = 1000};
		const char *list[4] = {NULL};
		struct error err = {0};
		char text[128];
		kind->ask(&search, (uint64_t)i, text, list);
		g_string_truncate(answer.json, 0);
		double start = seconds(), used = thread_cpu();
		if (store_search(store, &search, take, &answer, &total, &err) < 0)
			fail(&err);
		double took = (seconds() - start) * 1e3;
		used = (thread_cpu() - used) * 1e3;
		g_array_append_val(times, took);
		g_array_append_val(cpus, used);
		all += total;
	}
	g_string_free(answer.json, TRUE);
	row(p50, percentile(times, 0.5), "ms");
	row(p99, percentile(times, 0.99), "ms");
	row(busy, percentile(cpus, 0.99), "ms");
	row(hits, (double)all / kind->queries, "on average");
	if (all / (uint64_t)kind->queries > 500000)
		row(a_hit, percentile(times, 0.99) * 1e6 * kind->queries / (double)all, "ns");
}

/* kB of the process that no file backs. */
static double private_memory(void)
{
	g_autofree char *status = NULL;

	if (!g_file_get_contents("/proc/self/status", &status, NULL, NULL))
		return 0;
	const char *line = strstr(status, "RssAnon:");
	return line != NULL ? g_ascii_strtod(line + strlen("RssAnon:"), NULL) : 0;
}

static void time_searches(const char *dir)
{
	struct search search = {.from = 0, .to = INT64_MAX, .limit = 1};
	struct answer answer = {.json = g_string_new(NULL)};
	double start = seconds();
	struct store *store = open_or_fail(dir, STORE_WRITE, false);

	if (store_search(store, &search, take, &answer, NULL, NULL) < 0)
		exit(EXIT_FAILURE);
	row("start-up to the first answer", (seconds() - start) * 1e3, "ms");
	g_string_free(answer.json, TRUE);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		time_kind(store, &kinds[i]);
	row("private memory after the searches", private_memory() / 1024, "MB");
	store_close(&store);
}

int main(int argc, char **argv)
{
	g_autofree char *dir = g_dir_make_tmp("postwake-bench-XXXXXX", NULL);
	int rounds = argc > 3 ? atoi(argv[3]) : 3;

	all_events = argc > 1 ? g_ascii_strtoull(argv[1], NULL, 10) : 1000000;
	all_days = argc > 2 ? MAX(atoi(argv[2]), 1) : 1;
	if (dir == NULL || all_events < RATIO_EVENTS) {
		fprintf(stderr, "a directory for temporary files and %d events are needed\n",
		        RATIO_EVENTS);
		return EXIT_FAILURE;
	}
	json = g_string_new("[");
	row("events", (double)all_events, "");
	row("days", all_days, "");
	compare_with_rows(dir, MAX(rounds, 1));
	fill_store(dir);
	time_searches(dir);
	compare_days(dir);
	bytes_of(dir, true);
	g_rmdir(dir);
	printf("%s]\n", json->str);
	g_string_free(json, TRUE);
	return EXIT_SUCCESS;
}
