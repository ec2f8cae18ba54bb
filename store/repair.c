#include <errno.h>
#include <stdio.h>

#include "store/aside.h"
#include "store/check-private.h"
#include "store/private.h"

struct repairing {
	struct store *store;
	void (*told)(void *ctx, const char *text);
	void *ctx;
	struct store_repaired *result;
	struct error *err;
};

static void tell(struct repairing *r, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void tell(struct repairing *r, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	if (r->told != NULL)
		r->told(r->ctx, text);
}

/* What the day needs; the first thing that was found in it goes to *what_r. */
static void note_first(void *ctx, const struct store_finding *finding)
{
	struct error *what = ctx;

	error_set(what, "%s: %s", finding->file, finding->what);
}

static enum check_need need_of(struct repairing *r, int64_t number, struct error *what)
{
	struct checking c = {.store = r->store, .found = note_first, .ctx = what};

	c.spans = g_array_new(FALSE, FALSE, sizeof(struct check_span));
	check_day(&c, number);
	g_array_unref(c.spans);
	return c.need;
}

static int repair_day(struct repairing *r, int64_t number)
{
	g_autofree char *path = store_day_path(r->store, number);
	struct error what = {0}, failed = {0};
	enum check_need need = need_of(r, number, &what);

	if (need == CHECK_TOLD)
		tell(r, "%s", what.text);
	if (need == CHECK_REBUILD && rebuild_day(r->store, number, &failed) == 0) {
		r->result->rebuilt++;
		tell(r, "%s: index and roll-up were made anew", path);
		return 0;
	}
	if (need < CHECK_REBUILD)
		return 0;
	/* A full disk is no damage. */
	if (failed.set && failed.number != SQL_DAMAGED) {
		*r->err = failed;
		return -1;
	}
	return aside_day(r->store, number, &what, r->err);
}

static int commit(
        void *ctx, struct store_batch *batch, struct store_commit_result *result, struct error *err)
{
	return store_commit(ctx, batch, 0, result, err);
}

static int salvage_aside(struct repairing *r, const struct store_aside *aside)
{
	g_autofree char *path = g_build_filename(r->store->dir, aside->name, NULL);
	g_autofree char *done = g_strconcat(path, ASIDE_DONE, NULL);
	g_autofree char *wal = g_strconcat(path, "-wal", NULL);
	g_autofree char *done_wal = g_strconcat(done, "-wal", NULL);
	uint64_t saved, lost;

	if (salvage_day(
	            r->store, aside->name, aside->day, commit, r->store, &saved, &lost, r->err) < 0)
		return -1;
	rename(wal, done_wal);
	if (rename(path, done) < 0)
		return error_errno(r->err, errno, "cannot rename %s", path);
	r->result->salvaged++;
	r->result->saved += saved;
	r->result->lost += lost;
	tell(r, "%s: %llu event(s) saved, %llu lost; the damaged file is kept as %s%s", path,
	        (unsigned long long)saved, (unsigned long long)lost, aside->name, ASIDE_DONE);
	return 0;
}

/* ---- the ledger ---- */

/* Tells of the sources whose counts cannot be right; how many, or -1. */
static int64_t tell_ledger(struct repairing *r)
{
	struct sql *sql = &r->store->control.writer;
	sqlite3_stmt *stmt = NULL;
	int64_t n = 0;
	int result;

	if (sql_prepare_one(sql,
	            "SELECT source, event, linked, ignored, known, unparsed, events FROM ledger "
	            "WHERE " CONTROL_LEDGER_WRONG,
	            &stmt, r->err) < 0)
		return -1;
	for (; (result = sql_step(sql, stmt, r->err)) == 1; n++) {
		g_autofree char *source = slice_dup(sql_column(stmt, 0));
		long long count[6];
		for (int i = 0; i < 6; i++)
			count[i] = sqlite3_column_int64(stmt, 1 + i);
		g_autofree char *text = g_strdup_printf(
		        "the line counts of %s did not add up and start anew; they were: event "
		        "%lld, linked %lld, ignored %lld, known %lld, unparsed %lld, new events "
		        "%lld",
		        source, count[0], count[1], count[2], count[3], count[4], count[5]);
		store_tell_loss(r->store, text);
	}
	sqlite3_finalize(stmt);
	return result < 0 ? -1 : n;
}

/* What was told stands in the gaps of the next commit. */
static int commit_news(struct repairing *r, int64_t ledgers)
{
	struct store_batch *batch = store_batch_new();
	struct store_commit_result result;

	if (ledgers > 0)
		store_batch_count(batch, "ledger_damaged", ledgers);
	int done = store_commit(r->store, batch, 0, &result, r->err);
	store_batch_free(&batch);
	return done;
}

/* Which of its counts is wrong nobody knows, so that none is kept. They go after what tells of it
 * is on the disk. */
static int repair_ledger(struct repairing *r)
{
	int64_t n = tell_ledger(r);

	if (n <= 0)
		return (int)n;
	return commit_news(r, n) < 0
	               ? -1
	               : sql_exec(&r->store->control.writer,
	                         "UPDATE ledger SET event = 0, linked = 0, ignored = 0, "
	                         "known = 0, unparsed = 0, events = 0 "
	                         "WHERE " CONTROL_LEDGER_WRONG,
	                         r->err);
}

static int repair_all(struct repairing *r)
{
	g_autoptr(GArray) days = store_list_days(r->store, r->err);
	g_autoptr(GArray) asides = NULL;

	if (days == NULL || repair_ledger(r) < 0)
		return -1;
	for (guint i = 0; i < days->len; i++)
		if (repair_day(r, g_array_index(days, gint64, i)) < 0)
			return -1;
	asides = store_asides(r->store, r->err);
	for (guint i = 0; asides != NULL && i < asides->len; i++) {
		const struct store_aside *aside = &g_array_index(asides, struct store_aside, i);
		if (!aside->saved && aside->day != STORE_NO_DAY && salvage_aside(r, aside) < 0)
			return -1;
	}
	if (asides == NULL)
		return -1;
	return r->store->news->len > 0 ? commit_news(r, 0) : 0;
}

int store_repair(const char *dir, void (*told)(void *ctx, const char *text), void *ctx,
        struct store_repaired *result, struct error *err)
{
	struct error cause = {0};
	struct repairing r = {.told = told, .ctx = ctx, .result = result, .err = &cause};
	const struct store_options options = {
	        .fast_import = true, .notice = told, .notice_ctx = ctx};
	int done = -1;

	*result = (struct store_repaired){0};
	if (store_open(&r.store, dir, STORE_WRITE, &options, &cause) == 0)
		done = repair_all(&r);
	store_close(&r.store);
	if (done < 0 && err != NULL && !err->set)
		*err = cause;
	return done;
}
