/* Cutting and sending. */
#include "base/clock.h"
#include "upload/uploader-private.h"

#define PARK_FAILURES 5 /* the pause after a refused batch is that of so many failures */
#define STORE_AGAIN (10 * CLOCK_SECOND)

/* Later than when it is cut: else what was cut anew could be too old again before its first try,
 * and be cut anew for ever. */
static bool is_too_old(const struct uploader *u, const struct outbox_batch *batch, int64_t now)
{
	int64_t age = cut_max_age(u->config.rules.kind);

	return age > 0 && batch->oldest <= now - age - CUT_GRACE;
}

/* ---- one request ---- */

static void taken(struct uploader *u, struct outbox_batch *batch, char *id)
{
	/* Of this try: the ones before, and their ids, are forgotten, and may be days old. */
	batch->sent = clock_now();
	batch->state = OUTBOX_SENT;
	batch->next = batch->sent + u->config.poll;
	g_free(batch->remote);
	batch->remote = id;
	uploader_say(&batch->answer, "%s", "");
	u->failures = u->parks = 0;
	uploader_trouble(u, NULL);
}

static void again(struct uploader *u, struct outbox_batch *batch, int64_t retry_after)
{
	batch->next = clock_now() + policy_wait(++u->failures, uploader_jitter(), retry_after);
	uploader_trouble(u, batch->answer);
}

/* A fault of the destination more often than one of the batch: the next one takes its time. */
static void park(struct uploader *u, struct outbox_batch *batch)
{
	g_autofree char *text = g_strdup_printf(
	        "batch %s was refused: %s (postwake upload retry)", batch->id, batch->answer);

	batch->state = OUTBOX_PARKED;
	u->hold = clock_now() + policy_wait(PARK_FAILURES + u->parks++, uploader_jitter(), 0);
	uploader_trouble(u, text);
}

static void answered(struct uploader *u, struct outbox_batch *batch, bool doubt,
        const struct upload_reply *reply)
{
	struct slice body = slice_make(reply->body->str, reply->body->len);
	g_autofree char *id = answer_batch_id(body);
	enum policy_outcome outcome = policy_of_status(reply->status, id != NULL);

	g_free(batch->answer);
	batch->answer = answer_text(reply->status, body);
	switch (outcome) {
	case POLICY_TAKEN:
		taken(u, batch, g_steal_pointer(&id));
		break;
	case POLICY_PARK:
		batch->doubt = doubt;
		park(u, batch);
		break;
	case POLICY_REFUSED:
		batch->doubt = doubt;
		again(u, batch, reply->retry_after);
		break;
	case POLICY_AMBIGUOUS:
		again(u, batch, reply->retry_after);
		break;
	}
}

/* Sends what is on the disk, where it also stands that it may be under way. `doubt`: as it was
 * before. */
static void post(
        struct uploader *u, struct outbox_batch *batch, bool doubt, const GByteArray *bytes)
{
	struct uploader_changes changes = {.batch = batch};
	struct upload_reply reply;
	struct error err = {0};

	upload_reply_init(&reply);
	if (upload_http_post(u->http, u->post_url, u->key,
	            slice_make((const char *)bytes->data, bytes->len), &reply, &err) == 0) {
		answered(u, batch, doubt, &reply);
	} else {
		batch->doubt = doubt || reply.sent;
		batch->tries -= !reply.sent;
		uploader_say(&batch->answer, "%s", err.text);
		again(u, batch, 0);
	}
	upload_reply_clear(&reply);
	if (!uploader_stopping(u))
		uploader_commit(u, &changes);
}

static void mark_sending(struct outbox_batch *batch)
{
	int64_t now = clock_now();

	batch->doubt = true;
	batch->tries++;
	if (batch->sent == 0)
		batch->sent = now;
}

/* ---- cutting ---- */

struct refusals {
	struct uploader *u;
	const struct outbox_batch *batch;
	GArray *failures; /* of struct outbox_failure with copied texts */
	int64_t now;
};

static void refused(void *ctx, struct slice line, const char *cause)
{
	struct refusals *r = ctx;

	uploader_failed(
	        r->failures, r->u, r->batch, r->now, line, g_strconcat("not sent: ", cause, NULL));
}

/* Cuts into `batch`, whose bytes are on the disk then. */
static int cut_into(struct uploader *u, struct outbox_batch *batch, uint64_t since, uint64_t until,
        cut_refused *hook, void *ctx, struct cut *cut, struct error *err)
{
	if (cut_batch(u->store, &u->config.rules, since, until, clock_now(), hook, ctx, cut, err) <
	        0)
		return -1;
	batch->since = since;
	batch->until = cut->until;
	batch->events = cut->events;
	batch->oldest = cut->oldest;
	return cut->bytes == NULL
	               ? 0
	               : store_outbox_write(u->store, batch,
	                         slice_make((const char *)cut->bytes->data, cut->bytes->len), err);
}

static uint64_t open_bytes(const struct uploader *u)
{
	uint64_t sum = 0;

	for (guint i = 0; i < u->open->len; i++)
		sum += ((const struct outbox_batch *)u->open->pdata[i])->bytes;
	return sum;
}

/* Whether there may be another batch now. */
static bool may_cut(struct uploader *u, int64_t now)
{
	uint64_t waiting = store_mark(u->store) - u->row->arrival;

	if (waiting == 0 || (waiting < CUT_EVENTS && now < u->cut + u->config.interval))
		return false;
	if (open_bytes(u) + CUT_BYTES <= (uint64_t)u->config.outbox_max)
		return true;
	uploader_trouble(u, "the outbox is full: batches wait for their verdicts, or are parked "
	                    "(outbox_max; postwake upload retry)");
	u->hold = now + STORE_AGAIN;
	return false;
}

static int store_failed(struct uploader *u, const struct error *err)
{
	uploader_trouble(u, err->text);
	u->hold = clock_now() + STORE_AGAIN;
	return 0;
}

/* 1: the store knows of all that was cut; its bytes, if there are any, may be sent. */
static int cut_and_note(struct uploader *u, struct outbox_batch *batch,
        struct uploader_changes *changes, struct refusals *refusals, struct cut *cut)
{
	struct error err = {0};

	if (cut_into(u, batch, u->row->arrival, UINT64_MAX, refused, refusals, cut, &err) < 0)
		return store_failed(u, &err);
	u->cut = refusals->now;
	u->row->arrival = cut->until;
	u->row->invalid += cut->invalid;
	u->row->too_old += cut->too_old;
	u->row->lost += cut->lost;
	batch->created = refusals->now;
	if (cut->bytes != NULL) {
		mark_sending(batch);
		changes->batch = batch;
		g_ptr_array_add(u->open, batch);
	}
	return uploader_commit(u, changes) == 0;
}

int uploader_cut(struct uploader *u, int64_t now)
{
	struct outbox_batch *batch = outbox_batch_new(u->config.name);
	g_autoptr(GArray) failures = uploader_failures();
	struct refusals refusals = {u, batch, failures, now};
	struct uploader_changes changes = {.failures = failures};
	struct cut cut = {0};
	int done = 0;

	if (may_cut(u, now)) {
		store_outbox_hold(u->store);
		done = cut_and_note(u, batch, &changes, &refusals, &cut);
		store_outbox_release(u->store);
	}
	if (done && changes.batch != NULL)
		post(u, batch, false, cut.bytes);
	if (changes.batch == NULL)
		outbox_batch_free(batch);
	cut_clear(&cut);
	return done;
}

/* ---- sending again ---- */

/* Appends the batches that hold what is left of one that was never taken; the first has its id.
 * *gone_r: events that the store does not hold any more. 0, or -1 with *err. */
static int cut_rest(struct uploader *u, const struct outbox_batch *old, GPtrArray *batches,
        uint64_t *events, uint64_t *gone_r, struct error *err)
{
	struct cut cut = {0};
	uint64_t at = old->since;

	while (at < old->until) {
		struct outbox_batch *batch = outbox_batch_new(u->config.name);
		if (batches->len == 0)
			uploader_say(&batch->id, "%s", old->id);
		batch->created = old->created;
		int result = cut_into(u, batch, at, old->until, NULL, NULL, &cut, err);
		bool some = cut.bytes != NULL;
		bool moved = cut.until > at;
		*events += cut.events;
		*gone_r += cut.lost;
		at = cut.until;
		cut_clear(&cut);
		if (result == 0 && some)
			g_ptr_array_add(batches, batch);
		else
			outbox_batch_free(batch);
		if (result < 0)
			return -1;
		if (!moved)
			break;
	}
	return 0;
}

/* A batch that was never taken may be made anew, without what has become too old or was erased. */
static void cut_anew(struct uploader *u, struct outbox_batch *batch)
{
	g_autoptr(GPtrArray) batches = g_ptr_array_new();
	struct uploader_changes changes = {.batches = batches};
	struct error err = {0};
	uint64_t events = 0, gone = 0;

	if (cut_rest(u, batch, batches, &events, &gone, &err) < 0) {
		g_ptr_array_set_free_func(batches, (GDestroyNotify)outbox_batch_free);
		batch->next = clock_now() + STORE_AGAIN;
		store_failed(u, &err);
		return;
	}
	uint64_t less = batch->events > events ? batch->events - events : 0;
	gone = MIN(gone, less);
	u->row->lost += gone;
	u->row->too_old += less - gone;
	if (batches->len == 0) {
		uploader_say(&batch->answer, "%s; last: %s",
		        gone < less ? "too old to be sent" : "its events were removed",
		        batch->answer);
		uploader_end(u, batch, OUTBOX_DROPPED, NULL);
		return;
	}
	g_ptr_array_remove(u->open, batch);
	for (guint i = 0; i < batches->len; i++)
		g_ptr_array_add(u->open, batches->pdata[i]);
	uploader_commit(u, &changes);
}

/* It cannot be sent again, and may have got there. */
static void give_up(struct uploader *u, struct outbox_batch *batch, const char *why)
{
	uploader_say(&batch->answer, "%s; last: %s", why, batch->answer);
	u->row->lost += batch->events;
	uploader_end(u, batch, OUTBOX_UNKNOWN, NULL);
}

/* Whether the batch may be sent now: its bytes are there, and the store knows of it. */
static bool prepare(struct uploader *u, struct outbox_batch *batch, int64_t now, GByteArray *bytes)
{
	struct uploader_changes changes = {.batch = batch};
	struct error err = {0};
	bool old = is_too_old(u, batch, now);
	int there = old ? 0 : store_outbox_read(u->store, batch, bytes, &err);

	if (there == 1) {
		mark_sending(batch);
		return uploader_commit(u, &changes) == 0;
	}
	if (there < 0) {
		batch->next = now + STORE_AGAIN;
		store_failed(u, &err);
	} else if (batch->doubt) {
		give_up(u, batch,
		        old ? "too old to be sent again" : "its bytes are lost, damaged or erased");
	} else {
		cut_anew(u, batch);
	}
	return false;
}

void uploader_send(struct uploader *u, struct outbox_batch *batch, int64_t now)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	bool doubt = batch->doubt;

	store_outbox_hold(u->store);
	bool ready = prepare(u, batch, now, bytes);
	store_outbox_release(u->store);
	if (ready)
		post(u, batch, doubt, bytes);
}
