#include "store/batch-private.h"

#include "store/ingest-private.h"
#include "store/record.h"

#define BYTES_KEPT (512 << 10) /* by a batch that has nothing in it */

struct store_batch *store_batch_new(void)
{
	struct store_batch *batch = g_new0(struct store_batch, 1);

	batch->bytes = g_byte_array_new();
	batch->events = g_array_new(FALSE, FALSE, sizeof(struct batch_event));
	batch->lines = g_array_new(FALSE, FALSE, sizeof(struct batch_line));
	batch->sources = g_array_new(FALSE, FALSE, sizeof(struct batch_source));
	batch->positions = g_array_new(FALSE, FALSE, sizeof(struct batch_pair));
	batch->state = g_array_new(FALSE, FALSE, sizeof(struct batch_pair));
	batch->counters = g_array_new(FALSE, FALSE, sizeof(struct batch_counter));
	batch->gaps = g_array_new(FALSE, FALSE, sizeof(struct batch_gap));
	batch->unparsed = g_array_new(FALSE, FALSE, sizeof(struct batch_unparsed));
	batch->ingests = g_array_new(FALSE, FALSE, sizeof(struct batch_ingest));
	batch->ops = g_array_new(FALSE, FALSE, sizeof(struct batch_op));
	batch->params = g_array_new(FALSE, FALSE, sizeof(struct batch_param));
	return batch;
}

void store_batch_free(struct store_batch **batch)
{
	struct store_batch *b = *batch;

	if (b == NULL)
		return;
	GArray *const arrays[] = {b->events, b->lines, b->sources, b->positions, b->state,
	        b->counters, b->gaps, b->unparsed, b->ingests, b->ops, b->params};
	for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++)
		g_array_unref(arrays[i]);
	g_byte_array_unref(b->bytes);
	g_clear_pointer(batch, g_free);
}

/* What a backlog made large is given back when batches are small again. */
static void reset_bytes(struct store_batch *batch)
{
	batch->largest = MAX(batch->largest, batch->bytes->len);
	if (batch->largest > BYTES_KEPT && batch->bytes->len < batch->largest / 8) {
		g_byte_array_unref(batch->bytes);
		batch->bytes = g_byte_array_new();
		batch->largest = 0;
	}
	g_byte_array_set_size(batch->bytes, 0);
}

void store_batch_reset(struct store_batch *batch)
{
	GArray *const arrays[] = {batch->events, batch->lines, batch->sources, batch->positions,
	        batch->state, batch->counters, batch->gaps, batch->unparsed, batch->ingests,
	        batch->ops, batch->params};

	for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++)
		g_array_set_size(arrays[i], 0);
	reset_bytes(batch);
	batch->events_done = 0;
	batch->line_count = 0;
	batch->pending = false;
}

size_t store_batch_events(const struct store_batch *batch)
{
	return batch->events->len;
}

size_t store_batch_lines(const struct store_batch *batch)
{
	return batch->line_count;
}

bool store_batch_empty(const struct store_batch *batch)
{
	const GArray *const arrays[] = {batch->events, batch->sources, batch->positions,
	        batch->state, batch->counters, batch->gaps, batch->unparsed, batch->ingests,
	        batch->ops};

	for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++)
		if (arrays[i]->len > 0)
			return false;
	return !batch->pending;
}

void store_batch_pending(struct store_batch *batch)
{
	batch->pending = true;
}

struct slice batch_slice(const struct store_batch *batch, struct batch_text text)
{
	return text.none ? SLICE_NONE
	                 : slice_make((const char *)batch->bytes->data + text.at, text.n);
}

struct batch_text batch_put(struct store_batch *batch, struct slice text)
{
	struct batch_text put = {batch->bytes->len, text.n, text.p == NULL};

	/* A byte even for the empty text, so that it has a place in the buffer. */
	g_byte_array_append(
	        batch->bytes, (const guint8 *)(text.n > 0 ? text.p : ""), (guint)MAX(text.n, 1));
	return put;
}

void store_batch_event(struct store_batch *batch, const struct event *event)
{
	struct batch_event entry = {
	        .at = record_put(batch->bytes, event),
	        .time = event->time,
	        .id = event->id,
	        .line = BATCH_NO_LINE,
	        .missed = event->missed,
	};

	g_array_append_val(batch->events, entry);
}

/* Index of the source; there are few, and one comes many times in a row. */
static uint32_t source_index(struct store_batch *batch, struct slice name)
{
	for (guint i = batch->sources->len; i-- > 0;) {
		const struct batch_source *source =
		        &g_array_index(batch->sources, struct batch_source, i);
		if (slice_eq(batch_slice(batch, source->name), name))
			return i;
	}
	struct batch_source source = {.name = batch_put(batch, name)};
	g_array_append_val(batch->sources, source);
	return batch->sources->len - 1;
}

void store_batch_line(struct store_batch *batch, struct slice source, enum ledger_class class)
{
	struct batch_line line = {source_index(batch, source), class};

	batch->line_count++;
	if (batch->events_done == batch->events->len) {
		g_array_index(batch->sources, struct batch_source, line.source).count[class]++;
		return;
	}
	for (; batch->events_done < batch->events->len; batch->events_done++)
		g_array_index(batch->events, struct batch_event, batch->events_done).line =
		        batch->lines->len;
	g_array_append_val(batch->lines, line);
}

void store_batch_no_line(struct store_batch *batch)
{
	batch->events_done = batch->events->len;
}

void store_batch_unparsed(struct store_batch *batch, struct slice source, int64_t offset,
        int64_t time, struct slice text)
{
	struct batch_unparsed line = {
	        batch_put(batch, source), batch_put(batch, text), offset, time};

	g_array_append_val(batch->unparsed, line);
}

void store_batch_position(struct store_batch *batch, struct slice source, struct slice value)
{
	struct batch_pair *last;

	/* Followers tell their position after each line: the old one is overwritten in place. */
	for (guint i = batch->positions->len; i-- > 0;) {
		last = &g_array_index(batch->positions, struct batch_pair, i);
		if (!slice_eq(batch_slice(batch, last->key), source))
			continue;
		if (value.n > 0 && value.n <= last->value.n) {
			memcpy(batch->bytes->data + last->value.at, value.p, value.n);
			last->value.n = value.n;
		} else {
			struct batch_text text = batch_put(batch, value);
			last->value = text;
		}
		return;
	}
	struct batch_pair pair = {batch_put(batch, source), batch_put(batch, value)};
	g_array_append_val(batch->positions, pair);
}

void store_batch_state(struct store_batch *batch, struct slice key, struct slice value_or_none)
{
	struct batch_pair pair = {batch_put(batch, key), batch_put(batch, value_or_none)};

	g_array_append_val(batch->state, pair);
}

void store_batch_count(struct store_batch *batch, const char *name, int64_t n)
{
	for (guint i = 0; i < batch->counters->len; i++) {
		struct batch_counter *counter =
		        &g_array_index(batch->counters, struct batch_counter, i);
		if (slice_eq(batch_slice(batch, counter->name), slice_str(name))) {
			counter->n += n;
			return;
		}
	}
	struct batch_counter counter = {batch_put(batch, slice_str(name)), n};
	g_array_append_val(batch->counters, counter);
}

void store_batch_gap(struct store_batch *batch, const struct store_gap *gap)
{
	struct batch_gap copy = {batch_put(batch, gap->source), batch_put(batch, gap->text),
	        gap->from, gap->to, gap->bytes};

	g_array_append_val(batch->gaps, copy);
}

void batch_op(struct store_batch *batch, enum batch_op_kind kind)
{
	struct batch_op op = {.kind = kind, .first = batch->params->len};

	g_array_append_val(batch->ops, op);
}

static void add_param(struct store_batch *batch, const struct batch_param *param)
{
	g_array_append_vals(batch->params, param, 1);
	g_array_index(batch->ops, struct batch_op, batch->ops->len - 1).n++;
}

void batch_op_number(struct store_batch *batch, int64_t number)
{
	struct batch_param param = {.number = number};

	add_param(batch, &param);
}

void batch_op_text(struct store_batch *batch, struct slice text)
{
	struct batch_param param = {.is_text = true, .text = batch_put(batch, text)};

	add_param(batch, &param);
}

void batch_op_blob(struct store_batch *batch, struct slice bytes)
{
	struct batch_param param = {.is_blob = true, .text = batch_put(batch, bytes)};

	add_param(batch, &param);
}
