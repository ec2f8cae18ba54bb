/* What the store costs: events a second, CPU and bytes an event, and what searches take.
 *
 *	bench_store [EVENTS [BATCH [fast]]]
 *
 * Mails as a busy server has them: each is injected and delivered, one in ten delayed first, one in
 * twenty bounced; the store is in a directory of its own under TMPDIR. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/batch.h"
#include "store/search.h"

#define START (INT64_C(19783) * CLOCK_DAY)
#define RATE 1000 /* events a second of the simulated clock */

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

static void fill_message(struct event *event, uint64_t n, char text[][128])
{
	uint64_t r = mix(n);

	set(event, FIELD_MESSAGE_ID, text[0], "0000%016lx", (unsigned long)r);
	set(event, FIELD_TRANSMISSION_ID, text[1], "%lu", (unsigned long)(r >> 1));
	set(event, FIELD_CUSTOMER_ID, text[2], "1");
	set(event, FIELD_SUBACCOUNT_ID, text[3], "0");
	set(event, FIELD_FRIENDLY_FROM, text[4], "news@shop%d.example", (int)(r % 200));
	set(event, FIELD_MSG_FROM, text[5], "bounce@shop%d.example", (int)(r % 200));
	set(event, FIELD_SUBJECT, text[6], "Offer number %d of the week", (int)(r % 5000));
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

/* The n-th event of the simulated server. */
static void add_event(struct store_batch *batch, uint64_t n)
{
	static char text[32][128];
	struct event event = {.time = START + (int64_t)(n * 1000 / RATE), .id = (mix(n) >> 1) + 1};
	uint64_t message = n / 2, r = mix(message);

	/* Its attempt comes some thousand events behind its injection. */
	if (n % 2 == 1)
		message = message > 2000 ? message - r % 2000 : message;
	event.injected = START + (int64_t)(message * 2 * 1000 / RATE);
	event.type = EVENT_INJECTION;
	if (n % 2 == 1)
		event.type = r % 20 == 0   ? EVENT_BOUNCE
		             : r % 10 == 1 ? EVENT_DELAY
		                           : EVENT_DELIVERY;
	fill_message(&event, message, text);
	if (event.type != EVENT_INJECTION)
		fill_attempt(&event, message, text);
	store_batch_event(batch, &event);
	store_batch_line(batch, SLICE("bench"), LEDGER_EVENT);
}

static void ignore(void *ctx, const struct event *event)
{
	(void)event;
	++*(uint64_t *)ctx;
}

static void time_search(struct store *store, const char *name, struct search *search)
{
	uint64_t total = 0, found = 0;
	struct error err = {0};
	double best = 1e9;

	for (int i = 0; i < 5; i++) {
		double start = seconds();
		found = 0;
		if (store_search(store, search, ignore, &found, &total, &err) < 0)
			printf("%s: %s\n", name, err.text);
		best = MIN(best, seconds() - start);
	}
	printf("  %-38s %8.2f ms  %5d of %d\n", name, best * 1e3, (int)found, (int)total);
}

static void time_searches(struct store *store)
{
	g_autofree char *recipient = g_strdup_printf("customer%lu@domain%d.example",
	        (unsigned long)(mix(5 + 7) % 300000), (int)(mix(5) % 3000));
	const char *const recipients[] = {recipient, NULL};
	const char *const domains[] = {"domain77.example", NULL};
	const char *const deliveries[] = {"delivery", NULL}, *const bounces[] = {"bounce", NULL};
	const char *const froms[] = {"news@shop5.example", NULL};
	const char *const reasons[] = {"%black list 55%", NULL};
	const char *const subjects[] = {"%number 77%", NULL};
	struct search all = {.from = 0, .to = INT64_MAX, .limit = 1000}, search;

	time_search(store, "everything", &all);
	search = all;
	search.values[SEARCH_RECIPIENT] = recipients;
	time_search(store, "recipient", &search);
	search = all;
	search.values[SEARCH_RECIPIENT_DOMAIN] = domains;
	time_search(store, "recipient domain", &search);
	search = all;
	search.values[SEARCH_EVENT] = deliveries;
	time_search(store, "deliveries", &search);
	search = all;
	search.values[SEARCH_EVENT] = bounces;
	search.values[SEARCH_FRIENDLY_FROM] = froms;
	time_search(store, "bounces of a sender", &search);
	search = all;
	search.reasons = reasons;
	time_search(store, "reason", &search);
	search = all;
	search.subjects = subjects;
	time_search(store, "subject", &search);
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

static int insert(struct store *store, uint64_t events, uint64_t batch_size)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;
	struct error err = {0};
	g_autoptr(GArray) commits = g_array_new(FALSE, FALSE, sizeof(double));
	double wall = 0, processor = 0, start, used;

	for (uint64_t n = 0; n < events; n += batch_size) {
		store_batch_reset(batch);
		/* The making of the events is not what is measured, their way into a batch is
		 * small beside it. */
		for (uint64_t i = n; i < MIN(events, n + batch_size); i++)
			add_event(batch, i);
		start = seconds();
		used = cpu();
		if (store_commit(store, batch, 0, &result, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			return -1;
		}
		double took = seconds() - start;
		wall += took;
		processor += cpu() - used;
		g_array_append_val(commits, took);
	}
	g_array_sort(commits, compare);
	printf("%.0f events/s, %.1f us CPU/event; commit p50 %.1f p99 %.1f max %.1f ms\n",
	        (double)events / wall, processor * 1e6 / (double)events,
	        g_array_index(commits, double, commits->len / 2) * 1e3,
	        g_array_index(commits, double, commits->len * 99 / 100) * 1e3,
	        g_array_index(commits, double, commits->len - 1) * 1e3);
	store_batch_free(&batch);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;
	uint64_t batch = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	struct store_options options = {.fast_import = argc > 3};
	g_autofree char *dir = g_dir_make_tmp("postwake-bench-XXXXXX", NULL);
	struct store *store = NULL;
	struct error err = {0};

	if (dir == NULL || store_open(&store, dir, STORE_WRITE, &options, &err) < 0 ||
	        insert(store, events, MAX(batch, 1)) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_FAILURE;
	}
	time_searches(store);
	store_close(&store);
	printf("%.1f bytes/event\n", (double)bytes_of(dir, false) / (double)events);
	/* Again, to have the ended day merged. */
	options.fast_import = true;
	if (store_open(&store, dir, STORE_WRITE, &options, &err) == 0) {
		store_close(&store);
		printf("%.1f bytes/event, merged\n", (double)bytes_of(dir, false) / (double)events);
		if (store_open(&store, dir, STORE_READ, NULL, &err) == 0)
			time_searches(store);
		store_close(&store);
	}
	bytes_of(dir, true);
	g_rmdir(dir);
	return EXIT_SUCCESS;
}
